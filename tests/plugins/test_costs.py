"""What a night costs: exact dollars, minimums, and what the services' APIs say of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from madrugada import costs
from madrugada.costs import (
    MB,
    Files,
    Line,
    PriceError,
    Prices,
    athena_line,
    bill,
    crawl_line,
    glue_run_line,
    lambda_lines,
    message_lines,
    periods,
    redshift_line,
    s3_lines,
    s3_requests,
)

NIGHT = datetime(2026, 10, 5, 6, 0, tzinfo=UTC)


@pytest.fixture
def prices() -> Prices:
    return Prices.newest("us-east-1")


def at(seconds: float) -> datetime:
    return NIGHT + timedelta(seconds=seconds)


# Prices


def test_every_price_says_its_unit_its_minimum_and_where_it_stands(prices: Prices) -> None:
    assert (prices.date, prices.region) == ("2026-10", "us-east-1")
    assert prices.path.name == "2026-10-us-east-1.yaml"
    found = yaml.safe_load(prices.path.read_text())
    for name, price in found["prices"].items():
        assert isinstance(price["dollars"], str), f"{name}: quoted, so that it stays decimal"
        assert Decimal(price["dollars"]) > 0
        assert price["per"], name
        assert price["minimum"] > 0, name
        assert price["minimum_unit"], name
        assert price["source"].startswith("https://aws.amazon.com/"), name


def test_the_newest_file_of_the_region_is_taken(prices: Prices, tmp_path: Path) -> None:
    for month in ("2026-11", "2027-02", "2026-12"):
        text = prices.path.read_text().replace('"2026-10"', f'"{month}"')
        (tmp_path / f"{month}-us-east-1.yaml").write_text(text)
    assert Prices.newest("us-east-1", tmp_path).date == "2027-02"


def test_a_region_without_prices_says_which_file_to_write() -> None:
    with pytest.raises(PriceError, match=r"include/prices/<YYYY-MM>-sa-east-1\.yaml"):
        Prices.newest("sa-east-1")


# Glue


def glue_run(seconds: int, **more: Any) -> dict[str, Any]:
    return {
        "JobName": "job",
        "ExecutionTime": seconds,
        "WorkerType": "G.1X",
        "NumberOfWorkers": 2,
        **more,
    }


@pytest.mark.parametrize(
    ("run", "dpu_seconds", "dollars", "minimum"),
    [
        # 14 s are charged as 60: 60 s x 2 DPU x 0.44 / 3600
        (glue_run(14), 120, Decimal("52.8") / 3600, True),
        (glue_run(60), 120, Decimal("52.8") / 3600, False),
        (glue_run(61), 122, Decimal("53.68") / 3600, False),
        # An hour on ten G.2X is 20 DPU-hours
        (glue_run(3600, WorkerType="G.2X", NumberOfWorkers=10), 72000, Decimal("8.80"), False),
        (glue_run(30, WorkerType="G.025X"), 30, Decimal("13.2") / 3600, True),
        (glue_run(90, WorkerType=None, MaxCapacity=5.0), 450, Decimal("0.055"), False),
        # One that scales by itself used less than all its workers' time, or next to nothing
        (glue_run(600, NumberOfWorkers=10, DPUSeconds=1800.0), 1800, Decimal("0.22"), False),
        (glue_run(20, NumberOfWorkers=10, DPUSeconds=40.0), 600, Decimal("264") / 3600, True),
        # Stopped before it had workers
        (glue_run(0), 0, Decimal(0), False),
    ],
)
def test_a_glue_run(
    prices: Prices, run: dict[str, Any], dpu_seconds: int, dollars: Decimal, minimum: bool
) -> None:
    line = glue_run_line(prices, run)
    assert line.quantity == dpu_seconds
    assert line.unit == "DPU-seconds"
    assert line.dollars == dollars
    assert line.minimum == ("60 seconds a run" if minimum else "")


def test_what_has_no_price_is_refused(prices: Prices) -> None:
    with pytest.raises(PriceError, match=r"R\.8X.*expected one of.*G\.1X"):
        glue_run_line(prices, glue_run(60, WorkerType="R.8X"))
    with pytest.raises(PriceError, match="FLEX"):
        glue_run_line(prices, glue_run(60, ExecutionClass="FLEX"))


@pytest.mark.parametrize(
    ("dpu_hours", "dpu_seconds", "minimum"),
    [(0.004, 1200, "600 seconds a crawl"), (1.0, 3600, ""), (None, 1200, "600 seconds a crawl")],
)
def test_a_crawl_is_ten_minutes_at_least(
    prices: Prices, dpu_hours: float | None, dpu_seconds: int, minimum: str
) -> None:
    crawl = {"StartTime": at(0), "EndTime": at(7)}
    if dpu_hours is not None:
        crawl["DPUHour"] = dpu_hours  # type: ignore[assignment]
    line = crawl_line(prices, "bronze", crawl)
    assert line.quantity == dpu_seconds
    assert line.dollars == dpu_seconds * Decimal("0.44") / 3600
    assert line.minimum == minimum


# Athena


def query(scanned: int, kind: str = "DML", state: str = "SUCCEEDED") -> dict[str, Any]:
    return {
        "StatementType": kind,
        "Status": {"State": state},
        "Statistics": {"DataScannedInBytes": scanned},
    }


@pytest.mark.parametrize(
    ("scanned", "charged"),
    [(0, 10), (1, 10), (10 * MB, 10), (10 * MB + 1, 11), (25 * MB, 25), (2**40, 2**20)],
)
def test_a_query_is_charged_by_the_whole_mb_and_ten_at_least(
    prices: Prices, scanned: int, charged: int
) -> None:
    line = athena_line(prices, [query(scanned)])
    assert line.quantity == charged
    assert line.dollars == Decimal(5) * charged / 2**20


def test_each_query_has_its_own_minimum(prices: Prices) -> None:
    line = athena_line(prices, [query(100), query(200), query(12 * MB)])
    assert line.quantity == 10 + 10 + 12
    assert line.minimum == "10 MB a query, and whole MB above (2 of 3)"
    assert f"{12 * MB + 300:,} bytes" in line.measured


def test_ddl_and_failed_queries_are_free_and_cancelled_ones_are_not(prices: Prices) -> None:
    free = [query(50 * MB, kind="DDL"), query(50 * MB, state="FAILED")]
    assert athena_line(prices, free).dollars == 0
    assert athena_line(prices, [query(50 * MB, state="CANCELLED")]).quantity == 50


# Redshift


def statement(start: float, seconds: float, **more: Any) -> dict[str, Any]:
    return {"UpdatedAt": at(start + seconds), "Duration": int(seconds * 1e9), **more}


@pytest.mark.parametrize(
    ("intervals", "merged"),
    [
        ([], []),
        ([(0, 5)], [(0, 5)]),
        # One begins while the other runs, whatever order they are told in
        ([(50, 100), (0, 70)], [(0, 100)]),
        # One begins in the minute that is charged in any case, and runs over its end
        ([(0, 5), (55, 80)], [(0, 80)]),
        ([(0, 5), (60, 61)], [(0, 61)]),
        # After it, a new period begins
        ([(0, 5), (61, 62)], [(0, 5), (61, 62)]),
        # The minute counts from the period's beginning, not from each statement
        ([(0, 5), (50, 55), (62, 63)], [(0, 55), (62, 63)]),
        # One inside another does not shorten it
        ([(0, 300), (10, 20), (299, 301)], [(0, 301)]),
    ],
)
def test_periods_of_activity(intervals: list[Any], merged: list[Any]) -> None:
    found = periods([(at(a), at(b)) for a, b in intervals], timedelta(seconds=60))
    assert found == [(at(a), at(b)) for a, b in merged]


@pytest.mark.parametrize(
    ("statements", "seconds"),
    [
        ([], 0),
        ([statement(0, 2)], 60),
        ([statement(0, 2), statement(30, 2), statement(58, 1)], 60),
        ([statement(0, 2), statement(120, 2)], 120),
        ([statement(0, 90)], 90),
        ([statement(0, 90.2)], 91),
        # Failed ones ran too; one that never ran did not
        ([statement(0, 70, Status="FAILED"), {"UpdatedAt": at(500), "Duration": -1}], 70),
    ],
)
def test_redshift_by_its_periods(
    prices: Prices, statements: list[dict[str, Any]], seconds: int
) -> None:
    line = redshift_line(prices, statements, 8)
    assert line.quantity == seconds * 8
    assert line.dollars == seconds * 8 * Decimal("0.375") / 3600


def test_a_batch_that_does_not_say_how_long_is_as_long_as_its_statements(prices: Prices) -> None:
    batch = {
        "UpdatedAt": at(100),
        "Duration": -1,
        "SubStatements": [{"Duration": int(40e9)}, {"Duration": int(35e9)}, {"Duration": -1}],
    }
    assert redshift_line(prices, [batch], 4).quantity == 75 * 4


# Lambda, messages, S3

REPORT = (
    "REPORT RequestId: 1f\tDuration: 499.20 ms\tBilled Duration: {} ms\tMemory Size: {} MB"
    "\tMax Memory Used: 90 MB\t"
)


def test_lambda_by_the_lines_of_its_log(prices: Prices) -> None:
    requests, duration = lambda_lines(prices, [REPORT.format(500, 512)], events=0)
    assert (requests.quantity, requests.dollars) == (1, Decimal("0.0000002"))
    assert duration.quantity == Decimal("0.25")
    assert duration.dollars == Decimal("0.25") * Decimal("0.0000166667")
    assert not requests.estimate
    assert not duration.estimate


def test_events_before_the_run_are_taken_to_be_as_long_and_called_an_estimate(
    prices: Prices,
) -> None:
    lines = [REPORT.format(500, 512), REPORT.format(1500, 512)]
    requests, duration = lambda_lines(prices, lines, events=7)
    assert requests.quantity == 9
    assert duration.quantity == 1 + 7 * Decimal("0.5")
    assert requests.estimate
    assert duration.estimate


def test_messages(prices: Prices) -> None:
    sns, sqs = message_lines(prices, 2)
    assert sns.dollars == Decimal("0.000001")
    assert sqs.dollars == Decimal("0.0000008")


def test_a_file_is_read_with_two_requests_and_one_more_every_64_mb() -> None:
    assert Files(3, 1000).gets == 6
    assert Files(1, 200 * MB).gets == 2 + 3


def test_s3_requests_are_estimated_from_files_as_the_docstring_says(prices: Prices) -> None:
    writes, reads = s3_requests(
        delivered=Files(7, 7000),
        silver=Files(7, 7000),
        gold=Files(4, 4000),
        tables=12,
        queries=6,
        questions=4,
    )
    assert writes == (3 * 7 + 7 + 4 + 12 + 3 + 2 * 6) + (12 * 6 + 2 * 7)
    assert reads == 4 * 14 + 5 * 14 + 11 * 8
    put, get = s3_lines(prices, writes, reads)
    assert put.dollars == writes * Decimal("0.005") / 1000
    assert get.dollars == reads * Decimal("0.0004") / 1000
    assert put.estimate
    assert get.estimate


def test_a_bill_adds_up_before_it_rounds_and_names_its_prices(prices: Prices) -> None:
    third = Line("a", Decimal(1), "x", Decimal(1) / 3)
    found = bill(prices, [third, third, third])
    assert found["total"] == 1.0
    assert found["prices"] == "2026-10-us-east-1.yaml"
    assert found["prices_of"] == "2026-10"
    assert found["lines"][0]["dollars"] == 0.333333333


# What the services say, as boto3 gives it


def test_the_glue_runs_of_a_dag_run_are_those_that_carry_its_id(aws: Any) -> None:
    glue = aws("glue")
    glue.create_job(Name="job", Role="r", Command={"Name": "glueetl", "ScriptLocation": "s3://a/b"})
    ours = [
        glue.start_job_run(JobName="job", Arguments={costs.RUN_ARGUMENT: "night 5"})["JobRunId"]
        for _ in range(2)
    ]
    glue.start_job_run(JobName="job", Arguments={costs.RUN_ARGUMENT: "night 6"})
    glue.start_job_run(JobName="job")
    found = costs.job_runs("job", "night 5", ours[0], datetime.now(UTC) - timedelta(hours=1))
    assert sorted(run["Id"] for run in found) == sorted(ours)


class Fake:
    """A client whose answers are given; its paginator gives one page each."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**given: Any) -> Any:
            self.asked.append((operation, given))
            answer = self.answers[operation]
            return answer(**given) if callable(answer) else answer

        return call


def test_the_crawl_of_a_night_is_the_newest_that_had_ended_before_silver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crawls = [
        {"CrawlId": "later", "StartTime": at(500), "EndTime": at(510)},
        {"CrawlId": "going", "StartTime": at(95)},
        {"CrawlId": "ours", "StartTime": at(50), "EndTime": at(60)},
        {"CrawlId": "older", "StartTime": at(0), "EndTime": at(9)},
    ]

    def pages(**given: Any) -> dict[str, Any]:
        if "NextToken" not in given:
            return {"Crawls": crawls[:1], "NextToken": "more"}
        return {"Crawls": crawls[1:]}

    fake = Fake(list_crawls=pages)
    monkeypatch.setattr(costs, "client", {"glue": fake}.__getitem__)
    found = costs.crawl_before("bronze", at(100))
    assert found is not None
    assert found["CrawlId"] == "ours"
    assert costs.crawl_before("bronze", at(5)) is None


class Namespace:
    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)
