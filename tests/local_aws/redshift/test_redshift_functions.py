"""Every function of the table, by its own examples, as a Data API client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_aws.redshift.functions import FUNCTIONS

if TYPE_CHECKING:
    from tests.local_aws.redshift.conftest import Warehouse

EXAMPLES = [
    (example.sql, example.result)
    for function in {id(f): f for f in FUNCTIONS.values()}.values()
    for example in function.examples
]


@pytest.fixture(scope="module")
def answers(redshift: Warehouse) -> dict[str, str | None]:
    """What each example gives, as text; an error is its text."""
    found: dict[str, str | None] = {}
    sqls = [sql for sql, _ in EXAMPLES]
    for start in range(0, len(sqls), 40):
        taken = sqls[start : start + 40]
        done = redshift.batch(*(f"select {sql} as x" for sql in taken), ExecutionMode="AUTO_COMMIT")
        for sql, sub in zip(taken, done["SubStatements"], strict=True):
            if sub["Status"] != "FINISHED":
                found[sql] = sub["Error"]
                continue
            (field,) = redshift.data.get_statement_result(Id=sub["Id"])["Records"][0]
            found[sql] = None if "isNull" in field else str(next(iter(field.values())))
    return found


@pytest.mark.parametrize(("sql", "result"), EXAMPLES, ids=[sql for sql, _ in EXAMPLES])
def test_example(answers: dict[str, str | None], sql: str, result: str | None) -> None:
    assert answers[sql] == result


def test_every_function_says_where_it_is_described() -> None:
    for function in FUNCTIONS.values():
        assert function.page.startswith("https://docs.aws.amazon.com/redshift/latest/dg/")


def test_unknown_functions_are_refused_by_name(redshift: Warehouse) -> None:
    assert redshift.error("select st_point(1, 2)").startswith(
        "ERROR: The embedded AWS does not support the SQL function ST_POINT."
    )


@pytest.mark.parametrize(
    ("sql", "result"),
    [
        ("(select 'ação' from t)::varchar(3)", "aç"),
        ("(select 'ação' from t)::varchar(2)", "a"),
        ("(select count(*) from t)::varchar", "1"),
        ("(select n from t)::decimal(6,2)::varchar", "7.50"),
    ],
)
def test_a_subquery_is_converted_as_a_value_is(redshift: Warehouse, sql: str, result: str) -> None:
    assert redshift.value(f"with t as (select '7.5' as n) select {sql}") == result
