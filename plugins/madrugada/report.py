"""The night's report: what was delivered, kept, rejected and published, and whether all agree."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowFailException

from madrugada.reconciliation import Answer, athena_answer, differences, redshift_answer
from madrugada.settings import settings


def job_report(layer: str, version: str) -> dict[str, Any]:
    """What the Glue job that wrote this version of a layer says of it: rows in, kept, rejected."""
    bucket = settings().bucket(layer)
    return json.loads(S3Hook().read_key(f"_reports/{version}.json", bucket))


def reconcile_night(
    pipeline: str,
    night: Mapping[str, Any],
    versions: Mapping[str, str],
    questions: Sequence[str],
    answers: Mapping[str, Sequence[str]],
) -> str:
    """Compare the engines, write the report to the gold bucket, and return its short text.

    Args:
        versions: the Glue job run that wrote each layer.
        answers: for each engine, its query ids in the order of `questions`; Athena's by Athena,
            the others' by the Redshift Data API.

    Raises:
        AirflowFailException: an engine answers differently, or not all questions were asked.
    """
    layers = {layer: job_report(layer, version) for layer, version in versions.items()}
    said: list[str] = []
    figures: dict[str, Any] = {}
    for index, question in enumerate(questions):
        found = [_answer(engine, ids, index) for engine, ids in answers.items()]
        said += differences(question, found)
        figures[question] = {answer.engine: answer.rows for answer in found}
    report = {
        "pipeline": pipeline,
        "delivery_date": night["delivery_date"],
        "versions": dict(versions),
        "layers": layers,
        "answers": figures,
        "differences": said,
    }
    key = f"_reports/{pipeline}/{night['delivery_date']}/{versions['gold']}.json"
    S3Hook().load_string(
        json.dumps(report, ensure_ascii=False, indent=1),
        key,
        settings().bucket("gold"),
        replace=True,
    )
    text = short_text(report)
    print(text)
    if said:
        raise AirflowFailException(
            "The engines disagree, the night is not reconciled. " + " | ".join(said)
        )
    return text + f"\nWhole report: s3://{settings().bucket('gold')}/{key}"


def _answer(engine: str, ids: Sequence[str], index: int) -> Answer:
    if index >= len(ids):
        raise AirflowFailException(f"{engine} was asked {len(ids)} questions, not all of them")
    return athena_answer(ids[index]) if engine == "Athena" else redshift_answer(engine, ids[index])


def short_text(report: Mapping[str, Any]) -> str:
    """The report in a few lines, for people: counts by dataset, then the engines' verdict."""
    lines = [f"{report['pipeline']} {report['delivery_date']}", ""]
    lines.append(f"{'dataset':<14}{'delivered':>10}{'kept':>10}{'quarantined':>13}  why")
    for name, counts in report["layers"]["silver"]["datasets"].items():
        why = ", ".join(f"{rule} {n}" for rule, n in counts["quarantined"].items())
        flagged = ", ".join(f"{rule} {n}" for rule, n in counts["warned"].items())
        rejected = sum(counts["quarantined"].values())
        lines.append(
            f"{name:<14}{counts['delivered']:>10}{counts['kept']:>10}{rejected:>13}"
            f"  {why}{' | ' if why and flagged else ''}{'flagged: ' + flagged if flagged else ''}"
        )
    lines += ["", f"{'gold table':<24}{'rows':>10}"]
    for name, counts in report["layers"]["gold"]["tables"].items():
        lines.append(f"{name:<24}{counts['rows']:>10}")
    engines = ", ".join(next(iter(report["answers"].values())))
    verdict = "DIFFER" if report["differences"] else "agree"
    lines += ["", f"{engines} {verdict} on {', '.join(report['answers'])}."]
    lines += report["differences"]
    return "\n".join(line.rstrip() for line in lines)
