"""What a run is about: which delivery, of which datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from madrugada.contracts import deployed_contracts
from madrugada.defaults import TIMEZONE


def delivery_date(params: Mapping[str, Any], dag_run: Any) -> str:
    """The delivery date of a run, ``YYYY-MM-DD``.

    The form's date when one was given; else the local date of the scheduled moment (backfills
    and the schedule); else the local date on which the run was triggered.

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
    return moment.astimezone(ZoneInfo(TIMEZONE)).date().isoformat()


def manifest_keys(sources: Iterable[str], day: str) -> list[str]:
    """Where the manifests of a delivery are, in the bronze bucket."""
    return [f"_manifests/{source}/{day}.json" for source in sources]


def plan(
    params: Mapping[str, Any], dag_run: Any, datasets: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The night's plan, which every other task reads.

    Args:
        datasets: each source's datasets, as the DAG lists them.

    Returns:
        ``delivery_date``; ``sources`` (comma-separated); ``datasets`` (name to key columns);
        ``manifest_keys`` (in the bronze bucket); ``delivery`` (the ingest function's payload).

    Raises:
        ValueError: a source that the DAG does not list, or a dataset without a contract.
    """
    day = delivery_date(params, dag_run)
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
    }
