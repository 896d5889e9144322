"""Published tables into the warehouse, for every DAG that changes what is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.providers.amazon.aws.operators.redshift_data import RedshiftDataOperator
from airflow.providers.amazon.aws.transfers.s3_to_redshift import S3ToRedshiftOperator

from madrugada import defaults
from madrugada.publishing import published_key
from madrugada.settings import settings

LOAD_MACROS = {"published_key": published_key}
"""What the loads' templates call; the DAG must have it among its `user_defined_macros`."""


@dataclass(frozen=True)
class Warehouse:
    """A pipeline's tables in Redshift: one `schema`, each table named as gold's.

    `facts` are loaded by key and pruned of what gold no longer has; `marts`, whose keys can vanish,
    are loaded whole.
    """

    schema: str
    facts: tuple[str, ...]
    marts: tuple[str, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        return (*self.facts, *self.marts)

    def load(self, published: Any) -> Any:
        """COPY each published table into the schema, one transaction and one mapped task a table.

        :param published: a task's output: a list of ``{"table", "upsert_keys"}``.
        """
        aws = settings()
        return S3ToRedshiftOperator.partial(
            task_id="load_warehouse",
            map_index_template="{{ task.table }}",
            s3_bucket=aws.bucket("gold"),
            # What is published when the task runs: cleared after a newer night, that one's.
            s3_key="{{ published_key('gold', task.table) }}",
            schema=self.schema,
            copy_options=["format as parquet"],
            redshift_conn_id="aws_default",
            # Only for its role: without one the operator writes keys into the SQL text.
            aws_conn_id="redshift_copy_role",
            redshift_data_api_kwargs=aws.redshift,
            pool=defaults.WAREHOUSE_POOL,
        ).expand_kwargs(published.map(self.by_key_or_whole))

    def by_key_or_whole(self, published: dict[str, Any]) -> dict[str, Any]:
        """How a published table is loaded: the arguments of the operator that depend on it."""
        return {**published, "method": "UPSERT" if published["table"] in self.facts else "REPLACE"}

    def prune(self) -> RedshiftDataOperator:
        """Take from the facts what gold no longer has (`redshift/prune/<table>.sql`)."""
        target: Any = settings().redshift
        return RedshiftDataOperator(
            task_id="prune_warehouse",
            sql=[f"redshift/prune/{table}.sql" for table in self.facts],
            **target,
        )


def create_external_schema(name: str, layer: str) -> RedshiftDataOperator:
    """Show the published tables of `silver` or `gold` to Spectrum as the schema `name`.

    A task of its own: external DDL cannot run inside the transaction that a batch is.
    """
    aws = settings()
    target: Any = aws.redshift
    return RedshiftDataOperator(
        task_id="create_external_schema",
        sql="redshift/schema/create_external_schema.sql",
        params={"schema": name, "glue_database": aws.database(layer), "role": aws.role("redshift")},
        **target,
    )
