"""Execution environments: the processes that handlers run in, warm between invocations."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""What AWS's own Python runtime brings along; a function's zip must hold everything else."""
INIT_SECONDS = 10.0
MEMORY_CHECK_SECONDS = 0.1
TAIL_BYTES = 4096
MAX_RESPONSE = 6_291_556


def make_runtime_folder(folder: Path) -> Path:
    """A folder with the runtime's packages alone, linked from where Python has them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"the Python package {name} is not installed")
        origin = Path(spec.origin)
        source = origin.parent if spec.submodule_search_locations else origin
        link = folder / source.name
        if link.is_symlink() and link.resolve() == source.resolve():
            continue
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return folder


@dataclass(frozen=True)
class Outcome:
    """What one invocation gave: a JSON payload, whether it is an error, the log's last 4 KB."""

    payload: str
    failed: bool
    tail: bytes


@dataclass(frozen=True)
class Settings:
    """What an execution environment is made of; a change of any makes a new environment.

    ``timeout`` in seconds, ``memory`` in MB, ``folder`` holds the unpacked code.
    """

    name: str
    arn: str
    handler: str
    folder: Path
    runtime: Path
    scratch: Path
    timeout: int
    memory: int
    log_group: str
    variables: Mapping[str, str]


class Environment:
    """One process with one handler loaded, one invocation at a time.

    Log lines go to ``write(stream, lines)`` as they come.
    """

    def __init__(self, settings: Settings, write: Callable[[str, Iterable[str]], None]) -> None:
        self.settings = settings
        self.idle_since = time.monotonic()
        self.stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[$LATEST]{uuid.uuid4().hex}"
        self._write = write
        self._tail = b""
        self._logging = threading.Lock()
        self._marks: set[str] = set()
        self._marked = threading.Condition()
        self._drained = False
        self._answers_left = b""
        self._init: dict[str, Any] | None = None
        self._memory = 0
        self._started = time.monotonic()
        self._init_seconds: float | None = None
        self._log([f"INIT_START Runtime Version: python:3.11.embedded\tVersion: {sys.version}"])
        self._spawn()

    def _spawn(self) -> None:
        settings = self.settings
        self._scratch = settings.scratch / uuid.uuid4().hex
        self._scratch.mkdir(parents=True)
        requests_in, self._requests = os.pipe()
        self._answers, answers_out = os.pipe()
        life_in, self._life = os.pipe()
        output_in, output_out = os.pipe()
        theirs = (requests_in, answers_out, life_in)
        variables = {
            **settings.variables,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "HOME": str(self._scratch),
            "TMPDIR": str(self._scratch),
            "LAMBDA_TASK_ROOT": str(settings.folder),
            "LAMBDA_RUNTIME_DIR": str(settings.runtime),
            "_HANDLER": settings.handler,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
            "AWS_LAMBDA_FUNCTION_NAME": settings.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": settings.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.stream,
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-X", "utf8", str(BOOTSTRAP), *map(str, theirs)],
                cwd=settings.folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output_out,
                stderr=output_out,
                pass_fds=theirs,
                start_new_session=True,
            )
        finally:
            for descriptor in (*theirs, output_out):
                os.close(descriptor)
        threading.Thread(
            target=self._read_output, args=(output_in,), name="lambda-output", daemon=True
        ).start()

    def invoke(self, request_id: str, payload: str, client_context: str | None = None) -> Outcome:
        """Run the handler once, and log it; the caller sees to it that no other call runs.

        An environment whose process is gone afterwards is not :attr:`usable`.
        """
        self._tail = b""
        first = self._init is None
        if first:
            self._init = self._receive(INIT_SECONDS + self.settings.timeout, "init")
            self._init_seconds = time.monotonic() - self._started
        self._log([f"START RequestId: {request_id} Version: $LATEST"])
        started = time.monotonic()
        error: dict[str, Any] | None
        result: str | None = None
        if self._init and self._init.get("error"):
            error = {**self._init["error"], "requestId": request_id}
            self.kill()
        elif self._init and self._init.get("lost"):
            error = self._lost(request_id, self._init["lost"])
        else:
            message = {
                "id": request_id,
                "arn": self.settings.arn,
                "payload": payload,
                "deadline": time.time() + self.settings.timeout,
                "client_context": client_context,
            }
            self._send(message)
            answer = self._receive(self.settings.timeout, request_id)
            result, error = answer.get("result"), answer.get("error")
            if answer.get("lost"):
                error = self._lost(request_id, answer["lost"])
            elif result is not None and len(result.encode()) > MAX_RESPONSE:
                error = {
                    "errorType": "Function.ResponseSizeTooLarge",
                    "errorMessage": "Response payload size exceeded maximum allowed payload size"
                    f" ({MAX_RESPONSE} bytes).",
                }
        self._report(request_id, time.monotonic() - started, first, error)
        body = json.dumps(error, ensure_ascii=False) if error else (result or "null")
        self.idle_since = time.monotonic()
        return Outcome(body, error is not None, self._tail[-TAIL_BYTES:])

    @property
    def usable(self) -> bool:
        return self._process.poll() is None

    def terminate(self) -> None:
        """End the process and everything that it started, from any thread."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process and give its resources back; only while no other thread invokes."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with self._marked:
            descriptors, self._requests, self._answers, self._life = (
                (self._requests, self._answers, self._life), -1, -1, -1,
            )  # fmt: skip
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError, OSError):
            while data:
                data = data[os.write(self._requests, data) :]

    def _receive(self, seconds: float, mark: str) -> dict[str, Any]:
        """The next answer; ``{"lost": why}`` after a time-out, or the process's end."""
        deadline = time.monotonic() + seconds
        chunks = [self._answers_left]
        why = ""
        while not why and b"\n" not in chunks[-1]:
            left = deadline - time.monotonic()
            if left <= 0:
                why = "timeout"
                break
            try:
                ready, _, _ = select.select(
                    [self._answers], [], [], min(left, MEMORY_CHECK_SECONDS)
                )
                chunk = os.read(self._answers, 1 << 20) if ready else None
            except (OSError, ValueError):
                chunk = b""
            if chunk:
                chunks.append(chunk)
            elif chunk == b"":
                why = "exit"
            elif self._resident() > self.settings.memory:
                why = "memory"
        if why:
            if why == "exit":
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(2)
                why = f"exit {self._process.returncode}"
            self.kill()
            self._await_mark("")
            return {"lost": why}
        line, _, self._answers_left = b"".join(chunks).partition(b"\n")
        answer = json.loads(line)
        self._memory = max(self._memory, answer["memory"])
        self._await_mark(mark)
        return answer

    def _resident(self) -> int:
        """The process's resident memory in MB; 0 when it is gone."""
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        resident = pages * os.sysconf("SC_PAGE_SIZE") >> 20
        self._memory = max(self._memory, resident)
        return resident

    def _lost(self, request_id: str, why: str) -> dict[str, Any]:
        if why == "timeout":
            text = f"Task timed out after {self.settings.timeout:.2f} seconds"
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
            self._log([f"{stamp}.000Z {request_id} {text}"])
            return {
                "errorType": "Sandbox.Timedout",
                "errorMessage": f"RequestId: {request_id} Error: {text}",
            }
        kind = "Runtime.ExitError"
        code = int(why.split()[1]) if why.startswith("exit ") else -signal.SIGKILL
        if code < 0:
            name = "killed" if code == -signal.SIGKILL else signal.Signals(-code).name
            text = f"Runtime exited with error: signal: {name}"
        elif code:
            text = f"Runtime exited with error: exit status {code}"
        else:
            text = "Runtime exited without providing a reason"
        if why == "memory":
            kind = "Runtime.OutOfMemory"
        self._log([f"RequestId: {request_id} Error: {text}", kind])
        return {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {text}"}

    def _report(
        self, request_id: str, seconds: float, first: bool, error: dict[str, Any] | None
    ) -> None:
        took = seconds * 1000
        initial = (self._init_seconds or 0) * 1000 if first else 0.0
        parts = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {took:.2f} ms",
            f"Billed Duration: {int(took + initial) + 1} ms",
            f"Memory Size: {self.settings.memory} MB",
            f"Max Memory Used: {min(self._memory, self.settings.memory)} MB",
        ]
        if first:
            parts.append(f"Init Duration: {initial:.2f} ms")
        if error and error["errorType"] == "Sandbox.Timedout":
            parts.append("Status: timeout")
        elif error:
            parts += ["Status: error", f"Error Type: {error['errorType']}"]
        self._log([f"END RequestId: {request_id}", "\t".join(parts)])

    def _log(self, lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in lines).encode(errors="replace")
        with self._logging:
            self._write(self.stream, lines)
            self._tail = (self._tail + text)[-TAIL_BYTES:]

    def _await_mark(self, mark: str) -> None:
        """Wait until everything written before the mark is logged (or the output's end)."""
        with self._marked:
            self._marked.wait_for(lambda: self._drained or mark in self._marks, 2)
            self._marks.discard(mark)

    def _read_output(self, output: int) -> None:
        left = b""
        while chunk := os.read(output, 1 << 16):
            *lines, left = (left + chunk).split(b"\n")
            self._take(lines)
        self._take([left] if left else [])
        os.close(output)
        with self._marked:
            self._drained = True
            self._marked.notify_all()

    def _take(self, lines: list[bytes]) -> None:
        text: list[str] = []
        marks: list[str] = []
        for line in lines:
            before, found, mark = line.partition(b"\0")
            if before or not found:
                text.append(before.decode(errors="replace").replace("\x1e", "\n"))
            if found:
                marks.append(mark.rstrip(b"\0").decode(errors="replace"))
        if text:
            self._log(text)
        with self._marked:
            self._marks.update(marks)
            self._marked.notify_all()
