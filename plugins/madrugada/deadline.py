"""An alarm when a delivery is late: before the night gives up waiting, so that one can still call.

Airflow's DeadlineAlert: when a run is made, the scheduler notes the moment until which it should be
done; when that passes and the run has not succeeded, the triggerer calls `late_delivery`. The
moment counts from when the run was queued, not from its logical date, which for a night that is
run again lies far in the past.

A backfill queues all its nights at once, and the last ones wait for hours for their turn; they are
past, and nobody is called about them. Clearing a run does not set a new deadline.
https://airflow.apache.org/docs/apache-airflow/stable/howto/deadline-alerts.html
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.hooks.sns import SnsHook
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from madrugada.settings import settings

log = logging.getLogger(__name__)


def delivery_deadline(sources: Sequence[str], streamed: bool = False) -> DeadlineAlert:
    """The deadline of a DAG whose nights wait for deliveries of these sources.

    Args:
        streamed: a delivery is a day of a stream (see `madrugada.night.delivery_date`).
    """
    return DeadlineAlert(
        name="delivery",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=settings().delivery_deadline,
        callback=AsyncCallback(
            late_delivery, kwargs={"sources": list(sources), "streamed": streamed}
        ),
    )


async def late_delivery(
    sources: Sequence[str], context: Mapping[str, Any], streamed: bool = False
) -> str:
    """Publish which manifests are not there, if any, to the alarms topic; say what was done.

    Args:
        sources: whose deliveries the DAG takes in.
        context: Airflow's for deadlines: ``dag_run`` (as its API shows one) and ``deadline``.
    """
    # The provider's own asynchronous calls need a package that holds boto3 back by years.
    said = await asyncio.to_thread(_look_and_tell, sources, context["dag_run"], streamed)
    log.info(said)
    return said


def _look_and_tell(sources: Sequence[str], dag_run: Mapping[str, Any], streamed: bool) -> str:
    from madrugada.night import delivery_date, manifest_keys, over_at

    name = f"{dag_run['dag_id']} run {dag_run['dag_run_id']}"
    if dag_run["run_type"] == "backfill":
        return f"{name}: a backfill of nights that are past; nobody is called"
    if dag_run["state"] in ("success", "failed"):
        return f"{name}: has ended ({dag_run['state']}), and its own alarm was given if it failed"
    conf = dag_run.get("conf") or {}
    moment = SimpleNamespace(
        logical_date=_moment(dag_run.get("logical_date")), run_after=_moment(dag_run["run_after"])
    )
    day = delivery_date(conf, moment, streamed)
    if streamed and datetime.now(UTC) < over_at(date.fromisoformat(day)):
        return f"{name}: {day} is not over yet; nothing is late"
    bucket, hook = settings().bucket("bronze"), S3Hook()
    keys = manifest_keys(conf.get("sources") or sources, day)
    missing = [key for key in keys if not hook.check_for_key(key, bucket)]
    if not missing:
        return f"{name}: the delivery of {day} has arrived; nothing is late"
    waits = (
        "The day is over and nobody has closed it: look at wait_for_the_day and close_day."
        if streamed
        else f"The night goes on waiting, for {_spoken(settings().delivery_patience)} in all;"
        " it needs nothing from you once the files are delivered."
    )
    SnsHook().publish_to_target(
        target_arn=settings().topic("alarms"),
        subject=f"ALARM {dag_run['dag_id']}: delivery of {day} is late"[:99],
        message=(
            f"{name}: {_spoken(settings().delivery_deadline)} after the run was queued, the"
            f" delivery of {day} is not complete. Not there:\n"
            + "\n".join(f"s3://{bucket}/{key}" for key in missing)
            + f"\n\n{waits}\nWhat to do is in docs/runbook.md, under: delivery is late."
        ),
    )
    return f"{name}: called about {', '.join(missing)}"


def _spoken(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    return f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else text
