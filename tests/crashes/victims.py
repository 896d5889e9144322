"""What is killed, when, and how its process is found."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ops import processes
from ops.settings import Settings

KINDS = (
    "task",
    "task's supervisor",
    "Spark's Python",
    "Spark's JVM",
    "embedded AWS",
    "scheduler",
)
RESTARTED = ("embedded AWS", "scheduler")
"""What nobody but an operator starts again."""

SPARK_TASKS = ("build_silver", "build_gold")
TITLE = "airflow worker -- "


@dataclass(frozen=True)
class Crash:
    """One seed's crash: `kind` dies when `task` has done `part` (0 to 1) of its usual time."""

    seed: int
    kind: str
    task: str
    part: float

    @classmethod
    def of(cls, seed: int, tasks: list[str], number: int = 0) -> Crash:
        """Every kind in turn, at a moment that only the seed decides; a night may have several."""
        random = Random(f"{seed}:{number}")  # noqa: S311 - to be repeated, not to be secret
        kind = KINDS[(seed - 1 + number) % len(KINDS)]
        among = SPARK_TASKS if kind.startswith("Spark") else sorted(tasks)
        return cls(seed, kind, random.choice(among), random.random())


@dataclass(frozen=True)
class Running:
    """A task instance that runs now."""

    identifier: str
    task: str


class RunningTasks:
    """Airflow's own record of a run, read beside Airflow while it goes on."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        path = settings.state / "airflow" / "airflow.db"
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
        self._run_id = run_id

    def _ask(self, query: str, *values: str) -> list[tuple[str, ...]]:
        return self._db.execute(query, (self._run_id, *values)).fetchall()

    def now(self) -> list[Running]:
        found = self._ask(
            "select id, task_id from task_instance where run_id = ? and state = 'running'"
        )
        return [Running(identifier, task) for identifier, task in found]

    def has_begun(self, task: str) -> bool:
        return bool(
            self._ask(
                "select 1 from task_instance"
                " where run_id = ? and task_id = ? and start_date is not null",
                task,
            )
        )

    def is_over(self, task: str) -> bool:
        """Whether a task has ended well: it does not run again by itself."""
        return bool(
            self._ask(
                "select 1 from task_instance"
                " where run_id = ? and task_id = ? and state = 'success'",
                task,
            )
        )

    def has_ended(self) -> bool:
        states = self._ask("select state from dag_run where run_id = ?")
        return bool(states) and states[0][0] in ("success", "failed")

    def close(self) -> None:
        self._db.close()


def strike(settings: Settings, run_id: str, crash: Crash, usual: dict[str, float]) -> str | None:
    """Kill with SIGKILL what `crash` says, when it says; what was killed, in words.

    `usual` are the tasks' usual durations, seconds. None when the run, or the task whose Spark was
    to die, ended before.
    """
    tasks = RunningTasks(settings, run_id)

    def too_late() -> bool:
        return tasks.has_ended() or (crash.kind.startswith("Spark") and tasks.is_over(crash.task))

    try:
        if not _wait(lambda: tasks.has_begun(crash.task), tasks.has_ended):
            return None
        time.sleep(crash.part * usual.get(crash.task, 1.0))
        killed: list[str] = []

        def kill() -> bool:
            """Found and killed; what is found may be gone a moment later."""
            found = _find(settings, crash, tasks.now())
            if found is None:
                return False
            pid, name = found
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                at = [one.task for one in tasks.now()]
                killed.append(f"{name}, pid {pid}, with {', '.join(at) or 'no task'} running")
            return bool(killed)

        return killed[0] if _wait(kill, too_late) else None
    finally:
        tasks.close()


def _wait(done: Callable[[], bool], over: Callable[[], bool]) -> bool:
    while not done():
        if over():
            return False
        time.sleep(0.05)
    return True


def _find(settings: Settings, crash: Crash, running: list[Running]) -> tuple[int, str] | None:
    parts = processes.running(settings.state)
    if crash.kind == "scheduler":
        return parts["scheduler"], "the scheduler"
    if crash.kind == "embedded AWS":
        return parts["aws"], "the embedded AWS"
    if crash.kind.startswith("Spark"):
        return _spark(parts["aws"], settings, crash.kind)
    return _task(parts["scheduler"], crash, running)


def _spark(aws: int, settings: Settings, kind: str) -> tuple[int, str] | None:
    """A job's Python process, or the JVM that it uses; None while no job's script runs."""
    scratch = str(settings.state / "aws" / "glue" / "scratch")
    children = processes.of_leaders({aws}) - {aws}
    jobs = [pid for pid in children if _folder(pid).startswith(scratch)]
    if not jobs:
        return None
    if kind == "Spark's Python":
        return jobs[0], "the job's Python process"
    java = [pid for pid in children if _command(pid).partition(" ")[0].endswith("java")]
    return (java[0], "Spark's JVM") if java else None


def _task(scheduler: int, crash: Crash, running: list[Running]) -> tuple[int, str] | None:
    """The process that runs a task's code, or the one that watches over it."""
    title = TITLE + ("LocalExecutor: " if crash.kind == "task's supervisor" else "")
    pids = {_command(pid): pid for pid in processes.of_leaders({scheduler})}
    # The task that was chosen, when it is still there; else another one.
    for one in sorted(running, key=lambda one: one.task != crash.task):
        pid = pids.get(title + _dashed(one.identifier))
        if pid is not None:
            return pid, f"the {crash.kind} of {one.task}"
    return None


def _dashed(identifier: str) -> str:
    return "-".join(
        (identifier[:8], identifier[8:12], identifier[12:16], identifier[16:20], identifier[20:])
    )


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    return ""


def _folder(pid: int) -> str:
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{pid}/cwd").readlink())
    return ""
