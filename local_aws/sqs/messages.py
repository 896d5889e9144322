"""The messages of every queue, in one SQLite file: on disk before they are acknowledged."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message_id TEXT NOT NULL,
    body TEXT NOT NULL, rest TEXT NOT NULL, sent INTEGER NOT NULL, visible INTEGER NOT NULL,
    first INTEGER, received INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS message_by_queue ON message (queue, visible, id);
"""


@dataclass(frozen=True)
class Message:
    """A message as it stands; times are milliseconds since 1970, UTC.

    ``attributes`` are the sender's, with bytes as base64 text; ``system`` are those that SQS
    gives or takes (``AWSTraceHeader``, ``MessageGroupId``, ``DeadLetterQueueSourceArn``).
    ``received`` counts how often it was given out, ``first`` is when that began.
    """

    message_id: str
    body: str
    attributes: dict[str, Any] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    first: int | None = None
    received: int = 0
    id: int = 0

    @property
    def receipt(self) -> str:
        """The receipt handle of its last reception."""
        text = f"{self.id}:{self.received}:{self.message_id}"
        return base64.b64encode(text.encode()).decode()


@dataclass(frozen=True)
class Redrive:
    """Where messages go that were given out ``most`` times; ``source`` is the queue's ARN."""

    queue: str
    most: int
    source: str


def read_receipt(handle: str) -> tuple[int, int] | None:
    """The message's row and which reception a receipt handle is for, or None: it is none."""
    try:
        row, received, message_id = base64.b64decode(handle, validate=True).decode().split(":")
        return (int(row), int(received)) if message_id else None
    except (binascii.Error, ValueError):
        return None


class Messages:
    """Messages by queue (an id of the queue's own, not its name)."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA)

    def close(self) -> None:
        self._db.close()

    def add(self, queue: str, messages: Iterable[tuple[Message, int]]) -> None:
        """Write ``(message, visible from)`` together."""
        with self._db.transaction() as db:
            db.executemany(
                "INSERT INTO message (queue, message_id, body, rest, sent, visible)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (
                        queue,
                        message.message_id,
                        message.body,
                        json.dumps([message.attributes, message.system]),
                        message.sent,
                        visible,
                    )
                    for message, visible in messages
                ),
            )

    def receive(
        self, queue: str, now: int, hidden_until: int, most: int, redrive: Redrive | None
    ) -> tuple[list[Message], bool]:
        """Give out up to ``most`` messages; those given out too often move instead.

        Returns:
            The messages, and whether any moved to the dead-letter queue.
        """
        found: list[Message] = []
        any_moved = False
        with self._db.transaction() as db:
            while len(found) < most:
                rows = db.execute(
                    "SELECT message_id, body, rest, sent, first, received, id FROM message"
                    " WHERE queue = ? AND visible <= ? ORDER BY visible, id LIMIT ?",
                    (queue, now, most - len(found)),
                ).fetchall()
                if not rows:
                    break
                for message_id, body, rest, sent, first, received, row in rows:
                    attributes, system = json.loads(rest)
                    if redrive and received >= redrive.most:
                        system["DeadLetterQueueSourceArn"] = redrive.source
                        db.execute(
                            "UPDATE message SET queue = ?, visible = ?, rest = ? WHERE id = ?",
                            (redrive.queue, now, json.dumps([attributes, system]), row),
                        )
                        any_moved = True
                        continue
                    first = now if first is None else first
                    db.execute(
                        "UPDATE message SET visible = ?, first = ?, received = ? WHERE id = ?",
                        (hidden_until, first, received + 1, row),
                    )
                    found.append(
                        Message(
                            message_id, body, attributes, system, sent, first, received + 1, row
                        )
                    )
                if hidden_until <= now:
                    break  # or these would be found again
        return found, any_moved

    def delete(self, queue: str, receipts: Sequence[tuple[int, int]]) -> None:
        """Delete messages by ``(row, reception)``; one given out again since then stays."""
        with self._db.transaction() as db:
            db.executemany(
                "DELETE FROM message WHERE id = ? AND received = ? AND queue = ?",
                ((row, received, queue) for row, received in receipts),
            )

    def hide(self, queue: str, receipt: tuple[int, int], now: int, until: int) -> bool:
        """Change when a message is visible again; False if it is not in flight."""
        with self._db.transaction() as db:
            cursor = db.execute(
                "UPDATE message SET visible = ? WHERE id = ? AND received = ? AND queue = ?"
                " AND visible > ?",
                (until, *receipt, queue, now),
            )
        return cursor.rowcount > 0

    def next_visible(self, queue: str, now: int) -> int | None:
        """When the next message becomes visible that is not so now."""
        return self._db.value(
            "SELECT min(visible) FROM message WHERE queue = ? AND visible > ?", queue, now
        )

    def counts(self, queue: str, now: int) -> tuple[int, int, int]:
        """How many messages are visible, in flight and delayed."""
        return self._db.rows(
            "SELECT coalesce(sum(visible <= ?1), 0),"
            " coalesce(sum(visible > ?1 AND received > 0), 0),"
            " coalesce(sum(visible > ?1 AND received = 0), 0) FROM message WHERE queue = ?2",
            now,
            queue,
        )[0]

    def forget(self, queue: str, before: int | None = None) -> None:
        """Delete a queue's messages, or those that were sent before a moment."""
        if before is None:
            self._db.rows("DELETE FROM message WHERE queue = ?", queue)
        else:
            self._db.rows("DELETE FROM message WHERE queue = ? AND sent < ?", queue, before)
