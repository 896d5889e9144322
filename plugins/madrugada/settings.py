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
        glue_timeout: how long a Glue job may run; the template's GlueTimeoutMinutes.
        stream_settles: how long after a day in UTC its events may still be written; the template's
            SettleSeconds, which the function `close_day` goes by.
        redshift_sslmode: how clients that speak PostgreSQL's protocol ask for TLS.
        keep_versions: how many published versions of a table are kept before the present one.
        retention: what was written later than so long ago is never deleted.
        target_file_bytes: how large a table's files should be.
    """

    prefix: str
    region: str
    account: str
    delivery_patience: timedelta
    delivery_deadline: timedelta
    turn_poke_seconds: int = 15
    glue_timeout: timedelta = timedelta(hours=1)
    stream_settles: timedelta = timedelta(minutes=15)
    redshift_sslmode: str = "verify-full"
    keep_versions: int = 7
    retention: timedelta = timedelta(days=7)
    target_file_bytes: int = 96 << 20

    bronze_crawler: str = "madrugada-bronze"
    clickstream_crawler: str = "madrugada-clickstream"
    ingest_function: str = "madrugada-ingest"
    close_day_function: str = "madrugada-close-day"
    tmdb_function: str = "madrugada-tmdb"
    clickstream_to_silver_job: str = "madrugada-clickstream-to-silver"
    bronze_to_silver_job: str = "madrugada-bronze-to-silver"
    sales_silver_to_gold_job: str = "madrugada-sales-silver-to-gold"
    movies_to_silver_job: str = "madrugada-movies-to-silver"
    movies_silver_to_gold_job: str = "madrugada-movies-silver-to-gold"
    compact_table_job: str = "madrugada-compact-table"
    athena_workgroup: str = "madrugada"
    redshift_workgroup: str = "madrugada"
    redshift_database: str = "dev"
    silver_database: str = "madrugada_silver"
    gold_database: str = "madrugada_gold"
    staging_database: str = "madrugada_staging"

    def database(self, layer: str) -> str:
        """The Glue database of `silver` or `gold`."""
        return {"silver": self.silver_database, "gold": self.gold_database}[layer]

    def bucket(self, layer: str) -> str:
        """`landing`, `bronze`, `silver`, `gold`, `artifacts` or `query-results` with its prefix."""
        return f"{self.prefix}-{layer}"

    def role(self, name: str) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.prefix}-{name}"

    def topic(self, name: str) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:madrugada-{name}"

    @property
    def delivery_poke_seconds(self) -> float:
        """How often a night looks for its delivery: each minute, more often when it waits less."""
        return min(60.0, self.delivery_patience.total_seconds() / 4)

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
        glue_timeout=timedelta(
            minutes=_at_least_one("MADRUGADA_GLUE_TIMEOUT_MINUTES", 60, "minutes")
        ),
        stream_settles=timedelta(seconds=_seconds("MADRUGADA_STREAM_SETTLE_SECONDS", 900)),
        redshift_sslmode=os.environ.get("MADRUGADA_REDSHIFT_SSLMODE", "verify-full"),
        keep_versions=_at_least_one("MADRUGADA_KEEP_VERSIONS", 7, "versions"),
        retention=timedelta(days=_at_least_one("MADRUGADA_RETENTION_DAYS", 7, "days")),
        target_file_bytes=_at_least_one("MADRUGADA_TARGET_FILE_BYTES", 96 << 20, "bytes"),
    )


def _seconds(variable: str, default: int) -> int:
    value = os.environ.get(variable, str(default))
    if not value.isdigit():
        raise ValueError(f"{variable}={value!r}: expected a whole number of seconds")
    return int(value)


def _at_least_one(variable: str, default: int, what: str) -> int:
    value = os.environ.get(variable, str(default))
    if not value.isdigit() or int(value) < 1:
        raise ValueError(f"{variable}={value!r}: expected a whole number of {what}, at least 1")
    return int(value)
