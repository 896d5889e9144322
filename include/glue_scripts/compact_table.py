"""Glue job: published tables of files far from the target size become the same tables of even ones.

Every row is written again, unchanged and into a folder of the same name, under the run's own
version. The candidates carry the published tables' columns and parameters. Nothing that is
published is touched; whoever compares candidate and table publishes it.

Arguments: layer, tables (comma list), target_bytes (how large a file should be), silver_database,
gold_database, staging_database; Glue gives JOB_RUN_ID, which is the version.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from madrugada_spark.catalog import BASE_VERSION, VERSION, Catalog, candidate_name
from madrugada_spark.contract import JobError
from madrugada_spark.printed import print_table
from madrugada_spark.session import size_for, spark_session
from madrugada_spark.storage import Storage, write_parquet

OPTIONS = (
    "layer",
    "tables",
    "target_bytes",
    "silver_database",
    "gold_database",
    "staging_database",
)
COMPACTED_FROM = "madrugada.compacted_from"
"""Parameter of a table: the version whose rows these are."""

_INPUT = (
    "Description",
    "Owner",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "TableType",
    "Parameters",
)


@dataclass(frozen=True)
class Options:
    version: str
    layer: str
    tables: tuple[str, ...]
    target_bytes: int
    silver_database: str
    gold_database: str
    staging_database: str

    @property
    def database(self) -> str:
        databases = {"silver": self.silver_database, "gold": self.gold_database}
        if self.layer not in databases:
            raise JobError(f"--layer {self.layer!r}: expected one of {', '.join(databases)}")
        return databases[self.layer]


@dataclass(frozen=True)
class File:
    """A data file: its folder below the table's location ('' for none), path and bytes."""

    folder: str
    path: str
    bytes: int


class CompactRun:
    """One run of the job; `run` does it all and gives the report."""

    def __init__(self, spark: SparkSession, options: Options) -> None:
        if options.target_bytes <= 0:
            raise JobError(f"--target_bytes {options.target_bytes}: expected more than 0")
        if not options.tables:
            raise JobError("--tables is empty: expected a comma list of published tables")
        self.spark = spark
        self.options = options
        self.storage = Storage()
        self.catalog = Catalog()

    def run(self) -> dict[str, Any]:
        started = time.time()
        reports, tables = {}, {}
        # No task reads more than a file is to have, and small files count for what they are.
        self.spark.conf.set("spark.sql.files.maxPartitionBytes", str(self.options.target_bytes))
        self.spark.conf.set("spark.sql.files.openCostInBytes", "0")
        for name in self.options.tables:
            tables[name] = self._published(name)
            reports[name] = self._rewrite(name, tables[name])
        for name, table in tables.items():
            self._register(name, table, reports[name]["location"])
        report = {
            "version": self.options.version,
            "layer": self.options.layer,
            "seconds": round(time.time() - started, 3),
            "tables": reports,
        }
        bucket = next(iter(reports.values()))["location"].split("/")[2]
        uri = f"s3://{bucket}/_reports/{self.options.version}.json"
        self.storage.write_json(uri, report)
        print_table(
            ("table", "rows", "files before", "files", "bytes before", "bytes", "seconds"),
            [
                (
                    name,
                    r["rows"],
                    r["files_before"],
                    r["files"],
                    r["bytes_before"],
                    r["bytes"],
                    r["seconds"],
                )
                for name, r in reports.items()
            ],
        )
        print(f"{self.options.layer} compacted in {report['seconds']} s; report: {uri}")
        return report

    def _published(self, name: str) -> dict[str, Any]:
        try:
            table = self.catalog.glue.get_table(DatabaseName=self.options.database, Name=name)
        except self.catalog.glue.exceptions.EntityNotFoundException:
            raise JobError(f"{self.options.database}.{name} is not there to be compacted") from None
        return table["Table"]

    def _rewrite(self, name: str, table: Mapping[str, Any]) -> dict[str, Any]:
        started = time.time()
        descriptor = table["StorageDescriptor"]
        old = descriptor["Location"].rstrip("/") + "/"
        # The version is the last folder of a table's location; its sisters are other versions.
        new = old.rstrip("/").rpartition("/")[0] + f"/{self.options.version}/"
        columns = [(column["Name"], column["Type"]) for column in descriptor["Columns"]]
        schema = ", ".join(f"`{column}` {kind}" for column, kind in columns)
        files = list(data_files(self.spark, old))
        size_for(self.spark, 4 * sum(file.bytes for file in files))
        folders: dict[str, list[File]] = {}
        for file in files:
            folders.setdefault(file.folder, []).append(file)

        def rows(of: Iterable[File]) -> DataFrame:
            # Files by name: what is read is what was counted, and folders give no columns.
            return self.spark.read.schema(schema).parquet(*(file.path for file in of))

        def write(folder: str) -> None:
            size = sum(file.bytes for file in folders[folder])
            wanted = max(1, -(-size // self.options.target_bytes))
            table = rows(folders[folder])
            if len(folders[folder]) < wanted:
                # A reader can cut a file between its row groups only, and may find just one.
                table = table.repartition(wanted)
            write_parquet(table, f"{new}{folder}", wanted)

        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(write, folders))
        written = list(data_files(self.spark, new)) if files else []
        before = rows(files).count() if files else 0
        after = rows(written).count() if written else 0
        if before != after:
            raise JobError(f"{name}: {before} rows in {old}, but {after} in {new}")
        return {
            "rows": after,
            "files_before": len(files),
            "files": len(written),
            "bytes_before": sum(file.bytes for file in files),
            "bytes": sum(file.bytes for file in written),
            "columns": [column for column, _ in columns],
            "location": new,
            "base_version": table["Parameters"].get(VERSION, ""),
            "seconds": round(time.time() - started, 3),
        }

    def _register(self, name: str, table: Mapping[str, Any], location: str) -> None:
        """The published table's definition, at the new location."""
        parameters = table["Parameters"]
        version = parameters.get(VERSION, "")
        given = {member: table[member] for member in _INPUT if member in table}
        self.catalog.create_candidate(
            self.options.staging_database,
            {
                **given,
                "Name": candidate_name(self.options.layer, name, self.options.version),
                "StorageDescriptor": {**table["StorageDescriptor"], "Location": location},
                "Parameters": {
                    **parameters,
                    VERSION: self.options.version,
                    BASE_VERSION: version,
                    COMPACTED_FROM: parameters.get(COMPACTED_FROM) or version,
                },
            },
        )


def data_files(spark: SparkSession, location: str) -> Iterable[File]:
    """The files that engines read under a location: none whose name, or folder's, hides it."""
    jvm: Any = spark._jvm
    session: Any = spark._jsparkSession
    root = jvm.org.apache.hadoop.fs.Path(location)
    system = root.getFileSystem(session.sessionState().newHadoopConf())
    found = system.listFiles(root, True)
    while found.hasNext():
        status = found.next()
        path = str(status.getPath().toString())
        below = path.partition(location.partition("://")[2].rstrip("/") + "/")[2]
        if not any(part.startswith(("_", ".")) for part in below.split("/")):
            yield File(below.rpartition("/")[0], path, int(status.getLen()))


def main(argv: list[str]) -> None:
    from awsglue.utils import getResolvedOptions

    arguments = getResolvedOptions(argv, list(OPTIONS))
    options = Options(
        version=arguments["JOB_RUN_ID"],
        tables=tuple(t.strip() for t in arguments["tables"].split(",") if t.strip()),
        target_bytes=int(arguments["target_bytes"]),
        **{name: arguments[name] for name in OPTIONS if name not in ("tables", "target_bytes")},
    )
    CompactRun(spark_session("compact_table"), options).run()


if __name__ == "__main__":
    main(sys.argv)
