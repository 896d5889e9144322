"""Files that queries write: CTAS, INSERT INTO and UNLOAD.

Files are written aside and moved to their place when the whole query has succeeded.

- https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html
- https://docs.aws.amazon.com/athena/latest/ug/unload.html
"""

# SQL is put together here from quoted names and translated expressions only.
# ruff: noqa: S608

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import duckdb

from local_aws.athena import types as t
from local_aws.athena.errors import QueryError, unsupported
from local_aws.athena.types import Type
from local_aws.athena.values import Value, as_text
from local_aws.lake import literal, quoted
from local_aws.lake.scan import DEFAULT_PARTITION, PARQUET_SERDE
from local_aws.lake.text import JSON_SERDES, LAZY_SIMPLE

MOST_PARTITIONS = 100
_PARQUET = {"GZIP", "SNAPPY", "ZSTD", "NONE", "UNCOMPRESSED", "LZ4"}
_TEXT = {"GZIP", "NONE", "UNCOMPRESSED", "ZSTD"}
_SUFFIX = {"GZIP": ".gz", "ZSTD": ".zst"}
_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"


@dataclass(frozen=True)
class Format:
    """How files are written. ``name`` is PARQUET, TEXTFILE or JSON."""

    name: str
    compression: str
    delimiter: str = "\x01"

    @property
    def suffix(self) -> str:
        return "" if self.name == "PARQUET" else _SUFFIX.get(self.compression, "")

    @property
    def storage(self) -> dict[str, object]:
        """The part of Glue's StorageDescriptor that says how to read them."""
        if self.name == "PARQUET":
            return {
                "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "SerdeInfo": {"SerializationLibrary": PARQUET_SERDE, "Parameters": {}},
            }
        if self.name == "JSON":
            serde = {"SerializationLibrary": JSON_SERDES[1], "Parameters": {}}
        else:
            parameters = {"field.delim": self.delimiter, "serialization.format": self.delimiter}
            serde = {"SerializationLibrary": LAZY_SIMPLE, "Parameters": parameters}
        return {"InputFormat": _INPUT, "OutputFormat": _OUTPUT, "SerdeInfo": serde}


def chosen_format(properties: Mapping[str, str], default: str = "PARQUET") -> Format:
    """The format that the properties of CTAS or UNLOAD name.

    Raises:
        QueryError: it is not supported, or its compression is not.
    """
    name = properties.get("format", default).upper()
    if name not in ("PARQUET", "TEXTFILE", "JSON"):
        raise unsupported(f"writing the format {name}", "Use PARQUET, TEXTFILE or JSON.")
    keys = ("write_compression", "compression", f"{name.lower()}_compression")
    compression = next((properties[k] for k in keys if k in properties), "GZIP").upper()
    if compression not in (_PARQUET if name == "PARQUET" else _TEXT):
        raise unsupported(f"{compression} compression of {name}", "Use GZIP, ZSTD or NONE.")
    if "field_delimiter" in properties and name != "TEXTFILE":
        raise QueryError(
            "INVALID_TABLE_PROPERTY", f"Cannot specify field_delimiter for format {name}"
        )
    return Format(name, compression, properties.get("field_delimiter", "\x01"))


@dataclass
class Written:
    """``rows`` and the files, each with the partition values of its folder, still aside."""

    folder: Path
    rows: int = 0
    files: list[tuple[tuple[str, ...], Path]] = field(default_factory=list)

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def partition_folder(keys: Sequence[str], values: Sequence[str]) -> str:
    """``dt=2024-01-01/k=1``, values escaped as Hive does."""
    return "/".join(
        f"{key}={quote(value, safe=' !$&()+,-.;@_~')}"
        for key, value in zip(keys, values, strict=True)
    )


def write(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    columns: Sequence[tuple[str, Type]],
    partitioned_by: Sequence[str],
    format_: Format,
    folder: Path,
) -> Written:
    """Run a query (``c1``, ``c2``, ...) into files under ``folder``.

    Raises:
        QueryError: more than 100 partitions, or a type that the format does not hold.
    """
    written = Written(folder)
    folder.mkdir(parents=True)
    data = [
        (i, name, type_) for i, (name, type_) in enumerate(columns, 1) if name not in partitioned_by
    ]
    if not data:
        raise QueryError("INVALID_TABLE_PROPERTY", "Table contains only partition columns")
    items = ", ".join(
        f"{_item(f'r.c{i}', type_, format_, name)} AS {quoted(name)}" for i, name, type_ in data
    )
    if not partitioned_by:
        target = folder / f"{uuid.uuid4()}{format_.suffix}"
        written.rows = _copy(connection, f"SELECT {items} FROM ({sql}) AS r", target, format_)
        written.files.append(((), target))
        return written
    positions = {name: (i, type_) for i, (name, type_) in enumerate(columns, 1)}
    keys = []
    for name in partitioned_by:
        index, type_ = positions[name]
        text = as_text(Value(f"r.c{index}", type_))
        if text is None or type_.name in ("double", "real"):
            raise QueryError("NOT_SUPPORTED", f"Unsupported type [{type_}] for partition: {name}")
        keys.append(f"coalesce({text}, {literal(DEFAULT_PARTITION)})")
    connection.execute(f"CREATE TEMP TABLE written AS {sql}")
    selected = ", ".join(f"{key} AS k{i}" for i, key in enumerate(keys))
    order = ", ".join(f"k{i}" for i in range(len(keys)))
    found = connection.execute(
        f"SELECT DISTINCT {selected} FROM written AS r ORDER BY {order} LIMIT 101"
    ).fetchall()
    if len(found) > MOST_PARTITIONS:
        raise QueryError(
            "HIVE_TOO_MANY_OPEN_PARTITIONS",
            f"Exceeded limit of {MOST_PARTITIONS} open writers for partitions/buckets",
        )
    for values in found:
        test = " AND ".join(
            f"{key} = {literal(value)}" for key, value in zip(keys, values, strict=True)
        )
        target = folder / f"{uuid.uuid4()}{format_.suffix}"
        written.rows += _copy(
            connection, f"SELECT {items} FROM written AS r WHERE {test}", target, format_
        )
        written.files.append((values, target))
    return written


def _item(sql: str, type_: Type, format_: Format, name: str) -> str:
    if format_.name == "TEXTFILE":
        text = as_text(Value(sql, type_))
        if text is None:
            raise unsupported(f"{type_} in TEXTFILE (column {name})", "Use PARQUET or JSON.")
        return text
    if format_.name == "JSON" and type_.name in ("timestamp", "varbinary"):
        return as_text(Value(sql, type_)) or sql
    if type_.name == "timestamp with time zone" or type_.name == "time":
        t.to_hive(type_, name)
    return sql


def _copy(connection: duckdb.DuckDBPyConnection, sql: str, target: Path, format_: Format) -> int:
    compression = format_.compression.lower()
    if format_.name == "PARQUET":
        compression = {"none": "uncompressed", "lz4": "lz4_raw"}.get(compression, compression)
        options = f"FORMAT parquet, COMPRESSION {compression}"
    else:
        compression = "none" if compression == "uncompressed" else compression
        options = f"COMPRESSION {compression}"
        if format_.name == "JSON":
            options += ", FORMAT json"
        else:
            options += (
                f", FORMAT csv, DELIMITER {literal(format_.delimiter)}, HEADER false, QUOTE '',"
                " ESCAPE '', NULLSTR '\\N'"
            )
    row = connection.execute(f"COPY ({sql}) TO {literal(str(target))} ({options})").fetchone()
    return int(row[0]) if row else 0


def place(written: Written, root: Path, folders: Mapping[tuple[str, ...], Path]) -> list[Path]:
    """Move the files to their folders (``root`` where a partition has none)."""
    placed = []
    for values, file in written.files:
        folder = folders.get(values, root)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / file.name
        try:
            os.replace(file, target)
        except OSError:
            shutil.copyfile(file, target)
        placed.append(target)
    written.discard()
    return placed
