"""The records of every stream, in one SQLite file: on disk before they are acknowledged."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from local_aws.database import Database

LARGEST_READ = 10 << 20
_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, shard INTEGER NOT NULL,
    arrived INTEGER NOT NULL, key TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS record_by_shard ON record (stream, shard, id, arrived);
"""


class Record(NamedTuple):
    """``id`` grows with each record of any stream; ``arrived`` is milliseconds since 1970, UTC."""

    id: int
    arrived: int
    key: str
    data: bytes


class Records:
    """Records by stream (an id of the stream's own, not its name) and shard number."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA)
        rows = self._db.rows("SELECT seq FROM sqlite_sequence WHERE name = 'record'")
        self._last = rows[0][0] if rows else 0
        self.arrived = threading.Condition()
        """Notified after each append."""

    def close(self) -> None:
        self._db.close()

    def append(
        self, stream: str, now: int, records: Sequence[tuple[int, str, bytes]]
    ) -> Sequence[int]:
        """Write ``(shard, key, data)`` together; their ids, in order."""
        with self._db.lock:
            ids = range(self._last + 1, self._last + 1 + len(records))
            with self._db.transaction() as db:
                db.executemany(
                    "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        (number, stream, shard, now, key, data)
                        for number, (shard, key, data) in zip(ids, records, strict=True)
                    ),
                )
            self._last = ids[-1] if ids else self._last
        with self.arrived:
            self.arrived.notify_all()
        return ids

    def last(self) -> int:
        """The newest id of any stream."""
        return self._last

    def read(
        self, stream: str, shard: int, after: int, oldest: int, limit: int
    ) -> tuple[list[Record], int]:
        """Up to ``limit`` records, of 10 MiB at most, and how far behind the newest that is.

        Args:
            after: the id before the first that is wanted.
            oldest: the earliest arrival that is still kept.

        Returns:
            The records, and the milliseconds between the last of them and the newest of the
            shard; 0 when there is nothing after them.
        """
        found: list[Record] = []
        size = 0
        with self._db.lock, self._db.transaction() as db:
            cursor = db.execute(
                "SELECT id, arrived, key, data FROM record"
                " WHERE stream = ? AND shard = ? AND id > ? AND arrived >= ? ORDER BY id LIMIT ?",
                (stream, shard, after, oldest, limit),
            )
            for row in cursor:
                record = Record(*row)
                size += len(record.data) + len(record.key)
                if found and size > LARGEST_READ:
                    break
                found.append(record)
            if not found:
                return found, 0
            newest = db.execute(
                "SELECT arrived FROM record WHERE stream = ? AND shard = ?"
                " ORDER BY id DESC LIMIT 1",
                (stream, shard),
            ).fetchone()[0]
        return found, max(0, newest - found[-1].arrived)

    def before(self, stream: str, shard: int, moment: int) -> int:
        """The id after which the shard's records arrived at ``moment`` or later."""
        rows = self._db.rows(
            "SELECT id FROM record WHERE stream = ? AND shard = ? AND arrived >= ?"
            " ORDER BY id LIMIT 1",
            stream,
            shard,
            moment,
        )
        return rows[0][0] - 1 if rows else self._last

    def forget(self, stream: str, before: int | None = None) -> None:
        """Delete a stream's records, or those that arrived before a moment."""
        if before is None:
            self._db.rows("DELETE FROM record WHERE stream = ?", stream)
        else:
            self._db.rows("DELETE FROM record WHERE stream = ? AND arrived < ?", stream, before)
