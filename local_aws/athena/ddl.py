"""Running Athena's Hive statements on the Glue Data Catalog.

https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local_aws.athena import types as t
from local_aws.athena.catalog import GlueCatalog
from local_aws.athena.errors import QueryError, unsupported
from local_aws.athena.hive import Name, Statement
from local_aws.athena.types import Type
from local_aws.athena.writing import Format, partition_folder
from local_aws.lake import LakeError, literal, parse_type
from local_aws.lake.scan import PARQUET_SERDE
from local_aws.lake.text import JSON_SERDES, LAZY_SIMPLE, OPEN_CSV
from local_aws.service import AwsError

_WRITABLE = (
    "Name", "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention",
    "StorageDescriptor", "PartitionKeys", "ViewOriginalText", "ViewExpandedText", "TableType",
    "Parameters", "TargetTable",
)  # fmt: skip


@dataclass
class Lines:
    """What a statement prints: a header that clients see as columns, and lines."""

    columns: list[tuple[str, Type]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def _one(name: str, lines: list[str]) -> Lines:
    return Lines([(name, t.VARCHAR)], lines)


def table_input(table: dict[str, Any]) -> dict[str, Any]:
    """Glue's TableInput of a table as GetTable gives it."""
    return {key: table[key] for key in _WRITABLE if key in table}


class HiveStatements:
    """One method for each kind of statement."""

    def __init__(self, catalog: GlueCatalog, database: str) -> None:
        self.catalog = catalog
        self.database = database

    def run(self, statement: Statement) -> Lines:
        """Do it.

        Raises:
            QueryError: as Athena would word it.
        """
        method: Callable[..., Lines | None] = getattr(self, statement.kind)
        try:
            return method(**statement.arguments) or Lines()
        except AwsError as error:
            raise failed(error) from error

    def _table(self, name: Name) -> dict[str, Any]:
        database = name.database or self.database
        table = self.catalog.table(database, name.table)
        if table is None:
            raise QueryError(
                "FAILED", f"SemanticException Unable to fetch table {name.table}. Table not found"
                f" {database}.{name.table}"
            )  # fmt: skip
        return table

    # Databases

    def create_database(
        self,
        name: str,
        if_not_exists: bool,
        comment: str = "",
        location: str = "",
        properties: dict[str, str] | None = None,
    ) -> None:
        if if_not_exists and self.catalog.has_database(name):
            return
        given: dict[str, Any] = {"Name": name}
        if comment:
            given["Description"] = comment
        if location:
            given["LocationUri"] = location
        if properties:
            given["Parameters"] = properties
        self.catalog.call("CreateDatabase", DatabaseInput=given)

    def drop_database(self, name: str, if_exists: bool, cascade: bool) -> None:
        if not self.catalog.has_database(name):
            if if_exists:
                return
            raise QueryError(
                "FAILED", f"SemanticException [Error 10072]: Database does not exist: {name}"
            )
        if not cascade and self.catalog.tables(name):
            raise QueryError(
                "FAILED", "Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec."
                f"DDLTask. InvalidOperationException(message:Database {name} is not empty. One or"
                " more tables exist.)"
            )  # fmt: skip
        self.catalog.call("DeleteDatabase", Name=name)

    def set_database_properties(self, name: str, properties: dict[str, str]) -> None:
        database = self.catalog.call("GetDatabase", Name=name)["Database"]
        given = {
            key: database[key]
            for key in ("Name", "Description", "LocationUri", "Parameters")
            if key in database
        }
        given["Parameters"] = {**(given.get("Parameters") or {}), **properties}
        self.catalog.call("UpdateDatabase", Name=name, DatabaseInput=given)

    def show_databases(self, pattern: str | None) -> Lines:
        return _one("database_name", _like(self.catalog.databases(), pattern))

    # Tables

    def create_table(
        self,
        name: Name,
        external: bool,
        if_not_exists: bool,
        columns: list[dict[str, str]],
        comment: str = "",
        partition_keys: list[dict[str, str]] | None = None,
        serde: str = "",
        serde_properties: dict[str, str] | None = None,
        delimited: dict[str, str] | None = None,
        stored_as: str = "TEXTFILE",
        input_format: str = "",
        output_format: str = "",
        location: str = "",
        properties: dict[str, str] | None = None,
    ) -> None:
        database = name.database or self.database
        if not external:
            if (properties or {}).get("table_type", "").upper() == "ICEBERG":
                raise unsupported("Iceberg tables")
            raise QueryError(
                "FAILED", "SemanticException Only external tables can be created: use CREATE"
                " EXTERNAL TABLE (without EXTERNAL a table must be Iceberg)"
            )  # fmt: skip
        if not self.catalog.has_database(database):
            raise QueryError(
                "FAILED", f"SemanticException [Error 10072]: Database does not exist: {database}"
            )
        if if_not_exists and self.catalog.table(database, name.table) is not None:
            return
        if not location:
            raise QueryError(
                "FAILED", "SemanticException No location was specified for table. An S3 location"
                " must be specified"
            )  # fmt: skip
        if not location.startswith("s3://"):
            raise QueryError("FAILED", f"SemanticException The location {location} is not in S3")
        for column in [*columns, *(partition_keys or [])]:
            try:
                column["Type"] = str(parse_type(column["Type"]))
            except LakeError as error:
                raise QueryError("FAILED", f"ParseException {error.message}") from error
        names = [c["Name"] for c in [*columns, *(partition_keys or [])]]
        for one in names:
            if names.count(one) > 1:
                raise QueryError("FAILED", f"SemanticException Duplicate column name: {one}")
        storage = _storage(serde, delimited, stored_as, input_format, output_format)
        info = storage["SerdeInfo"]
        info["Parameters"] = {**info["Parameters"], **(serde_properties or {})}
        given: dict[str, Any] = {
            "Name": name.table,
            "TableType": "EXTERNAL_TABLE",
            "Owner": "hadoop",
            "Parameters": {
                "EXTERNAL": "TRUE",
                "transient_lastDdlTime": str(int(time.time())),
                **({"comment": comment} if comment else {}),
                **(properties or {}),
            },
            "PartitionKeys": partition_keys or [],
            "StorageDescriptor": {
                "Columns": columns,
                "Location": location,
                "NumberOfBuckets": -1,
                "Compressed": False,
                **storage,
            },
        }
        self.catalog.call("CreateTable", DatabaseName=database, TableInput=given)

    def drop_table(self, name: Name, if_exists: bool) -> None:
        self._drop(name, if_exists, view=False)

    def drop_view(self, name: Name, if_exists: bool) -> None:
        self._drop(name, if_exists, view=True)

    def _drop(self, name: Name, if_exists: bool, view: bool) -> None:
        database = name.database or self.database
        table = self.catalog.table(database, name.table)
        if table is None:
            if if_exists:
                return
            if view:
                raise QueryError(
                    "TABLE_NOT_FOUND", f"View 'awsdatacatalog.{database}.{name.table}' does not"
                    " exist"
                )  # fmt: skip
            raise QueryError(
                "FAILED", f"SemanticException [Error 10001]: Table not found {database}."
                f"{name.table}"
            )  # fmt: skip
        if (table.get("TableType") == "VIRTUAL_VIEW") != view:
            kind = "a view" if not view else "not a view"
            raise QueryError(
                "FAILED", f"SemanticException {database}.{name.table} is {kind}: use DROP"
                f" {'TABLE' if view else 'VIEW'}"
            )  # fmt: skip
        self.catalog.call("DeleteTable", DatabaseName=database, Name=name.table)

    def _update(self, table: dict[str, Any], **changes: Any) -> None:
        given = {**table_input(table), **changes}
        self.catalog.call("UpdateTable", DatabaseName=table["DatabaseName"], TableInput=given)

    def set_properties(self, name: Name, properties: dict[str, str]) -> None:
        table = self._table(name)
        self._update(table, Parameters={**(table.get("Parameters") or {}), **properties})

    def add_columns(self, name: Name, columns: list[dict[str, str]]) -> None:
        table = self._table(name)
        own = table["StorageDescriptor"].get("Columns") or []
        taken = {c["Name"] for c in [*own, *(table.get("PartitionKeys") or [])]}
        for column in columns:
            column["Type"] = str(parse_type(column["Type"]))
            if column["Name"] in taken:
                raise QueryError(
                    "FAILED", f"SemanticException Duplicate column name: {column['Name']}"
                )
        storage = {**table["StorageDescriptor"], "Columns": [*own, *columns]}
        self._update(table, StorageDescriptor=storage)

    def replace_columns(self, name: Name, columns: list[dict[str, str]]) -> None:
        table = self._table(name)
        for column in columns:
            column["Type"] = str(parse_type(column["Type"]))
        self._update(table, StorageDescriptor={**table["StorageDescriptor"], "Columns": columns})

    def set_location(self, name: Name, partition: dict[str, str] | None, location: str) -> None:
        table = self._table(name)
        if not location.startswith("s3://"):
            raise QueryError("FAILED", f"SemanticException The location {location} is not in S3")
        if partition is None:
            storage = {**table["StorageDescriptor"], "Location": location}
            self._update(table, StorageDescriptor=storage)
            return
        values = self._values(table, partition)
        found = self._partition(table, values)
        storage = {**found["StorageDescriptor"], "Location": location}
        self._update_partition(table, values, {"Values": values, "StorageDescriptor": storage})

    def show_tables(self, database: str | None, pattern: str | None) -> Lines:
        found = self.catalog.tables(database or self.database)
        return _one("tab_name", _like([table["Name"] for table in found], pattern))

    def show_views(self, database: str | None, pattern: str | None) -> Lines:
        found = self.catalog.tables(database or self.database)
        names = [x["Name"] for x in found if x.get("TableType") == "VIRTUAL_VIEW"]
        return _one("views", _like(names, pattern))

    def show_columns(self, name: Name) -> Lines:
        return _one("field", [f"{c['Name']:<20}" for c in _columns(self._table(name))])

    def describe(self, name: Name, column: str | None) -> Lines:
        """Name, type and comment; then the partition columns once more, as Hive does."""
        table = self._table(name)
        columns = [c for c in _columns(table) if column in (None, c["Name"])]
        if column is not None and not columns:
            raise QueryError("FAILED", f"SemanticException Invalid column reference {column}")
        lines = [_described(c) for c in columns]
        keys = table.get("PartitionKeys") or []
        if keys and column is None:
            lines += ["\t \t ", "# Partition Information\t \t ", _HEAD, "\t \t "]
            lines += [_described(c) for c in keys]
        columns_ = [("col_name", t.VARCHAR), ("data_type", t.VARCHAR), ("comment", t.VARCHAR)]
        return Lines(columns_, lines)

    def show_tblproperties(self, name: Name, key: str | None) -> Lines:
        parameters = self._table(name).get("Parameters") or {}
        if key is not None:
            value = parameters.get(key, f"Table {name.table} does not have property: {key}")
            return _one("prpt_name", [value])
        columns = [("prpt_name", t.VARCHAR), ("prpt_value", t.VARCHAR)]
        return Lines(columns, [f"{k}\t{v}" for k, v in sorted(parameters.items())])

    def show_create_view(self, name: Name) -> Lines:
        table = self._table(name)
        view = self.catalog.view(table)
        shown = f"CREATE VIEW {table['DatabaseName']}.{table['Name']} AS"
        return _one("create view", [shown, *view.sql.splitlines()])

    def show_create_table(self, name: Name) -> Lines:
        table = self._table(name)
        if table.get("TableType") == "VIRTUAL_VIEW":
            raise QueryError("FAILED", "SemanticException It is a view: use SHOW CREATE VIEW")
        storage = table["StorageDescriptor"]
        serde = storage.get("SerdeInfo") or {}
        lines = [f"CREATE EXTERNAL TABLE `{table['DatabaseName']}.{table['Name']}`("]
        lines += _column_lines(storage.get("Columns") or [])
        if table.get("PartitionKeys"):
            lines += ["PARTITIONED BY ( ", *_column_lines(table["PartitionKeys"])]
        lines += ["ROW FORMAT SERDE ", f"  {literal(serde.get('SerializationLibrary', ''))} "]
        if serde.get("Parameters"):
            lines += ["WITH SERDEPROPERTIES ( ", *_property_lines(serde["Parameters"])]
        lines += ["STORED AS INPUTFORMAT ", f"  {literal(storage.get('InputFormat', ''))} "]
        lines += ["OUTPUTFORMAT ", f"  {literal(storage.get('OutputFormat', ''))}"]
        lines += ["LOCATION", f"  {literal(storage.get('Location', ''))}"]
        lines += ["TBLPROPERTIES (", *_property_lines(table.get("Parameters") or {})]
        return _one("createtab_stmt", lines)

    # Partitions

    def _values(self, table: dict[str, Any], partition: dict[str, str]) -> list[str]:
        keys = [k["Name"].lower() for k in table.get("PartitionKeys") or []]
        if set(partition) != set(keys):
            raise QueryError(
                "FAILED", f"SemanticException Partition spec {partition} does not match the"
                f" table's partition columns {keys}"
            )  # fmt: skip
        return [partition[key] for key in keys]

    def _partition(self, table: dict[str, Any], values: list[str]) -> dict[str, Any]:
        answer = self.catalog.call(
            "GetPartition",
            DatabaseName=table["DatabaseName"],
            TableName=table["Name"],
            PartitionValues=values,
        )
        found: dict[str, Any] = answer["Partition"]
        return found

    def _update_partition(
        self, table: dict[str, Any], values: list[str], given: dict[str, Any]
    ) -> None:
        self.catalog.call(
            "UpdatePartition",
            DatabaseName=table["DatabaseName"],
            TableName=table["Name"],
            PartitionValueList=values,
            PartitionInput=given,
        )

    def _has_partition(self, table: dict[str, Any], values: list[str]) -> bool:
        try:
            self._partition(table, values)
        except AwsError as error:
            if error.code != "EntityNotFoundException":
                raise
            return False
        return True

    def add_partitions(
        self,
        name: Name,
        if_not_exists: bool,
        partitions: list[tuple[dict[str, str], str | None]],
    ) -> None:
        table = self._table(name)
        for spec, location in partitions:
            values = self._values(table, spec)
            if if_not_exists and self._has_partition(table, values):
                continue
            self.catalog.call(
                "CreatePartition",
                DatabaseName=table["DatabaseName"],
                TableName=table["Name"],
                PartitionInput=partition_input(table, values, location),
            )

    def drop_partitions(
        self, name: Name, if_exists: bool, partitions: list[dict[str, str]]
    ) -> None:
        table = self._table(name)
        for spec in partitions:
            values = self._values(table, spec)
            if not self._has_partition(table, values):
                if if_exists:
                    continue
                raise QueryError(
                    "FAILED", f"SemanticException [Error 10006]: Partition not found {spec}"
                )
            self.catalog.call(
                "DeletePartition",
                DatabaseName=table["DatabaseName"],
                TableName=table["Name"],
                PartitionValues=values,
            )

    def rename_partition(self, name: Name, old: dict[str, str], new: dict[str, str]) -> None:
        table = self._table(name)
        before, after = self._values(table, old), self._values(table, new)
        found = self._partition(table, before)
        given = {"Values": after, "StorageDescriptor": found["StorageDescriptor"]}
        self._update_partition(table, before, given)

    def show_partitions(self, name: Name) -> Lines:
        table = self._table(name)
        keys = [k["Name"].lower() for k in table.get("PartitionKeys") or []]
        if not keys:
            raise QueryError(
                "FAILED", f"SemanticException [Error 10241]: Table {name.table} is not a"
                " partitioned table"
            )  # fmt: skip
        found = self.catalog.lake.partitions(table)
        lines = sorted(partition_folder(keys, p["Values"]) for p in found)
        return _one("partition", lines)

    def msck(self, name: Name) -> Lines:
        """Register the ``key=value`` folders under the table's location that are not yet.

        https://docs.aws.amazon.com/athena/latest/ug/msck-repair-table.html
        """
        table = self._table(name)
        keys = [k["Name"].lower() for k in table.get("PartitionKeys") or []]
        if not keys:
            raise QueryError(
                "FAILED", f"SemanticException Table {name.table} is not partitioned: MSCK has"
                " nothing to repair"
            )  # fmt: skip
        location = table["StorageDescriptor"]["Location"].rstrip("/")
        root = Path(self.catalog.aws.s3.path(location))
        known = {tuple(p["Values"]) for p in self.catalog.lake.partitions(table)}
        missing, added = [], []
        for values, relative in _folders(root, keys):
            if tuple(values) in known:
                continue
            missing.append(f"{name.table}:{relative}")
            self.catalog.call(
                "CreatePartition",
                DatabaseName=table["DatabaseName"],
                TableName=table["Name"],
                PartitionInput=partition_input(table, values, f"{location}/{relative}"),
            )
            added.append(f"Repair: Added partition to metastore {name.table}:{relative}")
        lines = [f"Partitions not in metastore:\t{chr(9).join(missing)}"] if missing else []
        return Lines([], lines + added)


def partition_input(
    table: dict[str, Any], values: list[str], location: str | None
) -> dict[str, Any]:
    """Glue's PartitionInput of a new partition of a table."""
    keys = [k["Name"].lower() for k in table["PartitionKeys"]]
    root = table["StorageDescriptor"]["Location"].rstrip("/")
    place = location or f"{root}/{partition_folder(keys, values)}"
    storage = {**table["StorageDescriptor"], "Location": place}
    return {"Values": values, "StorageDescriptor": storage, "Parameters": {}}


def _folders(root: Path, keys: list[str], above: str = "") -> list[tuple[list[str], str]]:
    if not root.is_dir():
        return []
    found = []
    for entry in sorted(root.iterdir()):
        key, separator, value = entry.name.partition("=")
        if not entry.is_dir() or not separator or key != keys[0]:
            continue
        relative = f"{above}{entry.name}"
        if len(keys) == 1:
            found.append(([unquote(value)], relative))
            continue
        for values, deeper in _folders(entry, keys[1:], f"{relative}/"):
            found.append(([unquote(value), *values], deeper))
    return found


def _storage(
    serde: str, delimited: dict[str, str] | None, stored_as: str, input_: str, output: str
) -> dict[str, Any]:
    if delimited is not None and serde:
        raise QueryError("FAILED", "ParseException ROW FORMAT is given twice")
    if stored_as not in ("PARQUET", "TEXTFILE", "JSON"):
        raise unsupported(
            f"tables STORED AS {stored_as}", "Use PARQUET, TEXTFILE, or ROW FORMAT SERDE."
        )
    if stored_as == "PARQUET" or serde == PARQUET_SERDE:
        return dict(Format("PARQUET", "").storage)
    storage: dict[str, Any] = dict(
        Format("JSON" if stored_as == "JSON" else "TEXTFILE", "").storage
    )
    if serde:
        if serde not in (LAZY_SIMPLE, OPEN_CSV, *JSON_SERDES):
            raise unsupported(
                f"the SerDe {serde}",
                f"Supported: {', '.join((PARQUET_SERDE, LAZY_SIMPLE, OPEN_CSV, *JSON_SERDES))}.",
            )
        storage["SerdeInfo"] = {
            "SerializationLibrary": serde,
            "Parameters": {"serialization.format": "1"},
        }
    elif stored_as == "TEXTFILE":
        parameters = {k: _unescaped(v) for k, v in (delimited or {}).items()}
        parameters.pop("line.delim", None)
        delimiter = parameters.setdefault("field.delim", "\x01")
        parameters["serialization.format"] = delimiter
        storage["SerdeInfo"] = {"SerializationLibrary": LAZY_SIMPLE, "Parameters": parameters}
    if input_:
        storage["InputFormat"], storage["OutputFormat"] = input_, output
    return storage


def _unescaped(text: str) -> str:
    return {"\\t": "\t", "\\n": "\n", "\\001": "\x01", "\\002": "\x02"}.get(text, text)


def _like(names: list[str], pattern: str | None) -> list[str]:
    """Hive's patterns: ``*`` is anything, ``|`` is or."""
    if pattern is None:
        return sorted(names)
    choices = [choice.strip().lower().replace(".*", "*") for choice in pattern.split("|")]
    return sorted(n for n in names if any(fnmatch.fnmatchcase(n, c) for c in choices))


def _columns(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [*(table["StorageDescriptor"].get("Columns") or []), *(table.get("PartitionKeys") or [])]


def _described(column: dict[str, Any]) -> str:
    comment = column.get("Comment") or ""
    return f"{column['Name']:<20}\t{column.get('Type', 'string'):<20}\t{comment:<20}"


_HEAD = f"{'# col_name':<24}\t{'data_type':<20}\t{'comment':<20}"


def _column_lines(columns: list[dict[str, Any]]) -> list[str]:
    lines = []
    for i, column in enumerate(columns):
        comment = f" COMMENT {literal(column['Comment'])}" if column.get("Comment") else ""
        end = ")" if i == len(columns) - 1 else ", "
        lines.append(f"  `{column['Name']}` {column.get('Type', 'string')}{comment}{end}")
    return lines


def _property_lines(parameters: dict[str, str]) -> list[str]:
    items = sorted(parameters.items())
    return [
        f"  {literal(k)}={literal(v)}{', ' if i < len(items) - 1 else ')'}"
        for i, (k, v) in enumerate(items)
    ] or ["  )"]


def failed(error: AwsError) -> QueryError:
    """A Glue error as Hive's DDL task reports it."""
    kind = {
        "AlreadyExistsException": "AlreadyExistsException",
        "EntityNotFoundException": "NoSuchObjectException",
    }.get(error.code, error.code)
    return QueryError(
        "FAILED",
        "Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask."
        f" {kind}(message:{error.message})",
    )
