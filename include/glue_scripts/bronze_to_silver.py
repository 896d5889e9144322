"""Glue job: one night's bronze files become typed, checked, merged silver tables.

Reads the delivery that each source's manifest describes, sends rows that break a contract to
quarantine, merges the rest into what is published, and writes every table aside under the run's own
version. Nothing that is published is touched: the tables are registered as candidates, and whoever
audits them publishes them.

Arguments: contracts_uri, bronze_bucket, silver_bucket, delivery_date, sources (comma list),
silver_database, staging_database; Glue gives JOB_RUN_ID, which is the version.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from madrugada_spark.catalog import (
    BASE_VERSION,
    DELIVERY_DATE,
    VERSION,
    Catalog,
    Published,
    candidate_name,
)
from madrugada_spark.contract import Dataset, JobError, read_contracts
from madrugada_spark.delivered import (
    COLUMN,
    DUPLICATE_KEY,
    LINE,
    RAW,
    REASON,
    RULE,
    accepted,
    checked_rows,
    duplicates,
    null_if_empty,
    numbered_lines,
    rejected,
)
from madrugada_spark.merge import INGEST_DATE, merged, with_reference_warnings
from madrugada_spark.printed import counted, print_table
from madrugada_spark.session import output_files, size_for, spark_session
from madrugada_spark.storage import DeliveredFile, Storage, files_and_bytes, write_parquet

OPTIONS = (
    "contracts_uri",
    "bronze_bucket",
    "silver_bucket",
    "delivery_date",
    "sources",
    "silver_database",
    "staging_database",
)
QUARANTINE = "quarantine"
QUARANTINE_COLUMNS = (
    ("dataset", "string"),
    ("ingest_date", "date"),
    ("source_file", "string"),
    ("line_number", "bigint"),
    ("raw", "string"),
    ("rule", "string"),
    ("reason", "string"),
    ("column_name", "string"),
)


@dataclass(frozen=True)
class Options:
    version: str
    contracts_uri: str
    bronze_bucket: str
    silver_bucket: str
    delivery_date: str
    sources: tuple[str, ...]
    silver_database: str
    staging_database: str


def as_quarantine(
    rows: DataFrame, dataset: str, delivery_date: date, source_file: str
) -> DataFrame:
    """Rejected rows (`_line`, `_raw`, `_rule`, `_column`, `_reason`) as the quarantine has them."""
    return rows.select(
        F.lit(dataset).alias("dataset"),
        F.lit(delivery_date).cast("date").alias("ingest_date"),
        F.lit(source_file).alias("source_file"),
        F.col(LINE).alias("line_number"),
        F.col(RAW).alias("raw"),
        F.col(RULE).alias("rule"),
        F.col(REASON).alias("reason"),
        null_if_empty(F.col(COLUMN)).alias("column_name"),
    )


class SilverRun:
    """One run of the job; `run` does it all and gives the report."""

    def __init__(self, spark: SparkSession, options: Options) -> None:
        self.spark = spark
        self.options = options
        self.day = date.fromisoformat(options.delivery_date)
        self.storage = Storage()
        self.catalog = Catalog()
        self.contracts = read_contracts(
            self.storage.read(options.contracts_uri, "the compiled contracts")
        )
        self.datasets = self.contracts.datasets_of(options.sources)
        self.files: dict[str, DeliveredFile] = {}
        self.published: dict[str, Published | None] = {}
        self.rows: dict[str, DataFrame] = {}

    def run(self) -> dict[str, Any]:
        started = time.time()
        for source in self.options.sources:
            mine = [dataset for dataset in self.datasets if dataset.source == source]
            self.files |= self.storage.delivery(
                self.options.bronze_bucket, source, self.options.delivery_date, mine
            )
        names = {d.name for d in self.datasets}
        names |= {r.parameters["dataset"] for d in self.datasets for r in d.references}
        for name in (*sorted(names), QUARANTINE):
            self.published[name] = self.catalog.published(self.options.silver_database, name)
        size = sum(file.bytes for file in self.files.values())
        size += sum(
            files_and_bytes(self.spark, table.location)[1] * 4
            for table in self.published.values()
            if table is not None
        )
        size_for(self.spark, size)
        for dataset in self.datasets:
            lines = numbered_lines(self.spark, self.files[dataset.name].uri)
            self.rows[dataset.name] = checked_rows(lines, dataset)
        reports = self._write_all()
        report = {
            "version": self.options.version,
            "layer": "silver",
            "delivery_date": self.options.delivery_date,
            "sources": list(self.options.sources),
            "seconds": round(time.time() - started, 3),
            "datasets": reports,
        }
        self._stop_if_too_much_is_rejected(reports)
        self._register()
        uri = f"s3://{self.options.silver_bucket}/_reports/{self.options.version}.json"
        self.storage.write_json(uri, report)
        self._print(report, uri)
        return report

    def location(self, table: str) -> str:
        return f"s3://{self.options.silver_bucket}/{table}/{self.options.version}/"

    def _write_all(self) -> dict[str, Any]:
        """Writes every table, each after those it refers to, and the quarantine beside them."""
        with ThreadPoolExecutor(max_workers=len(self.datasets) + 1) as pool:
            quarantine = pool.submit(self._write_rejected)
            tables: dict[str, Future[dict[str, Any]]] = {}
            for dataset in self.datasets:
                waits = [
                    tables[rule.parameters["dataset"]]
                    for rule in dataset.references
                    if rule.parameters["dataset"] in tables
                ]
                tables[dataset.name] = pool.submit(self._write_table, dataset, waits)
            reports = {name: future.result() for name, future in tables.items()}
            quarantined = quarantine.result()
        uncounted = {}
        for dataset in self.datasets:
            report, rules = reports[dataset.name], quarantined[dataset.name]
            report["superseded"] = self._superseded(dataset)
            kept = report.pop("of_this_date") + report["superseded"]
            report["kept"] = kept
            missing = report["delivered"] - kept - sum(rules.values())
            if missing:
                uncounted[dataset.name] = missing
        if uncounted:
            doubles = self._write_duplicates([d for d in self.datasets if d.name in uncounted])
            for name, count in doubles.items():
                if count:
                    quarantined[name][DUPLICATE_KEY] = count
        for dataset in self.datasets:
            report = reports[dataset.name]
            report["quarantined"] = dict(sorted(quarantined[dataset.name].items()))
            out = report["kept"] + sum(report["quarantined"].values())
            if out != report["delivered"]:
                raise JobError(
                    f"{self.files[dataset.name].uri}: {report['delivered']} rows delivered, but "
                    f"{report['kept']} kept and {sum(report['quarantined'].values())} quarantined"
                )
            report["updated"] = report.pop("before") - (report["rows"] - kept_in(report))
            report["inserted"] = kept_in(report) - report["updated"]
        return reports

    def _write_table(self, dataset: Dataset, waits: list[Future[dict[str, Any]]]) -> dict[str, Any]:
        for future in waits:
            future.result()
        started = time.time()
        base = self.published[dataset.name]
        before = None if base is None else base.read(self.spark)
        table = merged(accepted(self.rows[dataset.name]), before, dataset, self.day)
        table = with_reference_warnings(table, dataset, self._targets(dataset))
        location = self.location(dataset.name)
        size = self.files[dataset.name].bytes
        if base is not None:
            size += files_and_bytes(self.spark, base.location)[1] * 4
        write_parquet(table, location, output_files(size))
        is_new = (F.col(INGEST_DATE) == F.lit(self.day)).alias("is_new")
        written = self._read(dataset)
        groups = written.groupBy(is_new, "warnings").count().collect()
        warned: Counter[str] = Counter()
        for group in groups:
            for rule in (group["warnings"] or "").split(";"):
                if rule and group["is_new"]:
                    warned[rule] += group["count"]
        kept_before = 0
        if before is not None:
            kept_before = before.where(F.col(INGEST_DATE) != F.lit(self.day)).count()
        files, size = files_and_bytes(self.spark, location)
        return {
            "delivered": self.files[dataset.name].rows,
            "of_this_date": sum(group["count"] for group in groups if group["is_new"]),
            "before": kept_before,
            "warned": dict(sorted(warned.items())),
            "rows": sum(group["count"] for group in groups),
            "files": files,
            "bytes": size,
            "location": location,
            "base_version": base.version if base is not None else "",
            "seconds": round(time.time() - started, 3),
        }

    def _read(self, dataset: Dataset) -> DataFrame:
        """This run's own table, from the files just written."""
        schema = ", ".join(f"`{name}` {kind}" for name, kind in dataset.glue_columns)
        return self.spark.read.schema(schema).parquet(self.location(dataset.name))

    def _targets(self, dataset: Dataset) -> dict[str, DataFrame]:
        targets = {}
        for rule in dataset.references:
            name = rule.parameters["dataset"]
            if name in self.rows:
                targets[name] = self._read(self.contracts.datasets[name])
            elif (published := self.published[name]) is not None:
                targets[name] = published.read(self.spark)
        return targets

    def _write_rejected(self) -> dict[str, Counter[str]]:
        """Writes the quarantine: other nights' rows as they were, and this night's."""
        parts = [
            as_quarantine(rejected(rows), name, self.day, self.files[name].file_name)
            for name, rows in self.rows.items()
        ]
        base = self.published[QUARANTINE]
        if base is not None:
            mine = (F.col("ingest_date") == F.lit(self.day)) & F.col("dataset").isin(
                list(self.rows)
            )
            parts.append(base.read(self.spark).where(~mine))
        location = self.location(QUARANTINE)
        write_parquet(reduce(DataFrame.unionByName, parts), location, 1)
        return self._count_quarantined()

    def _write_duplicates(self, datasets: list[Dataset]) -> dict[str, int]:
        parts = [
            as_quarantine(
                duplicates(self.rows[dataset.name], dataset),
                dataset.name,
                self.day,
                self.files[dataset.name].file_name,
            )
            for dataset in datasets
        ]
        location = self.location(QUARANTINE)
        write_parquet(reduce(DataFrame.unionByName, parts), location, 1, append=True)
        counts = self._count_quarantined()
        return {dataset.name: counts[dataset.name][DUPLICATE_KEY] for dataset in datasets}

    def _count_quarantined(self) -> dict[str, Counter[str]]:
        """What the written quarantine holds of this night, by dataset and rule."""
        schema = ", ".join(f"`{name}` {kind}" for name, kind in QUARANTINE_COLUMNS)
        groups = (
            self.spark.read.schema(schema)
            .parquet(self.location(QUARANTINE))
            .where(F.col("ingest_date") == F.lit(self.day))
            .groupBy("dataset", "rule")
            .count()
            .collect()
        )
        counts: dict[str, Counter[str]] = {name: Counter() for name in self.rows}
        for group in groups:
            if group["dataset"] in counts:
                counts[group["dataset"]][group["rule"]] = group["count"]
        return counts

    def _superseded(self, dataset: Dataset) -> int:
        """Keys of this delivery that a newer delivery, already published, has too."""
        base = self.published[dataset.name]
        if base is None:
            return 0
        newer = base.read(self.spark).where(F.col(INGEST_DATE) > F.lit(self.day))
        if newer.limit(1).count() == 0:
            return 0
        keys = accepted(self.rows[dataset.name]).select(*dataset.key).distinct()
        return keys.join(newer.select(*dataset.key), list(dataset.key), "left_semi").count()

    def _stop_if_too_much_is_rejected(self, reports: dict[str, Any]) -> None:
        problems = []
        for dataset in self.datasets:
            report = reports[dataset.name]
            rejected_rows = sum(report["quarantined"].values())
            percent = 100 * rejected_rows / max(1, report["delivered"])
            if percent > dataset.max_quarantined_percent:
                problems.append(
                    f"{self.files[dataset.name].uri}: {rejected_rows} of {report['delivered']} "
                    f"rows rejected ({percent:.1f} %), at most {dataset.max_quarantined_percent:g} "
                    f"% allowed: {counted(report['quarantined'])}; they can be read at "
                    f"{self.location(QUARANTINE)}"
                )
        if problems:
            raise JobError("\n".join(problems))

    def _register(self) -> None:
        tables = [(d.name, d.glue_columns) for d in self.datasets]
        for name, columns in [*tables, (QUARANTINE, QUARANTINE_COLUMNS)]:
            base = self.published[name]
            self.catalog.register_candidate(
                self.options.staging_database,
                candidate_name("silver", name, self.options.version),
                self.location(name),
                columns,
                {
                    VERSION: self.options.version,
                    BASE_VERSION: base.version if base is not None else "",
                    DELIVERY_DATE: self.options.delivery_date,
                },
            )

    def _print(self, report: dict[str, Any], uri: str) -> None:
        print_table(
            ("dataset", "delivered", "kept", "quarantined", "warned", "new", "updated", "rows"),
            [
                (
                    name,
                    r["delivered"],
                    r["kept"],
                    counted(r["quarantined"]),
                    counted(r["warned"]),
                    r["inserted"],
                    r["updated"],
                    r["rows"],
                )
                for name, r in report["datasets"].items()
            ],
        )
        print(f"silver of {report['delivery_date']} in {report['seconds']} s; report: {uri}")


def kept_in(report: dict[str, Any]) -> int:
    """Rows of this delivery that are in the table, those that a newer delivery has left out."""
    return int(report["kept"] - report["superseded"])


def main(argv: list[str]) -> None:
    from awsglue.utils import getResolvedOptions

    arguments = getResolvedOptions(argv, list(OPTIONS))
    options = Options(
        version=arguments["JOB_RUN_ID"],
        sources=tuple(s.strip() for s in arguments["sources"].split(",") if s.strip()),
        **{name: arguments[name] for name in OPTIONS if name != "sources"},
    )
    SilverRun(spark_session("bronze_to_silver"), options).run()


if __name__ == "__main__":
    main(sys.argv)
