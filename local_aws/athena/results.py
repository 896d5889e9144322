"""Query results: values as Athena prints them, the files in S3, and reading them page by page.

https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from local_aws.athena import types as t
from local_aws.athena.errors import unsupported
from local_aws.athena.types import Type

_PRECISION = {
    "tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "real": 17, "double": 17,
    "timestamp": 3, "timestamp with time zone": 3, "time": 3,
    "varchar": 2147483647, "varbinary": 1073741824,
}  # fmt: skip


def column_info(name: str, type_: Type) -> dict[str, Any]:
    """A column of ``ResultSetMetadata``."""
    precision, scale = _PRECISION.get(type_.name, 0), 0
    if type_.name == "decimal":
        precision, scale = type_.args
    elif type_.text and type_.args:
        precision = type_.args[0]
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": "float" if type_.name == "real" else type_.name,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": type_.text,
    }


def text_column(name: str) -> dict[str, Any]:
    """A column of what a Hive statement prints."""
    info = column_info(name, t.VARCHAR)
    return {**info, "Type": "string", "Precision": 0, "CaseSensitive": False}


def java_double(value: float, digits: str | None = None) -> str:
    """A double as Java prints it.

    >>> java_double(1e10), java_double(0.1), java_double(100.0), java_double(1e-5)
    ('1.0E10', '0.1', '100.0', '1.0E-5')
    """
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    sign, number, exponent = Decimal(digits or repr(value)).as_tuple()
    minus = "-" if sign else ""
    text = "".join(map(str, number)).rstrip("0")
    if not text:
        return f"{minus}0.0"
    assert isinstance(exponent, int)
    power = len(number) + exponent - 1
    if -3 <= power < 7:
        if power < 0:
            return f"{minus}0.{'0' * (-power - 1)}{text}"
        whole, fraction = text[: power + 1].ljust(power + 1, "0"), text[power + 1 :]
        return f"{minus}{whole}.{fraction or '0'}"
    return f"{minus}{text[0]}.{text[1:] or '0'}E{power}"


def _java_float(value: float) -> str:
    for places in range(1, 10):
        text = f"{value:.{places}g}"
        if struct.pack("f", float(text)) == struct.pack("f", value):
            return java_double(value, text) if "n" not in text else java_double(value)
    return java_double(value)


def _interval_seconds(value: timedelta) -> str:
    millis = round(value / timedelta(milliseconds=1))
    sign, millis = ("-", -millis) if millis < 0 else ("", millis)
    seconds, millis = divmod(millis, 1000)
    days, seconds = divmod(seconds, 86400)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{millis:03}"
    return f"{sign}{days} {clock}"


def formatter(type_: Type) -> Callable[[Any], str]:
    """How a value of a type is printed; the value is not None.

    Raises:
        QueryError: what is printed depends on a zone that is not known.
    """
    name = type_.name
    if name == "boolean":
        return lambda v: "true" if v else "false"
    if name in ("varchar", "char", "json", "unknown"):
        return str
    if type_.integral:
        return str
    if name == "double":
        return java_double
    if name == "real":
        return _java_float
    if name == "decimal":
        return lambda v: f"{v:f}"
    if name == "date":
        return lambda v: v.isoformat() if hasattr(v, "isoformat") else str(v)
    if name == "timestamp":
        return _timestamp
    if name == "time":
        return lambda v: f"{v:%H:%M:%S}.{v.microsecond // 1000:03}"
    if name == "timestamp with time zone":
        if type_.zone is None:
            raise unsupported(
                "printing timestamps whose zone is only known in the data",
                "Say which with AT TIME ZONE '...'.",
            )
        zone = UTC if type_.zone == "UTC" else ZoneInfo(type_.zone)
        return lambda v: f"{_timestamp(v.astimezone(zone))} {type_.zone}"
    if name == "varbinary":
        return lambda v: bytes(v).hex(" ")
    if name == "interval day to second":
        return _interval_seconds
    if name == "interval year to month":
        raise unsupported("printing an interval year to month", "Add it to a date.")
    if name == "array":
        inner = _or_null(formatter(type_.args[0]))
        return lambda v: f"[{', '.join(inner(e) for e in v)}]"
    if name == "map":
        key, value = (_or_null(formatter(part)) for part in type_.args)
        return lambda v: "{" + ", ".join(f"{key(k)}={value(e)}" for k, e in v.items()) + "}"
    if name == "row":
        fields = [
            (n or f"field{i}", t.field_name(n, i), _or_null(formatter(ty)))
            for i, (n, ty) in enumerate(type_.args)
        ]
        return lambda v: "{" + ", ".join(f"{s}={f(v[k])}" for s, k, f in fields) + "}"
    raise unsupported(f"results of type {type_}")


def _or_null(inner: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda v: "null" if v is None else inner(v)


def _timestamp(value: datetime) -> str:
    """Athena shows milliseconds, whatever the precision of the type."""
    if value.microsecond % 1000:
        value += timedelta(microseconds=500)
    text = f"{value:%Y-%m-%d %H:%M:%S}"
    return f"{text.rjust(19, '0')}.{value.microsecond // 1000:03}"


def row_formatter(types: Sequence[Type]) -> Callable[[Sequence[Any]], list[str | None]]:
    formats = [formatter(type_) for type_ in types]
    return lambda row: [None if v is None else f(v) for f, v in zip(formats, row, strict=True)]


def csv_line(values: Iterable[str | None]) -> str:
    """One line as Athena writes it: every value in quotes, NULL as nothing at all.

    >>> csv_line(["a\\"b", None, ""])
    '"a""b",,""\\n'
    """
    quoted = ("" if v is None else '"' + v.replace('"', '""') + '"' for v in values)
    return ",".join(quoted) + "\n"


def read_csv(path: Path, offset: int, count: int) -> tuple[list[list[str | None]], int | None]:
    """Up to ``count`` records of a result from a byte offset, and the offset that follows."""
    records: list[list[str | None]] = []
    with path.open("rb") as file:
        file.seek(offset)
        while len(records) < count:
            line = file.readline()
            if not line:
                return records, None
            while line.count(b'"') % 2:
                more = file.readline()
                if not more:
                    break
                line += more
            records.append(_record(line[:-1].decode()))
        position = file.tell()
        return records, position if file.read(1) else None


def _record(line: str) -> list[str | None]:
    values: list[str | None] = []
    index, length = 0, len(line)
    while True:
        if index < length and line[index] == '"':
            end = index + 1
            while True:
                end = line.index('"', end)
                if line[end + 1 : end + 2] != '"':
                    break
                end += 2
            values.append(line[index + 1 : end].replace('""', '"'))
            index = end + 1
        else:
            values.append(None)
        if index >= length:
            return values
        index += 1


def json_line(names: Sequence[str], row: Sequence[Any]) -> str:
    return json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=str) + "\n"
