"""What is said when a task has failed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.notifications.sns import SnsNotifier
from airflow.sdk.bases.xcom import BaseXCom

from madrugada.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

REASON = "reason"
LONGEST = 10_000
"""Characters that are said of an error; a message of SNS takes 256 KiB."""
NO_ERROR = (
    "It left no error: its process ended in the middle of its work or never began, or somebody"
    " marked it as failed."
)


def alarm(context: Context) -> None:
    """Publish a failed task, its error and where to read on, to the alarms topic.

    A task whose process has vanished cannot say anything itself. Then Airflow's DAG processor calls
    this, perhaps for several tasks one after the other, and knows no error.
    """
    given: dict[str, Any] = {"exception": NO_ERROR, **context, "longest": LONGEST}
    # One for each call: a notifier keeps what it has rendered in place of its templates.
    SnsNotifier(
        target_arn=settings().topic("alarms"),
        subject="{{ ('ALARM ' ~ dag.dag_id ~ ': ' ~ ti.task_id ~ ' failed')[:99] }}",
        message=(
            "{{ dag.dag_id }} run {{ run_id }}: task {{ ti.task_id }} failed"
            " (try {{ ti.try_number }}).\n\n"
            "{{ (exception | string)[:longest] }}\n\n"
            "Its log: {{ ti.log_url }}\n"
            "What to do is in the DAG's documentation, and in docs/runbook.md."
        ),
    )(given)


def keep_reason(context: Context) -> None:
    """Keep a failed task's error as its XCom `REASON`, for the report of the night that it stops.

    There is none of a task that vanished, and the DAG processor, which then calls this, could not
    keep one: it does not answer whoever writes an XCom.
    """
    if error := context.get("exception"):
        named = f"{type(error).__name__}: " if isinstance(error, BaseException) else ""
        context["ti"].xcom_push(key=REASON, value=f"{named}{error}"[:LONGEST])


def alarm_of_the_silent(context: Context) -> None:
    """Publish an alarm for each failed task of a run that failed without a word.

    Nobody calls the callback of a task whose process is killed, for want of memory, say, while the
    one that watches over it lives (https://github.com/apache/airflow/issues/60858). A DAG's own is
    called by the DAG processor once the run has failed. A task whose watching process died too has
    had its alarm by then, and has a second one.
    """
    dag, run_id, ti = context["dag"], context["run_id"], context["ti"]
    states = ti.get_task_states(dag.dag_id, run_ids=[run_id]).get(run_id, {})
    for name in (name for name, state in states.items() if state == "failed"):
        task_id, map_index = name, -1
        if task_id not in dag.task_dict:
            task_id, _, index = name.rpartition("_")
            map_index = int(index)
        key: dict[str, Any] = {"dag_id": dag.dag_id, "run_id": run_id, "task_id": task_id}
        if BaseXCom.get_one(key=REASON, map_index=map_index, **key) is None:
            SnsNotifier(
                target_arn=settings().topic("alarms"),
                subject=f"ALARM {dag.dag_id}: {task_id} failed"[:99],
                message=(
                    f"{dag.dag_id} run {run_id}: task {name} failed.\n\n{NO_ERROR}\n\n"
                    "What to do is in the DAG's documentation, and in docs/runbook.md."
                ),
            )(context)
