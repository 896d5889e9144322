"""A Glue run whose beginning nobody heard of is followed, and nobody else's is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from botocore.exceptions import ClientError

from madrugada.jobs import ReattachingGlueJobOperator


class Glue:
    """A Glue that has these runs, newest first, and refuses a start with `code`."""

    def __init__(self, runs: list[tuple[str, str, str]], code: str | None) -> None:
        self.runs = [
            {"Id": name, "JobRunState": state, "Arguments": {"--airflow_run_id": run}}
            for name, state, run in runs
        ]
        self.code = code
        self.conn = self
        self.conn_region_name, self.conn_partition = "us-east-1", "aws"

    def initialize_job(self, arguments: Any, options: Any) -> dict[str, str]:
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "StartJobRun")
        return {"JobRunId": "a new one"}

    def get_job_runs(self, JobName: str, MaxResults: int) -> Any:
        assert JobName == "bronze-to-silver"
        return {"JobRuns": self.runs}


def submit(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[str, str, str]], code: str | None
) -> tuple[str, str | None]:
    """What `submit_job` says, and which run `on_kill` would stop."""
    monkeypatch.setattr(GlueJobOperator, "hook", Glue(runs, code))
    operator = ReattachingGlueJobOperator(
        task_id="build",
        job_name="bronze-to-silver",
        script_args={"--airflow_run_id": "monday"},
        run_argument="--airflow_run_id",
    )
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        try_number=1, xcom_push=lambda key, value: pushed.update({key: value}), task=operator
    )
    context: Any = {"ti": ti, "task_instance": ti}
    return operator.submit_job(context), operator._job_run_id


BUSY = "ConcurrentRunsExceededException"


def test_a_start_that_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert submit(monkeypatch, [], None) == ("a new one", "a new one")


def test_the_own_run_that_is_going_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [("jr_2", "RUNNING", "monday"), ("jr_1", "FAILED", "monday")]
    assert submit(monkeypatch, runs, BUSY) == ("jr_2", "jr_2")


@pytest.mark.parametrize(
    "runs",
    [[], [("jr_1", "RUNNING", "sunday")], [("jr_1", "SUCCEEDED", "monday")]],
    ids=["none", "another night's", "an earlier one that has ended"],
)
def test_no_other_run_is_followed(
    monkeypatch: pytest.MonkeyPatch, runs: list[tuple[str, str, str]]
) -> None:
    with pytest.raises(ClientError, match=BUSY):
        submit(monkeypatch, runs, BUSY)


def test_another_refusal_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        submit(monkeypatch, [("jr_1", "RUNNING", "monday")], "EntityNotFoundException")
