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

Document = dict[str, Any]
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
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS document ("
            " kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)"
            ") WITHOUT ROWID"
        )
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written together or, on an exception, not at all."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if outermost:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if outermost:
                self._db.execute("COMMIT")
                self._changed.notify_all()

    def get(self, kind: str, key: str) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM document WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        return json.loads(row[0], object_hook=_decode) if row else None

    def put(self, kind: str, key: str, document: Document) -> None:
        body = json.dumps(document, default=_encode, ensure_ascii=False)
        with self.transaction():
            self._db.execute(
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
        with self.transaction():
            cursor = self._db.execute(
                "DELETE FROM document WHERE kind = ? AND key = ?", (kind, key)
            )
        return cursor.rowcount > 0

    def clear(self, kind: str, prefix: str) -> int:
        """Delete the documents of a kind whose key starts with ``prefix``; how many there were."""
        with self.transaction():
            cursor = self._db.execute(
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
        with self._lock:
            rows = self._db.execute(
                "SELECT key, body FROM document"
                " WHERE kind = ? AND key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?",
                (kind, prefix, prefix + _LAST, after, limit),
            ).fetchall()
        return [(key, json.loads(body, object_hook=_decode)) for key, body in rows]

    def keys(self, kind: str, prefix: str = "") -> tuple[str, ...]:
        """The keys of a kind that start with ``prefix``, in order, without their documents."""
        with self._lock:
            rows = self._db.execute(
                "SELECT key FROM document WHERE kind = ? AND key >= ? AND key < ? ORDER BY key",
                (kind, prefix, prefix + _LAST),
            ).fetchall()
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

    def close(self) -> None:
        with self._lock:
            self._db.close()
