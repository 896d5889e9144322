"""What is said when a task has failed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

from madrugada.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

REASON = "reason"
LONGEST = 10_000
"""Characters that are said of an error; a message of SNS takes 256 KiB."""
NO_ERROR = "It left no error: its process ended in the middle of its work, or never began."


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
