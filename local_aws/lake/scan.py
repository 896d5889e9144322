"""A Glue Data Catalog table as a DuckDB subquery over the plain files of its location."""

# SQL is put together here from quoted names and literals only.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from local_aws.lake import parquet, text
from local_aws.lake.database import Database
from local_aws.lake.errors import LakeError
from local_aws.lake.types import HiveType, literal, parse_type, quoted
from local_aws.service import AwsError

if TYPE_CHECKING:
    from local_aws.instance import Instance

PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_FOOTERS = Database(threads="2", memory_limit="512MB")
"""Where footers, partition values and JSON keys are looked at; it holds nothing."""


@dataclass(frozen=True)
class Column:
    """A catalog column. ``partition``: its value comes from the partition, not from a file."""

    name: str
    type: HiveType
    partition: bool = False


@dataclass(frozen=True)
class Scan:
    """``sql`` is a SELECT usable as ``FROM (<sql>) AS alias``; ``bytes`` is what it reads."""

    sql: str
    bytes: int = 0
    files: int = 0


@dataclass
class _Part:
    """Files of one location, read with one SerDe and one set of partition values."""

    location: str
    serde: str
    properties: dict[str, str]
    values: tuple[str | None, ...]
    files: list[Path] = field(default_factory=list)


class Lake:
    """Reads catalog tables of one embedded AWS. Holds no state; any thread may use it."""

    def __init__(self, aws: Instance) -> None:
        self.aws = aws

    def table(self, database: str, name: str) -> dict[str, Any]:
        """Glue's table document.

        Raises:
            LakeError: there is no such table (TABLE_NOT_FOUND).
        """
        try:
            answer = self.aws.services["glue"].call(
                "GetTable", {"DatabaseName": database.lower(), "Name": name.lower()}
            )
        except AwsError as error:
            if error.code != "EntityNotFoundException":
                raise
            raise LakeError(
                "TABLE_NOT_FOUND", f"Table 'awsdatacatalog.{database}.{name}' does not exist"
            ) from error
        table: dict[str, Any] = answer["Table"]
        return table

    def columns(self, table: dict[str, Any]) -> list[Column]:
        """Data columns, then partition columns, names in lower case."""
        data = table.get("StorageDescriptor", {}).get("Columns", [])
        keys = table.get("PartitionKeys", [])
        return [
            Column(c["Name"].lower(), parse_type(c.get("Type") or "string"), partition)
            for group, partition in ((data, False), (keys, True))
            for c in group
        ]

    def partitions(self, table: dict[str, Any]) -> list[dict[str, Any]]:
        """Every registered partition of a table, as Glue gives them."""
        found: list[dict[str, Any]] = []
        request = {"DatabaseName": table["DatabaseName"], "TableName": table["Name"]}
        while True:
            answer = self.aws.services["glue"].call("GetPartitions", request)
            found += answer["Partitions"]
            if not answer.get("NextToken"):
                return found
            request["NextToken"] = answer["NextToken"]

    def files(self, location: str) -> list[Path]:
        """The visible files under a location, in name order; none if there is no such folder.

        Raises:
            LakeError: the location is not in S3, or its bucket does not exist.
        """
        if not location.startswith("s3://"):
            raise LakeError("HIVE_METASTORE_ERROR", f"Table location {location!r} is not in S3")
        try:
            root = Path(self.aws.s3.path(location))
        except AwsError as error:
            raise LakeError("HIVE_CANNOT_OPEN_SPLIT", f"{location}: {error.message}") from error
        if root.is_file():
            return [root]
        if not root.is_dir():
            return []
        return sorted(_visible(root))

    def scan(
        self,
        table: dict[str, Any],
        columns: set[str] | None = None,
        where: str | None = None,
        alias: str = "p",
    ) -> Scan:
        """How to read a table.

        Args:
            table: Glue's table document.
            columns: the names that are needed, lower case; None is all of them.
            where: a DuckDB condition over partition columns only; partitions for which it is not
                true are not read.
            alias: the name by which ``where`` may qualify the columns.

        Raises:
            LakeError: the table cannot be read, and why.
        """
        self._refuse(table)
        declared = self.columns(table)
        names = {column.name for column in declared}
        wanted = names if columns is None else columns
        if wanted - names - {"$path"}:
            raise LakeError("COLUMN_NOT_FOUND", f"No column {', '.join(sorted(wanted - names))}")
        with _FOOTERS.connect() as connection:
            parts = self._parts(table, declared, where, alias, connection)
            for part in parts:
                part.files = self.files(part.location)
            parts = [part for part in parts if part.files]
            selected = [column for column in declared if column.name in wanted]
            if not parts:
                return Scan(_empty(selected, "$path" in wanted))
            return self._read(connection, parts, declared, selected, "$path" in wanted)

    def _refuse(self, table: dict[str, Any]) -> None:
        name = f"{table.get('DatabaseName')}.{table.get('Name')}"
        if table.get("TableType") == "VIRTUAL_VIEW":
            raise LakeError("NOT_SUPPORTED", f"{name} is a view; it has no files to scan")
        parameters = table.get("Parameters") or {}
        if parameters.get("table_type", "").upper() == "ICEBERG":
            raise LakeError("NOT_SUPPORTED", f"{name}: the embedded AWS reads no Iceberg tables")
        if parameters.get("projection.enabled", "").lower() == "true":
            raise LakeError(
                "NOT_SUPPORTED",
                f"{name}: the embedded AWS has no partition projection. Remove the table property"
                " projection.enabled and register the partitions.",
            )

    def _parts(
        self,
        table: dict[str, Any],
        declared: list[Column],
        where: str | None,
        alias: str,
        connection: duckdb.DuckDBPyConnection,
    ) -> list[_Part]:
        keys = [column for column in declared if column.partition]
        storage = table.get("StorageDescriptor", {})
        if not keys:
            return [_part(table, storage, ())]
        found = []
        for partition in self.partitions(table):
            values = tuple(None if v == DEFAULT_PARTITION else v for v in partition["Values"])
            own = partition.get("StorageDescriptor") or {}
            merged = {**storage, **{k: v for k, v in own.items() if v}}
            found.append(_part(table, merged, values))
        if not found or where is None:
            return found
        typed = _values(connection, keys, list(enumerate(found)))
        kept = connection.execute(
            f"SELECT __index FROM ({typed}) AS {quoted(alias)} WHERE {where}"
        ).fetchall()
        return [found[index] for (index,) in sorted(kept)]

    def _read(
        self,
        connection: duckdb.DuckDBPyConnection,
        parts: list[_Part],
        declared: list[Column],
        selected: list[Column],
        path: bool,
    ) -> Scan:
        data = [(c.name, c.type) for c in declared if not c.partition]
        names = {c.name for c in selected if not c.partition}
        bytes_ = 0
        # (relation with __file and data columns, its parts)
        sources: list[tuple[str, dict[str, str], list[_Part]]] = []
        for group in _by_format(parts):
            serde, properties = group[0].serde, group[0].properties
            files = [file for part in group for file in part.files]
            if serde == PARQUET_SERDE:
                shapes = parquet.schemas(connection, files, self.uri)
                bytes_ += parquet.chunk_bytes(connection, files, names)
                for schema in dict.fromkeys(shapes.values()):
                    like = [file for file in files if shapes[file] == schema]
                    expressions = {
                        name: parquet.column(name, type_, schema, self.uri(like[0]))
                        for name, type_ in data
                        if name in names
                    }
                    relation = (
                        f"read_parquet({parquet.file_list(like)}, filename='__file',"
                        " hive_partitioning=false)"
                    )
                    sources.append((relation, expressions, _holding(group, like)))
                continue
            bytes_ += sum(file.stat().st_size for file in files)
            skip = int(properties.get("skip.header.line.count", "0") or 0)
            source = text.lines(files, skip)
            if serde in text.JSON_SERDES:
                relation, expressions = text.json_lines(connection, source, data, names, properties)
                sources.append((f"({relation})", expressions, group))
                continue
            if serde == text.LAZY_SIMPLE:
                fields = text.lazy_simple_fields(properties)
                expressions = text.lazy_simple(data, names, properties)
            elif serde == text.OPEN_CSV:
                fields = text.open_csv_fields(properties)
                expressions = text.open_csv(data, names, properties)
            else:
                raise LakeError(
                    "HIVE_UNSUPPORTED_FORMAT",
                    f"The embedded AWS does not read the SerDe {serde or '(none)'}. It reads"
                    f" {', '.join((PARQUET_SERDE, text.LAZY_SIMPLE, text.OPEN_CSV))},"
                    f" {', '.join(text.JSON_SERDES)}.",
                )
            relation = (
                f"(SELECT CASE line WHEN '' THEN [''] ELSE {fields} END AS fields, __file"
                f" FROM ({source}) AS lines)"
            )
            sources.append((relation, expressions, group))
        keys = [column for column in declared if column.partition]
        sql = " UNION ALL ".join(
            self._select(connection, relation, expressions, group, keys, selected, path)
            for relation, expressions, group in sources
        )
        return Scan(sql, bytes_, sum(len(part.files) for part in parts))

    def _select(
        self,
        connection: duckdb.DuckDBPyConnection,
        relation: str,
        expressions: dict[str, str],
        parts: list[_Part],
        keys: list[Column],
        selected: list[Column],
        path: bool,
    ) -> str:
        partitioned = any(column.partition for column in selected)
        constants: dict[str, str] = {}
        join = ""
        if partitioned and len({part.values for part in parts}) == 1:
            constants = {
                key.name: _constant(connection, key, value)
                for key, value in zip(keys, parts[0].values, strict=True)
            }
        elif partitioned:
            rows = [(str(file), part) for part in parts for file in part.files]
            join = f" JOIN ({_values(connection, keys, rows)}) AS __p ON __p.__index = __s.__file"
        items = []
        for column in selected:
            if column.name in expressions:
                items.append(f"{expressions[column.name]} AS {quoted(column.name)}")
            elif column.name in constants:
                items.append(f"{constants[column.name]} AS {quoted(column.name)}")
            else:
                items.append(f"__p.{quoted(column.name)} AS {quoted(column.name)}")
        if path:
            root = len(str(self._root())) + 2
            items.append(f"'s3://' || substr(__s.__file, {root}) AS \"$path\"")
        return f"SELECT {', '.join(items) or '1 AS __row'} FROM {relation} AS __s{join}"

    def _root(self) -> Path:
        return Path(self.aws.s3.bucket_path("b")).parent

    def uri(self, file: Path) -> str:
        """The ``s3://`` address of a file of the lake."""
        return f"s3://{file.relative_to(self._root()).as_posix()}"


def _visible(folder: Path) -> Iterable[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith(("_", ".")):
            continue
        if entry.is_dir():
            yield from _visible(entry)
        elif entry.stat().st_size:
            yield entry


def _part(table: dict[str, Any], storage: dict[str, Any], values: tuple[str | None, ...]) -> _Part:
    serde = storage.get("SerdeInfo") or {}
    properties = {
        **(table.get("Parameters") or {}),
        **(storage.get("Parameters") or {}),
        **(serde.get("Parameters") or {}),
    }
    library = serde.get("SerializationLibrary") or ""
    return _Part(storage.get("Location", ""), library, properties, values)


_TEXT_PROPERTIES = (
    "field.delim", "serialization.format", "escape.delim", "collection.delim", "colelction.delim",
    "serialization.null.format", "separatorChar", "quoteChar", "escapeChar",
    "skip.header.line.count", "use.null.for.invalid.data", "ignore.malformed.json",
)  # fmt: skip


def _by_format(parts: Sequence[_Part]) -> list[list[_Part]]:
    groups: dict[tuple[Any, ...], list[_Part]] = {}
    for part in parts:
        relevant = [(k, v) for k, v in part.properties.items() if k.startswith("mapping.")]
        relevant += [(k, part.properties.get(k, "")) for k in _TEXT_PROPERTIES]
        key = (part.serde, *(() if part.serde == PARQUET_SERDE else sorted(relevant)))
        groups.setdefault(key, []).append(part)
    return list(groups.values())


def _holding(parts: Sequence[_Part], files: Sequence[Path]) -> list[_Part]:
    kept = set(files)
    return [
        _Part(part.location, part.serde, part.properties, part.values, held)
        for part in parts
        if (held := [file for file in part.files if file in kept])
    ]


def _constant(connection: duckdb.DuckDBPyConnection, key: Column, value: str | None) -> str:
    if value is None:
        return f"CAST(NULL AS {key.type.duckdb})"
    checked = text.lenient(key.type, literal(value))
    if connection.execute(f"SELECT {checked} IS NULL").fetchone() == (True,):
        raise LakeError(
            "HIVE_INVALID_PARTITION_VALUE",
            f"Invalid partition value '{value}' for {key.type} partition key: {key.name}",
        )
    return f"CAST({literal(value)} AS {key.type.duckdb})"


def _values(
    connection: duckdb.DuckDBPyConnection,
    keys: Sequence[Column],
    rows: Sequence[tuple[int | str, _Part]],
) -> str:
    """A relation of ``__index`` and the typed partition columns."""
    known: dict[tuple[str, str | None], str] = {}
    lines = []
    for index, part in rows:
        items = [literal(index) if isinstance(index, str) else str(index)]
        for key, value in zip(keys, part.values, strict=True):
            if (key.name, value) not in known:
                known[key.name, value] = _constant(connection, key, value)
            items.append(known[key.name, value])
        lines.append(f"({', '.join(items)})")
    names = ", ".join(quoted(key.name) for key in keys)
    return f"SELECT * FROM (VALUES {', '.join(lines)}) AS v(__index, {names})"


def _empty(selected: Sequence[Column], path: bool) -> str:
    items = [f"CAST(NULL AS {c.type.duckdb}) AS {quoted(c.name)}" for c in selected]
    if path:
        items.append('CAST(NULL AS VARCHAR) AS "$path"')
    return f"SELECT {', '.join(items) or '1 AS __row'} WHERE false"
