"""The stack of a benchmark: embedded AWS and Airflow, with a state folder and ports of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ops.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def stack_at(state: Path, port: str, aws_port: str) -> Settings:
    """Point this process, and each that it starts, at such a stack; its settings."""
    os.environ.update(MADRUGADA_STATE=str(state), PORT=port, AWS_PORT=aws_port)
    return Settings.load()


def ops(module: str, *arguments: str) -> None:
    """Run a module of `ops/`, as `make` does: `ops("stack", "up")`."""
    subprocess.run([sys.executable, "-m", f"ops.{module}", *arguments], cwd=ROOT, check=True)
