"""What is said when a task has failed for good."""

from __future__ import annotations

from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

from madrugada.settings import settings


def alarm() -> SnsNotifier:
    """Publish a failed task, its error and where to read on, to the alarms topic."""
    return SnsNotifier(
        target_arn=settings().topic("alarms"),
        subject="{{ ('ALARM ' ~ dag.dag_id ~ ': ' ~ ti.task_id ~ ' failed')[:99] }}",
        message=(
            "{{ dag.dag_id }} run {{ run_id }}: task {{ ti.task_id }} failed"
            " (try {{ ti.try_number }}).\n\n"
            "{{ exception }}\n\n"
            "Its log: {{ ti.log_url }}\n"
            "What to do is in the DAG's documentation, and in docs/runbook.md."
        ),
    )
