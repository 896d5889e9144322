"""Start processes of the local stack, remember them, and end them and only them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ops.settings import OpsError

MARK = "MADRUGADA_STACK"
"""Environment variable that every process of a stack inherits; its value is the state folder."""


def start(name: str, command: list[str], state: Path, environment: Mapping[str, str]) -> int:
    """Start `command` in a session of its own, its output in ``<state>/logs/<name>.log``."""
    log = state / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environment, MARK: str(state)},
        )
    return child.pid


def of_stack(state: Path) -> Iterator[int]:
    """The ids of the living processes that belong to the stack with this state folder."""
    mark = f"{MARK}={state}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0") and not _is_zombie(entry):
                yield int(entry.name)
        except OSError:
            continue


def _is_zombie(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def stop(state: Path, patience: float = 15.0) -> int:
    """End the stack's processes: SIGTERM, then SIGKILL to what is left. How many there were."""
    first = list(of_stack(state))
    _signal(first, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while list(of_stack(state)):
        if time.monotonic() > deadline:
            _signal(list(of_stack(state)), signal.SIGKILL)
        time.sleep(0.1)
    return len(first)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_alive(pid: int) -> bool:
    try:
        return not _is_zombie(Path("/proc") / str(pid))
    except OSError:
        return False


def last_lines(log: Path, count: int = 15) -> str:
    if not log.exists():
        return "(no output)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def wait_until(name: str, pid: int, log: Path, ready: object, seconds: float) -> None:
    """Wait for `ready()`; a process that dies or is too slow raises with its last lines."""
    deadline = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        if not is_alive(pid):
            raise OpsError(f"{name} stopped while starting. Its last lines:\n{last_lines(log)}")
        if time.monotonic() > deadline:
            raise OpsError(
                f"{name} did not answer within {seconds:.0f} s. Last lines of {log}:\n"
                f"{last_lines(log)}"
            )
        time.sleep(0.15)
