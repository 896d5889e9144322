"""Parquet files as a DuckDB relation: columns by name, as Athena reads them.

https://docs.aws.amazon.com/athena/latest/ug/handling-schema-updates-chapter.html
"""

# SQL is put together here from quoted names and literals only.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import duckdb

from local_aws.lake.errors import LakeError
from local_aws.lake.types import INTEGERS, HiveType, literal, quoted

_CHUNK = 500
_INTEGER = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER")

Schema = tuple[tuple[str, str], ...]
"""A file's top-level columns: (name as written, DuckDB type or ``nested``)."""


def file_list(files: Iterable[Path]) -> str:
    return "[" + ", ".join(literal(str(file)) for file in files) + "]"


def schemas(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], uri: Callable[[Path], str]
) -> dict[Path, Schema]:
    """The columns of each file, from its footer. ``uri`` names a file in an error.

    Raises:
        LakeError: a file is not Parquet.
    """
    found: dict[Path, list[tuple[str, str]]] = {}
    skip: dict[Path, list[int]] = {}
    for start in range(0, len(files), _CHUNK):
        batch = files[start : start + _CHUNK]
        try:
            rows = connection.execute(
                "SELECT file_name, name, num_children, duckdb_type"
                f" FROM parquet_schema({file_list(batch)})"
            ).fetchall()
        except duckdb.Error as error:
            said = str(error)
            for file in batch:
                said = said.replace(str(file), uri(file))
            raise LakeError("HIVE_BAD_DATA", f"Not valid Parquet file: {said}") from error
        for file_name, name, children, type_ in rows:
            file = Path(file_name)
            if file not in found:
                found[file], skip[file] = [], []
                continue
            open_ = skip[file]
            if not open_:
                found[file].append((name, type_ if not children else "nested"))
            else:
                open_[-1] -= 1
            if children:
                open_.append(children)
            while open_ and open_[-1] == 0:
                open_.pop()
    return {file: tuple(columns) for file, columns in found.items()}


def chunk_bytes(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], columns: set[str]
) -> int:
    """The compressed size of the column chunks that a scan of ``columns`` reads."""
    if not columns:
        return 0
    wanted = ", ".join(literal(name) for name in sorted(columns))
    total = 0
    for start in range(0, len(files), _CHUNK):
        row = connection.execute(
            "SELECT sum(total_compressed_size) FROM"
            f" parquet_metadata({file_list(files[start : start + _CHUNK])})"
            f" WHERE lower(split_part(path_in_schema, ', ', 1)) IN ({wanted})"
        ).fetchone()
        total += int(row[0] or 0) if row else 0
    return total


def column(name: str, declared: HiveType, schema: Schema, file: str) -> str:
    """The expression that reads one declared column from files of one schema.

    Raises:
        LakeError: the file holds the column with a type that Athena does not read as ``declared``.
    """
    written = next((found for found in schema if found[0].lower() == name), None)
    if written is None:
        return f"CAST(NULL AS {declared.duckdb})"
    actual, type_ = written
    reference = quoted(actual)
    if not _readable(declared, type_):
        raise LakeError(
            "HIVE_BAD_DATA",
            f"Field {name}'s type {type_} in parquet file {file} is incompatible with type"
            f" {declared} defined in table schema",
        )
    if type_ == "TIMESTAMP WITH TIME ZONE":
        reference = f"({reference} AT TIME ZONE 'UTC')"
    if declared.name == "char":
        return f"rpad({reference}, {declared.args[0]}, ' ')"
    if declared.name == "varchar":
        return f"left({reference}, {declared.args[0]})"
    if declared.name == "string" or type_ == declared.duckdb:
        return reference
    return f"CAST({reference} AS {declared.duckdb})"


def _readable(declared: HiveType, type_: str) -> bool:
    name = declared.name
    if declared.nested:
        return type_ == "nested"
    if name in INTEGERS:
        return type_ in _INTEGER or type_ in _UNSIGNED
    if name == "double":
        return type_ in ("DOUBLE", "FLOAT")
    if name == "float":
        return type_ == "FLOAT"
    if name == "decimal":
        return type_.startswith("DECIMAL") or type_ in _INTEGER
    if name in ("string", "varchar", "char"):
        return type_ in ("VARCHAR", "BLOB")
    if name == "binary":
        return type_ in ("BLOB", "VARCHAR")
    if name == "timestamp":
        return type_.startswith("TIMESTAMP")
    return type_ == declared.duckdb
