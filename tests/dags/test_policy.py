"""What every DAG and every task must have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.amazon.aws.operators.glue import GlueJobOperator
from airflow.providers.amazon.aws.operators.glue_crawler import GlueCrawlerOperator
from airflow.providers.amazon.aws.transfers.s3_to_redshift import S3ToRedshiftOperator
from airflow.sdk import BaseOperator
from airflow.sdk.definitions.timetables.assets import AssetTriggeredTimetable

from madrugada.defaults import (
    CRAWLER_POOL,
    GLUE_POOL,
    LONGEST_NIGHT,
    OWNER,
    TIMEZONE,
    TURN_POOL,
    WAREHOUSE_POOL,
)
from madrugada.notifications import alarm, alarm_of_the_silent, keep_reason
from madrugada.settings import settings
from madrugada.turn import TakeTurnSensor
from tests.conftest import ROOT
from tests.dags.conftest import DAGS
from tests.dags.test_integrity import EXPECTED

DAG_IDS = sorted(dag_id for dags in EXPECTED.values() for dag_id in dags)
FILES = sorted(DAGS.rglob("*.py"))

POOL_OF = {
    GlueJobOperator: GLUE_POOL,
    GlueCrawlerOperator: CRAWLER_POOL,
    S3ToRedshiftOperator: WAREHOUSE_POOL,
    TakeTurnSensor: TURN_POOL,
}

FAILS_AT_ONCE: dict[str, dict[str, str]] = {}
"""Tasks without a retry, each with the reason; every other task has at least one."""


@pytest.fixture(params=DAG_IDS)
def dag(request: pytest.FixtureRequest, dags: dict[str, Any]) -> Any:
    return dags[request.param]


def partial(task: Any, name: str) -> Any:
    """An attribute of a task, also of a mapped one."""
    return task.partial_kwargs.get(name) if task.is_mapped else getattr(task, name)


def test_a_dag_says_what_it_is(dag: Any) -> None:
    assert dag.tags
    assert dag.description
    assert dag.doc_md.lstrip().startswith(f"# {dag.dag_id}")
    for heading in ("What it does", "What a re-run does", "When it fails"):
        assert heading in dag.doc_md


def test_the_help_for_failures_names_tasks_that_exist(dag: Any) -> None:
    told = dag.doc_md.partition("When it fails")[2]
    names = {
        word
        for line in told.splitlines()
        if line.startswith("- `")
        for word in line.partition(":")[0].removeprefix("- ").replace("`", "").split(", ")
    }
    assert names
    assert names <= set(dag.task_ids)


def test_what_writes_tables_is_done_by_one_run_at_a_time(dag: Any) -> None:
    """All that builds, publishes or loads is between taking the turn and passing it on."""
    if dag.max_active_runs == 1:
        return
    take, passing = dag.task_dict["take_turn"], dag.task_dict["pass_turn"]
    assert take.is_setup
    assert passing.is_teardown
    writing = {
        task.task_id
        for task in dag.tasks
        if task.task_id.partition("_")[0]
        in ("build", "audit", "publish", "load", "prune", "create", "reconcile", "ask")
    }
    between = {t.task_id for t in take.get_flat_relatives(upstream=False)}
    between &= {t.task_id for t in passing.get_flat_relatives(upstream=True)}
    assert writing
    assert writing <= between


def test_the_turn_is_kept_until_all_that_writes_has_ended(dag: Any) -> None:
    """Also when a task has failed, whose followers end at once, while those beside it go on."""
    if "pass_turn" not in dag.task_dict:
        return
    between = {t.task_id for t in dag.task_dict["take_turn"].get_flat_relatives(upstream=False)}

    def ended_before(task_id: str) -> set[str]:
        """What does not run any more, or ever, once this task has ended, in whatever way."""
        task = dag.task_dict[task_id]
        # Either it ran itself, so that all before it has succeeded,
        ways = [{t.task_id for t in task.get_flat_relatives(upstream=True)}]
        for one in task.upstream_task_ids & between:
            # or one before it failed, and with that all that follows; of a mapped task others run.
            failed = dag.task_dict[one]
            ended = {t.task_id for t in failed.get_flat_relatives(upstream=False)}
            ways.append(ended_before(one) | ended | (set() if failed.is_mapped else {one}))
        return set.intersection(*ways)

    waited_for = dag.task_dict["pass_turn"].upstream_task_ids - {"take_turn"}
    ended = waited_for.union(*map(ended_before, waited_for))
    readers = ("ask_", "reconcile", "report_stopped", "send_report", "pass_turn")
    writing = {task_id for task_id in between if not task_id.startswith(readers)}
    assert writing
    assert writing <= ended


def test_who_waits_for_a_turn_looks_in_the_order_of_coming_a_rollback_first(
    dags: dict[str, Any],
) -> None:
    weights = {
        dag_id: (dag.task_dict["take_turn"].weight_rule, dag.task_dict["take_turn"].priority_weight)
        for dag_id, dag in dags.items()
        if "take_turn" in dag.task_dict
    }
    first = weights.pop("sales_rollback")
    assert set(weights.values()) == {("absolute", 1)}
    assert first == ("absolute", 2)


def test_what_aws_allows_once_at_a_time_is_asked_in_its_pool(dag: Any) -> None:
    for task in dag.tasks:
        kind = task.operator_class if task.is_mapped else type(task)
        for operator, pool in POOL_OF.items():
            if issubclass(kind, operator):
                assert task.pool == pool, task.task_id
                assert task.pool_slots == 1, task.task_id


def test_a_dag_runs_no_nights_that_are_past(dag: Any) -> None:
    assert dag.catchup is False
    # Without one, a new deployment waits for its next night; with one, it must not move.
    assert dag.start_date is None or dag.start_date.time() == time(0)
    if dag.timetable.can_be_scheduled and not isinstance(dag.timetable, AssetTriggeredTimetable):
        assert TIMEZONE in str(dag.timetable.timezone)


def test_a_dag_file_asks_no_clock(dag: Any) -> None:
    """`start_date=pendulum.now()` would move; so would anything else built on a clock."""
    tree = ast.parse(Path(dag.fileloc).read_text())
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    moving = {c for c in calls if c.rpartition(".")[2] in ("now", "today", "utcnow", "days_ago")}
    assert moving == set()


def test_every_task_has_an_owner_a_limit_and_an_alarm(dag: Any) -> None:
    for task in dag.tasks:
        assert task.owner == OWNER, task.task_id
        assert task.execution_timeout, task.task_id
        assert timedelta(0) < task.execution_timeout <= LONGEST_NIGHT, task.task_id
        callbacks = partial(task, "on_failure_callback")
        assert [keep_reason, alarm] == callbacks, task.task_id


def test_a_run_that_failed_without_a_word_raises_an_alarm(dag: Any) -> None:
    assert dag.on_failure_callback == alarm_of_the_silent


def test_a_glue_job_ends_by_its_own_timeout(dag: Any) -> None:
    """The template's; Airflow's comes after it, or a longer timeout of the job would do nothing."""
    template = (ROOT / "infra/template.yaml").read_text()
    default = re.search(r"GlueTimeoutMinutes:\n(?:    .*\n)*?    Default: (\d+)", template)
    assert default
    assert settings().glue_timeout == timedelta(minutes=int(default[1]))
    for task in dag.tasks:
        if isinstance(task, GlueJobOperator):
            assert task.execution_timeout > settings().glue_timeout, task.task_id


def test_every_task_is_tried_again_unless_it_says_why_not(dag: Any) -> None:
    without = {task.task_id for task in dag.tasks if not task.retries}
    assert without == set(FAILS_AT_ONCE.get(dag.dag_id, {}))


def test_task_ids_are_verbs_in_snake_case(dag: Any) -> None:
    for task in dag.tasks:
        assert task.task_id == task.task_id.lower()
        assert task.task_id.replace("_", "").isalnum()


def test_own_operators_only_where_the_provider_has_none(dag: Any) -> None:
    own = {
        (task.operator_class if task.is_mapped else type(task)).__name__
        for task in dag.tasks
        if (task.operator_class if task.is_mapped else type(task)).__module__.startswith(
            "madrugada"
        )
    }
    assert own <= {
        "AthenaAuditOperator",
        "CheckDeliveryOperator",
        "ReattachingGlueJobOperator",
        "PublishTablesOperator",
        "TakeTurnSensor",
        "PassTurnOperator",
        "RunNightOperator",
    }


def test_every_form_field_says_what_it_is(dag: Any) -> None:
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.schema.get("title"), name
        assert param.description, name


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_dag_file_only_wires(path: Any) -> None:
    source = path.read_text()
    roots = {name.partition(".")[0] for name in imports(source)}
    assert roots <= {"__future__", "airflow", "collections", "datetime", "madrugada", "pendulum",
                     "typing"}  # fmt: skip
    assert "AWS_ENDPOINT_URL" not in source


@pytest.mark.parametrize(
    "path",
    sorted(p for room in ("dags", "plugins", "include") for p in (ROOT / room).rglob("*.py")),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_no_room_above_knows_the_embedded_aws(path: Any) -> None:
    source = path.read_text()
    assert not any(name.partition(".")[0] == "local_aws" for name in imports(source))
    assert "AWS_ENDPOINT_URL" not in source


def test_operators_are_the_sdk_s_own(dag: Any) -> None:
    for task in dag.tasks:
        kind = task.operator_class if task.is_mapped else type(task)
        assert issubclass(kind, BaseOperator)
