"""An audit stops the night when a check does not hold, and when there is none."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.sdk.exceptions import AirflowFailException

from madrugada.audit import COLUMNS, AthenaAuditOperator


class Hook:
    """What the operator reads of the hook: the pages of a query's result."""

    def __init__(self, pages: list[list[list[str | None]]]) -> None:
        self.pages = pages

    def get_query_results_paginator(self, query_id: str) -> Any:
        assert query_id == "the-query"
        for page in self.pages:
            cells = [[{} if v is None else {"VarCharValue": v} for v in row] for row in page]
            yield {"ResultSet": {"Rows": [{"Data": row} for row in cells]}}


def audit(*pages: list[list[str | None]]) -> str | None:
    operator = AthenaAuditOperator(task_id="audit", query="select 1", workgroup="madrugada")
    with (
        patch.object(AthenaOperator, "execute", lambda self, context: "the-query"),
        patch.object(AthenaOperator, "hook", Hook(list(pages))),
    ):
        return operator.execute({})  # type: ignore[typeddict-item]


HEAD: list[str | None] = list(COLUMNS)


def test_checks_that_hold_let_the_night_go_on() -> None:
    assert audit([HEAD, ["rows", "10", "10"], ["total", "4.50", "4.50"]]) == "the-query"


def test_each_check_that_does_not_hold_is_named() -> None:
    with pytest.raises(AirflowFailException) as stopped:
        audit([HEAD, ["rows", "10", "9"], ["keys", "3", "3"], ["total", "4.50", "4.5"]])
    said = str(stopped.value)
    assert "rows: expected 10, found 9" in said
    assert "total: expected 4.50, found 4.5" in said
    assert "keys" not in said


def test_a_check_on_a_later_page_counts_too() -> None:
    with pytest.raises(AirflowFailException, match="last: expected 1, found 2"):
        audit([HEAD, ["rows", "10", "10"]], [["last", "1", "2"]])


def test_a_value_that_is_null_is_not_the_expected_one() -> None:
    with pytest.raises(AirflowFailException, match="total: expected 0, found"):
        audit([HEAD, ["total", "0", None]])


@pytest.mark.parametrize(
    "rows",
    [[], [HEAD], [["name", "expected", "actual"], ["rows", "1", "1"]]],
    ids=["nothing", "no checks", "other columns"],
)
def test_an_audit_without_checks_stops_the_night(rows: list[list[str | None]]) -> None:
    with pytest.raises(AirflowFailException, match="gave no checks"):
        audit(rows)
