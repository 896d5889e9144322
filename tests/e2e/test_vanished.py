"""A task whose process is killed each time it is tried: somebody must hear of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from include.sample_data.generate import generate
from madrugada.notifications import NO_ERROR
from madrugada.sales import TURN
from madrugada.turn import turn_key
from ops.nightly import trigger
from tests.crashes.victims import Crash, strike
from tests.e2e.conftest import DAG, Stack
from tests.e2e.test_sales_nightly import messages, reports

DAY, OTHER = "2026-03-20", "movies_nightly"
TRIES = 3


@contextmanager
def taken(stack: Stack) -> Iterator[None]:
    """The turn belongs to a run that never begins, so that who wants it waits."""
    stack.airflow.patch(f"/dags/{OTHER}", {"is_paused": True})
    run_id = trigger(stack.airflow, OTHER, date.fromisoformat(DAY))
    holder = json.dumps({"dag_id": OTHER, "run_id": run_id}).encode()
    where = {"Bucket": "madrugada-local-silver", "Key": turn_key(TURN)}
    stack.client("s3").put_object(**where, Body=holder)
    try:
        yield
    finally:
        stack.client("s3").delete_object(**where)
        stack.airflow.patch(f"/dags/{OTHER}/dagRuns/{run_id}", {"state": "failed"})
        stack.airflow.patch(f"/dags/{OTHER}", {"is_paused": False})


@pytest.mark.slow
def test_a_task_killed_each_time_raises_an_alarm_and_its_night_has_a_report(
    stack: Stack, tmp_path: Path
) -> None:
    generate(tmp_path, 60, seed=7)
    sent = stack.deliver(tmp_path, DAY)
    assert sent.returncode == 0, sent.stderr
    with taken(stack):
        run_id = trigger(stack.airflow, DAG, date.fromisoformat(DAY))
        for attempt in range(TRIES):
            assert strike(stack.settings, run_id, Crash(attempt, "task", "take_turn", 0.0), {})
        assert not stack.watch(run_id)
    assert stack.task_states(run_id)["take_turn"] == "failed"
    (report,) = reports(stack, DAY).values()
    assert report["stopped"] == [{"task": "take_turn", "reason": NO_ERROR}]
    said: list[str] = []
    deadline = time.monotonic() + 60
    while not (alarms := [one for one in said if "ALARM sales_nightly: take_turn failed" in one]):
        assert time.monotonic() < deadline, said
        time.sleep(1)
        said += messages(stack)
    assert len(alarms) == 1
    assert NO_ERROR in alarms[0]
