"""A range of nights: what Airflow's answers become."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ops import nightly
from ops.airflow_api import Airflow
from ops.settings import OpsError

LOCKED = "Airflow refused POST /backfills: 503 Database is locked. Backfill creation is not ..."
RUNNING = (
    "Airflow refused POST /backfills: 409 "
    '{"detail":"There is already a running backfill for dag sales_nightly"}'
)


class Answers:
    """An Airflow that gives these answers, one a call."""

    def __init__(self, *answers: str | dict[str, int], running: int = 0) -> None:
        self.left = list(answers)
        self.running = running

    def get(self, path: str, **params: Any) -> dict[str, int]:
        assert (path, params["run_type"]) == ("/dags/sales_nightly/dagRuns", "backfill")
        return {"total_entries": self.running if params["state"] == "running" else 0}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, int]:
        answer = self.left.pop(0)
        if isinstance(answer, str):
            raise OpsError(answer)
        return answer


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly.time, "sleep", lambda seconds: None)


def create(airflow: Answers, seconds: float = 60) -> Any:
    return nightly._create_backfill(cast(Airflow, airflow), {"dag_id": "sales_nightly"}, seconds)


def test_a_locked_database_is_asked_again() -> None:
    assert create(Answers(LOCKED, LOCKED, RUNNING, {"id": 7})) == {"id": 7}


def test_a_database_that_stays_locked_is_told() -> None:
    with pytest.raises(OpsError, match="Database is locked"):
        create(Answers(LOCKED), seconds=-1)


@pytest.mark.parametrize("refusal", [RUNNING, "Airflow refused POST /backfills: 422 no"])
def test_another_refusal_is_told_at_once(refusal: str) -> None:
    airflow = Answers(refusal, {"id": 7}, running=2)
    with pytest.raises(OpsError, match="refused POST"):
        create(airflow)
    assert airflow.left == [{"id": 7}]


def test_a_backfill_whose_nights_have_ended_is_waited_for() -> None:
    """Airflow looks every half a minute whether a backfill is over."""
    assert create(Answers(RUNNING, RUNNING, {"id": 7})) == {"id": 7}
