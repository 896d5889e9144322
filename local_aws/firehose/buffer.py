"""What is accepted and not yet in S3, in one SQLite file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from local_aws.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, arrived INTEGER NOT NULL,
    size INTEGER NOT NULL, data BLOB NOT NULL, source TEXT);
CREATE INDEX IF NOT EXISTS record_by_stream ON record (stream, id, size, arrived);
CREATE TABLE IF NOT EXISTS checkpoint (
    stream TEXT NOT NULL, shard INTEGER NOT NULL, after INTEGER NOT NULL,
    PRIMARY KEY (stream, shard)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delivery (
    stream TEXT PRIMARY KEY, last INTEGER NOT NULL, plan TEXT NOT NULL) WITHOUT ROWID;
"""


class Buffered(NamedTuple):
    """``arrived`` is milliseconds since 1970, UTC; ``source`` is where in Kinesis it was read."""

    id: int
    arrived: int
    data: bytes
    source: dict[str, Any] | None


class Waiting(NamedTuple):
    """A buffer's size in bytes, and when its oldest record arrived (None: it is empty)."""

    size: int
    oldest: int | None


class Buffer:
    """The buffered records of every delivery stream (by an id of its own), oldest first."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, stream: str, now: int, records: Sequence[bytes]) -> None:
        """Buffer what a client put."""
        with self._db.transaction() as db:
            db.executemany(
                "INSERT INTO record (stream, arrived, size, data) VALUES (?, ?, ?, ?)",
                ((stream, now, len(data), data) for data in records),
            )

    def add_from_shard(
        self,
        stream: str,
        shard: int,
        after: int,
        records: Iterable[tuple[int, bytes, dict[str, Any]]],
    ) -> None:
        """Buffer ``(arrived, data, source)`` of a shard, and how far it is read, in one step."""
        with self._db.transaction() as db:
            db.executemany(
                "INSERT INTO record (stream, arrived, size, data, source) VALUES (?, ?, ?, ?, ?)",
                (
                    (stream, arrived, len(data), data, json.dumps(source))
                    for arrived, data, source in records
                ),
            )
            db.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?)", (stream, shard, after))

    def set_checkpoint(self, stream: str, shard: int, after: int) -> None:
        self.add_from_shard(stream, shard, after, ())

    def checkpoints(self, stream: str) -> dict[int, int]:
        """The record of each shard after which to read on."""
        rows = self._db.rows("SELECT shard, after FROM checkpoint WHERE stream = ?", stream)
        return dict(rows)

    def waiting(self, stream: str) -> Waiting:
        return Waiting(
            *self._db.rows(
                "SELECT coalesce(sum(size), 0), min(arrived) FROM record WHERE stream = ?", stream
            )[0]
        )

    def take(self, stream: str, size: int, last: int | None = None) -> list[Buffered]:
        """The oldest records: up to ``last``, or until they have ``size`` bytes."""
        found, total = [], 0
        with self._db.transaction() as db:
            for number, arrived, data, source in db.execute(
                "SELECT id, arrived, data, source FROM record WHERE stream = ? AND id <= ?"
                " ORDER BY id",
                (stream, (1 << 62) if last is None else last),
            ):
                found.append(
                    Buffered(number, arrived, data, json.loads(source) if source else None)
                )
                total += len(data)
                if last is None and total >= size:
                    break
        return found

    def plan(self, stream: str, last: int, plan: dict[str, Any]) -> None:
        """Note what is about to be written, so that a repetition writes the same objects."""
        self._db.rows(
            "INSERT OR REPLACE INTO delivery VALUES (?, ?, ?)", stream, last, json.dumps(plan)
        )

    def planned(self, stream: str) -> tuple[int, dict[str, Any]] | None:
        """The last record's id and the plan of a delivery that was begun and not ended."""
        rows = self._db.rows("SELECT last, plan FROM delivery WHERE stream = ?", stream)
        return (rows[0][0], json.loads(rows[0][1])) if rows else None

    def give_up(self, stream: str) -> None:
        """Forget the plan; its records stay."""
        self._db.rows("DELETE FROM delivery WHERE stream = ?", stream)

    def delivered(self, stream: str, last: int) -> Waiting:
        """Delete records that are in S3, and the plan; what is left."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM record WHERE stream = ? AND id <= ?", (stream, last))
            db.execute("DELETE FROM delivery WHERE stream = ?", (stream,))
            return self.waiting(stream)

    def forget(self, stream: str) -> None:
        """Delete everything of a delivery stream."""
        with self._db.transaction() as db:
            for table in ("record", "checkpoint", "delivery"):
                db.execute(f"DELETE FROM {table} WHERE stream = ?", (stream,))  # noqa: S608
