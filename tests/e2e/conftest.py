"""One whole stack of its own for the end-to-end tests: free ports, a state folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ops import processes, sql
from ops.airflow_api import Airflow
from ops.nightly import trigger, watch
from ops.settings import ROOT, Settings

DAG = "sales_nightly"
HERE = Path(__file__).resolve().parent


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all held at once, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass
class Stack:
    """A running stack, with the calls that tests make of it."""

    settings: Settings
    environment: dict[str, str]

    def ops(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``python -m ops.<module>``, as make does."""
        return subprocess.run(
            [sys.executable, "-m", f"ops.{module}", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def deliver(self, folder: Path, day: str) -> subprocess.CompletedProcess[str]:
        return self.ops("deliver", "--from", str(folder), "--date", day)

    @property
    def airflow(self) -> Airflow:
        return Airflow(self.settings)

    def night(self, day: str, dag: str = DAG) -> tuple[str, bool]:
        """Run one night through the scheduler: its run id, and whether it succeeded."""
        run_id = trigger(self.airflow, dag, date.fromisoformat(day))
        return run_id, self.watch(run_id, dag)

    def watch(self, run_id: str, dag: str = DAG) -> bool:
        """Wait for a run's end; whether it succeeded."""
        return watch(self.airflow, dag, run_id, timeout=300)

    def clear(self, run_id: str, *task_ids: str, dag: str = DAG) -> None:
        """Clear a run, or some of its tasks with everything after them, as the UI does."""
        body: dict[str, Any] = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        if task_ids:
            body |= {"task_ids": list(task_ids), "include_downstream": True}
        self.airflow.post(f"/dags/{dag}/clearTaskInstances", body)

    def task_states(self, run_id: str) -> dict[str, str]:
        found = self.airflow.get(f"/dags/{DAG}/dagRuns/{run_id}/taskInstances", limit=200)
        return {
            f"{one['task_id']}[{one['map_index']}]" if one["map_index"] >= 0 else one["task_id"]: (
                one["state"]
            )
            for one in found["task_instances"]
        }

    def task_log(self, run_id: str, task_id: str) -> str:
        path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/{task_id}/logs/1"
        return str(self.airflow.get(path, full_content=True)["content"])

    def athena(self, query: str) -> list[list[str]]:
        return sql.ask(self.settings, "athena", query)[1]

    def redshift(self, query: str) -> list[list[str]]:
        return sql.ask(self.settings, "redshift", query)[1]

    def client(self, service: str) -> Any:
        return sql.client(self.settings, service)

    def glue_runs(self, job: str) -> int:
        return len(self.client("glue").get_job_runs(JobName=job, MaxResults=200)["JobRuns"])


RUNNING: list[Stack] = []
"""The stacks that fixtures have started and nobody has ended."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("stack")
    airflow_port, aws_port, redshift_port, tmdb_port = free_ports(4)
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "AWS_"))},
        "MADRUGADA_STATE": str(state),
        "PORT": str(airflow_port),
        "AWS_PORT": str(aws_port),
        "REDSHIFT_PORT": str(redshift_port),
        "TMDB_PORT": str(tmdb_port),
        # A night without its delivery gives up when the sensor looks a second time.
        "MADRUGADA_DELIVERY_PATIENCE_SECONDS": "20",
    }
    settings = Settings(
        state=state, airflow_port=airflow_port, aws_port=aws_port, prefix="madrugada-local"
    )
    running = Stack(settings, environment)
    RUNNING.append(running)
    try:
        up = running.ops("stack", "up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield running
    finally:
        end_stacks()


def end_stacks() -> None:
    while RUNNING:
        stack = RUNNING.pop()
        stack.ops("stack", "stop")
        assert not processes.of_stack(stack.settings.state)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The stack ends with the last of these tests: other files' need the processor themselves."""
    if nextitem is None or HERE not in nextitem.path.parents:
        end_stacks()
