"""A disk that is full when something ends: its end is written down later, and who waits sees it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local_aws.instance import Config
from local_aws.server import Server

ENDS: dict[str, Callable[[Any], bool]] = {
    "athena/execution": lambda it: it["QueryExecution"]["Status"]["State"] == "SUCCEEDED",
    "glue/crawler": lambda it: it["State"] == "READY" and "LastCrawl" in it,
    "glue/job_run": lambda it: it["JobRunState"] == "SUCCEEDED",
    "redshift-data/statement": lambda it: it["Status"] == "FINISHED",
}
SERVICES = ["s3", "logs", "glue", "athena", "redshift-data", "redshift-serverless"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"), wait_seconds=10)
    with Server(config, services=SERVICES) as running:
        yield running


@pytest.fixture
def failures(server: Server, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ends, by kind, that could not be written: of each the first two tries."""
    failed: list[str] = []
    put = server.aws.store.put

    def full(kind: str, key: str, document: dict[str, Any]) -> None:
        if kind in ENDS and ENDS[kind](document) and failed.count(kind) < 2:
            failed.append(kind)
            raise sqlite3.OperationalError("database or disk is full")
        put(kind, key, document)

    monkeypatch.setattr("local_aws.instance.RETRY_SECONDS", 0.05)
    monkeypatch.setattr(server.aws.store, "put", full)
    return failed


def test_a_query_ends(client: Callable[[str], Any], failures: list[str]) -> None:
    client("s3").create_bucket(Bucket="results")
    athena = client("athena")
    key = athena.start_query_execution(
        QueryString="select 1", ResultConfiguration={"OutputLocation": "s3://results/"}
    )["QueryExecutionId"]
    found = athena.get_query_execution(QueryExecutionId=key)["QueryExecution"]
    assert found["Status"]["State"] == "SUCCEEDED"
    assert failures == ["athena/execution"] * 2


def test_a_crawl_ends(client: Callable[[str], Any], failures: list[str]) -> None:
    client("s3").create_bucket(Bucket="crawled")
    client("s3").put_object(Bucket="crawled", Key="t/a.json", Body=json.dumps({"a": 1}).encode())
    glue = client("glue")
    glue.create_database(DatabaseInput={"Name": "crawled"})
    targets = {"S3Targets": [{"Path": "s3://crawled/t/"}]}
    glue.create_crawler(Name="c", Role="glue", DatabaseName="crawled", Targets=targets)
    glue.start_crawler(Name="c")
    crawler = glue.get_crawler(Name="c")["Crawler"]
    assert (crawler["State"], crawler["LastCrawl"]["Status"]) == ("READY", "SUCCEEDED")
    assert failures == ["glue/crawler"] * 2


def test_a_job_run_ends_and_the_next_one_can_start(
    client: Callable[[str], Any], failures: list[str]
) -> None:
    client("s3").create_bucket(Bucket="artifacts")
    client("s3").put_object(Bucket="artifacts", Key="shell.py", Body=b"print(1)")
    glue = client("glue")
    command = {"Name": "pythonshell", "ScriptLocation": "s3://artifacts/shell.py"}
    glue.create_job(Name="shell", Role="glue", Command=command, MaxCapacity=0.0625)
    for _ in range(2):
        run_id = glue.start_job_run(JobName="shell")["JobRunId"]
        run = glue.get_job_run(JobName="shell", RunId=run_id)["JobRun"]
        assert run["JobRunState"] == "SUCCEEDED"
    assert failures == ["glue/job_run"] * 2


def test_a_statement_ends(client: Callable[[str], Any], failures: list[str]) -> None:
    serverless = client("redshift-serverless")
    serverless.create_namespace(namespaceName="night", dbName="dev")
    serverless.create_workgroup(workgroupName="night", namespaceName="night", baseCapacity=8)
    data = client("redshift-data")
    made = data.execute_statement(Sql="select 1", WorkgroupName="night", Database="dev")
    assert data.describe_statement(Id=made["Id"])["Status"] == "FINISHED"
    assert failures == ["redshift-data/statement"] * 2
