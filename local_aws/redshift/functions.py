"""Redshift's SQL functions: an explicit table, each with its page at AWS and an example.

A function that is not in the table is refused by its name. The examples are tested as they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local_aws.redshift import types as t
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.types import RType

if TYPE_CHECKING:
    from local_aws.redshift.compiler import Compiler, Scope, Typed

DOCS = "https://docs.aws.amazon.com/redshift/latest/dg/"


@dataclass(frozen=True)
class Example:
    """``SELECT <sql>`` gives ``result``, as text; None is NULL."""

    sql: str
    result: str | None


@dataclass(frozen=True)
class Function:
    """One function. ``raw`` handlers take the syntax of their arguments, others their values."""

    name: str
    handler: Callable[..., Any]
    least: int
    most: int
    page: str
    examples: tuple[Example, ...]
    raw: bool = False
    kind: str = "scalar"
    names: tuple[str, ...] = ()


@dataclass
class Call:
    """How an aggregate or window function was called."""

    distinct: bool = False
    within: Sequence[exp.Expr] = ()
    over: str = ""
    ordered: bool = False
    nulls: str = ""
    order_sql: str = ""


FUNCTIONS: dict[str, Function] = {}


def function(
    names: str,
    counts: tuple[int, int],
    page: str,
    *examples: tuple[str, str | None],
    raw: bool = False,
    kind: str = "scalar",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a handler into the table, under each of the names."""

    def put(handler: Callable[..., Any]) -> Callable[..., Any]:
        every = tuple(names.split())
        shown = tuple(Example(sql, result) for sql, result in examples)
        for name in every:
            FUNCTIONS[name] = Function(
                every[0], handler, *counts, f"{DOCS}{page}.html", shown, raw, kind, every
            )
        return handler

    return put


def typed(sql: str, kind: RType, **more: Any) -> Typed:
    from local_aws.redshift.compiler import Typed

    return Typed(sql, kind, **more)


def call(
    c: Compiler,
    node: exp.Anonymous,
    scope: Scope,
    within: exp.Expr | None = None,
    how: Call | None = None,
) -> Typed:
    """A function call, by its name.

    Raises:
        SqlError: wrong number or types of arguments. Unsupported: it is not in the table.
    """
    name = node.name.lower()
    known = FUNCTIONS.get(name)
    if known is None:
        raise Unsupported(f"the SQL function {name.upper()}")
    args = list(node.expressions)
    how = how or Call()
    if len(args) == 1 and isinstance(args[0], exp.Distinct):
        if known.kind != "aggregate":
            raise SqlError(f"DISTINCT specified, but {name} is not an aggregate function")
        how.distinct, args = True, list(args[0].expressions)
    if not known.least <= len(args) <= known.most:
        kinds = ", ".join(_kind_of(c, arg, scope) for arg in args)
        raise SqlError(f"function {name}({kinds}) does not exist")
    if within is not None:
        how.within = within.expressions
    if known.kind == "scalar":
        if how.over or how.within:
            raise SqlError(f"{name} is not a window function")
        result = known.handler(
            c, args if known.raw else c.exprs(args, scope), *([scope] if known.raw else [])
        )
    else:
        if known.kind == "window" and not how.over:
            raise SqlError(f"window function {name} requires an OVER clause")
        result = known.handler(c, args, scope, how)
    return replace(result, name=name if result.name == "?column?" else result.name)


def _kind_of(c: Compiler, arg: exp.Expr, scope: Scope) -> str:
    return "*" if isinstance(arg, exp.Star) else str(c.expr(arg, scope).type)


def window(c: Compiler, node: exp.Window, scope: Scope) -> Typed:
    """``f(...) OVER (...)``.

    https://docs.aws.amazon.com/redshift/latest/dg/r_Window_function_synopsis.html
    """
    inner = node.this
    how = Call()
    while isinstance(inner, exp.IgnoreNulls | exp.RespectNulls):
        how.nulls = " IGNORE NULLS" if isinstance(inner, exp.IgnoreNulls) else " RESPECT NULLS"
        inner = inner.this
    within = None
    if isinstance(inner, exp.WithinGroup):
        inner, within = inner.this, inner.expression
    if not isinstance(inner, exp.Anonymous):
        raise Unsupported(f"{type(inner).__name__} OVER")
    spec = node
    if node.alias and not node.args.get("partition_by") and not node.args.get("order"):
        named = scope.windows.get(node.alias.lower())
        if named is None:
            raise SqlError(f'window "{node.alias.lower()}" does not exist')
        spec = named
    how.over, how.ordered, how.order_sql = _over(c, spec, scope)
    frame = spec.args.get("spec")
    known = FUNCTIONS.get(inner.name.lower())
    if known is not None and known.kind == "aggregate" and how.ordered and frame is None:
        raise SqlError("Aggregate window functions with an ORDER BY clause require a frame clause")
    return call(c, inner, scope, within, how)


def _over(c: Compiler, spec: exp.Expr, scope: Scope) -> tuple[str, bool, str]:
    from local_aws.redshift.compiler import _direction

    parts = []
    partition = spec.args.get("partition_by") or []
    if partition:
        parts.append("PARTITION BY " + ", ".join(v.sql for v in c.exprs(partition, scope)))
    order = spec.args.get("order")
    keys = ""
    if order is not None:
        keys = ", ".join(
            c.expr(item.this, scope).sql + _direction(item) for item in order.expressions
        )
        parts.append(f"ORDER BY {keys}")
    frame = spec.args.get("spec")
    if frame is not None:
        if frame.args.get("exclude"):
            raise Unsupported("EXCLUDE in a window frame")
        if str(frame.args.get("kind")).upper() != "ROWS":
            raise SqlError("RANGE frames are not supported; use ROWS")
        ends = []
        for end in ("start", "end"):
            value = frame.args.get(end)
            if value is None:
                ends.append("CURRENT ROW")
                continue
            shown = value if isinstance(value, str) else c.expr(value, scope).sql
            ends.append(f"{shown} {frame.args.get(f'{end}_side') or ''}".strip())
        parts.append(f"ROWS BETWEEN {ends[0]} AND {ends[1]}")
    return f" OVER ({' '.join(parts)})", order is not None, keys


# -- shared --------------------------------------------------------------------------------


def as_text(c: Compiler, value: Typed) -> Typed:
    """A text argument; numbers and dates are made text."""
    if value.type.name == "null":
        return c.cast(value, t.varchar(1))
    return value if value.type.is_string else c.cast(value, t.TEXT)


def as_int(c: Compiler, value: Typed) -> str:
    if value.type.is_number and not value.type.is_integer:
        raise SqlError(f"an integer was expected, not {value.type}")
    return c.cast(value, t.INT4 if value.type.name != "int8" else t.INT8).sql


def as_float(c: Compiler, value: Typed) -> str:
    return c.cast(value, t.FLOAT8).sql


def as_moment(c: Compiler, value: Typed) -> Typed:
    """A DATE, TIMESTAMP or TIMESTAMPTZ argument; text is read as a timestamp."""
    if value.type.is_temporal:
        return value
    if value.type.name in ("unknown", "null", "varchar"):
        return c.cast(value, t.TIMESTAMP)
    raise SqlError(f"a date or timestamp was expected, not {value.type}")


def common(c: Compiler, values: Sequence[Typed], what: str) -> tuple[list[Typed], RType]:
    kind = t.unify([value.type for value in values], what)
    if kind.name == "null":
        return list(values), kind
    made = [c.cast(value, kind) for value in values]
    return made, t.varchar(kind.a) if kind.name == "unknown" else kind


def word(node: exp.Expr) -> str:
    """A date part, written as a name or as a text."""
    if isinstance(node, exp.Column | exp.Var | exp.Identifier) or (
        isinstance(node, exp.Literal) and node.is_string
    ):
        return node.name.lower()
    raise SqlError(f"a date part was expected, not {node.sql(dialect='redshift')}")


# -- conditional ---------------------------------------------------------------------------


@function(
    "coalesce nvl", (1, 100), "r_NVL_function",
    ("NVL(NULL, 12)", "12"), ("COALESCE(NULL, NULL, 'x')", "x"),
)  # fmt: skip
def _coalesce(c: Compiler, args: list[Typed]) -> Typed:
    values, kind = common(c, args, "COALESCE")
    listed = ", ".join(value.sql for value in values)
    name = "coalesce"
    return typed(f"coalesce({listed})", kind, name=name, nullable=all(v.nullable for v in values))


@function("nvl2", (3, 3), "r_NVL2", ("NVL2(NULL, 'a', 'b')", "b"), ("NVL2(1, 'a', 'b')", "a"))
def _nvl2(c: Compiler, args: list[Typed]) -> Typed:
    values, kind = common(c, args[1:], "NVL2")
    test = f"({args[0].sql} IS NOT NULL)"
    return typed(f"CASE WHEN {test} THEN {values[0].sql} ELSE {values[1].sql} END", kind)


@function("nullif", (2, 2), "r_NULLIF_function", ("NULLIF(3, 3)", None), ("NULLIF(3, 4)", "3"))
def _nullif(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift.expressions import compare

    kind = args[0].type if args[0].type.name not in ("unknown", "null") else args[1].type
    value = args[0] if kind.name in ("unknown", "null") else c.cast(args[0], kind)
    if kind.name == "unknown":
        kind = t.varchar(kind.a)
    return typed(
        f"CASE WHEN {compare(c, args[0], '=', args[1])} THEN NULL ELSE {value.sql} END", kind
    )


@function(
    "decode", (3, 500), "r_DECODE_expression",
    ("DECODE(2, 1, 'one', 2, 'two', 'many')", "two"),
    ("DECODE(NULL, NULL, 'none', 'some')", "none"),
    ("DECODE(3, 1, 'one')", None),
)  # fmt: skip
def _decode(c: Compiler, args: list[Typed]) -> Typed:
    subject, rest = args[0], args[1:]
    default = rest.pop() if len(rest) % 2 else None
    results = [*rest[1::2], *([default] if default is not None else [])]
    values, kind = common(c, results, "DECODE")
    searched = [subject, *rest[0::2]]
    match = t.unify([value.type for value in searched], "DECODE")
    if match.name == "numeric":
        match = t.numeric(38, match.b)
    made = [c.cast(v, match).sql if match.name != "null" else v.sql for v in searched]
    branches = " ".join(
        f"WHEN {made[0]} IS NOT DISTINCT FROM {key} THEN {value.sql}"
        for key, value in zip(made[1:], values, strict=False)
    )
    other = values[-1].sql if default is not None else "NULL"
    return typed(f"CASE {branches} ELSE {other} END", kind, name="case")


@function("greatest", (1, 100), "r_GREATEST_LEAST", ("GREATEST(1, 3, NULL)", "3"))
def _greatest(c: Compiler, args: list[Typed]) -> Typed:
    values, kind = common(c, args, "GREATEST")
    return typed(f"greatest({', '.join(v.sql for v in values)})", kind)


@function("least", (1, 100), "r_GREATEST_LEAST", ("LEAST(2, 1, NULL)", "1"))
def _least(c: Compiler, args: list[Typed]) -> Typed:
    values, kind = common(c, args, "LEAST")
    return typed(f"least({', '.join(v.sql for v in values)})", kind)


# -- text ----------------------------------------------------------------------------------


def _plain(name: str, duck: str, page: str, *examples: tuple[str, str | None]) -> None:
    @function(name, (1, 1), page, *examples)
    def handler(c: Compiler, args: list[Typed]) -> Typed:
        value = as_text(c, args[0])
        return typed(f"{duck}({value.sql})", t.varchar(value.type.a))


_plain("lower", "lower", "r_LOWER", ("LOWER('ABC')", "abc"))
_plain("upper", "upper", "r_UPPER", ("UPPER('abc')", "ABC"))
_plain("reverse", "reverse", "r_REVERSE", ("REVERSE('abc')", "cba"))
_plain("initcap", "_rs.initcap", "r_INITCAP", ("INITCAP('nIGHT of-sales')", "Night Of-Sales"))


def _measured(names: str, duck: str, page: str, *examples: tuple[str, str | None]) -> None:
    @function(names, (1, 1), page, *examples)
    def handler(c: Compiler, args: list[Typed]) -> Typed:
        return typed(f"CAST({duck}({as_text(c, args[0]).sql}) AS INTEGER)", t.INT4)


_measured(
    "length len char_length character_length textlen", "length", "r_LEN",
    ("LEN('ação')", "4"), ("LENGTH('ab  ')", "4"),
)  # fmt: skip
_measured("octet_length", "strlen", "r_OCTET_LENGTH", ("OCTET_LENGTH('ação')", "6"))
_measured("ascii", "ascii", "r_ASCII", ("ASCII('amazon')", "97"))


@function("chr", (1, 1), "r_CHR", ("CHR(65)", "A"))
def _chr(c: Compiler, args: list[Typed]) -> Typed:
    return typed(f"chr({as_int(c, args[0])})", t.varchar(4))


def _trimming(name: str, duck: str, page: str, *examples: tuple[str, str | None]) -> None:
    @function(name, (1, 2), page, *examples)
    def handler(c: Compiler, args: list[Typed]) -> Typed:
        value = as_text(c, args[0])
        what = as_text(c, args[1]).sql if len(args) > 1 else "' '"
        return typed(f"{duck}({value.sql}, {what})", t.varchar(value.type.a))


_trimming("ltrim", "ltrim", "r_LTRIM", ("LTRIM('  x ')", "x "), ("LTRIM('aab', 'a')", "b"))
_trimming("rtrim", "rtrim", "r_RTRIM", ("RTRIM(' x  ')", " x"))
_trimming("btrim trim", "trim", "r_BTRIM", ("BTRIM('  x ')", "x"), ("BTRIM('xyaxy','yx')", "a"))


@function("left", (2, 2), "r_LEFT", ("LEFT('Chicago', 3)", "Chi"))
def _left(c: Compiler, args: list[Typed]) -> Typed:
    value = as_text(c, args[0])
    return typed(f"left({value.sql}, {as_int(c, args[1])})", t.varchar(value.type.a))


@function("right", (2, 2), "r_LEFT", ("RIGHT('Chicago', 3)", "ago"))
def _right(c: Compiler, args: list[Typed]) -> Typed:
    value = as_text(c, args[0])
    return typed(f"right({value.sql}, {as_int(c, args[1])})", t.varchar(value.type.a))


@function(
    "substring substr", (2, 3), "r_SUBSTRING",
    ("SUBSTRING('caterpillar', 6, 4)", "pill"), ("SUBSTRING('caterpillar', 0, 4)", "cat"),
    ("SUBSTRING('caterpillar', -4, 7)", "ca"), ("SUBSTRING('caterpillar' FROM 9)", "lar"),
)  # fmt: skip
def _substring(c: Compiler, args: list[Typed]) -> Typed:
    value = as_text(c, args[0])
    start = as_int(c, args[1])
    kind = t.varchar(value.type.a)
    if len(args) == 2:
        return typed(f"substring({value.sql}, greatest({start}, 1))", kind)
    length = as_int(c, args[2])
    # A start before the first character counts towards the length.
    taken = f"greatest(0, {length} + least({start} - 1, 0))"
    return typed(f"substring({value.sql}, greatest({start}, 1), {taken})", kind)


@function("replace", (3, 3), "r_REPLACE", ("REPLACE('a-b-c', '-', '+')", "a+b+c"))
def _replace(c: Compiler, args: list[Typed]) -> Typed:
    values = [as_text(c, value) for value in args]
    return typed(f"replace({', '.join(v.sql for v in values)})", t.TEXT)


@function("concat", (2, 2), "r_CONCAT", ("CONCAT('a', 'b')", "ab"), ("CONCAT('a', NULL)", None))
def _concat(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift.expressions import joined

    return replace(joined(args[0], args[1]), name="concat")


def _padding(name: str, *examples: tuple[str, str | None]) -> None:
    @function(name, (2, 3), "r_LPAD", *examples)
    def handler(c: Compiler, args: list[Typed]) -> Typed:
        value = as_text(c, args[0])
        fill = as_text(c, args[2]).sql if len(args) > 2 else "' '"
        size = f"greatest({as_int(c, args[1])}, 0)"
        return typed(f"{name}({value.sql}, {size}, {fill})", t.TEXT)


_padding("lpad", ("LPAD('7', 3, '0')", "007"), ("LPAD('abcd', 2)", "ab"))
_padding("rpad", ("RPAD('x', 3, '.')", "x.."))


@function("repeat replicate", (2, 2), "r_REPEAT", ("REPEAT('ab', 3)", "ababab"))
def _repeat(c: Compiler, args: list[Typed]) -> Typed:
    return typed(f"repeat({as_text(c, args[0]).sql}, {as_int(c, args[1])})", t.TEXT)


@function("strpos", (2, 2), "r_STRPOS", ("STRPOS('dogfish', 'fish')", "4"))
def _strpos(c: Compiler, args: list[Typed]) -> Typed:
    a, b = (as_text(c, value).sql for value in args)
    return typed(f"CAST(strpos({a}, {b}) AS INTEGER)", t.INT4)


@function("charindex", (2, 2), "r_CHARINDEX", ("CHARINDEX('fish', 'dogfish')", "4"))
def _charindex(c: Compiler, args: list[Typed]) -> Typed:
    return _strpos(c, [args[1], args[0]])


@function(
    "split_part",
    (3, 3),
    "SPLIT_PART",
    ("SPLIT_PART('a$b$c', '$', 2)", "b"),
    ("SPLIT_PART('abc', '$', 2)", ""),
)
def _split_part(c: Compiler, args: list[Typed]) -> Typed:
    value, mark = as_text(c, args[0]), as_text(c, args[1])
    index = as_int(c, args[2])
    checked = f"_rs.checked({index} > 0, {index}, 'field position must be greater than zero')"
    return typed(f"split_part({value.sql}, {mark.sql}, {checked})", t.varchar(value.type.a))


@function("translate", (3, 3), "r_TRANSLATE", ("TRANSLATE('mint tea', 'inea', 'osin')", "most tin"))
def _translate(c: Compiler, args: list[Typed]) -> Typed:
    values = [as_text(c, value) for value in args]
    return typed(f"translate({', '.join(v.sql for v in values)})", t.TEXT)


@function("md5", (1, 1), "r_MD5", ("MD5('Amazon Redshift')", "f7415e33f972c03abd4f3fed36748f7a"))
def _md5(c: Compiler, args: list[Typed]) -> Typed:
    return typed(f"md5({as_text(c, args[0]).sql})", t.varchar(32))


@function(
    "sha1 func_sha1 sha",
    (1, 1),
    "SHA1",
    ("SHA1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"),
)
def _sha1(c: Compiler, args: list[Typed]) -> Typed:
    return typed(f"sha1({as_text(c, args[0]).sql})", t.varchar(40))


@function(
    "sha2",
    (2, 2),
    "SHA2",
    ("SHA2('abc', 256)", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
)
def _sha2(c: Compiler, args: list[Typed]) -> Typed:
    if args[1].literal not in ("0", "256"):
        raise Unsupported("SHA2 with other than 256 bits")
    return typed(f"sha256({as_text(c, args[0]).sql})", t.varchar(64))


@function(
    "regexp_replace", (2, 4), "REGEXP_REPLACE", ("REGEXP_REPLACE('a1b22', '[0-9]+', '#')", "a#b#")
)
def _regexp_replace(c: Compiler, args: list[Typed]) -> Typed:
    value, pattern = as_text(c, args[0]), as_text(c, args[1])
    new = as_text(c, args[2]).sql if len(args) > 2 else "''"
    if len(args) > 3 and args[3].literal != "1":
        raise Unsupported("REGEXP_REPLACE from a position other than 1")
    return typed(f"regexp_replace({value.sql}, {pattern.sql}, {new}, 'g')", t.TEXT)


@function(
    "regexp_substr",
    (2, 2),
    "REGEXP_SUBSTR",
    ("REGEXP_SUBSTR('a@b.com', '@[^.]*')", "@b"),
    ("REGEXP_SUBSTR('abc', '[0-9]')", ""),
)
def _regexp_substr(c: Compiler, args: list[Typed]) -> Typed:
    value, pattern = as_text(c, args[0]), as_text(c, args[1])
    return typed(f"regexp_extract({value.sql}, {pattern.sql})", t.varchar(value.type.a))


@function("regexp_count", (2, 2), "REGEXP_COUNT", ("REGEXP_COUNT('abcdefgh', '[a-c]')", "3"))
def _regexp_count(c: Compiler, args: list[Typed]) -> Typed:
    value, pattern = as_text(c, args[0]), as_text(c, args[1])
    sql = f"CAST(length(regexp_extract_all({value.sql}, {pattern.sql})) AS INTEGER)"
    return typed(sql, t.INT4)


@function("quote_literal", (1, 1), "r_QUOTE_LITERAL", ("QUOTE_LITERAL('it''s')", "'it''s'"))
def _quote_literal(c: Compiler, args: list[Typed]) -> Typed:
    value = as_text(c, args[0])
    return typed(f"('''' || replace({value.sql}, '''', '''''') || '''')", t.TEXT)


# -- numbers -------------------------------------------------------------------------------


def _float(names: str, sql: str, page: str, *examples: tuple[str, str | None]) -> None:
    count = 2 if "{1}" in sql else 1 if "{0}" in sql else 0

    @function(names, (count, count), page, *examples)
    def handler(c: Compiler, args: list[Typed]) -> Typed:
        return typed(sql.format(*(as_float(c, value) for value in args)), t.FLOAT8)


_float("sqrt", "sqrt({0})", "r_SQRT", ("SQRT(16)", "4.0"))
_float("power pow", "pow({0}, {1})", "r_POWER", ("POWER(2, 3)", "8.0"))
_float("exp dexp", "exp({0})", "r_EXP", ("EXP(0)", "1.0"))
_float("ln dlog1", "ln({0})", "r_LN", ("LN(1)", "0.0"))
_float("log dlog10", "log10({0})", "r_LOG", ("LOG(100)", "2.0"))
_float("cbrt", "cbrt({0})", "r_CBRT", ("CBRT(0)", "0.0"))
_float("degrees", "degrees({0})", "r_DEGREES", ("DEGREES(0)", "0.0"))
_float("radians", "radians({0})", "r_RADIANS", ("RADIANS(0)", "0.0"))
_float("sin", "sin({0})", "r_SIN", ("SIN(0)", "0.0"))
_float("cos", "cos({0})", "r_COS", ("COS(0)", "1.0"))
_float("tan", "tan({0})", "r_TAN", ("TAN(0)", "0.0"))
_float("asin", "asin({0})", "r_ASIN", ("ASIN(0)", "0.0"))
_float("acos", "acos({0})", "r_ACOS", ("ACOS(1)", "0.0"))
_float("atan", "atan({0})", "r_ATAN", ("ATAN(0)", "0.0"))
_float("atan2", "atan2({0}, {1})", "r_ATAN2", ("ATAN2(0, 1)", "0.0"))
_float("cot", "cot({0})", "r_COT")
_float("pi", "pi()", "r_PI", ("PI() > 3.14", "True"))
_float("random", "random()", "r_RANDOM", ("RANDOM() < 1", "True"))


def number(c: Compiler, value: Typed) -> Typed:
    if value.type.name in ("unknown", "null"):
        return c.cast(value, t.FLOAT8)
    if not value.type.is_number:
        raise SqlError(f"a number was expected, not {value.type}")
    return value


@function("abs", (1, 1), "r_ABS", ("ABS(-3)", "3"), ("ABS(-1.50)", "1.50"))
def _abs(c: Compiler, args: list[Typed]) -> Typed:
    value = number(c, args[0])
    return typed(f"abs({value.sql})", value.type)


@function("sign", (1, 1), "r_SIGN", ("SIGN(-3)", "-1"))
def _sign(c: Compiler, args: list[Typed]) -> Typed:
    value = number(c, args[0])
    kind = t.FLOAT8 if value.type.is_float else t.INT4
    return typed(f"CAST(sign({value.sql}) AS {kind.duck})", kind)


def _whole(names: str, duck: str, page: str, *examples: tuple[str, str | None]) -> None:
    @function(names, (1, 1), page, *examples)
    def handler(c: Compiler, args: list[Typed]) -> Typed:
        value = number(c, args[0])
        kind = value.type
        if kind.name == "numeric":
            kind = t.numeric(min(38, kind.a - kind.b + 1), 0)
        if kind.is_integer:
            return value
        return typed(f"CAST({duck}({value.sql}) AS {kind.duck})", kind)


_whole("ceil ceiling", "ceil", "r_CEILING_FLOOR", ("CEIL(12.2)", "13"), ("CEIL(-12.2)", "-12"))
_whole("floor", "floor", "r_FLOOR", ("FLOOR(12.8)", "12"), ("FLOOR(-12.2)", "-13"))


@function(
    "round",
    (1, 2),
    "r_ROUND",
    ("ROUND(28.05, 1)", "28.1"),
    ("ROUND(28.05)", "28"),
    ("ROUND(-2.5)", "-3"),
    ("ROUND(1234, -2)", "1200"),
)
def _round(c: Compiler, args: list[Typed]) -> Typed:
    value = number(c, args[0])
    if len(args) > 1 and not args[1].type.is_integer:
        raise SqlError(f"function round({value.type}, {args[1].type}) does not exist")
    digits = args[1].sql if len(args) > 1 else "0"
    if value.type.is_integer and len(args) == 1:
        return value
    if value.type.name != "numeric":
        return typed(f"CAST(round({value.sql}, {digits}) AS {value.type.duck})", value.type)
    kind = _rounded(value.type, args[1].literal if len(args) > 1 else "0")
    return typed(f"CAST(round({value.sql}, {digits}) AS {kind.duck})", kind)


def _rounded(kind: RType, digits: str | None) -> RType:
    if digits is None:
        return kind
    scale = max(0, min(int(digits), kind.b))
    return t.numeric(min(38, kind.a - kind.b + scale + 1), scale)


@function(
    "trunc",
    (1, 2),
    "r_TRUNC",
    ("TRUNC(3.999)", "3"),
    ("TRUNC(-3.999, 1)", "-3.9"),
    ("TRUNC(TIMESTAMP '2011-07-21 10:32:38')", "2011-07-21"),
)
def _trunc(c: Compiler, args: list[Typed]) -> Typed:
    value = args[0]
    if value.type.is_temporal:
        return typed(f"CAST({value.sql} AS DATE)", t.DATE)
    value = number(c, value)
    if value.type.is_integer and len(args) == 1:
        return value
    digits = args[1].literal if len(args) > 1 else "0"
    if digits is None:
        raise Unsupported("TRUNC to a number of digits that is not a literal")
    places = int(digits)
    if value.type.is_float:
        power = f"pow(10, {places})"
        return typed(f"CAST(trunc({value.sql} * {power}) / {power} AS DOUBLE)", t.FLOAT8)
    from local_aws.redshift.expressions import rescaled, unscaled

    exact = t.as_numeric(value.type)
    value = c.cast(value, exact)
    kind = _rounded(exact, digits)
    if places >= exact.b:
        return typed(f"CAST({value.sql} AS {kind.duck})", kind)
    drop = f"CAST('{10 ** (exact.b - places)}' AS HUGEINT)"
    units = f"({unscaled(value.sql, exact.b)} // {drop})"
    if places < 0:
        units = f"({units} * CAST('{10**-places}' AS HUGEINT))"
    return typed(rescaled(units, kind), kind)


@function("mod", (2, 2), "r_MOD", ("MOD(10, 4)", "2"), ("MOD(-7, 3)", "-1"))
def _mod(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift.expressions import arithmetic

    return arithmetic(c, "%", number(c, args[0]), number(c, args[1]))


# -- dates and times -----------------------------------------------------------------------

_PARTS = {
    "millennium": "millennium millennia mil mils",
    "century": "century centuries c cent cents",
    "decade": "decade decades dec decs",
    "epoch": "epoch",
    "year": "year years y yr yrs",
    "quarter": "quarter quarters qtr qtrs",
    "month": "month months mon mons",
    "week": "week weeks w",
    "dayofweek": "dayofweek dow dw weekday",
    "dayofyear": "dayofyear doy dy yearday",
    "day": "day days d",
    "hour": "hour hours h hr hrs",
    "minute": "minute minutes m min mins",
    "second": "second seconds s sec secs",
    "millisecond": "millisecond milliseconds ms msec msecs msecond mseconds millisec millisecs",
    "microsecond": "microsecond microseconds microsec microsecs usecond useconds us usec usecs",
}
PARTS = {alias: part for part, aliases in _PARTS.items() for alias in aliases.split()}
"""https://docs.aws.amazon.com/redshift/latest/dg/r_Dateparts_for_datetime_functions.html"""
_STEPS = {
    "millennium", "century", "decade", "year", "quarter", "month", "week", "day", "hour",
    "minute", "second", "millisecond", "microsecond",
}  # fmt: skip


def part_of(name: str) -> str:
    if name.lower() not in PARTS:
        raise SqlError(f'date part "{name.lower()}" not recognized')
    return PARTS[name.lower()]


def step_of(name: str) -> str:
    part = part_of(name)
    if part == "dayofyear":
        part = "day"
    if part not in _STEPS:
        raise SqlError(f'date part "{name.lower()}" not supported')
    return part


def date_part(c: Compiler, name: str, value: Typed, whole: bool = False) -> Typed:
    """EXTRACT gives an INTEGER, DATE_PART a DOUBLE PRECISION.

    https://docs.aws.amazon.com/redshift/latest/dg/r_EXTRACT_function.html
    """
    part = part_of(name)
    value = as_moment(c, value)
    if part == "epoch":
        sql = f"CAST(floor(epoch({value.sql})) AS BIGINT)"
        return typed(sql, t.INT8) if whole else typed(f"CAST({sql} AS DOUBLE)", t.FLOAT8)
    if part in ("second", "millisecond", "microsecond"):
        moment = c.cast(value, t.TIMESTAMP).sql
        micro = f"(date_part('microsecond', {moment}) % 1000000)"
        sql = {
            "second": f"date_part('second', {moment})",
            "millisecond": f"({micro} // 1000)",
            "microsecond": micro,
        }[part]
    else:
        name = {"dayofweek": "dow", "dayofyear": "doy"}.get(part, part)
        sql = f"date_part('{name}', {value.sql})"
    kind = t.INT4 if whole else t.FLOAT8
    return typed(f"CAST({sql} AS {kind.duck})", kind)


@function(
    "date_part datepart pgdate_part", (2, 2), "r_DATE_PART_function",
    ("DATE_PART(year, DATE '2024-03-09')", "2024.0"), ("EXTRACT(dow FROM DATE '2024-03-10')", "0"),
    ("EXTRACT(epoch FROM TIMESTAMP '1970-01-02 00:00:00')", "86400"), raw=True,
)  # fmt: skip
def _date_part(c: Compiler, args: list[exp.Expr], scope: Scope) -> Typed:
    return date_part(c, word(args[0]), c.expr(args[1], scope))


@function(
    "dateadd date_add", (3, 3), "r_DATEADD_function",
    ("DATEADD(month, 1, DATE '2024-01-31')", "2024-02-29 00:00:00"),
    ("DATEADD(hour, -2, TIMESTAMP '2024-01-01 01:00:00')", "2023-12-31 23:00:00"),
    ("DATEADD('day', 18, '2008-02-28')", "2008-03-17 00:00:00"), raw=True,
)  # fmt: skip
def _dateadd(c: Compiler, args: list[exp.Expr], scope: Scope) -> Typed:
    part, count = step_of(word(args[0])), c.expr(args[1], scope)
    value = as_moment(c, c.expr(args[2], scope))
    value = c.cast(value, t.TIMESTAMP) if value.type.name == "date" else value
    return typed(f"({value.sql} + {_steps(as_int(c, count), part)})", value.type, name="date_add")


def _steps(count: str, part: str) -> str:
    units = {"quarter": (3, "month"), "week": (7, "day")}
    factor, unit = units.get(part, (1, part))
    times = f"({count} * {factor})" if factor > 1 else f"({count})"
    plural = {"century": "centuries", "millennium": "millennia"}.get(unit, f"{unit}s")
    return f"to_{plural}({times})"


@function(
    "datediff date_diff", (3, 3), "r_DATEDIFF_function",
    ("DATEDIFF(day, DATE '2024-02-28', DATE '2024-03-01')", "2"),
    ("DATEDIFF(year, DATE '2023-12-31', DATE '2024-01-01')", "1"),
    ("DATEDIFF(hour, TIMESTAMP '2024-01-01 01:59:00', TIMESTAMP '2024-01-01 02:01:00')", "1"),
    ("DATEDIFF(week, DATE '2009-01-01', DATE '2009-12-31')", "52"), raw=True,
)  # fmt: skip
def _datediff(c: Compiler, args: list[exp.Expr], scope: Scope) -> Typed:
    part = step_of(word(args[0]))
    a, b = (as_moment(c, c.expr(arg, scope)) for arg in args[1:])
    kind = t.unify([a.type, b.type, t.TIMESTAMP], "DATEDIFF")
    a, b = c.cast(a, kind), c.cast(b, kind)
    if part == "week":  # Redshift's weeks begin on Sunday here
        shift = "to_days(1)"
        sql = f"date_diff('week', {a.sql} + {shift}, {b.sql} + {shift})"
    else:
        sql = f"date_diff('{part}', {a.sql}, {b.sql})"
    return typed(sql, t.INT8, name="date_diff")


@function(
    "date_trunc", (2, 2), "r_DATE_TRUNC",
    ("DATE_TRUNC('month', DATE '2024-02-15')", "2024-02-01 00:00:00"),
    ("DATE_TRUNC('week', TIMESTAMP '2024-01-03 10:00:00')", "2024-01-01 00:00:00"), raw=True,
)  # fmt: skip
def _date_trunc(c: Compiler, args: list[exp.Expr], scope: Scope) -> Typed:
    part = step_of(word(args[0]))
    value = as_moment(c, c.expr(args[1], scope))
    value = c.cast(value, t.TIMESTAMP) if value.type.name == "date" else value
    return typed(f"date_trunc('{part}', {value.sql})", value.type)


@function("last_day", (1, 1), "r_LAST_DAY", ("LAST_DAY(DATE '2024-02-10')", "2024-02-29"))
def _last_day(c: Compiler, args: list[Typed]) -> Typed:
    return typed(f"last_day({as_moment(c, args[0]).sql})", t.DATE)


@function(
    "add_months",
    (2, 2),
    "r_ADD_MONTHS",
    ("ADD_MONTHS(DATE '2008-03-31', 1)", "2008-04-30 00:00:00"),
    ("ADD_MONTHS(DATE '2008-04-30', 1)", "2008-05-31 00:00:00"),
)
def _add_months(c: Compiler, args: list[Typed]) -> Typed:
    value = c.cast(as_moment(c, args[0]), t.TIMESTAMP).sql
    moved = f"({value} + to_months({as_int(c, args[1])}))"
    # The last day of a month moves to the last day of the other month.
    last = f"(CAST(last_day({moved}) AS TIMESTAMP) + ({value} - date_trunc('day', {value})))"
    test = f"CAST({value} AS DATE) = last_day({value})"
    return typed(f"CASE WHEN {test} THEN {last} ELSE {moved} END", t.TIMESTAMP)


@function(
    "months_between",
    (2, 2),
    "r_MONTHS_BETWEEN_function",
    ("MONTHS_BETWEEN(DATE '1969-01-18', DATE '1969-03-18')", "-2.0"),
)
def _months_between(c: Compiler, args: list[Typed]) -> Typed:
    a, b = (c.cast(as_moment(c, value), t.TIMESTAMP).sql for value in args)
    months = (
        f"((date_part('year', {a}) - date_part('year', {b})) * 12"
        f" + date_part('month', {a}) - date_part('month', {b}))"
    )
    days = f"((date_part('day', {a}) - date_part('day', {b})) / CAST(31 AS DOUBLE))"
    ends = f"(CAST({a} AS DATE) = last_day({a}) AND CAST({b} AS DATE) = last_day({b}))"
    return typed(f"CAST({months} + CASE WHEN {ends} THEN 0 ELSE {days} END AS DOUBLE)", t.FLOAT8)


@function("getdate", (0, 0), "r_GETDATE", ("GETDATE() > DATE '2020-01-01'", "True"))
def _getdate(c: Compiler, args: list[Typed]) -> Typed:
    return typed(f"TIMESTAMP '{c.now:%Y-%m-%d %H:%M:%S}'", t.TIMESTAMP)


@function("sysdate", (0, 0), "r_SYSDATE", ("SYSDATE > DATE '2020-01-01'", "True"))
def _sysdate(c: Compiler, args: list[Typed]) -> Typed:
    moment = c.transaction_start
    return typed(f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S.%f}'", t.TIMESTAMP, name="timestamp")


@function("now", (0, 0), "r_GETDATE")
def _now(c: Compiler, args: list[Typed]) -> Typed:
    moment = c.transaction_start
    return typed(f"TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S.%f}+00'", t.TIMESTAMPTZ)


@function(
    "convert_timezone",
    (2, 3),
    "CONVERT_TIMEZONE",
    ("CONVERT_TIMEZONE('UTC', 'America/Sao_Paulo', '2024-01-01 03:00:00')", "2024-01-01 00:00:00"),
)
def _convert_timezone(c: Compiler, args: list[Typed]) -> Typed:
    source = args[0].sql if len(args) == 3 else "'UTC'"
    target, value = args[-2].sql, args[-1]
    if value.type.name == "timestamptz":
        return typed(f"({value.sql} AT TIME ZONE {target})", t.TIMESTAMP)
    moment = c.cast(as_moment(c, value), t.TIMESTAMP).sql
    return typed(f"(({moment} AT TIME ZONE {source}) AT TIME ZONE {target})", t.TIMESTAMP)


@function("timezone", (2, 2), "r_TIMEZONE")
def _timezone(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift.expressions import zoned

    return zoned(c, args[1], args[0])


@function(
    "to_char", (2, 2), "r_TO_CHAR",
    ("TO_CHAR(TIMESTAMP '2009-12-31 23:15:59', 'MON-DD-YYYY HH12:MIPM')", "DEC-31-2009 11:15PM"),
    ("TO_CHAR(DATE '2024-03-09', 'YYYY-MM')", "2024-03"),
    ("TO_CHAR(DATE '2024-03-09', 'Month')", "March    "),
    ("TO_CHAR(DATE '2024-03-09', 'FMDay, FMDD \"of\" FMMonth')", "Saturday, 9 of March"),
)  # fmt: skip
def _to_char(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift import formats

    value, pattern = args
    if pattern.literal is None:
        raise Unsupported("TO_CHAR with a format that is not a literal")
    if value.type.is_number:
        return typed(formats.number_text(c, value, pattern.literal), t.varchar(64))
    moment = c.cast(as_moment(c, value), t.TIMESTAMP)
    return typed(formats.moment_text(moment.sql, pattern.literal), t.varchar(256))


@function(
    "to_date",
    (2, 3),
    "r_TO_DATE_function",
    ("TO_DATE('02 Oct 2001', 'DD Mon YYYY')", "2001-10-02"),
    ("TO_DATE('20010631', 'YYYYMMDD', FALSE)", "2001-07-01"),
)
def _to_date(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift import formats

    if args[1].literal is None:
        raise Unsupported("TO_DATE with a format that is not a literal")
    strict = len(args) > 2 and args[2].sql == "TRUE"
    return typed(formats.read_date(as_text(c, args[0]).sql, args[1].literal, strict), t.DATE)


@function(
    "to_timestamp",
    (2, 3),
    "r_TO_TIMESTAMP",
    ("TO_TIMESTAMP('2011-12-18 04:38:15', 'YYYY-MM-DD HH24:MI:SS')", "2011-12-18 04:38:15+00"),
)
def _to_timestamp(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift import formats

    if args[1].literal is None:
        raise Unsupported("TO_TIMESTAMP with a format that is not a literal")
    moment = formats.read_moment(as_text(c, args[0]).sql, args[1].literal)
    return typed(f"({moment} AT TIME ZONE 'UTC')", t.TIMESTAMPTZ)


# -- system --------------------------------------------------------------------------------


def user(c: Compiler) -> Typed:
    return typed("'admin'", t.varchar(128), name="current_user")


@function("version", (0, 0), "r_VERSION")
def _version(c: Compiler, args: list[Typed]) -> Typed:
    shown = "PostgreSQL 8.0.2 on x86_64-pc-linux-gnu, Redshift 1.0 (embedded: DuckDB)"
    return typed(f"'{shown}'", t.varchar(256))


@function("current_database", (0, 0), "r_CURRENT_DATABASE")
def _current_database(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift.compiler import text

    return typed(text(c.catalog.database), t.varchar(128))


@function("current_schema", (0, 0), "r_CURRENT_SCHEMA")
def _current_schema(c: Compiler, args: list[Typed]) -> Typed:
    from local_aws.redshift.compiler import text

    path = getattr(c.catalog, "search_path", ("public",))
    shown = next((name for name in path if name != "$user"), "public")
    return typed(text(shown), t.varchar(128))


@function("pg_backend_pid", (0, 0), "PG_BACKEND_PID")
def _pg_backend_pid(c: Compiler, args: list[Typed]) -> Typed:
    return typed(str(int(getattr(c.catalog, "pid", 0))), t.INT4)


def _signal(name: str, terminate: bool) -> None:
    @function(name, (1, 1), name.upper(), (f"{name.upper()}(1)", "0"))
    def handler(c: Compiler, args: list[Typed]) -> Typed:
        pid = args[0].literal
        if pid is None or not pid.isdigit():
            raise Unsupported(f"{name.upper()} of anything but a number", "Ask for its pid first.")
        signal = getattr(c.catalog, "signal", None)
        return typed("1" if signal is not None and signal(int(pid), terminate) else "0", t.INT4)


_signal("pg_cancel_backend", terminate=False)
_signal("pg_terminate_backend", terminate=True)


@function(
    "format_type", (2, 2), "c_intro_catalog_views",
    ("FORMAT_TYPE(1043, 260)", "character varying(256)"),
    ("FORMAT_TYPE(1700, 786438)", "numeric(12,2)"), ("FORMAT_TYPE(23, -1)", "integer"),
)  # fmt: skip
def _format_type(c: Compiler, args: list[Typed]) -> Typed:
    """The name of a type by its number and modifier, for readers of the catalog tables."""
    number, modifier = (c.cast(value, t.INT8).sql for value in args)
    names = " ".join(
        f"WHEN {oid} THEN '{t.LONG_NAMES.get(name, name)}'" for name, oid in t.OIDS.items()
    )
    size = f"({modifier} - 4)"
    sql = (
        f"CASE {number} {names} END || CASE WHEN {modifier} < 4 THEN ''"
        f" WHEN {number} = {t.OIDS['numeric']}"
        f" THEN '(' || ({size} >> 16) || ',' || ({size} & 65535) || ')'"
        f" WHEN {number} IN ({t.OIDS['varchar']}, {t.OIDS['bpchar']}) THEN '(' || {size} || ')'"
        f" ELSE '' END"
    )
    return typed(f"({sql})", t.varchar(256))


_TABLE_PRIVILEGES = ("select", "insert", "update", "delete", "references", "drop", "truncate",
                     "alter")  # fmt: skip


@function("has_table_privilege", (2, 3), "r_HAS_TABLE_PRIVILEGE")
def _has_table_privilege(c: Compiler, args: list[Typed]) -> Typed:
    """There is one user, who may do everything to a table that exists."""
    from local_aws.redshift.dialect import Cursor

    table, privilege = args[-2], args[-1]
    if table.literal is None:
        raise Unsupported("HAS_TABLE_PRIVILEGE of a table that is not a literal")
    c.catalog.relation(Cursor(table.literal).qualified())
    if privilege.literal is not None and privilege.literal.lower() not in _TABLE_PRIVILEGES:
        raise SqlError(f'unrecognized privilege type: "{privilege.literal}"')
    return typed("TRUE", t.BOOL)


# -- aggregates ----------------------------------------------------------------------------


def _one(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> tuple[Typed, str]:
    value = c.expr(args[0], scope)
    return value, "DISTINCT " if how.distinct else ""


@function("count", (1, 1), "r_COUNT", ("COUNT(*)", "1"), kind="aggregate")
def _count(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    if isinstance(args[0], exp.Star):
        return typed(f"count(*){how.over}", t.INT8, nullable=False)
    value, distinct = _one(c, args, scope, how)
    return typed(f"count({distinct}{value.sql}){how.over}", t.INT8, nullable=False)


@function("approximate_count", (1, 1), "r_COUNT", kind="aggregate")
def _approximate_count(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    """APPROXIMATE COUNT(DISTINCT x); the exact count, which is within Redshift's 2 percent."""
    if not how.distinct or how.over:
        raise SqlError("APPROXIMATE needs COUNT(DISTINCT ...) without OVER")
    return typed(f"count(DISTINCT {c.expr(args[0], scope).sql})", t.INT8, name="count")


@function("sum", (1, 1), "r_SUM", ("SUM(2)", "2"), ("SUM(1.50)", "1.50"), kind="aggregate")
def _sum(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    """Integers give BIGINT, BIGINT gives NUMERIC(38,0), NUMERIC(p,s) gives NUMERIC(38,s)."""
    value, distinct = _one(c, args, scope, how)
    value = number(c, value)
    if value.type.is_float:
        kind = t.FLOAT8
    elif value.type.name == "numeric":
        kind = t.numeric(38, value.type.b)
    else:
        kind = t.numeric(38, 0) if value.type.name == "int8" else t.INT8
    return typed(f"CAST(sum({distinct}{value.sql}){how.over} AS {kind.duck})", kind)


@function("avg", (1, 1), "r_AVG", ("AVG(7)", "7"), ("AVG(1.50)", "1.50"), kind="aggregate")
def _avg(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    """Integers give an integer (BIGINT), NUMERIC(p,s) gives NUMERIC(38,s), both cut."""
    from local_aws.redshift.expressions import divide_sql

    value, distinct = _one(c, args, scope, how)
    value = number(c, value)
    if value.type.is_float:
        return typed(f"avg({distinct}{c.cast(value, t.FLOAT8).sql}){how.over}", t.FLOAT8)
    total = f"sum({distinct}{value.sql}){how.over}"
    count = f"nullif(count({distinct}{value.sql}){how.over}, 0)"
    if value.type.is_integer:
        return typed(f"CAST({total} // {count} AS BIGINT)", t.INT8)
    kind = t.numeric(38, value.type.b)
    return typed(divide_sql(total, value.type.b, count, 0, kind), kind)


def _same(names: str, duck: str, page: str, *examples: tuple[str, str | None]) -> None:
    @function(names, (1, 1), page, *examples, kind="aggregate")
    def handler(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
        value, distinct = _one(c, args, scope, how)
        kind = t.varchar(value.type.a) if value.type.name == "unknown" else value.type
        return typed(f"{duck}({distinct}{value.sql}){how.over}", kind)


_same("min", "min", "r_MIN", ("MIN(3)", "3"))
_same("max", "max", "r_MAX", ("MAX('b')", "b"))
_same("any_value", "any_value", "r_ANY_VALUE", ("ANY_VALUE(1)", "1"))
_same("bool_and", "bool_and", "r_BOOL_AND", ("BOOL_AND(TRUE)", "True"))
_same("bool_or", "bool_or", "r_BOOL_OR", ("BOOL_OR(FALSE)", "False"))
_same("bit_and", "bit_and", "r_BIT_AND", ("BIT_AND(6)", "6"))
_same("bit_or", "bit_or", "r_BIT_OR", ("BIT_OR(6)", "6"))


def _spread(names: str, duck: str, page: str, *examples: tuple[str, str | None]) -> None:
    @function(names, (1, 1), page, *examples, kind="aggregate")
    def handler(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
        value, distinct = _one(c, args, scope, how)
        return typed(f"{duck}({distinct}{as_float(c, number(c, value))}){how.over}", t.FLOAT8)


_spread("stddev stddev_samp", "stddev_samp", "r_STDDEV_functions", ("STDDEV(1)", None))
_spread("stddev_pop", "stddev_pop", "r_STDDEV_functions", ("STDDEV_POP(1)", "0.0"))
_spread("variance var_samp", "var_samp", "r_VARIANCE_functions", ("VARIANCE(1)", None))
_spread("var_pop", "var_pop", "r_VARIANCE_functions", ("VAR_POP(1)", "0.0"))


@function(
    "listagg",
    (1, 2),
    "r_LISTAGG",
    ("LISTAGG('a', ', ') WITHIN GROUP (ORDER BY 1)", "a"),
    kind="aggregate",
)
def _listagg(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    from local_aws.redshift.compiler import _direction

    value = as_text(c, c.expr(args[0], scope))
    mark = c.expr(args[1], scope).sql if len(args) > 1 else "''"
    distinct = "DISTINCT " if how.distinct else ""
    keys = ", ".join(c.expr(item.this, scope).sql + _direction(item) for item in how.within)
    order = f" ORDER BY {keys}" if keys else ""
    made = f"string_agg({distinct}{value.sql}, {mark}{order}){how.over}"
    limit = "Result size exceeds LISTAGG limit"
    return typed(
        f"_rs.checked(coalesce(strlen({made}), 0) <= {t.MAX_VARCHAR}, {made}, '{limit}')", t.TEXT
    )


@function("median", (1, 1), "r_MEDIAN", ("MEDIAN(3)", "3.0"), kind="aggregate")
def _median(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    return _continuous(c, c.expr(args[0], scope), "0.5", how)


def _continuous(c: Compiler, value: Typed, fraction: str, how: Call) -> Typed:
    if value.type.is_temporal:
        return typed(f"quantile_cont({value.sql}, {fraction}){how.over}", value.type)
    value = number(c, value)
    if value.type.is_float:
        exact = c.cast(value, t.FLOAT8)
        return typed(f"quantile_cont({exact.sql}, {fraction}){how.over}", t.FLOAT8)
    scale = value.type.b + 1 if value.type.name == "numeric" else 1
    digits = t.as_numeric(value.type)
    kind = t.numeric(min(38, digits.a + 1), min(scale, 38))
    return typed(
        f"CAST(quantile_cont({c.cast(value, kind).sql}, {fraction}){how.over} AS {kind.duck})", kind
    )


def _fraction(c: Compiler, args: list[exp.Expr], scope: Scope, name: str) -> str:
    value = c.expr(args[0], scope)
    if value.literal is None or not 0 <= float(value.literal) <= 1:
        raise SqlError(f"{name} needs a number between 0 and 1")
    return value.literal


@function(
    "percentile_cont",
    (1, 1),
    "r_PERCENTILE_CONT",
    ("PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY 3.0)", "3.00"),
    kind="aggregate",
)
def _percentile_cont(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    if len(how.within) != 1:
        raise SqlError("PERCENTILE_CONT needs WITHIN GROUP (ORDER BY one expression)")
    fraction = _fraction(c, args, scope, "PERCENTILE_CONT")
    item = how.within[0]
    if item.args.get("desc"):
        fraction = f"1 - {fraction}"
    return _continuous(c, c.expr(item.this, scope), f"({fraction})", how)


@function(
    "percentile_disc",
    (1, 1),
    "r_APPROXIMATE_PERCENTILE_DISC",
    ("PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY 3)", "3"),
    kind="aggregate",
)
def _percentile_disc(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    if len(how.within) != 1 or how.within[0].args.get("desc"):
        raise Unsupported("PERCENTILE_DISC without an ascending ORDER BY")
    fraction = _fraction(c, args, scope, "PERCENTILE_DISC")
    value = c.expr(how.within[0].this, scope)
    return typed(f"quantile_disc({value.sql}, {fraction}){how.over}", value.type)


# -- window functions ----------------------------------------------------------------------


def _ranking(name: str, kind: RType, page: str) -> None:
    @function(
        name,
        (0, 0),
        page,
        (
            f"{name.upper()}() OVER (ORDER BY 1)",
            {"float8": "0.0" if name == "percent_rank" else "1.0"}.get(kind.name, "1"),
        ),
        kind="window",
    )
    def handler(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
        return typed(f"{name}(){how.over}", kind)


_ranking("row_number", t.INT8, "r_WF_ROW_NUMBER")
_ranking("rank", t.INT8, "r_WF_RANK")
_ranking("dense_rank", t.INT8, "r_WF_DENSE_RANK")
_ranking("percent_rank", t.FLOAT8, "r_WF_PERCENT_RANK")
_ranking("cume_dist", t.FLOAT8, "r_WF_CUME_DIST")


@function("ntile", (1, 1), "r_WF_NTILE", ("NTILE(2) OVER (ORDER BY 1)", "1"), kind="window")
def _ntile(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    return typed(f"ntile({as_int(c, c.expr(args[0], scope))}){how.over}", t.INT8)


def _offset(name: str, page: str) -> None:
    @function(name, (1, 2), page, (f"{name.upper()}(1) OVER (ORDER BY 1)", None), kind="window")
    def handler(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
        value = c.expr(args[0], scope)
        step = f", {as_int(c, c.expr(args[1], scope))}" if len(args) > 1 else ""
        return typed(f"{name}({value.sql}{step}{how.nulls}){how.over}", value.type)


_offset("lag", "r_WF_LAG")
_offset("lead", "r_WF_LEAD")


def _edge(name: str, page: str) -> None:
    example = (
        f"{name.upper()}(2) OVER (ORDER BY 1 ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
    )

    @function(name, (1, 1), page, (example, "2"), kind="window")
    def handler(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
        if how.ordered and "ROWS BETWEEN" not in how.over:
            raise SqlError(f"{name} with an ORDER BY clause requires a frame clause")
        value = c.expr(args[0], scope)
        return typed(f"{name}({value.sql}{how.nulls}){how.over}", value.type)


_edge("first_value", "r_WF_first_value")
_edge("last_value", "r_WF_first_value")


@function("nth_value", (2, 2), "r_WF_NTH", kind="window")
def _nth_value(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    value, index = c.exprs(args, scope)
    return typed(f"nth_value({value.sql}, {as_int(c, index)}{how.nulls}){how.over}", value.type)


@function(
    "ratio_to_report",
    (1, 1),
    "r_WF_RATIO_TO_REPORT",
    ("RATIO_TO_REPORT(5) OVER ()", "1.0"),
    kind="window",
)
def _ratio_to_report(c: Compiler, args: list[exp.Expr], scope: Scope, how: Call) -> Typed:
    if how.ordered:
        raise SqlError("RATIO_TO_REPORT takes no ORDER BY")
    value = as_float(c, number(c, c.expr(args[0], scope)))
    return typed(f"({value} / sum({value}){how.over})", t.FLOAT8)
