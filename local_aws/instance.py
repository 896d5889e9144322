"""One running embedded AWS: its configuration, its state, its services."""

from __future__ import annotations

import importlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_aws.faults import Plan
from local_aws.service import Service
from local_aws.store import Store

if TYPE_CHECKING:
    from local_aws.logs.engine import Logs
    from local_aws.s3.engine import S3

RETRY_SECONDS = 1.0
log = logging.getLogger("local_aws.instance")

ENGINES = {
    "s3": "local_aws.s3.engine:S3",
    "logs": "local_aws.logs.engine:Logs",
    "sqs": "local_aws.sqs.engine:Sqs",
    "kinesis": "local_aws.kinesis.engine:Kinesis",
    "glue": "local_aws.glue.engine:Glue",
    "athena": "local_aws.athena.engine:Athena",
    "redshift-data": "local_aws.redshift.data:RedshiftData",
    "redshift-serverless": "local_aws.redshift.serverless:RedshiftServerless",
    "lambda": "local_aws.lambda_.engine:Lambda",
    "firehose": "local_aws.firehose.engine:Firehose",
    "cloudformation": "local_aws.cloudformation.engine:CloudFormation",
}
"""The services that the embedded AWS executes itself; moto serves some others."""


@dataclass(frozen=True)
class Config:
    """How one embedded AWS is set up.

    Attributes:
        state: the folder that holds everything which survives a restart.
        host, port: where it listens; port 0 takes a free one.
        wait_seconds: how long a Describe or Get call of something unfinished may wait for it.
        max_waiting: how many calls may wait at once; one more is answered as things stand.
        redshift_port: where PostgreSQL clients reach Redshift, on `host`; 0 takes a free port,
            None is not at all.
        faults: what requests meet on purpose, from the start; None is nothing.
    """

    state: Path
    host: str = "127.0.0.1"
    port: int = 0
    region: str = "us-east-1"
    account: str = "123456789012"
    wait_seconds: float = 20.0
    max_waiting: int = 48
    redshift_port: int | None = None
    faults: Plan | None = None


class Instance:
    """Services by name, the store they share, and the threads that work for them."""

    def __init__(self, config: Config, services: list[str] | None = None) -> None:
        self.config = config
        self.port = config.port
        config.state.mkdir(parents=True, exist_ok=True)
        self.store = Store(config.state / "aws.sqlite")
        self._workers = ThreadPoolExecutor(max_workers=32, thread_name_prefix="aws")
        self._stopped = threading.Event()
        self._waiting = threading.BoundedSemaphore(config.max_waiting)
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._clients_lock = threading.Lock()
        self.services: dict[str, Service] = {}
        for name in services or ENGINES:
            module, _, attribute = ENGINES[name].partition(":")
            self.services[name] = getattr(importlib.import_module(module), attribute)(self)

    @property
    def endpoint_url(self) -> str:
        """Where this machine's own clients find it."""
        host = self.config.host
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{self.port}"  # noqa: S104

    @property
    def s3(self) -> S3:
        return self.services["s3"]  # type: ignore[return-value]

    @property
    def logs(self) -> Logs:
        return self.services["logs"]  # type: ignore[return-value]

    def now(self) -> datetime:
        """The current time, UTC, to the millisecond as AWS gives it."""
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.config.region}:{self.config.account}:{resource}"

    def environment(self) -> dict[str, str]:
        """What a process needs to be a client of this AWS (job, handler, command)."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.config.region,
            "AWS_DEFAULT_REGION": self.config.region,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """A boto3 client of this very AWS, for engines that use another service.

        Each is made once: that takes longer than most calls.
        """
        import boto3

        with self._clients_lock:
            if self._session is None:
                self._session = boto3.Session(
                    aws_access_key_id="local",
                    aws_secret_access_key="local",  # noqa: S106
                    region_name=self.config.region,
                )
            key = (service, self.endpoint_url)
            if key not in self._clients:
                self._clients[key] = self._session.client(service, endpoint_url=self.endpoint_url)
            return self._clients[key]

    def background(self, work: Callable[..., Any], *args: Any) -> None:
        """Run ``work`` in a worker thread; it must handle its own errors."""
        self._workers.submit(work, *args)

    def insist(self, note: Callable[[], Any]) -> None:
        """Write down an end that somebody waits for: again and again while the disk is full.

        Gives up when the server stops: the next start finds what did not end.
        """
        while True:
            try:
                note()
                return
            except sqlite3.Error as error:
                log.warning("an end could not be written down: %s", error)
                if self._stopped.wait(RETRY_SECONDS):
                    return

    def wait_for(self, done: Callable[[], bool], seconds: float | None = None) -> None:
        """Hold a Describe or Get call until ``done()``, so that pollers see a change at once.

        Returns early after ``seconds`` (those of the configuration, unless the client asks for
        some), and at once when too many calls already wait.
        """
        if seconds is None:
            seconds = self.config.wait_seconds
        if seconds <= 0:
            return
        with self.waiting() as may_wait:
            if may_wait:
                self.store.wait(lambda: self.stopping() or done(), seconds)

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Whether a call may wait now; those that do are capped, so that others are served."""
        may_wait = self._waiting.acquire(blocking=False)
        try:
            yield may_wait
        finally:
            if may_wait:
                self._waiting.release()

    def start(self) -> None:
        for service in self.services.values():
            service.start()

    def stopping(self) -> bool:
        """Whether the server is about to stop, so that nothing is worth waiting for."""
        return self._stopped.is_set()

    def end_waits(self) -> None:
        """Have every call that waits answered as things stand."""
        self._stopped.set()
        self.store.wake()
        for service in self.services.values():
            service.wake()

    def stop(self) -> None:
        self._stopped.set()
        # The later ones use the earlier ones (S3, logs) until their own end.
        for service in reversed(self.services.values()):
            service.stop()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self.store.close()
