"""The night's report: whole in the gold bucket, as tables in the log, in short for people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError

from madrugada import costs, report
from madrugada.reconciliation import Answer, normalised
from madrugada.report import (
    Run,
    Used,
    delivered_files,
    job_report,
    reconcile_night,
)
from madrugada.report_text import table
from madrugada.settings import Settings
from tests.plugins.report.conftest import GOLD, NIGHT, RUN, START, USED, VERSIONS, silver

LAYERS = {"processed_sales: rows": "processed_sales: rows"}
AUDITS = {"silver": "audit-silver", "gold": "audit-gold"}
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "audit-silver": [
        ("sales_data: rows in bronze, as delivered", 12, 12),
        ("sales_data: rows in the table", 30, 30),
        ("produtos: rows in bronze, as delivered", 10, 10),
        ("produtos: rows in the table", 10, 10),
    ],
    "audit-gold": [("processed_sales: rows", 30, 30)],
    **{f"{engine}1": [("processed_sales", 30)] for engine in "ars"},
    **{f"{engine}2": [("Mouse", "110.00"), ("Webcam", "50")] for engine in "ars"},
}
COLUMNS = {"1": ("table_name", "total"), "2": ("product", "total_value")}
QUESTIONS = ["rows_by_table", "total_by_product"]
ANSWERS = {"Athena": ["a1", "a2"], "Redshift": ["r1", "r2"], "Spectrum": ["s1", "s2"]}


def reconcile(
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, list[str]] = ANSWERS,
    published: str = VERSIONS["gold"],
    **rows: list[tuple[Any, ...]],
) -> str:
    """Reconcile the night; `rows` stand in for what one query (by its id) gives."""
    given = {**ROWS, **{name.replace("_", "-"): found for name, found in rows.items()}}

    def answer(engine: str, query_id: str) -> Answer:
        return Answer(engine, normalised(given[query_id]), COLUMNS.get(query_id[-1], ()))

    monkeypatch.setattr(report, "athena_answer", lambda query_id: answer("Athena", query_id))
    monkeypatch.setattr(report, "redshift_answer", answer)
    monkeypatch.setattr(
        report,
        "audit_checks",
        lambda query_id: {row[0]: (row[1], row[2]) for row in answer("Athena", query_id).rows},
    )
    return reconcile_night(
        RUN,
        NIGHT,
        VERSIONS,
        USED,
        AUDITS,
        QUESTIONS,
        answers,
        LAYERS,
        {"processed_sales": published},
    )


KEY = "_reports/sales_nightly/2026-01-05/jr_gold.json"


def written(buckets: Any, names: Settings) -> dict[str, Any]:
    found = buckets.get_object(Bucket=names.bucket("gold"), Key=KEY)
    return dict(json.loads(found["Body"].read()))


def test_a_job_s_report_is_read_from_its_layer(buckets: Any) -> None:
    assert job_report("silver", "jr_silver") == silver()
    assert job_report("gold", "jr_gold") == GOLD


def test_the_whole_report_of_a_night_that_is_well(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(monkeypatch)
    whole = written(buckets, names)
    assert whole["run_id"] == RUN.run_id
    assert whole["versions"] == VERSIONS
    assert whole["datasets"]["sales_data"] == {
        "delivered": 12, "kept": 10, "superseded": 1, "inserted": 7, "updated": 2,
        "quarantined": {"price_required": 2}, "warned": {},
        "new_columns": [], "missing_columns": [],
        "published_rows": 30, "delivered_bytes": 480, "delivered_files": 1, "published_bytes": 3000,
        "published_files": 1, "seconds": 1.5,
    }  # fmt: skip
    assert whole["datasets"]["produtos"]["restored"] == 1
    assert whole["datasets"]["produtos"]["new_columns"] == ["cor"]
    assert whole["datasets"]["produtos"]["missing_columns"] == ["peso"]
    assert whole["gold"] == {
        "processed_sales": {"rows": 30, "files": 1, "bytes": 900, "seconds": 0.7}
    }
    assert whole["differences"] == []
    assert {line["verdict"] for line in whole["figures"]} == {"equal"}
    assert whole["figures"][0] == {
        "figure": "sales_data: rows delivered = kept + quarantined", "bronze": "12",
        "silver": "12", "gold": None, "athena": "12", "spectrum": None, "redshift": None,
        "verdict": "equal",
    }  # fmt: skip
    assert whole["answers"]["total_by_product"]["Spectrum"] == [["Mouse", "110"], ["Webcam", "50"]]


def test_a_night_cleared_in_part_is_compared_with_what_was_published_since(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = {"tables": {"processed_sales": {**GOLD["tables"]["processed_sales"], "rows": 31}}}
    buckets.put("gold", "_reports/jr_newer.json", newer)
    now = {f"{engine}1": [("processed_sales", 31)] for engine in "ars"}
    text = reconcile(monkeypatch, published="jr_newer", **now)
    assert "Published since by another run, and compared as it is now: gold jr_newer." in text
    whole = written(buckets, names)
    assert whole["published_since"] == {"processed_sales": "jr_newer"}
    rows = next(one for one in whole["figures"] if one["figure"] == "processed_sales: rows")
    assert (rows["silver"], rows["gold"], rows["redshift"]) == (None, "31", "31")
    with pytest.raises(AirflowFailException, match="gold 31, Athena 31, Spectrum 31, Redshift 30"):
        reconcile(monkeypatch, published="jr_newer", **{**now, "r1": [("processed_sales", 30)]})


def test_durations_of_the_tasks_and_of_what_they_called(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconcile(monkeypatch)
    durations = written(buckets, names)["durations"]
    assert durations["tasks"] == [
        {"task": "load[1]", "state": "success", "seconds": 3.0},
        {"task": "plan_night", "state": "success", "seconds": 1.3},
    ]
    assert [(run["run"], run["seconds"]) for run in durations["glue"]] == [
        ("jr_silver", 14), ("jr_failed", 90), ("jr_gold", 20),
    ]  # fmt: skip
    assert durations["crawler"] == 8
    assert [query["query"] for query in durations["athena"]] == [*AUDITS.values(), "a1", "a2"]
    assert durations["athena"][0]["seconds"] == 1.5
    assert durations["redshift"] == [{"statement": "load", "id": "st1", "seconds": 2.0}]


def test_the_cost_to_the_cent_of_a_cent(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = reconcile(monkeypatch)
    cost = written(buckets, names)["cost"]
    lines = [(line["what"], line["quantity"], line["dollars"]) for line in cost["lines"][:6]]
    assert lines == [
        ("Glue to-silver", 120, 0.014666667),  # 14 s: a minute of 2 DPU
        ("Glue to-silver", 180, 0.022),  # the failed try, 90 s of 2 DPU
        ("Glue to-gold", 120, 0.014666667),
        ("Glue crawler madrugada-bronze", 1200, 0.146666667),  # ten minutes of 2 DPU
        ("Athena", 40, 0.000190735),  # four queries of 10 MB
        ("Redshift Serverless", 480, 0.05),  # a minute of 8 RPU
    ]
    assert cost["prices"] == "2026-10-us-east-1.yaml"
    assert cost["total"] == pytest.approx(sum(line["dollars"] for line in cost["lines"]), abs=1e-6)
    assert "Cost on AWS: $0.24" in text
    assert "prices of 2026-10, us-east-1" in text


def test_a_cost_that_cannot_be_worked_out_is_said_and_fails_nothing(
    buckets: Any,
    told: dict[str, dict[str, Any]],
    names: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetWorkgroup")

    told["redshift-serverless"]["get_workgroup"] = denied
    assert "Cost on AWS: not worked out. ClientError: An error occurred (AccessDenied)" in (
        reconcile(monkeypatch)
    )
    assert set(written(buckets, names)["cost"]) == {"error"}


def test_a_region_without_prices_is_said(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "FOLDER", costs.FOLDER / "none")
    assert "not worked out. PriceError: no prices for us-east-1" in reconcile(monkeypatch)


def test_the_log_has_tables_of_figures_tasks_and_cost(
    buckets: Any,
    told: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="madrugada.report")
    reconcile(monkeypatch)
    lines = [" ".join(line.split()) for line in caplog.messages]
    for line in (
        "sales_data 12 10 - 1 2 7 2 - 30 3000 1.5 price_required 2",
        "produtos 10 10 - 0 0 10 0 1 10 1000 0.5"
        " flagged: valor_maximum 1 | new columns: cor | missing columns: peso",
        "processed_sales 30 1 900 0.7",
        "figure bronze silver gold Athena Spectrum Redshift verdict",
        "produtos: rows delivered = kept + quarantined 10 10 - 10 - - equal",
        "processed_sales: rows - 30 30 30 30 30 equal",
        "total_by_product: total_value - - - 160 160 160 equal",
        "load[1] success 3.0",
        "Glue to-silver 120 DPU-seconds 0.0146667 14 s on 2 DPU 60 seconds a run",
    ):
        assert line in lines


def test_the_short_text_is_for_people(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [" ".join(line.split()) for line in reconcile(monkeypatch).splitlines()]
    assert lines[0] == "sales_nightly 2026-01-05"
    assert "sales_data 12 10 2 30 price_required 2" in lines
    assert "processed_sales 30" in lines
    assert "7 of 7 figures are equal in bronze, silver, gold, Athena, Spectrum, Redshift." in lines
    assert lines[-1] == f"Whole report: s3://{names.bucket('gold')}/{KEY}"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"s2": [("Mouse", "111"), ("Webcam", "50")]}, "total_by_product: total_value: .*1 more"),
        # Rows that swap their values have the same sums
        ({"r2": [("Mouse", "50"), ("Webcam", "110")]}, "total_by_product: Athena and Redshift"),
        ({"r1": [("processed_sales", 29)]}, r"processed_sales: rows: .*Redshift 1 less"),
        ({"audit_gold": [("processed_sales: rows", 31, 30)]}, r"processed_sales: rows: silver 31"),
        (
            {"audit_silver": [(ROWS["audit-silver"][0][0], 12, 11), *ROWS["audit-silver"][1:]]},
            r"sales_data: rows delivered = kept \+ quarantined: .*Athena 1 less",
        ),
    ],
)
def test_a_difference_fails_the_night_after_the_report_is_written(
    buckets: Any,
    told: Any,
    names: Settings,
    monkeypatch: pytest.MonkeyPatch,
    rows: dict[str, Any],
    expected: str,
) -> None:
    with pytest.raises(AirflowFailException, match=expected):
        reconcile(monkeypatch, **rows)
    assert len(written(buckets, names)["differences"]) >= 1


def test_a_row_that_the_job_lost_fails_the_night_whatever_the_job_says(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job says `delivered` as the manifest has it, and its parts do not add up to it."""
    buckets.put("silver", "_reports/jr_silver.json", silver(kept=9))
    with pytest.raises(AirflowFailException, match=r"sales_data.*bronze 12, silver 11, Athena 12"):
        reconcile(monkeypatch)


def test_an_engine_that_was_not_asked_everything_fails_the_night(
    buckets: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match="Redshift was asked 1 questions"):
        reconcile(monkeypatch, answers={**ANSWERS, "Redshift": ["r1"]})


def test_an_audit_without_its_counts_fails_the_night_and_is_named(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match="no check 'sales_data: rows in bronze"):
        reconcile(monkeypatch, audit_silver=[("something else", 1, 1)])
    report = written(buckets, names)
    assert "no check 'sales_data: rows in bronze" in report["differences"][0]
    assert report["figures"] == []


def test_columns_of_a_table_stand_under_one_another() -> None:
    assert table(("name", "rows"), [("a", 5), ("long name", 12345), ("c", None)]) == (
        "name        rows\na              5\nlong name  12345\nc              -"
    )


DAY = {
    "delivery_date": "2026-01-05",
    "manifest_keys": ["_manifests/clickstream/2026-01-05.json"],
}
OBJECTS = [
    {"dataset": "events", "key": f"clickstream/events/{n}.gz", "rows": None, "bytes": 100}
    for n in range(3)
]


def test_a_stream_s_objects_are_one_delivery_of_unknown_rows(buckets: Any) -> None:
    buckets.put("bronze", DAY["manifest_keys"][0], {"files": OBJECTS})
    found = delivered_files(DAY["manifest_keys"])
    assert found == {"events": {"rows": None, "bytes": 300, "files": 3}}


def test_a_night_without_gold_whose_models_dbt_builds(
    buckets: Any, told: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets.put("bronze", DAY["manifest_keys"][0], {"files": OBJECTS})
    events = silver()["datasets"]["sales_data"] | {"duplicates": 3, "delivered": 15}
    buckets.put("silver", "_reports/jr_silver.json", {"datasets": {"events": events}})
    rows: dict[str, list[tuple[Any, ...]]] = {
        "audit-silver": [
            ("events: rows in bronze, as delivered", 15, 15),
            ("events: rows in the table", 30, 30),
        ],
        **{f"{engine}1": [("sessions", 4)] for engine in "ars"},
    }

    def answer(engine: str, query_id: str) -> Answer:
        return Answer(engine, normalised(rows[query_id]), ("figure", "total"))

    monkeypatch.setattr(report, "athena_answer", lambda query_id: answer("Athena", query_id))
    monkeypatch.setattr(report, "redshift_answer", answer)
    monkeypatch.setattr(
        report,
        "audit_checks",
        lambda query_id: {row[0]: (row[1], row[2]) for row in answer("Athena", query_id).rows},
    )
    tasks = [
        {"task_id": "build_sessions", "map_index": -1, "state": "success", "duration": 3.2,
         "operator": "DbtBuildLocalOperator"},
        {"task_id": "build_silver", "map_index": -1, "state": "success", "duration": 9.0,
         "operator": "ReattachingGlueJobOperator"},
    ]  # fmt: skip
    text = reconcile_night(
        Run("clickstream_nightly", RUN.run_id, START, tasks),
        DAY,
        {"silver": "jr_silver"},
        Used(
            jobs={"silver": "to-silver"},
            crawler="madrugada-clickstream",
            function="madrugada-close-day",
            calls_by_events=False,
            left_out="the stream",
        ),
        {"silver": "audit-silver"},
        ["totals"],
        {"Athena": ["a1"], "Redshift": ["r1"], "Spectrum": ["s1"]},
    )
    key = "_reports/clickstream_nightly/2026-01-05/jr_silver.json"
    found = buckets.get_object(Bucket=names.bucket("gold"), Key=key)
    whole = json.loads(found["Body"].read())
    assert whole["datasets"]["events"]["delivered_files"] == 3
    assert whole["gold"] == {}
    assert [figure["verdict"] for figure in whole["figures"]] == ["equal"] * 3
    dbt = [line for line in whole["cost"]["lines"] if "dbt" in line["what"]]
    # 3.2 s count as 4, on the 8 RPUs of the workgroup.
    assert [(line["quantity"], line["estimate"]) for line in dbt] == [(32.0, True)]
    assert dbt[0]["dollars"] == pytest.approx(32 * 0.375 / 3600)
    assert whole["cost"]["left_out"].endswith("Data Catalog requests, the stream")
    assert "3 of 3 figures are equal in silver, Athena, Spectrum, Redshift." in text
    assert "gold table" not in text
