"""Results as the Data API gives them: typed fields, column metadata, pages, CSV.

A result is a file of JSON lines: the columns, then one line per row. It survives a restart.
https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_GetStatementResult.html
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from local_aws.redshift.compiler import Column
from local_aws.redshift.errors import SqlError
from local_aws.redshift.session import Rows

MOST_BYTES = 500 * 1024 * 1024
PAGE_ROWS = 1000
PAGE_BYTES = 1024 * 1024
_PRECISION = {"int2": 5, "int4": 10, "int8": 19, "float4": 8, "float8": 17, "bool": 1, "date": 13,
              "timestamp": 29, "timestamptz": 35, "time": 15}  # fmt: skip
_SCALE = {"float4": 8, "float8": 17, "timestamp": 6, "timestamptz": 6}


def metadata(column: Column) -> dict[str, Any]:
    """A column as GetStatementResult's ColumnMetadata describes it."""
    kind = column.type
    schema, table = column.origin or ("", "")
    precision = (
        kind.a if kind.name in ("numeric", "varchar", "bpchar") else _PRECISION.get(kind.name, 0)
    )
    return {
        "isCaseSensitive": kind.is_string,
        "isCurrency": False,
        "isSigned": kind.is_number,
        "label": column.name,
        "length": 0,
        "name": column.name,
        "nullable": 1 if column.nullable else 0,
        "precision": precision,
        "scale": kind.b if kind.name == "numeric" else _SCALE.get(kind.name, 0),
        "schemaName": schema,
        "tableName": table,
        "typeName": kind.name,
    }


def shown(value: Any, column: Column) -> Any:
    """A value for JSON: a number or boolean where the API has a field for it, else its text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        made = value.strftime("%Y-%m-%d %H:%M:%S")
        if value.microsecond:
            made += f".{value.microsecond:06d}".rstrip("0")
        return made + ("+00" if column.type.name == "timestamptz" else "")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    text = str(value)
    return text.ljust(column.type.a) if column.type.name == "bpchar" else text


def write(path: Path, columns: Sequence[Column], rows: Rows) -> tuple[int, int]:
    """Write a result; ``(rows, bytes)``.

    Raises:
        SqlError: it is larger than the Data API gives.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = size = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps([metadata(column) for column in columns]) + "\n")
        while batch := rows(2000):
            for row in batch:
                line = json.dumps(
                    [shown(v, c) for v, c in zip(row, columns, strict=True)], ensure_ascii=False
                )
                size += file.write(line + "\n")
                count += 1
            if size > MOST_BYTES:
                path.unlink()
                raise SqlError("Query result size exceeds the limit of 500 MB")
    return count, size


def field(value: Any, kind: str) -> dict[str, Any]:
    """One field of a record."""
    if value is None:
        return {"isNull": True}
    if kind == "bool":
        return {"booleanValue": value}
    if kind in ("int2", "int4", "int8"):
        return {"longValue": value}
    if kind in ("float4", "float8"):
        return {"doubleValue": float(value)}
    return {"stringValue": value if isinstance(value, str) else str(value)}


def page(path: Path, offset: int) -> tuple[list[dict[str, Any]], list[list[Any]], int | None]:
    """``(columns, rows, next offset)``; offset 0 is the first page."""
    with path.open("rb") as file:
        columns = json.loads(file.readline())
        if offset:
            file.seek(offset)
        rows: list[list[Any]] = []
        start = file.tell()
        while len(rows) < PAGE_ROWS and file.tell() - start < PAGE_BYTES:
            line = file.readline()
            if not line:
                return columns, rows, None
            rows.append(json.loads(line))
        at = file.tell()
        return columns, rows, at if file.read(1) else None


def records(columns: Sequence[dict[str, Any]], rows: Sequence[list[Any]]) -> list[Any]:
    kinds = [column["typeName"] for column in columns]
    return [[field(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows]


def as_csv(columns: Sequence[dict[str, Any]], rows: Sequence[list[Any]], header: bool) -> str:
    """Rows as CSV, with the column names first on the first page."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    if header:
        writer.writerow([column["name"] for column in columns])
    for row in rows:
        writer.writerow([
            "" if value is None else str(value).lower() if isinstance(value, bool) else value
            for value in row
        ])  # fmt: skip
    return buffer.getvalue()
