"""Redshift's data types: their names, their limits, how DuckDB stores them, how they combine.

https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from local_aws.redshift.errors import SqlError, Unsupported

MAX_VARCHAR = 65535
MAX_CHAR = 4096
DType = exp.DataType.Type


@dataclass(frozen=True)
class RType:
    """A Redshift type. ``a`` is a length in bytes or a precision, ``b`` a scale.

    ``unknown`` is the type of a string literal before its use gives it one, ``null`` of NULL.
    """

    name: str
    a: int = 0
    b: int = 0

    def __str__(self) -> str:
        """As ``format_type`` prints it: ``character varying(256)``, ``numeric(12,2)``."""
        long = LONG_NAMES.get(self.name, self.name)
        if self.name == "numeric":
            return f"{long}({self.a},{self.b})"
        if self.name in ("varchar", "bpchar"):
            return f"{long}({self.a})"
        return long

    @property
    def duck(self) -> str:
        """The DuckDB type that holds it."""
        if self.name == "numeric":
            return f"DECIMAL({self.a},{self.b})"
        return DUCK[self.name]

    @property
    def oid(self) -> int:
        return OIDS["varchar" if self.name in ("unknown", "null") else self.name]

    @property
    def modifier(self) -> int:
        """The length, or precision and scale, as PG_ATTRIBUTE.ATTTYPMOD has it; else -1."""
        if self.name == "numeric":
            return ((self.a << 16) | self.b) + 4
        return self.a + 4 if self.name in ("varchar", "bpchar") else -1

    @property
    def is_integer(self) -> bool:
        return self.name in INTEGERS

    @property
    def is_number(self) -> bool:
        return self.name in INTEGERS or self.name in ("numeric", "float4", "float8")

    @property
    def is_float(self) -> bool:
        return self.name in ("float4", "float8")

    @property
    def is_string(self) -> bool:
        return self.name in ("varchar", "bpchar", "unknown")

    @property
    def is_temporal(self) -> bool:
        return self.name in ("date", "timestamp", "timestamptz")


INTEGERS = ("int2", "int4", "int8")
LONG_NAMES = {
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "float4": "real",
    "float8": "double precision",
    "bool": "boolean",
    "varchar": "character varying",
    "bpchar": "character",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
}
DUCK = {
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "bool": "BOOLEAN",
    "varchar": "VARCHAR",
    "bpchar": "VARCHAR",
    "unknown": "VARCHAR",
    "null": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
    "time": "TIME",
    "interval": "INTERVAL",
}
OIDS = {
    "bool": 16,
    "int8": 20,
    "int2": 21,
    "int4": 23,
    "unknown": 705,
    "float4": 700,
    "float8": 701,
    "bpchar": 1042,
    "varchar": 1043,
    "date": 1082,
    "time": 1083,
    "timestamp": 1114,
    "timestamptz": 1184,
    "interval": 1186,
    "numeric": 1700,
}
"""The numbers of types in PG_TYPE, which the wire protocol uses too."""
DIGITS = {"int2": 5, "int4": 10, "int8": 19}

BOOL = RType("bool")
INT2, INT4, INT8 = RType("int2"), RType("int4"), RType("int8")
FLOAT4, FLOAT8 = RType("float4"), RType("float8")
DATE, TIMESTAMP, TIMESTAMPTZ = RType("date"), RType("timestamp"), RType("timestamptz")
TIME, INTERVAL = RType("time"), RType("interval")
UNKNOWN, NULL = RType("unknown"), RType("null")
TEXT = RType("varchar", MAX_VARCHAR)

_SIMPLE = {
    DType.SMALLINT: INT2,
    DType.INT: INT4,
    DType.BIGINT: INT8,
    DType.FLOAT: FLOAT4,
    DType.DOUBLE: FLOAT8,
    DType.BOOLEAN: BOOL,
    DType.DATE: DATE,
    DType.TIMESTAMP: TIMESTAMP,
    DType.TIMESTAMPTZ: TIMESTAMPTZ,
    DType.TIME: TIME,
    DType.NAME: RType("varchar", 128),
}
_STRINGS = (DType.VARCHAR, DType.NVARCHAR, DType.TEXT)
_CHARS = (DType.CHAR, DType.NCHAR, DType.BPCHAR)
_DECIMALS = (DType.DECIMAL,)


def numeric(precision: int, scale: int) -> RType:
    return RType("numeric", precision, scale)


def varchar(length: int) -> RType:
    return RType("varchar", max(1, min(length, MAX_VARCHAR)))


def from_sqlglot(kind: exp.DataType, default_varchar: int = 256) -> RType:
    """The type that a parsed type name means; a bare VARCHAR or TEXT is VARCHAR(256).

    https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html
    """
    if kind.this in _SIMPLE and not kind.expressions:
        return _SIMPLE[kind.this]
    sizes = [param.name for param in kind.expressions]
    if kind.this in _STRINGS:
        if sizes and sizes[0].lower() == "max":
            return RType("varchar", MAX_VARCHAR)
        length = int(sizes[0]) if sizes else default_varchar
        return RType("varchar", _limit("varchar", length, MAX_VARCHAR))
    if kind.this in _CHARS:
        bare = 256 if kind.this is DType.BPCHAR else 1
        length = int(sizes[0]) if sizes else bare
        return RType("bpchar", _limit("char", length, MAX_CHAR))
    if kind.this in _DECIMALS:
        precision = int(sizes[0]) if sizes else 18
        scale = int(sizes[1]) if len(sizes) > 1 else 0
        if not 1 <= precision <= 38:
            raise SqlError(f"NUMERIC precision {precision} must be between 1 and 38")
        if not 0 <= scale <= precision:
            raise SqlError(f"NUMERIC scale {scale} must be between 0 and precision {precision}")
        return numeric(precision, scale)
    if kind.this is DType.FLOAT and sizes:  # FLOAT(n)
        return FLOAT4 if int(sizes[0]) <= 24 else FLOAT8
    raise Unsupported(f"the Redshift data type {kind.sql(dialect='redshift')}")


def _limit(name: str, length: int, most: int) -> int:
    if length < 1:
        raise SqlError(f"length for type {name} must be at least 1")
    if length > most:
        raise SqlError(f"length for type {name} cannot exceed {most}")
    return length


def parse_type(text: str) -> RType:
    """The inverse of ``str(RType)``, and of any type name in a statement."""
    return from_sqlglot(exp.DataType.build(text, dialect="redshift"))


def as_numeric(kind: RType) -> RType:
    """An integer type as the numeric that holds it; a numeric is itself."""
    return numeric(DIGITS[kind.name], 0) if kind.is_integer else kind


def unify(kinds: Iterable[RType], what: str) -> RType:
    """The type of a CASE, COALESCE, IN, UNION column or comparison over values of these types.

    Raises:
        SqlError: they have no common type, as Redshift words it.
    """
    result = NULL
    for kind in kinds:
        merged = _merge(result, kind)
        if merged is None:
            raise SqlError(f"{what} types {result} and {kind} cannot be matched")
        result = merged
    return result


def _merge(a: RType, b: RType) -> RType | None:
    if a == b or b.name in ("null",):
        return a
    if a.name == "null":
        return b
    if a.name == "unknown" or b.name == "unknown":
        known = b if a.name == "unknown" else a
        if known.is_string:
            return varchar(max(a.a, b.a))
        return known
    if a.is_string and b.is_string:
        return varchar(max(a.a, b.a))
    if a.is_number and b.is_number:
        if a.is_float or b.is_float:
            return FLOAT4 if a.name == b.name == "float4" else FLOAT8
        if a.is_integer and b.is_integer:
            return max(a, b, key=lambda kind: DIGITS[kind.name])
        a, b = as_numeric(a), as_numeric(b)
        scale = max(a.b, b.b)
        return numeric(min(38, max(a.a - a.b, b.a - b.b) + scale), scale)
    if a.is_temporal and b.is_temporal:
        order = ("date", "timestamp", "timestamptz")
        return max(a, b, key=lambda kind: order.index(kind.name))
    return None


def from_duck(name: str) -> RType:
    """The Redshift type for a DuckDB result type, for columns that Redshift's system views give."""
    name = name.upper()
    if name.startswith("DECIMAL("):
        precision, scale = name[8:-1].split(",")
        return numeric(int(precision), int(scale))
    known = {
        "TINYINT": INT2,
        "SMALLINT": INT2,
        "UTINYINT": INT2,
        "INTEGER": INT4,
        "USMALLINT": INT4,
        "BIGINT": INT8,
        "UINTEGER": INT8,
        "HUGEINT": numeric(38, 0),
        "UBIGINT": numeric(20, 0),
        "FLOAT": FLOAT4,
        "DOUBLE": FLOAT8,
        "BOOLEAN": BOOL,
        "VARCHAR": TEXT,
        "DATE": DATE,
        "TIMESTAMP": TIMESTAMP,
        "TIMESTAMP_S": TIMESTAMP,
        "TIMESTAMP_MS": TIMESTAMP,
        "TIMESTAMP_NS": TIMESTAMP,
        "TIMESTAMP WITH TIME ZONE": TIMESTAMPTZ,
        "TIME": TIME,
        "INTERVAL": INTERVAL,
    }
    if name not in known:
        raise Unsupported(f"values of the type {name} in Redshift")
    return known[name]
