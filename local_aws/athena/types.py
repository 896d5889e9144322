"""Trino's types, their coercions, and how a value of each is held in DuckDB.

- https://docs.aws.amazon.com/athena/latest/ug/data-types.html
- https://trino.io/docs/current/language/types.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from local_aws.athena.errors import QueryError, unsupported
from local_aws.lake import HiveType, quoted

Dtype = exp.DataType.Type


@dataclass(frozen=True)
class Type:
    """One Trino type.

    ``args``: decimal (precision, scale); varchar (length,) or (); char (length,); timestamp
    (precision,); array (element,); map (key, value); row ((name or None, type), ...).
    ``zone`` belongs to ``timestamp with time zone``: the zone that every value of the expression
    has, where that is known. DuckDB holds the instant alone.
    """

    name: str
    args: tuple[Any, ...] = ()
    zone: str | None = None

    def __str__(self) -> str:
        if self.name == "row":
            fields = (f'"{n}" {t}' if n else str(t) for n, t in self.args)
            return f"row({', '.join(fields)})"
        if self.name == "timestamp with time zone":
            return f"timestamp({self.args[0]}) with time zone"
        if self.args:
            return f"{self.name}({','.join(str(a) for a in self.args)})"
        return self.name

    @property
    def duckdb(self) -> str:
        """The DuckDB type that holds it."""
        if self.name == "decimal":
            return f"DECIMAL({self.args[0]},{self.args[1]})"
        if self.name == "array":
            return f"{self.args[0].duckdb}[]"
        if self.name == "map":
            return f"MAP({self.args[0].duckdb}, {self.args[1].duckdb})"
        if self.name == "row":
            fields = (
                f"{quoted(field_name(n, i))} {t.duckdb}" for i, (n, t) in enumerate(self.args)
            )
            return f"STRUCT({', '.join(fields)})"
        return _DUCKDB[self.name]

    @property
    def integral(self) -> bool:
        return self.name in INTEGERS

    @property
    def numeric(self) -> bool:
        return self.name in NUMBERS

    @property
    def text(self) -> bool:
        return self.name in ("varchar", "char")

    @property
    def orderable(self) -> bool:
        if self.name in ("map", "json"):
            return False
        if self.name == "array":
            return bool(self.args[0].orderable)
        if self.name == "row":
            return all(t.orderable for _, t in self.args)
        return True


_DUCKDB = {
    "unknown": "INTEGER",
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "varchar": "VARCHAR",
    "char": "VARCHAR",
    "varbinary": "BLOB",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMPTZ",
    "interval day to second": "INTERVAL",
    "interval year to month": "INTERVAL",
    "json": "JSON",
}
INTEGERS = ("tinyint", "smallint", "integer", "bigint")
NUMBERS = (*INTEGERS, "decimal", "real", "double")
_AS_DECIMAL = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}

UNKNOWN = Type("unknown")
BOOLEAN = Type("boolean")
INTEGER = Type("integer")
BIGINT = Type("bigint")
REAL = Type("real")
DOUBLE = Type("double")
VARCHAR = Type("varchar")
VARBINARY = Type("varbinary")
DATE = Type("date")
TIME = Type("time", (3,))
TIMESTAMP = Type("timestamp", (3,))
DAY_TO_SECOND = Type("interval day to second")
YEAR_TO_MONTH = Type("interval year to month")
JSON = Type("json")


def decimal(precision: int, scale: int) -> Type:
    return Type("decimal", (precision, scale))


def array(element: Type) -> Type:
    return Type("array", (element,))


def map_(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def timestamptz(zone: str | None) -> Type:
    return Type("timestamp with time zone", (3,), zone)


def field_name(name: str | None, index: int) -> str:
    """The name of a row's field in DuckDB; Trino's rows may have unnamed fields."""
    return name or f"field{index}"


def as_decimal(type_: Type) -> Type:
    """An integer type as the decimal that holds it."""
    return type_ if type_.name == "decimal" else decimal(_AS_DECIMAL[type_.name], 0)


def from_hive(type_: HiveType) -> Type:
    """The type that a query sees of a catalog column."""
    if type_.name == "array":
        return array(from_hive(type_.args[0]))
    if type_.name == "map":
        return map_(from_hive(type_.args[0]), from_hive(type_.args[1]))
    if type_.name == "struct":
        return Type("row", tuple((n, from_hive(t)) for n, t in type_.args))
    simple = {
        "int": INTEGER,
        "float": REAL,
        "string": VARCHAR,
        "binary": VARBINARY,
        "timestamp": TIMESTAMP,
    }
    return simple.get(type_.name) or Type(type_.name, type_.args)


def to_hive(type_: Type, column: str) -> HiveType:
    """The catalog type of a column that a query writes.

    Raises:
        QueryError: Hive tables have no such type.
    """
    if type_.name == "array":
        return HiveType("array", (to_hive(type_.args[0], column),))
    if type_.name == "map":
        return HiveType("map", tuple(to_hive(t, column) for t in type_.args))
    if type_.name == "row":
        if not all(n for n, _ in type_.args):
            raise QueryError(
                "NOT_SUPPORTED", f"Anonymous row type is not supported in Hive: {column} {type_}"
            )
        return HiveType("struct", tuple((n.lower(), to_hive(t, column)) for n, t in type_.args))
    renamed = {"integer": "int", "real": "float", "varbinary": "binary", "timestamp": "timestamp"}
    if type_.name in renamed:
        return HiveType(renamed[type_.name])
    if type_.name == "varchar":
        return HiveType("varchar", type_.args) if type_.args else HiveType("string")
    if type_.name in ("boolean", "tinyint", "smallint", "bigint", "double", "date"):
        return HiveType(type_.name)
    if type_.name in ("decimal", "char"):
        return HiveType(type_.name, type_.args)
    raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {type_} (column {column})")


_SIMPLE = {
    Dtype.BOOLEAN: BOOLEAN,
    Dtype.TINYINT: Type("tinyint"),
    Dtype.SMALLINT: Type("smallint"),
    Dtype.INT: INTEGER,
    Dtype.BIGINT: BIGINT,
    Dtype.FLOAT: REAL,
    Dtype.DOUBLE: DOUBLE,
    Dtype.DATE: DATE,
    Dtype.VARBINARY: VARBINARY,
    Dtype.JSON: JSON,
}


def from_sql(node: exp.DataType) -> Type:
    """The type that a CAST names.

    Raises:
        QueryError: Trino has no such type, or the embedded AWS does not have it.
    """
    kind = node.this
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    parameters = [p for p in node.expressions if isinstance(p, exp.DataTypeParam)]
    numbers = [int(p.name) for p in parameters if p.name.isdigit()]
    if kind == Dtype.DECIMAL:
        precision, scale = (*numbers, *(38, 0)[len(numbers) :])[:2]
        if not 0 < precision <= 38:
            raise QueryError(
                "INVALID_FUNCTION_ARGUMENT", f"DECIMAL precision must be in range [1, 38]: {node}"
            )
        if scale > precision:
            raise QueryError(
                "INVALID_FUNCTION_ARGUMENT", f"DECIMAL scale must be in range [0, {precision}]"
            )
        return decimal(precision, scale)
    if kind in (Dtype.VARCHAR, Dtype.TEXT):
        return Type("varchar", tuple(numbers))
    if kind == Dtype.CHAR:
        return Type("char", tuple(numbers) or (1,))
    if kind in (Dtype.TIMESTAMP, Dtype.TIMESTAMPTZ, Dtype.TIME):
        precision = numbers[0] if numbers else 3
        if kind == Dtype.TIME:
            return Type("time", (precision,))
        if precision > 6:
            raise unsupported(f"timestamp({precision})", "Use at most timestamp(6).")
        if kind == Dtype.TIMESTAMP:
            return Type("timestamp", (precision,))
        return Type("timestamp with time zone", (precision,), "UTC")
    if kind == Dtype.ARRAY and len(node.expressions) == 1:
        return array(from_sql(node.expressions[0]))
    if kind == Dtype.MAP and len(node.expressions) == 2:
        return map_(from_sql(node.expressions[0]), from_sql(node.expressions[1]))
    if kind == Dtype.STRUCT:
        fields: list[tuple[str | None, Type]] = []
        for field in node.expressions:
            if isinstance(field, exp.ColumnDef):
                fields.append((field.name.lower(), from_sql(field.args["kind"])))
            else:
                fields.append((None, from_sql(field)))
        return Type("row", tuple(fields))
    if kind == Dtype.INTERVAL:
        unit = node.sql().upper()
        if unit == "INTERVAL DAY TO SECOND":
            return DAY_TO_SECOND
        if unit == "INTERVAL YEAR TO MONTH":
            return YEAR_TO_MONTH
    raise QueryError("TYPE_NOT_FOUND", f"Unknown type: {node.sql('trino').lower()}")


def common(a: Type, b: Type) -> Type | None:
    """The type to which both are coerced without being asked; None if there is none."""
    if a == b:
        return a
    if a.name == "unknown":
        return b
    if b.name == "unknown":
        return a
    if a.numeric and b.numeric:
        return _common_number(a, b)
    if a.name == b.name == "varchar":
        return Type("varchar", (max(a.args[0], b.args[0]),)) if a.args and b.args else VARCHAR
    if a.name == b.name == "char":
        return Type("char", (max(a.args[0], b.args[0]),))
    if {a.name, b.name} == {"varchar", "char"}:
        varchar, char = (a, b) if a.name == "varchar" else (b, a)
        longest = max(varchar.args[0], char.args[0]) if varchar.args else 65536
        return Type("char", (longest,))
    order = ("date", "timestamp", "timestamp with time zone")
    if a.name in order and b.name in order:
        wider = max(a, b, key=lambda t: order.index(t.name))
        precision = max([t.args[0] for t in (a, b) if t.args], default=3)
        zone = wider.zone
        if a.name == b.name and a.zone != b.zone:
            zone = None
        return Type(wider.name, (precision,), zone)
    if a.name == b.name and a.name in ("array", "map"):
        parts = [common(x, y) for x, y in zip(a.args, b.args, strict=True)]
        return None if None in parts else Type(a.name, tuple(parts))
    if a.name == b.name == "row" and len(a.args) == len(b.args):
        fields = []
        for (name, left), (other, right) in zip(a.args, b.args, strict=True):
            both = common(left, right)
            if both is None:
                return None
            fields.append((name if name == other else None, both))
        return Type("row", tuple(fields))
    if a.name == b.name == "time":
        return max(a, b, key=lambda t: t.args[0])
    return None


def _common_number(a: Type, b: Type) -> Type:
    names = {a.name, b.name}
    if "double" in names:
        return DOUBLE
    if "real" in names:
        return REAL
    if "decimal" in names:
        (p1, s1), (p2, s2) = as_decimal(a).args, as_decimal(b).args
        scale = max(s1, s2)
        return decimal(min(38, max(p1 - s1, p2 - s2) + scale), scale)
    return max(a, b, key=lambda t: INTEGERS.index(t.name))


def coercible(from_: Type, to: Type) -> bool:
    """Whether a value of ``from_`` may stand where ``to`` is wanted."""
    if from_ == to or from_.name == "unknown":
        return True
    if from_.name == "varchar" and to.name == "varchar":
        return not to.args or bool(from_.args and from_.args[0] <= to.args[0])
    if to.name == "decimal" and (from_.integral or from_.name == "decimal"):
        (p1, s1), (p2, s2) = as_decimal(from_).args, to.args
        return p1 - s1 <= p2 - s2 and s1 <= s2
    return common(from_, to) == to
