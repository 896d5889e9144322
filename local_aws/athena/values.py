"""Typed SQL: what an expression of the query is in DuckDB, and which Trino type it has.

Everything here is a pure function from typed SQL to typed SQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_aws.athena import types as t
from local_aws.athena.errors import QueryError, unsupported
from local_aws.athena.types import Type
from local_aws.lake import failure, literal, quoted


@dataclass(frozen=True)
class Value:
    """DuckDB SQL (safe to put between commas) and the Trino type of its value.

    ``constant`` is the text of a string literal, for functions that need to know it beforehand.
    """

    sql: str
    type: Type
    constant: str | None = None


def fail(code: str, message_sql: str, type_: Type) -> str:
    """An expression that fails the query with ``<code>: <message>`` when it is evaluated."""
    return failure(f"{literal(code + ': ')} || {message_sql}", type_.duckdb)


def coerce(value: Value, to: Type) -> Value:
    """An implicit conversion, which never loses anything.

    https://trino.io/docs/current/language/types.html
    """
    from_ = value.type
    if from_ == to or (from_.name == to.name and from_.name == "varchar"):
        return Value(value.sql, to, value.constant)
    if from_.duckdb == to.duckdb and from_.name == to.name and to.name != "char":
        return Value(value.sql, to)
    if to.name == "char":
        return Value(f"rpad(rtrim({value.sql}, ' '), {to.args[0]}, ' ')", to)
    if from_.name == "char":
        return Value(value.sql, to)
    if to.name == "timestamp with time zone" and from_.name in ("date", "timestamp"):
        zone = to.zone or "UTC"
        return Value(f"(CAST({value.sql} AS TIMESTAMP) AT TIME ZONE {literal(zone)})", to)
    return Value(f"CAST({value.sql} AS {to.duckdb})", to)


def unify(values: list[Value], what: str, where: str = "") -> list[Value]:
    """The values brought to their common type.

    Raises:
        QueryError: they have none (TYPE_MISMATCH).
    """
    wanted = values[0].type
    for value in values[1:]:
        both = t.common(wanted, value.type)
        if both is None:
            raise QueryError("TYPE_MISMATCH", f"{where}{what}: {wanted} and {value.type}")
        wanted = both
    return [coerce(value, wanted) for value in values]


def local_time(value: Value) -> Value:
    """A timestamp as it is read on the clock of its zone."""
    if value.type.name != "timestamp with time zone":
        return value
    if value.type.zone is None:
        raise unsupported(
            "the wall clock of timestamps whose zone is only known in the data",
            "Say which with AT TIME ZONE '...'.",
        )
    zone = literal(value.type.zone)
    return Value(f"({value.sql} AT TIME ZONE {zone})", Type("timestamp", value.type.args))


_INTEGER = r"[+-]?\d+"
_NUMBER = r"\s*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?)\s*"
_DOUBLE = rf"{_NUMBER}|\s*[+-]?Infinity\s*|\s*NaN\s*"
_DATE = r"\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}\s*"
_TIMESTAMP = r"\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}( \d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,12})?)?)?\s*"
_ZONED = _TIMESTAMP[:-3] + r"( ?([+-]\d{1,2}(:?\d{2})?|UTC|Z|[A-Za-z]+(/[A-Za-z_/]+)+))?\s*"
_TRUE, _FALSE = "('t', 'true', '1')", "('f', 'false', '0')"


def cast(value: Value, to: Type) -> Value:
    """``CAST(value AS to)``; what cannot be converted fails with INVALID_CAST_ARGUMENT.

    https://trino.io/docs/current/functions/conversion.html

    Raises:
        QueryError: Trino has no such cast (TYPE_MISMATCH), or it is not supported.
    """
    from_ = value.type
    if from_ == to:
        return value
    if from_.name == "unknown":
        return Value(f"CAST(NULL AS {to.duckdb})", to)
    converted = _cast(value, to)
    if converted is None:
        raise QueryError("TYPE_MISMATCH", f"Cannot cast {from_} to {to}")
    return Value(converted, to, value.constant if to == t.VARCHAR and from_.text else None)


def _cast(value: Value, to: Type) -> str | None:
    from_, sql = value.type, value.sql
    if to.name == "varchar":
        text = as_text(value)
        if text is None or not to.args or (from_.name == "varchar" and from_.args <= to.args):
            return text
        if from_.text:
            return f"left({text}, {to.args[0]})"
        too_long = fail(
            "INVALID_CAST_ARGUMENT",
            f"'Value ' || {text} || ' cannot be represented as varchar({to.args[0]})'",
            to,
        )
        return f"CASE WHEN length({text}) <= {to.args[0]} THEN {text} ELSE {too_long} END"
    if to.name == "char":
        text = as_text(value)
        return text and f"rpad({text}, {to.args[0]}, ' ')"
    if from_.text:
        return _cast_text(sql, to, value.constant)
    if from_.name == "json":
        return _cast_json(sql, to)
    if to.name == "json":
        return _to_json(value)
    if from_.numeric and to.numeric:
        return _cast_number(sql, from_, to)
    if from_.name == "boolean" and to.numeric:
        return f"CAST({sql} AS {to.duckdb})"
    if from_.numeric and to.name == "boolean":
        return f"({sql} <> 0)"
    if from_.name == "date" and to.name in ("timestamp", "timestamp with time zone"):
        return coerce(value, to).sql
    if from_.name == "timestamp":
        if to.name == "date":
            return f"CAST({sql} AS DATE)"
        if to.name == "time":
            return f"CAST({sql} AS TIME)"
        if to.name == "timestamp":
            return sql if to.args >= from_.args else rounded(sql, to.args[0])
        if to.name == "timestamp with time zone":
            return f"({sql} AT TIME ZONE 'UTC')"
    if from_.name == "timestamp with time zone":
        if to.name == "timestamp with time zone":
            return sql
        if to.name in ("date", "timestamp", "time"):
            return f"CAST({local_time(value).sql} AS {to.duckdb})"
    if from_.name == to.name == "time":
        return sql
    if from_.name == to.name == "array":
        element = _cast(Value("e", from_.args[0]), to.args[0])
        if from_.args[0] == to.args[0]:
            return sql
        return element and f"list_transform({sql}, lambda e: {element})"
    if from_.name == to.name == "map":
        key = _cast(Value("e.key", from_.args[0]), to.args[0])
        item = _cast(Value("e.value", from_.args[1]), to.args[1])
        return (
            f"map_from_entries(list_transform(map_entries({sql}), lambda e:"
            f" struct_pack(k := {key}, v := {item})))"
            if key and item
            else None
        )
    if from_.name == to.name == "row" and len(from_.args) == len(to.args):
        fields = []
        for i, ((name, type_), (other, wanted)) in enumerate(zip(from_.args, to.args, strict=True)):
            member = field(Value(sql, from_), i, name, type_)
            inner = member.sql if type_ == wanted else _cast(member, wanted)
            if inner is None:
                return None
            fields.append(f"{quoted(t.field_name(other, i))} := {inner}")
        return f"CASE WHEN ({sql}) IS NULL THEN NULL ELSE struct_pack({', '.join(fields)}) END"
    return None


def field(value: Value, index: int, name: str | None, type_: Type) -> Value:
    """A field of a row."""
    key = literal(t.field_name(name, index))
    return Value(f"struct_extract({value.sql}, {key})", type_)


def rounded(sql: str, precision: int) -> str:
    """A timestamp rounded to a number of decimals of a second, as Trino rounds it.

    >>> rounded("ts", 3)
    "date_trunc('millisecond', ts + INTERVAL 500 MICROSECOND)"
    """
    if precision >= 6:
        return sql
    if precision == 3:
        return f"date_trunc('millisecond', {sql} + INTERVAL 500 MICROSECOND)"
    if precision == 0:
        return f"date_trunc('second', {sql} + INTERVAL 500 MILLISECOND)"
    raise unsupported(f"timestamp({precision})", "Use timestamp(0), (3) or (6).")


def _cast_number(sql: str, from_: Type, to: Type) -> str:
    if from_.name in ("double", "real") and to.integral:
        return f"CAST(round({sql}) AS {to.duckdb})"
    return f"CAST({sql} AS {to.duckdb})"


def _cast_text(sql: str, to: Type, constant: str | None) -> str | None:
    if to.name == "boolean":
        bad = fail("INVALID_CAST_ARGUMENT", f"'Cannot cast ''' || {sql} || ''' to BOOLEAN'", to)
        return (
            f"CASE WHEN lower({sql}) IN {_TRUE} THEN true WHEN lower({sql}) IN {_FALSE} THEN false"
            f" WHEN {sql} IS NULL THEN NULL ELSE {bad} END"
        )
    if to.name == "varbinary":
        return f"encode({sql})"
    if to.name == "json":
        return f"CAST(to_json({sql}) AS JSON)"
    patterns = {
        "decimal": _NUMBER, "double": _DOUBLE, "real": _DOUBLE, "date": _DATE,
        "timestamp": _TIMESTAMP, "timestamp with time zone": _ZONED,
        "time": r"\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,12})?)?",
    }  # fmt: skip
    pattern = _INTEGER if to.integral else patterns.get(to.name)
    if pattern is None:
        return None
    what = {"integer": "INT"}.get(to.name, str(to).upper())
    if to.name in ("date", "timestamp", "timestamp with time zone", "time"):
        what = f"Value cannot be cast to {to}: "
        bad = fail("INVALID_CAST_ARGUMENT", f"{literal(what)} || {sql}", to)
        good = f"CAST(trim({sql}) AS {to.duckdb})"
        if to.name == "timestamp" and (constant is None or "." in constant):
            good = good if to.args[0] in (1, 2, 4, 5) else rounded(good, to.args[0])
    else:
        bad = fail("INVALID_CAST_ARGUMENT", f"'Cannot cast ''' || {sql} || ''' to {what}'", to)
        good = f"CAST({sql} AS {to.duckdb})"
    if constant is not None and re.fullmatch(pattern, constant):
        return good.replace(f"trim({sql})", literal(constant.strip()))
    return (
        f"CASE WHEN regexp_full_match({sql}, {literal(pattern)}) THEN {good}"
        f" WHEN {sql} IS NULL THEN NULL ELSE {bad} END"
    )


def as_text(value: Value) -> str | None:
    """``CAST(value AS varchar)``, written as Trino writes it; None where Trino does not."""
    sql, name = value.sql, value.type.name
    if name in ("varchar", "char"):
        return sql
    if name == "boolean" or value.type.integral or name in ("decimal", "date"):
        return f"CAST({sql} AS VARCHAR)"
    if name in ("double", "real"):
        return f"trino_number_text(CAST({sql} AS VARCHAR))"
    if name == "timestamp":
        return _clock(sql, "%Y-%m-%d %H:%M:%S", value.type)
    if name == "timestamp with time zone":
        local = local_time(value)
        clock = _clock(local.sql, "%Y-%m-%d %H:%M:%S", value.type)
        return f"({clock} || {literal(f' {value.type.zone}')})"
    if name == "time":
        return _clock(f"(DATE '1970-01-01' + {sql})", "%H:%M:%S", value.type)
    if name == "json":
        return (
            f"CASE WHEN json_type({sql}) IN ('OBJECT', 'ARRAY') THEN "
            + fail("INVALID_CAST_ARGUMENT", f"'Cannot cast ' || {sql} || ' to VARCHAR'", t.VARCHAR)
            + f" ELSE ({sql}) ->> '$' END"
        )
    if name == "varbinary":
        return f"decode({sql})"
    return None


def _clock(sql: str, format_: str, type_: Type) -> str:
    """A moment as text with as many decimals of a second as its type has."""
    precision = type_.args[0] if type_.args else 3
    if precision == 0:
        return f"strftime({sql}, {literal(format_)})"
    text = f"strftime({sql}, {literal(format_ + '.%f')})"
    return text if precision >= 6 else f"left({text}, -{6 - precision})"


def _cast_json(sql: str, to: Type) -> str | None:
    text = f"(({sql}) ->> '$')"
    if to.name == "array":
        inner = _cast(Value("e", t.JSON), to.args[0])
        if to.args[0].name == "json":
            inner = "e"
        return inner and (
            f"list_transform(json_transform_strict({sql}, '[\"JSON\"]'), lambda e: {inner})"
        )
    if to.name == "map" and to.args[0].name == "varchar":
        member = f"({sql}) -> ('$.\"' || replace(k, '\"', '\\\"') || '\"')"
        inner = member if to.args[1].name == "json" else _cast(Value(member, t.JSON), to.args[1])
        return inner and (
            f"map_from_entries(list_transform(json_keys({sql}), lambda k:"
            f" struct_pack(k := k, v := {inner})))"
        )
    if to.name == "row":
        fields = []
        for i, (name, type_) in enumerate(to.args):
            if not name:
                return None
            member = f"({sql}) -> {literal(json_key(name))}"
            inner = member if type_.name == "json" else _cast(Value(member, t.JSON), type_)
            if inner is None:
                return None
            fields.append(f"{quoted(t.field_name(name, i))} := {inner}")
        return f"CASE WHEN json_type({sql}) = 'OBJECT' THEN struct_pack({', '.join(fields)}) END"
    if to.name in ("boolean", "decimal", "double", "real") or to.integral:
        if to.integral:
            bad = fail("INVALID_CAST_ARGUMENT", f"'Cannot cast ' || {sql} || ' to {to}'", to)
            return (
                f"CASE WHEN json_type({sql}) IN ('DOUBLE') THEN CAST(round(CAST({text} AS DOUBLE))"
                f" AS {to.duckdb}) WHEN regexp_full_match({text}, {literal(_INTEGER)}) THEN"
                f" CAST({text} AS {to.duckdb}) WHEN {text} IS NULL THEN NULL"
                f" WHEN {text} IN ('true', 'false') THEN CAST({text} = 'true' AS {to.duckdb})"
                f" ELSE {bad} END"
            )
        return f"CAST({text} AS {to.duckdb})"
    return None


def json_key(key: str) -> str:
    """A member's path in DuckDB: ``$."key"``."""
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


_AS_JSON = ("boolean", "varchar", "json", "date", *t.INTEGERS)


def _to_json(value: Value) -> str | None:
    def simple(type_: Type) -> bool:
        if type_.name == "array":
            return simple(type_.args[0])
        if type_.name == "map":
            return type_.args[0].name == "varchar" and simple(type_.args[1])
        if type_.name == "row":
            return all(name and simple(inner) for name, inner in type_.args)
        return type_.name in (*_AS_JSON, "double", "decimal")

    if not simple(value.type):
        raise unsupported(f"CAST({value.type} AS json)", "Cast its parts to varchar first.")
    return f"to_json({value.sql})"


MACROS = (
    # Java's Double.toString: 1.0E10, 1.0E-5, 123.0, NaN, Infinity, from DuckDB's shortest digits.
    """CREATE MACRO trino_digits(s) AS
    ltrim(replace(regexp_extract(s, '^-?([^e]*)', 1), '.', ''), '0')""",
    """CREATE MACRO trino_exponent(s) AS
    coalesce(TRY_CAST(nullif(regexp_extract(s, 'e(.*)$', 1), '') AS INTEGER), 0)
    + CASE WHEN regexp_extract(s, '^-?([0-9]+)', 1) <> '0'
        THEN length(regexp_extract(s, '^-?([0-9]+)', 1)) - 1
        ELSE -1 - length(regexp_extract(s, '^-?0\\.(0*)', 1)) END""",
    """CREATE MACRO trino_scientific(sign, digits, exponent) AS
    sign || left(digits, 1) || '.' || CASE WHEN rtrim(substr(digits, 2), '0') = '' THEN '0'
    ELSE rtrim(substr(digits, 2), '0') END || 'E' || CAST(exponent AS VARCHAR)""",
    """CREATE MACRO trino_plain(sign, digits, exponent) AS
    sign || CASE WHEN exponent < 0 THEN '0.' || repeat('0', -1 - exponent) || rtrim(digits, '0')
    ELSE rpad(left(digits, exponent + 1), CAST(exponent + 1 AS INTEGER), '0') || '.' ||
    CASE WHEN rtrim(substr(digits, exponent + 2), '0') = '' THEN '0'
    ELSE rtrim(substr(digits, exponent + 2), '0') END END""",
    """CREATE MACRO trino_number_text(s) AS CASE
    WHEN s IS NULL THEN NULL
    WHEN s = 'inf' THEN 'Infinity' WHEN s = '-inf' THEN '-Infinity'
    WHEN s = 'nan' OR s = '-nan' THEN 'NaN'
    WHEN trino_digits(s) = '' THEN CASE WHEN starts_with(s, '-') THEN '-0.0' ELSE '0.0' END
    WHEN trino_exponent(s) < -3 OR trino_exponent(s) >= 7
    THEN trino_scientific(CASE WHEN starts_with(s, '-') THEN '-' ELSE '' END,
        trino_digits(s), trino_exponent(s))
    ELSE trino_plain(CASE WHEN starts_with(s, '-') THEN '-' ELSE '' END,
        trino_digits(s), trino_exponent(s)) END""",
    # Integer quotient of unscaled decimals, rounded half up, as Trino divides decimals.
    """CREATE MACRO trino_quotient(n, d) AS
    (n // d) + CASE WHEN abs(n % d) * 2 >= abs(d) THEN CAST(sign(n) * sign(d) AS HUGEINT)
    ELSE CAST(0 AS HUGEINT) END""",
    """CREATE MACRO trino_substr(s, b) AS CASE
    WHEN b > 0 THEN substr(s, b)
    WHEN b = 0 OR -b > length(s) THEN CASE WHEN s IS NULL THEN NULL ELSE '' END
    ELSE substr(s, length(s) + b + 1) END""",
    """CREATE MACRO trino_substr3(s, b, n) AS CASE
    WHEN n IS NULL THEN NULL WHEN n <= 0 THEN CASE WHEN s IS NULL OR b IS NULL THEN NULL ELSE '' END
    ELSE left(trino_substr(s, b), n) END""",
    """CREATE MACRO trino_contains(l, x) AS CASE
    WHEN l IS NULL OR x IS NULL THEN NULL WHEN list_contains(l, x) THEN true
    WHEN list_position(l, NULL) IS NOT NULL THEN NULL ELSE false END""",
    """CREATE MACRO trino_any(l) AS CASE
    WHEN l IS NULL THEN NULL WHEN list_contains(l, true) THEN true
    WHEN list_position(l, NULL) IS NOT NULL THEN NULL ELSE false END""",
    """CREATE MACRO trino_all(l) AS CASE
    WHEN l IS NULL THEN NULL WHEN list_contains(l, false) THEN false
    WHEN list_position(l, NULL) IS NOT NULL THEN NULL ELSE true END""",
    """CREATE MACRO trino_unique(l) AS
    list_filter(l, lambda x, i: list_position(l, x) = i)""",
)
"""Macros that the translated SQL may call; created in each query's DuckDB connection."""


def unscaled(value: Value) -> str:
    """A decimal as the whole number of its smallest units, a HUGEINT."""
    precision, scale = value.type.args
    if scale == 0:
        return f"CAST({value.sql} AS HUGEINT)"
    if precision + scale < 38:
        power = f"CAST(1{'0' * scale} AS DECIMAL({scale + 1},0))"
        return f"CAST({value.sql} * {power} AS HUGEINT)"
    return f"CAST(replace(CAST({value.sql} AS VARCHAR), '.', '') AS HUGEINT)"


def scaled(sql: str, type_: Type) -> str:
    """The reverse of :func:`unscaled`; overflow fails."""
    scale = type_.args[1]
    if scale == 0:
        return f"CAST({sql} AS {type_.duckdb})"
    unit = f"CAST('0.{'0' * (scale - 1)}1' AS DECIMAL({scale},{scale}))"
    return f"CAST(CAST({sql} AS DECIMAL(38,0)) * {unit} AS {type_.duckdb})"


def divide_decimals(a: Value, b: Value) -> Value:
    """``decimal / decimal``: scale max(s1, s2), rounded half up, an error for a zero divisor.

    https://trino.io/docs/current/functions/decimal.html

    >>> str(divide_decimals(Value("a", t.decimal(10, 2)), Value("b", t.decimal(5, 1))).type)
    'decimal(11,2)'
    """
    (p1, s1), (_, s2) = a.type.args, b.type.args
    type_ = t.decimal(min(38, p1 + s2 + max(s2 - s1, 0)), max(s1, s2))
    shift = type_.args[1] - s1 + s2
    dividend = unscaled(a) if not shift else f"({unscaled(a)} * CAST(1{'0' * shift} AS HUGEINT))"
    return Value(scaled(f"trino_quotient({dividend}, {unscaled(b)})", type_), type_)


def arithmetic(operator: str, a: Value, b: Value, where: str = "") -> Value:
    """``+ - * / %`` on numbers, dates and intervals, with Trino's result types.

    Raises:
        QueryError: the operator does not exist for these types (TYPE_MISMATCH).
    """
    if a.type.numeric or b.type.numeric:
        a, b = (
            Value(f"CAST(NULL AS {other.type.duckdb})", other.type)
            if one.type.name == "unknown"
            else one
            for one, other in ((a, b), (b, a))
        )
    if a.type.numeric and b.type.numeric:
        return _number(operator, a, b, where)
    found = _moment(operator, a, b)
    if found is None:
        raise QueryError(
            "TYPE_MISMATCH", f"{where}Cannot apply operator: {a.type} {operator} {b.type}"
        )
    return found


def _number(operator: str, a: Value, b: Value, where: str) -> Value:
    if "decimal" in (a.type.name, b.type.name) and {a.type.name, b.type.name}.isdisjoint(
        ("real", "double")
    ):
        a = coerce(a, t.as_decimal(a.type))
        b = coerce(b, t.as_decimal(b.type))
        (p1, s1), (p2, s2) = a.type.args, b.type.args
        if operator == "/":
            return divide_decimals(a, b)
        if operator == "*":
            if s1 + s2 > 38:
                raise QueryError(
                    "INVALID_FUNCTION_ARGUMENT",
                    f"{where}DECIMAL scale must be in range [0, 38]: {s1 + s2}",
                )
            type_ = t.decimal(min(38, p1 + p2), s1 + s2)
        elif operator == "%":
            type_ = t.decimal(min(p1 - s1, p2 - s2) + max(s1, s2), max(s1, s2))
        else:
            scale = max(s1, s2)
            type_ = t.decimal(min(38, max(p1 - s1, p2 - s2) + scale + 1), scale)
            a, b = (Value(f"CAST({v.sql} AS {type_.duckdb})", type_) for v in (a, b))
        return Value(f"CAST({a.sql} {operator} {b.sql} AS {type_.duckdb})", type_)
    a, b = unify([a, b], "Cannot apply operator")
    duckdb = "//" if operator == "/" and a.type.integral else operator
    return Value(f"({a.sql} {duckdb} {b.sql})", a.type)


def _moment(operator: str, a: Value, b: Value) -> Value | None:
    intervals = ("interval day to second", "interval year to month")
    moments = ("date", "timestamp", "timestamp with time zone")
    if operator == "+" and a.type.name in intervals and b.type.name in moments:
        a, b = b, a
    if operator in "+-" and a.type.name in moments and b.type.name in intervals:
        if a.type.name == "date":
            return Value(f"CAST(({a.sql} {operator} {b.sql}) AS DATE)", a.type)
        if a.type.name == "timestamp with time zone" and b.type.name == intervals[1]:
            local = local_time(a)
            moved = f"(({local.sql} {operator} {b.sql}) AT TIME ZONE {literal(a.type.zone or '')})"
            return Value(moved, a.type)
        return Value(f"({a.sql} {operator} {b.sql})", a.type)
    if operator == "-" and a.type.name in moments and b.type.name in moments:
        both = t.common(a.type, b.type)
        if both is None:
            return None
        duckdb = "TIMESTAMPTZ" if both.zone or both.name.endswith("zone") else "TIMESTAMP"
        a, b = coerce(a, both), coerce(b, both)
        return Value(f"(CAST({a.sql} AS {duckdb}) - CAST({b.sql} AS {duckdb}))", t.DAY_TO_SECOND)
    if operator in "+-" and a.type.name == b.type.name and a.type.name in intervals:
        return Value(f"({a.sql} {operator} {b.sql})", a.type)
    if operator == "*" and a.type.integral and b.type.name in intervals:
        a, b = b, a
    if operator == "*" and a.type.name in intervals and b.type.integral:
        return Value(f"({a.sql} * {b.sql})", a.type)
    return None


def compare(operator: str, a: Value, b: Value, where: str = "") -> Value:
    """``= <> < <= > >=`` and ``IS [NOT] DISTINCT FROM``, on the common type.

    Raises:
        QueryError: the two have none: Trino compares no varchar with an integer.
    """
    both = t.common(a.type, b.type)
    if both is None:
        raise QueryError(
            "TYPE_MISMATCH", f"{where}Cannot apply operator: {a.type} {operator} {b.type}"
        )
    if operator in ("<", "<=", ">", ">=") and not both.orderable:
        raise QueryError(
            "TYPE_MISMATCH", f"{where}Cannot apply operator: {a.type} {operator} {b.type}"
        )
    a, b = coerce(a, both), coerce(b, both)
    return Value(f"({a.sql} {operator} {b.sql})", t.BOOLEAN)
