"""Nights of a range of dates run again: which can be, what that will do, and doing it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowFailException

from madrugada.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
# Airflow maps a task over so many and no more ([core] max_map_length).
LONGEST_RANGE = 1024
GOING_ON = ["queued", "running"]


class RunNightOperator(TriggerDagRunOperator):
    """Run a night again and wait for its end; one that is going on is only waited for.

    Whoever triggers a run that is there already has it cleared: a waiting task that was lost and is
    tried again would stop the night it waits for, in the middle of its work.
    """

    def execute(self, context: Context) -> None:
        ti: Any = context["ti"]
        dag_id, run_id = self.trigger_dag_id, str(self.trigger_run_id)
        if not ti.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=GOING_ON):
            super().execute(context)
            return
        self.log.info("%s %s is going on; waiting for its end", dag_id, run_id)
        while (state := ti.get_dagrun_state(dag_id, run_id)) in GOING_ON:
            time.sleep(self.poke_interval)
        if state != "success":
            raise AirflowFailException(f"{dag_id} {run_id}: {state}; its own alarm says why.")


def plan_reprocessing(
    params: Mapping[str, Any], sources: Sequence[str], run_id: str
) -> list[dict[str, Any]]:
    """Say, for each date of the range, what will be done; and how to trigger it.

    Args:
        params: the form's `first_date`, `last_date` (YYYY-MM-DD, both included), `only_say`.
        sources: the pipeline's sources; a date is run with those that delivered on it.
        run_id: the reprocessing run's own id, which goes into the nights' run ids.

    Returns:
        For each date that has a complete delivery ``{"trigger_run_id", "conf"}``; nothing when
        only to be said.

    Raises:
        AirflowFailException: no dates, too many, or none with a delivery; nothing was triggered.
    """
    if not params["first_date"] or not params["last_date"]:
        raise AirflowFailException("Say the first and the last delivery date in the form.")
    days = _days(str(params["first_date"]), str(params["last_date"]))
    delivered = {source: _manifests(source, days[0], days[-1]) for source in sources}
    nights, lines = [], []
    for day in days:
        whole = [s for s in sources if delivered[s].get(day) == "complete"]
        broken = [s for s in sources if delivered[s].get(day, "complete") != "complete"]
        said = [f"run again with {', '.join(whole)}"] if whole else []
        said += [f"left out: {s}, whose delivery was {delivered[s][day]}" for s in broken]
        if whole or broken:
            lines.append(f"  {day}  {'; '.join(said)}")
        if whole:
            nights.append(
                {
                    "trigger_run_id": f"reprocess__{day}__{run_id}",
                    "conf": {"delivery_date": day, "sources": whole},
                }
            )
    missing = len(days) - len(lines)
    lines.append(f"  {missing} of {len(days)} dates have no delivery and are left out.")
    lines.append(
        "Each night reads its delivery again, by the contracts as they are now. Of a key, the row"
        " of its newest delivery counts, so that older nights bring no old values back."
    )
    if not nights:
        raise AirflowFailException(
            f"No delivery of {', '.join(sources)} from {days[0]} to {days[-1]} is in bronze;"
            " nothing to run again."
        )
    log.info("%d nights:\n%s", len(nights), "\n".join(lines))
    if params["only_say"]:
        log.info("Only said, as the form asked: nothing is run.")
        return []
    return nights


def _days(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first[:10]), date.fromisoformat(last[:10])
    count = (end - start).days + 1
    if not 0 < count <= LONGEST_RANGE:
        raise AirflowFailException(
            f"From {start} to {end} are {count} dates: expected the first date before the last,"
            f" and at most {LONGEST_RANGE}."
        )
    return [(start + timedelta(days=n)).isoformat() for n in range(count)]


def _manifests(source: str, first: str, last: str) -> dict[str, str]:
    """Date to status of a source's manifests in bronze."""
    hook, bucket, prefix = S3Hook(), settings().bucket("bronze"), f"_manifests/{source}/"
    keys = hook.list_keys(bucket, prefix=prefix, start_after_key=f"{prefix}{first}") or []
    keys = [key for key in keys if first <= key.removeprefix(prefix)[:10] <= last]
    return {
        key.removeprefix(prefix).removesuffix(".json"): json.loads(hook.read_key(key, bucket))[
            "status"
        ]
        for key in keys
    }
