"""A range of dates becomes the nights that have a delivery, and what will be done is said."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from typing import Any

import pytest
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException, DagRunTriggerException

from madrugada.reprocessing import RunNightOperator, plan_reprocessing
from madrugada.settings import Settings

SOURCES = ["orders", "stores"]


@pytest.fixture
def bronze(aws: Any, names: Settings) -> None:
    """Both sources on the 5th, orders alone on the 6th, a rejected stores delivery on the 7th."""
    s3, bucket = aws("s3"), names.bucket("bronze")
    s3.create_bucket(Bucket=bucket)
    for source, day, status in [
        ("orders", "2026-01-04", "complete"),
        ("orders", "2026-01-05", "complete"),
        ("stores", "2026-01-05", "complete"),
        ("orders", "2026-01-06", "complete"),
        ("stores", "2026-01-07", "rejected"),
        ("orders", "2026-02-01", "complete"),
    ]:
        s3.put_object(
            Bucket=bucket,
            Key=f"_manifests/{source}/{day}.json",
            Body=json.dumps({"status": status}).encode(),
        )


def plan(first: str, last: str, only_say: bool = False) -> list[dict[str, Any]]:
    form = {"first_date": first, "last_date": last, "only_say": only_say}
    return plan_reprocessing(form, SOURCES, "manual__1")


class Airflow:
    """What Airflow says of the night's run: each state once, and the last ever after."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def get_dr_count(self, dag_id: str, run_ids: list[str], states: list[str]) -> int:
        assert (dag_id, run_ids) == ("sales_nightly", ["reprocess__2026-01-05"])
        return int(bool(self.states) and self.states[0] in states)

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def run_night(airflow: Airflow) -> None:
    RunNightOperator(
        task_id="run_night",
        trigger_dag_id="sales_nightly",
        trigger_run_id="reprocess__2026-01-05",
        logical_date=None,
        reset_dag_run=True,
        wait_for_completion=True,
        poke_interval=0,
    ).execute({"ti": airflow})  # type: ignore[typeddict-item]


@pytest.mark.parametrize("states", [(), ("success",), ("failed",)])
def test_a_night_that_is_not_going_on_is_triggered(states: tuple[str, ...]) -> None:
    with pytest.raises(DagRunTriggerException):
        run_night(Airflow(*states))


def test_a_night_that_is_going_on_is_waited_for_and_not_begun_again() -> None:
    airflow = Airflow("queued", "running", "running", "success")
    run_night(airflow)
    assert airflow.states == ["success"]


def test_a_night_that_was_waited_for_and_failed() -> None:
    with pytest.raises(AirflowFailException, match=r"reprocess__2026-01-05: failed"):
        run_night(Airflow("running", "failed"))


def test_no_more_dates_than_airflow_maps_a_task_over(bronze: None) -> None:
    most = conf.getint("core", "max_map_length")
    first = date(2026, 1, 5)
    assert len(plan(str(first), str(first + timedelta(days=most - 1)))) == 3
    with pytest.raises(AirflowFailException, match=f"at most {most}"):
        plan(str(first), str(first + timedelta(days=most)))


def test_the_dates_with_a_delivery_are_run_with_what_was_delivered(bronze: None) -> None:
    assert plan("2026-01-05", "2026-01-31") == [
        {
            "trigger_run_id": "reprocess__2026-01-05__manual__1",
            "conf": {"delivery_date": "2026-01-05", "sources": ["orders", "stores"]},
        },
        {
            "trigger_run_id": "reprocess__2026-01-06__manual__1",
            "conf": {"delivery_date": "2026-01-06", "sources": ["orders"]},
        },
    ]


def test_what_will_be_done_is_said(bronze: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "madrugada"):
        assert plan("2026-01-04", "2026-01-08", only_say=True) == []
    assert "2026-01-05  run again with orders, stores" in caplog.text
    assert "2026-01-06  run again with orders\n" in caplog.text
    assert "2026-01-07  left out" in caplog.text
    assert "stores, whose delivery was rejected" in caplog.text
    assert "1 of 5 dates have no delivery" in caplog.text
    assert "nothing is run" in caplog.text


def test_a_range_without_deliveries_is_no_success(bronze: None) -> None:
    with pytest.raises(AirflowFailException, match="from 2025-01-01 to 2025-01-31 is in bronze"):
        plan("2025-01-01", "2025-01-31")


def test_dates_the_wrong_way_round_are_refused(bronze: None) -> None:
    with pytest.raises(AirflowFailException, match="expected the first date before the last"):
        plan("2026-01-06", "2026-01-05")


def test_a_form_without_dates_is_refused(bronze: None) -> None:
    form = {"first_date": "2026-01-05", "last_date": None, "only_say": False}
    with pytest.raises(AirflowFailException, match="first and the last delivery date"):
        plan_reprocessing(form, SOURCES, "manual__1")
