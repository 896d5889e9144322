"""A job that builds gold tables from published silver ones, whatever the pipeline.

Each table is written aside whole, under the run's own version, with the columns of its contract in
their order (COPY from Parquet goes by position), and registered as a candidate for the audit.

Arguments of such a job: contracts_uri, gold_bucket, delivery_date, sources (comma list),
silver_database, gold_database, staging_database; Glue gives JOB_RUN_ID, which is the version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from madrugada_spark.catalog import (
    BASE_VERSION,
    DELIVERY_DATE,
    KEY,
    VERSION,
    Catalog,
    Published,
    candidate_name,
)
from madrugada_spark.contract import Dataset, JobError, read_contracts
from madrugada_spark.printed import print_table
from madrugada_spark.session import output_files, size_for
from madrugada_spark.storage import Storage, files_and_bytes, read_version, write_parquet

OPTIONS = (
    "contracts_uri",
    "gold_bucket",
    "delivery_date",
    "sources",
    "silver_database",
    "gold_database",
    "staging_database",
)


@dataclass(frozen=True)
class Options:
    version: str
    contracts_uri: str
    gold_bucket: str
    delivery_date: str
    sources: tuple[str, ...]
    silver_database: str
    gold_database: str
    staging_database: str


@dataclass(frozen=True)
class Table:
    """How a gold table is made.

    Attributes:
        of: a function of the tables that it is made of.
        reads: those, by name: published silver tables, and gold tables of this very run, which are
            read as they were written, not built again.
        counted_from: the silver table of which it has a row for each row, if there is one.
        files: into how many files it is written; by its size when None.
    """

    of: Callable[..., DataFrame]
    reads: tuple[str, ...]
    counted_from: str | None = None
    files: int | None = None


class GoldRun:
    """One run of the job; `run` does it all and gives the report."""

    def __init__(self, spark: SparkSession, options: Options, made: Mapping[str, Table]) -> None:
        self.spark = spark
        self.options = options
        self.made = made
        self.storage = Storage()
        self.catalog = Catalog()
        self.contracts = read_contracts(
            self.storage.read(options.contracts_uri, "the compiled contracts")
        )
        self.datasets = self.contracts.datasets_of(options.sources)
        self.tables = self.contracts.gold_of(options.sources)
        self.silver: dict[str, DataFrame] = {}
        self.read_versions: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        started = time.time()
        size = self._open_silver()
        size_for(self.spark, size)
        published = {
            table.name: self.catalog.published(self.options.gold_database, table.name)
            for table in self.tables
        }
        reports = self._write_all(size)
        for table in self.tables:
            base = published[table.name]
            reports[table.name]["base_version"] = base.version if base is not None else ""
            self._register(table, base)
        report = {
            "version": self.options.version,
            "layer": "gold",
            "delivery_date": self.options.delivery_date,
            "sources": list(self.options.sources),
            "seconds": round(time.time() - started, 3),
            "silver_versions": self.read_versions,
            "tables": reports,
            **self.figures(),
        }
        uri = f"s3://{self.options.gold_bucket}/_reports/{self.options.version}.json"
        self.storage.write_json(uri, report)
        print_table(
            ("table", "rows", "files", "bytes", "seconds"),
            [
                (name, r["rows"], r["files"], r["bytes"], r["seconds"])
                for name, r in reports.items()
            ],
        )
        self.tell(report)
        print(f"gold of {report['delivery_date']} in {report['seconds']} s; report: {uri}")
        return report

    def figures(self) -> dict[str, Any]:
        """What a pipeline's report has beside the tables'; asked once they are written."""
        return {}

    def tell(self, report: dict[str, Any]) -> None:
        """Prints what a pipeline's report has beside the tables'."""

    def location(self, table: str) -> str:
        return f"s3://{self.options.gold_bucket}/{table}/{self.options.version}/"

    def _open_silver(self) -> int:
        """Opens the published silver tables; gives about how many bytes their rows are."""
        missing, size = [], 0
        for dataset in self.datasets:
            published = self.catalog.published(self.options.silver_database, dataset.name)
            if published is None:
                missing.append(f"{self.options.silver_database}.{dataset.name}")
                continue
            self.silver[dataset.name] = published.read(self.spark)
            self.read_versions[dataset.name] = published.version
            size += files_and_bytes(self.spark, published.location)[1] * 4
        if missing:
            raise JobError(f"not published yet: {', '.join(missing)}; publish silver first")
        return size

    def _write_all(self, size: int) -> dict[str, Any]:
        unknown = [table.name for table in self.tables if table.name not in self.made]
        if unknown:
            raise JobError(f"no builder for {', '.join(unknown)}; add it to this job")
        waiting = {table.name: table for table in self.tables}
        futures: dict[str, Future[dict[str, Any]]] = {}
        with ThreadPoolExecutor(max_workers=4) as pool:
            # Whoever waits for another was handed in after it, so the other is at work or done.
            while waiting:
                ready = [
                    name for name in waiting if not set(self.made[name].reads) & waiting.keys()
                ]
                if not ready:
                    raise JobError(f"read one another: {', '.join(sorted(waiting))}")
                for name in ready:
                    before = [futures[other] for other in self.made[name].reads if other in futures]
                    futures[name] = pool.submit(self._write, waiting.pop(name), before, size)
            reports = {name: future.result() for name, future in futures.items()}
        return {table.name: reports[table.name] for table in self.tables}

    def _write(
        self, table: Dataset, before: list[Future[dict[str, Any]]], size: int
    ) -> dict[str, Any]:
        for future in before:
            future.result()
        started = time.time()
        made = self.made[table.name]
        built = made.of(
            *(
                self._read(name) if name in self.contracts.gold else self.silver[name]
                for name in made.reads
            )
        )
        typed = built.select(*(F.col(c.name).cast(c.type).alias(c.name) for c in table.columns))
        location = self.location(table.name)
        files = made.files or output_files(0 if before else size)
        write_parquet(typed, location, files, **table.folders)
        empty = [
            F.count(F.when(F.col(c.name).isNull(), F.lit(1))).alias(c.name)
            for c in table.columns
            if c.required
        ]
        counts = self._read(table.name).agg(F.count("*").alias("_rows"), *empty).collect()[0]
        nulls = {name: n for name, n in counts.asDict().items() if name != "_rows" and n}
        if nulls:
            raise JobError(
                f"{table.name}: required columns are empty: "
                + ", ".join(f"{name} in {n} rows" for name, n in nulls.items())
            )
        rows = counts["_rows"]
        if made.counted_from is not None:
            expected = self.silver[made.counted_from].count()
            if rows != expected:
                raise JobError(
                    f"{table.name}: {rows} rows from {expected} of {made.counted_from}; expected "
                    "as many"
                )
        files, written = files_and_bytes(self.spark, location)
        return {
            "rows": rows,
            "key": list(table.key),
            "files": files,
            "bytes": written,
            "location": location,
            "seconds": round(time.time() - started, 3),
        }

    def _read(self, table: str) -> DataFrame:
        """This run's own table, from the files just written."""
        columns = self.contracts.gold[table].glue_columns
        return read_version(self.spark, self.location(table), columns)

    def _register(self, table: Dataset, base: Published | None) -> None:
        self.catalog.register_candidate(
            self.options.staging_database,
            candidate_name("gold", table.name, self.options.version),
            self.location(table.name),
            table.glue_columns,
            {
                VERSION: self.options.version,
                BASE_VERSION: base.version if base is not None else "",
                DELIVERY_DATE: self.options.delivery_date,
                KEY: ",".join(table.key),
            },
        )


def options_of(argv: list[str]) -> Options:
    """A Glue job's arguments."""
    from awsglue.utils import getResolvedOptions

    arguments = getResolvedOptions(argv, list(OPTIONS))
    return Options(
        version=arguments["JOB_RUN_ID"],
        sources=tuple(s.strip() for s in arguments["sources"].split(",") if s.strip()),
        **{name: arguments[name] for name in OPTIONS if name != "sources"},
    )
