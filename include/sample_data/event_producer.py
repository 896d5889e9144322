"""Sends events, one JSON object a line, through one of the two doors of the clickstream.

    python -m include.sample_data.event_producer --from FILE.jsonl --door kinesis [--rate 500]

`kinesis` puts records into a data stream, `sqs` sends messages to a queue; both in batches, several
at a time. What a service could not take just now (its answer says which records) is sent again
alone, with pauses; a record that it refuses for good (too large, say) is counted with the service's
own words, the others of its batch are sent all the same. Delivery is at least once: where an answer
is lost, boto3 sends the batch again.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

STREAM = QUEUE = "madrugada-clickstream"
DOORS = ("kinesis", "sqs")
ATTEMPTS = 10
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
SHOWN = 5

Line = tuple[int, str]
"""A line and its number, from 1."""


class ProducerError(Exception):
    """The events cannot be sent; the message says what is known of those that were."""


@dataclass(frozen=True)
class Answer:
    """What became of a batch: what to send again, and what was refused, with the reason."""

    again: Sequence[Line] = ()
    refused: Sequence[tuple[int, str]] = ()
    why: str = ""


@dataclass
class Sent:
    """How many lines were accepted, blank and sent again; and those refused, with the reason."""

    accepted: int = 0
    blank: int = 0
    again: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)

    @property
    def lines(self) -> int:
        return self.accepted + self.blank + len(self.refused)


class Kinesis:
    """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html"""

    most_records, most_bytes, at_once = 500, 4 << 20, 4

    def __init__(self, client: Any, stream: str = STREAM) -> None:
        self.client, self.stream = client, stream

    def send(self, batch: Sequence[Line]) -> Answer:
        records = [
            {
                "Data": text.encode(),
                "PartitionKey": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
            }
            for _, text in batch
        ]
        answer = self.client.put_records(StreamName=self.stream, Records=records)
        if not answer["FailedRecordCount"]:
            return Answer()
        failed = [
            (line, said)
            for line, said in zip(batch, answer["Records"], strict=True)
            if "ErrorCode" in said
        ]
        why = f"{failed[0][1]['ErrorCode']}: {failed[0][1].get('ErrorMessage', '')}"
        return Answer(again=[line for line, _ in failed], why=why)


class Sqs:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html"""

    most_records, most_bytes, at_once = 10, 240 << 10, 8

    def __init__(self, client: Any, queue: str = QUEUE) -> None:
        self.client = client
        self.url = client.get_queue_url(QueueName=queue)["QueueUrl"]

    def send(self, batch: Sequence[Line]) -> Answer:
        entries = [{"Id": str(n), "MessageBody": text} for n, (_, text) in enumerate(batch)]
        answer = self.client.send_message_batch(QueueUrl=self.url, Entries=entries)
        again, refused, why = [], [], ""
        for failed in answer.get("Failed", ()):
            line = batch[int(failed["Id"])]
            said = f"{failed['Code']}: {failed.get('Message', '')}"
            if failed["SenderFault"]:
                refused.append((line[0], said))
            else:
                again.append(line)
                why = said
        return Answer(again, refused, why)


class Producer:
    """Sends lines through a door; `progress` is told of every batch how many lines are done."""

    def __init__(
        self,
        door: Kinesis | Sqs,
        rate: float | None = None,
        progress: Callable[[int], None] = lambda lines: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.door, self.rate, self.progress, self.sleep = door, rate, progress, sleep
        self.sent = Sent()
        self._lock = threading.Lock()

    def run(self, lines: Iterable[str]) -> Sent:
        """Sends everything, in no particular order.

        :raises ProducerError: the service took nothing for long, or is not there.
        """
        started = time.monotonic()
        begun = 0
        waiting: list[Future[None]] = []
        with ThreadPoolExecutor(self.door.at_once) as pool:
            try:
                for batch in self._batches(lines):
                    if self.rate:
                        begun += len(batch)
                        self.sleep(max(0.0, started + begun / self.rate - time.monotonic()))
                    waiting.append(pool.submit(self._deliver, batch))
                    if len(waiting) > 2 * self.door.at_once:
                        waiting.pop(0).result()
                for future in waiting:
                    future.result()
            except (ClientError, BotoCoreError) as error:
                raise ProducerError(
                    f"{self.sent.accepted} events were accepted before this: {error}"
                ) from error
            finally:
                for future in waiting:
                    future.cancel()
        return self.sent

    def _batches(self, lines: Iterable[str]) -> Iterator[list[Line]]:
        # At a low rate, small batches: ten a second.
        most = self.door.most_records
        if self.rate:
            most = max(1, min(most, int(self.rate / 10)))
        batch: list[Line] = []
        size = 0
        for number, raw in enumerate(lines, 1):
            text = raw.rstrip("\r\n")
            if not text.strip():
                with self._lock:
                    self.sent.blank += 1
                continue
            weight = len(text.encode()) + 32
            if batch and (len(batch) == most or size + weight > self.door.most_bytes):
                yield batch
                batch, size = [], 0
            batch.append((number, text))
            size += weight
        if batch:
            yield batch

    def _deliver(self, batch: Sequence[Line]) -> None:
        pause = FIRST_PAUSE
        for _ in range(ATTEMPTS):
            try:
                answer = self.door.send(batch)
            except ClientError as error:
                if not _refuses_the_batch(error):
                    raise
                self._deliver_apart(batch, error)
                return
            with self._lock:
                done = len(batch) - len(answer.again)
                self.sent.accepted += done - len(answer.refused)
                self.sent.refused += answer.refused
                self.sent.again += len(answer.again)
            self.progress(done)
            if not answer.again:
                return
            batch = answer.again
            self.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise ProducerError(
            f"{len(batch)} events were not accepted in {ATTEMPTS} attempts: {answer.why}"
        )

    def _deliver_apart(self, batch: Sequence[Line], error: ClientError) -> None:
        """One bad record makes the service refuse the whole batch: it is found by halving."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._deliver(batch[:middle])
            self._deliver(batch[middle:])
            return
        said = error.response["Error"]
        with self._lock:
            self.sent.refused.append((batch[0][0], f"{said['Code']}: {said.get('Message', '')}"))
        self.progress(1)


def _refuses_the_batch(error: ClientError) -> bool:
    """Whether it is what was sent that is wrong, and not where it was sent or how often."""
    return error.response["Error"]["Code"].rpartition(".")[2] in (
        "ValidationException",
        "InvalidArgumentException",
        "BatchRequestTooLong",
        "InvalidMessageContents",
        "InvalidParameterValue",
    )


def open_door(name: str, session: Any = boto3, **client: Any) -> Kinesis | Sqs:
    """:raises ProducerError: no such door, or no such queue."""
    if name not in DOORS:
        raise ProducerError(f"door: expected {' or '.join(DOORS)}, found {name!r}")
    try:
        service = session.client(name, **client)
        return Kinesis(service) if name == "kinesis" else Sqs(service)
    except ClientError as error:
        raise ProducerError(f"the queue {QUEUE} cannot be found: {error}") from error


def report(sent: Sent, seconds: float) -> str:
    """What became of the lines, in words."""
    words = [f"{sent.accepted:,} events accepted in {seconds:.1f} s"]
    if sent.again:
        words.append(f"{sent.again:,} of them sent again")
    if sent.blank:
        words.append(f"{sent.blank:,} blank lines left out")
    said = ", ".join(words)
    for number, reason in sorted(sent.refused)[:SHOWN]:
        said += f"\nline {number} was refused: {reason}"
    if len(sent.refused) > SHOWN:
        said += f"\n... and {len(sent.refused) - SHOWN:,} more"
    return said


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m include.sample_data.event_producer",
        description="Send events, one JSON object a line, into the clickstream.",
    )
    parser.add_argument("--from", dest="file", type=Path, required=True, metavar="FILE.jsonl")
    parser.add_argument("--door", choices=DOORS, default="kinesis")
    parser.add_argument("--rate", type=float, help="events a second; as fast as it goes by default")
    arguments = parser.parse_args(argv)
    started = time.monotonic()
    try:
        with arguments.file.open(encoding="utf-8") as lines:
            sent = Producer(open_door(arguments.door), arguments.rate).run(lines)
    except (ProducerError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(report(sent, time.monotonic() - started))
    return 1 if sent.refused else 0


if __name__ == "__main__":
    raise SystemExit(main())
