"""Durable state: JSON documents in one SQLite file, and a way to wait for them to change."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from local_aws.database import Database

Document = dict[str, Any]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID
"""
_LAST = "\U0010ffff"
"""Sorts after every character of a key."""


def _encode(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$time": value.astimezone(UTC).isoformat()}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def _decode(value: Document) -> Any:
    if "$time" in value:
        return datetime.fromisoformat(value["$time"])
    if "$bytes" in value:
        return base64.b64decode(value["$bytes"])
    return value


class Store:
    """Documents by ``(kind, key)``; a kind is ``service/thing``, such as ``glue/table``.

    Every call is one transaction unless made inside :meth:`transaction`. A document that was
    written survives the death of the process (SQLite, write-ahead log). Documents are copies:
    changing one changes nothing until it is put back. Times (``datetime``, UTC) and bytes may
    stand anywhere in a document.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path, _SCHEMA)
        self._changed = threading.Condition(self._db.lock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written together or, on an exception, not at all."""
        with self._writing():
            yield

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._changed:
            with self._db.transaction() as db:
                yield db
            # Who waits gets the lock, and looks, when the outermost transaction has ended.
            self._changed.notify_all()

    def get(self, kind: str, key: str) -> Document | None:
        rows = self._db.rows("SELECT body FROM document WHERE kind = ? AND key = ?", kind, key)
        return json.loads(rows[0][0], object_hook=_decode) if rows else None

    def put(self, kind: str, key: str, document: Document) -> None:
        body = json.dumps(document, default=_encode, ensure_ascii=False)
        with self._writing() as db:
            db.execute(
                "INSERT INTO document VALUES (?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                (kind, key, body),
            )

    def update(self, kind: str, key: str, **changes: Any) -> Document:
        """Change some members of a document that exists, and return it."""
        with self.transaction():
            document = self.get(kind, key)
            if document is None:
                raise KeyError(f"{kind} {key}")
            document.update(changes)
            self.put(kind, key, document)
        return document

    def delete(self, kind: str, key: str) -> bool:
        with self._writing() as db:
            cursor = db.execute("DELETE FROM document WHERE kind = ? AND key = ?", (kind, key))
        return cursor.rowcount > 0

    def clear(self, kind: str, prefix: str) -> int:
        """Delete the documents of a kind whose key starts with ``prefix``; how many there were."""
        with self._writing() as db:
            cursor = db.execute(
                "DELETE FROM document WHERE kind = ? AND key >= ? AND key < ?",
                (kind, prefix, prefix + _LAST),
            )
        return cursor.rowcount

    def list(
        self, kind: str, prefix: str = "", after: str = "", limit: int = -1
    ) -> list[tuple[str, Document]]:
        """``(key, document)`` of a kind in key order.

        ``prefix`` narrows the keys; ``after`` and ``limit`` take one page of them.
        """
        rows = self._db.rows(
            "SELECT key, body FROM document"
            " WHERE kind = ? AND key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?",
            *(kind, prefix, prefix + _LAST, after, limit),
        )
        return [(key, json.loads(body, object_hook=_decode)) for key, body in rows]

    def keys(self, kind: str, prefix: str = "") -> tuple[str, ...]:
        """The keys of a kind that start with ``prefix``, in order, without their documents."""
        rows = self._db.rows(
            "SELECT key FROM document WHERE kind = ? AND key >= ? AND key < ? ORDER BY key",
            *(kind, prefix, prefix + _LAST),
        )
        return tuple(key for (key,) in rows)

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Block until ``done()`` holds after some write, at most ``seconds``; its last answer."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not done():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def wake(self) -> None:
        """Have everybody who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        self._db.close()
