"""The local stack: the embedded AWS and Airflow, up and down."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from ops import processes, tmdb
from ops.command import command
from ops.settings import ROOT, OpsError, Settings
from ops.sql import client

PYTHON = sys.executable
AIRFLOW = str(Path(sys.executable).parent / "airflow")
PATIENCE = 300
"""Seconds for a part to answer on a busy machine; one that dies is told at once."""
NEEDED_DISK = 2 * 1024**3
AIRFLOW_PARTS = {
    "scheduler": [AIRFLOW, "scheduler", "--skip-serve-logs"],
    "dag-processor": [AIRFLOW, "dag-processor"],
    "triggerer": [AIRFLOW, "triggerer", "--skip-serve-logs"],
}
PARTS = {"aws", "api-server", tmdb.NAME, *AIRFLOW_PARTS}


def say(text: str) -> None:
    print(text, flush=True)


def answers(url: str, patience: float = 2) -> bool:
    try:
        return httpx.get(url, timeout=patience, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def is_up(settings: Settings) -> bool:
    """Do all parts of this checkout's own stack run, and answer on its ports?"""
    return _healthy_parts(settings).keys() >= PARTS


def check_machine(settings: Settings, running: Collection[str] = ()) -> None:
    """Refuse to start where it cannot work.

    Args:
        running: the stack's own parts that run already, and so have their ports.

    Raises:
        OpsError: too little disk, or a port that somebody else has.
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.state).free
    if free < NEEDED_DISK:
        raise OpsError(
            f"Too little disk: {free / 1024**3:.1f} GB are free at {settings.state},"
            f" and {NEEDED_DISK / 1024**3:.0f} GB are needed."
        )
    for part, port, variable, other in (
        ("api-server", settings.airflow_port, "PORT", 8081),
        ("aws", settings.aws_port, "AWS_PORT", 4567),
        ("aws", settings.redshift_port, "REDSHIFT_PORT", 5440),
        (tmdb.NAME, settings.tmdb_port, "TMDB_PORT", 4571),
    ):
        if part not in running and not processes.is_free(port):
            raise OpsError(
                f"Port {port} is in use by another program."
                f" Choose another one, for example: make run {variable}={other}"
            )


def up(settings: Settings) -> None:
    """Start every part that is not running, deploy the infrastructure, wait until all answer.

    Parts that run and answer go on undisturbed: when one has died, only that one is started again.
    """
    kept = _healthy_parts(settings)
    if kept.keys() >= PARTS:
        _deploy(settings)
        _make_pools(settings)
        say(f"The stack is up: Airflow {settings.airflow_url}, AWS {settings.aws_url}")
        return
    if any(processes.of_stack(settings.state) - processes.of_leaders(set(kept.values()))):
        say("Ending what is left of an earlier start ...")
        processes.clear_away(settings.state, keep=set(kept.values()))
    check_machine(settings, kept)
    _remember(settings)
    started = time.monotonic()
    missing = ", ".join(sorted(PARTS - kept.keys()))
    say(f"Starting {missing if kept else 'the embedded AWS and Airflow'} ...")
    airflow_environment = settings.airflow_environment()
    _configure_airflow(settings)
    aws = kept.get("aws") or processes.start(
        "aws",
        [PYTHON, "-m", "local_aws", "--state", str(settings.state / "aws"),
         "--port", str(settings.aws_port), "--redshift-port", str(settings.redshift_port),
         "--region", settings.region],
        settings.state,
        {"PYTHONPATH": str(ROOT), "LOCAL_AWS_WARM_SPARK": "1"},
    )  # fmt: skip
    if tmdb.NAME not in kept:
        tmdb.start(settings)
    migrated = _start_migration(settings, airflow_environment)

    def deploy_when_it_answers() -> None:
        processes.wait_until(
            "The embedded AWS", aws, settings.logs / "aws.log",
            lambda: answers(f"{settings.aws_url}/_local/health"), PATIENCE,
        )  # fmt: skip
        _deploy(settings)

    def start_airflow(name: str, command: list[str]) -> int:
        return kept.get(name) or processes.start(name, command, settings.state, airflow_environment)

    with ThreadPoolExecutor(1) as beside:
        deployed = beside.submit(deploy_when_it_answers)
        migrated()
        api = start_airflow(
            "api-server",
            [AIRFLOW, "api-server", "--apps", "all", "--workers", "1",
             "--host", "127.0.0.1", "--port", str(settings.airflow_port)],
        )  # fmt: skip
        start_airflow("dag-processor", AIRFLOW_PARTS["dag-processor"])
        deployed.result()
    # A night that is due begins at once: what it runs on must be there before the scheduler is.
    for name in ("scheduler", "triggerer"):
        start_airflow(name, AIRFLOW_PARTS[name])
    processes.wait_until(
        "Airflow", api, settings.logs / "api-server.log",
        lambda: answers(f"{settings.airflow_url}/api/v2/version"), PATIENCE,
    )  # fmt: skip
    _make_pools(settings)
    say(
        f"Up in {time.monotonic() - started:.0f} s: Airflow {settings.airflow_url},"
        f" AWS {settings.aws_url}"
    )


def _healthy_parts(settings: Settings) -> dict[str, int]:
    """The parts of this stack that run, on these ports, and answer where they should."""
    if _remembered(settings) != _ports(settings):
        return {}
    running = {
        name: pid for name, pid in processes.running(settings.state).items() if name in PARTS
    }
    for name, url in (
        ("aws", f"{settings.aws_url}/_local/health"),
        ("api-server", f"{settings.airflow_url}/api/v2/version"),
    ):
        if name in running and not answers(url, patience=15):
            del running[name]
    return running


def _deploy(settings: Settings) -> None:
    """Bring the infrastructure, scripts, contracts and functions to what this checkout has."""
    _run("infra.deploy", ["--stack", "madrugada", "--parameters", _parameters(settings)], settings)
    tmdb.put_key(settings, client(settings, "secretsmanager"))


def _configure_airflow(settings: Settings) -> None:
    """Airflow imports `airflow_local_settings` from its home's `config` folder."""
    folder = settings.state / "airflow" / "config"
    shutil.copytree(
        ROOT / "ops" / "airflow",
        folder,
        ignore=shutil.ignore_patterns("__pycache__"),
        dirs_exist_ok=True,
    )


def _ports(settings: Settings) -> dict[str, int]:
    return {
        "airflow_port": settings.airflow_port,
        "aws_port": settings.aws_port,
        "redshift_port": settings.redshift_port,
        "tmdb_port": settings.tmdb_port,
    }


def _remember(settings: Settings) -> None:
    (settings.state / "stack.json").write_text(json.dumps(_ports(settings)))


def _remembered(settings: Settings) -> dict[str, int] | None:
    saved = settings.state / "stack.json"
    return json.loads(saved.read_text()) if saved.exists() else None


def _start_migration(settings: Settings, environment: dict[str, str]) -> Callable[[], None]:
    """Migrate Airflow's database beside everything else; the answer waits for its end."""
    done = settings.state / "airflow" / "migrated"
    version = _requirements_digest()
    if done.exists() and done.read_text() == version:
        return lambda: None
    log = settings.logs / "migrate.log"
    # What an earlier migration said is not to be taken for this one's words.
    log.unlink(missing_ok=True)
    process = processes.launch("migrate", [AIRFLOW, "db", "migrate"], settings.state, environment)

    def wait() -> None:
        try:
            ended = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise OpsError(
                f"Airflow's database is still being migrated after {PATIENCE} s. That goes on: once"
                f" it has ended (make logs LOG=migrate), run make up again. Last lines of {log}:\n"
                f"{processes.last_lines(log)}"
            ) from None
        if ended != 0:
            raise OpsError(
                f"Airflow's database was not migrated: airflow db migrate ended with {ended}. Mend"
                " what it says and run make up again; make clean begins anew, with nothing kept."
                f" Last lines of {log}:\n{processes.last_lines(log)}"
            )
        done.write_text(version)

    return wait


def _requirements_digest() -> str:
    import hashlib

    return hashlib.sha256((ROOT / "requirements.txt").read_bytes()).hexdigest()


def _parameters(settings: Settings) -> str:
    """The template's parameters for this checkout, in the file that the deploy command reads."""
    local = json.loads((ROOT / "infra" / "parameters" / "local.json").read_text())
    local["Prefix"] = settings.prefix
    local["TmdbBaseUrl"] = tmdb.base_url(settings)
    path = settings.state / "parameters.json"
    path.write_text(json.dumps(local, indent=2))
    return str(path)


def _run(module: str, arguments: list[str], settings: Settings) -> None:
    import os

    done = subprocess.run(
        [PYTHON, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **settings.aws_environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OpsError(f"python -m {module} failed:\n{done.stdout}{done.stderr}")


def _make_pools(settings: Settings) -> None:
    sys.path.insert(0, str(ROOT / "plugins"))
    from madrugada.defaults import POOLS
    from ops.airflow_api import Airflow

    airflow = Airflow(settings)
    existing = {pool["name"]: pool["slots"] for pool in airflow.get("/pools")["pools"]}
    for name, (slots, reason) in POOLS.items():
        body = {"name": name, "slots": slots, "description": reason, "include_deferred": True}
        if name not in existing:
            airflow.post("/pools", body, named=True)
        elif existing[name] != slots:
            airflow.patch(f"/pools/{name}", body)


def stop(settings: Settings) -> None:
    # Airflow's workers pay no heed to SIGTERM, the scheduler waits for them, and a task that gets
    # it has failed for good; one that vanishes is tried again when the stack is up again.
    count = processes.stop(settings.state, without_heirs={"scheduler"})
    say(f"Stopped {count} processes." if count else "Nothing was running.")


def clean(settings: Settings) -> None:
    """Stop, and remove the state folder: objects, tables, run history, logs."""
    stop(settings)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(settings.state)
    say(f"Removed {settings.state}")


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.stack", description=__doc__)
    parser.add_argument("command", choices=["up", "stop", "clean"])
    chosen = parser.parse_args(argv).command
    {"up": up, "stop": stop, "clean": clean}[chosen](Settings.load())
    return 0


if __name__ == "__main__":
    sys.exit(main())
