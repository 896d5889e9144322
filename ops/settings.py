"""Where the local stack keeps its state and which ports it takes."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AIRFLOW_PORT = 8080
AWS_PORT = 4566
REDSHIFT_PORT = 5439
TMDB_PORT = 4570


MAINTENANCE = {
    "MADRUGADA_KEEP_VERSIONS": "7",
    "MADRUGADA_RETENTION_DAYS": "7",
    "MADRUGADA_TARGET_FILE_BYTES": str(96 << 20),
}
"""What lake_maintenance goes by, unless the environment says otherwise."""

TALKATIVE = (
    "airflow.models.dag",
    "airflow.serialization.definitions.dag",
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
)
"""Loggers that say at every look at the DAGs, several a second, or at every task's start, that all
is as it was. What is wrong they say too, and that is kept."""


class OpsError(Exception):
    """Something the person at the keyboard can mend; the message says how."""


@dataclass(frozen=True)
class Settings:
    """One checkout's local stack.

    Attributes:
        state: folder of everything that survives `make stop` (databases, objects, logs).
        airflow_port, aws_port: TCP ports on 127.0.0.1.
        chosen_redshift_port, chosen_tmdb_port: where Redshift is to answer to what speaks
            PostgreSQL's protocol, and where the stand-in of TMDB's API; 0 is as far from the usual
            port as the embedded AWS is from its own.
        prefix: what every bucket name begins with.
    """

    state: Path
    airflow_port: int
    aws_port: int
    prefix: str
    region: str = "us-east-1"
    account: str = "123456789012"
    chosen_redshift_port: int = 0
    chosen_tmdb_port: int = 0

    @classmethod
    def load(cls) -> Settings:
        """From the environment, else from the running stack, else the defaults.

        Raises:
            OpsError: a port is not a number.
        """
        state = Path(os.environ.get("MADRUGADA_STATE") or ROOT / ".state").resolve()
        saved = state / "stack.json"
        running = json.loads(saved.read_text()) if saved.exists() else {}
        aws_port = _port("AWS_PORT", running.get("aws_port", AWS_PORT))
        beside = running if aws_port == running.get("aws_port") else {}
        return cls(
            state=state,
            airflow_port=_port("PORT", running.get("airflow_port", AIRFLOW_PORT)),
            aws_port=aws_port,
            prefix=os.environ.get("MADRUGADA_PREFIX") or "madrugada-local",
            chosen_redshift_port=_chosen("REDSHIFT_PORT", REDSHIFT_PORT, aws_port, beside),
            chosen_tmdb_port=_chosen("TMDB_PORT", TMDB_PORT, aws_port, beside),
        )

    @property
    def redshift_port(self) -> int:
        return self.chosen_redshift_port or _beside(self.aws_port, REDSHIFT_PORT)

    @property
    def tmdb_port(self) -> int:
        return self.chosen_tmdb_port or _beside(self.aws_port, TMDB_PORT)

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def dbt_docs(self) -> Path:
        return self.state / "dbt-docs"

    def bucket(self, layer: str) -> str:
        return f"{self.prefix}-{layer}"

    def secret(self, name: str) -> str:
        """A random secret of this checkout, made once and kept in the state folder."""
        path = self.state / "secrets" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32))
        return path.read_text()

    def aws_environment(self) -> dict[str, str]:
        """What makes any AWS client talk to the embedded AWS."""
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def airflow_environment(self) -> dict[str, str]:
        """Airflow's configuration and the project's settings for the local stack.

        On AWS the same names are set by the deployment; nothing in `dags/` differs.
        """
        home = self.state / "airflow"
        return {
            **self.aws_environment(),
            "MADRUGADA_PREFIX": self.prefix,
            "MADRUGADA_AWS_ACCOUNT": self.account,
            "MADRUGADA_DELIVERY_PATIENCE_SECONDS": os.environ.get(
                "MADRUGADA_DELIVERY_PATIENCE_SECONDS", "60"
            ),
            "MADRUGADA_TURN_POKE_SECONDS": "2",
            "MADRUGADA_REDSHIFT_SSLMODE": "disable",
            **{name: os.environ.get(name) or value for name, value in MAINTENANCE.items()},
            # An AWS that is away for a minute, or throttles, costs a call's patience and no retry.
            "AWS_RETRY_MODE": "standard",
            "AWS_MAX_ATTEMPTS": "8",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.airflow_url}/execution/",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.airflow_port),
            "AIRFLOW__API__BASE_URL": self.airflow_url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self.secret("api"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secret("jwt"),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
            # A file that was changed is read at once; the others are parsed again now and then.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
            "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "600",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            # What vanished is missed within a minute, not within five (`make test-crashes`).
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
            # One API server for all tasks, and its first answer on a busy machine is a slow one.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
            "AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS": "True",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs / "airflow"),
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": " ".join(f"{n}=WARNING" for n in TALKATIVE),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
            "AIRFLOW__COSMOS__CACHE_DIR": str(home / "cosmos"),
            # What `make dbt-docs` writes, as a page of Airflow's.
            "AIRFLOW__COSMOS__DBT_DOCS_PROJECTS": json.dumps(
                {"clickstream": {"dir": str(self.dbt_docs), "index": "static_index.html"}}
            ),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps({"conn_type": "aws"}),
            "AIRFLOW_CONN_REDSHIFT_COPY_ROLE": json.dumps(
                {
                    "conn_type": "aws",
                    "extra": {
                        "role_arn": f"arn:aws:iam::{self.account}:role/{self.prefix}-redshift"
                    },
                }
            ),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }


def _chosen(variable: str, usual: int, aws_port: int, running: dict[str, int]) -> int:
    """The port of the environment, or of the running stack; 0 when it is the one beside AWS's."""
    port = _port(variable, running.get(variable.lower()))
    return 0 if port == _beside(aws_port, usual) else port


def _beside(aws_port: int, usual: int) -> int:
    """A port for an embedded AWS's, so that a second stack needs no choice of its own for it."""
    away = usual - AWS_PORT
    return aws_port + (away if aws_port + away < 65536 else -away)


def _port(variable: str, default: int | None) -> int:
    value = os.environ.get(variable) or default
    if value is None:
        return 0
    try:
        port = int(value)
    except ValueError:
        port = -1
    if not 0 < port < 65536:
        raise OpsError(f"{variable}={value!r} is not a port: expected a number from 1 to 65535.")
    return port
