"""The Python process of one job run, started before the run comes, and what it says."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

log = logging.getLogger("local_aws.glue.spark")

RUNTIME = Path(__file__).parent / "runtime"
Lines = Callable[[list[str]], None]


def base_environment() -> dict[str, str]:
    """What every process gets of ours: no Airflow, no project on the path."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "localhost",
    }


def _pump(stream: IO[bytes], deliver: Lines) -> None:
    """Hand over lines as they arrive, as many at a time as are there."""
    rest = b""
    while block := os.read(stream.fileno(), 65536):
        *lines, rest = (rest + block).split(b"\n")
        if lines:
            deliver([line.decode("utf-8", "replace").rstrip("\r") for line in lines])
    if rest:
        deliver([rest.decode("utf-8", "replace")])
    stream.close()


def start_pump(stream: IO[bytes] | None, deliver: Lines) -> threading.Thread:
    """Hand over a stream's lines in a thread of their own.

    What ``deliver`` cannot take is lost, and read all the same: nobody else empties the pipe, and
    a process that writes into a full one stands still.
    """
    assert stream is not None
    noted = False

    def heard(lines: list[str]) -> None:
        nonlocal noted
        try:
            deliver(lines)
        except Exception:
            if not noted:
                log.exception("output of a process was lost")
            noted = True

    thread = threading.Thread(target=_pump, args=(stream, heard), daemon=True)
    thread.start()
    return thread


class JobProcess:
    """A Python process that waits to become one job run's script."""

    def __init__(self, environment: Mapping[str, str], preload: bool) -> None:
        self._outcome, outcome = os.pipe()
        command = [sys.executable, str(RUNTIME / "job_process.py"), str(outcome)]
        try:
            self._process = subprocess.Popen(
                [*command, "--preload"] if preload else command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(outcome,),
                env=dict(environment),
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(outcome)
        self._pumps: list[threading.Thread] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def order(
        self,
        script: Path,
        arguments: list[str],
        folder: Path,
        python_path: Iterable[Path],
        environment: Mapping[str, str],
        stdout: Lines,
        stderr: Lines,
    ) -> None:
        """Give the process its script; its output arrives at ``stdout`` and ``stderr``."""
        self._pumps = [
            start_pump(self._process.stdout, stdout),
            start_pump(self._process.stderr, stderr),
        ]
        order = {
            "script": str(script),
            "arguments": arguments,
            "folder": str(folder),
            "python_path": [str(path) for path in python_path],
            "environment": dict(environment),
        }
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether the process ended within ``seconds``."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def finish(self) -> tuple[int, str | None]:
        """End what the process left behind; its exit code and the script's own error."""
        self.kill()
        code = self._process.wait()
        for pump in self._pumps:
            pump.join(2)
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        report = b""
        with os.fdopen(self._outcome, "rb") as outcome:
            os.set_blocking(outcome.fileno(), False)
            report = outcome.read() or b""
        with contextlib.suppress(ValueError):
            return code, json.loads(report)["error"]
        return code, None

    def kill(self) -> None:
        """End the process and everything in its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
