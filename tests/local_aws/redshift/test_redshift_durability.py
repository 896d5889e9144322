"""What a warehouse holds when its process is killed, or stopped, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.server import Server

SERVICES = ["s3", "glue", "logs", "redshift-data", "redshift-serverless"]
PROGRAM = """
import sys, time
from pathlib import Path
from local_aws.instance import Config
from local_aws.server import Server
server = Server(Config(state=Path(sys.argv[1])), services=[
    "s3", "glue", "logs", "redshift-data", "redshift-serverless"])
server.start()
print(server.endpoint_url, flush=True)
sys.stdin.readline()
server.stop()
"""
WHERE = {"WorkgroupName": "w-group", "Database": "dev"}


@contextmanager
def process(state: Path) -> Iterator[tuple[Any, subprocess.Popen[str]]]:
    """``(client, process)`` of an embedded AWS in a process of its own."""
    root = Path(__file__).parents[3]
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(state)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert child.stdout is not None
    endpoint = child.stdout.readline().strip()
    try:
        yield client_of(endpoint), child
    finally:
        if child.poll() is None:
            child.communicate("\n", timeout=30)


@contextmanager
def here(state: Path) -> Iterator[Any]:
    """A client factory of an embedded AWS in this process."""
    with Server(Config(state=state), services=SERVICES) as server:
        yield client_of(server.endpoint_url)


def client_of(endpoint: str) -> Any:
    return lambda service: boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def run(data: Any, sql: str) -> dict[str, Any]:
    made = data.execute_statement(Sql=sql, **WHERE)
    return data.describe_statement(Id=made["Id"])


def rows(data: Any, identifier: str) -> list[Any]:
    found = data.get_statement_result(Id=identifier)["Records"]
    return [tuple(next(iter(field.values())) for field in row) for row in found]


@pytest.mark.slow
def test_killed_and_stopped(tmp_path: Path) -> None:
    with process(tmp_path) as (client, child):
        serverless, data = client("redshift-serverless"), client("redshift-data")
        serverless.create_namespace(namespaceName="n-space", dbName="dev")
        serverless.create_workgroup(
            workgroupName="w-group", namespaceName="n-space", baseCapacity=16,
            tags=[{"key": "team", "value": "data"}],
        )  # fmt: skip
        for sql in (
            "create schema s",
            "create table s.t (id bigint identity(1, 1), v varchar(9) default 'q')",
            "insert into s.t (v) values ('a'), ('b')",
            "create view s.v as select * from s.t",
        ):
            assert run(data, sql)["Status"] == "FINISHED"
        done = run(data, "select * from s.v order by 1")
        slow = "select count(*) from svv_columns a, svv_columns b, svv_columns c, svv_columns d"
        for table in range(20):
            run(data, f"create table s.t{table} (a int, b int, c int, d int, e int)")
        running = data.execute_statement(Sql=f"{slow}, svv_columns e", **WHERE)
        batch = data.batch_execute_statement(
            Sqls=["insert into s.t (v) values ('lost')", f"{slow}, svv_columns e"], **WHERE
        )
        time.sleep(0.5)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with here(tmp_path) as client:
        serverless, data = client("redshift-serverless"), client("redshift-data")
        found = serverless.get_workgroup(workgroupName="w-group")["workgroup"]
        assert (found["status"], found["baseCapacity"]) == ("AVAILABLE", 16)
        assert rows(data, done["Id"]) == [(1, "a"), (2, "b")]
        lost = data.describe_statement(Id=running["Id"])
        assert lost["Status"] == "FAILED"
        assert "connection" in lost["Error"]
        lost = data.describe_statement(Id=batch["Id"])
        assert [sub["Status"] for sub in lost["SubStatements"]] == ["FINISHED", "ABORTED"]
        assert run(data, "insert into s.t (v) values (default)")["Status"] == "FINISHED"
        again = run(data, "select * from s.v order by 1")
        assert [row[1] for row in rows(data, again["Id"])] == ["a", "b", "q"]
        assert run(data, "insert into s.t values (1, 'x')")["Status"] == "FAILED"
    with here(tmp_path) as client:
        data = client("redshift-data")
        assert run(data, "select * from s.v")["ResultRows"] == 3


def test_namespaces_and_workgroups(tmp_path: Path) -> None:
    with here(tmp_path) as client:
        api = client("redshift-serverless")
        role = "arn:aws:iam::123456789012:role/warehouse"
        made = api.create_namespace(
            namespaceName="n-space", iamRoles=[role], defaultIamRoleArn=role, dbName="dev",
            manageAdminPassword=True,
        )["namespace"]  # fmt: skip
        assert made["status"] == "AVAILABLE"
        assert made["adminPasswordSecretArn"].startswith("arn:aws:secretsmanager:")
        group = api.create_workgroup(
            workgroupName="w-group", namespaceName="n-space", baseCapacity=8,
            publiclyAccessible=False, tags=[{"key": "team", "value": "data"}],
        )["workgroup"]  # fmt: skip
        assert group["endpoint"]["port"] == 5439
        arn = group["workgroupArn"]
        api.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "b"}])
        api.untag_resource(resourceArn=arn, tagKeys=["team"])
        assert api.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "a", "value": "b"}]
        assert api.get_credentials(workgroupName="w-group")["dbUser"] == "IAM:root"
        api.update_workgroup(workgroupName="w-group", baseCapacity=32)
        assert api.list_workgroups()["workgroups"][0]["baseCapacity"] == 32
        for call, code in (
            (lambda: api.create_workgroup(workgroupName="w-group", namespaceName="n-space"),
             "ConflictException"),
            (lambda: api.update_workgroup(workgroupName="w-group", baseCapacity=9),
             "ValidationException"),
            (lambda: api.delete_namespace(namespaceName="n-space"), "ConflictException"),
            (lambda: api.get_workgroup(workgroupName="other"), "ResourceNotFoundException"),
            (lambda: api.list_snapshots(), "NotImplemented"),
        ):  # fmt: skip
            with pytest.raises(ClientError) as caught:
                call()
            assert caught.value.response["Error"]["Code"] == code
        data = client("redshift-data")
        run(data, "create table gone (a int)")
        api.delete_workgroup(workgroupName="w-group")
        api.create_workgroup(workgroupName="w-group", namespaceName="n-space")
        assert run(data, "select * from gone")["Status"] == "FINISHED"
        api.delete_workgroup(workgroupName="w-group")
        api.delete_namespace(namespaceName="n-space")
        api.create_namespace(namespaceName="n-space")
        api.create_workgroup(workgroupName="w-group", namespaceName="n-space")
        assert run(data, "select * from gone")["Status"] == "FAILED"
