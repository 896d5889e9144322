"""Airflow's metadata in SQLite, with several processes that write and no lost locks.

SQLite lets one connection write at a time and the others wait (`?timeout=` in the connection's
address), except one that has read in its transaction before it writes: when another has written
meanwhile it is refused at once, "database is locked", however long it would wait. Airflow begins
such transactions with a savepoint, before which Python's driver begins none. Here a savepoint
begins a transaction that means to write, and that waits.
https://www.sqlite.org/lang_transaction.html#deferred_immediate_and_exclusive_transactions

The write-ahead log lets readers read while one writes: https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, event


@event.listens_for(Engine, "connect")
def log_ahead(connection: Any, record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode=WAL")
        # What was written survives the death of every process; only a power cut loses the last.
        connection.execute("PRAGMA synchronous=NORMAL")


@event.listens_for(Engine, "savepoint")
def wait_for_the_lock(connection: Connection, name: str) -> None:
    driver = connection.connection.dbapi_connection
    if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
        driver.execute("BEGIN IMMEDIATE")
