"""Log events on disk: one SQLite file of groups, streams and events, cheap for many lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.database import Database

DAY = 86_400_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS log_group (
    name TEXT PRIMARY KEY, created INTEGER NOT NULL, retention INTEGER, tags TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT, log_group TEXT NOT NULL, name TEXT NOT NULL,
    created INTEGER NOT NULL, first INTEGER, last INTEGER, ingested INTEGER,
    bytes INTEGER NOT NULL DEFAULT 0, UNIQUE (log_group, name));
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL, at INTEGER NOT NULL,
    ingested INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_by_stream ON event (stream, at, id);
"""


@dataclass(frozen=True)
class Event:
    """One line of a stream; ``at`` and ``ingested`` are milliseconds since 1970, UTC."""

    id: int
    stream: str
    at: int
    ingested: int
    message: str

    @property
    def position(self) -> tuple[int, int]:
        """Where the event stands in its group: by time, then by arrival."""
        return (self.at, self.id)


class Events:
    """Groups, streams and events. Every method is one transaction; all are thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._db = Database(folder / "events.sqlite", _SCHEMA)

    def create_group(self, name: str, now: int, tags: dict[str, str] | None = None) -> bool:
        """Whether the group is new."""
        with self._db.transaction() as db:
            cursor = db.execute(
                "INSERT OR IGNORE INTO log_group VALUES (?, ?, NULL, ?)",
                (name, now, json.dumps(tags or {})),
            )
            return cursor.rowcount > 0

    def create_stream(self, group: str, name: str, now: int) -> bool:
        """Whether the stream is new."""
        with self._db.transaction() as db:
            cursor = db.execute(
                "INSERT OR IGNORE INTO stream (log_group, name, created) VALUES (?, ?, ?)",
                (group, name, now),
            )
            return cursor.rowcount > 0

    def group(self, name: str) -> dict[str, Any] | None:
        found = self.groups("log_group.name = ?", (name,))
        return found[0] if found else None

    def groups(self, where: str = "1", values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        rows = self._db.rows(
            "SELECT log_group.*, coalesce(sum(stream.bytes), 0) AS bytes FROM log_group"  # noqa: S608
            " LEFT JOIN stream ON stream.log_group = log_group.name"
            f" WHERE {where} GROUP BY log_group.name ORDER BY log_group.name",
            *values,
        )
        return [{**dict(row), "tags": json.loads(row["tags"])} for row in rows]

    def streams(self, group: str) -> list[dict[str, Any]]:
        """The group's streams by name."""
        rows = self._db.rows("SELECT * FROM stream WHERE log_group = ? ORDER BY name", group)
        return [dict(row) for row in rows]

    def set_retention(self, group: str, days: int | None) -> None:
        with self._db.transaction() as db:
            db.execute("UPDATE log_group SET retention = ? WHERE name = ?", (days, group))

    def set_tags(self, group: str, tags: dict[str, str]) -> None:
        with self._db.transaction() as db:
            db.execute("UPDATE log_group SET tags = ? WHERE name = ?", (json.dumps(tags), group))

    def delete_stream(self, group: str, name: str) -> bool:
        """Whether there was such a stream."""
        with self._db.transaction() as db:
            db.execute(
                "DELETE FROM event WHERE stream ="
                " (SELECT id FROM stream WHERE log_group = ? AND name = ?)",
                (group, name),
            )
            cursor = db.execute(
                "DELETE FROM stream WHERE log_group = ? AND name = ?", (group, name)
            )
            return cursor.rowcount > 0

    def delete_group(self, group: str) -> bool:
        """Whether there was such a group."""
        with self._db.transaction() as db:
            db.execute(
                "DELETE FROM event WHERE stream IN (SELECT id FROM stream WHERE log_group = ?)",
                (group,),
            )
            db.execute("DELETE FROM stream WHERE log_group = ?", (group,))
            return db.execute("DELETE FROM log_group WHERE name = ?", (group,)).rowcount > 0

    def append(self, group: str, stream: str, events: Iterable[tuple[int, str]], now: int) -> None:
        """Write ``(milliseconds, message)`` to a stream; it and its group appear if missing."""
        rows = list(events)
        with self._db.transaction() as db:
            db.execute("INSERT OR IGNORE INTO log_group VALUES (?, ?, NULL, '{}')", (group, now))
            db.execute(
                "INSERT OR IGNORE INTO stream (log_group, name, created) VALUES (?, ?, ?)",
                (group, stream, now),
            )
            if not rows:
                return
            (number,) = db.execute(
                "SELECT id FROM stream WHERE log_group = ? AND name = ?", (group, stream)
            ).fetchone()
            db.executemany(
                "INSERT INTO event (stream, at, ingested, message) VALUES (?, ?, ?, ?)",
                [(number, at, now, message) for at, message in rows],
            )
            first, last = min(at for at, _ in rows), max(at for at, _ in rows)
            size = sum(len(message.encode(errors="replace")) + 26 for _, message in rows)
            db.execute(
                "UPDATE stream SET first = min(coalesce(first, ?1), ?1),"
                " last = max(coalesce(last, ?2), ?2), ingested = ?3, bytes = bytes + ?4"
                " WHERE id = ?5",
                (first, last, now, size, number),
            )

    def read(
        self,
        streams: Sequence[int],
        *,
        since: int | None = None,
        before: int | None = None,
        after: tuple[int, int] | None = None,
        until: tuple[int, int] | None = None,
        backwards: bool = False,
        limit: int,
    ) -> list[Event]:
        """Events of the streams (by id), oldest first, at most ``limit``.

        Args:
            since, before: times in milliseconds, from inclusive, to exclusive.
            after, until: positions of events, both exclusive.
            backwards: take the last ``limit`` events instead of the first.
        """
        where = [f"stream.id IN ({', '.join('?' * len(streams))})"]
        values: list[Any] = [*streams]
        if since is not None:
            where.append("event.at >= ?")
            values.append(since)
        if before is not None:
            where.append("event.at < ?")
            values.append(before)
        if after is not None:
            where.append("(event.at, event.id) > (?, ?)")
            values.extend(after)
        if until is not None:
            where.append("(event.at, event.id) < (?, ?)")
            values.extend(until)
        order = "DESC" if backwards else "ASC"
        rows = self._db.rows(
            "SELECT event.id, stream.name, event.at, event.ingested, event.message"  # noqa: S608
            " FROM event JOIN stream ON stream.id = event.stream"
            f" WHERE {' AND '.join(where)}"
            f" ORDER BY event.at {order}, event.id {order} LIMIT ?",
            *values,
            limit,
        )
        events = [Event(*row) for row in rows]
        return events[::-1] if backwards else events

    def expire(self, now: int) -> None:
        """Delete what is older than its group's retention."""
        with self._db.transaction() as db:
            db.execute(
                "DELETE FROM event WHERE id IN (SELECT event.id FROM event"
                " JOIN stream ON stream.id = event.stream"
                " JOIN log_group ON log_group.name = stream.log_group"
                " WHERE log_group.retention IS NOT NULL"
                " AND event.at < ? - log_group.retention * ?)",
                (now, DAY),
            )

    def close(self) -> None:
        self._db.close()
