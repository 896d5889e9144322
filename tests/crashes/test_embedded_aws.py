"""The embedded AWS is killed while clients write: what it acknowledged is there, and whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, time
from pathlib import Path
from local_aws.instance import Config
from local_aws.server import Server

services = ["s3", "logs", "glue", "redshift-data", "redshift-serverless"]
server = Server(Config(state=Path(sys.argv[1])), services=services)
server.start()
print(server.endpoint_url, flush=True)
time.sleep(600)
"""
WHERE = {"WorkgroupName": "work-group", "Database": "dev"}
SEEDS = range(1, 1 + int(os.environ.get("CRASH_SEEDS", "1")))
"""One in the ordinary suite; ``make test-crashes`` takes more."""

COPIES = 100_000
ROWS = 2_000


class Aws:
    """A running embedded AWS: its process, and clients that do not try again."""

    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(state)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        self.endpoint = self.process.stdout.readline().strip()

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=BotoConfig(retries={"total_max_attempts": 1}),
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(state: Path) -> Iterator[Aws]:
    aws = Aws(state)
    try:
        yield aws
    finally:
        aws.kill()


def content(number: int) -> bytes:
    return f"{number:08d}".encode() * COPIES


def table(number: int) -> dict[str, Any]:
    """A catalog table whose every part says which version it is."""
    return {
        "Name": "table",
        "Parameters": {"version": str(number)},
        "StorageDescriptor": {
            "Location": f"s3://data/table/{number}/",
            "Columns": [{"Name": f"column_{number}", "Type": "string"}],
        },
    }


def put_object(aws: Aws) -> Callable[[int], None]:
    s3 = aws.client("s3")

    def step(number: int) -> None:
        s3.put_object(Bucket="data", Key="folder/object", Body=content(number))

    return step


def update_table(aws: Aws) -> Callable[[int], None]:
    glue = aws.client("glue")

    def step(number: int) -> None:
        glue.update_table(DatabaseName="database", TableInput=table(number))

    return step


def copy(aws: Aws) -> Callable[[int], None]:
    """A load as the night does it: what is there goes and the new comes, in one batch."""
    s3, data = aws.client("s3"), aws.client("redshift-data")

    def step(number: int) -> None:
        key = f"loads/{number}.csv"
        s3.put_object(Bucket="data", Key=key, Body=f"{number}\n".encode() * ROWS)
        sqls = ["delete from loaded", f"copy loaded from 's3://data/{key}' iam_role default csv"]
        made = data.batch_execute_statement(Sqls=sqls, **WHERE)
        done = data.describe_statement(Id=made["Id"])
        if done["Status"] != "FINISHED":
            raise AssertionError(done)

    return step


def crawl(aws: Aws) -> Callable[[int], None]:
    glue = aws.client("glue")

    def step(number: int) -> None:
        glue.start_crawler(Name="crawler")
        while glue.get_crawler(Name="crawler")["Crawler"]["State"] != "READY":
            time.sleep(0.05)

    return step


WORK = {"put": put_object, "update": update_table, "copy": copy, "crawl": crawl}


def set_up(aws: Aws) -> None:
    """What the steps need, and version 0 of everything."""
    aws.client("s3").create_bucket(Bucket="data")
    glue, serverless = aws.client("glue"), aws.client("redshift-serverless")
    glue.create_database(DatabaseInput={"Name": "database"})
    glue.create_table(DatabaseName="database", TableInput=table(0))
    serverless.create_namespace(namespaceName="name-space", dbName="dev")
    serverless.create_workgroup(workgroupName="work-group", namespaceName="name-space")
    value(aws, "create table loaded (number int)")
    glue.create_crawler(
        Name="crawler",
        Role="arn:aws:iam::123456789012:role/crawler",
        DatabaseName="database",
        Targets={"S3Targets": [{"Path": "s3://data/loads/"}]},
    )
    for name in ("put", "copy"):
        WORK[name](aws)(0)


def value(aws: Aws, sql: str) -> Any:
    """The first row of a query, when it has rows."""
    data = aws.client("redshift-data")
    made = data.execute_statement(Sql=sql, **WHERE)
    done = data.describe_statement(Id=made["Id"])
    assert done["Status"] == "FINISHED", done
    if not done.get("HasResultSet"):
        return None
    (row,) = data.get_statement_result(Id=made["Id"])["Records"]
    return tuple(next(iter(field.values())) for field in row)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_is_there_and_whole(tmp_path: Path, seed: int) -> None:
    done = dict.fromkeys(WORK, 0)
    problems: list[BaseException] = []
    killed = threading.Event()

    def work(name: str, step: Callable[[int], None]) -> None:
        while True:
            try:
                step(done[name] + 1)
            except (BotoCoreError, ClientError, AssertionError) as error:
                if not killed.is_set():
                    problems.append(error)
                return
            done[name] += 1

    with running(tmp_path) as aws:
        set_up(aws)
        threads = [
            threading.Thread(target=work, args=(name, make(aws)), daemon=True)
            for name, make in WORK.items()
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while min(done["put"], done["update"], done["copy"]) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(Random(seed).uniform(0, 0.6))  # noqa: S311 - to be repeated
        killed.set()
        aws.kill()
        for thread in threads:
            thread.join(60)
    assert problems == []
    assert min(done["put"], done["update"], done["copy"]) >= 2

    with running(tmp_path) as aws:
        s3, glue = aws.client("s3"), aws.client("glue")
        # The step that was cut off may have been done or not, and nothing between.
        got = s3.get_object(Bucket="data", Key="folder/object")
        body = got["Body"].read()
        assert body in (content(done["put"]), content(done["put"] + 1))
        assert got["ETag"] == f'"{md5(body, usedforsecurity=False).hexdigest()}"'
        listed = s3.list_objects_v2(Bucket="data", Prefix="folder/")["Contents"]
        assert [(one["Key"], one["Size"]) for one in listed] == [("folder/object", len(body))]

        found = glue.get_table(DatabaseName="database", Name="table")["Table"]
        version = int(found["Parameters"]["version"])
        assert version in (done["update"], done["update"] + 1)
        expected = table(version)["StorageDescriptor"]
        assert found["StorageDescriptor"]["Location"] == expected["Location"]
        assert found["StorageDescriptor"]["Columns"] == expected["Columns"]

        rows, first, last = value(aws, "select count(*), min(number), max(number) from loaded")
        assert (rows, first) == (ROWS, last)
        assert first in (done["copy"], done["copy"] + 1)
        statements = aws.client("redshift-data").list_statements(Status="ALL")["Statements"]
        assert {one["Status"] for one in statements} <= {"FINISHED", "FAILED", "ABORTED"}

        assert glue.get_crawler(Name="crawler")["Crawler"]["State"] == "READY"
        for name, make in WORK.items():
            make(aws)(done[name] + 2)
        last_crawl = glue.get_crawler(Name="crawler")["Crawler"]["LastCrawl"]
        assert last_crawl["Status"] == "SUCCEEDED", last_crawl
