"""Shards: which records they take, how many a second, and where readers stand in them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from dataclasses import dataclass

from local_aws.service import AwsError

KEYS = 1 << 128
RECORDS_PER_SECOND = 1000
BYTES_PER_SECOND = 1 << 20
ITERATOR_SECONDS = 300
_ORIGIN = 495 * 10**53
"""Sequence numbers have 56 digits, as on AWS."""


def shard_id(number: int) -> str:
    return f"shardId-{number:012d}"


def shard_number(name: str, count: int) -> int | None:
    """The number of a shard's id, or None when the stream has no such shard."""
    digits = name.removeprefix("shardId-")
    number = int(digits) if digits.isdigit() else count
    return number if number < count and shard_id(number) == name else None


def hash_range(number: int, count: int) -> tuple[int, int]:
    """The first and the last hash key of a shard."""
    return KEYS * number // count, KEYS * (number + 1) // count - 1


def shard_of(key: str, explicit: str | None, count: int) -> int:
    """The shard that takes a record, by its explicit hash key or its partition key's MD5."""
    if explicit is None:
        digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
        value = int.from_bytes(digest, "big")
    else:
        value = int(explicit)
    number = value * count // KEYS
    return number if value <= hash_range(number, count)[1] else number + 1


def sequence_number(record: int) -> str:
    return str(_ORIGIN + record)


def record_of(sequence: str) -> int:
    """The record's id that a sequence number stands for."""
    return max(int(sequence) - _ORIGIN, 0)


@dataclass(frozen=True)
class Iterator:
    """A reader's place: after which record of which shard, given out when (ms since 1970)."""

    stream: str
    shard: int
    after: int
    issued: int

    def encode(self) -> str:
        text = json.dumps([self.stream, self.shard, self.after, self.issued])
        return base64.b64encode(text.encode()).decode()

    @classmethod
    def decode(cls, text: str) -> Iterator:
        """
        Raises:
            AwsError: InvalidArgumentException.
        """
        try:
            stream, shard, after, issued = json.loads(base64.b64decode(text, validate=True))
            return cls(str(stream), int(shard), int(after), int(issued))
        except (ValueError, TypeError) as error:
            raise AwsError("InvalidArgumentException", "Invalid ShardIterator.") from error


class Throughput:
    """What each shard has left to take: 1,000 records and 1 MiB a second, saved up for a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: dict[tuple[str, int], tuple[float, float, float]] = {}

    def take(self, stream: str, shard: int, size: int) -> bool:
        """Whether the shard takes a record of this size now."""
        now = time.monotonic()
        full = (float(RECORDS_PER_SECOND), float(BYTES_PER_SECOND))
        with self._lock:
            records, room, then = self._left.get((stream, shard), (*full, now))
            records = min(full[0], records + (now - then) * RECORDS_PER_SECOND)
            room = min(full[1], room + (now - then) * BYTES_PER_SECOND)
            fits = records >= 1 and room >= min(size, BYTES_PER_SECOND)
            if fits:
                records, room = records - 1, room - size
            self._left[stream, shard] = (records, room, now)
        return fits
