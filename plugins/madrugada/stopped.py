"""The report of a night that stopped before it was reconciled: how far it came, and why no further.

It is what `madrugada.report` writes of every other night, as far as it is known.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from airflow.providers.amazon.aws.links.athena import AthenaQueryResultsLink
from airflow.sdk import get_current_context, task

from madrugada import costs
from madrugada.clients import client
from madrugada.notifications import NO_ERROR, REASON
from madrugada.publishing import published_versions
from madrugada.report import (
    Run,
    Used,
    dataset_figures,
    files_of,
    gold_figures,
    json_if_there,
    keep_report,
    services,
    task_name,
    task_seconds,
    this_run,
)
from madrugada.report_text import short_text, tables_text
from madrugada.settings import settings

log = logging.getLogger(__name__)

OVER = ("success", "failed", "upstream_failed", "skipped", "removed", "None")


def report_stopped(night: Any, used: Used) -> Any:
    """The task that reports why a night stopped; skipped when it did not.

    It belongs after `reconcile`: a failure anywhere reaches that one.

    Args:
        night: the output of the task that plans the night.
        used: see there.
    """

    @task(task_id="report_stopped", trigger_rule="one_failed")
    def report(night: dict[str, Any] | None) -> str:
        """Write how far the night came and why no further, and send it in short."""
        context: Any = get_current_context()
        ti = context["ti"]
        beside = {ti.task_id, *(one.task_id for one in context["dag"].tasks if one.is_teardown)}
        run = this_run()
        # Of a run that was cleared, tasks that were not reached again have their old XComs still.
        ended = [one for one in run.tasks if one["state"] in ("success", "failed")]
        succeeded = {one["task_id"] for one in ended if one["state"] == "success"}
        failed = [one for one in ended if one["state"] == "failed"]
        asked = [one for one in ended if str(one["operator"]).startswith("Athena")]
        states = ti.get_task_states(run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})

        def left(by: Mapping[str, Any], key: str) -> Any:
            return ti.xcom_pull(task_ids=by["task_id"], key=key, map_indexes=by["map_index"])

        links = [left(one, AthenaQueryResultsLink.key) for one in asked]
        return report_stopped_night(
            run=run,
            night=night,
            used=used,
            reasons={task_name(one): left(one, REASON) or NO_ERROR for one in failed},
            under_way=[
                name for name, state in states.items()
                if str(state) not in OVER and name not in beside
            ],
            versions={
                layer: ti.xcom_pull(task_ids=f"build_{layer}", map_indexes=-1)
                for layer in used.jobs
                if f"build_{layer}" in succeeded
            },
            athena_ids=[link["query_execution_id"] for link in links if link],
        )  # fmt: skip

    return report(night)


def report_stopped_night(
    run: Run,
    night: Mapping[str, Any] | None,
    used: Used,
    reasons: Mapping[str, str],
    under_way: Sequence[str],
    versions: Mapping[str, str],
    athena_ids: Sequence[str],
) -> str:
    """Write the report to the gold bucket, send it in short to the topic of reports, and give that.

    Args:
        night: the plan (see `madrugada.night.plan`); None when there is none.
        reasons: of each task that failed, its error.
        under_way: tasks that have not ended.
        versions: the Glue job run of each layer whose task has succeeded. Of another layer the
            newest run that was begun is taken, whose report, if it left one, tells what it found.
        athena_ids: the run's queries.
    """
    planned = night or {"delivery_date": "unplanned", "datasets": {}, "manifest_keys": []}
    bronze = settings().bucket("bronze")
    read = (json_if_there(bronze, key) for key in planned["manifest_keys"])
    files = files_of(manifest for manifest in read if manifest)
    found: dict[str, str] = {}
    for layer, job in used.jobs.items():
        begun = costs.job_runs(job, run.run_id, None, run.started)
        if version := versions.get(layer) or (begun[0]["Id"] if begun else None):
            found[layer] = version
    said_by = {
        layer: said
        for layer, version in found.items()
        if (said := json_if_there(settings().bucket(layer), f"_reports/{version}.json"))
    }
    silver = said_by.get("silver", {}).get("datasets", {})
    datasets = {
        name: dataset_figures(
            silver.get(name) or {"delivered": files.get(name, {}).get("rows")}, files.get(name)
        )
        for name in planned["datasets"]
    }
    published = {
        layer: sorted(name for name, now in published_versions(layer).items() if now == version)
        for layer, version in found.items()
    }
    report = {
        "pipeline": run.dag_id,
        "run_id": run.run_id,
        "delivery_date": planned["delivery_date"],
        "stopped": [{"task": name, "reason": reason} for name, reason in reasons.items()],
        "under_way": list(under_way),
        "versions": found,
        "published": published,
        "datasets": datasets,
        "gold": gold_figures(said_by.get("gold", {}).get("tables", {})),
        "figures": [],
        "answers": {},
        "differences": [],
        "durations": {"tasks": task_seconds(run)},
        "layers": said_by,
    }
    report |= services(run, found, used, athena_ids, report, questions=0)
    for name, one in datasets.items():
        if name not in published.get("silver", ()):
            one |= dict.fromkeys(("published_rows", "published_bytes", "published_files"))
    where = keep_report(report, f"stopped-{run.started.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}")
    for line in [*tables_text(report, []).splitlines(), where]:
        log.info(line)
    text = short_text(report) + "\n" + where
    client("sns").publish(
        TopicArn=settings().topic("reports"),
        Subject=f"{run.dag_id} {planned['delivery_date']}: stopped",
        Message=text,
    )
    return text
