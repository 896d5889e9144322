"""Nights run again, cleared, reprocessed and at once: the same tables, and the work really done."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from include.sample_data.generate import generate
from ops.nightly import trigger, watch
from tests.e2e.conftest import DAG, Stack
from tests.e2e.test_sales_nightly import everything

pytestmark = pytest.mark.slow

DAYS = ["2026-02-01", "2026-02-02", "2026-02-03"]
JOBS = ["madrugada-bronze-to-silver", "madrugada-sales-silver-to-gold"]


@pytest.fixture(scope="module")
def delivered(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three deliveries with other values for the same keys, the newest with fewer of them."""
    for number, day in enumerate(DAYS):
        folder = tmp_path_factory.mktemp("delivery")
        generate(folder, 120 - 20 * number, seed=number)
        sent = stack.deliver(folder, day)
        assert sent.returncode == 0, sent.stderr
    return DAYS


@pytest.fixture(scope="module")
def in_order(stack: Stack, delivered: list[str]) -> dict[str, list[list[str]]]:
    """Every table after the nights were run one after the other."""
    for day in delivered:
        run_id, succeeded = stack.night(day)
        assert succeeded, stack.task_states(run_id)
    return everything(stack)


def submitted(stack: Stack) -> dict[str, int]:
    return {job: stack.glue_runs(job) for job in JOBS}


def more(before: dict[str, int], runs: int) -> dict[str, int]:
    return {job: count + runs for job, count in before.items()}


def waited(stack: Stack, dag_id: str, *run_ids: str) -> bool:
    return all([watch(stack.airflow, dag_id, run_id, timeout=900) for run_id in run_ids])


def test_a_succeeded_night_that_is_cleared_is_really_done_again(
    stack: Stack, in_order: dict[str, list[list[str]]]
) -> None:
    runs = stack.airflow.get(f"/dags/{DAG}/dagRuns", limit=1, order_by="-run_after")["dag_runs"]
    run_id, before = runs[0]["dag_run_id"], submitted(stack)
    stack.clear(run_id)
    assert waited(stack, DAG, run_id)
    assert submitted(stack) == more(before, 1)
    assert everything(stack) == in_order


def test_one_task_that_is_cleared_takes_its_turn_again(
    stack: Stack, in_order: dict[str, list[list[str]]]
) -> None:
    """The load of an older night, cleared after newer nights, loads what is published now."""
    runs = stack.airflow.get(f"/dags/{DAG}/dagRuns", limit=100, order_by="run_after")["dag_runs"]
    oldest = next(run["dag_run_id"] for run in runs if DAYS[0] in run["dag_run_id"])
    stack.clear(oldest, "load_warehouse")
    assert waited(stack, DAG, oldest)
    tries = stack.airflow.get(f"/dags/{DAG}/dagRuns/{oldest}/taskInstances/take_turn")
    assert tries["try_number"] >= 2
    assert everything(stack) == in_order


def test_nights_at_once_give_what_they_give_one_after_the_other(
    stack: Stack, in_order: dict[str, list[list[str]]], delivered: list[str]
) -> None:
    before = submitted(stack)
    # The newest first, and one of them twice.
    days = [delivered[2], delivered[0], delivered[1], delivered[0]]
    runs = [trigger(stack.airflow, DAG, day) for day in map(date.fromisoformat, days)]
    assert waited(stack, DAG, *runs)
    assert submitted(stack) == more(before, len(runs))
    assert everything(stack) == in_order
    assert turns_left(stack) == []


def test_a_backfill_side_by_side_reprocesses_every_night(
    stack: Stack, in_order: dict[str, list[list[str]]], delivered: list[str]
) -> None:
    before = submitted(stack)
    for expected in (3, 6):
        done = stack.ops("nightly", "--start", delivered[0], "--end", delivered[-1])
        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 nights: all succeeded" in done.stdout
        assert "locked" not in done.stdout + done.stderr
        assert submitted(stack) == more(before, expected)
    assert everything(stack) == in_order


def test_the_form_runs_a_range_again_and_says_so(
    stack: Stack, in_order: dict[str, list[list[str]]], delivered: list[str]
) -> None:
    before = submitted(stack)
    form = {"first_date": delivered[0], "last_date": "2026-02-28"}
    said = reprocess(stack, {**form, "only_say": True})
    assert submitted(stack) == before
    log = task_log(stack, "sales_reprocess", said, "say_what_will_happen")
    assert f"{delivered[1]}  run again with orders, stores" in log
    assert "25 of 28 dates have no delivery" in log
    reprocess(stack, form)
    assert submitted(stack) == more(before, 3)
    assert everything(stack) == in_order


def reprocess(stack: Stack, form: dict[str, Any]) -> str:
    made = stack.airflow.post("/dags/sales_reprocess/dagRuns", {"logical_date": None, "conf": form})
    run_id = made["dag_run_id"]
    assert waited(stack, "sales_reprocess", run_id)
    return str(run_id)


def task_log(stack: Stack, dag_id: str, run_id: str, task_id: str) -> str:
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/1"
    return str(stack.airflow.get(path, full_content=True)["content"])


def turns_left(stack: Stack) -> list[str]:
    found = stack.client("s3").list_objects_v2(Bucket="madrugada-local-silver", Prefix="_turns/")
    return [one["Key"] for one in found.get("Contents", [])]
