"""A night that something is killed in, against the same night undisturbed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from include.sample_data.generate import generate
from ops import processes, stack
from ops.airflow_api import Airflow
from ops.deliver import deliver
from ops.nightly import trigger
from ops.settings import OpsError, Settings
from tests.crashes.tables import Tables, all_tables, differences, half_published, left_overs
from tests.crashes.victims import RESTARTED, Crash, strike

DAG = "sales_nightly"
FIRST, DISTURBED, NEXT = (date(2026, 1, day) for day in (5, 6, 7))
NIGHTS = {FIRST: 200, DISTURBED: 240, NEXT: 220}
"""Each night's delivery, by its number of sales; all of their values differ too."""

NOTICED = 3.0
"""Seconds until the operator notices that something is gone."""

PATIENCE = 1500.0
"""Seconds until a run that has not ended counts as stuck."""


@dataclass
class Result:
    """What became of one night; `met` says what it met with."""

    name: str
    met: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        verdict = "ok    " if not self.problems else "FAILED"
        retried = f"; tried again: {', '.join(self.retried)}" if self.retried else ""
        cleared = f"; CLEARED BY HAND: {'; '.join(self.cleared)}" if self.cleared else ""
        lines = [
            f"{self.name}  {verdict}  {'; '.join(self.met) or 'met nothing'}"
            f"{retried}{cleared}; night {self.seconds:.0f} s",
            *(f"             {problem}" for problem in self.problems),
        ]
        return "\n".join(lines)


class Harness:
    """A stack whose state is put back to the first night's end before each seed.

    :param folder: everything is kept here: the stack's state, the prepared state, deliveries.
    """

    def __init__(self, folder: Path, airflow_port: int, aws_port: int) -> None:
        self.folder = folder
        self.prepared = folder / "prepared"
        self.settings = Settings(
            state=folder / "state",
            airflow_port=airflow_port,
            aws_port=aws_port,
            prefix="madrugada-local",
        )
        self.expected: dict[date, Tables] = {}
        self.usual: dict[str, float] = {}
        self._sound = False

    def prepare(self) -> None:
        """Run three nights undisturbed, and keep the state and tables that they leave."""
        stack.up(self.settings)
        for number, (day, rows) in enumerate(NIGHTS.items()):
            delivery = self.folder / "deliveries" / day.isoformat()
            generate(delivery, rows, 2026 + number)
            deliver(self.settings, delivery, day)
        for day in NIGHTS:
            run_id = self._trigger(day)
            if self._wait(run_id) != "success":
                raise OpsError(f"the undisturbed night of {day} failed: {self._failed(run_id)}")
            self.expected[day] = all_tables(self.settings)
            if problems := left_overs(self.settings):
                raise OpsError(f"the undisturbed night of {day}: {'; '.join(problems)}")
            if day == FIRST:
                stack.stop(self.settings)
                shutil.copytree(self.settings.state, self.prepared, symlinks=True)
                stack.up(self.settings)
            if day == DISTURBED:
                for one in sorted(self._tasks(run_id), key=lambda one: one["start_date"]):
                    usual = self.usual.get(one["task_id"], 0.0)
                    self.usual[one["task_id"]] = max(usual, one["duration"] or 0.0)

    def run(self, seed: int, kills: int = 1, and_next: bool = True) -> Result:
        """One seed, from the prepared state to the night after the crash, and the next one."""
        result = Result(f"seed {seed:>4}")
        order = list(self.usual)
        crashes = [Crash.of(seed, order, number) for number in range(kills)]
        try:
            self._reset()
            self._disturbed_night(
                result, sorted(crashes, key=lambda crash: order.index(crash.task))
            )
            if and_next:
                self._next_night(result)
        except OpsError as error:
            result.problems.append(str(error))
        self._sound = not result.problems
        return result

    def _reset(self) -> None:
        """The prepared AWS again, under the same path; all of the stack when it is not sound.

        A sound Airflow goes on: its past runs mean nothing to a new one.
        """
        if not self._sound or not stack.is_up(self.settings):
            stack.stop(self.settings)
            shutil.rmtree(self.settings.state)
            shutil.copytree(self.prepared, self.settings.state, symlinks=True)
        else:
            aws = processes.running(self.settings.state)["aws"]
            os.kill(aws, signal.SIGTERM)
            while processes.is_alive(aws):
                time.sleep(0.1)
            shutil.rmtree(self.settings.state / "aws")
            shutil.copytree(self.prepared / "aws", self.settings.state / "aws", symlinks=True)
        stack.up(self.settings)

    def _disturbed_night(self, result: Result, crashes: list[Crash]) -> None:
        run_id = self._trigger(DISTURBED)
        began = time.monotonic()
        for crash in crashes:
            self._crash(result, run_id, crash, began)
        if not result.met:
            # The night was quicker than usual and past each of the seed's moments: now, then.
            self._crash(result, run_id, replace(crashes[-1], kind="task", part=0.0), began)
        if not result.met:
            result.problems.append("the night ended before anything was killed")
        self._end(result, run_id)
        result.seconds = time.monotonic() - began

    def _crash(self, result: Result, run_id: str, crash: Crash, began: float) -> None:
        killed = strike(self.settings, run_id, crash, self.usual)
        if killed is None:
            return
        result.met.append(f"killed {killed}, {time.monotonic() - began:.0f} s into the night")
        print(f"{result.name}          {result.met[-1]}", flush=True)
        if crash.kind in RESTARTED:
            time.sleep(NOTICED)
            stack.up(self.settings)
        self._look(result)

    def run_with_faults(self, seed: int, rate: float, and_next: bool = False) -> Result:
        """The second night with a share of all requests throttled, failed or unanswered."""
        result = Result(f"faults {seed}")
        try:
            self._reset()
            self._faults("PUT", {"seed": seed, "rate": rate})
            began = time.monotonic()
            run_id = self._trigger(DISTURBED)
            self._end(result, run_id, lambda: self._count_faults(result))
            result.seconds = time.monotonic() - began
            if and_next:
                self._next_night(result)
        except OpsError as error:
            result.problems.append(str(error))
        finally:
            self._faults("DELETE")
        self._sound = not result.problems
        return result

    def _count_faults(self, result: Result) -> None:
        """How many there were; none from here on, or the tables could not be read at ease."""
        met = self._faults("GET")
        self._faults("DELETE")
        count = sum(met["injected"].values())
        result.met.append(f"met {count} faults in {met['requests']} requests")
        if not count:
            result.problems.append("no request met a fault")

    def _faults(self, method: str, plan: dict[str, Any] | None = None) -> Any:
        url = f"{self.settings.aws_url}/_local/faults"
        return httpx.request(method, url, json=plan, timeout=60, trust_env=False).json()

    def _end(self, result: Result, run_id: str, ended: Callable[[], None] = lambda: None) -> None:
        """Wait for the run's end, clear it once when it failed, and look at what it left."""
        if self._wait(run_id) == "failed":
            result.cleared = self._failed(run_id)
            self._clear(run_id)
            if self._wait(run_id) == "failed":
                result.problems.append(f"failed again after clearing: {self._failed(run_id)}")
        ended()
        result.retried = sorted(
            {one["task_id"] for one in self._tasks(run_id) if one["try_number"] > 1}
        )
        result.problems += differences(all_tables(self.settings), self.expected[DISTURBED])
        result.problems += self._settled(lambda: left_overs(self.settings))

    def _look(self, result: Result) -> None:
        """What a reader sees in the middle of the night that was disturbed."""
        found = all_tables(self.settings)
        result.problems += half_published(found, self.expected[FIRST], self.expected[DISTURBED])

    def _next_night(self, result: Result) -> None:
        run_id = self._trigger(NEXT)
        if self._wait(run_id) != "success":
            result.problems.append(f"the next night failed: {self._failed(run_id)}")
        found = differences(all_tables(self.settings), self.expected[NEXT])
        result.problems += [f"after the next night, {one}" for one in found]
        result.problems += [f"after the next night, {one}" for one in left_overs(self.settings)]

    @staticmethod
    def _settled(problems: Callable[[], list[str]], seconds: float = 60) -> list[str]:
        """What an abandoned job leaves may go on for a while after the night, and then ends."""
        deadline = time.monotonic() + seconds
        while (found := problems()) and time.monotonic() < deadline:
            time.sleep(1)
        return found

    # Airflow

    @property
    def _airflow(self) -> Airflow:
        return Airflow(self.settings)

    def _trigger(self, day: date) -> str:
        return trigger(self._airflow, DAG, day)

    def _tasks(self, run_id: str) -> list[dict[str, Any]]:
        path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances"
        return self._airflow.get(path, limit=200)["task_instances"]

    def _failed(self, run_id: str) -> list[str]:
        return [
            f"{one['task_id']} failed at try {one['try_number']}"
            for one in self._tasks(run_id)
            if one["state"] == "failed"
        ]

    def _clear(self, run_id: str) -> None:
        body = {
            "dry_run": False,
            "only_failed": True,
            "reset_dag_runs": True,
            "dag_run_id": run_id,
        }
        self._airflow.post(f"/dags/{DAG}/clearTaskInstances", body)

    def _wait(self, run_id: str) -> str:
        """How the run ended; Airflow may be away for a while.

        Raises:
            OpsError: it has not ended within `PATIENCE`.
        """
        airflow = self._airflow
        deadline = time.monotonic() + PATIENCE
        state = "unknown"
        while time.monotonic() < deadline:
            try:
                state = airflow.get(f"/dags/{DAG}/dagRuns/{run_id}")["state"]
            except OpsError:
                time.sleep(1)
                continue
            if state in ("success", "failed"):
                return state
            time.sleep(0.5)
        going = {one["task_id"]: one["state"] for one in self._tasks(run_id)}
        raise OpsError(f"the run is still {state} after {PATIENCE:.0f} s: {going}")
