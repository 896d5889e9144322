"""Trino's value expressions as typed DuckDB SQL."""

# SQL is put together here from quoted names and translated expressions only.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from local_aws.athena import types as t
from local_aws.athena.aggregates import AGGREGATES, WINDOWS, Modifiers, listagg
from local_aws.athena.errors import QueryError, unsupported
from local_aws.athena.functions import (
    SCALARS,
    concatenate,
    in_zone,
    json_value,
    make_row,
    now,
    subscript,
)
from local_aws.athena.parser import position
from local_aws.athena.scope import Scope
from local_aws.athena.signatures import ALIASES, DATE_PARTS, SIGNATURES, UNSUPPORTED
from local_aws.athena.types import Type
from local_aws.athena.values import (
    Value,
    arithmetic,
    cast,
    coerce,
    compare,
    field,
    local_time,
    unify,
)
from local_aws.lake import literal

if TYPE_CHECKING:
    from local_aws.athena.query import Translator

_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_COMPARISON = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip
_NO_AGGREGATES = {"WHERE": "WHERE clause", "ON": "JOIN clause", "GROUP BY": "GROUP BY clause"}


class Call:
    """One function call: its name in lower case, its arguments, and how to translate them."""

    def __init__(
        self, expressions: Expressions, scope: Scope, name: str, nodes: list[Any], where: str
    ) -> None:
        self.expressions = expressions
        self.scope = scope
        self.name = name
        self.nodes = nodes
        self.where = where
        self.star = len(nodes) == 1 and isinstance(nodes[0], exp.Star)
        self._values: dict[int, Value] = {}

    def without_arguments(self) -> Call:
        return Call(self.expressions, self.scope, self.name, [], self.where)

    def value(self, index: int) -> Value:
        if index not in self._values:
            self._values[index] = self.expressions.value(self.nodes[index], self.scope)
        return self._values[index]

    def values(self) -> list[Value]:
        return [self.value(i) for i in range(len(self.nodes))]

    def text(self, index: int) -> Value:
        value = self.value(index)
        if not value.type.text and value.type.name != "unknown":
            raise self.unexpected()
        return coerce(value, t.VARCHAR)

    def number(self, index: int) -> Value:
        value = self.value(index)
        if not value.type.numeric and value.type.name != "unknown":
            raise self.unexpected()
        return value

    def constant(self, index: int) -> str:
        """A string literal that must be known before the query runs."""
        value = self.value(index)
        if value.constant is None:
            raise unsupported(f"{self.name} with argument {index + 1} that is not a string literal")
        return value.constant

    def integer_constant(self, index: int) -> int:
        node = self.nodes[index]
        negative = isinstance(node, exp.Neg)
        number = node.this if negative else node
        if not isinstance(number, exp.Literal) or number.is_string or not number.name.isdigit():
            raise unsupported(f"{self.name} with argument {index + 1} that is not a whole number")
        return -int(number.name) if negative else int(number.name)

    def arity(self, low: int, high: int | None = None) -> None:
        if not low <= len(self.nodes) <= (high if high is not None else low):
            raise self.unexpected()

    def arithmetic(self, operator: str, a: Value, b: Value) -> Value:
        return arithmetic(operator, a, b, self.where)

    def unexpected(self) -> QueryError:
        """The error for arguments that the function does not take."""
        given = ", ".join(
            "function" if isinstance(n, exp.Lambda) else "*" if isinstance(n, exp.Star)
            else str(self.value(i).type)
            for i, n in enumerate(self.nodes)
        )  # fmt: skip
        known = [
            f"{self.name}({', '.join(str(p) for p in s.parameters)})"
            for s in SIGNATURES.get(ALIASES.get(self.name, self.name), [])
        ]
        expected = f" Expected: {', '.join(known)}" if known else ""
        return QueryError(
            "FUNCTION_NOT_FOUND",
            f"{self.where}Unexpected parameters ({given}) for function {self.name}.{expected}",
        )

    def fresh(self) -> str:
        """A name for a lambda's variable that nothing else has."""
        return self.expressions.translator.fresh("x")

    def by_signature(self) -> Value:
        """The translation from the table of signatures.

        Raises:
            QueryError: no signature takes these arguments.
        """
        name = ALIASES.get(self.name, self.name)
        values = self.values()
        if name in DATE_PARTS and values:
            values = [local_time(values[0]), *values[1:]]
        for signature in SIGNATURES.get(name, []):
            if len(signature.parameters) != len(values):
                continue
            if all(
                _accepts(value.type, wanted)
                for value, wanted in zip(values, signature.parameters, strict=True)
            ):
                arguments = [
                    _argument(value, wanted).sql
                    for value, wanted in zip(values, signature.parameters, strict=True)
                ]
                return Value(signature.template.format(*arguments), signature.result)
        raise self.unexpected()

    def body(self, index: int, *arguments: Value) -> Value:
        """The body of a lambda argument, for what its variables stand for."""
        node = self.nodes[index]
        if not isinstance(node, exp.Lambda) or len(node.expressions) != len(arguments):
            raise self.unexpected()
        names = [variable.name.lower() for variable in node.expressions]
        inner = self.scope.inner(**dict(zip(names, arguments, strict=True)))
        return self.expressions.value(node.this, inner)

    def lambda_(self, index: int, *types: Type) -> tuple[list[str], Value]:
        """``(DuckDB names of the variables, body)`` of a lambda argument."""
        names = [self.fresh() for _ in types]
        variables = [Value(n, type_) for n, type_ in zip(names, types, strict=True)]
        return names, self.body(index, *variables)

    def apply(self, index: int, argument: Value) -> Value:
        return self.body(index, argument)


def _accepts(given: Type, wanted: Type) -> bool:
    if given.name == "unknown":
        return True
    if wanted.text:
        return given.text
    if wanted.name == "date" and given.name == "timestamp":
        return True
    if wanted.name == "timestamp" and given.name == "date":
        return False
    return t.coercible(given, wanted)


def _argument(value: Value, wanted: Type) -> Value:
    if wanted.name == "date" and value.type.name == "timestamp":
        return value
    return coerce(value, wanted)


class Expressions:
    """Translates the expressions of one query."""

    def __init__(self, translator: Translator) -> None:
        self.translator = translator
        self._handlers: dict[type, Callable[[Any, Scope], Value]] = {
            exp.Literal: self._literal,
            exp.Boolean: lambda n, s: Value("true" if n.this else "false", t.BOOLEAN),
            exp.Null: lambda n, s: Value("NULL", t.UNKNOWN),
            exp.Column: self._column,
            exp.Identifier: self._identifier,
            exp.Dot: self._dot,
            exp.Paren: lambda n, s: self._paren(n, s),
            exp.Tuple: lambda n, s: make_row([self.value(e, s) for e in n.expressions]),
            exp.Neg: self._neg,
            exp.Not: lambda n, s: self._wrap("(NOT {})", self.condition(n.this, s)),
            exp.And: lambda n, s: self._connect("AND", n, s),
            exp.Or: lambda n, s: self._connect("OR", n, s),
            exp.Is: self._is,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Like: self._like,
            exp.Escape: self._like,
            exp.DPipe: self._dpipe,
            exp.Case: self._case,
            exp.If: self._if,
            exp.Cast: self._cast,
            exp.TryCast: self._try_cast,
            exp.Interval: self._interval,
            exp.AtTimeZone: self._at_time_zone,
            exp.Extract: self._extract,
            exp.Trim: self._trim,
            exp.StrPosition: self._str_position,
            exp.Substring: self._substring,
            exp.ParseJSON: lambda n, s: Value(json_value(self.value(n.this, s).sql), t.JSON),
            exp.HexString: lambda n, s: Value(f"unhex({literal(n.name)})", t.VARBINARY),
            exp.Array: self._array,
            exp.Bracket: self._bracket,
            exp.CurrentDate: lambda n, s: Value("current_date", t.DATE),
            exp.CurrentTimestamp: self._now,
            exp.Localtimestamp: lambda n, s: local_time(self._now(n, s)),
            exp.CurrentUser: lambda n, s: Value("'local'", t.VARCHAR),
            exp.CurrentCatalog: lambda n, s: Value("'awsdatacatalog'", t.VARCHAR),
            exp.Exists: self._exists,
            exp.Subquery: self._scalar_subquery,
            exp.Select: self._scalar_subquery,
            exp.Anonymous: lambda n, s: self._function(n, s, Modifiers()),
            exp.Filter: lambda n, s: self._filtered(n, s, Modifiers()),
            exp.Window: self._window,
            exp.IgnoreNulls: lambda n, s: self._filtered(n, s, Modifiers()),
            exp.GroupConcat: lambda n, s: self._listagg(n, s, Modifiers()),
        }
        for kind in _ARITHMETIC:
            self._handlers[kind] = self._arithmetic
        for kind in _COMPARISON:
            self._handlers[kind] = self._comparison

    def value(self, node: Any, scope: Scope) -> Value:
        """The typed DuckDB SQL of an expression.

        Raises:
            QueryError: Trino would refuse it, or the embedded AWS does not have it.
        """
        handler = self._handlers.get(type(node))
        if handler is None:
            raise unsupported(f"the expression {node.sql('trino')}")
        return handler(node, scope)

    def condition(self, node: Any, scope: Scope) -> Value:
        """An expression that must be a boolean."""
        value = self.value(node, scope)
        if value.type.name not in ("boolean", "unknown"):
            raise QueryError(
                "TYPE_MISMATCH",
                f"{position(node)}{scope.clause} clause must evaluate to a boolean:"
                f" actual type {value.type}",
            )
        return coerce(value, t.BOOLEAN)

    @staticmethod
    def _wrap(template: str, value: Value) -> Value:
        return Value(template.format(value.sql), value.type)

    def _paren(self, node: exp.Paren, scope: Scope) -> Value:
        return self.value(node.this, scope)

    def _literal(self, node: exp.Literal, scope: Scope) -> Value:
        text = node.this
        if node.is_string:
            if "\x00" in text:
                raise unsupported("the character NUL in a string")
            return Value(literal(text), Type("varchar", (len(text),)), text)
        return _number(text)

    def _neg(self, node: exp.Neg, scope: Scope) -> Value:
        inner = node.this
        if isinstance(inner, exp.Literal) and not inner.is_string:
            return _number(inner.this, "-")
        value = self.value(inner, scope)
        if not value.type.numeric and not value.type.name.startswith("interval"):
            raise QueryError("TYPE_MISMATCH", f"{position(node)}Cannot negate {value.type}")
        return Value(f"(-{value.sql})", value.type)

    # Names

    def _column(self, node: exp.Column, scope: Scope) -> Value:
        if isinstance(node.this, exp.Star):
            raise QueryError("SYNTAX_ERROR", f"{position(node)}mismatched input '*'")
        return self.resolve([p.name.lower() for p in node.parts], scope, position(node))

    def _identifier(self, node: exp.Identifier, scope: Scope) -> Value:
        return self.resolve([node.name.lower()], scope, position(node))

    def resolve(self, parts: list[str], scope: Scope, where: str = "") -> Value:
        """A name, with a table before it or fields of a row after it.

        Raises:
            QueryError: COLUMN_NOT_FOUND or AMBIGUOUS_NAME.
        """
        if parts[0] in scope.lambdas:
            return self._fields(scope.lambdas[parts[0]], parts[1:], where)
        if len(parts) == 1 and parts[0] in scope.items:
            named = scope.items[parts[0]]
            if len({value.sql for value, _ in named}) > 1:
                raise QueryError("AMBIGUOUS_NAME", f"{where}Column '{parts[0]}' is ambiguous")
            value, cell = named[0]
            self.translator.note(cell)
            return value
        level: Scope | None = scope
        while level is not None:
            for split in range(min(len(parts) - 1, 3), -1, -1):
                found = level.find(tuple(parts[:split]), parts[split], where)
                if found is not None:
                    self.translator.note(found.cell)
                    return self._fields(Value(found.sql, found.type), parts[split + 1 :], where)
            level = level.parent
        raise QueryError(
            "COLUMN_NOT_FOUND",
            f"{where}Column '{'.'.join(parts)}' cannot be resolved or requester is not authorized"
            " to access requested resources",
        )

    @staticmethod
    def _fields(value: Value, names: list[str], where: str) -> Value:
        for name in names:
            if value.type.name != "row":
                raise QueryError(
                    "TYPE_MISMATCH", f"{where}Expression is not of type ROW: {value.type}"
                )
            for index, (own, type_) in enumerate(value.type.args):
                if own is not None and own.lower() == name:
                    value = field(value, index, own, type_)
                    break
            else:
                raise QueryError(
                    "COLUMN_NOT_FOUND", f"{where}Field '{name}' not found in {value.type}"
                )
        return value

    def _dot(self, node: exp.Dot, scope: Scope) -> Value:
        return self._fields(
            self.value(node.this, scope), [node.expression.name.lower()], position(node)
        )

    # Operators

    def _arithmetic(self, node: exp.Binary, scope: Scope) -> Value:
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        return arithmetic(_ARITHMETIC[type(node)], left, right, position(node))

    def _comparison(self, node: exp.Binary, scope: Scope) -> Value:
        operator = _COMPARISON[type(node)]
        left = self.value(node.this, scope)
        right = node.expression
        if isinstance(right, (exp.Any, exp.All)):
            inner = right.this.this if isinstance(right.this, exp.Subquery) else right.this
            query = self.translator.subquery(inner, scope)
            if len(query.fields) != 1:
                raise _one_column(query, right)
            both = compare(operator, left, Value("x", query.fields[0].type), position(node))
            word = "ANY" if isinstance(right, exp.Any) else "ALL"
            wanted = t.common(left.type, query.fields[0].type)
            assert wanted is not None
            rows = self._one(query, wanted)
            return Value(f"({coerce(left, wanted).sql} {operator} {word} ({rows}))", both.type)
        return compare(operator, left, self.value(right, scope), position(node))

    def _one(self, query: Any, wanted: Type) -> str:
        """A subquery's only column, of a type."""
        self.translator.note_all(query)
        alias = self.translator.fresh("s")
        value = coerce(Value(f"{alias}.c1", query.fields[0].type), wanted)
        return f"SELECT {value.sql} AS c1 FROM ({query.sql}) AS {alias}"

    def _connect(self, word: str, node: exp.Connector, scope: Scope) -> Value:
        parts = [self.condition(part, scope).sql for part in node.flatten()]
        return Value(f"({f' {word} '.join(parts)})", t.BOOLEAN)

    def _is(self, node: exp.Is, scope: Scope) -> Value:
        value = self.value(node.this, scope)
        if isinstance(node.expression, exp.Null):
            return Value(f"({value.sql} IS NULL)", t.BOOLEAN)
        if isinstance(node.expression, exp.Boolean):
            word = "TRUE" if node.expression.this else "FALSE"
            return Value(f"({coerce(value, t.BOOLEAN).sql} IS {word})", t.BOOLEAN)
        raise unsupported(f"the expression {node.sql('trino')}")

    def _between(self, node: exp.Between, scope: Scope) -> Value:
        if node.args.get("symmetric"):
            raise unsupported("BETWEEN SYMMETRIC")
        values = [self.value(n, scope) for n in (node.this, node.args["low"], node.args["high"])]
        where = position(node)
        low = compare(">=", values[0], values[1], where)
        high = compare("<=", values[0], values[2], where)
        return Value(f"({low.sql} AND {high.sql})", t.BOOLEAN)

    def _in(self, node: exp.In, scope: Scope) -> Value:
        left = self.value(node.this, scope)
        query = node.args.get("query")
        if query is not None:
            inner = query.this if isinstance(query, exp.Subquery) else query
            made = self.translator.subquery(inner, scope)
            if len(made.fields) != 1:
                raise _one_column(made, node)
            wanted = t.common(left.type, made.fields[0].type)
            if wanted is None:
                raise QueryError(
                    "TYPE_MISMATCH",
                    f"{position(node)}value and result of subquery must be of the same type for IN"
                    f" expression: {left.type} vs {made.fields[0].type}",
                )
            rows = self._one(made, wanted)
            return Value(f"({coerce(left, wanted).sql} IN ({rows}))", t.BOOLEAN)
        if node.args.get("unnest") or node.args.get("field"):
            raise unsupported(f"the expression {node.sql('trino')}")
        values = unify(
            [left, *(self.value(item, scope) for item in node.expressions)],
            "IN value and list items must be the same type",
            position(node),
        )
        items = ", ".join(v.sql for v in values[1:])
        return Value(f"({values[0].sql} IN ({items}))", t.BOOLEAN)

    def _like(self, node: exp.Expr, scope: Scope) -> Value:
        escape = ""
        if isinstance(node, exp.Escape):
            escape = f" ESCAPE {self.value(node.expression, scope).sql}"
            node = node.this
        if not isinstance(node, exp.Like):
            raise unsupported(f"the expression {node.sql('trino')}")
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        for side in (left, right):
            if not side.type.text and side.type.name != "unknown":
                raise QueryError(
                    "TYPE_MISMATCH",
                    f"{position(node)}Left side of LIKE expression must evaluate to a varchar"
                    f" (actual: {side.type})",
                )
        return Value(f"({left.sql} LIKE {right.sql}{escape})", t.BOOLEAN)

    def _dpipe(self, node: exp.DPipe, scope: Scope) -> Value:
        return concatenate(
            self.value(node.this, scope), self.value(node.expression, scope), position(node)
        )

    def _case(self, node: exp.Case, scope: Scope) -> Value:
        subject = self.value(node.this, scope) if node.this else None
        tests, results = [], []
        for branch in node.args["ifs"]:
            if subject is None:
                tests.append(self.condition(branch.this, scope).sql)
            else:
                other = self.value(branch.this, scope)
                tests.append(compare("=", subject, other, position(node)).sql)
            results.append(self.value(branch.args["true"], scope))
        default = node.args.get("default")
        results.append(self.value(default, scope) if default else Value("NULL", t.UNKNOWN))
        results = unify(results, "All CASE results must be the same type", position(node))
        whens = " ".join(
            f"WHEN {test} THEN {result.sql}"
            for test, result in zip(tests, results[:-1], strict=True)
        )
        return Value(f"CASE {whens} ELSE {results[-1].sql} END", results[0].type)

    def _if(self, node: exp.If, scope: Scope) -> Value:
        arguments = [node.this, node.args.get("true"), node.args.get("false")]
        call = Call(self, scope, "if", [a for a in arguments if a is not None], position(node))
        return SCALARS["if"](call)

    # Conversions and constructors

    def _cast(self, node: exp.Cast, scope: Scope) -> Value:
        value, to = self.value(node.this, scope), t.from_sql(node.to)
        if not node.meta.get("call") and isinstance(node.this, exp.Literal):
            to = _literal_type(node.this.name.strip(), to)
        try:
            return cast(value, to)
        except QueryError as error:
            raise QueryError(error.code, position(node) + error.message) from error

    def _try_cast(self, node: exp.TryCast, scope: Scope) -> Value:
        if node.this.find(exp.Query):
            raise unsupported("a subquery inside TRY_CAST", "Put the subquery into FROM.")
        value = self._cast(node, scope)
        return Value(f"TRY({value.sql})", value.type)

    def _interval(self, node: exp.Interval, scope: Scope) -> Value:
        text, sign = node.this, 1
        if isinstance(text, exp.Neg):
            text, sign = text.this, -1
        unit = node.args.get("unit")
        if not isinstance(text, exp.Literal) or not isinstance(unit, exp.Var):
            raise unsupported(f"the interval {node.sql('trino')}", "Use INTERVAL '3' DAY.")
        name = unit.name.lower().removesuffix("s")
        functions = {
            "second": "to_seconds", "minute": "to_minutes", "hour": "to_hours", "day": "to_days",
            "week": "to_weeks", "month": "to_months", "year": "to_years",
        }  # fmt: skip
        if name not in functions or not text.name.lstrip("+-").isdigit():
            raise unsupported(f"the interval {node.sql('trino')}", "Use INTERVAL '3' DAY.")
        type_ = t.YEAR_TO_MONTH if name in ("month", "year") else t.DAY_TO_SECOND
        return Value(f"{functions[name]}({sign * int(text.name)})", type_)

    def _at_time_zone(self, node: exp.AtTimeZone, scope: Scope) -> Value:
        zone = node.args["zone"]
        if not isinstance(zone, exp.Literal):
            raise unsupported("AT TIME ZONE with a computed zone", "Write the zone as a literal.")
        return in_zone(self.value(node.this, scope), zone.name)

    def _extract(self, node: exp.Extract, scope: Scope) -> Value:
        part = node.name.lower()
        if part not in DATE_PARTS and part not in ALIASES:
            raise QueryError("SYNTAX_ERROR", f"{position(node)}Invalid EXTRACT field: {part}")
        return Call(self, scope, part, [node.expression], position(node)).by_signature()

    def _trim(self, node: exp.Trim, scope: Scope) -> Value:
        side = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(
            str(node.args.get("position") or "").upper(), "trim"
        )
        if node.expression is None:
            return Call(self, scope, side, [node.this], position(node)).by_signature()
        text, chars = self.value(node.this, scope), self.value(node.expression, scope)
        if not text.type.text or not chars.type.text:
            raise QueryError("TYPE_MISMATCH", f"{position(node)}TRIM takes varchar")
        return Value(f"{side}({text.sql}, {chars.sql})", t.VARCHAR)

    def _str_position(self, node: exp.StrPosition, scope: Scope) -> Value:
        nodes = [node.this, node.args["substr"]]
        return Call(self, scope, "strpos", nodes, position(node)).by_signature()

    def _substring(self, node: exp.Substring, scope: Scope) -> Value:
        nodes = [node.this, node.args.get("start") or exp.Literal.number(1)]
        if node.args.get("length"):
            nodes.append(node.args["length"])
        return Call(self, scope, "substr", nodes, position(node)).by_signature()

    def _now(self, node: exp.Expr, scope: Scope) -> Value:
        precision = node.this
        if precision is not None and precision.name != "3":
            raise unsupported(f"a precision of {precision.name} for the current time")
        return now(Call(self, scope, "now", [], ""))

    def _array(self, node: exp.Array, scope: Scope) -> Value:
        values = [self.value(item, scope) for item in node.expressions]
        if not values:
            return Value("[]", t.array(t.UNKNOWN))
        values = unify(values, "All ARRAY elements must be the same type", position(node))
        return Value(f"[{', '.join(v.sql for v in values)}]", t.array(values[0].type))

    def _bracket(self, node: exp.Bracket, scope: Scope) -> Value:
        if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
            raise QueryError("SYNTAX_ERROR", f"{position(node)}mismatched input '['")
        base, key = self.value(node.this, scope), self.value(node.expressions[0], scope)
        return subscript(base, key, position(node))

    # Subqueries

    def _exists(self, node: exp.Exists, scope: Scope) -> Value:
        inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
        query = self.translator.subquery(inner, scope)
        return Value(f"EXISTS ({query.sql})", t.BOOLEAN)

    def _scalar_subquery(self, node: exp.Expr, scope: Scope) -> Value:
        query = self.translator.subquery(node, scope)
        if len(query.fields) != 1:
            raise _one_column(query, node)
        self.translator.note_all(query)
        return Value(f"({query.sql})", query.fields[0].type)

    # Functions

    def _filtered(self, node: Any, scope: Scope, modifiers: Modifiers) -> Value:
        condition, nulls = modifiers.filter, modifiers.nulls
        while isinstance(node, (exp.Filter, exp.IgnoreNulls, exp.RespectNulls)):
            if isinstance(node, exp.Filter):
                inner = Scope(scope.fields, scope.parent, scope.lambdas, "FILTER")
                condition = self.condition(node.expression.this, inner).sql
            elif isinstance(node, exp.IgnoreNulls):
                nulls = "IGNORE NULLS"
            node = node.this
        changed = Modifiers(filter=condition, over=modifiers.over, nulls=nulls)
        if isinstance(node, exp.GroupConcat):
            return self._listagg(node, scope, changed)
        if not isinstance(node, exp.Anonymous):
            raise unsupported(f"the expression {node.sql('trino')}")
        return self._function(node, scope, changed)

    def _function(self, node: exp.Anonymous, scope: Scope, modifiers: Modifiers) -> Value:
        name = (node.this if isinstance(node.this, str) else node.this.name).lower()
        nodes = list(node.expressions)
        distinct, order = False, ""
        if nodes and isinstance(nodes[-1], exp.Order):
            order = self.translator.order_items(nodes[-1].expressions, scope)
            nodes[-1] = nodes[-1].this
        if nodes and isinstance(nodes[0], exp.Distinct):
            distinct, nodes = True, list(nodes[0].expressions)
            if nodes and isinstance(nodes[-1], exp.Order):
                order = self.translator.order_items(nodes[-1].expressions, scope)
                nodes[-1] = nodes[-1].this
        call = Call(self, scope, name, nodes, position(node))
        aggregate = AGGREGATES.get(name)
        window = WINDOWS.get(name)
        if (name == "map_agg" or aggregate or window) and not self._allowed(scope):
            raise QueryError(
                "EXPRESSION_NOT_SCALAR",
                f"{call.where}{_NO_AGGREGATES.get(scope.clause, scope.clause)} cannot contain"
                f" aggregations, window functions or grouping operations: [{node.sql('trino')}]",
            )
        if aggregate is not None:
            self.translator.aggregated(modifiers.over is not None)
            return aggregate(
                call,
                Modifiers(distinct, order, modifiers.filter, modifiers.over, modifiers.nulls),
            )
        if window is not None:
            return window(call, modifiers)
        if distinct or order or modifiers.filter or modifiers.over is not None:
            raise QueryError(
                "FUNCTION_NOT_FOUND", f"{call.where}{name} is not an aggregate or window function"
            )
        if name in SCALARS:
            return SCALARS[name](call)
        if ALIASES.get(name, name) in SIGNATURES:
            return call.by_signature()
        if name in UNSUPPORTED or name.startswith("st_"):
            raise unsupported(f"the function {name}")
        raise QueryError("FUNCTION_NOT_FOUND", f"{call.where}Function '{name}' not registered")

    @staticmethod
    def _allowed(scope: Scope) -> bool:
        return scope.clause in ("SELECT", "HAVING", "ORDER BY")

    def _listagg(self, node: exp.GroupConcat, scope: Scope, modifiers: Modifiers) -> Value:
        value, order = node.this, ""
        if isinstance(value, exp.Order):
            order = self.translator.order_items(value.expressions, scope)
            value = value.this
        distinct = isinstance(value, exp.Distinct)
        if distinct:
            value = value.expressions[0]
        separator = node.args.get("separator") or exp.Literal.string("")
        call = Call(self, scope, "listagg", [value, separator], position(node))
        if not self._allowed(scope):
            raise QueryError("EXPRESSION_NOT_SCALAR", f"{call.where}listagg in {scope.clause}")
        self.translator.aggregated(modifiers.over is not None)
        return listagg(
            call, Modifiers(distinct, order, modifiers.filter, modifiers.over, modifiers.nulls)
        )

    def _window(self, node: exp.Window, scope: Scope) -> Value:
        return self._filtered(node.this, scope, Modifiers(over=self.translator.window(node, scope)))


def _literal_type(text: str, type_: Type) -> Type:
    """The type of ``DECIMAL '1.50'`` or ``TIMESTAMP '...'``, which its text decides."""
    if type_.name == "decimal":
        return _number(text.lstrip("+-") + ("" if "." in text else ".")).type
    if type_.name == "timestamp with time zone":
        named = text[10:].rsplit(" ", 1)[-1]
        if named and named[0].isalpha():
            return Type(type_.name, type_.args, named)
        return Type(type_.name, type_.args, None)
    return type_


def _one_column(query: Any, node: exp.Expr) -> QueryError:
    return QueryError(
        "NOT_SUPPORTED",
        f"{position(node)}Multiple columns returned by subquery are not yet supported."
        f" Found {len(query.fields)}",
    )


def _number(text: str, sign: str = "") -> Value:
    """A number literal: an integer or bigint, ``1.5`` a decimal(2,1), ``1e3`` a double."""
    mantissa, _, exponent = text.lower().partition("e")
    if (
        not mantissa.replace(".", "", 1).isdigit()
        or (exponent or "0").lstrip("+-") != (exponent or "0").removeprefix("+").removeprefix("-")
        or not (exponent or "0").lstrip("+-").isdigit()
    ):
        raise QueryError("SYNTAX_ERROR", f"Not a number: {text}. Put spaces around operators.")
    if exponent:
        return Value(f"CAST({sign}{text} AS DOUBLE)", t.DOUBLE)
    if "." in text:
        whole, fraction = text.split(".", 1)
        precision = max(1, len(whole.lstrip("0")) + len(fraction))
        if precision > 38:
            raise QueryError("NUMERIC_VALUE_OUT_OF_RANGE", f"Invalid decimal literal: {text}")
        type_ = t.decimal(precision, len(fraction))
        return Value(f"CAST('{sign}{text}' AS {type_.duckdb})", type_)
    number = int(sign + text)
    if -(2**31) <= number < 2**31:
        return Value(str(number) if number >= 0 else f"({number})", t.INTEGER)
    if -(2**63) <= number < 2**63:
        return Value(f"CAST({literal(str(number))} AS BIGINT)", t.BIGINT)
    raise QueryError("NUMERIC_VALUE_OUT_OF_RANGE", f"Invalid numeric literal: {text}")
