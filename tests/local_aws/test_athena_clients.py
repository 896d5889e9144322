"""Athena as its real clients use it: Airflow's hook and operator, and PyAthena."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from airflow.exceptions import AirflowException
from airflow.providers.amazon.aws.hooks.athena import AthenaHook
from airflow.providers.amazon.aws.operators.athena import AthenaOperator
from pyathena import connect
from pyathena.error import OperationalError

from local_aws.server import Server


@pytest.fixture
def clients(
    monkeypatch: pytest.MonkeyPatch, server: Server, client: Callable[[str], Any]
) -> Callable[[str], Any]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3 = client("s3")
    if not any(b["Name"] == "clients" for b in s3.list_buckets()["Buckets"]):
        s3.create_bucket(Bucket="clients")
        client("glue").create_database(DatabaseInput={"Name": "d"})
    return client


def test_the_operator(clients: Callable[[str], Any]) -> None:
    def run(query: str) -> str | None:
        return AthenaOperator(
            task_id="t",
            query=query,
            database="d",
            output_location="s3://clients/operator/",
            aws_conn_id=None,
        ).execute({})

    key = run("CREATE TABLE made AS SELECT 1 AS x")
    found = clients("athena").get_query_execution(QueryExecutionId=key)["QueryExecution"]
    assert found["SubstatementType"] == "CREATE_TABLE_AS_SELECT"
    with pytest.raises(AirflowException, match="COLUMN_NOT_FOUND"):
        run("SELECT nope FROM made")


def test_the_hook(clients: Callable[[str], Any]) -> None:
    hook = AthenaHook(aws_conn_id=None)
    key = hook.run_query(
        "SELECT 1 AS x", {"Database": "d"}, {"OutputLocation": "s3://clients/hook"}
    )
    assert hook.poll_query_status(key) == "SUCCEEDED"
    assert hook.get_output_location(key) == f"s3://clients/hook/{key}.csv"
    results = hook.get_query_results(key)
    assert results is not None
    assert results["ResultSet"]["Rows"][1]["Data"] == [{"VarCharValue": "1"}]
    pages = hook.get_query_results_paginator(key)
    assert pages is not None
    assert len(pages.build_full_result()["ResultSet"]["Rows"]) == 2


def test_pyathena(clients: Callable[[str], Any]) -> None:
    connection = connect(
        s3_staging_dir="s3://clients/pyathena/", region_name="us-east-1", schema_name="d"
    )
    cursor = connection.cursor()
    cursor.execute(
        "CREATE TABLE kinds AS SELECT 1 AS i, CAST('a' AS varchar) AS s, DECIMAL '1.50' AS d,"
        " TIMESTAMP '2024-01-01 10:00:00.5' AS ts, DATE '2024-01-01' AS dt, 1.5e0 AS f,"
        " true AS b, ARRAY[1, 2] AS l, X'61' AS bin, CAST(NULL AS double) AS n"
    )
    cursor.execute("SELECT * FROM kinds")
    assert cursor.description is not None
    assert [column[:2] for column in cursor.description][:4] == [
        ("i", "integer"),
        ("s", "varchar"),
        ("d", "decimal"),
        ("ts", "timestamp"),
    ]
    assert cursor.fetchall() == [
        (
            1,
            "a",
            Decimal("1.50"),
            datetime(2024, 1, 1, 10, 0, 0, 500000),
            date(2024, 1, 1),
            1.5,
            True,
            [1, 2],
            b"a",
            None,
        )
    ]
    cursor.execute("INSERT INTO kinds (i) VALUES (2)")
    assert cursor.rowcount == 1
    cursor.execute("SELECT count(*) FROM kinds WHERE i > ?", ["1"], paramstyle="qmark")
    assert cursor.fetchall() == [(1,)]
    cursor.execute("SHOW TABLES")
    assert ("kinds",) in cursor.fetchall()
    with pytest.raises(OperationalError, match="TABLE_NOT_FOUND"):
        cursor.execute("SELECT * FROM nope")
