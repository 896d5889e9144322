"""A night in one process: the Lambda's code and both jobs, moto for AWS, folders for s3://."""

from __future__ import annotations

import itertools
import os
import shutil
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
from pyspark.sql import DataFrame, SparkSession

import bronze_to_silver
import sales_silver_to_gold
from include.contracts.compile import CONTRACTS_FOLDER, load_contracts
from include.sample_data.producer import deliver, plan_delivery
from madrugada_spark.gold import GoldRun, Options

LANDING, BRONZE, SILVER, GOLD = "test-landing", "test-bronze", "test-silver", "test-gold"
CONTRACTS_URI = "s3://test-artifacts/contracts/contracts.json"
SALT_SECRET = "test-salt"
DATABASES = ("madrugada_silver", "madrugada_gold", "madrugada_staging")
_runs = itertools.count(1)


class Night:
    """Delivers, ingests, runs the jobs and publishes, as the pipeline does."""

    def __init__(self, spark: SparkSession, s3: Any, root: Path, ingest: ModuleType) -> None:
        self.spark, self.s3, self.root, self.ingest = spark, s3, root, ingest
        self.glue = boto3.client("glue")
        self.contracts_folder = CONTRACTS_FOLDER
        for database in DATABASES:
            self.glue.create_database(DatabaseInput={"Name": database})
        for bucket in (BRONZE, SILVER, GOLD):
            for path in (root / bucket).iterdir():
                shutil.rmtree(path)

    def deliver(self, folder: Path, day: str, sources: str = "orders,stores") -> None:
        plan = plan_delivery(
            folder, load_contracts(self.contracts_folder).values(), sources.split(",")
        )
        deliver(plan, date.fromisoformat(day), LANDING, self.s3)
        self.ingest.handler({"delivery_date": day, "sources": sources.split(",")})
        for item in self.s3.list_objects_v2(Bucket=BRONZE)["Contents"]:
            path = self.root / BRONZE / item["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(BRONZE, item["Key"], os.fspath(path))

    def silver(self, day: str, sources: str = "orders,stores") -> dict[str, Any]:
        options = bronze_to_silver.Options(
            version=f"jr_{next(_runs):012x}",
            contracts_uri=CONTRACTS_URI,
            bronze_bucket=BRONZE,
            silver_bucket=SILVER,
            delivery_date=day,
            sources=tuple(sources.split(",")),
            silver_database="madrugada_silver",
            staging_database="madrugada_staging",
            salt_secret=SALT_SECRET,
            quarantine="clickstream_quarantine" if sources == "clickstream" else "quarantine",
        )
        return bronze_to_silver.SilverRun(self.spark, options).run()

    def gold(self, day: str, sources: str = "orders,stores") -> dict[str, Any]:
        options = Options(
            version=f"jr_{next(_runs):012x}",
            contracts_uri=CONTRACTS_URI,
            gold_bucket=GOLD,
            delivery_date=day,
            sources=tuple(sources.split(",")),
            silver_database="madrugada_silver",
            gold_database="madrugada_gold",
            staging_database="madrugada_staging",
        )
        return GoldRun(self.spark, options, sales_silver_to_gold.TABLES).run()

    def publish(self, report: dict[str, Any]) -> None:
        """Points the published tables at a run's candidates."""
        layer = report["layer"]
        suffix = f"_{report['version'][-12:]}"
        database = f"madrugada_{layer}"
        for table in self.glue.get_tables(DatabaseName="madrugada_staging")["TableList"]:
            if not table["Name"].startswith(f"{layer}_") or not table["Name"].endswith(suffix):
                continue
            name = table["Name"].removeprefix(f"{layer}_").removesuffix(suffix)
            given = {
                key: table[key] for key in ("StorageDescriptor", "Parameters", "TableType")
            } | {"Name": name}
            there = {t["Name"] for t in self.glue.get_tables(DatabaseName=database)["TableList"]}
            call = self.glue.update_table if name in there else self.glue.create_table
            call(DatabaseName=database, TableInput=given)

    def run_silver(self, folder: Path, day: str, sources: str) -> dict[str, Any]:
        """A night as far as the published silver tables; gives the report."""
        self.deliver(folder, day, sources)
        report = self.silver(day, sources)
        self.publish(report)
        return report

    def run(self, folder: Path, day: str, sources: str = "orders,stores") -> dict[str, Any]:
        """A whole night; gives the reports by layer."""
        silver = self.run_silver(folder, day, sources)
        gold = self.gold(day, sources)
        self.publish(gold)
        return {"silver": silver, "gold": gold}

    def table(self, layer: str, name: str) -> DataFrame:
        found = self.glue.get_table(DatabaseName=f"madrugada_{layer}", Name=name)["Table"]
        # By the files alone, as COPY takes them: folders add no column.
        files = self.spark.read.option("recursiveFileLookup", "true")
        return files.parquet(found["StorageDescriptor"]["Location"])
