"""The report of a night that stopped: how far it came, and why no further."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.amazon.aws.links.athena import AthenaQueryResultsLink
from airflow.sdk import DAG

from madrugada import stopped
from madrugada.notifications import LONGEST, REASON, keep_reason
from madrugada.settings import Settings
from madrugada.stopped import report_stopped_night
from tests.plugins.report.conftest import GOLD, NIGHT, RUN, START, USED, VERSIONS, silver

PLAN = {**NIGHT, "datasets": {"sales_data": ["id"], "produtos": ["id"]}}
KEY = "_reports/sales_nightly/2026-01-05/stopped-20260105T060000.000000Z.json"
WHY = "AirflowFailException: The audit stopped the night. rows: expected 10, found 9"
LINK = AthenaQueryResultsLink.key
NOTHING: dict[str, str] = {}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """The version of each layer's tables that readers see; a test may change them."""
    found: dict[str, dict[str, str]] = {"silver": {"sales_data": "jr_old"}, "gold": {}}
    monkeypatch.setattr(stopped, "published_versions", lambda layer: found[layer])
    return found


@pytest.fixture
def inbox(subscribed: Any) -> Any:
    return subscribed("reports")


def stop(**given: Any) -> list[str]:
    """Report a night that was stopped by silver's audit; its text, line by line."""
    text = report_stopped_night(
        **{
            "run": RUN,
            "night": PLAN,
            "used": USED,
            "reasons": {"audit_silver": WHY},
            "under_way": [],
            "versions": {"silver": "jr_silver"},
            "athena_ids": ["audit-silver"],
            **given,
        }
    )
    return [" ".join(line.split()) for line in text.splitlines()]


def written(buckets: Any, names: Settings, key: str = KEY) -> dict[str, Any]:
    found = buckets.get_object(Bucket=names.bucket("gold"), Key=key)
    return dict(json.loads(found["Body"].read()))


def test_a_night_that_an_audit_stopped(
    buckets: Any, told: Any, published: Any, inbox: Any, names: Settings
) -> None:
    told["glue"]["get_job_runs"] = of_silver_only(told)
    lines = stop()
    whole = written(buckets, names)
    assert whole["stopped"] == [{"task": "audit_silver", "reason": WHY}]
    assert whole["versions"] == {"silver": "jr_silver"}
    assert whole["published"] == {"silver": []}
    found = whole["datasets"]["sales_data"]
    assert (found["delivered"], found["kept"]) == (12, 10)
    assert found["quarantined"] == {"price_required": 2}
    assert found["published_rows"] is None
    assert found["delivered_bytes"] == 480
    assert whole["layers"] == {"silver": silver()}
    assert [run["run"] for run in whole["durations"]["glue"]] == ["jr_silver", "jr_failed"]
    assert [query["query"] for query in whole["durations"]["athena"]] == ["audit-silver"]
    assert whole["cost"]["total"] > 0
    assert lines[:4] == ["sales_nightly 2026-01-05", "", "STOPPED", f"audit_silver: {WHY}"]
    assert "silver jr_silver: nothing of it is published" in lines
    assert "sales_data 12 10 2 - price_required 2" in lines
    assert not [line for line in lines if "figures are equal" in line]
    assert lines[-1] == f"Whole report: s3://{names.bucket('gold')}/{KEY}"
    (message,) = inbox()
    assert message["Subject"] == "sales_nightly 2026-01-05: stopped"
    assert [" ".join(line.split()) for line in message["Message"].splitlines()] == lines


def of_silver_only(told: dict[str, dict[str, Any]]) -> Any:
    """GetJobRuns while gold's job has not been begun."""
    all_runs = told["glue"]["get_job_runs"]
    return lambda JobName: all_runs(JobName) if JobName == "to-silver" else {"JobRuns": []}


def test_the_log_has_it_as_tables(
    buckets: Any, told: Any, published: Any, inbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="madrugada.stopped")
    stop()
    lines = [" ".join(line.split()) for line in caplog.messages]
    for line in (
        "STOPPED",
        f"audit_silver: {WHY}",
        "sales_data 12 10 - 1 2 7 2 - - - 1.5 price_required 2",
        "load[1] success 3.0",
    ):
        assert line in lines
    assert not [line for line in lines if line.startswith("figure ")]


def test_a_night_that_was_published_in_part_says_what_is(
    buckets: Any, told: Any, published: Any, inbox: Any, names: Settings
) -> None:
    published["silver"] = {"sales_data": "jr_silver", "produtos": "jr_other"}
    lines = stop(reasons={"build_gold": "no memory"}, versions=VERSIONS, under_way=["ask_athena_1"])
    whole = written(buckets, names)
    assert whole["published"] == {"silver": ["sales_data"], "gold": []}
    assert whole["datasets"]["sales_data"]["published_rows"] == 30
    assert whole["datasets"]["produtos"]["published_rows"] is None
    assert whole["gold"]["processed_sales"]["rows"] == GOLD["tables"]["processed_sales"]["rows"]
    assert whole["under_way"] == ["ask_athena_1"]
    assert "silver jr_silver: published sales_data" in lines
    assert "gold jr_gold: nothing of it is published" in lines
    assert "Still under way: ask_athena_1" in lines


def test_a_job_that_failed_is_found_by_the_run_that_began_it(
    buckets: Any, told: Any, published: Any, inbox: Any, names: Settings
) -> None:
    """Its task gave no version; what the job wrote before it stopped the night says why."""
    told["glue"]["get_job_runs"] = of_silver_only(told)
    buckets.put("silver", "_reports/jr_silver.json", silver() | {"stopped": ["too much rejected"]})
    stop(versions=NOTHING, reasons={"build_silver": "Glue job failed"}, athena_ids=[])
    whole = written(buckets, names)
    assert whole["versions"] == {"silver": "jr_silver"}
    assert whole["layers"]["silver"]["stopped"] == ["too much rejected"]
    assert whole["datasets"]["sales_data"]["quarantined"] == {"price_required": 2}


def test_a_night_whose_delivery_never_came(
    buckets: Any, told: Any, published: Any, inbox: Any, names: Settings
) -> None:
    told["glue"]["get_job_runs"] = lambda JobName: {"JobRuns": []}
    buckets.delete_object(Bucket=names.bucket("bronze"), Key=NIGHT["manifest_keys"][0])
    late = replace(RUN, started=START + timedelta(hours=1))
    lines = stop(run=late, versions=NOTHING, reasons={"check_delivery": "missing"}, athena_ids=[])
    whole = written(buckets, names, KEY.replace("T06", "T07"))
    assert whole["versions"] == whole["published"] == whole["layers"] == {}
    assert whole["datasets"]["sales_data"]["delivered"] is None
    assert whole["datasets"]["produtos"]["delivered"] == 10
    assert whole["datasets"]["produtos"]["quarantined"] is None
    assert "produtos 10 - - -" in lines
    assert "check_delivery: missing" in lines
    # The crawl of an earlier night is not this one's.
    assert whole["durations"]["crawler"] is None


def test_a_night_without_a_plan(
    buckets: Any, told: Any, published: Any, inbox: Any, names: Settings
) -> None:
    told["glue"]["get_job_runs"] = lambda JobName: {"JobRuns": []}
    reasons = {"plan_night": "ValueError: delivery_date 'soon' is not a date like 2026-01-05"}
    stop(night=None, versions=NOTHING, reasons=reasons, athena_ids=[])
    whole = written(buckets, names, KEY.replace("2026-01-05", "unplanned"))
    assert whole["stopped"][0]["task"] == "plan_night"
    assert whole["datasets"] == {}


def test_what_a_cleared_run_has_left_from_before_is_not_this_try_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silver was audited again and failed; gold was not reached, and its XComs are there still."""
    states = {
        "build_silver": ("ReattachingGlueJobOperator", "success"),
        "audit_silver": ("AthenaAuditOperator", "failed"),
        "build_gold": ("ReattachingGlueJobOperator", "upstream_failed"),
        "audit_gold": ("AthenaAuditOperator", "upstream_failed"),
        "create_tables": ("RedshiftDataOperator", "running"),
        "pass_turn": ("PassTurnOperator", "None"),
    }
    left = {
        ("build_silver", "return_value"): "jr_silver",
        ("build_gold", "return_value"): "jr_before",
        ("audit_silver", "reason"): WHY,
        ("audit_silver", LINK): {"query_execution_id": "audit-silver"},
        ("audit_gold", LINK): {"query_execution_id": "before"},
    }
    tasks = [
        {"task_id": name, "map_index": -1, "state": state, "operator": operator, "duration": 1.0}
        for name, (operator, state) in states.items()
        if state not in ("running", "None")
    ]
    ti = SimpleNamespace(
        task_id="report_stopped",
        get_task_states=lambda dag_id, run_ids: {
            run_ids[0]: {name: state for name, (_, state) in states.items()}
        },
        xcom_pull=lambda task_ids, key="return_value", map_indexes=-1: left.get((task_ids, key)),
    )
    told: dict[str, Any] = {}
    with DAG("sales_nightly", schedule=None) as dag:
        made = stopped.report_stopped(PLAN, USED)
    monkeypatch.setattr(stopped, "get_current_context", lambda: {"ti": ti, "dag": dag})
    monkeypatch.setattr(stopped, "this_run", lambda: replace(RUN, tasks=tasks))
    monkeypatch.setattr(stopped, "report_stopped_night", lambda **given: told.update(given))
    made.operator.python_callable(PLAN)
    assert told["versions"] == {"silver": "jr_silver"}
    assert told["athena_ids"] == ["audit-silver"]
    assert told["reasons"] == {"audit_silver": WHY}
    assert told["under_way"] == ["create_tables"]


class Pushed:
    def __init__(self) -> None:
        self.pushed: dict[str, str] = {}

    def xcom_push(self, key: str, value: str) -> None:
        self.pushed[key] = value


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (KeyError("price"), {REASON: "KeyError: 'price'"}),
        ("heartbeat timeout", {REASON: "heartbeat timeout"}),
        (ValueError("x" * 2 * LONGEST), {REASON: f"ValueError: {'x' * LONGEST}"[:LONGEST]}),
        # Whoever then asked for an XCom to be written would never be answered.
        (None, {}),
    ],
)
def test_a_failed_task_s_error_is_kept(error: Any, kept: dict[str, str]) -> None:
    ti = Pushed()
    given: Any = {"ti": ti} | ({"exception": error} if error else {})
    keep_reason(given)
    assert ti.pushed == kept
