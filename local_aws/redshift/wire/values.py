"""Values on the wire: results as text or binary, and the parameters of prepared statements.

Redshift's own driver asks for numbers, dates and times in binary, and reads NUMERIC as a whole
number of its smallest units where the protocol version that it asked for is 2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any

from local_aws.redshift import types as t
from local_aws.redshift.compiler import Argument, Column
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.results import shown
from local_aws.redshift.types import RType
from local_aws.redshift.wire.messages import int16, int32, message, text

Encoder = Callable[[Any], bytes]
SIZES = {"bool": 1, "int2": 2, "int4": 4, "int8": 8, "float4": 4, "float8": 8, "date": 4, "time": 8,
         "timestamp": 8, "timestamptz": 8}  # fmt: skip
EPOCH = datetime(2000, 1, 1)
MICROSECOND = timedelta(microseconds=1)
_EXACT = Context(prec=100)
_PACKED = {"int2": "!h", "int4": "!i", "int8": "!q", "float4": "!f", "float8": "!d"}


def description(columns: list[Column], formats: list[int], protocol: int, database: str) -> bytes:
    """A RowDescription; from version 1 of Redshift's protocol on with where columns come from."""
    parts = [int16(len(columns))]
    for column, binary in zip(columns, formats, strict=True):
        kind = column.type
        parts += [
            text(column.label or column.name), int32(0), int16(0), int32(kind.oid),
            int16(SIZES.get(kind.name, -1)), int32(kind.modifier), int16(binary),
        ]  # fmt: skip
        if protocol >= 1:
            schema, table = column.origin or ("", "")
            parts += [text(schema), text(table), text(column.name if table else ""), text(database)]
            parts.append(int16(int(column.nullable) | 1 << 12))
    return message(b"T", *parts)


def encoder(column: Column, binary: int, protocol: int) -> Encoder:
    """What makes a value of that column bytes.

    Raises:
        Unsupported: binary NUMERIC for a client that does not know Redshift's.
    """
    name = column.type.name
    if not binary:
        return lambda value: _text(value, column)
    if name in _PACKED:
        return struct.Struct(_PACKED[name]).pack
    if name == "bool":
        return lambda value: b"\1" if value else b"\0"
    if name == "date":
        return lambda value: int32((value - EPOCH.date()).days)
    if name in ("timestamp", "timestamptz"):
        return lambda value: _int64((value.replace(tzinfo=None) - EPOCH) // MICROSECOND)
    if name == "time":
        return lambda value: _int64(_microseconds(value))
    if name == "interval":
        return lambda value: struct.pack(
            "!qhh", (value - timedelta(value.days)) // MICROSECOND, value.days, 0
        )
    if name == "numeric":
        if protocol < 2:
            raise Unsupported("NUMERIC in PostgreSQL's binary format", "Ask for text.")
        return lambda value: _numeric(value, column.type)
    return lambda value: _text(value, column)


def _int64(value: int) -> bytes:
    return struct.pack("!q", value)


def _microseconds(value: time) -> int:
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return seconds * 1_000_000 + value.microsecond


def _numeric(value: Any, kind: RType) -> bytes:
    units = _EXACT.scaleb(Decimal(value), kind.b)
    if units != units.to_integral_value():
        raise SqlError(f"the value {value} has more than {kind.b} decimals")
    return int(units).to_bytes(8 if kind.a <= 18 else 16, "big", signed=True)


def _text(value: Any, column: Column) -> bytes:
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, float):
        return _float_text(value, 6 if column.type.name == "float4" else 15).encode()
    if isinstance(value, timedelta):
        return _interval_text(value).encode()
    return str(shown(value, column)).encode()


def _float_text(value: float, digits: int) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return f"{value:.{digits}g}"


def _interval_text(value: timedelta) -> str:
    rest = value - timedelta(value.days)
    clock = f"{rest.seconds // 3600:02d}:{rest.seconds // 60 % 60:02d}:{rest.seconds % 60:02d}"
    if rest.microseconds:
        clock += f".{rest.microseconds:06d}".rstrip("0")
    days = f"{value.days} day{'' if abs(value.days) == 1 else 's'}"
    return f"{days} {clock}" if value.days and rest else days if value.days else clock


# -- parameters ----------------------------------------------------------------------------

_TEXTS = (0, 25, 705)
_TYPES = {oid: name for name, oid in t.OIDS.items()}
_SPECIMEN = {
    "bool": "f",
    "numeric": "1" * 28 + "." + "1" * 10,
    "date": "2000-01-01",
    "timestamp": "2000-01-01 00:00:00",
    "timestamptz": "2000-01-01 00:00:00+00",
    "time": "00:00:00",
}


def parameter_type(oid: int) -> RType:
    """The type of a parameter by its number; text takes the type of its use.

    Raises:
        Unsupported: there is no such type here.
    """
    if oid in _TEXTS:
        return t.UNKNOWN
    name = _TYPES.get(oid)
    if name is None or name == "interval":
        raise Unsupported(f"parameters of the type with the number {oid}", "Send text.")
    if name == "numeric":
        return t.numeric(38, 10)
    return RType(
        name, t.MAX_VARCHAR if name == "varchar" else t.MAX_CHAR if name == "bpchar" else 0
    )


def specimen(kind: RType) -> Argument:
    """Some value of a type, for a statement that is described before it is bound."""
    return Argument(_SPECIMEN.get(kind.name, "0"), kind)


def argument(kind: RType, binary: int, value: bytes | None) -> Argument:
    """A parameter's value.

    Raises:
        SqlError: it is not what its type and format say.
    """
    if value is None:
        return Argument(None, kind)
    if not binary or kind.is_string:
        try:
            return Argument(value.decode(), kind)
        except UnicodeDecodeError:
            raise SqlError("invalid byte sequence for encoding UTF8") from None
    try:
        return Argument(_decoded(kind, value), kind)
    except struct.error:
        raise SqlError("incorrect binary data format in a parameter") from None


def _decoded(kind: RType, value: bytes) -> str:
    if kind.name in _PACKED:
        return str(struct.unpack(_PACKED[kind.name], value)[0])
    if kind.name == "bool":
        return "t" if value[:1] == b"\1" else "f"
    if kind.name == "date":
        return str(date(2000, 1, 1) + timedelta(struct.unpack("!i", value)[0]))
    if kind.name in ("timestamp", "timestamptz"):
        moment = EPOCH + timedelta(microseconds=struct.unpack("!q", value)[0])
        return f"{moment.isoformat(' ')}{'+00' if kind.name == 'timestamptz' else ''}"
    if kind.name == "time":
        made = EPOCH + timedelta(microseconds=struct.unpack("!q", value)[0])
        return made.time().isoformat()
    raise Unsupported(f"parameters of the type {kind} in binary", "Send text.")
