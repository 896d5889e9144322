"""Warm JVMs and waiting Python processes, so that a job run starts in a second or two.

A JVM has Spark loaded and serves one job run at a time; the run's own Python process connects to
it as PySpark does to a JVM of its own. After a run the Spark context is stopped and everything
that the run left in the JVM is removed. A JVM that is broken, or has served its number of runs,
is replaced. No process outlives the embedded AWS: each holds a pipe whose other end dies with it.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from local_aws.glue.script_process import RUNTIME, JobProcess, base_environment
from local_aws.glue.spark_jvm import Jvm, SparkSettings, SparkUnavailable

log = logging.getLogger("local_aws.glue.spark")


class Cancelled(Exception):
    """The run was stopped before it got a JVM."""


class SparkHost:
    """The JVMs, and one Python process that waits for the next run."""

    def __init__(
        self, folder: Path, s3_root: Path, environment: Mapping[str, str], settings: SparkSettings
    ) -> None:
        self.folder = folder
        self.s3_root = s3_root
        self.settings = settings
        self.environment = {**base_environment(), **environment}
        self._changed = threading.Condition()
        self._idle: list[Jvm] = []
        self._busy: list[Jvm] = []
        self._starting = 0
        self._waiting: list[object] = []
        self._process: JobProcess | None = None
        self.stopped = False
        shutil.rmtree(folder / "local", ignore_errors=True)
        for old in folder.glob("jvm-*"):
            shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)

    def acquire(self, cancelled: Callable[[], bool]) -> Jvm:
        """A JVM for one run, in the order of asking; ``poke`` wakes it to ask ``cancelled``.

        Raises:
            SparkUnavailable: the JVM could not be started.
            Cancelled: ``cancelled()`` while waiting, or the host stopped.
        """
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                while True:
                    if self.stopped or cancelled():
                        raise Cancelled
                    self._drop_dead()
                    if self._waiting[0] is ticket:
                        if self._idle:
                            jvm = self._idle.pop()
                            self._busy.append(jvm)
                            return jvm
                        if len(self._busy) + self._starting < self.settings.jvms:
                            self._starting += 1
                            break
                    self._changed.wait()
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        return self._start_jvm()

    def _drop_dead(self) -> None:
        for jvm in [jvm for jvm in self._idle if not jvm.alive]:
            self._idle.remove(jvm)
            jvm.kill()

    def _start_jvm(self) -> Jvm:
        jvm = None
        try:
            jvm = Jvm(self.folder, self.s3_root, self.settings, self.environment)
        finally:
            with self._changed:
                self._starting -= 1
                if jvm is not None:
                    self._busy.append(jvm)
                self._changed.notify_all()
        if self.stopped:
            jvm.kill()
            raise Cancelled
        return jvm

    def release(self, jvm: Jvm) -> None:
        """Clean a JVM after a run and make it available, or replace it."""
        usable = jvm.alive and jvm.clean() and jvm.runs < self.settings.runs_per_jvm
        jvm.on_death = lambda: None
        if not usable:
            jvm.kill()
        with self._changed:
            self._busy.remove(jvm)
            if usable and not self.stopped:
                self._idle.append(jvm)
            elif usable:
                jvm.kill()
            self._changed.notify_all()
        if usable:
            later = threading.Timer(2.0, self._shrink, args=(jvm,))
            later.daemon = True
            later.start()
        else:
            threading.Thread(target=self.warm, daemon=True).start()

    def _shrink(self, jvm: Jvm) -> None:
        with self._changed:
            if jvm not in self._idle:
                return
        jvm.shrink()

    def poke(self) -> None:
        """Let waiting runs look whether they were cancelled."""
        with self._changed:
            self._changed.notify_all()

    def process(self) -> JobProcess:
        """A Python process with PySpark loaded; the next one is started behind it."""
        with self._changed:
            ready, self._process = self._process, None
        if ready is None or not ready.alive:
            ready = JobProcess(self.environment, preload=True)
        return ready

    def plain_process(self) -> JobProcess:
        """A Python process without PySpark."""
        return JobProcess(self.environment, preload=False)

    def keep_process_ready(self) -> None:
        with self._changed:
            if self._process is None and not self.stopped:
                self._process = JobProcess(self.environment, preload=True)

    def warm(self) -> None:
        """Start a JVM and a Python process ahead of the first run; returns when they are ready."""
        self.keep_process_ready()
        with self._changed:
            if self.stopped or self._waiting or self._idle or self._busy or self._starting:
                return
            self._starting += 1
        try:
            jvm = self._start_jvm()
        except (SparkUnavailable, Cancelled) as error:
            log.warning("Spark was not started ahead: %s", error)
            return
        try:
            if not self._waiting:
                self._rehearse(jvm)
        except Exception:
            log.exception("the rehearsal of Spark failed")
        finally:
            self.release(jvm)

    def _rehearse(self, jvm: Jvm) -> None:
        """Run the classes that nearly every job needs once."""
        folder = jvm.folder / "rehearsal"
        folder.mkdir()

        def unheard(lines: list[str]) -> None:
            log.debug("rehearsal: %s", lines)

        process = self.process()
        process.order(
            RUNTIME / "rehearsal.py",
            ["rehearsal.py", str(folder)],
            folder,
            [],
            jvm.begin({"spark.app.name": "rehearsal"}, unheard, unheard),
            unheard,
            unheard,
        )
        deadline = time.monotonic() + 120
        while not process.wait(0.2):
            if self.stopped or time.monotonic() > deadline:
                break
        code, error = process.finish()
        if code and not self.stopped:
            log.warning("the rehearsal of Spark did not end well: %s", error or code)
        jvm.runs = 0
        self.keep_process_ready()

    def stop(self) -> None:
        """End every process."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()
            jvms = [*self._idle, *self._busy]
            self._idle.clear()
            process, self._process = self._process, None
        for jvm in jvms:
            jvm.kill()
        if process is not None:
            process.finish()
