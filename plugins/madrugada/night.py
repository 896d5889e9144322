"""What a run is about: which delivery, of which datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from madrugada.contracts import deployed_contracts
from madrugada.defaults import TIMEZONE
from madrugada.settings import settings


def delivery_date(params: Mapping[str, Any], dag_run: Any, streamed: bool = False) -> str:
    """The delivery date of a run, ``YYYY-MM-DD``.

    The form's date when one was given; else the local date of the scheduled moment (backfills
    and the schedule); else the local date on which the run was triggered. What is streamed comes by
    days in UTC, and a night takes the one that was over last at that moment.

    Raises:
        ValueError: the form's date is no date.
    """
    given = params.get("delivery_date")
    if given:
        try:
            return date.fromisoformat(str(given)[:10]).isoformat()
        except ValueError as error:
            raise ValueError(f"delivery_date {given!r} is not a date like 2026-01-05") from error
    moment = dag_run.logical_date or dag_run.run_after
    if streamed:
        return (moment.astimezone(UTC).date() - timedelta(days=1)).isoformat()
    return moment.astimezone(ZoneInfo(TIMEZONE)).date().isoformat()


def manifest_keys(sources: Iterable[str], day: str) -> list[str]:
    """Where the manifests of a delivery are, in the bronze bucket."""
    return [f"_manifests/{source}/{day}.json" for source in sources]


def refuse_reruns_that_do_nothing() -> None:
    """Stop where Airflow keeps what a task's job was after the task has succeeded.

    The operators for Glue and Redshift would find it when the task is cleared, and be done without
    doing anything: https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html

    Raises:
        AirflowFailException: the setting is not as it must be.
    """
    if not conf.getboolean("state_store", "clear_on_success"):
        raise AirflowFailException(
            "[state_store] clear_on_success is False in this Airflow: a task that is cleared would"
            " succeed at once and do nothing. Set AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS=True for"
            " every process of Airflow, and clear this task."
        )


def plan(
    params: Mapping[str, Any],
    dag_run: Any,
    datasets: Mapping[str, Sequence[str]],
    streamed: bool = False,
) -> dict[str, Any]:
    """The night's plan, which every other task reads.

    Args:
        datasets: each source's datasets, as the DAG lists them.
        streamed: the delivery is a day of a stream (see `delivery_date`).

    Returns:
        ``delivery_date``; ``sources`` (comma-separated); ``datasets`` (name to key columns);
        ``manifest_keys`` (in the bronze bucket); ``delivery`` (the ingest function's payload);
        ``open`` (whether more may come after the manifest was written).

    Raises:
        ValueError: a source that the DAG does not list, or a dataset without a contract.
        AirflowFailException: see `refuse_reruns_that_do_nothing`.
    """
    refuse_reruns_that_do_nothing()
    day = delivery_date(params, dag_run, streamed)
    sources = list(params["sources"])
    if unknown := sorted(set(sources) - set(datasets)):
        raise ValueError(f"unknown sources {unknown}: expected some of {sorted(datasets)}")
    contracts = deployed_contracts()["datasets"]
    keys = {}
    for source in sources:
        for dataset in datasets[source]:
            if dataset not in contracts:
                raise ValueError(
                    f"dataset {dataset} has no deployed contract: add"
                    f" include/contracts/{dataset}.yaml and deploy"
                )
            keys[dataset] = contracts[dataset]["key"]
    return {
        "delivery_date": day,
        "sources": ",".join(sources),
        "datasets": keys,
        "manifest_keys": manifest_keys(sources, day),
        "delivery": {"delivery_date": day, "sources": sources},
        "open": False,
    }


def over_at(day: date) -> datetime:
    """From when on nothing of a stream can arrive in the hours of this day (in UTC)."""
    return datetime.combine(day + timedelta(days=1), time(), UTC) + settings().stream_settles


def plan_day(
    params: Mapping[str, Any], dag_run: Any, source: str, datasets: Sequence[str]
) -> dict[str, Any]:
    """The plan of a night that takes one day of a stream.

    Returns:
        What `plan` gives; besides, ``over_at`` (ISO 8601, in UTC; see there). ``open`` is what the
        form wants; ``delivery`` is the payload of the function that closes the day.
    """
    planned = plan({**params, "sources": [source]}, dag_run, {source: datasets}, streamed=True)
    day = date.fromisoformat(planned["delivery_date"])
    take = bool(params.get("take_open_day"))
    return {
        **planned,
        "open": take,
        # Nothing to wait for: any moment that has passed will do.
        "over_at": (datetime.combine(day, time(), UTC) if take else over_at(day)).isoformat(),
        "delivery": {
            "delivery_date": planned["delivery_date"],
            "source": source,
            "open_hours": "take" if take else "refuse",
        },
    }
