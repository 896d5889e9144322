"""Days of events through the scheduler, in any order and again, and what their asset sets off."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from include.sample_data.events import Options
from include.sample_data.generate import generate
from tests.e2e.conftest import Stack
from tests.include.clickstream import raw_lines, reference

DAG = "clickstream_nightly"
JOB = "madrugada-clickstream-to-silver"
OPTIONS = Options(
    count=1500, first_day=date(2026, 3, 2), days=2, duplicates=0.02, broken=0.005, late=0.05
)
MODELS = ("sessions", "conversions", "funnel_by_day")


def built(stack: Stack) -> dict[str, list[list[str]]]:
    return {model: sorted(stack.redshift(f"select * from clickstream.{model}")) for model in MODELS}


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_days_in_any_order_and_again_and_what_follows_when_sales_are_there_too(
    stack: Stack, tmp_path: Path
) -> None:
    arrived = raw_lines.arrivals(OPTIONS, days_late=0.02)
    days = sorted({one.day for one in arrived})
    s3 = stack.client("s3")
    for key, body in raw_lines.objects(arrived, most_lines=400).items():
        s3.put_object(Bucket=stack.settings.bucket("bronze"), Key=key, Body=body)

    runs = {}
    for day in reversed(days):
        runs[day], good = stack.night(day.isoformat(), DAG)
        assert good, day
    events = raw_lines.silver(arrived)
    sessions = reference.sessions(events)
    conversions = reference.conversions(sessions)
    assert stack.athena("select count(*) from madrugada_silver.events") == [[str(len(events))]]
    assert stack.redshift("select count(*), sum(events) from clickstream.sessions") == [
        [str(len(sessions)), str(sum(one["events"] for one in sessions))]
    ]
    assert stack.redshift("select count(*) from clickstream.conversions") == [
        [str(len(conversions))]
    ]

    # Cleared, the first day's work is done again, and the tables are the same.
    before, submitted = built(stack), stack.glue_runs(JOB)
    stack.clear(runs[days[0]], dag=DAG)
    assert stack.watch(runs[days[0]], DAG)
    assert stack.glue_runs(JOB) == submitted + 1
    assert built(stack) == before

    # One source alone sets nothing off; both do, once.
    joined = "/dags/campaign_days/dagRuns"
    assert stack.airflow.get(joined)["total_entries"] == 0
    # Older than what other tests deliver: a newer one's rows would hide theirs.
    generate(tmp_path / "sales", 1000)
    assert stack.deliver(tmp_path / "sales", "2025-12-01").returncode == 0
    assert stack.night("2025-12-01")[1]
    until = time.monotonic() + 120
    while not (found := stack.airflow.get(joined)["dag_runs"]) and time.monotonic() < until:
        time.sleep(1)
    (run,) = found
    assert stack.watch(run["dag_run_id"], "campaign_days")
    assert stack.redshift("select sum(conversions) from sales_schema.campaign_days") == [
        [str(len(conversions))]
    ]
