"""Every function of the table, by its own examples, as a Data API client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_aws.redshift.functions import FUNCTIONS, Function

if TYPE_CHECKING:
    from tests.local_aws.redshift.conftest import Warehouse

EXAMPLES = [
    pytest.param(example.sql, example.result, id=example.sql)
    for function in {id(f): f for f in FUNCTIONS.values()}.values()
    for example in function.examples
]


@pytest.mark.parametrize(("sql", "result"), EXAMPLES)
def test_example(redshift: Warehouse, sql: str, result: str | None) -> None:
    value = redshift.value(f"select {sql} as x")
    assert (None if value is None else str(value)) == result


@pytest.mark.parametrize("function", {f.name: f for f in FUNCTIONS.values()}.values(),
                         ids=lambda function: function.name)  # fmt: skip
def test_says_where_it_is_described(function: Function) -> None:
    assert function.page.startswith("https://docs.aws.amazon.com/redshift/latest/dg/")


def test_unknown_functions_are_refused_by_name(redshift: Warehouse) -> None:
    assert redshift.error("select st_point(1, 2)").startswith(
        "ERROR: The embedded AWS does not support the SQL function ST_POINT."
    )
