"""The ``Expression`` of GetPartitions: parsed once, then asked for each partition's values.

The grammar and the key types are those of
https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html: ``=``, ``<>``, ``<``,
``<=``, ``>``, ``>=``, ``AND``, ``OR``, ``NOT``, ``BETWEEN``, ``IN``, ``LIKE``, ``IS NULL``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot import exp, tokens
from sqlglot.dialects.dialect import Dialect

from local_aws.service import AwsError

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""How Hive writes a NULL partition value."""

Values = Sequence[Any]
Predicate = Callable[[Values], bool | None]
"""From a partition's typed values, then its texts, to true, false, or unknown (``None``)."""

_INTEGERS = {"tinyint", "smallint", "int", "integer", "bigint", "long"}
_COMPARISONS: dict[type[exp.Expr], tuple[Callable[[Any, Any], bool], str]] = {
    exp.EQ: (operator.eq, "="),
    exp.NEQ: (operator.ne, "<>"),
    exp.LT: (operator.lt, "<"),
    exp.LTE: (operator.le, "<="),
    exp.GT: (operator.gt, ">"),
    exp.GTE: (operator.ge, ">="),
}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_MIRRORED = {exp.LT: exp.GT, exp.GT: exp.LT, exp.LTE: exp.GTE, exp.GTE: exp.LTE}


class _Grammar(Dialect):
    """Standard SQL, with names in double quotes or backticks."""

    class Tokenizer(tokens.Tokenizer):
        IDENTIFIERS = ['"', "`"]


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(text)
    return Decimal(text.strip())


def _integer(text: str) -> int:
    number = _number(text)
    if number != int(number):
        raise ValueError(text)
    return int(number)


def _timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text.strip()).replace(tzinfo=None)


def converter(type_name: str) -> Callable[[str], Any]:
    """How text of a partition key's type becomes a comparable value (``ValueError`` if not).

    Raises:
        AwsError: InvalidInputException for a type that cannot be filtered on.
    """
    base = type_name.lower().partition("(")[0].strip()
    if base in _INTEGERS:
        return _integer
    if base == "decimal":
        return _number
    if base in {"string", "char", "varchar"}:
        return str
    if base == "date":
        return lambda text: _timestamp(text).date()
    if base == "timestamp":
        return _timestamp
    raise AwsError(
        "InvalidInputException",
        f"Unsupported expression: a partition key of type {type_name} cannot be filtered on."
        " Types that can: string, date, timestamp, int, bigint, long, tinyint, smallint, decimal.",
    )


class PartitionFilter:
    """A parsed expression over ``keys``, the table's partition keys as ``(name, type)``.

    Raises:
        AwsError: InvalidInputException when it does not parse, names a column that is no
            partition key, or holds a literal that is not of its key's type.
    """

    def __init__(self, expression: str, keys: Sequence[tuple[str, str]]) -> None:
        self.expression = expression
        self._positions = {name.lower(): index for index, (name, _) in enumerate(keys)}
        self._types = [type_name for _, type_name in keys]
        self._converters: dict[int, Callable[[str], Any]] = {}
        try:
            tree = sqlglot.parse_one(expression, dialect=_Grammar)
        except sqlglot.errors.SqlglotError as error:
            first = str(error).splitlines()[0]
            raise self._bad(f"it does not parse ({first})") from error
        self._predicate = self._compile(tree)

    def matches(self, values: Sequence[str]) -> bool:
        """Whether the partition with these values (text, in key order) passes."""
        typed: list[Any] = [None] * len(self._types)
        for index, convert in self._converters.items():
            if index < len(values) and values[index] != NULL_PARTITION:
                try:
                    typed[index] = convert(values[index])
                except ValueError:
                    typed[index] = None
        texts = [None if value == NULL_PARTITION else value for value in values]
        return self._predicate([*typed, *texts]) is True

    def _bad(self, why: str) -> AwsError:
        return AwsError(
            "InvalidInputException", f"Unsupported expression '{self.expression}': {why}."
        )

    def _column(self, node: exp.Expr | None) -> int | None:
        if not isinstance(node, exp.Column):
            return None
        index = self._positions.get(node.name.lower())
        if index is None:
            raise self._bad(f"{node.name} is not a partition key ({', '.join(self._positions)})")
        self._converters[index] = converter(self._types[index])
        return index

    def _literal(self, node: exp.Expr | None, index: int) -> Any:
        if isinstance(node, exp.Cast):
            node = node.this
        if isinstance(node, exp.Null):
            return None
        sign = ""
        if isinstance(node, exp.Neg):
            sign, node = "-", node.this
        if not isinstance(node, exp.Literal):
            shown = node.sql() if node is not None else "nothing"
            raise self._bad(f"expected a literal, found {shown}")
        text = sign + str(node.this)
        try:
            return self._converters[index](text)
        except ValueError:
            raise self._bad(f"'{text}' is not a {self._types[index]}") from None

    def _compile(self, node: exp.Expr | None) -> Predicate:
        if isinstance(node, exp.Paren):
            return self._compile(node.this)
        if isinstance(node, exp.Not):
            inner = self._compile(node.this)
            return lambda values: None if (got := inner(values)) is None else not got
        if isinstance(node, exp.And):
            return _and(self._compile(node.left), self._compile(node.right))
        if isinstance(node, exp.Or):
            return _or(self._compile(node.left), self._compile(node.right))
        if type(node) in _COMPARISONS:
            return self._comparison(node)
        if isinstance(node, exp.Between | exp.In | exp.Is | exp.Like):
            found = self._test(node)
            if found is not None:
                return found
        shown = node.sql() if node is not None else ""
        raise self._bad(
            f"'{shown}' is not supported; use =, <>, <, <=, >, >=, AND, OR, NOT, BETWEEN, IN,"
            " LIKE or IS NULL on partition keys"
        )

    def _test(self, node: Any) -> Predicate | None:
        """BETWEEN, IN, IS NULL or LIKE; ``None`` when it has a part that Glue does not know."""
        known = {"this", "low", "high", "expression", "expressions", "negate"}
        if any(value for part, value in node.args.items() if part not in known):
            return None
        index = self._column(node.this)
        if index is None:
            return None
        if isinstance(node, exp.Between):
            low = self._literal(node.args["low"], index)
            high = self._literal(node.args["high"], index)
            return _and(_compare(operator.ge, index, low), _compare(operator.le, index, high))
        if isinstance(node, exp.In) and node.expressions:
            return _among(index, [self._literal(option, index) for option in node.expressions])
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            return lambda values: values[index] is None
        if isinstance(node, exp.Like) and isinstance(node.expression, exp.Literal):
            text = index + len(self._types)
            return _like(text, str(node.expression.this), bool(node.args.get("negate")))
        return None

    def _comparison(self, node: Any) -> Predicate:
        kind: Any = type(node)
        column, literal = node.left, node.right
        if not isinstance(column, exp.Column):
            column, literal = literal, column
            kind = _MIRRORED.get(kind, kind)
        index = self._column(column)
        if index is None:
            raise self._bad(f"'{node.sql()}' compares no partition key")
        return _compare(_COMPARISONS[kind][0], index, self._literal(literal, index))


def _compare(compare: Callable[[Any, Any], bool], index: int, literal: Any) -> Predicate:
    if literal is None:
        return lambda values: None
    return lambda values: None if values[index] is None else compare(values[index], literal)


def _and(left: Predicate, right: Predicate) -> Predicate:
    def both(values: Values) -> bool | None:
        first = left(values)
        if first is False:
            return False
        second = right(values)
        if second is False:
            return False
        return None if first is None or second is None else True

    return both


def _or(left: Predicate, right: Predicate) -> Predicate:
    def either(values: Values) -> bool | None:
        first = left(values)
        if first is True:
            return True
        second = right(values)
        if second is True:
            return True
        return None if first is None or second is None else False

    return either


def _among(index: int, options: list[Any]) -> Predicate:
    unknown = None in options

    def among(values: Values) -> bool | None:
        if values[index] is None:
            return None
        return True if values[index] in options else None if unknown else False

    return among


def _like(index: int, pattern: str, negate: bool) -> Predicate:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    expression = re.compile("".join(parts), re.DOTALL)

    def like(values: Values) -> bool | None:
        if values[index] is None:
            return None
        return (expression.fullmatch(str(values[index])) is not None) is not negate

    return like
