"""One in-memory DuckDB for many short uses: opening one costs more than most queries."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import duckdb


class Database:
    """Connections to one DuckDB, which is opened at the first use.

    They share its threads and its memory limit; temporary tables belong to one connection.
    """

    def __init__(self, setup: Sequence[str] = (), **config: str) -> None:
        self._setup = setup
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            **config,
        }
        self._root: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own, in UTC; close it after use."""
        with self._lock:
            if self._root is None:
                root = duckdb.connect(config=self._config)
                for statement in self._setup:
                    root.execute(statement)
                self._root = root
            connection = self._root.cursor()
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def close(self) -> None:
        with self._lock:
            if self._root is not None:
                self._root.close()
                self._root = None
