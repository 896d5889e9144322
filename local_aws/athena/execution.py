"""One query execution, from its text to its files: what a worker thread does."""

# SQL is put together here from quoted names and translated expressions only.
# ruff: noqa: S608

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from local_aws.athena import hive, statements
from local_aws.athena import types as t
from local_aws.athena.catalog import GlueCatalog, view_input
from local_aws.athena.ddl import HiveStatements, failed, partition_input
from local_aws.athena.errors import QueryError, unsupported
from local_aws.athena.query import Translated, translate
from local_aws.athena.results import column_info, csv_line, row_formatter, text_column
from local_aws.athena.types import Type
from local_aws.athena.values import MACROS, Value, coerce
from local_aws.athena.writing import (
    Format,
    Written,
    chosen_format,
    partition_folder,
    place,
    write,
)
from local_aws.lake import FAILURE, LakeError, quoted
from local_aws.lake.database import Database
from local_aws.lake.scan import PARQUET_SERDE
from local_aws.lake.text import JSON_SERDES, LAZY_SIMPLE
from local_aws.service import AwsError

if TYPE_CHECKING:
    from local_aws.instance import Instance

MEMORY = "2GB"
"""For all queries together."""
_BATCH = 5000


def open_database(state: Path) -> Database:
    """The DuckDB in which all queries run, with the macros that translated SQL calls."""
    return Database(
        MACROS,
        memory_limit=MEMORY,
        threads="2",
        temp_directory=str(state / "athena" / "tmp"),
    )


class Cancelled(Exception):
    """The query was stopped. The message is StateChangeReason's."""


@dataclass(frozen=True)
class Job:
    """What to run, and under which settings."""

    id: str
    sql: str
    database: str
    parameters: list[str]
    workgroup: str
    output: str
    enforced: bool
    cutoff: int | None


@dataclass
class Outcome:
    """What is known of a statement that has run. ``file`` holds rows or lines, if there are any."""

    columns: list[dict[str, Any]] = field(default_factory=list)
    location: str = ""
    text: bool = False
    rows: int = 0
    update_count: int = 0
    scanned: int = 0
    planning_millis: int = 0
    output_bytes: int = 0
    manifest: str = ""


class Execution:
    """Runs one job; :meth:`cancel` may be called from another thread."""

    def __init__(
        self,
        aws: Instance,
        job: Job,
        database: Database,
        prepared: Callable[[str, str], str | None],
    ) -> None:
        self.aws = aws
        self.job = job
        self.database = database
        self.catalog = GlueCatalog(aws)
        self.prepared = prepared
        self.scanned = 0
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()
        connection = self._connection
        if connection is not None:
            connection.interrupt()

    def run(self) -> Outcome:
        """Do the statement.

        Raises:
            QueryError: it fails, and why.
            Cancelled: it was stopped, or would scan more than the work group allows.
        """
        try:
            return self._run(self.job.sql, self.job.parameters)
        except LakeError as error:
            raise QueryError(error.code, error.message) from error
        except AwsError as error:
            raise failed(error) from error
        except duckdb.InterruptException as error:
            raise Cancelled("Query cancelled by user") from error
        except duckdb.Error as error:
            if self._cancelled.is_set():
                raise Cancelled("Query cancelled by user") from error
            found = explained(error)
            root = f"{self.aws.s3.bucket_path('b').parent}/"
            raise QueryError(found.code, found.message.replace(root, "s3://")) from error
        finally:
            if self._connection is not None:
                self._connection.close()

    def _run(self, sql: str, parameters: list[str]) -> Outcome:
        if not statements.is_prepare(sql):
            sql = statements.bind(sql, parameters)
        routed = statements.route(sql)
        body: Any = routed.body
        if routed.subtype == "EXECUTE":
            text = self.prepared(self.job.workgroup, body["name"])
            if text is None:
                raise QueryError("NOT_FOUND", f"Prepared statement not found: {body['name']}")
            return self._run(text, body["arguments"])
        if isinstance(body, hive.Statement):
            return self._lines(HiveStatements(self.catalog, self.job.database), body)
        actions: dict[str, Callable[[Any], Outcome]] = {
            "SELECT": self._select,
            "CREATE_TABLE_AS_SELECT": self._ctas,
            "INSERT": self._insert,
            "UNLOAD": self._unload,
            "EXPLAIN": self._explain,
            "CREATE_VIEW": self._create_view,
            "PREPARE": self._prepare,
            "DEALLOCATE_PREPARE": self._deallocate,
        }
        return actions[routed.subtype](body)

    # Queries

    def _translate(self, tree: exp.Expr) -> tuple[Translated, int]:
        started = time.monotonic()
        made = translate(tree, self.catalog, self.job.database)
        self.scanned = made.bytes
        if self._cancelled.is_set():
            raise Cancelled("Query cancelled by user")
        cutoff = self.job.cutoff
        if cutoff is not None and made.bytes > cutoff:
            raise Cancelled("Query cancelled! : Bytes scanned limit was exceeded")
        return made, round((time.monotonic() - started) * 1000)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own; memory and threads are shared by all queries."""
        connection = self.database.connect()
        self._connection = connection
        if self._cancelled.is_set():
            raise Cancelled("Query cancelled by user")
        return connection

    def _select(self, tree: exp.Expr) -> Outcome:
        made, planning = self._translate(tree)
        outcome = self._outcome([column_info(n, ty) for n, ty in made.columns], ".csv")
        outcome.planning_millis, outcome.scanned = planning, made.bytes
        format_row = row_formatter([type_ for _, type_ in made.columns])
        cursor = self.connect().execute(made.sql)

        def lines() -> Any:
            yield csv_line([name for name, _ in made.columns])
            while batch := cursor.fetchmany(_BATCH):
                outcome.rows += len(batch)
                yield from (csv_line(format_row(row)) for row in batch)

        self._write_file(outcome, lines())
        return outcome

    def _explain(self, tree: exp.Expr) -> Outcome:
        made, planning = self._translate(tree)
        rows = self.connect().execute(f"EXPLAIN {made.sql}").fetchall()
        lines = [line for row in rows for line in str(row[-1]).splitlines()]
        return self._text([("Query Plan", t.VARCHAR)], lines, planning)

    # Writing

    def _target(self, table: exp.Table) -> tuple[str, str]:
        database = (table.db or self.job.database).lower()
        if not self.catalog.has_database(database):
            raise QueryError("SCHEMA_NOT_FOUND", f"Schema {database} not found")
        return database, table.name.lower()

    def _scratch(self) -> Path:
        return self.aws.config.state / "athena" / "scratch" / self.job.id

    def _ctas(self, tree: exp.Create) -> Outcome:
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        if isinstance(tree.this, exp.Schema):
            raise unsupported("a column list in CREATE TABLE AS", "Name the columns in the query.")
        database, name = self._target(target)
        properties, no_data = ctas_properties(tree)
        if self.catalog.table(database, name) is not None:
            if tree.args.get("exists"):
                return self._no_rows(0)
            raise QueryError(
                "TABLE_ALREADY_EXISTS",
                f"Destination table 'awsdatacatalog.{database}.{name}' already exists",
            )
        partitioned_by = [str(p).lower() for p in properties.pop("partitioned_by", [])]
        location = str(properties.pop("external_location", "")).rstrip("/")
        if location and self.job.enforced:
            raise QueryError(
                "INVALID_TABLE_PROPERTY",
                "The Create Table As Select query failed because it was submitted with an"
                " 'external_location' property to an Athena Workgroup that enforces a centralized"
                " output location for all queries. Please remove the 'external_location' property"
                " and resubmit the query.",
            )
        location = location or f"{self.job.output.rstrip('/')}/tables/{self.job.id}"
        root = self._empty(location, f"Target directory for table '{database}.{name}'")
        format_ = chosen_format({k: str(v) for k, v in properties.items()})
        made, planning = self._translate(tree.expression)
        columns = _table_columns(made.columns)
        _partitions_last([n for n, _ in columns], partitioned_by)
        hive_columns = [{"Name": n, "Type": str(t.to_hive(ty, n))} for n, ty in columns]
        written = Written(self._scratch())
        if not no_data:
            written = self._written(made.sql, columns, partitioned_by, format_)
        place(
            written,
            root,
            {v: root / partition_folder(partitioned_by, v) for v, _ in written.files},
        )
        keys = [c for c in hive_columns if c["Name"] in partitioned_by]
        table = {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Owner": "hadoop",
            "Parameters": {
                "EXTERNAL": "TRUE",
                "has_encrypted_data": "false",
                "transient_lastDdlTime": str(int(time.time())),
            },
            "PartitionKeys": keys,
            "StorageDescriptor": {
                "Columns": [c for c in hive_columns if c["Name"] not in partitioned_by],
                "Location": location,
                **format_.storage,
            },
        }
        self.catalog.call("CreateTable", DatabaseName=database, TableInput=table)
        self._register(database, name, {**table, "DatabaseName": database}, written)
        outcome = self._no_rows(written.rows, location)
        outcome.planning_millis, outcome.scanned = planning, made.bytes
        return outcome

    def _insert(self, tree: exp.Insert) -> Outcome:
        target = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        database, name = self._target(target)
        table = self.catalog.table(database, name)
        if table is None:
            raise QueryError(
                "TABLE_NOT_FOUND", f"Table 'awsdatacatalog.{database}.{name}' does not exist"
            )
        if table.get("TableType") == "VIRTUAL_VIEW":
            raise QueryError("NOT_SUPPORTED", "Inserting into views is not supported")
        declared = self.catalog.lake.columns(table)
        wanted = [(c.name, t.from_hive(c.type)) for c in declared]
        keys = [c.name for c in declared if c.partition]
        given = (
            [c.name.lower() for c in tree.this.expressions]
            if isinstance(tree.this, exp.Schema)
            else [n for n, _ in wanted]
        )
        for column in given:
            if column not in dict(wanted):
                raise QueryError(
                    "COLUMN_NOT_FOUND",
                    f"Insert column name does not exist in target table: {column}",
                )
        made, planning = self._translate(tree.expression)
        sql = _inserted(made, given, wanted)
        format_ = _format_of(table)
        written = self._written(sql, wanted, keys, format_)
        root = Path(self.aws.s3.path(table["StorageDescriptor"]["Location"]))
        place(written, root, self._partition_folders(table, keys, written))
        self._register(database, name, table, written)
        outcome = self._no_rows(written.rows)
        outcome.planning_millis, outcome.scanned = planning, made.bytes
        return outcome

    def _unload(self, body: dict[str, Any]) -> Outcome:
        properties = dict(body["properties"])
        partitioned_by = [str(p).lower() for p in properties.pop("partitioned_by", [])]
        if "format" not in properties:
            raise QueryError("SYNTAX_ERROR", "UNLOAD requires WITH (format = '...')")
        location = str(body["location"]).rstrip("/")
        root = self._empty(location, "Target directory")
        format_ = chosen_format({k: str(v) for k, v in properties.items()})
        made, planning = self._translate(body["tree"])
        columns = _table_columns(made.columns)
        _partitions_last([n for n, _ in columns], partitioned_by)
        written = self._written(made.sql, columns, partitioned_by, format_)
        files = place(
            written,
            root,
            {v: root / partition_folder(partitioned_by, v) for v, _ in written.files},
        )
        outcome = self._no_rows(written.rows)
        outcome.location = f"{self.job.output.rstrip('/')}/{self.job.id}"
        outcome.manifest = f"{outcome.location}-manifest.csv"
        uris = "".join(f"{self.catalog.lake.uri(file)}\n" for file in files)
        self._put(outcome.manifest, uris.encode())
        outcome.planning_millis, outcome.scanned = planning, made.bytes
        return outcome

    def _written(
        self, sql: str, columns: list[tuple[str, Type]], keys: list[str], format_: Format
    ) -> Written:
        folder = self._scratch()
        try:
            return write(self.connect(), sql, columns, keys, format_, folder)
        except BaseException:
            Written(folder).discard()
            raise

    def _empty(self, location: str, what: str) -> Path:
        if not location.startswith("s3://"):
            raise QueryError("INVALID_TABLE_PROPERTY", f"{location!r} is not in S3")
        root = Path(self.aws.s3.path(location))
        if root.exists() and (root.is_file() or any(p.is_file() for p in root.rglob("*"))):
            raise QueryError("HIVE_PATH_ALREADY_EXISTS", f"{what} already exists: {location}")
        return root

    def _partition_folders(
        self, table: dict[str, Any], keys: list[str], written: Written
    ) -> dict[tuple[str, ...], Path]:
        if not keys:
            return {}
        places = {
            tuple(p["Values"]): p["StorageDescriptor"]["Location"]
            for p in self.catalog.lake.partitions(table)
        }
        root = table["StorageDescriptor"]["Location"].rstrip("/")
        return {
            values: Path(
                self.aws.s3.path(places.get(values) or f"{root}/{partition_folder(keys, values)}")
            )
            for values, _ in written.files
        }

    def _register(self, database: str, name: str, table: dict[str, Any], written: Written) -> None:
        """Register the partitions that are new."""
        if not table.get("PartitionKeys"):
            return
        known = {tuple(p["Values"]) for p in self.catalog.lake.partitions(table)}
        for values in dict.fromkeys(values for values, _ in written.files):
            if values not in known:
                self.catalog.call(
                    "CreatePartition",
                    DatabaseName=database,
                    TableName=name,
                    PartitionInput=partition_input(table, list(values), None),
                )

    # Views and prepared statements

    def _create_view(self, body: dict[str, Any]) -> Outcome:
        tree: exp.Create = body["tree"]
        database, name = self._target(tree.this)
        existing = self.catalog.table(database, name)
        if existing is not None and existing.get("TableType") != "VIRTUAL_VIEW":
            raise QueryError(
                "TABLE_ALREADY_EXISTS", f"line 1:1: '{database}.{name}' is a table, not a view"
            )
        if existing is not None and not body["replace"]:
            raise QueryError(
                "TABLE_ALREADY_EXISTS",
                f"line 1:1: View already exists: 'awsdatacatalog.{database}.{name}'",
            )
        made = translate(tree.expression, self.catalog, self.job.database)
        columns = _table_columns(made.columns)
        given = view_input(name, body["sql"], self.job.database, columns)
        operation = "CreateTable" if existing is None else "UpdateTable"
        self.catalog.call(operation, DatabaseName=database, TableInput=given)
        return self._text([], [])

    def _prepare(self, body: dict[str, Any]) -> Outcome:
        athena: Any = self.aws.services["athena"]
        athena.save_prepared(self.job.workgroup, body["name"], body["sql"])
        return self._text([], [])

    def _deallocate(self, body: dict[str, Any]) -> Outcome:
        athena: Any = self.aws.services["athena"]
        if not athena.drop_prepared(self.job.workgroup, body["name"]):
            raise QueryError("NOT_FOUND", f"Prepared statement not found: {body['name']}")
        return self._text([], [])

    # Output

    def _lines(self, runner: HiveStatements, statement: hive.Statement) -> Outcome:
        made = runner.run(statement)
        return self._text(made.columns, made.lines)

    def _text(
        self, columns: list[tuple[str, Type]], lines: list[str], planning: int = 0
    ) -> Outcome:
        outcome = self._outcome([text_column(n) for n, _ in columns], ".txt")
        outcome.text, outcome.rows, outcome.planning_millis = True, len(lines), planning
        self._write_file(outcome, iter(f"{line}\n" for line in lines))
        return outcome

    def _no_rows(self, count: int, location: str = "") -> Outcome:
        outcome = Outcome([column_info("rows", t.BIGINT)], update_count=count)
        outcome.location = location or f"{self.job.output.rstrip('/')}/{self.job.id}"
        return outcome

    def _outcome(self, columns: list[dict[str, Any]], suffix: str) -> Outcome:
        location = f"{self.job.output.rstrip('/')}/{self.job.id}{suffix}"
        return Outcome(columns, location)

    def _write_file(self, outcome: Outcome, lines: Any) -> None:
        """Write aside, then move to the output location: nobody sees half a result."""
        scratch = self._scratch()
        scratch.parent.mkdir(parents=True, exist_ok=True)
        try:
            with scratch.open("w", encoding="utf-8", newline="") as file:
                for line in lines:
                    file.write(line)
                    if self._cancelled.is_set():
                        raise Cancelled("Query cancelled by user")
            outcome.output_bytes = scratch.stat().st_size
            target = Path(self.aws.s3.path(outcome.location))
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch, target)
        finally:
            scratch.unlink(missing_ok=True)

    def _put(self, uri: str, body: bytes) -> None:
        target = Path(self.aws.s3.path(uri))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)


def ctas_properties(tree: exp.Create) -> tuple[dict[str, Any], bool]:
    """``WITH (...)`` of CREATE TABLE AS, and whether WITH NO DATA was said.

    Raises:
        QueryError: a property that Athena or the embedded AWS does not have.
    """
    found: dict[str, Any] = {}
    no_data = False
    properties = tree.args.get("properties")
    for item in properties.expressions if properties is not None else []:
        if isinstance(item, exp.FileFormatProperty):
            found["format"] = item.this.name
        elif isinstance(item, exp.PartitionedByProperty):
            found["partitioned_by"] = [e.name for e in item.this.expressions]
        elif isinstance(item, exp.WithDataProperty):
            no_data = bool(item.args.get("no"))
        elif isinstance(item, exp.SchemaCommentProperty):
            continue
        elif isinstance(item, exp.Property) and item.args.get("value") is not None:
            value = item.args["value"]
            found[item.name.lower()] = (
                [e.name for e in value.expressions] if isinstance(value, exp.Array) else value.name
            )
        else:
            raise unsupported(f"the table property {item.sql('trino')}")
    if str(found.pop("table_type", "HIVE")).upper() != "HIVE":
        raise unsupported("Iceberg tables", "Leave out table_type.")
    found.pop("is_external", None)
    for name in ("bucketed_by", "bucket_count"):
        if name in found:
            raise unsupported(f"{name} (bucketed tables)", "Use partitioned_by.")
    known = {
        "format", "partitioned_by", "external_location", "field_delimiter", "write_compression",
        "parquet_compression", "compression",
    }  # fmt: skip
    if set(found) - known:
        raise QueryError(
            "INVALID_TABLE_PROPERTY",
            f"Table property '{sorted(set(found) - known)[0]}' does not exist or is not supported",
        )
    return found, no_data


def _table_columns(columns: list[tuple[str, Type]]) -> list[tuple[str, Type]]:
    """Columns fit for a table.

    Raises:
        QueryError: one has no name, two have the same, or its type is only NULL's.
    """
    seen = set()
    for i, (name, type_) in enumerate(columns, 1):
        if name == f"_col{i - 1}":
            raise QueryError("MISSING_COLUMN_NAME", f"Column name not specified at position {i}")
        if name.lower() in seen:
            raise QueryError(
                "DUPLICATE_COLUMN_NAME", f"Column name '{name}' specified more than once"
            )
        if type_.name == "unknown":
            raise QueryError("COLUMN_TYPE_UNKNOWN", f"Column type is unknown: {name}")
        seen.add(name.lower())
    return [(name.lower(), type_) for name, type_ in columns]


def _partitions_last(names: list[str], partitioned_by: list[str]) -> None:
    missing = [p for p in partitioned_by if p not in names]
    if missing:
        raise QueryError(
            "INVALID_TABLE_PROPERTY", f"Partition columns {missing} not present in schema"
        )
    if partitioned_by and names[-len(partitioned_by) :] != partitioned_by:
        raise QueryError(
            "HIVE_COLUMN_ORDER_MISMATCH",
            "Partition keys must be the last columns in the table and in the same order as the"
            f" table properties: {partitioned_by}",
        )


def _inserted(made: Translated, given: list[str], wanted: list[tuple[str, Type]]) -> str:
    """The query with the table's columns in the table's order, NULL where none is given."""
    if len(made.columns) != len(given) or not all(
        t.coercible(type_, dict(wanted)[name])
        for (_, type_), name in zip(made.columns, given, strict=False)
    ):
        table = ", ".join(str(dict(wanted)[n]) for n in given)
        query = ", ".join(str(type_) for _, type_ in made.columns)
        raise QueryError(
            "TYPE_MISMATCH",
            f"Insert query has mismatched column types: Table: [{table}], Query: [{query}]",
        )
    items = []
    for i, (name, type_) in enumerate(wanted, 1):
        if name in given:
            index = given.index(name)
            value = coerce(Value(f"s.c{index + 1}", made.columns[index][1]), type_)
        else:
            value = Value(f"CAST(NULL AS {type_.duckdb})", type_)
        items.append(f"{value.sql} AS {quoted(f'c{i}')}")
    return f"SELECT {', '.join(items)} FROM ({made.sql}) AS s"


def _format_of(table: dict[str, Any]) -> Format:
    """How INSERT writes into an existing table."""
    storage = table["StorageDescriptor"]
    serde = storage.get("SerdeInfo") or {}
    library = serde.get("SerializationLibrary", "")
    if library == PARQUET_SERDE:
        return Format("PARQUET", "GZIP")
    if int((table.get("Parameters") or {}).get("skip.header.line.count", "0")):
        raise QueryError(
            "NOT_SUPPORTED",
            "Inserting into Hive table with skip.header.line.count property not supported",
        )
    if library in JSON_SERDES:
        return Format("JSON", "GZIP")
    parameters = serde.get("Parameters") or {}
    if library == LAZY_SIMPLE and not parameters.get("escape.delim"):
        return Format("TEXTFILE", "GZIP", parameters.get("field.delim", "\x01"))
    raise unsupported(f"INSERT INTO a table of {library}", "Use a Parquet table.")


_CODE = re.compile(r"([A-Z][A-Z_]+): (.*)", re.DOTALL)


def explained(error: duckdb.Error) -> QueryError:
    """DuckDB's error as Athena's."""
    text = str(error)
    if text.count(FAILURE) >= 2:
        said = text.split(FAILURE)[1]
        found = _CODE.match(said)
        return QueryError(found[1], found[2]) if found else QueryError("GENERIC_USER_ERROR", said)
    text = text.split("\n\nLINE")[0]
    short = text.split(": ", 1)[-1].split("\n")[0]
    if "Division by zero" in text:
        return QueryError("DIVISION_BY_ZERO", "/ by zero")
    if short.startswith(("Casting value", "Type INT64", "Type INT32", "Type INT16")):
        return QueryError("INVALID_CAST_ARGUMENT", short)
    if isinstance(error, duckdb.OutOfRangeException) or "out of range" in text.lower():
        code = "INVALID_CAST_ARGUMENT" if "date field" in text else "NUMERIC_VALUE_OUT_OF_RANGE"
        return QueryError(code, short)
    if "More than one row returned by a subquery" in text:
        return QueryError("SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows")
    if "must appear in the GROUP BY" in text:
        column = text.split('"')[1] if '"' in text else ""
        return QueryError(
            "EXPRESSION_NOT_AGGREGATE",
            f"'{column}' must be an aggregate expression or appear in GROUP BY clause",
        )
    if "CSV Parser state machine" in text:
        return QueryError(
            "HIVE_BAD_DATA",
            "The lines of a compressed text file end in more than one way (LF, CR, both); the"
            " embedded AWS reads that in plain files only.",
        )
    if "Could not parse string" in text:
        return QueryError("INVALID_FUNCTION_ARGUMENT", short)
    if isinstance(error, duckdb.OutOfMemoryException):
        return QueryError(
            "EXCEEDED_LOCAL_MEMORY_LIMIT", f"Query exceeded the memory limit of {MEMORY}: {short}"
        )
    if isinstance(error, duckdb.ConversionException):
        return QueryError("INVALID_CAST_ARGUMENT", short)
    if isinstance(error, duckdb.InvalidInputException):
        return QueryError("INVALID_FUNCTION_ARGUMENT", short)
    if isinstance(error, duckdb.IOException):
        return QueryError("HIVE_CANNOT_OPEN_SPLIT", short)
    return QueryError("GENERIC_INTERNAL_ERROR", text)
