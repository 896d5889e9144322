"""What a night costs on AWS, in dollars, from what the services' own APIs say of it.

The prices are in one dated file for each region, ``include/prices/<YYYY-MM>-<region>.yaml``. Every
line says its quantity, its unit and the minimum that was applied. Quantities come from GetJobRuns,
ListCrawls, GetQueryExecution, ListStatements, DescribeStatement, GetWorkgroup and the function's
own log; the number of S3 requests is an estimate, because S3 tells no one what a run asked of it
(`s3_requests` says how it is estimated).

Left out: what is paid by the month whatever a night does (storage, Airflow itself), CloudWatch,
requests to the Data Catalog (a million a month are free), and Redshift's managed storage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import yaml

from madrugada.clients import client
from madrugada.settings import settings

FOLDER = Path(__file__).resolve().parents[2] / "include" / "prices"
RUN_ARGUMENT = "--airflow_run_id"
"""The argument by which a Glue job run says which run of a DAG started it; jobs ignore it."""

HOUR = Decimal(3600)
THOUSAND = Decimal(1000)
MILLION = Decimal(1_000_000)
MB = 2**20
TB_IN_MB = Decimal(2**20)
READ_AT_ONCE = 64 * MB
LEFT_OUT = "storage, Airflow itself, CloudWatch, Data Catalog requests"

Interval = tuple[datetime, datetime]


class PriceError(ValueError):
    """Something has no price; the message says what, and where to write it."""


@dataclass(frozen=True)
class Line:
    """One line of the bill.

    Attributes:
        quantity, unit: what is charged, with the minimum applied.
        minimum: the minimum that was applied, in words; empty when there was more than that.
        measured: what was used in truth.
        estimate: no API tells the quantity.
    """

    what: str
    quantity: Decimal
    unit: str
    dollars: Decimal
    minimum: str = ""
    measured: str = ""
    estimate: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "quantity": float(round(self.quantity, 6)),
            "unit": self.unit,
            "minimum_applied": self.minimum,
            "measured": self.measured,
            "estimate": self.estimate,
            "dollars": float(round(self.dollars, 9)),
        }


class Prices:
    """One region's prices at one date."""

    def __init__(self, path: Path) -> None:
        found = yaml.safe_load(path.read_text())
        self.path = path
        self.date: str = found["date"]
        self.region: str = found["region"]
        self._prices: Mapping[str, Mapping[str, Any]] = found["prices"]
        self._dpus: Mapping[str, str] = found["worker_dpus"]
        self.crawler_dpus = Decimal(found["crawler_dpus"])

    @classmethod
    def newest(cls, region: str, folder: Path | None = None) -> Prices:
        """The newest price file of a region.

        Raises:
            PriceError: the region has none.
        """
        files = sorted((folder or FOLDER).glob(f"[0-9][0-9][0-9][0-9]-[0-9][0-9]-{region}.yaml"))
        if not files:
            raise PriceError(
                f"no prices for {region}: write include/prices/<YYYY-MM>-{region}.yaml,"
                " with the entries of include/prices/2026-10-us-east-1.yaml"
            )
        return cls(files[-1])

    def dollars(self, name: str) -> Decimal:
        return Decimal(self._prices[name]["dollars"])

    def minimum(self, name: str) -> int:
        return int(self._prices[name]["minimum"])

    def unit(self, name: str) -> str:
        return str(self._prices[name]["minimum_unit"])

    def dpus(self, run: Mapping[str, Any]) -> Decimal:
        """DPUs of a Glue job run: workers times what one of them is."""
        if run.get("ExecutionClass") == "FLEX":
            raise PriceError(f"{self.path.name} has no price for Glue runs of the class FLEX")
        worker = run.get("WorkerType")
        if not worker:
            return Decimal(str(run["MaxCapacity"]))
        if worker not in self._dpus:
            raise PriceError(
                f"worker type {worker} has no DPUs in include/prices/{self.path.name}:"
                f" expected one of {', '.join(self._dpus)}"
            )
        return Decimal(self._dpus[worker]) * int(run["NumberOfWorkers"])


def glue_run_line(prices: Prices, run: Mapping[str, Any]) -> Line:
    """One Glue job run (of GetJobRuns): its seconds, at least a minute, times its DPUs.

    A run that scales by itself says its DPU-seconds; the others, all their workers' time.
    """
    seconds, least = int(run["ExecutionTime"]), prices.minimum("glue_job")
    dpus = prices.dpus(run)
    used = Decimal(str(run["DPUSeconds"])) if run.get("DPUSeconds") else seconds * dpus
    # A run that never got its workers is not charged.
    charged = max(used, least * dpus) if seconds else Decimal(0)
    return Line(
        f"Glue {run['JobName']}",
        charged,
        "DPU-seconds",
        charged * prices.dollars("glue_job") / HOUR,
        f"{least} {prices.unit('glue_job')}" if charged > used else "",
        f"{seconds} s on {dpus.normalize():f} DPU",
    )


def crawl_line(prices: Prices, crawler: str, crawl: Mapping[str, Any]) -> Line:
    """One crawl (of ListCrawls): the DPU-hours that it says, at least ten minutes of two DPUs."""
    least = prices.minimum("glue_crawler") * prices.crawler_dpus
    used = Decimal(str(crawl.get("DPUHour", 0))) * HOUR
    charged = max(used, least)
    seconds = (crawl["EndTime"] - crawl["StartTime"]).total_seconds()
    return Line(
        f"Glue crawler {crawler}",
        charged,
        "DPU-seconds",
        charged * prices.dollars("glue_crawler") / HOUR,
        f"{prices.minimum('glue_crawler')} {prices.unit('glue_crawler')}" if charged > used else "",
        f"{seconds:.0f} s",
    )


def athena_line(prices: Prices, queries: Iterable[Mapping[str, Any]]) -> Line:
    """Athena queries (of GetQueryExecution): whole MB scanned, at least ten a query.

    DDL and queries that failed are free. A TB has 2**20 MB.
    """
    least = prices.minimum("athena")
    scanned, charged, count, raised = 0, 0, 0, 0
    for query in queries:
        size = int(query.get("Statistics", {}).get("DataScannedInBytes", 0))
        if query.get("StatementType") == "DDL" or query["Status"]["State"] == "FAILED":
            continue
        whole = -(-size // MB)
        scanned, count = scanned + size, count + 1
        charged, raised = charged + max(whole, least), raised + (whole < least)
    return Line(
        "Athena",
        Decimal(charged),
        "MB scanned",
        charged * prices.dollars("athena") / TB_IN_MB,
        f"{least} {prices.unit('athena')} ({raised} of {count})" if raised else "",
        f"{count} queries, {scanned:,} bytes",
    )


def periods(intervals: Iterable[Interval], least: timedelta) -> list[Interval]:
    """Redshift Serverless' periods of activity: statements that are charged together.

    A period begins with a statement. Another one belongs to it when it begins while one of them
    runs, or within the minimum that the period is charged for in any case; the period then lasts
    until the end of the last one. So the minimum is charged once for each period, and a pause
    inside the minimum is charged as time. Idle time after the period is free.
    """
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= max(merged[-1][1], merged[-1][0] + least):
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def statement_interval(statement: Mapping[str, Any]) -> Interval | None:
    """When a Data API statement (of DescribeStatement) ran; nothing when it never did.

    The API says how long (nanoseconds) and when it was last changed, which is its end. A batch
    that does not say how long is as long as its statements together.
    """
    took = int(statement.get("Duration", -1))
    if took <= 0:
        parts = statement.get("SubStatements", ())
        took = sum(max(int(part.get("Duration", -1)), 0) for part in parts)
    if took <= 0:
        return None
    end: datetime = statement["UpdatedAt"]
    return end - timedelta(microseconds=took / 1000), end


def redshift_line(
    prices: Prices, statements: Iterable[Mapping[str, Any]], base_capacity: int
) -> Line:
    """Redshift Serverless: each period of activity, at least a minute, times the base capacity.

    Whatever a workgroup scales up by is not seen here. Spectrum is in the RPUs' price.
    """
    name = "redshift_serverless"
    least = Decimal(prices.minimum(name))
    ran = [i for statement in statements if (i := statement_interval(statement)) is not None]
    lengths = [
        Decimal(str((end - start).total_seconds()))
        for start, end in periods(ran, timedelta(seconds=int(least)))
    ]
    used = sum(lengths, Decimal(0))
    # Whole seconds, and so is a started one.
    charged = sum((max(s.to_integral_value(ROUND_CEILING), least) for s in lengths), Decimal(0))
    raised = sum(1 for seconds in lengths if seconds < least)
    return Line(
        "Redshift Serverless",
        charged * base_capacity,
        "RPU-seconds",
        charged * base_capacity * prices.dollars(name) / HOUR,
        f"{least} {prices.unit(name)} ({raised} of {len(lengths)})" if raised else "",
        f"{len(ran)} statements, {used:.1f} s on {base_capacity} RPU",
    )


def dbt_lines(prices: Prices, seconds: Sequence[float], base_capacity: int) -> list[Line]:
    """Redshift Serverless while dbt works: an estimate, and rather too much than too little.

    What dbt asks comes by PostgreSQL's protocol, under no name of the run's; so each of its tasks
    is charged as if Redshift had worked as long as the task (seconds), side by side or not.
    """
    if not seconds:
        return []
    charged = sum((Decimal(str(s)).to_integral_value(ROUND_CEILING) for s in seconds), Decimal(0))
    return [
        Line(
            "Redshift Serverless, for dbt",
            charged * base_capacity,
            "RPU-seconds",
            charged * base_capacity * prices.dollars("redshift_serverless") / HOUR,
            measured=f"{len(seconds)} tasks, {sum(seconds):.1f} s on {base_capacity} RPU",
            estimate=True,
        )
    ]


_BILLED = re.compile(r"Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB")


def lambda_lines(prices: Prices, reports: Sequence[str], events: int) -> list[Line]:
    """The function's invocations, by the REPORT lines of its log.

    Args:
        reports: the lines of the invocations since the run began; runs side by side count each
            other's, for a line does not say who called.
        events: invocations before that, by events of delivered files. They are taken to have been
            as long as those in `reports` on the average, which makes the lines estimates.
    """
    billed = [(int(found[1]), int(found[2])) for line in reports if (found := _BILLED.search(line))]
    ours = sum((Decimal(ms) / 1000 * mb / 1024 for ms, mb in billed), Decimal(0))
    each = ours / len(billed) if billed else Decimal(0)
    requests, gb_seconds = len(billed) + events, ours + each * events
    said = f"{len(billed)} since the run began, {events} by events before it"
    return [
        Line(
            "Lambda requests",
            Decimal(requests),
            "requests",
            requests * prices.dollars("lambda_request") / MILLION,
            measured=said,
            estimate=events > 0,
        ),
        Line(
            "Lambda duration",
            gb_seconds,
            "GB-seconds",
            gb_seconds * prices.dollars("lambda_duration"),
            measured=said,
            estimate=events > 0,
        ),
    ]


def message_lines(prices: Prices, messages: int) -> list[Line]:
    """Messages that the run publishes; each is also sent to the queue that keeps them."""
    return [
        Line(what, Decimal(messages), "requests", messages * prices.dollars(name) / MILLION)
        for what, name in (("SNS", "sns"), ("SQS", "sqs"))
    ]


@dataclass(frozen=True)
class Files:
    """Some files of one place: how many, and their bytes together."""

    count: int
    bytes: int

    @property
    def gets(self) -> int:
        """GET requests to read them once: two a file (its end, its body), one more every 64 MB."""
        return 2 * self.count + self.bytes // READ_AT_ONCE


def s3_requests(
    delivered: Files, silver: Files, gold: Files, tables: int, queries: int, questions: int
) -> tuple[int, int]:
    """About how many S3 requests a night makes: ``(PUT, COPY and LIST; GET)``.

    Nothing tells it of one run, so it is worked out from the files that were read and written, as a
    night of sales does it; for the others, which land, crawl or COPY less, it is rather too much:

    * written: a PUT to landing, a COPY to bronze and a manifest's PUT for each delivered file;
      a PUT for each Parquet file and for the folder marker of each table; a PUT for each of the
      three reports; two PUTs for each Athena query (its result and that one's metadata);
    * listed: a LIST for each table by each of its readers and its writer, and two for each
      delivered file (the crawler's);
    * read, each once: delivered files by the function, the crawler, the job and the audit; silver
      files by the job itself, as what it merges into (as many as it wrote), by its audit, by gold's
      job and gold's audit; gold files by the job itself, by its audit, by COPY, and by Athena and
      Spectrum for each question.

    Args:
        tables: tables written, silver and gold together.
        queries: Athena queries of the run.
        questions: questions that Athena and Spectrum were both asked.
    """
    silver_readers, gold_readers = 5, 3 + 2 * questions
    puts = 3 * delivered.count + silver.count + gold.count + tables + 3 + 2 * queries
    lists = tables * (1 + max(silver_readers, 3)) + 2 * delivered.count
    gets = 4 * delivered.gets + silver_readers * silver.gets + gold_readers * gold.gets
    return puts + lists, gets


def s3_lines(prices: Prices, writes: int, reads: int) -> list[Line]:
    return [
        Line(
            "S3 PUT, COPY, LIST",
            Decimal(writes),
            "requests",
            writes * prices.dollars("s3_write") / THOUSAND,
            estimate=True,
        ),
        Line(
            "S3 GET",
            Decimal(reads),
            "requests",
            reads * prices.dollars("s3_read") / THOUSAND,
            estimate=True,
        ),
    ]


def bill(prices: Prices, lines: Sequence[Line], left_out: str = "") -> dict[str, Any]:
    """The cost section of a report: prices' date, lines, total (dollars, not rounded before).

    Args:
        left_out: what is left out of this pipeline's bill beside `LEFT_OUT`.
    """
    return {
        "prices": prices.path.name,
        "prices_of": prices.date,
        "region": prices.region,
        "currency": "USD",
        "lines": [line.as_json() for line in lines],
        "total": float(round(sum((line.dollars for line in lines), Decimal(0)), 6)),
        "left_out": f"{LEFT_OUT}, {left_out}" if left_out else LEFT_OUT,
    }


# What the services say of one run


def job_runs(job: str, run_id: str, version: str | None, started: datetime) -> list[dict[str, Any]]:
    """Every Glue run of a job that one run of a DAG started, failed tries too, newest first.

    Args:
        run_id: the DAG run, which the Glue run has as argument `RUN_ARGUMENT`.
        version: the Glue run that gave the DAG run its tables, if there is one. When the DAG run
            was cleared in part it can have started before `started`; whatever ran in between is
            found too.
    """
    conn = client("glue")
    since = started
    if version is not None:
        ours = conn.get_job_run(JobName=job, RunId=version)["JobRun"]
        since = min(started, ours["StartedOn"])
    found: list[dict[str, Any]] = []
    for page in conn.get_paginator("get_job_runs").paginate(JobName=job):
        for run in page["JobRuns"]:
            if run["StartedOn"] < since:
                return found
            if run["Id"] == version or run.get("Arguments", {}).get(RUN_ARGUMENT) == run_id:
                found.append(run)
    return found


def crawl_before(crawler: str, moment: datetime) -> dict[str, Any] | None:
    """The newest crawl that had ended then.

    When several runs of DAGs crawl side by side it may be another run's, which found the same
    files; each of them is charged one crawl.
    """
    conn = client("glue")
    token: dict[str, str] = {}
    while True:
        page = conn.list_crawls(CrawlerName=crawler, MaxResults=100, **token)
        for crawl in page["Crawls"]:
            if crawl.get("EndTime") is not None and crawl["EndTime"] <= moment:
                return dict(crawl)
        if not page.get("NextToken"):
            return None
        token = {"NextToken": page["NextToken"]}


def athena_queries(ids: Iterable[str]) -> list[dict[str, Any]]:
    """What Athena says of each query."""
    conn = client("athena")
    return [conn.get_query_execution(QueryExecutionId=one)["QueryExecution"] for one in ids]


def redshift_statements(name: str) -> list[dict[str, Any]]:
    """Every Data API statement or batch whose name begins so; the API knows them for 24 hours."""
    conn = client("redshift-data")
    pages = conn.get_paginator("list_statements").paginate(StatementName=name, Status="ALL")
    listed = [one for page in pages for one in page["Statements"]]
    described = [conn.describe_statement(Id=one["Id"]) for one in listed]
    return [
        {**told, "StatementName": one.get("StatementName", "")}
        for one, told in zip(listed, described, strict=True)
    ]


def base_capacity() -> int:
    """RPUs of the workgroup."""
    conn = client("redshift-serverless")
    found = conn.get_workgroup(workgroupName=settings().redshift_workgroup)["workgroup"]
    return int(found["baseCapacity"])


def lambda_reports(function: str, since: datetime) -> list[str]:
    """The REPORT lines that a function's invocations have written since then, other runs' too."""
    conn = client("logs")
    pages = conn.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{function}",
        startTime=int(since.timestamp() * 1000),
        filterPattern='"REPORT RequestId"',
    )
    return [event["message"] for page in pages for event in page["events"]]
