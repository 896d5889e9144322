"""An Athena query whose rows are checks, and a task that fails when one does not hold."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

COLUMNS = ["check", "expected", "actual"]


class AthenaAuditOperator(AthenaOperator):
    """Run an audit; its query gives one row a check: ``check, expected, actual`` (strings).

    A check holds when both values are the same. The task fails, without a retry (the same
    data would fail again), when one does not hold, naming each that differs; so it does when
    the query gives no check at all.
    """

    def execute(self, context: Context) -> str | None:
        query_id = super().execute(context)
        assert query_id is not None
        rows = _rows(self.hook.get_query_results_paginator(query_id))
        if not rows or rows[0] != COLUMNS or len(rows) == 1:
            raise AirflowFailException(
                f"The audit gave no checks: expected rows of {', '.join(COLUMNS)}"
            )
        hold(rows[1:])
        return query_id


def hold(checks: Sequence[Sequence[str]]) -> None:
    """Say in the log of each check, ``name, expected, actual``, whether it holds.

    Raises:
        AirflowFailException: one does not; each that differs is named.
    """
    failed = [check for check in checks if check[1] != check[2]]
    for name, expected, actual in checks:
        mark = "ok  " if expected == actual else "FAIL"
        log.info("%s %-60s expected %s, found %s", mark, name, expected, actual)
    if failed:
        said = "; ".join(f"{name}: expected {e}, found {a}" for name, e, a in failed)
        raise AirflowFailException(f"The audit stopped the night. {said}")
    log.info("All %d checks hold.", len(checks))


def _rows(paginator: object) -> list[list[str]]:
    return [
        [cell.get("VarCharValue", "") for cell in row["Data"]]
        for page in paginator  # type: ignore[attr-defined]
        for row in page["ResultSet"]["Rows"]
    ]
