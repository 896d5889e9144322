"""Which nights of a range of dates can be run again, and what that will do."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowFailException

from madrugada.settings import settings

log = logging.getLogger(__name__)
LONGEST_RANGE = 3 * 366


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
