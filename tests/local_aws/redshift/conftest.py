"""A warehouse for the Redshift tests, reached as a client reaches it: by the Data API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from local_aws.instance import Config
from local_aws.server import Server

SERVICES = ["s3", "glue", "logs", "redshift-data", "redshift-serverless"]


def make_client(server: Server, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class Warehouse:
    """The database dev of the workgroup madrugada."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.data = make_client(server, "redshift-data")
        self.where = {"WorkgroupName": "madrugada", "Database": "dev"}

    def create(self) -> None:
        serverless = make_client(self.server, "redshift-serverless")
        serverless.create_namespace(namespaceName="madrugada", dbName="dev")
        serverless.create_workgroup(
            workgroupName="madrugada", namespaceName="madrugada", baseCapacity=8
        )

    def run(self, sql: str, **more: Any) -> dict[str, Any]:
        """One statement; DescribeStatement's answer when it is over."""
        where = {} if "SessionId" in more else self.where
        made = self.data.execute_statement(Sql=sql, **where, **more)
        return self.data.describe_statement(Id=made["Id"])

    def ok(self, sql: str, **more: Any) -> dict[str, Any]:
        done = self.run(sql, **more)
        assert done["Status"] == "FINISHED", f"{sql}: {done.get('Error')}"
        return done

    def error(self, sql: str, **more: Any) -> str:
        done = self.run(sql, **more)
        assert done["Status"] == "FAILED", f"{sql} did not fail: {done}"
        return done["Error"]

    def batch(self, *sqls: str, **more: Any) -> dict[str, Any]:
        made = self.data.batch_execute_statement(Sqls=list(sqls), **self.where, **more)
        return self.data.describe_statement(Id=made["Id"])

    def rows(self, sql: str, **more: Any) -> list[tuple[Any, ...]]:
        """A query's rows; None for NULL."""
        done = self.ok(sql, **more)
        return self.result(done["Id"])

    def result(self, identifier: str) -> list[tuple[Any, ...]]:
        pages = self.data.get_paginator("get_statement_result").paginate(Id=identifier)
        return [
            tuple(None if "isNull" in field else next(iter(field.values())) for field in row)
            for page in pages
            for row in page["Records"]
        ]

    def value(self, sql: str, **more: Any) -> Any:
        ((value,),) = self.rows(sql, **more)
        return value

    def columns(self, sql: str) -> list[tuple[str, str, int, int]]:
        """``(name, type name, precision, scale)`` of a query's columns."""
        done = self.ok(sql)
        found = self.data.get_statement_result(Id=done["Id"])["ColumnMetadata"]
        return [(c["name"], c["typeName"], c["precision"], c["scale"]) for c in found]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"))
    with Server(config, services=SERVICES) as running:
        yield running


@pytest.fixture(scope="module")
def redshift(server: Server) -> Warehouse:
    warehouse = Warehouse(server)
    warehouse.create()
    return warehouse


@pytest.fixture(scope="module")
def client(server: Server) -> Callable[[str], Any]:
    return lambda service: make_client(server, service)
