"""Whichever answer of AWS is lost on the way, a task, tried again, leaves what it should once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.faults import LOST, Faults, Plan
from local_aws.instance import Config
from local_aws.server import Server
from madrugada.crawler import crawl
from madrugada.jobs import ReattachingGlueJobOperator
from madrugada.publishing import BASE, KEY, VERSION, PublishTablesOperator
from madrugada.staging import candidate

pytestmark = pytest.mark.slow

OLD, NEW = "jr_" + "1" * 64, "jr_" + "2" * 64
TABLES = ("sales", "totals")


class OneLost(Faults):
    """Loses the answer of one request to Glue, by its number."""

    def __init__(self, number: int) -> None:
        super().__init__(Plan(rate=0))
        self.number = number
        self.lost: list[int] = []
        self.count = 0
        self._counting = threading.Lock()

    def next(self, service: str) -> str | None:
        if service != "glue":
            return None
        with self._counting:
            self.count += 1
            if self.count != self.number:
                return None
            self.lost.append(self.count)
            return LOST


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"))
    with Server(config, services=["s3", "logs", "glue"]) as running:
        yield running


@pytest.fixture(autouse=True)
def reached(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's hooks reach this server, and do not wait before they try again."""
    for name, value in server.aws.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def glue(server: Server) -> Any:
    return boto3.client("glue", endpoint_url=server.endpoint_url, region_name="us-east-1")


def each_answer_lost(
    server: Server,
    before: Callable[[], None],
    task: Callable[[], Any],
    check: Callable[[], None],
    retries: int = 1,
) -> int:
    """Run a task once for each of its requests, that one's answer lost; how many there were.

    As Airflow does, a task that fails is tried again.
    """
    gateway: Any = server._http.wsgi_app
    number = 0
    while True:
        number += 1
        before()
        gateway.faults = faults = OneLost(number)
        try:
            try:
                task()
            except (ClientError, BotoCoreError):
                if not retries:
                    raise
                task()
        finally:
            gateway.faults = Faults()
        check()
        if not faults.lost:
            return number - 1


def table_input(name: str, version: str, base: str) -> dict[str, Any]:
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {VERSION: version, BASE: base, KEY: "id"},
        "StorageDescriptor": {
            "Columns": [{"Name": "id", "Type": "int"}],
            "Location": f"s3://gold/{name}/{version}",
        },
    }


@pytest.mark.parametrize("base", ["", OLD], ids=["first versions", "next versions"])
def test_publishing(server: Server, glue: Any, base: str) -> None:
    databases = ("madrugada_staging", "madrugada_gold")

    def before() -> None:
        for name in {one["Name"] for one in glue.get_databases()["DatabaseList"]} & {*databases}:
            glue.delete_database(Name=name)
        for name in databases:
            glue.create_database(DatabaseInput={"Name": name})
        for name in TABLES:
            staged = table_input(candidate("gold", name, NEW), NEW, base)
            glue.create_table(DatabaseName="madrugada_staging", TableInput=staged)
            if base:
                published = table_input(name, base, "")
                glue.create_table(DatabaseName="madrugada_gold", TableInput=published)

    def publish() -> Any:
        return PublishTablesOperator(
            task_id="publish_gold",
            layer="gold",
            database="madrugada_gold",
            staging_database="madrugada_staging",
            version=NEW,
        ).execute({})

    def check() -> None:
        found = glue.get_tables(DatabaseName="madrugada_gold")["TableList"]
        assert {one["Name"]: one["Parameters"][VERSION] for one in found} == dict.fromkeys(
            TABLES, NEW
        )

    # List the candidates, then look at each table and publish it.
    assert each_answer_lost(server, before, publish, check) == 1 + 2 * len(TABLES)


def test_crawling(server: Server, glue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("s3", endpoint_url=server.endpoint_url).create_bucket(Bucket="bronze")
    service: Any = server.aws.services["glue"]
    quick = service._crawl

    def slow(name: str) -> None:
        """As long as it takes a client to ask again."""
        time.sleep(0.5)
        quick(name)

    monkeypatch.setattr(service, "_crawl", slow)
    glue.create_database(DatabaseInput={"Name": "bronze"})
    glue.create_crawler(
        Name="crawler",
        Role="arn:aws:iam::123456789012:role/crawler",
        DatabaseName="bronze",
        Targets={"S3Targets": [{"Path": "s3://bronze/"}]},
    )
    task = crawl("crawler", task_id="crawl", poll_interval=1)

    def check() -> None:
        found = glue.get_crawler(Name="crawler")["Crawler"]
        assert (found["State"], found["LastCrawl"]["Status"]) == ("READY", "SUCCEEDED")

    # A retry 20 s later would meet the same crawl, which takes minutes on AWS: there must be none.
    count = each_answer_lost(server, lambda: None, lambda: task.execute({}), check, retries=0)
    assert count >= 2


def test_a_glue_job_is_run_once(server: Server, glue: Any) -> None:
    """Also when the answer that is lost is the one which says that it has begun."""
    s3 = boto3.client("s3", endpoint_url=server.endpoint_url)
    s3.create_bucket(Bucket="scripts")
    s3.put_object(Bucket="scripts", Key="job.py", Body=b"import time\ntime.sleep(1)\n")
    glue.create_job(
        Name="job",
        Role="arn:aws:iam::123456789012:role/glue",
        Command={"Name": "pythonshell", "ScriptLocation": "s3://scripts/job.py"},
        MaxCapacity=0.0625,
    )
    nights: list[str] = []

    def runs() -> list[dict[str, Any]]:
        found = glue.get_job_runs(JobName="job")["JobRuns"]
        return [run for run in found if run["Arguments"]["--airflow_run_id"] == nights[-1]]

    def night() -> str | None:
        operator = ReattachingGlueJobOperator(
            task_id="build",
            job_name="job",
            script_args={"--airflow_run_id": nights[-1]},
            run_argument="--airflow_run_id",
            durable=False,
        )
        ti = SimpleNamespace(try_number=1, xcom_push=lambda key, value: None, task=operator)
        context: Any = {"ti": ti, "task_instance": ti}
        return operator.execute(context)

    def check() -> None:
        assert [run["JobRunState"] for run in runs()] == ["SUCCEEDED"]

    before = lambda: nights.append(f"night {len(nights)}")  # noqa: E731
    assert each_answer_lost(server, before, night, check, retries=0) >= 3
