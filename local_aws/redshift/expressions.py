"""What each kind of expression means: operators, literals, casts, conditions, subqueries.

https://docs.aws.amazon.com/redshift/latest/dg/r_expressions.html
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation

from sqlglot import exp

from local_aws.redshift import functions
from local_aws.redshift import types as t
from local_aws.redshift.casts import to_text
from local_aws.redshift.compiler import (
    _BARE,
    _COMPARISONS,
    Compiler,
    Scope,
    Typed,
    rule,
    text,
)
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.types import RType


@rule(exp.Literal)
def literal(c: Compiler, node: exp.Literal, scope: Scope) -> Typed:
    value = node.this
    if node.is_string:
        kind = RType("unknown", len(value.encode()))
        return Typed(text(value), kind, literal=value, nullable=False)
    return number(value)


def number(value: str) -> Typed:
    """A number as it is written: INT, BIGINT, NUMERIC of its digits, or DOUBLE PRECISION."""
    if "e" in value.lower():
        return Typed(f"CAST({value} AS DOUBLE)", t.FLOAT8, literal=value, nullable=False)
    whole, point, fraction = value.partition(".")
    digits = whole.lstrip("0") or ("" if fraction else "0")
    if not point:
        size = int(value)
        kind = t.INT4 if size < 2**31 else t.INT8 if size < 2**63 else t.numeric(len(digits), 0)
        return Typed(value, kind, literal=value, nullable=False)
    kind = t.numeric(max(len(digits) + len(fraction), 1), len(fraction))
    if kind.a > 38:
        raise SqlError(f"the number {value} has more than 38 digits")
    return Typed(f"CAST({value} AS {kind.duck})", kind, literal=value, nullable=False)


@rule(exp.Null)
def null(c: Compiler, node: exp.Null, scope: Scope) -> Typed:
    return Typed("NULL", t.NULL)


@rule(exp.Boolean)
def boolean(c: Compiler, node: exp.Boolean, scope: Scope) -> Typed:
    return Typed("TRUE" if node.this else "FALSE", t.BOOL, "bool", nullable=False)


@rule(exp.Concat)
def adjacent(c: Compiler, node: exp.Concat, scope: Scope) -> Typed:
    """``'a' 'b'``: two texts side by side are one."""
    return literal(c, exp.Literal.string("".join(part.name for part in node.expressions)), scope)


@rule(exp.National)
def national(c: Compiler, node: exp.National, scope: Scope) -> Typed:
    return literal(c, exp.Literal.string(node.name), scope)


@rule(exp.Placeholder)
def parameter(c: Compiler, node: exp.Placeholder, scope: Scope) -> Typed:
    """``:name``, a parameter of the Data API: text whose use gives it a type."""
    name = node.name
    if name not in c.parameters:
        raise SqlError(f"the parameter {name} has no value")
    c.used_parameters.add(name)
    return literal(c, exp.Literal.string(c.parameters[name]), scope)


@rule(exp.Parameter)
def argument(c: Compiler, node: exp.Parameter, scope: Scope) -> Typed:
    """``$1``, a parameter of a prepared statement."""
    number_of = int(node.name) if node.name.isdigit() else 0
    if not 1 <= number_of <= len(c.arguments):
        raise SqlError(f"there is no parameter ${node.name}")
    given = c.arguments[number_of - 1]
    kind, value = given.type, given.text
    if value is None:
        empty = Typed("NULL", t.NULL)
        return empty if kind == t.UNKNOWN else c.cast(empty, kind)
    if kind == t.UNKNOWN:
        return literal(c, exp.Literal.string(value), scope)
    if kind.name == "varchar":
        return Typed(text(value), t.varchar(len(value.encode())), nullable=False)
    if kind.name == "numeric":
        kind, value = _numeric_of(value)
    return Typed(f"CAST({text(value)} AS {kind.duck})", kind, literal=value, nullable=False)


def _numeric_of(value: str) -> tuple[RType, str]:
    """NUMERIC of a number's own digits, so that none is lost, and those digits."""
    try:
        digits = Decimal(value).as_tuple()
    except InvalidOperation:
        raise SqlError(f'invalid input syntax for type numeric: "{value}"') from None
    if not isinstance(digits.exponent, int):
        raise Unsupported(f"NUMERIC {value}")
    scale = max(-digits.exponent, 0)
    kind = t.numeric(max(len(digits.digits) + max(digits.exponent, 0), scale, 1), scale)
    if kind.a > 38:
        raise SqlError(f"the number {value} has more than 38 digits")
    return kind, format(Decimal(value), "f")


@rule(exp.RawString)
def dollar_quoted(c: Compiler, node: exp.RawString, scope: Scope) -> Typed:
    return literal(c, exp.Literal.string(node.name), scope)


@rule(exp.Column)
def column(c: Compiler, node: exp.Column, scope: Scope) -> Typed:
    if isinstance(node.this, exp.Star):
        raise SqlError("* can only be used in a select list or COUNT(*)")
    return c.column(node, scope)


@rule(exp.Paren)
def paren(c: Compiler, node: exp.Paren, scope: Scope) -> Typed:
    value = c.expr(node.this, scope)
    return replace(value, sql=f"({value.sql})")


@rule(exp.Subquery, exp.Select)
def scalar_subquery(c: Compiler, node: exp.Expr, scope: Scope) -> Typed:
    inner = c.query(node, scope)
    if len(inner.columns) != 1:
        raise SqlError("subquery must return only one column")
    only = inner.columns[0]
    return Typed(f"({inner.sql})", only.type, only.name)


@rule(exp.Exists)
def exists(c: Compiler, node: exp.Exists, scope: Scope) -> Typed:
    return Typed(f"EXISTS ({c.query(node.this, scope).sql})", t.BOOL, nullable=False)


# -- arithmetic ----------------------------------------------------------------------------


@rule(exp.Add, exp.Sub)
def add(c: Compiler, node: exp.Binary, scope: Scope) -> Typed:
    """``+`` and ``-``: numbers, dates with days, timestamps with intervals."""
    sign = "+" if isinstance(node, exp.Add) else "-"
    a, b = c.expr(node.this, scope), c.expr(node.expression, scope)
    a, b = _settle(c, a, b)
    if a.type.is_number and b.type.is_number:
        return arithmetic(c, sign, a, b)
    names = (a.type.name, b.type.name)
    if names == ("date", "date") and sign == "-":
        return Typed(f"({a.sql} - {b.sql})", t.INT8)
    if a.type.name == "date" and b.type.is_integer:
        return Typed(f"({a.sql} {sign} CAST({b.sql} AS INTEGER))", t.DATE)
    if b.type.name == "date" and a.type.is_integer and sign == "+":
        return Typed(f"({b.sql} + CAST({a.sql} AS INTEGER))", t.DATE)
    if a.type.is_temporal and b.type.name == "interval":
        a = c.cast(a, t.TIMESTAMP) if a.type.name == "date" else a
        return Typed(f"({a.sql} {sign} {b.sql})", a.type)
    if b.type.is_temporal and a.type.name == "interval" and sign == "+":
        b = c.cast(b, t.TIMESTAMP) if b.type.name == "date" else b
        return Typed(f"({b.sql} + {a.sql})", b.type)
    if a.type.is_temporal and b.type.is_temporal and sign == "-":
        kind = t.unify([a.type, b.type], sign)
        return Typed(f"({c.cast(a, kind).sql} - {c.cast(b, kind).sql})", t.INTERVAL)
    if names == ("interval", "interval"):
        return Typed(f"({a.sql} {sign} {b.sql})", t.INTERVAL)
    raise _no_operator(a, sign, b)


def _settle(c: Compiler, a: Typed, b: Typed) -> tuple[Typed, Typed]:
    """A text literal beside a typed value takes that value's type."""
    if a.type.name in ("unknown", "null") and b.type.name not in ("unknown", "null"):
        return c.cast(a, _operand(a, b.type)), b
    if b.type.name in ("unknown", "null") and a.type.name not in ("unknown", "null"):
        return a, c.cast(b, _operand(b, a.type))
    return a, b


def _operand(value: Typed, other: RType) -> RType:
    if other.name == "numeric" and value.literal is not None:
        return t.numeric(38, other.b)
    return other


def _no_operator(a: Typed, sign: str, b: Typed) -> SqlError:
    return SqlError(
        f"operator does not exist: {a.type} {sign} {b.type}",
        "No operator matches the given name and argument type(s)."
        " You may need to add explicit type casts.",
    )


def arithmetic(c: Compiler, sign: str, a: Typed, b: Typed) -> Typed:
    """Numbers, with Redshift's result types.

    https://docs.aws.amazon.com/redshift/latest/dg/r_numeric_computations201.html
    >>> 7 / 2                        -- 3
    >>> 1.00 * 1.5                   -- 1.500, NUMERIC(6,3)
    >>> 10.00 / 3                    -- 3.3333333333333, thirteen decimals
    """
    if a.type.is_float or b.type.is_float:
        kind = t.FLOAT4 if a.type.name == b.type.name == "float4" else t.FLOAT8
        a, b = c.cast(a, kind), c.cast(b, kind)
        right = f"_rs.divisor({b.sql})" if sign in "/%" else b.sql
        return Typed(f"CAST({a.sql} {sign} {right} AS {kind.duck})", kind)
    if a.type.is_integer and b.type.is_integer:
        kind = t.unify([a.type, b.type], sign)
        operator = "//" if sign == "/" else sign
        return Typed(f"({c.cast(a, kind).sql} {operator} {c.cast(b, kind).sql})", kind)
    x, y = t.as_numeric(a.type), t.as_numeric(b.type)
    a, b = c.cast(a, x), c.cast(b, y)
    if sign == "/":
        return _divide(a, b)
    if sign == "*":
        scale, precision = x.b + y.b, x.a + y.a + 1
        if scale > 38:
            raise SqlError("Numeric data overflow (the product needs more than 38 decimals)")
    else:
        scale = max(x.b, y.b)
        precision = max(x.a - x.b, y.a - y.b) + 1 + scale
        if sign == "%":
            precision -= 1
    kind = t.numeric(min(precision, 38), scale)
    return Typed(f"CAST({a.sql} {sign} {b.sql} AS {kind.duck})", kind)


def quotient_type(x: RType, y: RType) -> RType:
    """The type of x / y for two NUMERIC types."""
    scale = max(4, x.b + y.a - y.b + 1)
    precision = x.a - x.b + y.b + scale
    if precision > 38:
        scale = max(38 + scale - precision, min(4, 100))
        precision = 38
    return t.numeric(precision, min(scale, 38))


def _divide(a: Typed, b: Typed) -> Typed:
    kind = quotient_type(a.type, b.type)
    return Typed(divide_sql(a.sql, a.type.b, b.sql, b.type.b, kind), kind)


def divide_sql(a: str, a_scale: int, b: str, b_scale: int, kind: RType) -> str:
    """a / b for decimals in 128-bit integers, cut (not rounded) at the result's scale."""
    top = unscaled(a, a_scale)
    bottom = unscaled(b, b_scale)
    shift = kind.b - a_scale + b_scale
    if shift > 0:
        top = f"({top} * CAST('{10**shift}' AS HUGEINT))"
    elif shift < 0:
        bottom = f"({bottom} * CAST('{10**-shift}' AS HUGEINT))"
    return rescaled(f"({top} // {bottom})", kind)


def unscaled(sql: str, scale: int) -> str:
    """A DECIMAL as the whole number of its smallest units."""
    if scale == 0:
        return f"CAST({sql} AS HUGEINT)"
    return f"CAST({sql} * CAST('1{'0' * scale}' AS DECIMAL({scale + 1},0)) AS HUGEINT)"


def rescaled(sql: str, kind: RType) -> str:
    """The inverse of :func:`unscaled`."""
    if kind.b == 0:
        return f"CAST({sql} AS {kind.duck})"
    unit = (
        f"CAST('0.{'0' * (kind.b - 1)}1' AS DECIMAL({kind.b + 1 if kind.b < 38 else 38},{kind.b}))"
    )
    return f"CAST(CAST({sql} AS DECIMAL(38,0)) * {unit} AS {kind.duck})"


@rule(exp.Mul, exp.Div, exp.Mod)
def multiply(c: Compiler, node: exp.Binary, scope: Scope) -> Typed:
    sign = {exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}[type(node)]
    a, b = _settle(c, c.expr(node.this, scope), c.expr(node.expression, scope))
    if not (a.type.is_number and b.type.is_number):
        if sign == "*" and {a.type.name, b.type.name} & {"interval"}:
            raise Unsupported("multiplying an INTERVAL", "Use DATEADD.")
        raise _no_operator(a, sign, b)
    return arithmetic(c, sign, a, b)


@rule(exp.Pow)
def power(c: Compiler, node: exp.Pow, scope: Scope) -> Typed:
    a, b = (c.cast(c.expr(part, scope), t.FLOAT8) for part in (node.this, node.expression))
    return Typed(f"pow({a.sql}, {b.sql})", t.FLOAT8)


@rule(exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseLeftShift, exp.BitwiseRightShift)
def bitwise(c: Compiler, node: exp.Binary, scope: Scope) -> Typed:
    sign = {
        exp.BitwiseAnd: "&",
        exp.BitwiseOr: "|",
        exp.BitwiseLeftShift: "<<",
        exp.BitwiseRightShift: ">>",
    }[type(node)]
    a, b = c.expr(node.this, scope), c.expr(node.expression, scope)
    if not (a.type.is_integer and b.type.is_integer):
        raise _no_operator(a, sign, b)
    kind = t.unify([a.type, b.type], sign)
    return Typed(f"({c.cast(a, kind).sql} {sign} {c.cast(b, kind).sql})", kind)


@rule(exp.Neg)
def negative(c: Compiler, node: exp.Neg, scope: Scope) -> Typed:
    value = c.expr(node.this, scope)
    if not value.type.is_number:
        raise SqlError(f"operator does not exist: - {value.type}")
    literal_text = f"-{value.literal}" if value.literal is not None else None
    return Typed(f"(- {value.sql})", value.type, literal=literal_text)


@rule(exp.DPipe)
def concatenate(c: Compiler, node: exp.DPipe, scope: Scope) -> Typed:
    """``||``: NULL when either side is."""
    a, b = c.expr(node.this, scope), c.expr(node.expression, scope)
    return joined(a, b)


def joined(a: Typed, b: Typed) -> Typed:
    sides = []
    length = 0
    for value in (a, b):
        if value.type.name == "bool":
            raise SqlError(f"operator does not exist: {a.type} || {b.type}")
        sides.append(to_text(value.sql, value.type) if value.type.name != "null" else "NULL")
        length += value.type.a if value.type.is_string else 64
    return Typed(f"({sides[0]} || {sides[1]})", t.varchar(length))


# -- conditions ----------------------------------------------------------------------------


def compare(c: Compiler, a: Typed, sign: str, b: Typed) -> str:
    try:
        kind = t.unify([a.type, b.type], sign)
    except SqlError:
        raise _no_operator(a, sign, b) from None
    if "bpchar" in (a.type.name, b.type.name):
        a, b = (_trimmed(value) for value in (a, b))
    if kind.is_number and a.type.is_number and b.type.is_number:
        return f"({a.sql} {sign} {b.sql})"
    if kind.name == "numeric":
        kind = t.numeric(38, max(kind.b, 10) if kind.a - kind.b <= 28 else kind.b)
        return f"({_loose(c, a, kind)} {sign} {_loose(c, b, kind)})"
    if kind.is_string:
        return f"({a.sql} {sign} {b.sql})"
    return f"({c.cast(a, kind).sql} {sign} {c.cast(b, kind).sql})"


def _loose(c: Compiler, value: Typed, kind: RType) -> str:
    return value.sql if value.type.name == "numeric" else c.cast(value, kind).sql


def _trimmed(value: Typed) -> Typed:
    if value.literal is not None and value.type.name == "unknown":
        shorter = value.literal.rstrip(" ")
        return replace(value, sql=text(shorter), literal=shorter)
    return value


@rule(*_COMPARISONS)
def comparison(c: Compiler, node: exp.Binary, scope: Scope) -> Typed:
    sign = _COMPARISONS[type(node)]
    right = node.expression
    if isinstance(right, exp.Any | exp.All):
        quantifier = "ANY" if isinstance(right, exp.Any) else "ALL"
        inner = right.this
        while isinstance(inner, exp.Paren):
            inner = inner.this
        if not isinstance(inner, exp.Select | exp.Subquery | exp.SetOperation):
            raise Unsupported(f"{quantifier} of anything but a subquery")
        a, query = c.expr(node.this, scope), c.query(inner, scope)
        if len(query.columns) != 1:
            raise SqlError("subquery has too many columns")
        t.unify([a.type, query.columns[0].type], sign)
        return Typed(f"({a.sql} {sign} {quantifier} ({query.sql}))", t.BOOL)
    if isinstance(node.this, exp.Tuple) and isinstance(right, exp.Tuple):
        if sign not in ("=", "<>") or len(node.this.expressions) != len(right.expressions):
            raise Unsupported(f"a row comparison with {sign}")
        pairs = [
            compare(c, c.expr(a, scope), "=", c.expr(b, scope))
            for a, b in zip(node.this.expressions, right.expressions, strict=True)
        ]
        both = f"({' AND '.join(pairs)})"
        return Typed(both if sign == "=" else f"(NOT {both})", t.BOOL)
    a, b = c.expr(node.this, scope), c.expr(right, scope)
    return Typed(compare(c, a, sign, b), t.BOOL)


@rule(exp.And, exp.Or)
def logical(c: Compiler, node: exp.Connector, scope: Scope) -> Typed:
    word = "AND" if isinstance(node, exp.And) else "OR"
    parts = [c.condition(part, scope, word) for part in node.flatten()]
    return Typed(f"({f' {word} '.join(parts)})", t.BOOL)


@rule(exp.Not)
def negation(c: Compiler, node: exp.Not, scope: Scope) -> Typed:
    return Typed(f"(NOT {c.condition(node.this, scope, 'NOT')})", t.BOOL)


@rule(exp.Is)
def is_test(c: Compiler, node: exp.Is, scope: Scope) -> Typed:
    value = c.expr(node.this, scope)
    what = node.expression
    if isinstance(what, exp.Null):
        return Typed(f"({value.sql} IS NULL)", t.BOOL, nullable=False)
    if isinstance(what, exp.Boolean):
        test = c.cast(value, t.BOOL).sql
        word = "TRUE" if what.this else "FALSE"
        return Typed(f"({test} IS NOT DISTINCT FROM {word})", t.BOOL, nullable=False)
    if isinstance(what, exp.Column) and what.name.lower() == "unknown":
        return Typed(f"({value.sql} IS NULL)", t.BOOL, nullable=False)
    raise Unsupported(f"IS {what.sql(dialect='redshift')}")


@rule(exp.Between)
def between(c: Compiler, node: exp.Between, scope: Scope) -> Typed:
    value, low, high = (c.expr(node.args[part], scope) for part in ("this", "low", "high"))
    both = f"{compare(c, value, '>=', low)} AND {compare(c, value, '<=', high)}"
    return Typed(f"({both})", t.BOOL)


@rule(exp.In)
def contained(c: Compiler, node: exp.In, scope: Scope) -> Typed:
    query = node.args.get("query")
    left = node.this
    if query is not None:
        parts = left.expressions if isinstance(left, exp.Tuple) else [left]
        values = c.exprs(parts, scope)
        inner = c.query(query, scope)
        if len(inner.columns) != len(values):
            few = "few" if len(inner.columns) < len(values) else "many"
            raise SqlError(f"subquery has too {few} columns")
        casts = []
        for value, found in zip(values, inner.columns, strict=True):
            kind = t.unify([value.type, found.type], "IN")
            number_pair = value.type.is_number and found.type.is_number
            casts.append(value.sql if number_pair else c.cast(value, kind).sql)
        listed = ", ".join(casts)
        row = listed if len(casts) == 1 else f"({listed})"
        return Typed(f"({row} IN ({inner.sql}))", t.BOOL)
    if node.args.get("unnest") or node.args.get("field"):
        raise Unsupported("IN over an array")
    value = c.expr(left, scope)
    items = c.exprs(node.expressions, scope)
    simple = all(item.type.is_number for item in [value, *items])
    kind = t.unify([value.type, *(item.type for item in items)], "IN")
    if kind.is_string and value.type.name == "bpchar":
        items = [_trimmed(item) for item in items]
    if kind.name == "numeric":
        kind = t.numeric(38, kind.b)
    parts_sql = [item.sql if simple else c.cast(item, kind).sql for item in [value, *items]]
    return Typed(f"({parts_sql[0]} IN ({', '.join(parts_sql[1:])}))", t.BOOL)


@rule(exp.Like, exp.ILike, exp.Escape)
def like(c: Compiler, node: exp.Expr, scope: Scope) -> Typed:
    """LIKE and ILIKE; the escape is a backslash unless ESCAPE says otherwise.

    https://docs.aws.amazon.com/redshift/latest/dg/r_patternmatching_condition_like.html
    >>> 'a_c' LIKE 'a\\\\_c'   -- true
    """
    escape = "\\"
    if isinstance(node, exp.Escape):
        escape = node.expression.name
        node = node.this
    if not isinstance(node, exp.Like | exp.ILike):
        raise Unsupported("ESCAPE after SIMILAR TO")
    if isinstance(node.expression, exp.Any | exp.All):
        raise SqlError("LIKE ANY is not supported")
    value, pattern = (_text(c, c.expr(part, scope)) for part in (node.this, node.expression))
    word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
    plain = pattern.literal is not None and escape not in pattern.literal
    tail = "" if plain else f" ESCAPE {text(escape)}"
    sql = f"({value.sql} {word} {pattern.sql}{tail})"
    return Typed(f"(NOT {sql})" if node.args.get("negate") else sql, t.BOOL)


def _text(c: Compiler, value: Typed) -> Typed:
    if value.type.is_string:
        return value
    if value.type.name == "bool":
        raise SqlError(f"operator does not exist: {value.type} ~~ unknown")
    return c.cast(value, t.TEXT)


@rule(exp.SimilarTo)
def similar(c: Compiler, node: exp.SimilarTo, scope: Scope) -> Typed:
    """SIMILAR TO: ``%`` and ``_`` as in LIKE, and ``| * + ? {m,n} () []``.

    https://docs.aws.amazon.com/redshift/latest/dg/pattern-matching-conditions-similar-to.html
    """
    value, pattern = _text(c, c.expr(node.this, scope)), c.expr(node.expression, scope)
    if pattern.literal is None:
        raise Unsupported("SIMILAR TO with a pattern that is not a literal")
    regex = text(_similar_regex(pattern.literal))
    sql = f"regexp_full_match({value.sql}, {regex}, 's')"
    return Typed(f"(NOT {sql})" if node.args.get("negate") else sql, t.BOOL)


def _similar_regex(pattern: str) -> str:
    result, bracket, at = "", False, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            result += "\\" + pattern[at + 1]
            at += 2
            continue
        if bracket:
            bracket = char != "]"
            result += char
        elif char == "[":
            bracket = True
            result += char
        else:
            result += {"%": ".*", "_": "."}.get(char, "\\" + char if char in ".^$" else char)
        at += 1
    return result


@rule(exp.RegexpLike, exp.RegexpILike)
def matches(c: Compiler, node: exp.Expr, scope: Scope) -> Typed:
    """``~`` and ``~*``: POSIX expressions, as DuckDB's RE2 reads them."""
    value, pattern = (_text(c, c.expr(part, scope)) for part in (node.this, node.expression))
    flags = ", 'i'" if isinstance(node, exp.RegexpILike) else ""
    sql = f"regexp_matches({value.sql}, {pattern.sql}{flags})"
    return Typed(f"(NOT {sql})" if node.args.get("negate") else sql, t.BOOL)


@rule(exp.Case)
def case(c: Compiler, node: exp.Case, scope: Scope) -> Typed:
    operand = c.expr(node.this, scope) if node.this is not None else None
    tests, values = [], []
    for branch in node.args["ifs"]:
        if operand is None:
            tests.append(c.condition(branch.this, scope, "CASE/WHEN"))
        else:
            tests.append(compare(c, operand, "=", c.expr(branch.this, scope)))
        values.append(c.expr(branch.args["true"], scope))
    default = node.args.get("default")
    values.append(c.expr(default, scope) if default is not None else Typed("NULL", t.NULL))
    kind = t.unify([value.type for value in values], "CASE")
    results = [c.cast(value, kind).sql if kind.name != "null" else "NULL" for value in values]
    branches = " ".join(
        f"WHEN {test} THEN {result}" for test, result in zip(tests, results[:-1], strict=True)
    )
    return Typed(f"CASE {branches} ELSE {results[-1]} END", concrete_text(kind), "case")


def concrete_text(kind: RType) -> RType:
    return t.varchar(kind.a) if kind.name == "unknown" else kind


@rule(exp.Cast)
def cast(c: Compiler, node: exp.Cast, scope: Scope) -> Typed:
    """CAST, CONVERT and ``::``.

    https://docs.aws.amazon.com/redshift/latest/dg/r_CAST_function.html
    """
    if node.args.get("format"):
        raise Unsupported("CAST ... FORMAT")
    value = c.expr(node.this, scope)
    length = value.type.a if value.type.is_string and value.type.a else 256
    kind = t.from_sqlglot(node.to, default_varchar=max(length, 1))
    name = value.name if value.name != "?column?" else kind.name
    return replace(c.cast(value, kind, explicit=True), name=name)


@rule(exp.TryCast)
def try_cast(c: Compiler, node: exp.TryCast, scope: Scope) -> Typed:
    """TRY_CAST: NULL where CAST fails.

    https://docs.aws.amazon.com/redshift/latest/dg/r_TRY_CAST.html
    """
    value = c.expr(node.this, scope)
    kind = t.from_sqlglot(node.to)
    made = replace(c.cast(value, kind, explicit=True), name=kind.name, nullable=True)
    if kind.is_string or value.type.name == "null":
        return made
    sql = value.sql
    if value.type.is_string:
        sql = f"trim({sql})"
        if kind.is_integer:
            sql = f"CASE WHEN regexp_full_match({sql}, '[+-]?[0-9]+') THEN {sql} END"
    return replace(made, sql=f"TRY_CAST({sql} AS {kind.duck})")


@rule(exp.AtTimeZone)
def at_time_zone(c: Compiler, node: exp.AtTimeZone, scope: Scope) -> Typed:
    value, zone = c.expr(node.this, scope), c.expr(node.args["zone"], scope)
    return zoned(c, value, zone)


def zoned(c: Compiler, value: Typed, zone: Typed) -> Typed:
    if value.type.name in ("unknown", "date", "varchar"):
        value = c.cast(value, t.TIMESTAMP)
    if not value.type.is_temporal:
        raise SqlError(f"operator does not exist: {value.type} AT TIME ZONE")
    kind = t.TIMESTAMP if value.type.name == "timestamptz" else t.TIMESTAMPTZ
    return Typed(f"({value.sql} AT TIME ZONE {zone.sql})", kind, "timezone")


@rule(exp.Interval)
def interval(c: Compiler, node: exp.Interval, scope: Scope) -> Typed:
    """``INTERVAL '2 days'``, ``INTERVAL '2' DAY``."""
    value = node.this
    if not isinstance(value, exp.Literal):
        raise Unsupported("INTERVAL of anything but a literal", "Use DATEADD.")
    unit = node.args.get("unit")
    if unit is not None and not isinstance(unit, exp.Var):
        raise Unsupported(f"INTERVAL ... {unit.sql(dialect='redshift')}")
    shown = f"{value.this} {unit.name}" if unit is not None else value.this
    return Typed(f"INTERVAL {text(shown)}", t.INTERVAL, "interval", nullable=False)


# -- functions -----------------------------------------------------------------------------


@rule(exp.Anonymous)
def call(c: Compiler, node: exp.Anonymous, scope: Scope) -> Typed:
    return functions.call(c, node, scope)


@rule(exp.Dot)
def qualified_call(c: Compiler, node: exp.Dot, scope: Scope) -> Typed:
    inner = node.expression
    if isinstance(inner, exp.Anonymous) and node.this.name.lower() == "pg_catalog":
        return functions.call(c, inner, scope)
    if isinstance(inner, exp.Anonymous):
        raise Unsupported(f"the user-defined function {node.sql(dialect='redshift')[:60]}")
    raise Unsupported(f"navigating {node.sql(dialect='redshift')[:60]} (SUPER)")


@rule(exp.Extract)
def extract(c: Compiler, node: exp.Extract, scope: Scope) -> Typed:
    return functions.date_part(c, node.this.name, c.expr(node.expression, scope), whole=True).named(
        "date_part"
    )


@rule(exp.Trim)
def trim(c: Compiler, node: exp.Trim, scope: Scope) -> Typed:
    which = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(
        str(node.args.get("position") or "").upper(), "btrim"
    )
    args = [node.this, *([node.expression] if node.expression is not None else [])]
    return functions.call(c, exp.Anonymous(this=which, expressions=args), scope)


@rule(exp.Substring)
def substring(c: Compiler, node: exp.Substring, scope: Scope) -> Typed:
    args = [node.this, node.args.get("start") or exp.Literal.number(1)]
    if node.args.get("length") is not None:
        args.append(node.args["length"])
    return functions.call(c, exp.Anonymous(this="substring", expressions=args), scope)


@rule(exp.StrPosition)
def position(c: Compiler, node: exp.StrPosition, scope: Scope) -> Typed:
    args = [node.this, node.args["substr"]]
    made = functions.call(c, exp.Anonymous(this="strpos", expressions=args), scope)
    return made.named("position")


@rule(exp.Window)
def window(c: Compiler, node: exp.Window, scope: Scope) -> Typed:
    return functions.window(c, node, scope)


@rule(exp.WithinGroup)
def within_group(c: Compiler, node: exp.WithinGroup, scope: Scope) -> Typed:
    return functions.call(c, node.this, scope, within=node.expression)


@rule(exp.Filter)
def filtered(c: Compiler, node: exp.Filter, scope: Scope) -> Typed:
    raise SqlError('syntax error at or near "filter"', "Redshift has no FILTER; use CASE.")


@rule(exp.CurrentDate)
def current_date(c: Compiler, node: exp.CurrentDate, scope: Scope) -> Typed:
    return Typed(f"DATE '{c.transaction_start:%Y-%m-%d}'", t.DATE, "date")


@rule(exp.CurrentTimestamp)
def current_timestamp(c: Compiler, node: exp.CurrentTimestamp, scope: Scope) -> Typed:
    moment = c.transaction_start
    return Typed(f"TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S.%f}+00'", t.TIMESTAMPTZ, "timestamptz")


@rule(exp.CurrentUser, exp.SessionUser)
def current_user(c: Compiler, node: exp.Expr, scope: Scope) -> Typed:
    return functions.user(c).named(
        "current_user" if isinstance(node, exp.CurrentUser) else "session_user"
    )


@rule(exp.CurrentSchema)
def current_schema(c: Compiler, node: exp.Expr, scope: Scope) -> Typed:
    return functions.call(c, exp.Anonymous(this="current_schema", expressions=[]), scope)


_BARE["user"] = lambda c: functions.user(c).named("current_user")
