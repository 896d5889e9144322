"""Trino's aggregate and window functions in DuckDB.

- https://trino.io/docs/current/functions/aggregate.html
- https://trino.io/docs/current/functions/window.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.athena import types as t
from local_aws.athena.errors import QueryError, unsupported
from local_aws.athena.functions import average_of_decimals
from local_aws.athena.types import Type
from local_aws.athena.values import Value, coerce

if TYPE_CHECKING:
    from local_aws.athena.expressions import Call


@dataclass(frozen=True)
class Modifiers:
    """What stands around an aggregate: DISTINCT, ORDER BY, FILTER, OVER, IGNORE NULLS."""

    distinct: bool = False
    order: str = ""
    filter: str = ""
    over: str | None = None
    nulls: str = ""

    def sql(self, name: str, *arguments: str, extra: str = "") -> str:
        """``name(arguments)`` with all of them; ``extra`` is a further FILTER condition."""
        inside = ", ".join(arguments)
        if self.distinct:
            inside = f"DISTINCT {inside}"
        if self.order:
            inside += f" ORDER BY {self.order}"
        if self.nulls:
            inside += f" {self.nulls}"
        conditions = [f"({c})" for c in (self.filter, extra) if c]
        text = f"{name}({inside})"
        if conditions:
            text += f" FILTER (WHERE {' AND '.join(conditions)})"
        return text if self.over is None else f"{text} OVER ({self.over})"


Aggregate = Callable[["Call", Modifiers], Value]
AGGREGATES: dict[str, Aggregate] = {}
WINDOWS: dict[str, Aggregate] = {}


def _register(table: dict[str, Aggregate], *names: str) -> Callable[[Aggregate], Aggregate]:
    def register(translate: Aggregate) -> Aggregate:
        for name in names:
            table[name] = translate
        return translate

    return register


@_register(AGGREGATES, "count")
def count(call: Call, modifiers: Modifiers) -> Value:
    call.arity(0, 1)
    argument = "*" if call.star or not call.nodes else call.value(0).sql
    return Value(modifiers.sql("count", argument), t.BIGINT)


@_register(AGGREGATES, "count_if")
def count_if(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    condition = coerce(call.value(0), t.BOOLEAN)
    if modifiers.distinct:
        raise unsupported("count_if(DISTINCT)")
    return Value(modifiers.sql("count", "*", extra=condition.sql), t.BIGINT)


@_register(AGGREGATES, "sum")
def sum_(call: Call, modifiers: Modifiers) -> Value:
    """``sum`` of integers is a bigint (and fails past it); of decimals a decimal(38, s)."""
    call.arity(1)
    value = call.value(0)
    if value.type.name == "unknown" or not (
        value.type.numeric or value.type.name.startswith("interval")
    ):
        raise call.unexpected()
    type_ = value.type
    if type_.integral:
        type_ = t.BIGINT
    elif type_.name == "decimal":
        type_ = t.decimal(38, type_.args[1])
    return Value(f"CAST({modifiers.sql('sum', value.sql)} AS {type_.duckdb})", type_)


@_register(AGGREGATES, "avg")
def avg(call: Call, modifiers: Modifiers) -> Value:
    """``avg`` of integers is a double; of ``decimal(p, s)`` a ``decimal(p, s)``."""
    call.arity(1)
    value = call.value(0)
    if not value.type.numeric:
        raise call.unexpected()
    if value.type.name == "decimal":
        total = Value(modifiers.sql("sum", value.sql), t.decimal(38, value.type.args[1]))
        return average_of_decimals(total, modifiers.sql("count", value.sql), value.type)
    type_ = t.REAL if value.type.name == "real" else t.DOUBLE
    return Value(f"CAST({modifiers.sql('avg', value.sql)} AS {type_.duckdb})", type_)


@_register(AGGREGATES, "min", "max")
def min_(call: Call, modifiers: Modifiers) -> Value:
    if len(call.nodes) == 2:
        raise unsupported(f"{call.name}(x, n)", "Use ORDER BY and LIMIT.")
    call.arity(1)
    value = call.value(0)
    if not value.type.orderable:
        raise call.unexpected()
    return Value(modifiers.sql(call.name, value.sql), value.type)


@_register(AGGREGATES, "min_by", "max_by")
def min_by(call: Call, modifiers: Modifiers) -> Value:
    """The value may be NULL; rows whose key is NULL do not count."""
    if len(call.nodes) == 3:
        raise unsupported(f"{call.name}(x, y, n)", "Use row_number().")
    call.arity(2)
    value, key = call.value(0), call.value(1)
    if modifiers.distinct or not key.type.orderable:
        raise call.unexpected()
    name = "arg_min_null" if call.name == "min_by" else "arg_max_null"
    present = f"{key.sql} IS NOT NULL"
    return Value(modifiers.sql(name, value.sql, key.sql, extra=present), value.type)


@_register(AGGREGATES, "arbitrary", "any_value")
def arbitrary(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    value = call.value(0)
    return Value(modifiers.sql("any_value", value.sql), value.type)


@_register(AGGREGATES, "array_agg")
def array_agg(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    value = call.value(0)
    return Value(modifiers.sql("list", value.sql), t.array(value.type))


@_register(AGGREGATES, "approx_distinct")
def approx_distinct(call: Call, modifiers: Modifiers) -> Value:
    """The exact number, which is within every error bound."""
    call.arity(1, 2)
    exact = Modifiers(True, "", modifiers.filter, modifiers.over)
    return Value(exact.sql("count", call.value(0).sql), t.BIGINT)


@_register(AGGREGATES, "approx_percentile")
def approx_percentile(call: Call, modifiers: Modifiers) -> Value:
    """The exact percentile (an element of the data), as a number or for an array of ranks."""
    if len(call.nodes) > 2:
        raise unsupported("weights in approx_percentile")
    call.arity(2)
    value, rank = call.value(0), call.value(1)
    if not value.type.numeric:
        raise call.unexpected()
    if rank.type.name == "array":
        ranks = coerce(rank, t.array(t.DOUBLE))
        return Value(modifiers.sql("quantile_disc", value.sql, ranks.sql), t.array(value.type))
    ranked = coerce(rank, t.DOUBLE)
    return Value(modifiers.sql("quantile_disc", value.sql, ranked.sql), value.type)


@_register(AGGREGATES, "bool_and", "every", "bool_or")
def bool_and(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    name = "bool_or" if call.name == "bool_or" else "bool_and"
    return Value(modifiers.sql(name, coerce(call.value(0), t.BOOLEAN).sql), t.BOOLEAN)


_STATISTICS = {
    "stddev": "stddev_samp", "stddev_samp": "stddev_samp", "stddev_pop": "stddev_pop",
    "variance": "var_samp", "var_samp": "var_samp", "var_pop": "var_pop",
}  # fmt: skip
_PAIRS = {
    "corr": "corr", "covar_pop": "covar_pop", "covar_samp": "covar_samp",
    "regr_slope": "regr_slope", "regr_intercept": "regr_intercept",
}  # fmt: skip


@_register(AGGREGATES, *_STATISTICS)
def stddev(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    value = coerce(call.number(0), t.DOUBLE)
    return Value(modifiers.sql(_STATISTICS[call.name], value.sql), t.DOUBLE)


@_register(AGGREGATES, *_PAIRS)
def corr(call: Call, modifiers: Modifiers) -> Value:
    call.arity(2)
    values = [coerce(call.number(i), t.DOUBLE).sql for i in (0, 1)]
    return Value(modifiers.sql(_PAIRS[call.name], *values), t.DOUBLE)


@_register(AGGREGATES, "bitwise_and_agg", "bitwise_or_agg", "bitwise_xor_agg")
def bitwise(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    name = {"bitwise_and_agg": "bit_and", "bitwise_or_agg": "bit_or", "bitwise_xor_agg": "bit_xor"}
    value = coerce(call.number(0), t.BIGINT)
    return Value(modifiers.sql(name[call.name], value.sql), t.BIGINT)


@_register(AGGREGATES, "map_agg")
def map_agg(call: Call, modifiers: Modifiers) -> Value:
    """A repeated key is an error here; Trino keeps one of its values."""
    call.arity(2)
    key, value = call.value(0), call.value(1)
    pairs = modifiers.sql(
        "list", f"struct_pack(k := {key.sql}, v := {value.sql})", extra=f"{key.sql} IS NOT NULL"
    )
    return Value(f"map_from_entries({pairs})", t.map_(key.type, value.type))


@_register(AGGREGATES, "histogram")
def histogram(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    value = call.value(0)
    type_ = t.map_(value.type, t.BIGINT)
    return Value(f"CAST({modifiers.sql('histogram', value.sql)} AS {type_.duckdb})", type_)


@_register(AGGREGATES, "grouping")
def grouping(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1, 62)
    arguments = ", ".join(v.sql for v in call.values())
    return Value(f"CAST(grouping({arguments}) AS BIGINT)", t.BIGINT)


def listagg(call: Call, modifiers: Modifiers) -> Value:
    """``listagg(x, ', ') WITHIN GROUP (ORDER BY x)``."""
    return Value(modifiers.sql("string_agg", call.text(0).sql, call.text(1).sql), t.VARCHAR)


def _needs_over(call: Call, modifiers: Modifiers) -> None:
    if modifiers.over is None:
        raise QueryError(
            "MISSING_OVER", f"{call.where}Window function {call.name} requires an OVER clause"
        )


@_register(WINDOWS, "row_number", "rank", "dense_rank")
def row_number(call: Call, modifiers: Modifiers) -> Value:
    call.arity(0)
    _needs_over(call, modifiers)
    return Value(f"CAST({modifiers.sql(call.name)} AS BIGINT)", t.BIGINT)


@_register(WINDOWS, "percent_rank", "cume_dist")
def percent_rank(call: Call, modifiers: Modifiers) -> Value:
    call.arity(0)
    _needs_over(call, modifiers)
    return Value(modifiers.sql(call.name), t.DOUBLE)


@_register(WINDOWS, "ntile")
def ntile(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    _needs_over(call, modifiers)
    buckets = coerce(call.number(0), t.BIGINT)
    return Value(f"CAST({modifiers.sql('ntile', buckets.sql)} AS BIGINT)", t.BIGINT)


@_register(WINDOWS, "lag", "lead")
def lag(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1, 3)
    _needs_over(call, modifiers)
    value = call.value(0)
    arguments = [value.sql]
    if len(call.nodes) > 1:
        arguments.append(coerce(call.number(1), t.BIGINT).sql)
    type_: Type = value.type
    if len(call.nodes) == 3:
        default = call.value(2)
        if not t.coercible(default.type, type_):
            raise call.unexpected()
        arguments.append(coerce(default, type_).sql)
    return Value(modifiers.sql(call.name, *arguments), type_)


@_register(WINDOWS, "first_value", "last_value")
def first_value(call: Call, modifiers: Modifiers) -> Value:
    call.arity(1)
    _needs_over(call, modifiers)
    value = call.value(0)
    return Value(modifiers.sql(call.name, value.sql), value.type)


@_register(WINDOWS, "nth_value")
def nth_value(call: Call, modifiers: Modifiers) -> Value:
    call.arity(2)
    _needs_over(call, modifiers)
    value, offset = call.value(0), coerce(call.number(1), t.BIGINT)
    return Value(modifiers.sql("nth_value", value.sql, offset.sql), value.type)
