"""Trino's scalar functions that need more than a template, each a pure function of its call.

https://docs.aws.amazon.com/athena/latest/ug/functions-env3.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from local_aws.athena import types as t
from local_aws.athena.errors import QueryError, unsupported
from local_aws.athena.formats import strftime_format
from local_aws.athena.types import Type
from local_aws.athena.values import (
    Value,
    as_text,
    cast,
    coerce,
    compare,
    fail,
    field,
    json_key,
    local_time,
    rounded,
    scaled,
    unify,
    unscaled,
)
from local_aws.lake import literal, quoted

if TYPE_CHECKING:
    from local_aws.athena.expressions import Call

Translate = Callable[["Call"], Value]
SCALARS: dict[str, Translate] = {}


def function(*names: str) -> Callable[[Translate], Translate]:
    def register(translate: Translate) -> Translate:
        for name in names:
            SCALARS[name] = translate
        return translate

    return register


# Conditions: https://trino.io/docs/current/functions/conditional.html


@function("coalesce")
def coalesce(call: Call) -> Value:
    call.arity(2, 255)
    values = unify(call.values(), "All COALESCE operands must be the same type", call.where)
    return Value(f"coalesce({', '.join(v.sql for v in values)})", values[0].type)


@function("nullif")
def nullif(call: Call) -> Value:
    call.arity(2)
    first, second = call.values()
    same = compare("=", first, second, call.where)
    return Value(f"CASE WHEN {same.sql} THEN NULL ELSE {first.sql} END", first.type)


@function("if")
def if_(call: Call) -> Value:
    call.arity(2, 3)
    condition, *branches = call.values()
    condition = coerce(condition, t.BOOLEAN)
    if len(branches) == 1:
        branches.append(Value("NULL", t.UNKNOWN))
    then, otherwise = unify(branches, "Result types for IF must be the same", call.where)
    return Value(f"CASE WHEN {condition.sql} THEN {then.sql} ELSE {otherwise.sql} END", then.type)


@function("try")
def try_(call: Call) -> Value:
    """``try(1 / 0)`` is NULL. https://trino.io/docs/current/functions/conditional.html#try"""
    call.arity(1)
    if call.nodes[0].find(exp.Query):
        raise unsupported("a subquery inside TRY", "Put the subquery into FROM.")
    value = call.value(0)
    return Value(f"TRY({value.sql})", value.type)


@function("greatest", "least")
def greatest(call: Call) -> Value:
    """NULL as soon as one argument is; DuckDB would skip it."""
    call.arity(1, 127)
    values = unify(call.values(), f"No common type for {call.name}", call.where)
    if not values[0].type.orderable:
        raise call.unexpected()
    missing = " OR ".join(f"{v.sql} IS NULL" for v in values)
    both = f"{call.name}({', '.join(v.sql for v in values)})"
    return Value(f"CASE WHEN {missing} THEN NULL ELSE {both} END", values[0].type)


@function("typeof")
def typeof(call: Call) -> Value:
    call.arity(1)
    return Value(literal(str(call.value(0).type)), t.VARCHAR)


@function("uuid")
def uuid(call: Call) -> Value:
    call.arity(0)
    raise unsupported("uuid(): the type uuid", "Use to_hex(md5(to_utf8(...))) of a key.")


# Numbers: https://trino.io/docs/current/functions/math.html


@function("mod")
def mod(call: Call) -> Value:
    call.arity(2)
    return call.arithmetic("%", call.value(0), call.value(1))


@function("log")
def log(call: Call) -> Value:
    call.arity(2)
    base, number = (coerce(call.number(i), t.DOUBLE) for i in (0, 1))
    return Value(f"(ln({number.sql}) / ln({base.sql}))", t.DOUBLE)


def _decimal_only(call: Call) -> Value | None:
    value = call.value(0) if call.nodes else None
    if value is not None and value.type.name == "decimal":
        return value
    return None


@function("abs")
def abs_(call: Call) -> Value:
    value = _decimal_only(call)
    if value is None:
        return call.by_signature()
    return Value(f"abs({value.sql})", value.type)


@function("round")
def round_(call: Call) -> Value:
    """``round(decimal(p,s), d)`` is ``decimal(p+1,s)``; ``round(decimal(p,s))`` has no decimals."""
    value = _decimal_only(call)
    if value is None:
        return call.by_signature()
    call.arity(1, 2)
    precision, scale = value.type.args
    if len(call.nodes) == 1:
        type_ = t.decimal(min(38, precision - scale + min(1, scale)), 0)
        return Value(f"CAST(round({value.sql}, 0) AS {type_.duckdb})", type_)
    type_ = t.decimal(min(38, precision + 1), scale)
    places = call.integer_constant(1)
    if places >= scale:
        return Value(f"CAST({value.sql} AS {type_.duckdb})", type_)
    return Value(f"CAST(round({value.sql}, {places}) AS {type_.duckdb})", type_)


@function("ceil", "ceiling", "floor")
def ceil(call: Call) -> Value:
    value = _decimal_only(call)
    if value is None:
        return call.by_signature()
    call.arity(1)
    precision, scale = value.type.args
    type_ = t.decimal(min(38, precision - scale + min(1, scale)), 0)
    name = "floor" if call.name == "floor" else "ceil"
    return Value(f"CAST({name}({value.sql}) AS {type_.duckdb})", type_)


@function("truncate")
def truncate(call: Call) -> Value:
    value = _decimal_only(call)
    if value is None:
        return call.by_signature()
    if len(call.nodes) > 1:
        raise unsupported("truncate(decimal, places)", "Use round or a cast.")
    precision, scale = value.type.args
    type_ = t.decimal(max(1, precision - scale), 0)
    return Value(f"CAST(trunc({value.sql}) AS {type_.duckdb})", type_)


@function("sign")
def sign(call: Call) -> Value:
    value = _decimal_only(call)
    if value is None:
        return call.by_signature()
    return Value(f"CAST(sign({value.sql}) AS DECIMAL(1,0))", t.decimal(1, 0))


@function("random", "rand")
def random(call: Call) -> Value:
    if not call.nodes:
        return call.by_signature()
    call.arity(1, 2)
    values = [coerce(call.number(i), t.BIGINT) for i in range(len(call.nodes))]
    low, high = ("0", values[0].sql) if len(values) == 1 else (values[0].sql, values[1].sql)
    return Value(f"CAST({low} + floor(random() * ({high} - {low})) AS BIGINT)", t.BIGINT)


# Text: https://trino.io/docs/current/functions/string.html


@function("concat")
def concat(call: Call) -> Value:
    call.arity(1, 127)
    values = call.values()
    found = values[0]
    for value in values[1:]:
        found = concatenate(found, value, call.where)
    if found.type.name not in ("varchar", "array", "varbinary", "char"):
        raise call.unexpected()
    return found


def concatenate(a: Value, b: Value, where: str = "") -> Value:
    """``a || b`` for text and arrays; NULL if one is."""
    if a.type.name == "array" or b.type.name == "array":
        if a.type.name != "array":
            a = Value(f"[{a.sql}]", t.array(a.type))
        if b.type.name != "array":
            b = Value(f"[{b.sql}]", t.array(b.type))
        a, b = unify([a, b], "Cannot apply operator ||", where)
        joined = f"CASE WHEN {a.sql} IS NULL OR {b.sql} IS NULL THEN NULL ELSE"
        return Value(f"{joined} list_concat({a.sql}, {b.sql}) END", a.type)
    texts = ("varchar", "char", "unknown")
    if a.type.name in texts and b.type.name in texts:
        return Value(f"({a.sql} || {b.sql})", t.VARCHAR)
    if a.type.name == b.type.name == "varbinary":
        return Value(f"({a.sql} || {b.sql})", a.type)
    raise QueryError("TYPE_MISMATCH", f"{where}Cannot apply operator: {a.type} || {b.type}")


@function("concat_ws")
def concat_ws(call: Call) -> Value:
    call.arity(2, 127)
    values = [call.text(i) for i in range(len(call.nodes))]
    return Value(f"concat_ws({', '.join(v.sql for v in values)})", t.VARCHAR)


@function("split")
def split(call: Call) -> Value:
    if len(call.nodes) == 3:
        raise unsupported("split with a limit", "Split whole and use slice().")
    call.arity(2)
    _delimiter(call)
    return Value(_split(call.text(0).sql, call.text(1).sql), t.array(t.VARCHAR))


def _split(text: str, delimiter: str) -> str:
    """One empty part of an empty text, where DuckDB gives none."""
    return f"CASE WHEN {text} = '' THEN [''] ELSE string_split({text}, {delimiter}) END"


def _delimiter(call: Call) -> None:
    if call.text(1).constant == "":
        raise QueryError(
            "INVALID_FUNCTION_ARGUMENT", f"{call.where}The delimiter may not be the empty string"
        )


@function("replace")
def replace(call: Call) -> Value:
    if len(call.nodes) > 1 and call.text(1).constant == "":
        raise unsupported("replace of an empty text")
    return call.by_signature()


@function("split_part")
def split_part(call: Call) -> Value:
    """NULL past the last part, and an error for an index below 1."""
    call.arity(3)
    _delimiter(call)
    text, separator = call.text(0), call.text(1)
    index = coerce(call.number(2), t.BIGINT)
    bad = fail("INVALID_FUNCTION_ARGUMENT", "'Index must be greater than zero'", t.VARCHAR)
    part = f"list_extract({_split(text.sql, separator.sql)}, {index.sql})"
    return Value(f"CASE WHEN {index.sql} <= 0 THEN {bad} ELSE {part} END", t.VARCHAR)


@function("strpos")
def strpos(call: Call) -> Value:
    if len(call.nodes) == 3:
        raise unsupported("strpos with an instance", "Use split_part or regexp_extract.")
    return call.by_signature()


def _pattern(call: Call, index: int) -> Value:
    pattern = call.text(index)
    if pattern.constant is None:
        return pattern
    for construct in ("(?=", "(?!", "(?<=", "(?<!", "(?>", "\\1", "\\2", "\\k<"):
        if construct in pattern.constant:
            raise unsupported(f"{construct} in a regular expression", "RE2 syntax is supported.")
    return Value(pattern.sql.replace("(?<", "(?P<"), pattern.type, pattern.constant)


@function("regexp_like")
def regexp_like(call: Call) -> Value:
    call.arity(2)
    return Value(f"regexp_matches({call.text(0).sql}, {_pattern(call, 1).sql})", t.BOOLEAN)


@function("regexp_extract", "regexp_extract_all")
def regexp_extract(call: Call) -> Value:
    """NULL where nothing matches; DuckDB would give an empty text."""
    call.arity(2, 3)
    text, pattern = call.text(0), _pattern(call, 1)
    group = call.integer_constant(2) if len(call.nodes) == 3 else 0
    if group and (
        pattern.constant is None
        or any(part in pattern.constant for part in ("|", ")?", ")*", "){0"))
    ):
        raise unsupported(
            f"{call.name} of a group that may not take part in the match",
            "Make the group obligatory, without | ? or * on it.",
        )
    if call.name == "regexp_extract_all":
        found = f"regexp_extract_all({text.sql}, {pattern.sql}, {group})"
        return Value(found, t.array(t.VARCHAR))
    return Value(
        f"CASE WHEN regexp_matches({text.sql}, {pattern.sql})"
        f" THEN regexp_extract({text.sql}, {pattern.sql}, {group}) END",
        t.VARCHAR,
    )


@function("regexp_replace")
def regexp_replace(call: Call) -> Value:
    """Every match; ``$1`` and ``${name}`` become RE2's ``\\1``."""
    call.arity(2, 3)
    if isinstance(call.nodes[-1], exp.Lambda):
        raise unsupported("regexp_replace with a lambda")
    text, pattern = call.text(0), _pattern(call, 1)
    replacement = "''"
    if len(call.nodes) == 3:
        value = call.text(2)
        if value.constant is None:
            raise unsupported("a computed replacement in regexp_replace", "Write it as a literal.")
        replacement = literal(_re2_replacement(value.constant))
    return Value(f"regexp_replace({text.sql}, {pattern.sql}, {replacement}, 'g')", t.VARCHAR)


def _re2_replacement(text: str) -> str:
    out = []
    index = 0
    while index < len(text):
        char = text[index]
        following = text[index + 1 : index + 2]
        if char == "$" and following.isdigit():
            out.append("\\" + following)
            index += 2
        elif char == "\\" and following:
            out.append("\\\\" if following == "\\" else following)
            index += 2
        elif char == "$":
            raise unsupported(f"the replacement {text!r}", "Use $1 to $9, and \\$ for a dollar.")
        else:
            out.append(char)
            index += 1
    return "".join(out)


@function("regexp_count")
def regexp_count(call: Call) -> Value:
    call.arity(2)
    matches = f"regexp_extract_all({call.text(0).sql}, {_pattern(call, 1).sql})"
    return Value(f"CAST(len({matches}) AS BIGINT)", t.BIGINT)


@function("regexp_split")
def regexp_split(call: Call) -> Value:
    call.arity(2)
    parts = f"string_split_regex({call.text(0).sql}, {_pattern(call, 1).sql})"
    return Value(parts, t.array(t.VARCHAR))


@function("to_base")
def to_base(call: Call) -> Value:
    call.arity(2)
    number, radix = coerce(call.number(0), t.BIGINT), call.integer_constant(1)
    return Value(f"lower(to_base({number.sql}, {radix}))", t.VARCHAR)


@function("from_base")
def from_base(call: Call) -> Value:
    raise unsupported("from_base", "Use from_hex, or CAST for base 10.")


# Dates: https://trino.io/docs/current/functions/datetime.html

_MOMENTS = ("date", "timestamp", "timestamp with time zone")
_DATE_UNITS = ("day", "week", "month", "quarter", "year")
_TIME_UNITS = ("millisecond", "second", "minute", "hour")
_STEP = {
    "millisecond": "to_milliseconds({})",
    "second": "to_seconds({})",
    "minute": "to_minutes({})",
    "hour": "to_hours({})",
    "day": "to_days(CAST({} AS INTEGER))",
    "week": "to_days(CAST(7 * {} AS INTEGER))",
    "month": "to_months(CAST({} AS INTEGER))",
    "quarter": "to_months(CAST(3 * {} AS INTEGER))",
    "year": "to_years(CAST({} AS INTEGER))",
}


def _unit(call: Call, moment: Type) -> str:
    unit = call.constant(0).lower()
    known = _DATE_UNITS if moment.name == "date" else (*_TIME_UNITS, *_DATE_UNITS)
    if unit not in known:
        kind = "DATE" if moment.name == "date" else "Timestamp"
        raise QueryError(
            "INVALID_FUNCTION_ARGUMENT", f"{call.where}'{unit}' is not a valid {kind} field"
        )
    return unit


def _moment(call: Call, index: int) -> Value:
    value = call.value(index)
    if value.type.name == "unknown":
        return coerce(value, t.TIMESTAMP)
    if value.type.name not in _MOMENTS:
        raise call.unexpected()
    return value


def _zoned(value: Value, change: Callable[[str], str]) -> Value:
    """``change`` applied to the wall clock, and the result put back into its zone."""
    local = local_time(value)
    if local is value:
        kept = f"CAST({change(value.sql)} AS {value.type.duckdb})"
        return Value(kept, value.type)
    zone = literal(value.type.zone or "")
    return Value(f"(CAST({change(local.sql)} AS TIMESTAMP) AT TIME ZONE {zone})", value.type)


@function("date_add")
def date_add(call: Call) -> Value:
    """The result has the type of the third argument: a DATE stays a DATE.

    >>> date_add('month', 1, DATE '2024-01-31')  -- DATE '2024-02-29'
    """
    call.arity(3)
    moment = _moment(call, 2)
    step = _STEP[_unit(call, moment.type)].format(coerce(call.number(1), t.BIGINT).sql)
    return _zoned(moment, lambda sql: f"({sql} + {step})")


@function("date_diff")
def date_diff(call: Call) -> Value:
    """Whole units that have passed; DuckDB's date_diff counts boundaries, its date_sub units."""
    call.arity(3)
    first, second = unify(
        [_moment(call, 1), _moment(call, 2)], "date_diff of different types", call.where
    )
    unit = _unit(call, first.type)
    if first.type.name == "timestamp with time zone":
        first, second = local_time(first), local_time(second)
    return Value(f"CAST(date_sub('{unit}', {first.sql}, {second.sql}) AS BIGINT)", t.BIGINT)


@function("date_trunc")
def date_trunc(call: Call) -> Value:
    """``date_trunc('month', DATE '2024-01-31')`` is a DATE; weeks begin on Monday."""
    call.arity(2)
    moment = _moment(call, 1)
    unit = _unit(call, moment.type)
    return _zoned(moment, lambda sql: f"date_trunc('{unit}', {sql})")


@function("date")
def date(call: Call) -> Value:
    call.arity(1)
    return cast(call.value(0), t.DATE)


@function("now")
def now(call: Call) -> Value:
    call.arity(0)
    return Value("date_trunc('millisecond', now())", t.timestamptz("UTC"))


@function("current_timestamp", "localtimestamp")
def current_timestamp(call: Call) -> Value:
    call.arity(0, 1)
    if call.nodes and call.integer_constant(0) != 3:
        raise unsupported(f"{call.name}({call.integer_constant(0)})", f"Use {call.name}.")
    value = now(call.without_arguments())
    return local_time(value) if call.name == "localtimestamp" else value


@function("at_timezone")
def at_timezone(call: Call) -> Value:
    call.arity(2)
    return in_zone(call.value(0), call.constant(1))


def in_zone(value: Value, zone: str) -> Value:
    """``value AT TIME ZONE zone``: the same instant on another clock."""
    if value.type.name == "timestamp":
        value = coerce(value, t.timestamptz("UTC"))
    if value.type.name != "timestamp with time zone":
        raise QueryError(
            "TYPE_MISMATCH", f"Type of value must be a time or timestamp (actual {value.type})"
        )
    return Value(value.sql, Type(value.type.name, value.type.args, zone))


@function("with_timezone")
def with_timezone(call: Call) -> Value:
    call.arity(2)
    value, zone = call.value(0), call.constant(1)
    if value.type.name != "timestamp":
        raise call.unexpected()
    return Value(f"({value.sql} AT TIME ZONE {literal(zone)})", t.timestamptz(zone))


@function("from_unixtime")
def from_unixtime(call: Call) -> Value:
    call.arity(1, 2)
    zone = call.constant(1) if len(call.nodes) == 2 else "UTC"
    seconds = coerce(call.number(0), t.DOUBLE)
    return Value(rounded(f"to_timestamp({seconds.sql})", 3), t.timestamptz(zone))


@function("to_unixtime")
def to_unixtime(call: Call) -> Value:
    call.arity(1)
    value = _moment(call, 0)
    return Value(f"epoch({value.sql})", t.DOUBLE)


@function("from_iso8601_date")
def from_iso8601_date(call: Call) -> Value:
    call.arity(1)
    return cast(call.text(0), t.DATE)


@function("from_iso8601_timestamp")
def from_iso8601_timestamp(call: Call) -> Value:
    """The zone is the text's: say AT TIME ZONE before reading its clock."""
    call.arity(1)
    text = call.text(0)
    pattern = r"\d{4}-\d{2}-\d{2}(T\d{2}(:\d{2}(:\d{2}([.,]\d{1,9})?)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?"
    zone: str | None = None
    if text.constant is not None:
        tail = text.constant[10:]
        zone = "UTC" if not any(sign in tail for sign in "+-") else None
    type_ = t.timestamptz(zone)
    bad = fail("INVALID_FUNCTION_ARGUMENT", f"'Invalid format: \"' || {text.sql} || '\"'", type_)
    return Value(
        f"CASE WHEN {text.sql} IS NULL THEN NULL WHEN regexp_full_match({text.sql},"
        f" {literal(pattern)}) THEN {rounded(f'CAST({text.sql} AS TIMESTAMPTZ)', 3)}"
        f" ELSE {bad} END",
        type_,
    )


@function("to_iso8601")
def to_iso8601(call: Call) -> Value:
    call.arity(1)
    value = _moment(call, 0)
    if value.type.name == "date":
        return Value(f"CAST({value.sql} AS VARCHAR)", t.VARCHAR)
    local = local_time(value)
    text = f"strftime({local.sql}, '%Y-%m-%dT%H:%M:%S.%g')"
    if local is not value:
        if value.type.zone != "UTC":
            raise unsupported("to_iso8601 in a zone other than UTC", "AT TIME ZONE 'UTC' first.")
        text += " || 'Z'"
    return Value(f"({text})", t.VARCHAR)


@function("date_format")
def date_format(call: Call) -> Value:
    """MySQL's format letters: ``date_format(ts, '%Y-%m-%d %H:%i:%s')``."""
    call.arity(2)
    value = local_time(_moment(call, 0))
    format_ = strftime_format(call.constant(1))
    return Value(f"strftime({value.sql}, {literal(format_)})", t.VARCHAR)


@function("date_parse")
def date_parse(call: Call) -> Value:
    call.arity(2)
    format_ = strftime_format(call.constant(1), parsing=True)
    text = call.text(0).sql
    if "%Y" not in format_:
        # Without a year Trino takes 1970, DuckDB 1900.
        text, format_ = f"'1970 ' || {text}", f"%Y {format_}"
    return Value(rounded(f"strptime({text}, {literal(format_)})", 3), t.TIMESTAMP)


# JSON: https://trino.io/docs/current/functions/json.html


def _json_path(call: Call, index: int) -> str:
    """Trino's ``$.store.book[0]["title"]`` as DuckDB's path."""
    path = call.constant(index)
    rest = path.strip()
    out = ["$"]
    if not rest.startswith("$"):
        rest = f"$.{rest}"
    rest = rest[1:]
    while rest:
        if rest.startswith("["):
            end = rest.find("]")
            inner = rest[1:end].strip()
            if end < 0 or not inner:
                raise QueryError("INVALID_FUNCTION_ARGUMENT", f"Invalid JSON path: '{path}'")
            if inner.isdigit():
                out.append(f"[{inner}]")
            elif inner[0] == inner[-1] and inner[0] in "\"'" and len(inner) > 1:
                out.append(json_key(inner[1:-1])[1:])
            else:
                raise unsupported(f"the JSON path {path!r}", 'Use $.key, [0] and ["key"].')
            rest = rest[end + 1 :]
            continue
        if not rest.startswith(".") or rest.startswith(".."):
            raise unsupported(f"the JSON path {path!r}", 'Use $.key, [0] and ["key"].')
        rest = rest[1:]
        end = min((i for i in (rest.find("."), rest.find("[")) if i >= 0), default=len(rest))
        key = rest[:end]
        if not key or key == "*" or "?" in key or "@" in key:
            raise unsupported(f"the JSON path {path!r}", 'Use $.key, [0] and ["key"].')
        out.append(json_key(key.strip('"'))[1:])
        rest = rest[end:]
    return "".join(out)


def _document(call: Call) -> str:
    """The JSON argument; text that is no JSON is NULL, as in json_extract."""
    value = call.value(0)
    if value.type.name == "json":
        return value.sql
    if not value.type.text and value.type.name != "unknown":
        raise call.unexpected()
    return f"CASE WHEN json_valid({value.sql}) THEN CAST({value.sql} AS JSON) END"


@function("json_extract")
def json_extract(call: Call) -> Value:
    call.arity(2)
    return Value(f"json_extract({_document(call)}, {literal(_json_path(call, 1))})", t.JSON)


@function("json_extract_scalar")
def json_extract_scalar(call: Call) -> Value:
    """NULL for objects and arrays."""
    call.arity(2)
    found = f"json_extract({_document(call)}, {literal(_json_path(call, 1))})"
    return Value(
        f"CASE WHEN json_type({found}) NOT IN ('OBJECT', 'ARRAY') THEN ({found}) ->> '$' END",
        t.VARCHAR,
    )


@function("json_parse")
def json_parse(call: Call) -> Value:
    call.arity(1)
    text = call.text(0)
    return Value(json_value(text.sql), t.JSON)


def json_value(sql: str) -> str:
    bad = fail(
        "INVALID_FUNCTION_ARGUMENT", f"'Cannot convert value to JSON: ''' || {sql} || ''''", t.JSON
    )
    return (
        f"CASE WHEN {sql} IS NULL THEN NULL WHEN json_valid({sql}) THEN json({sql}) ELSE {bad} END"
    )


@function("json_array_length")
def json_array_length(call: Call) -> Value:
    call.arity(1)
    document = _document(call)
    return Value(
        f"CASE WHEN json_type({document}) = 'ARRAY'"
        f" THEN CAST(json_array_length({document}) AS BIGINT) END",
        t.BIGINT,
    )


@function("json_size")
def json_size(call: Call) -> Value:
    call.arity(2)
    found = f"json_extract({_document(call)}, {literal(_json_path(call, 1))})"
    return Value(
        f"CASE json_type({found}) WHEN 'ARRAY' THEN CAST(json_array_length({found}) AS BIGINT)"
        f" WHEN 'OBJECT' THEN CAST(len(json_keys({found})) AS BIGINT)"
        f" ELSE CASE WHEN {found} IS NULL THEN NULL ELSE CAST(0 AS BIGINT) END END",
        t.BIGINT,
    )


@function("is_json_scalar")
def is_json_scalar(call: Call) -> Value:
    call.arity(1)
    return Value(f"(json_type({_document(call)}) NOT IN ('OBJECT', 'ARRAY'))", t.BOOLEAN)


# Arrays, maps, rows: https://trino.io/docs/current/functions/array.html and map.html


def _array(call: Call, index: int) -> Value:
    value = call.value(index)
    if value.type.name != "array":
        raise call.unexpected()
    return value


def _map(call: Call, index: int) -> Value:
    value = call.value(index)
    if value.type.name != "map":
        raise call.unexpected()
    return value


@function("cardinality")
def cardinality(call: Call) -> Value:
    call.arity(1)
    value = call.value(0)
    if value.type.name not in ("array", "map"):
        raise call.unexpected()
    name = "len" if value.type.name == "array" else "cardinality"
    return Value(f"CAST({name}({value.sql}) AS BIGINT)", t.BIGINT)


@function("element_at")
def element_at(call: Call) -> Value:
    """NULL where there is no such element; an index of 0 is an error; -1 is the last."""
    call.arity(2)
    value = call.value(0)
    if value.type.name == "map":
        key = coerce(call.value(1), value.type.args[0])
        return Value(f"map_extract_value({value.sql}, {key.sql})", value.type.args[1])
    if value.type.name == "array":
        index = coerce(call.number(1), t.BIGINT)
        element = value.type.args[0]
        bad = fail("INVALID_FUNCTION_ARGUMENT", "'SQL array indices start at 1'", element)
        got = f"list_extract({value.sql}, {index.sql})"
        return Value(f"CASE WHEN {index.sql} = 0 THEN {bad} ELSE {got} END", element)
    raise call.unexpected()


def subscript(value: Value, key: Value, where: str = "") -> Value:
    """``array[i]`` and ``map[key]``; what is not there is an error."""
    if value.type.name == "map":
        wanted, found = value.type.args
        key = coerce(key, wanted)
        missing = fail("INVALID_FUNCTION_ARGUMENT", "'Key not present in map'", found)
        return Value(
            f"CASE WHEN {value.sql} IS NULL OR map_contains({value.sql}, {key.sql})"
            f" THEN map_extract_value({value.sql}, {key.sql}) ELSE {missing} END",
            found,
        )
    if value.type.name == "row":
        if not key.sql.isdigit() or not 0 < int(key.sql) <= len(value.type.args):
            raise QueryError(
                "TYPE_MISMATCH",
                f"{where}Subscript expression on ROW requires a constant within its fields",
            )
        index = int(key.sql) - 1
        return field(value, index, *value.type.args[index])
    if value.type.name != "array" or not key.type.integral:
        raise QueryError("TYPE_MISMATCH", f"{where}Cannot subscript {value.type} by {key.type}")
    element = value.type.args[0]
    message = (
        f"CASE WHEN {key.sql} = 0 THEN 'SQL array indices start at 1' WHEN {key.sql} < 0"
        f" THEN 'Array subscript is negative: ' || {key.sql} ELSE 'Array subscript must be less"
        f" than or equal to array length: ' || {key.sql} || ' > ' || len({value.sql}) END"
    )
    bad = fail("INVALID_FUNCTION_ARGUMENT", f"({message})", element)
    return Value(
        f"CASE WHEN {value.sql} IS NULL OR {key.sql} IS NULL THEN NULL WHEN {key.sql} BETWEEN 1"
        f" AND len({value.sql}) THEN list_extract({value.sql}, {key.sql}) ELSE {bad} END",
        element,
    )


@function("contains")
def contains(call: Call) -> Value:
    call.arity(2)
    array, element = _with_element(call)
    return Value(f"trino_contains({array.sql}, {element.sql})", t.BOOLEAN)


def _with_element(call: Call) -> tuple[Value, Value]:
    array, _ = unify(
        [_array(call, 0), Value(f"[{call.value(1).sql}]", t.array(call.value(1).type))],
        f"Unexpected parameters for {call.name}",
        call.where,
    )
    return array, coerce(call.value(1), array.type.args[0])


@function("array_position")
def array_position(call: Call) -> Value:
    call.arity(2)
    array, element = _with_element(call)
    return Value(
        f"CASE WHEN {array.sql} IS NULL OR {element.sql} IS NULL THEN NULL ELSE"
        f" CAST(coalesce(list_position({array.sql}, {element.sql}), 0) AS BIGINT) END",
        t.BIGINT,
    )


@function("array_remove")
def array_remove(call: Call) -> Value:
    call.arity(2)
    array, element = _with_element(call)
    name = call.fresh()
    return Value(
        f"list_filter({array.sql}, lambda {name}: {name} IS NULL OR {name} <> {element.sql})",
        array.type,
    )


@function("array_distinct")
def array_distinct(call: Call) -> Value:
    call.arity(1)
    array = _array(call, 0)
    return Value(f"trino_unique({array.sql})", array.type)


@function("array_union", "array_intersect", "array_except")
def array_sets(call: Call) -> Value:
    call.arity(2)
    a, b = unify([_array(call, 0), _array(call, 1)], call.name, call.where)
    missing = f"CASE WHEN {a.sql} IS NULL OR {b.sql} IS NULL THEN NULL ELSE"
    if call.name == "array_union":
        return Value(f"{missing} trino_unique(list_concat({a.sql}, {b.sql})) END", a.type)
    name = call.fresh()
    test = "IS NOT NULL" if call.name == "array_intersect" else "IS NULL"
    kept = f"list_filter({a.sql}, lambda {name}: list_position({b.sql}, {name}) {test})"
    return Value(f"{missing} trino_unique({kept}) END", a.type)


@function("arrays_overlap")
def arrays_overlap(call: Call) -> Value:
    call.arity(2)
    a, b = unify([_array(call, 0), _array(call, 1)], call.name, call.where)
    name = call.fresh()
    hits = f"list_transform({a.sql}, lambda {name}: trino_contains({b.sql}, {name}))"
    return Value(f"CASE WHEN {b.sql} IS NOT NULL THEN trino_any({hits}) END", t.BOOLEAN)


@function("array_sort")
def array_sort(call: Call) -> Value:
    if len(call.nodes) == 2:
        raise unsupported("array_sort with a comparator", "Use array_agg(... ORDER BY ...).")
    call.arity(1)
    array = _array(call, 0)
    return Value(f"list_sort({array.sql}, 'ASC', 'NULLS LAST')", array.type)


@function("array_max", "array_min")
def array_max(call: Call) -> Value:
    """NULL if an element is."""
    call.arity(1)
    array = _array(call, 0)
    name = "list_max" if call.name == "array_max" else "list_min"
    return Value(
        f"CASE WHEN list_position({array.sql}, NULL) IS NULL THEN {name}({array.sql}) END",
        array.type.args[0],
    )


@function("array_join")
def array_join(call: Call) -> Value:
    call.arity(2, 3)
    array, separator = _array(call, 0), call.text(1)
    name = call.fresh()
    text = as_text(Value(name, array.type.args[0]))
    if text is None:
        raise call.unexpected()
    if len(call.nodes) == 3:
        text = f"coalesce({text}, {call.text(2).sql})"
    parts = f"list_transform({array.sql}, lambda {name}: {text})"
    joined = f"array_to_string({parts}, {separator.sql})"
    return Value(f"CASE WHEN {array.sql} IS NOT NULL THEN coalesce({joined}, '') END", t.VARCHAR)


@function("flatten")
def flatten(call: Call) -> Value:
    call.arity(1)
    array = _array(call, 0)
    if array.type.args[0].name != "array":
        raise call.unexpected()
    return Value(f"flatten({array.sql})", array.type.args[0])


@function("reverse")
def reverse(call: Call) -> Value:
    call.arity(1)
    value = call.value(0)
    if value.type.name == "array":
        return Value(f"list_reverse({value.sql})", value.type)
    return call.by_signature()


@function("slice")
def slice_(call: Call) -> Value:
    call.arity(3)
    array = _array(call, 0)
    start, length = (coerce(call.number(i), t.BIGINT).sql for i in (1, 2))
    begin = f"CASE WHEN {start} < 0 THEN len({array.sql}) + {start} + 1 ELSE {start} END"
    bad = fail("INVALID_FUNCTION_ARGUMENT", "'SQL array indices start at 1'", array.type)
    return Value(
        f"CASE WHEN {start} = 0 THEN {bad} WHEN {begin} <= 0 AND {array.sql} IS NOT NULL THEN []"
        f" ELSE list_slice({array.sql}, {begin}, ({begin}) + {length} - 1) END",
        array.type,
    )


@function("repeat")
def repeat(call: Call) -> Value:
    call.arity(2)
    element, count = call.value(0), coerce(call.number(1), t.BIGINT)
    name = call.fresh()
    return Value(
        f"list_transform(range(0, {count.sql}), lambda {name}: {element.sql})",
        t.array(element.type),
    )


@function("sequence")
def sequence(call: Call) -> Value:
    """Both ends included. Dates step by a day unless told; numbers by 1 or -1."""
    call.arity(2, 3)
    first, last = unify(call.values()[:2], "sequence of different types", call.where)
    if first.type.integral:
        first, last = coerce(first, t.BIGINT), coerce(last, t.BIGINT)
        step = (
            coerce(call.number(2), t.BIGINT).sql
            if len(call.nodes) == 3
            else f"CASE WHEN {first.sql} <= {last.sql} THEN 1 ELSE -1 END"
        )
        series = f"generate_series({first.sql}, {last.sql}, CAST({step} AS BIGINT))"
        return Value(series, t.array(t.BIGINT))
    if first.type.name not in ("date", "timestamp"):
        raise call.unexpected()
    if len(call.nodes) == 3:
        interval = call.value(2)
        if not interval.type.name.startswith("interval"):
            raise call.unexpected()
        step = interval.sql
    elif first.type.name == "date":
        step = f"CASE WHEN {first.sql} <= {last.sql} THEN to_days(1) ELSE to_days(-1) END"
    else:
        raise call.unexpected()
    series = f"generate_series({first.sql}, {last.sql}, {step})"
    return Value(f"CAST({series} AS {first.type.duckdb}[])", t.array(first.type))


@function("transform")
def transform(call: Call) -> Value:
    call.arity(2)
    array = _array(call, 0)
    names, body = call.lambda_(1, array.type.args[0])
    return Value(f"list_transform({array.sql}, lambda {names[0]}: {body.sql})", t.array(body.type))


@function("filter")
def filter_(call: Call) -> Value:
    call.arity(2)
    array = _array(call, 0)
    names, body = call.lambda_(1, array.type.args[0])
    body = coerce(body, t.BOOLEAN)
    return Value(f"list_filter({array.sql}, lambda {names[0]}: {body.sql})", array.type)


@function("any_match", "all_match", "none_match")
def any_match(call: Call) -> Value:
    call.arity(2)
    array = _array(call, 0)
    names, body = call.lambda_(1, array.type.args[0])
    found = f"list_transform({array.sql}, lambda {names[0]}: {coerce(body, t.BOOLEAN).sql})"
    if call.name == "all_match":
        return Value(f"trino_all({found})", t.BOOLEAN)
    not_ = "NOT " if call.name == "none_match" else ""
    return Value(f"({not_}trino_any({found}))", t.BOOLEAN)


@function("reduce")
def reduce(call: Call) -> Value:
    call.arity(4)
    array, state = _array(call, 0), call.value(1)
    names, body = call.lambda_(2, state.type, array.type.args[0])
    if body.type.duckdb != state.type.duckdb:
        both = t.common(state.type, body.type)
        if both is None:
            raise call.unexpected()
        state = coerce(state, both)
        names, body = call.lambda_(2, state.type, array.type.args[0])
        body = coerce(body, state.type)
    if array.type.args[0].duckdb != state.type.duckdb:
        raise unsupported(
            f"reduce from {array.type.args[0]} elements to a {state.type} state",
            "Cast the elements or the state so that both have one type.",
        )
    result = Value(
        f"list_reduce({array.sql}, lambda {names[0]}, {names[1]}: {body.sql}, {state.sql})",
        state.type,
    )
    return call.apply(3, result)


@function("zip")
def zip_(call: Call) -> Value:
    call.arity(2, 5)
    arrays = [_array(call, i) for i in range(len(call.nodes))]
    type_ = t.array(Type("row", tuple((None, a.type.args[0]) for a in arrays)))
    zipped = f"list_zip({', '.join(a.sql for a in arrays)})"
    return Value(f"CAST({zipped} AS {type_.duckdb})", type_)


@function("zip_with")
def zip_with(call: Call) -> Value:
    call.arity(3)
    a, b = _array(call, 0), _array(call, 1)
    name = call.fresh()
    body = call.body(2, Value(f"{name}[1]", a.type.args[0]), Value(f"{name}[2]", b.type.args[0]))
    return Value(
        f"list_transform(list_zip({a.sql}, {b.sql}), lambda {name}: {body.sql})",
        t.array(body.type),
    )


@function("map")
def map_(call: Call) -> Value:
    if not call.nodes:
        return Value("MAP {}", t.map_(t.UNKNOWN, t.UNKNOWN))
    call.arity(2)
    keys, values = _array(call, 0), _array(call, 1)
    return Value(f"map({keys.sql}, {values.sql})", t.map_(keys.type.args[0], values.type.args[0]))


@function("map_keys", "map_values")
def map_keys(call: Call) -> Value:
    call.arity(1)
    value = _map(call, 0)
    element = value.type.args[0 if call.name == "map_keys" else 1]
    return Value(f"{call.name}({value.sql})", t.array(element))


@function("map_entries")
def map_entries(call: Call) -> Value:
    call.arity(1)
    value = _map(call, 0)
    key, item = value.type.args
    type_ = t.array(Type("row", ((None, key), (None, item))))
    name = call.fresh()
    return Value(
        f"list_transform(map_entries({value.sql}), lambda {name}:"
        f" struct_pack(field0 := {name}.key, field1 := {name}.value))",
        type_,
    )


@function("map_from_entries")
def map_from_entries(call: Call) -> Value:
    call.arity(1)
    value = _array(call, 0)
    row = value.type.args[0]
    if row.name != "row" or len(row.args) != 2:
        raise call.unexpected()
    return Value(f"map_from_entries({value.sql})", t.map_(row.args[0][1], row.args[1][1]))


@function("map_concat")
def map_concat(call: Call) -> Value:
    call.arity(2, 127)
    values = unify([_map(call, i) for i in range(len(call.nodes))], call.name, call.where)
    missing = " OR ".join(f"{v.sql} IS NULL" for v in values)
    joined = f"map_concat({', '.join(v.sql for v in values)})"
    return Value(f"CASE WHEN {missing} THEN NULL ELSE {joined} END", values[0].type)


@function("map_filter")
def map_filter(call: Call) -> Value:
    call.arity(2)
    value = _map(call, 0)
    name = call.fresh()
    key, item = value.type.args
    body = call.body(1, Value(f"{name}.key", key), Value(f"{name}.value", item))
    kept = f"list_filter(map_entries({value.sql}), lambda {name}: {coerce(body, t.BOOLEAN).sql})"
    return Value(f"map_from_entries({kept})", value.type)


@function("transform_values")
def transform_values(call: Call) -> Value:
    call.arity(2)
    value = _map(call, 0)
    name = call.fresh()
    key, item = value.type.args
    body = call.body(1, Value(f"{name}.key", key), Value(f"{name}.value", item))
    made = (
        f"list_transform(map_entries({value.sql}), lambda {name}:"
        f" struct_pack(k := {name}.key, v := {body.sql}))"
    )
    return Value(f"map_from_entries({made})", t.map_(key, body.type))


@function("row")
def row(call: Call) -> Value:
    call.arity(1, 255)
    return make_row(call.values())


def make_row(values: list[Value]) -> Value:
    fields = ", ".join(
        f"{quoted(t.field_name(None, i))} := {_typed_null(v)}" for i, v in enumerate(values)
    )
    return Value(f"struct_pack({fields})", Type("row", tuple((None, v.type) for v in values)))


def _typed_null(value: Value) -> str:
    return "CAST(NULL AS INTEGER)" if value.type.name == "unknown" else value.sql


# Aggregates: https://trino.io/docs/current/functions/aggregate.html


def average_of_decimals(total: Value, count: str, type_: Type) -> Value:
    """``avg(decimal(p,s))`` is ``decimal(p,s)``, rounded half up."""
    quotient = f"trino_quotient({unscaled(total)}, CAST({count} AS HUGEINT))"
    return Value(f"CASE WHEN {count} > 0 THEN {scaled(quotient, type_)} END", type_)
