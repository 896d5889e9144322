"""Published gold tables into the warehouse, for every DAG that changes what is published."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator
from airflow.providers.amazon.aws.transfers.s3_to_redshift import S3ToRedshiftOperator

from madrugada import defaults
from madrugada.publishing import published_key
from madrugada.settings import settings

FACTS = ("processed_sales", "wide_vendas")
MARTS = ("vendas_por_produto", "vendas_por_cidade_mes")
TABLES = (*FACTS, *MARTS)

MACROS = {"published_key": published_key}
"""What the loads' templates call; the DAG must have it among its `user_defined_macros`."""


def load(published: Any) -> Any:
    """COPY each published table into `sales_schema`, one transaction and one mapped task a table.

    :param published: a task's output: a list of ``{"table", "upsert_keys"}``.
    """
    aws = settings()
    return S3ToRedshiftOperator.partial(
        task_id="load_warehouse",
        map_index_template="{{ task.table }}",
        s3_bucket=aws.bucket("gold"),
        # What is published when the task runs: cleared after a newer night, it loads that one's.
        s3_key="{{ published_key('gold', task.table) }}",
        schema="sales_schema",
        copy_options=["format as parquet"],
        redshift_conn_id="aws_default",
        # Only for its role: without one the operator writes keys into the SQL text.
        aws_conn_id="redshift_copy_role",
        redshift_data_api_kwargs=aws.redshift,
        pool=defaults.WAREHOUSE_POOL,
    ).expand_kwargs(published.map(by_key_or_whole))


def by_key_or_whole(published: dict[str, Any]) -> dict[str, Any]:
    """How a published table is loaded: facts by key; a mart, whose keys can vanish, whole."""
    return {**published, "method": "UPSERT" if published["table"] in FACTS else "REPLACE"}


def prune() -> RedshiftDataOperator:
    """Take from the warehouse's facts what gold no longer has."""
    target: Any = settings().redshift
    return RedshiftDataOperator(
        task_id="prune_warehouse",
        sql=[f"redshift/prune/{table}.sql" for table in FACTS],
        **target,
    )
