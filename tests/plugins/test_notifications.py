"""What an alarm says, rendered with what Airflow really gives to a failure callback."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import structlog
from airflow.api_fastapi.execution_api.datamodels.taskinstance import TaskInstance
from airflow.callbacks.callback_requests import TaskCallbackRequest
from airflow.dag_processing.processor import _execute_task_callbacks
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Context, TaskInstanceState
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS

from madrugada.notifications import LONGEST, NO_ERROR, REASON, alarm, alarm_of_the_silent

RUN = "manual__2026-01-05"


@pytest.fixture
def context() -> Context:
    dag = DAG("sales_nightly", schedule=None)
    ti = SimpleNamespace(
        dag_id=dag.dag_id,
        task_id="audit_silver",
        run_id=RUN,
        try_number=3,
        map_index=-1,
        log_url=f"http://127.0.0.1:8080/dags/sales_nightly/runs/{RUN}/tasks/audit_silver?try_number=3",
    )
    given = {
        "dag": dag,
        "ti": ti,
        "task_instance": ti,
        "task": SimpleNamespace(task_id=ti.task_id),
        "run_id": RUN,
        "params": {},
        "exception": ValueError("rows: expected 10, found {{ 9 }}"),
    }
    assert given.keys() <= KNOWN_CONTEXT_KEYS
    return given  # type: ignore[return-value]


@pytest.fixture
def inbox(subscribed: Any) -> Any:
    return subscribed("alarms")


def test_an_alarm_says_what_failed_why_and_where_to_read_on(context: Context, inbox: Any) -> None:
    alarm(context)
    (message,) = inbox()
    assert message["Subject"] == "ALARM sales_nightly: audit_silver failed"
    said = message["Message"]
    assert f"sales_nightly run {RUN}: task audit_silver failed (try 3)" in said
    assert "rows: expected 10, found {{ 9 }}" in said
    assert "http://127.0.0.1:8080/dags/sales_nightly/runs/" in said


def test_a_subject_is_no_longer_than_sns_takes(context: Context, inbox: Any) -> None:
    context["ti"].task_id = "a_task_" * 30
    alarm(context)
    (message,) = inbox()
    assert len(message["Subject"]) < 100


def test_an_error_without_end_is_cut_to_what_sns_takes(context: Context, inbox: Any) -> None:
    context["exception"] = ValueError("x" * 300_000)
    alarm(context)
    (message,) = inbox()
    assert message["Message"].count("x") < LONGEST + 100
    assert "Its log: http" in message["Message"]


def test_tasks_that_vanished_have_an_alarm_each(inbox: Any) -> None:
    """As Airflow's DAG processor calls it: it knows no error, and tasks share what it has read."""
    with DAG("sales_nightly", schedule=None, default_args={"on_failure_callback": alarm}) as dag:
        for name in ("build_silver", "ask_athena"):
            EmptyOperator(task_id=name)
    log = structlog.get_logger()
    for name in dag.task_ids:
        ti = TaskInstance(
            id=uuid4(),
            task_id=name,
            dag_id=dag.dag_id,
            run_id=RUN,
            try_number=3,
            dag_version_id=uuid4(),
        )
        request = TaskCallbackRequest(
            filepath="sales_nightly.py",
            bundle_name="dags",
            bundle_version=None,
            msg="heartbeat timeout",
            ti=ti,
            task_callback_type=TaskInstanceState.FAILED,
        )
        _execute_task_callbacks(SimpleNamespace(dags={dag.dag_id: dag}), request, log)
    said = inbox()
    assert sorted(one["Subject"] for one in said) == [
        "ALARM sales_nightly: ask_athena failed",
        "ALARM sales_nightly: build_silver failed",
    ]
    for one in said:
        assert NO_ERROR in one["Message"]
        assert f"/runs/{RUN}/tasks/" in one["Message"]


def test_a_run_s_tasks_that_said_nothing_have_an_alarm_each(
    context: Context, inbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the process that watches over them lived; the others have had theirs."""
    with context["dag"]:
        for name in ("plan_night", "build_silver", "audit_silver", "ask_2"):
            EmptyOperator(task_id=name)
        EmptyOperator.partial(task_id="ask_athena").expand_kwargs([{}, {}])
    states = {
        "plan_night": "success",
        "build_silver": "failed",
        "audit_silver": "upstream_failed",
        "ask_2": "failed",
        "ask_athena_0": "failed",
        "ask_athena_1": "failed",
    }
    reasons = {("ask_2", -1): "ValueError: no", ("ask_athena", 0): "ValueError: no"}
    context["ti"].get_task_states = lambda dag_id, run_ids: {run_ids[0]: states}

    def get_one(**asked: Any) -> str | None:
        assert asked["key"] == REASON
        assert (asked["dag_id"], asked["run_id"]) == ("sales_nightly", RUN)
        return reasons.get((asked["task_id"], asked["map_index"]))

    monkeypatch.setattr(BaseXCom, "get_one", get_one)
    alarm_of_the_silent(context)
    said = {message["Subject"]: message["Message"] for message in inbox()}
    assert set(said) == {
        "ALARM sales_nightly: build_silver failed",
        "ALARM sales_nightly: ask_athena failed",
    }
    assert "task ask_athena_1 failed" in said["ALARM sales_nightly: ask_athena failed"]
    assert all(NO_ERROR in one for one in said.values())
