"""A delivery that is late calls somebody, under a real scheduler and triggerer."""

from __future__ import annotations

import json
import time
from datetime import date

import pytest

from ops.nightly import trigger
from tests.e2e.conftest import DAG, Stack
from tests.e2e.test_sales_nightly import messages

pytestmark = pytest.mark.slow

LATE, LONG_AGO = "2026-03-20", "2024-03-01"


def test_a_late_delivery_calls_and_a_backfill_of_long_ago_does_not(stack: Stack) -> None:
    run_id = trigger(stack.airflow, DAG, date.fromisoformat(LATE))
    stack.airflow.post(
        "/backfills",
        {
            "dag_id": DAG,
            "from_date": f"{LONG_AGO}T00:00:00Z",
            "to_date": f"{LONG_AGO}T23:00:00Z",
            "reprocess_behavior": "none",
            "max_active_runs": 1,
            "run_backwards": False,
            "dag_run_conf": {},
        },
    )
    runs = [run_id, f"backfill__{LONG_AGO}T06:00:00+00:00"]
    # Both wait for their delivery until their patience ends, long after the deadline.
    until = time.monotonic() + 300
    while any(stack.airflow.get(f"/dags/{DAG}/dagRuns/{run}")["state"] != "failed" for run in runs):
        assert time.monotonic() < until, "the runs have not ended"
        time.sleep(1)
    alarms = [json.loads(message) for message in messages(stack)]
    late = [alarm for alarm in alarms if alarm["Subject"].endswith("is late")]
    assert [a["Subject"] for a in late if LATE in a["Subject"]] == [
        f"ALARM {DAG}: delivery of {LATE} is late"
    ]
    assert not [a for a in late if LONG_AGO in a["Subject"]]
    # Both have failed at last, and that is said of both.
    for run in runs:
        assert any("check_delivery failed" in a["Subject"] and run in a["Message"] for a in alarms)
