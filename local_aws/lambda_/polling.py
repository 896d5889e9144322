"""A queue as an event source: its messages in batches to a function, and what comes of them.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from local_aws.service import AwsError
from local_aws.sqs.contents import attributes_digest, digest
from local_aws.sqs.messages import Message

if TYPE_CHECKING:
    from local_aws.lambda_.event_sources import EventSourceOperations
    from local_aws.sqs.engine import Sqs

POLLERS = 2
"""Batches of a mapping that run at once; AWS begins with five."""

RECEIVE_SECONDS = 20.0
PAUSE_SECONDS = 0.5
LARGEST_EVENT = 6_000_000
log = logging.getLogger("local_aws.lambda")


class Poller:
    """The threads of one enabled event source mapping."""

    def __init__(self, engine: EventSourceOperations, queues: Sqs, mapping: dict[str, Any]) -> None:
        self._engine = engine
        self._queues = queues
        self._mapping = mapping
        self._arn: str = mapping["source"]
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="lambda-poller", daemon=True)
            for _ in range(POLLERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Receive nothing more; a batch that runs is brought to its end."""
        self._over.set()
        self._queues.wake()

    def join(self, seconds: float) -> None:
        for thread in self._threads:
            thread.join(seconds)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._round()
            except AwsError as error:
                log.warning("the event source %s: %s", self._arn, error)
                self._over.wait(PAUSE_SECONDS)
            except Exception:
                log.exception("the event source %s failed", self._arn)
                self._over.wait(PAUSE_SECONDS)

    def _round(self) -> None:
        try:
            queue = self._queues.queue(self._arn.rpartition(":")[2])
        except AwsError:
            self._over.wait(PAUSE_SECONDS)  # the queue is gone, for now at least
            return
        messages = self._gather(queue)
        for batch in _batches(messages):
            if self._over.is_set():
                self._queues.hide(queue, batch, 0)
            else:
                self._invoke(queue, batch)

    def _gather(self, queue: dict[str, Any]) -> list[Message]:
        """A batch's worth of messages, or as many as come within the batching window.

        They stay hidden meanwhile; their visibility timeout counts from the end of it.
        """
        size, window = self._mapping["batch"], self._mapping["window"]
        hidden = int(self._queues.attribute(queue, "VisibilityTimeout"))
        receive = partial(
            self._queues.receive, queue, hidden=hidden + window, over=self._over.is_set
        )
        messages = receive(size, wait=RECEIVE_SECONDS)
        deadline = time.monotonic() + window
        while messages and len(messages) < size and not self._over.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            messages += receive(size - len(messages), wait=left)
        if window and messages:
            # It may have been changed during the wait.
            queue = self._queues.queue(self._arn.rpartition(":")[2])
            hidden = int(self._queues.attribute(queue, "VisibilityTimeout"))
            self._queues.hide(queue, messages, hidden)
        return messages

    def _invoke(self, queue: dict[str, Any], batch: list[Message]) -> None:
        event = json.dumps({"Records": [self._record(message) for message in batch]})
        try:
            outcome = self._engine.run(
                self._mapping["function"], event, str(uuid.uuid4()), throttle=False
            )
        except AwsError:
            if self._over.is_set():
                self._queues.hide(queue, batch, 0)
            raise
        if outcome.failed:
            failed = {message.message_id for message in batch}
            if self._over.is_set():
                self._queues.hide(queue, batch, 0)  # the server's end may have killed the handler
        else:
            failed = self._failures(outcome.payload, batch)
        good = [message for message in batch if message.message_id not in failed]
        self._queues.delete(queue, good)

    def _failures(self, payload: str, batch: list[Message]) -> set[str]:
        """The ids of the messages that the function reports as failed."""
        everything = {message.message_id for message in batch}
        if "ReportBatchItemFailures" not in self._mapping["responses"]:
            return set()
        answer = json.loads(payload)
        if not answer:
            return set()
        try:
            failures = answer.get("batchItemFailures") or []
            failed = {item["itemIdentifier"] for item in failures}
        except (AttributeError, KeyError, TypeError):
            failed = {""}
        if failed <= everything:
            return failed
        log.warning(
            "%s: the function's response is invalid, the whole batch failed: %.500s",
            self._arn,
            payload,
        )
        return everything

    def _record(self, message: Message) -> dict[str, Any]:
        record = {
            "messageId": message.message_id,
            "receiptHandle": message.receipt,
            "body": message.body,
            "attributes": self._queues.system_attributes(message),
            "messageAttributes": {
                name: {
                    **({"stringValue": value["StringValue"]} if "StringValue" in value else {}),
                    **({"binaryValue": value["BinaryValue"]} if "BinaryValue" in value else {}),
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": value["DataType"],
                }
                for name, value in message.attributes.items()
            },
            "md5OfBody": digest(message.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": self._arn.split(":")[3],
        }
        if message.attributes:
            record["md5OfMessageAttributes"] = attributes_digest(message.attributes)
        return record


def _batches(messages: list[Message]) -> Iterator[list[Message]]:
    """Messages as far as they fit into one event."""
    batch: list[Message] = []
    size = 0
    for message in messages:
        # As JSON in JSON, with the record's other members.
        length = len(json.dumps(message.body)) + len(json.dumps(message.attributes)) + 1000
        if batch and size + length > LARGEST_EVENT:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch
