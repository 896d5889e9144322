"""Glue job: one night's bronze files become typed, checked, merged silver tables.

Reads the delivery that each source's manifest describes, sends rows that break a contract to
quarantine, merges the rest into what is published, and writes every table aside under the run's own
version. Nothing that is published is touched: the tables are registered as candidates, and whoever
audits them publishes them.

Arguments: contracts_uri, bronze_bucket, silver_bucket, delivery_date, sources (comma list),
silver_database, staging_database, salt_secret (read when a contract has a column hashed),
quarantine (the table's name: pipelines that run at the same time must not share one, since each
publishes the whole of it); Glue gives JOB_RUN_ID, which is the version.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property, reduce
from typing import Any

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from madrugada_spark.catalog import (
    BASE_VERSION,
    DELIVERIES,
    DELIVERY_DATE,
    VERSION,
    Catalog,
    Published,
    candidate_name,
)
from madrugada_spark.contract import COUNTED, JSON_LINES, Dataset, JobError, read_contracts
from madrugada_spark.delivered import (
    COLUMN,
    FEWEST_OF_A_CHANGED_TYPE,
    LINE,
    RAW,
    REASON,
    RULE,
    accepted,
    at_places,
    broken_places,
    changed_types,
    checked_rows,
    duplicates,
    no_longer,
    numbered_lines,
    rejected,
)
from madrugada_spark.json_lines import FILE, numbered_objects
from madrugada_spark.merge import INGEST_DATE, RESCUED_DATA, merged, with_reference_warnings
from madrugada_spark.printed import counted, print_table
from madrugada_spark.privacy import HASH, read_salt, with_salt
from madrugada_spark.session import output_files, size_for, spark_session
from madrugada_spark.storage import (
    Delivered,
    Storage,
    files_and_bytes,
    read_version,
    write_parquet,
)

OPTIONS = (
    "contracts_uri",
    "bronze_bucket",
    "silver_bucket",
    "delivery_date",
    "sources",
    "silver_database",
    "staging_database",
    "salt_secret",
    "quarantine",
)
# Of fields that the contract does not know: keys may be anything, and as many as there are rows.
MOST_SHOWN = 100
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
    salt_secret: str = ""
    quarantine: str = "quarantine"


def as_quarantine(
    rows: DataFrame, dataset: str, delivery_date: date, source_file: Column
) -> DataFrame:
    """Rejected rows (`_line`, `_raw`, `_rule`, `_column`, `_reason`) as the quarantine has them."""
    return rows.select(
        F.lit(dataset).alias("dataset"),
        F.lit(delivery_date).alias("ingest_date"),
        source_file.alias("source_file"),
        F.col(LINE).alias("line_number"),
        F.col(RAW).alias("raw"),
        F.col(RULE).alias("rule"),
        F.col(REASON).alias("reason"),
        F.col(COLUMN).alias("column_name"),
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
        self.files: dict[str, Delivered] = {}
        self.delivered: dict[str, int] = {}
        self.duplicates: dict[str, Observation] = {}
        self.broken: dict[str, Observation] = {}
        self.published: dict[str, Published | None] = {}
        self.lines: dict[str, DataFrame] = {}
        self.rows: dict[str, DataFrame] = {}
        self.taken_in: dict[str, list[str]] = {}

    def run(self) -> dict[str, Any]:
        started = time.time()
        for source in self.options.sources:
            mine = [dataset for dataset in self.datasets if dataset.source == source]
            self.files |= self.storage.delivery(
                self.options.bronze_bucket, source, self.options.delivery_date, mine
            )
        names = {d.name for d in self.datasets}
        names |= {r.parameters["dataset"] for d in self.datasets for r in d.references}
        for name in (*sorted(names), self.options.quarantine):
            self.published[name] = self.catalog.published(self.options.silver_database, name)
        size = sum(file.bytes for file in self.files.values())
        size += sum(
            files_and_bytes(self.spark, table.location)[1] * 4
            for table in self.published.values()
            if table is not None
        )
        size_for(self.spark, size)
        for dataset in self.datasets:
            name = dataset.name
            self.lines[name], self.delivered[name] = self._lines(self.files[name], dataset)
            self.rows[name] = self._checked(self.lines[name], dataset)
            if self.delivered[name] < dataset.min_rows:
                raise JobError(
                    f"{self.files[name].uri}: {self.delivered[name]} rows delivered, expected at "
                    f"least {dataset.min_rows}"
                )
        reports = self._write_all()
        report = {
            "version": self.options.version,
            "layer": "silver",
            "delivery_date": self.options.delivery_date,
            "sources": list(self.options.sources),
            "seconds": round(time.time() - started, 3),
            "datasets": reports,
        }
        problems = self._why_it_is_not_the_delivery_it_was(reports)
        if problems:
            report["stopped"] = problems
        else:
            self._register()
        uri = f"s3://{self.options.silver_bucket}/_reports/{self.options.version}.json"
        self.storage.write_json(uri, report)
        self._print(report, uri)
        if problems:
            raise JobError("\n".join(problems))
        return report

    def location(self, table: str) -> str:
        return f"s3://{self.options.silver_bucket}/{table}/{self.options.version}/"

    def _write_all(self) -> dict[str, Any]:
        """Writes every table and the quarantine, counts what was written, and checks the sums.

        Files are read a second time only where rows are missing from the table, and of those only
        lines that broke a rule are taken apart: they must be in quarantine, and when rows are not
        there either, the run stops.
        """
        with ThreadPoolExecutor(max_workers=len(self.datasets) + 1) as pool:
            before = pool.submit(self._count_published)
            tables: dict[str, Future[tuple[float, int]]] = {}
            for dataset in self.datasets:
                # A table is written after those it refers to, and looks its references up there.
                waits = [
                    tables[rule.parameters["dataset"]]
                    for rule in dataset.references
                    if rule.parameters["dataset"] in tables
                ]
                tables[dataset.name] = pool.submit(self._write_table, dataset, waits, before)
            took = {name: future.result() for name, future in tables.items()}
        written = self._count_written()
        reports = {}
        for dataset in self.datasets:
            name = dataset.name
            seconds, restored = took[name]
            figures = self._report_on(dataset, written[name], before.result()[name], restored)
            reports[name] = {**figures, "seconds": seconds}
        self._write_quarantine(reports)
        return reports

    def _report_on(
        self,
        dataset: Dataset,
        written: dict[tuple[bool, str | None], int],
        before: dict[date, int],
        restored: int,
    ) -> dict[str, Any]:
        """One dataset's figures, from what is in the table now and what was in it before."""
        name = dataset.name
        base = self.published[name]
        others = {day: n for day, n in before.items() if day != self.day}
        newer = any(day > self.day for day in others)
        new_rows = sum(n for (is_new, _), n in written.items() if is_new)
        rows = sum(written.values())
        updated = sum(others.values()) - (rows - new_rows - restored)
        warned: Counter[str] = Counter()
        for (is_new, warnings), n in written.items():
            for rule in warnings.split(";") if is_new and warnings else ():
                warned[rule] += n
        superseded = self._count_superseded(dataset) if newer else 0
        header = self.files[name].header
        new, missing = dataset.new_columns(header), dataset.missing_columns(header)
        if dataset.file_format == JSON_LINES and new_rows:
            new, missing = self._fields(dataset)
        files, size = files_and_bytes(self.spark, self.location(name))
        return {
            "delivered": self.delivered[name],
            "kept": new_rows + superseded,
            "superseded": superseded,
            "duplicates": self.duplicates[name].get["duplicates"] if name in self.duplicates else 0,
            "quarantined": {},
            "new_columns": new,
            "missing_columns": missing,
            "warned": dict(sorted(warned.items())),
            "references": self._references(dataset),
            "inserted": new_rows - updated,
            "updated": updated,
            "restored": restored,
            "rows": rows,
            "files": files,
            "bytes": size,
            "location": self.location(name),
            "base_version": base.version if base is not None else "",
        }

    def _of_this_delivery(self, dataset: Dataset) -> DataFrame:
        """This delivery's rows of the table just written."""
        return self._read(dataset.name).where(F.col(INGEST_DATE) == self.day)

    def _fields(self, dataset: Dataset) -> tuple[list[str], list[str]]:
        """What a header would tell of objects: fields that the contract does not know, and those
        of the contract that no object has a value for."""
        unknown = f"flatten(collect_set(json_object_keys({RESCUED_DATA})))"
        columns = dataset.delivered_columns
        found = (
            self._of_this_delivery(dataset)
            .selectExpr(
                f"slice(array_sort(array_distinct({unknown})), 1, {MOST_SHOWN}) as unknown",
                *(f"count(`{column.name}`) as filled_{n}" for n, column in enumerate(columns)),
            )
            .first()
        )
        assert found is not None
        empty = [str(c.header) for n, c in enumerate(columns) if not found[f"filled_{n}"]]
        return dataset.new_columns(found["unknown"]), empty

    def _references(self, dataset: Dataset) -> list[dict[str, Any]]:
        """What each reference was held against, for the audit; None: a table that is not there."""
        return [
            {
                "rule": rule.id,
                "column": rule.column,
                "dataset": name if name in self.rows or self.published[name] else None,
                "to": rule.parameters["to"],
            }
            for rule in dataset.references
            for name in (rule.parameters["dataset"],)
        ]

    def _write_quarantine(self, reports: dict[str, Any]) -> None:
        """Other nights' rejected rows as they were, and this night's; then the sums must agree."""

        def unaccounted() -> list[Dataset]:
            return [
                dataset
                for dataset in self.datasets
                if (report := reports[dataset.name])["delivered"]
                != report["kept"] + report["duplicates"] + sum(report["quarantined"].values())
            ]

        def append(frames: list[DataFrame], first: bool) -> None:
            # Few rows in one file; a task that alone writes them would also read all files alone.
            together = reduce(DataFrame.unionByName, frames).repartition(1)
            write_parquet(together, self.location(self.options.quarantine), 1, append=not first)
            for name, rules in self._count_quarantined().items():
                reports[name]["quarantined"] = dict(sorted(rules.items()))

        schema = ", ".join(f"`{name}` {kind}" for name, kind in QUARANTINE_COLUMNS)
        frames = [
            self._as_quarantine(rows, dataset)
            for dataset in unaccounted()
            for rows in self._rejected(dataset)
        ]
        base = self.published[self.options.quarantine]
        if base is not None:
            mine = F.col("dataset").isin(list(self.rows)) & (F.col("ingest_date") == self.day)
            frames.append(base.read(self.spark).where(~mine))
        append(frames or [self.spark.createDataFrame([], schema)], first=True)
        if doubtful := [d for d in unaccounted() if d.duplicates != COUNTED]:
            append(
                [self._as_quarantine(duplicates(self.rows[d.name], d), d) for d in doubtful],
                first=False,
            )
        if lost := unaccounted():
            sentences = []
            for name in (dataset.name for dataset in lost):
                figures = reports[name]
                found = [f"{figures['kept']} kept"]
                if name in self.duplicates:
                    found.append(f"{figures['duplicates']} duplicates")
                found.append(f"{sum(figures['quarantined'].values())} quarantined")
                sentences.append(
                    f"{self.files[name].uri}: {figures['delivered']} rows delivered, but "
                    f"{' and '.join(found)}"
                )
            raise JobError("; ".join(sentences))

    def _rejected(self, dataset: Dataset) -> list[DataFrame]:
        """The rows that broke a rule when the table was written; none where none did."""
        places = self.broken[dataset.name].get["places"]
        if not places:
            return []
        rows = self._checked(at_places(self.lines[dataset.name], places), dataset)
        return [rejected(rows, dataset, self.files[dataset.name].header)]

    def _as_quarantine(self, rows: DataFrame, dataset: Dataset) -> DataFrame:
        file = F.col(FILE) if FILE in rows.columns else F.lit(self._only_file(dataset.name))
        return as_quarantine(rows, dataset.name, self.day, file)

    def _only_file(self, name: str) -> str:
        (file,) = self.files[name].files
        return file.file_name

    def _lines(self, found: Delivered, dataset: Dataset) -> tuple[DataFrame, int]:
        """A delivery's lines, numbered, and how many rows they are."""
        if dataset.file_format != JSON_LINES:
            (file,) = found.files
            assert file.rows is not None
            return numbered_lines(self.spark, file.uri, file.bytes), file.rows
        lines, counts = numbered_objects(self.spark, found.files)
        if any(column.privacy == HASH for column in dataset.columns):
            lines = with_salt(lines, self._salt)
        return lines, sum(counts.values())

    def _checked(self, lines: DataFrame, dataset: Dataset) -> DataFrame:
        """Lines of this delivery, taken apart and checked."""
        return checked_rows(lines, dataset, self.files[dataset.name].header, self.day)

    @cached_property
    def _salt(self) -> str:
        return read_salt(self.options.salt_secret)

    def _write_table(
        self,
        dataset: Dataset,
        waits: list[Future[tuple[float, int]]],
        before: Future[dict[str, dict[date, int]]],
    ) -> tuple[float, int]:
        """Writes one table; gives the seconds, and how many rows came back to it."""
        for future in waits:
            future.result()
        started = time.time()
        base = self.published[dataset.name]
        published = None if base is None else base.read(self.spark)
        if dataset.duplicates == COUNTED:
            self.duplicates[dataset.name] = Observation()
        self.broken[dataset.name] = Observation()
        places = F.expr(broken_places()).alias("places")
        rows = self.rows[dataset.name].observe(self.broken[dataset.name], places)
        table = merged(
            accepted(rows),
            published,
            dataset,
            self.day,
            self.duplicates.get(dataset.name),
        )
        table = with_reference_warnings(table, dataset, self._targets(dataset))
        size = self.files[dataset.name].bytes
        if base is not None:
            size += 4 * files_and_bytes(self.spark, base.location)[1]
        write_parquet(
            table,
            self.location(dataset.name),
            output_files(size),
            **dataset.folders,
        )
        restored = self._restore(dataset, before.result()[dataset.name])
        return round(time.time() - started, 3), restored

    def _restore(self, dataset: Dataset, before: dict[date, int]) -> int:
        """Adds to the table just written what a corrected delivery gives back to older ones.

        A key that this delivery had when it was last taken in, and has no more, is again what the
        newest older delivery says of it. Older files are read only when there are such keys.

        :param before: rows of the published table by ingest_date.
        :returns: how many rows were added.
        :raises JobError: when an older delivery is needed and cannot be read.
        """
        base = self.published[dataset.name]
        today = self.options.delivery_date
        # A table of an earlier release does not say what it was built from; its rows do.
        there = set(base.deliveries if base is not None else ()) or {str(day) for day in before}
        self.taken_in[dataset.name] = sorted(there | {today})
        older = sorted((day for day in there if day < today), reverse=True)
        if base is None or not older or self.day not in before:
            return 0
        keys = list(dataset.key)
        had = base.read(self.spark).where(F.col(INGEST_DATE) == self.day).select(*keys)
        lost = had.join(self._read(dataset.name).select(*keys), keys, "left_anti").persist()
        all_lost = remaining = lost.count()
        cached, found, size = [lost], [], 0
        for day in older:
            if not remaining:
                break
            file = self._older_file(dataset, day, remaining)
            then = date.fromisoformat(day)
            lines = self._lines(file, dataset)[0]
            rows = accepted(checked_rows(lines, dataset, file.header, then))
            rows = rows.join(lost, keys, "left_semi")
            rows = merged(rows, None, dataset, then).persist()
            cached.append(rows)
            if still_there := rows.count():
                found.append(rows)
                size += file.bytes
                remaining -= still_there
                lost = lost.join(rows.select(*keys), keys, "left_anti").persist()
                cached.append(lost)
        if found:
            table = reduce(DataFrame.unionByName, found)
            write_parquet(
                with_reference_warnings(table, dataset, self._targets(dataset)),
                self.location(dataset.name),
                output_files(size),
                **dataset.folders,
                append=True,
            )
        for frame in cached:
            frame.unpersist()
        return all_lost - remaining

    def _older_file(self, dataset: Dataset, day: str, lost: int) -> Delivered:
        try:
            files = self.storage.delivery(
                self.options.bronze_bucket, dataset.source, day, [dataset]
            )
        except JobError as error:
            raise JobError(
                f"{self.files[dataset.name].uri} lacks {lost} keys that it had before; what older "
                f"deliveries say of them is wanted, and that of {day} cannot be read: {error}"
            ) from error
        return files[dataset.name]

    def _read(self, name: str) -> DataFrame:
        """This run's own table, from the files just written."""
        columns = (
            QUARANTINE_COLUMNS
            if name == self.options.quarantine
            else self.contracts.datasets[name].glue_columns
        )
        return read_version(self.spark, self.location(name), columns)

    def _targets(self, dataset: Dataset) -> dict[str, DataFrame]:
        targets = {}
        for rule in dataset.references:
            name = rule.parameters["dataset"]
            if name in self.rows:
                targets[name] = self._read(name)
            elif (published := self.published[name]) is not None:
                targets[name] = published.read(self.spark)
        return targets

    def _count_published(self) -> dict[str, dict[date, int]]:
        """Rows by ingest_date of each published table that this run merges into."""
        counts: dict[str, dict[date, int]] = {name: {} for name in self.rows}
        parts = [
            base.read(self.spark).select(F.lit(name).alias("dataset"), INGEST_DATE)
            for name in self.rows
            if (base := self.published[name]) is not None
        ]
        if parts:
            together = reduce(DataFrame.union, parts)
            for row in together.groupBy("dataset", INGEST_DATE).count().collect():
                counts[row["dataset"]][row[INGEST_DATE]] = row["count"]
        return counts

    def _count_written(self) -> dict[str, dict[tuple[bool, str | None], int]]:
        """Rows of each table just written, by whether they are of this delivery and by warnings."""
        parts = [
            self._read(name).select(
                F.lit(name).alias("dataset"),
                (F.col(INGEST_DATE) == self.day).alias("is_new"),
                "warnings",
            )
            for name in self.rows
        ]
        together = reduce(DataFrame.union, parts)
        counts: dict[str, dict[tuple[bool, str | None], int]] = {name: {} for name in self.rows}
        for row in together.groupBy("dataset", "is_new", "warnings").count().collect():
            counts[row["dataset"]][row["is_new"], row["warnings"]] = row["count"]
        return counts

    def _count_quarantined(self) -> dict[str, Counter[str]]:
        """This delivery's rows in the quarantine just written, by dataset and rule."""
        mine = self._read(self.options.quarantine).where(F.col("ingest_date") == self.day)
        counts: dict[str, Counter[str]] = {name: Counter() for name in self.rows}
        for row in mine.groupBy("dataset", "rule").count().collect():
            if row["dataset"] in counts:
                counts[row["dataset"]][row["rule"]] = row["count"]
        return counts

    def _count_superseded(self, dataset: Dataset) -> int:
        """Keys of this delivery that a newer delivery, already published, has too."""
        base = self.published[dataset.name]
        if base is None:
            return 0
        newer = base.read(self.spark).where(F.col(INGEST_DATE) > self.day).select(*dataset.key)
        keys = accepted(self.rows[dataset.name]).select(*dataset.key).distinct()
        return keys.join(newer, list(dataset.key), "left_semi").count()

    def _why_it_is_not_the_delivery_it_was(self, reports: dict[str, Any]) -> list[str]:
        """Why nothing of it may be published: a changed type, or too much in quarantine."""
        problems = []
        for dataset in self.datasets:
            report = reports[dataset.name]
            changed = changed_types(
                self.rows[dataset.name], dataset, report["delivered"], report["quarantined"]
            )
            changed += self._changed_types_that_are_kept(dataset, report["warned"])
            problems += [f"{self.files[dataset.name].uri}: {sentence}" for sentence in changed]
            rejected_rows = sum(report["quarantined"].values())
            percent = 100 * rejected_rows / max(1, report["delivered"])
            if percent > dataset.max_quarantined_percent:
                problems.append(
                    f"{self.files[dataset.name].uri}: {rejected_rows} of {report['delivered']} "
                    f"rows rejected ({percent:.1f} %), at most {dataset.max_quarantined_percent:g} "
                    f"% allowed: {counted(report['quarantined'])}; they can be read at "
                    f"{self.location(self.options.quarantine)}"
                )
        return problems

    def _changed_types_that_are_kept(self, dataset: Dataset, warned: dict[str, int]) -> list[str]:
        """As `changed_types`, of columns whose rows are kept with a warning and null instead."""
        typed = {rule.id: rule for rule in dataset.rules if rule.kind == "type"}
        doubtful = [typed[rule] for rule in warned if rule in typed]
        doubtful = [rule for rule in doubtful if warned[rule.id] >= FEWEST_OF_A_CHANGED_TYPE]
        if not doubtful:
            return []
        filled = (
            self._of_this_delivery(dataset)
            .selectExpr(*(f"count(`{rule.column}`) as `{rule.id}`" for rule in doubtful))
            .first()
        )
        assert filled is not None
        return [
            no_longer(dataset.column(str(rule.column)), warned[rule.id], filled[rule.id])
            for rule in doubtful
            if warned[rule.id] > filled[rule.id]
        ]

    def _register(self) -> None:
        tables = [(d.name, d.glue_columns) for d in self.datasets]
        for name, columns in [*tables, (self.options.quarantine, QUARANTINE_COLUMNS)]:
            base = self.published[name]
            taken_in = {DELIVERIES: ",".join(self.taken_in[name])} if name in self.rows else {}
            self.catalog.register_candidate(
                self.options.staging_database,
                candidate_name("silver", name, self.options.version),
                self.location(name),
                columns,
                {
                    VERSION: self.options.version,
                    BASE_VERSION: base.version if base is not None else "",
                    DELIVERY_DATE: self.options.delivery_date,
                    **taken_in,
                },
            )

    def _print(self, report: dict[str, Any], uri: str) -> None:
        print_table(
            (
                "dataset",
                "delivered",
                "kept",
                "duplicates",
                "quarantined",
                "warned",
                "new",
                "updated",
                "restored",
                "rows",
            ),
            [
                (
                    name,
                    r["delivered"],
                    r["kept"],
                    r["duplicates"],
                    counted(r["quarantined"]),
                    counted(r["warned"]),
                    r["inserted"],
                    r["updated"],
                    r["restored"],
                    r["rows"],
                )
                for name, r in report["datasets"].items()
            ],
        )
        for name, r in report["datasets"].items():
            file = self.files[name].uri
            if r["new_columns"]:
                print(
                    f"{file} has new columns, kept in rescued_data: {', '.join(r['new_columns'])}"
                )
            if r["missing_columns"]:
                print(f"{file} lacks columns, null in every row: {', '.join(r['missing_columns'])}")
        print(f"silver of {report['delivery_date']} in {report['seconds']} s; report: {uri}")


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
