"""One Glue job run, from STARTING to its end."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_aws.glue import job_arguments
from local_aws.glue.script_process import JobProcess
from local_aws.glue.spark_host import Cancelled, SparkHost
from local_aws.glue.spark_jvm import Jvm, SparkUnavailable
from local_aws.instance import Instance
from local_aws.service import AwsError

log = logging.getLogger("local_aws.glue.job_run")

RUN = "glue/job_run"
MINUTE = 60.0
FINISHED = frozenset({"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"})
OUTPUT_GROUP = {"glueetl": "/aws-glue/jobs", "pythonshell": "/aws-glue/python-jobs"}


class LaunchError(Exception):
    """The run cannot start; the message is the run's ErrorMessage."""


class JobRun:
    """Executes one run in a thread of its own and keeps its document up to date."""

    def __init__(
        self,
        aws: Instance,
        host: SparkHost,
        key: str,
        job: dict[str, Any],
        folder: Path,
        done: Callable[[JobRun], None],
    ) -> None:
        self.aws = aws
        self.host = host
        self.key = key
        self.job = job
        self.folder = folder
        self._done = done
        self._lock = threading.Lock()
        self._process: JobProcess | None = None
        self._end: tuple[str, str | None] | None = None
        self._running_since: float | None = None
        self._logs_lock = threading.Lock()
        run = aws.store.get(RUN, key)
        assert run is not None
        self.run = run

    @property
    def run_id(self) -> str:
        return self.run["Id"]

    @property
    def seconds(self) -> int:
        """How long the run has held its resources."""
        if self._running_since is None:
            return 0
        return round(time.monotonic() - self._running_since)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name=self.run_id[:12], daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until the run's thread has ended, at most ``seconds``."""
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def end(self, state: str, message: str | None = None) -> None:
        """End the run from outside: the script's process is killed, its Spark jobs cancelled."""
        with self._lock:
            self._end = self._end or (state, message)
            if self._process is not None:
                self._process.kill()
        self.host.poke()

    # The thread

    def _work(self) -> None:
        try:
            self._execute()
        except Cancelled:
            self._finish(*(self._end or ("FAILED", "The embedded AWS was stopped.")))
        except (LaunchError, SparkUnavailable) as error:
            self._write("error", [str(error)])
            self._finish("FAILED", str(error))
        except Exception as error:
            log.exception("run %s failed inside the embedded AWS", self.run_id)
            self._finish("FAILED", f"Internal service error: {type(error).__name__}: {error}")

    def _execute(self) -> None:
        arguments = job_arguments.merge(
            self.job.get("DefaultArguments"),
            self.run.get("Arguments"),
            self.job.get("NonOverridableArguments"),
        )
        asked = job_arguments.interpret(arguments)
        script = self._fetch_all(arguments, asked)
        if asked.ignored:
            self._write("error", asked.ignored)
        spark = self.job["Command"]["Name"] == "glueetl"
        jvm = self.host.acquire(lambda: self._end is not None) if spark else None
        try:
            self._run_script(jvm, script, arguments, asked)
        finally:
            if jvm is not None:
                self.host.release(jvm)

    def _run_script(
        self,
        jvm: Jvm | None,
        script: Path,
        arguments: dict[str, str],
        asked: job_arguments.SparkRun,
    ) -> None:
        process = self.host.process() if jvm else self.host.plain_process()
        with self._lock:
            self._process = process
            if self._end is not None:
                process.kill()
        environment = {**asked.environment, "TMPDIR": str(self.folder / "tmp")}
        packages = [self.folder / "python" / _name(each) for each in asked.extra_py_files]
        if jvm is not None:
            jvm.on_death = self._jvm_died
            properties = {
                "spark.app.name": self.job["Name"],
                "spark.glue.JOB_NAME": self.job["Name"],
                "spark.glue.JOB_RUN_ID": self.run_id,
                "spark.sql.warehouse.dir": (self.folder / "warehouse").as_uri(),
                "spark.submit.pyFiles": ",".join(str(path) for path in packages),
                **asked.properties,
            }
            environment |= jvm.begin(properties, self._stdout, self._stderr)
            if not jvm.alive:
                self._jvm_died()
        self._running_since = time.monotonic()
        with self.aws.store.transaction():
            if self._current_state() == "STARTING":
                self._update(JobRunState="RUNNING")
        process.order(
            script,
            [
                str(script),
                *job_arguments.script_arguments(
                    arguments,
                    JOB_ID=self.job["JobId"],
                    JOB_RUN_ID=self.run_id,
                    JOB_NAME=self.job["Name"],
                ),
            ],
            self.folder / "work",
            dict.fromkeys(path.parent if path.suffix == ".py" else path for path in packages),
            environment,
            self._stdout,
            self._stderr,
        )
        self.host.keep_process_ready()
        if not process.wait(self.run["Timeout"] * MINUTE):
            self.end("TIMEOUT", "Job run timed out")
        code, error = process.finish()
        lost = error is None or "Py4J" in error or "Connection" in error
        if code and lost and jvm is not None and jvm.ended(0.5):
            # The script met the dead JVM before the news of its death arrived here.
            self._jvm_died()
        with self._lock:
            self._process = None
            end = self._end
        if end is not None:
            # A run that was ended from outside must not write once it says so.
            if jvm is not None and not jvm.clean():
                jvm.kill()
            self._finish(*end)
        elif code == 0:
            self._finish("SUCCEEDED")
        elif error:
            self._finish("FAILED", error)
        elif code < 0:
            self._finish("FAILED", f"The script's process was killed by signal {-code}")
        else:
            self._finish("FAILED", f"Command failed with exit code {code}")

    def _jvm_died(self) -> None:
        self.end(
            "FAILED",
            "Spark's JVM ended while the job was running. If it ran out of memory, set"
            " LOCAL_AWS_SPARK_MEMORY to more than"
            f" {self.host.settings.memory} where the embedded AWS is started.",
        )

    # Files

    def _fetch_all(self, arguments: dict[str, str], asked: job_arguments.SparkRun) -> Path:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("work", "tmp", "python", "script"):
            (self.folder / name).mkdir(parents=True)
        location = arguments.get("--scriptLocation") or self.job["Command"]["ScriptLocation"]
        for each in asked.extra_py_files:
            self._fetch(each, self.folder / "python")
        for each in asked.extra_files:
            self._fetch(each, self.folder / "work")
        return self._fetch(location, self.folder / "script")

    def _fetch(self, location: str, folder: Path) -> Path:
        target = folder / _name(location)
        try:
            source = self.aws.s3.path(location)
        except AwsError as error:
            raise LaunchError(f"LAUNCH ERROR | {location}: {error.message}") from error
        if not source.is_file():
            raise LaunchError(f"LAUNCH ERROR | File {location} does not exist in S3")
        shutil.copyfile(source, target)
        return target

    # Logs and state

    def _stdout(self, lines: list[str]) -> None:
        self._write("output", lines)

    def _stderr(self, lines: list[str]) -> None:
        self._write("error", lines)

    def _write(self, channel: str, lines: list[str]) -> None:
        folder = self.folder.parent.parent / "runs" / self.run_id
        folder.mkdir(parents=True, exist_ok=True)
        name = "stdout.log" if channel == "output" else "stderr.log"
        with self._logs_lock, (folder / name).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))
        if "logs" in self.aws.services and not self.host.stopped:
            self.aws.logs.write(f"{self.run['LogGroupName']}/{channel}", self.run_id, lines)

    def _current_state(self) -> str:
        return (self.aws.store.get(RUN, self.key) or {}).get("JobRunState", "")

    def _update(self, **changes: Any) -> None:
        changes["LastModifiedOn"] = self.aws.now()
        self.run = self.aws.store.update(RUN, self.key, **changes)

    def _finish(self, state: str, message: str | None = None) -> None:
        seconds = self.seconds
        changes: dict[str, Any] = {
            "JobRunState": state,
            "CompletedOn": self.aws.now(),
            "ExecutionTime": seconds,
        }
        if message is not None:
            changes["ErrorMessage"] = message
        arguments = {**self.job.get("DefaultArguments", {}), **self.run.get("Arguments", {})}
        scaled = arguments.get("--enable-auto-scaling", "").lower() == "true"
        if self.run.get("ExecutionClass") == "FLEX" or scaled:
            changes["DPUSeconds"] = seconds * float(self.run["MaxCapacity"])
        shutil.rmtree(self.folder, ignore_errors=True)

        def note() -> None:
            self._update(**changes)
            self._done(self)

        with contextlib.suppress(Exception):
            self.aws.insist(note)


def _name(location: str) -> str:
    return location.rstrip("/").rpartition("/")[2]
