"""A SQLite file: the store's, and those of engines that have too much, or too quick, for it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Database:
    """One connection, shared by threads under a lock.

    What a transaction wrote survives the death of the process (write-ahead log); nothing is
    flushed to the disk's platters at each commit, so that a power cut may lose the last ones.
    """

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(schema)
        self.lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is written together or, on an exception, not at all.

        A transaction inside another is a part of it.
        """
        with self.lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite has undone it itself when the disk is full
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """One statement, and its rows: their values by position or name."""
        with self.lock:
            return self._db.execute(sql, values).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        """The first column of a statement's only row."""
        return self.rows(sql, *values)[0][0]

    def close(self) -> None:
        with self.lock:
            self._db.close()
