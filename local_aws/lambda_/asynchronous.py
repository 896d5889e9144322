"""Asynchronous invocation: events on disk, retried, and dropped in the open.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from local_aws.service import AwsError

if TYPE_CHECKING:
    from local_aws.lambda_.engine import Lambda

EVENT = "lambda/event"
RETRY_SECONDS = (1.0, 2.0)
THREADS = 8
log = logging.getLogger("local_aws.lambda")


class AsyncInvocations:
    """Events waiting for their function. An event leaves the disk when it is done with."""

    def __init__(self, engine: Lambda) -> None:
        self._engine = engine
        self._store = engine.aws.store
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lambda-event")
        self._timers: set[threading.Timer] = set()
        self._stopped = False

    def accept(self, name: str, payload: str, client_context: str | None = None) -> str:
        """Put an event on disk, and see to it that the function gets it; its request id."""
        request_id = str(uuid.uuid4())
        now = self._engine.aws.now()
        self._store.put(
            EVENT,
            request_id,
            {
                "function": name,
                "payload": payload,
                "client_context": client_context,
                "accepted": now,
                "attempts": 0,
            },
        )
        self._submit(request_id)
        return request_id

    def resume(self) -> None:
        """Take up the events that were on disk when the server last ended."""
        waiting = self._store.list(EVENT)
        for request_id, _ in sorted(waiting, key=lambda item: item[1]["accepted"]):
            self._submit(request_id)

    def stop(self) -> None:
        self._stopped = True
        for timer in list(self._timers):
            timer.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _submit(self, request_id: str) -> None:
        if not self._stopped:
            self._threads.submit(self._attempt, request_id)

    def _later(self, request_id: str, seconds: float) -> None:
        def due() -> None:
            self._timers.discard(timer)
            self._submit(request_id)

        timer = threading.Timer(seconds, due)
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def _attempt(self, request_id: str) -> None:
        try:
            self._try(request_id)
        except Exception:
            if not self._stopped:
                log.exception("the event %s failed inside Lambda", request_id)
                self._later(request_id, RETRY_SECONDS[-1])

    def _try(self, request_id: str) -> None:
        event = self._store.get(EVENT, request_id)
        if event is None:
            return
        try:
            outcome = self._engine.run(
                event["function"],
                event["payload"],
                request_id,
                event["client_context"],
                throttle=False,
            )
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                self._store.delete(EVENT, request_id)
            elif not self._stopped:
                self._later(request_id, RETRY_SECONDS[-1])
            return
        if self._stopped:
            return
        attempts = event["attempts"] + 1
        if outcome.failed and attempts <= len(RETRY_SECONDS):
            self._store.update(EVENT, request_id, attempts=attempts)
            self._later(request_id, RETRY_SECONDS[attempts - 1])
            return
        if outcome.failed:
            self._drop(request_id, event, outcome.payload)
        self._store.delete(EVENT, request_id)

    def _drop(self, request_id: str, event: dict[str, Any], error: str) -> None:
        self._engine.drop_event(event["function"], request_id, event["payload"], error)
