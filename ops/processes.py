"""Start processes of the local stack, remember them, and end them and only them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Set
from pathlib import Path
from typing import NamedTuple

from ops.settings import OpsError

MARK = "MADRUGADA_STACK"
"""Environment variable that every process of a stack inherits; its value is the state folder."""

LOG_BYTES = 20 << 20
"""A log that has grown over this is put aside when its process is started the next time."""


def start(name: str, command: list[str], state: Path, environment: Mapping[str, str]) -> int:
    """Start `command` in a session of its own, its output in ``<state>/logs/<name>.log``.

    What is there is kept: in the same file, or in ``<name>.log.1`` when that has become too long.
    """
    return launch(name, command, state, environment).pid


def launch(
    name: str, command: list[str], state: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """As `start`, for who waits until the process ends and asks how it did."""
    log = state / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **environment, MARK: str(state)},
        )
    with (state / "processes").open("a") as known:
        known.write(f"{child.pid} {_stat(child.pid).started} {name}\n")
    return child


def running(state: Path) -> dict[str, int]:
    """The living processes that `start` made, by their names."""
    return {name: pid for pid, started, name in _started(state) if _start_of(pid) == started}


class Stat(NamedTuple):
    """What /proc/<pid>/stat says: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""

    state: str
    parent: int
    session: int
    started: int


def _stat(pid: int) -> Stat:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Stat(fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def _start_of(pid: int) -> int | None:
    """When a living process started, in clock ticks since boot; None for one that has ended."""
    try:
        stat = _stat(pid)
    except OSError:
        return None
    return None if stat.state == "Z" else stat.started


def of_stack(state: Path) -> set[int]:
    """The living processes that belong to the stack with this state folder.

    Those in a session that `start` made, those that carry its mark, and their descendants. One
    sign is not enough: Airflow's processes overwrite their environment with a title, and the
    JVM and job processes have sessions of their own.
    """
    living = _living()
    mark = f"{MARK}={state}".encode()
    marked = set()
    for pid in living:
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                marked.add(pid)
    sessions = {
        pid
        for pid, started, _ in _started(state)
        # A leader with another start is another program that got the same number.
        if pid not in living or living[pid].started == started
    }
    return _with_descendants(marked, sessions, living)


def of_leaders(leaders: Set[int]) -> set[int]:
    """These living processes, those in the sessions that they lead, and their descendants."""
    return _with_descendants(set(leaders), leaders, _living()) if leaders else set()


def _living() -> dict[int, Stat]:
    found: dict[int, Stat] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                stat = _stat(int(entry.name))
                if stat.state != "Z":
                    found[int(entry.name)] = stat
    return found


def _with_descendants(pids: set[int], sessions: Set[int], living: dict[int, Stat]) -> set[int]:
    found = pids | {pid for pid, stat in living.items() if stat.session in sessions}
    while more := {p for p, stat in living.items() if stat.parent in found} - found:
        found |= more
    return found


def _started(state: Path) -> list[tuple[int, int, str]]:
    known = state / "processes"
    if not known.exists():
        return []
    # A stack of an earlier version of this file is without names.
    lines = [[*line.split(), ""][:3] for line in known.read_text().splitlines()]
    return [(int(pid), int(started), name) for pid, started, name in lines]


def stop(state: Path, patience: float = 10.0, without_heirs: Collection[str] = ()) -> int:
    """End the stack's processes: SIGTERM, then SIGKILL to what is left. How many there were.

    Args:
        patience: seconds from the one signal to the other.
        without_heirs: names of parts whose descendants get SIGKILL at once.
    """
    return _end(state, patience, frozenset(), without_heirs)


def clear_away(state: Path, keep: Set[int]) -> int:
    """End what is left of parts that have died; ``keep`` are the leaders of those that go on.

    SIGKILL at once: a task that gets SIGTERM tells Airflow that it has failed for good, while one
    that vanishes is tried again.
    """
    return _end(state, None, keep)


def _end(
    state: Path, patience: float | None, keep: Set[int], without_heirs: Collection[str] = ()
) -> int:
    def theirs() -> set[int]:
        return of_stack(state) - of_leaders(keep)

    first = theirs()
    # Whose parent has ended is no descendant any more, so those seen once stay in sight.
    seen = {pid: started for pid in first if (started := _start_of(pid))}
    if patience is not None:
        leaders = {pid for name, pid in running(state).items() if name in without_heirs}
        heirs = (of_leaders(leaders) - leaders) & first
        _signal(first - heirs, signal.SIGTERM)
        _signal(heirs, signal.SIGKILL)
    deadline = time.monotonic() + (patience or 0)
    while left := theirs() | {p for p, began in seen.items() if _start_of(p) == began}:
        if time.monotonic() > deadline:
            _signal(left, signal.SIGKILL)
        time.sleep(0.1)
    lines = [f"{pid} {began} {name}\n" for pid, began, name in _started(state) if pid in keep]
    known = state / "processes"
    if lines:
        known.write_text("".join(lines))
    else:
        known.unlink(missing_ok=True)
    return len(first)


def _signal(pids: set[int], number: signal.Signals) -> None:
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
    return _start_of(pid) is not None


def last_lines(log: Path, count: int = 15) -> str:
    if not log.exists():
        return "(no output)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def wait_until(name: str, pid: int, log: Path, ready: Callable[[], bool], seconds: float) -> None:
    """Wait for `ready()`; a process that dies or is too slow raises with its last lines."""
    deadline = time.monotonic() + seconds
    while not ready():
        if not is_alive(pid):
            raise OpsError(f"{name} stopped while starting. Its last lines:\n{last_lines(log)}")
        if time.monotonic() > deadline:
            raise OpsError(
                f"{name} did not answer within {seconds:.0f} s. Last lines of {log}:\n"
                f"{last_lines(log)}"
            )
        time.sleep(0.15)
