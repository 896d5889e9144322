"""Warm execution environments: a few for each function, reused while nothing changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from local_aws.lambda_.environments import Environment, Settings
from local_aws.service import AwsError

MOST_ENVIRONMENTS = 4
IDLE_SECONDS = 300.0
log = logging.getLogger("local_aws.lambda")


class Pool:
    """Gives out environments, one invocation each at a time; thread-safe."""

    def __init__(self, write: Callable[[str, str, Iterable[str]], None]) -> None:
        self._write = write
        self._changed = threading.Condition()
        self._idle: dict[str, list[tuple[str, Environment]]] = {}
        self._busy: dict[str, list[Environment]] = {}
        self._starting: dict[str, int] = {}
        self._current: dict[str, str] = {}
        self._stopped = False

    @contextmanager
    def environment(
        self,
        name: str,
        settings: Settings,
        revision: str,
        reserved: int | None,
        throttle: bool,
    ) -> Iterator[Environment]:
        """An environment of a function's revision, kept warm afterwards.

        Args:
            reserved: the function's reserved concurrency. With ``throttle`` a call beyond it is
                refused; otherwise it waits its turn.
        """
        environment = self._take(name, settings, revision, reserved, throttle)
        try:
            yield environment
        finally:
            self._give_back(name, revision, environment)

    def _take(
        self,
        name: str,
        settings: Settings,
        revision: str,
        reserved: int | None,
        throttle: bool,
    ) -> Environment:
        most = MOST_ENVIRONMENTS if reserved is None else min(reserved, MOST_ENVIRONMENTS)
        with self._changed:
            self._current[name] = revision
            while True:
                if self._stopped:
                    raise AwsError("ServiceException", "The server is stopping.", Type="Service")
                busy = len(self._busy.get(name, ())) + self._starting.get(name, 0)
                if busy < most:
                    break
                if reserved is not None and busy >= reserved and (throttle or reserved == 0):
                    raise AwsError(
                        "TooManyRequestsException",
                        "Rate Exceeded.",
                        Type="User",
                        Reason="ReservedFunctionConcurrentInvocationLimitExceeded",
                    )
                self._changed.wait()
            self._reap()
            environment = self._idle_one(name, revision)
            if environment:
                self._busy.setdefault(name, []).append(environment)
                return environment
            self._starting[name] = self._starting.get(name, 0) + 1
        try:
            environment = Environment(settings, partial(self._log, settings.log_group))
        finally:
            with self._changed:
                self._starting[name] -= 1
                self._changed.notify_all()
        with self._changed:
            self._busy.setdefault(name, []).append(environment)
        return environment

    def _log(self, group: str, stream: str, lines: Iterable[str]) -> None:
        try:
            self._write(group, stream, lines)
        except Exception:
            # A handler does not fail for its log. At the server's end its last words have
            # nowhere to go.
            if not self._stopped:
                log.exception("output for %s was lost", group)

    def _idle_one(self, name: str, revision: str) -> Environment | None:
        waiting = self._idle.get(name, [])
        while waiting:
            its_revision, environment = waiting.pop()
            if its_revision == revision and environment.usable:
                return environment
            environment.kill()
        return None

    def _give_back(self, name: str, revision: str, environment: Environment) -> None:
        with self._changed:
            self._busy[name].remove(environment)
            keep = environment.usable and not self._stopped and self._current.get(name) == revision
            if keep:
                self._idle.setdefault(name, []).append((revision, environment))
            self._changed.notify_all()
        if not keep:
            environment.kill()

    def _reap(self) -> None:
        oldest = time.monotonic() - IDLE_SECONDS
        for name, waiting in self._idle.items():
            kept: list[Any] = []
            for revision, environment in waiting:
                if environment.idle_since < oldest:
                    environment.kill()
                else:
                    kept.append((revision, environment))
            self._idle[name] = kept

    def discard(self, name: str, keep: str | None = None) -> None:
        """End a function's idle environments; busy ones end when their invocation does."""
        with self._changed:
            if keep is None:
                self._current.pop(name, None)
            else:
                self._current[name] = keep
            gone = self._idle.pop(name, [])
        for _, environment in gone:
            environment.kill()

    def stop(self) -> None:
        """End every environment, whatever it is doing."""
        with self._changed:
            self._stopped = True
            idle = [item for waiting in self._idle.values() for _, item in waiting]
            busy = [item for running in self._busy.values() for item in running]
            self._idle.clear()
            self._changed.notify_all()
        for environment in idle:
            environment.kill()
        for environment in busy:
            environment.terminate()
