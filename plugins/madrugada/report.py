"""The night's report: what was delivered, kept, rejected and published, whether all agree, and what
it would cost on AWS.

Whole in the gold bucket (docs/report.md has its shape), as tables in the task's log, and in a few
lines for people. `madrugada.stopped` has the report of a night that did not come so far.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import BotoCoreError, ClientError

from madrugada import costs
from madrugada.clients import client
from madrugada.reconciliation import (
    Answer,
    Figure,
    answer_figures,
    athena_answer,
    audit_checks,
    delivery_figures,
    differences,
    redshift_answer,
)
from madrugada.report_text import short_text, tables_text
from madrugada.settings import settings

log = logging.getLogger(__name__)

COUNTS = ("delivered", "kept", "duplicates", "superseded", "inserted", "updated", "restored")
MESSAGES = 1
"""What a night that is well publishes: its report."""


@dataclass(frozen=True)
class Used:
    """What a pipeline uses of AWS, whose durations and cost its report has.

    Attributes:
        jobs: each layer's Glue job.
        crawler, function: the crawler of its bronze tables (None: DDL makes them), and the
            function that it calls, whose log is billed.
        calls_by_events: whether that function is also called once for each delivered file.
        left_out: what its bill has not, beside what no bill has (`costs.LEFT_OUT`).
    """

    jobs: Mapping[str, str]
    crawler: str | None
    function: str
    calls_by_events: bool = True
    left_out: str = ""


@dataclass(frozen=True)
class Run:
    """The run of a DAG that a report is about.

    Attributes:
        started: when it was started, or started again.
        tasks: its tasks that have ended: ``task_id, map_index, state, operator, duration``.
    """

    dag_id: str
    run_id: str
    started: datetime
    tasks: Sequence[Mapping[str, Any]]

    @property
    def statements(self) -> str:
        """What the names of its Redshift statements begin with (see `Settings.redshift`)."""
        return f"{self.dag_id}/{self.run_id}/"


def this_run() -> Run:
    """The run that the current task is of."""
    context: Any = get_current_context()
    ti, dag_run = context["ti"], context["dag_run"]
    tasks = ti.get_task_breadcrumbs(dag_run.dag_id, dag_run.run_id)
    return Run(dag_run.dag_id, dag_run.run_id, dag_run.start_date, list(tasks))


def job_report(layer: str, version: str) -> dict[str, Any]:
    """What the Glue job that wrote this version of a layer says of it: rows in, kept, rejected."""
    return _read_json(settings().bucket(layer), f"_reports/{version}.json")


def reconcile_night(
    run: Run,
    night: Mapping[str, Any],
    versions: Mapping[str, str],
    used: Used,
    audits: Mapping[str, str],
    questions: Sequence[str],
    answers: Mapping[str, Sequence[str]],
    layers: Mapping[str, str] | None = None,
    published: Mapping[str, str] | None = None,
) -> str:
    """Compare all that is known of the night, write its report to the gold bucket, give its text.

    Args:
        night: the plan (see `madrugada.night.plan`).
        versions, audits: for each layer of the lake that the night writes (silver, or silver and
            gold), the Glue job run that wrote it and the Athena query that audited it.
        used: see `Used`.
        questions, answers: for each engine, its query ids in the order of `questions`; Athena's by
            Athena, the others' by the Redshift Data API.
        layers: figure of the answers to the check of gold's audit that has it as silver and gold
            have it, as ``{"total_by_product: total_value": "processed_sales: total value"}``.
        published: the version of each gold table that readers see now. When it is not this run's,
            because another night has published since and a part of this one was cleared, the
            engines are compared with that version, and with each other.

    Returns:
        The report in short, for a message.

    Raises:
        AirflowFailException: a figure differs, or not all questions were asked. The report is
            written before that, and names what differs.
    """
    said_by = {layer: job_report(layer, version) for layer, version in versions.items()}
    asked = {
        question: [_answer(engine, ids, index) for engine, ids in answers.items()]
        for index, question in enumerate(questions)
    }
    files = delivered_files(night["manifest_keys"])
    gold = said_by["gold"]["tables"] if "gold" in said_by else {}
    since = {name: (published or {}).get(name, "") for name in gold}
    since = {name: one for name, one in since.items() if one != versions["gold"]}
    seen = {name: job_report("gold", one)["tables"][name] for name, one in since.items() if one}
    figures: list[Figure] = []
    unknown = []
    try:
        figures = [
            *delivery_figures(
                {name: f["rows"] for name, f in files.items() if f["rows"] is not None},
                said_by["silver"]["datasets"],
                audit_checks(audits["silver"]),
            ),
            *answer_figures(
                asked,
                {**gold, **seen},
                {} if since or not gold else audit_checks(audits["gold"]),
                {} if since else layers or {},
            ),
        ]
    except ValueError as error:
        unknown = [f"The night cannot be reconciled: {error}"]
    wrong = unknown + [figure.difference for figure in figures if figure.difference]
    for question, given in asked.items():
        wrong += differences(question, given)
    athena_ids = [*audits.values(), *answers.get("Athena", ())]
    report = {
        "pipeline": run.dag_id,
        "run_id": run.run_id,
        "delivery_date": night["delivery_date"],
        "versions": dict(versions),
        "published_since": since,
        "datasets": {
            name: dataset_figures(said, files.get(name))
            for name, said in said_by["silver"]["datasets"].items()
        },
        "gold": gold_figures(gold),
        "figures": [figure.as_json() for figure in figures],
        "answers": {
            question: {one.engine: one.rows for one in given} for question, given in asked.items()
        },
        "differences": wrong,
        "durations": {"tasks": task_seconds(run)},
        "layers": said_by,
    }
    report |= services(run, versions, used, athena_ids, report, len(questions))
    where = keep_report(report, list(versions.values())[-1])
    for line in [*tables_text(report, figures).splitlines(), where]:
        log.info(line)
    if wrong:
        raise AirflowFailException(
            "The figures differ, the night is not reconciled. " + " | ".join(wrong) + f" | {where}"
        )
    return short_text(report) + "\n" + where


def keep_report(report: Mapping[str, Any], name: str) -> str:
    """Put a report where those of its pipeline and delivery date are; says where, in a sentence."""
    key = f"_reports/{report['pipeline']}/{report['delivery_date']}/{name}.json"
    client("s3").put_object(
        Bucket=settings().bucket("gold"),
        Key=key,
        Body=json.dumps(report, ensure_ascii=False, indent=1).encode(),
    )
    return f"Whole report: s3://{settings().bucket('gold')}/{key}"


def delivered_files(manifest_keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the manifests say of each dataset: ``rows`` (None: unknown), ``bytes``, ``files``."""
    bucket = settings().bucket("bronze")
    return files_of(_read_json(bucket, key) for key in manifest_keys)


def files_of(manifests: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What `delivered_files` gives, of manifests that have been read."""
    found: dict[str, dict[str, Any]] = {}
    for file in (file for manifest in manifests for file in manifest["files"]):
        one = found.setdefault(file["dataset"], {"rows": 0, "bytes": 0, "files": 0})
        one["files"] += 1
        one["bytes"] += file["bytes"]
        # Of a stream's objects nobody knows the rows before they are read.
        unknown = file["rows"] is None or one["rows"] is None
        one["rows"] = None if unknown else one["rows"] + file["rows"]
    return found


def _read_json(bucket: str, key: str) -> dict[str, Any]:
    return dict(json.load(client("s3").get_object(Bucket=bucket, Key=key)["Body"]))


def json_if_there(bucket: str, key: str) -> dict[str, Any] | None:
    try:
        return _read_json(bucket, key)
    except client("s3").exceptions.NoSuchKey:
        return None


def _answer(engine: str, ids: Sequence[str], index: int) -> Answer:
    if index >= len(ids):
        raise AirflowFailException(f"{engine} was asked {len(ids)} questions, not all of them")
    return athena_answer(ids[index]) if engine == "Athena" else redshift_answer(engine, ids[index])


def dataset_figures(said: Mapping[str, Any], file: Mapping[str, Any] | None) -> dict[str, Any]:
    """One dataset's figures by the job's report; what this has not is left out, or null."""
    return {
        **{key: said[key] for key in COUNTS if key in said},
        "quarantined": said.get("quarantined"),
        "warned": said.get("warned"),
        "new_columns": said.get("new_columns", []),
        "missing_columns": said.get("missing_columns", []),
        "published_rows": said.get("rows"),
        "delivered_bytes": file["bytes"] if file else None,
        "delivered_files": file["files"] if file else None,
        "published_bytes": said.get("bytes"),
        "published_files": said.get("files"),
        "seconds": said.get("seconds"),
    }


def gold_figures(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Each gold table's figures by the job's report."""
    return {
        name: {key: said.get(key) for key in ("rows", "files", "bytes", "seconds")}
        for name, said in tables.items()
    }


def task_name(task: Mapping[str, Any]) -> str:
    """``task_id``, or ``task_id[2]`` of a mapped task's third."""
    index = task["map_index"]
    return str(task["task_id"]) if index < 0 else f"{task['task_id']}[{index}]"


def task_seconds(run: Run) -> list[dict[str, Any]]:
    """Seconds of each task that has ended, the longest first."""
    ended = [
        {
            "task": task_name(task),
            "state": str(task["state"]),
            "seconds": round(task["duration"], 1),
        }
        for task in run.tasks
        if task.get("duration") is not None
    ]
    return sorted(ended, key=lambda task: -task["seconds"])


def services(
    run: Run,
    versions: Mapping[str, str],
    used: Used,
    athena_ids: Sequence[str],
    report: dict[str, Any],
    questions: int,
) -> dict[str, Any]:
    """Durations and cost, by what AWS's services say of the run.

    A night whose rows are right is not failed because its price cannot be worked out: then the
    report says so, and why.
    """
    durations = dict(report["durations"])
    try:
        prices = costs.Prices.newest(settings().region)
        runs = {
            layer: costs.job_runs(job, run.run_id, versions.get(layer), run.started)
            for layer, job in used.jobs.items()
        }
        queries = costs.athena_queries(athena_ids)
        statements = costs.redshift_statements(run.statements)
        silver_from = next(
            (one["StartedOn"] for one in runs["silver"] if one["Id"] == versions.get("silver")),
            None,
        )
        crawl = costs.crawl_before(used.crawler, silver_from or _now()) if used.crawler else None
        if crawl and silver_from is None and crawl["StartTime"] < run.started:
            crawl = None
        invocations = costs.lambda_reports(used.function, run.started)
        durations |= {
            "glue": [
                {"job": one["JobName"], "run": one["Id"], "state": one["JobRunState"],
                 "seconds": one["ExecutionTime"]}
                for layer in runs for one in runs[layer]
            ],
            "crawler": round((crawl["EndTime"] - crawl["StartTime"]).total_seconds(), 1)
            if crawl else None,
            "athena": [
                {"query": one["QueryExecutionId"],
                 "seconds": one["Statistics"].get("TotalExecutionTimeInMillis", 0) / 1000,
                 "bytes_scanned": one["Statistics"].get("DataScannedInBytes", 0)}
                for one in queries
            ],
            "redshift": [
                {"statement": one["StatementName"].removeprefix(run.statements), "id": one["Id"],
                 "seconds": round(max(one.get("Duration", 0), 0) / 1e9, 3)}
                for one in statements
            ],
        }  # fmt: skip
        datasets, gold = report["datasets"].values(), report["gold"].values()
        writes, reads = costs.s3_requests(
            delivered=_files(
                {"bytes": one["delivered_bytes"], "files": one["delivered_files"]}
                for one in datasets
            ),
            silver=_files(
                {"bytes": one["published_bytes"], "files": one["published_files"]}
                for one in datasets
            ),
            gold=_files(gold),
            tables=len(datasets) + 1 + len(gold),
            queries=len(queries),
            questions=questions,
        )
        lines = [costs.glue_run_line(prices, one) for found in runs.values() for one in found]
        if used.crawler and crawl is not None:
            lines.append(costs.crawl_line(prices, used.crawler, crawl))
        lines += [
            costs.athena_line(prices, queries),
            costs.redshift_line(prices, statements, costs.base_capacity()),
            *costs.dbt_lines(prices, _seconds_of_dbt(run), costs.base_capacity()),
            *costs.lambda_lines(prices, invocations, len(datasets) if used.calls_by_events else 0),
            *costs.message_lines(prices, MESSAGES),
            *costs.s3_lines(prices, writes, reads),
        ]
        return {"durations": durations, "cost": costs.bill(prices, lines, used.left_out)}
    except (ClientError, BotoCoreError, costs.PriceError) as error:
        return {"durations": durations, "cost": {"error": f"{type(error).__name__}: {error}"}}


def _now() -> datetime:
    return datetime.now(UTC)


def _seconds_of_dbt(run: Run) -> list[float]:
    """Seconds of each of the run's tasks in which dbt worked."""
    return [
        task["duration"]
        for task in run.tasks
        if task.get("duration") is not None and str(task.get("operator")).startswith("Dbt")
    ]


def _files(found: Any) -> costs.Files:
    some = list(found)
    return costs.Files(
        sum(one.get("files") or 0 for one in some), sum(one.get("bytes") or 0 for one in some)
    )
