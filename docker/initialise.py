"""Make the containers' stack ready, as `ops.stack` does for `make up`; running it again is safe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parent.parent
TMDB_BASE_URL, TMDB_API_KEY = "http://tmdb:4570/3", "stand-in"
"""The stand-in of TMDB's API, as the service `tmdb` in docker-compose.yaml has it."""


def run(*command: str) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


def put_secret(name: str, value: str) -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId=name, SecretString=value)


def parameters(folder: Path) -> Path:
    """The template's local parameters with the prefix of this deployment."""
    local = json.loads((ROOT / "infra" / "parameters" / "local.json").read_text())
    local["Prefix"] = os.environ["MADRUGADA_PREFIX"]
    local["TmdbBaseUrl"] = TMDB_BASE_URL
    path = folder / "parameters.json"
    path.write_text(json.dumps(local))
    return path


def pools(folder: Path) -> Path:
    """The pipelines' pools as `airflow pools import` reads them."""
    sys.path.insert(0, os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"])
    from madrugada.defaults import POOLS

    path = folder / "pools.json"
    path.write_text(
        json.dumps(
            {
                name: {"slots": slots, "description": reason, "include_deferred": True}
                for name, (slots, reason) in POOLS.items()
            }
        )
    )
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run("airflow", "db", "migrate")
        deploy = ["-m", "infra.deploy", "--stack", "madrugada"]
        run(sys.executable, *deploy, "--parameters", str(parameters(folder)))
        put_secret(f"{os.environ['MADRUGADA_PREFIX']}-tmdb-api-key", TMDB_API_KEY)
        run("airflow", "pools", "import", str(pools(folder)))


if __name__ == "__main__":
    main()
