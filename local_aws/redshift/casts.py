"""Conversions between types: implicit, explicit, and on assignment to a column.

https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html#r_Type_conversion
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from local_aws.redshift.errors import SqlError
from local_aws.redshift.types import RType

if TYPE_CHECKING:
    from local_aws.redshift.compiler import Column, Compiler, Typed


def convert(compiler: Compiler, value: Typed, kind: RType, explicit: bool = False) -> Typed:
    """``value`` as ``kind``; VARCHAR(n) and CHAR(n) are cut to n bytes by an explicit CAST.

    >>> CAST('Redshift' AS VARCHAR(3))   -- 'Red'
    >>> CAST('12a' AS INT)               -- ERROR: Invalid digit, Value 'a', Pos 2, Type: Integer
    """
    source = value.type
    if source == kind:
        return replace(value, literal=None) if explicit else value
    if not _castable(source, kind):
        raise SqlError(f"cannot cast type {source} to {kind}")
    return replace(value, sql=_sql(value.sql, source, kind, explicit), type=kind, literal=None)


def _castable(source: RType, kind: RType) -> bool:
    if source.name in ("null", "unknown") or source.name == kind.name:
        return True
    if source.is_number:
        if kind.name == "bool":
            return source.is_integer
        return kind.is_number or kind.is_string
    if source.name == "bool":
        return kind.is_integer
    if source.is_string:
        return kind.name != "interval"
    if source.is_temporal:
        return kind.is_temporal or kind.is_string or kind.name == "time"
    return kind.is_string


def _sql(sql: str, source: RType, kind: RType, explicit: bool) -> str:
    if source.name == "null":
        return f"CAST({sql} AS {kind.duck})"
    if kind.is_string:
        shown = to_text(sql, source)
        fits = not explicit or (source.is_string and source.a <= kind.a)
        if kind.name == "bpchar":
            shown = f"rtrim({shown}, ' ')"
        return shown if fits else f"_rs.first_bytes({shown}, {kind.a})"
    if source.is_string:
        if kind.is_integer:
            return f"CAST(_rs.digits({sql}, {_label(kind)}) AS {kind.duck})"
        if kind.name in ("numeric", "float4", "float8"):
            return f"CAST(_rs.decimal_text({sql}, {_label(kind)}) AS {kind.duck})"
        if kind.is_temporal:
            return f"CAST(trim({sql}) AS {kind.duck})"
    return f"CAST({sql} AS {kind.duck})"


def _label(kind: RType) -> str:
    names = {"int2": "Short", "int4": "Integer", "int8": "Long", "numeric": "Decimal"}
    return f"'{names.get(kind.name, 'Double')}'"


def to_text(sql: str, source: RType) -> str:
    """A value as Redshift prints it when it is made VARCHAR.

    >>> CAST(1.0::FLOAT AS VARCHAR)   -- '1'
    """
    if source.is_string:
        return sql
    if source.is_float:
        return f"_rs.float_text({sql})"
    if source.name == "timestamptz":
        return f"(strftime({sql}, '%Y-%m-%d %H:%M:%S') || '+00')"
    return f"CAST({sql} AS VARCHAR)"


_ASSIGNABLE = {"bool": {"bool"}, "time": {"time"}, "interval": {"interval"}}


def assign(value: Typed, column: Column) -> str:
    """``value`` for writing into ``column``.

    Raises:
        SqlError: the type does not fit without a CAST, in Redshift's words.
    """
    source, kind = value.type, column.type
    allowed = (
        source.name in ("null", "unknown")
        or source.name == kind.name
        or (source.is_number and kind.is_number)
        or (source.is_temporal and kind.is_temporal)
        or (kind.is_string and source.name != "bool")
    )
    if not allowed:
        raise SqlError(
            f'column "{column.name}" is of type {kind} but expression is of type {source}',
            "You will need to rewrite or cast the expression.",
        )
    sql = _sql(value.sql, source, kind, explicit=False)
    if kind.is_string:
        if source.name == "null" or (source.is_string and source.a <= kind.a):
            return sql
        name = "character varying" if kind.name == "varchar" else "character"
        return f"_rs.fit({sql}, {kind.a}, '{name}({kind.a})')"
    return sql
