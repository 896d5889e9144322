"""Typed settings from the environment: the only place where names of AWS resources are made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cache


@dataclass(frozen=True)
class Settings:
    """Names of what `infra/template.yaml` creates, for one project and environment.

    Attributes:
        prefix: what every bucket and role name begins with.
        region, account: where the topics are.
        delivery_patience: how long a night waits for its delivery before it fails.
        delivery_deadline: how long after it was queued somebody is called about a late delivery.
        turn_poke_seconds: how often a night that waits for its turn looks.
    """

    prefix: str
    region: str
    account: str
    delivery_patience: timedelta
    delivery_deadline: timedelta
    turn_poke_seconds: int = 15

    bronze_crawler: str = "madrugada-bronze"
    ingest_function: str = "madrugada-ingest"
    bronze_to_silver_job: str = "madrugada-bronze-to-silver"
    sales_silver_to_gold_job: str = "madrugada-sales-silver-to-gold"
    athena_workgroup: str = "madrugada"
    redshift_workgroup: str = "madrugada"
    redshift_database: str = "dev"
    bronze_database: str = "madrugada_bronze"
    silver_database: str = "madrugada_silver"
    gold_database: str = "madrugada_gold"
    staging_database: str = "madrugada_staging"

    def bucket(self, layer: str) -> str:
        """`landing`, `bronze`, `silver`, `gold`, `artifacts` or `query-results` with its prefix."""
        return f"{self.prefix}-{layer}"

    def role(self, name: str) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.prefix}-{name}"

    def topic(self, name: str) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:madrugada-{name}"

    @property
    def contracts_uri(self) -> str:
        return f"s3://{self.bucket('artifacts')}/contracts/contracts.json"

    @property
    def redshift(self) -> dict[str, str]:
        """Arguments that point a Redshift Data API operator at the warehouse.

        The name says whose statement it is; the night's report finds them by it.
        """
        return {
            "workgroup_name": self.redshift_workgroup,
            "database": self.redshift_database,
            "statement_name": "{{ dag.dag_id }}/{{ run_id }}/{{ ti.task_id }}",
        }


@cache
def settings() -> Settings:
    """The settings of this deployment.

    Raises:
        ValueError: a variable that must be a number is not, or nobody would be called about a late
            delivery before the night has given up.
    """
    patience = _seconds("MADRUGADA_DELIVERY_PATIENCE_SECONDS", 7200)
    # 45 minutes of the two hours; as much of whatever else the patience is.
    deadline = _seconds("MADRUGADA_DELIVERY_DEADLINE_SECONDS", patience * 3 // 8)
    if deadline >= patience:
        raise ValueError(
            f"MADRUGADA_DELIVERY_DEADLINE_SECONDS={deadline}: expected less than the patience,"
            f" MADRUGADA_DELIVERY_PATIENCE_SECONDS={patience}"
        )
    return Settings(
        prefix=os.environ.get("MADRUGADA_PREFIX", "madrugada-local"),
        region=os.environ.get("AWS_DEFAULT_REGION", "us-east-1"),
        account=os.environ.get("MADRUGADA_AWS_ACCOUNT", "123456789012"),
        delivery_patience=timedelta(seconds=patience),
        delivery_deadline=timedelta(seconds=deadline),
        turn_poke_seconds=_seconds("MADRUGADA_TURN_POKE_SECONDS", 15),
    )


def _seconds(variable: str, default: int) -> int:
    value = os.environ.get(variable, str(default))
    if not value.isdigit():
        raise ValueError(f"{variable}={value!r}: expected a whole number of seconds")
    return int(value)
