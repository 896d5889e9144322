"""The Amazon provider's operators and hook, as they are, against the embedded Redshift."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from tests.local_aws.redshift.conftest import Warehouse

KWARGS = {"workgroup_name": "madrugada", "database": "dev", "poll_interval": 1}


@pytest.fixture
def airflow(redshift: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    extra = {"region_name": "us-east-1", "endpoint_url": redshift.server.endpoint_url}
    connection = {"conn_type": "aws", "login": "test", "password": "test", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    role = {**extra, "role_arn": "arn:aws:iam::123456789012:role/warehouse"}
    monkeypatch.setenv("AIRFLOW_CONN_COPY_ROLE", json.dumps({**connection, "extra": role}))


@pytest.fixture(scope="module")
def gold(redshift: Warehouse, client: Callable[[str], Any], tmp_path_factory: Any) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="gold")
    path = tmp_path_factory.mktemp("gold") / "1.parquet"
    duckdb.connect().execute(
        f"copy (select 2::int as id, 'new' as v union all select 3, 'added') to '{path}'"
        " (format parquet)"
    )
    s3.put_object(Bucket="gold", Key="t/1.parquet", Body=path.read_bytes())
    redshift.ok("create schema ops")
    redshift.ok("create table ops.t (id int not null, v varchar(9), primary key (id))")


def load(method: str, key: str = "t/", **more: Any) -> None:
    from airflow.providers.amazon.aws.transfers.s3_to_redshift import S3ToRedshiftOperator

    S3ToRedshiftOperator(
        task_id="load",
        schema="ops",
        table="t",
        s3_bucket="gold",
        s3_key=key,
        redshift_conn_id="aws_default",
        aws_conn_id="copy_role",
        copy_options=["FORMAT AS PARQUET"],
        method=method,
        redshift_data_api_kwargs=KWARGS,
        **more,
    ).execute({})


def test_loads_by_key(redshift: Warehouse, airflow: None, gold: None) -> None:
    redshift.ok("insert into ops.t values (1, 'kept'), (2, 'old')")
    for _ in range(2):
        load("UPSERT", upsert_keys=["id"])
        assert redshift.rows("select * from ops.t order by 1") == [
            (1, "kept"),
            (2, "new"),
            (3, "added"),
        ]
    load("REPLACE")
    assert redshift.rows("select * from ops.t order by 1") == [(2, "new"), (3, "added")]
    load("APPEND")
    assert redshift.value("select count(*) from ops.t") == 4


@pytest.mark.parametrize(
    "how", [{"method": "UPSERT", "upsert_keys": ["id"]}, {"method": "REPLACE"}]
)
def test_a_load_that_fails_leaves_the_table_as_it_was(
    redshift: Warehouse,
    airflow: None,
    gold: None,
    client: Callable[[str], Any],
    tmp_path: Path,
    how: dict[str, Any],
) -> None:
    """What it has deleted by then is there again: a value that does not fit stops it."""
    from airflow.providers.amazon.aws.hooks.redshift_data import RedshiftDataQueryFailedError

    path = tmp_path / "1.parquet"
    rows = "select 2::int as id, 'new' as v union all select 4, 'far too long'"
    duckdb.connect().execute(f"copy ({rows}) to '{path}' (format parquet)")
    client("s3").put_object(Bucket="gold", Key="bad/1.parquet", Body=path.read_bytes())
    redshift.ok("truncate ops.t")
    redshift.ok("insert into ops.t values (1, 'kept'), (2, 'old')")
    with pytest.raises(RedshiftDataQueryFailedError):
        load(key="bad/", **how)
    assert redshift.rows("select * from ops.t order by 1") == [(1, "kept"), (2, "old")]


def test_without_upsert_keys_the_providers_own_query_fails(airflow: None, gold: None) -> None:
    """It does not quote the names it looks up, which Redshift reads as columns."""
    from airflow.providers.amazon.aws.hooks.redshift_data import RedshiftDataQueryFailedError

    with pytest.raises(RedshiftDataQueryFailedError, match='column "ops" does not exist'):
        load("UPSERT")


def test_runs_statements(redshift: Warehouse, airflow: None, gold: None) -> None:
    from airflow.providers.amazon.aws.hooks.redshift_data import (
        RedshiftDataHook,
        RedshiftDataQueryFailedError,
    )

    hook = RedshiftDataHook(aws_conn_id="aws_default", region_name="us-east-1")
    made = hook.execute_query(
        sql="create temp table x as select 5 as a", session_keep_alive_seconds=30, **KWARGS
    )
    assert made.session_id is not None
    again = hook.execute_query(
        sql="select a + :n as b from x", session_id=made.session_id, poll_interval=1,
        parameters=[{"name": "n", "value": "2"}],
    )  # fmt: skip
    assert redshift.result(again.statement_id) == [(7,)]
    with pytest.raises(RedshiftDataQueryFailedError, match="Query #2 failed"):
        hook.execute_query(sql=["select 1", "select * from nope"], **KWARGS)
