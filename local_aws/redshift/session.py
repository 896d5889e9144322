"""One connection to a warehouse: its transaction, its temporary tables, its parameters."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb

from local_aws.redshift.compiler import Argument, Column, Compiler, Query, concrete
from local_aws.redshift.dialect import parse_one, split
from local_aws.redshift.errors import Cancelled, SqlError, of_duckdb
from local_aws.redshift.warehouse import View, Warehouse

if TYPE_CHECKING:
    from local_aws.instance import Instance
    from local_aws.redshift.statements import Statement

Rows = Callable[[int], list[tuple[Any, ...]]]


@dataclass
class Outcome:
    """What a statement gives: result columns with their rows, or a number of rows changed.

    ``count`` is -1 for a statement that changes no rows. ``rows(n)`` fetches up to n more.
    """

    columns: list[Column] | None = None
    rows: Rows | None = None
    count: int = -1
    messages: list[str] = field(default_factory=list)


Consumer = Callable[[Outcome], None]


class Session:
    """Runs statements one after another.

    A statement outside BEGIN commits by itself. ``batch()`` begins a transaction which the
    statements may end and begin anew, as psql's and the Data API's batches may.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        aws: Instance | None = None,
        spectrum: Callable[[Session], Any] | None = None,
        pid: int = 0,
    ) -> None:
        self.warehouse = warehouse
        self.aws = aws
        self.connection = warehouse.connection()
        self.view = View(warehouse, self.connection)
        self.view.pid = pid
        self.view.spectrum = spectrum(self) if spectrum else None
        self.cancelled = threading.Event()
        self.in_transaction = False
        self.explicit = False
        self.failed = False
        self.autocommit = True
        self.transaction_start = datetime.now(UTC)
        self.settings: dict[str, str] = {}
        self.query_id = 0
        self.busy = threading.Lock()
        self.after_commit: list[Callable[[], None]] = []
        self.arguments: Sequence[Argument] = ()
        self.terminate: Callable[[], None] = self.cancel
        """What PG_TERMINATE_BACKEND does to this session."""
        if pid:
            warehouse.sessions[pid] = self

    # -- transactions ----------------------------------------------------------------------

    def begin(self) -> None:
        self.connection.execute("BEGIN TRANSACTION")
        self.in_transaction, self.failed = True, False
        self.transaction_start = datetime.now(UTC)

    def commit(self) -> None:
        """End the transaction; one that failed is rolled back, as in PostgreSQL."""
        if self.failed:
            self.rollback()
            return
        try:
            self.connection.execute("COMMIT")
        except duckdb.Error as error:
            self.rollback()
            raise SqlError(of_duckdb(error)) from None
        self._ended()
        for action in self.after_commit:
            action()
        self.after_commit.clear()

    def rollback(self) -> None:
        with contextlib.suppress(duckdb.Error):  # DuckDB may have ended it itself
            self.connection.execute("ROLLBACK")
        self.after_commit.clear()
        self._ended()

    def _ended(self) -> None:
        self.in_transaction = self.explicit = self.failed = False
        self.warehouse.locks.release(self)

    def lock(self, names: Sequence[str]) -> None:
        """Become the only writer of tables (``schema.table``) until the transaction ends."""
        self.warehouse.locks.acquire(self, names, self.cancelled)

    def cancel(self) -> None:
        """Stop the statement that runs now."""
        self.cancelled.set()
        self.warehouse.locks.wake()
        with contextlib.suppress(duckdb.Error):  # the warehouse may be closed already
            self.connection.interrupt()

    def close(self) -> None:
        """End the session: what was not committed is lost, as are temporary tables."""
        self.warehouse.sessions.pop(self.view.pid, None)
        if self.in_transaction:
            self.rollback()
        self.warehouse.locks.release(self)
        with contextlib.suppress(duckdb.Error):
            self.connection.close()

    # -- statements ------------------------------------------------------------------------

    def execute(
        self, sql: str, consume: Consumer, parameters: dict[str, str] | None = None
    ) -> Outcome:
        """Run one statement; ``consume`` takes its rows before the transaction ends.

        Raises:
            SqlError: it fails, in Redshift's words. Cancelled: it was cancelled.
        """
        statement = self.read(sql)
        if statement is None:
            consume(Outcome())
            return Outcome()
        return self.perform(statement, consume, parameters)

    def read(self, sql: str) -> Statement | None:
        """The one statement of a text; None when there is none.

        Raises:
            SqlError: it is not one, and so the transaction has failed.
        """
        from local_aws.redshift import statements

        try:
            parts = split(sql)
            if len(parts) > 1:
                raise SqlError("cannot insert multiple commands into a prepared statement")
            return statements.read(parts[0]) if parts else None
        except SqlError:
            self.failed = self.in_transaction
            raise

    def describe(
        self, statement: Statement, arguments: Sequence[Argument] = ()
    ) -> list[Column] | None:
        """The columns of a statement's result, without running it; None when it has none.

        Raises:
            SqlError: it cannot be compiled, and so the transaction has failed.
        """
        if statement.columns is None:
            return None
        self._check_failed()
        self.arguments, self.view.describing = arguments, True
        try:
            return [_concrete(column) for column in statement.columns(self, {})]
        except BaseException as error:
            self._fail(not self.in_transaction)
            if isinstance(error, duckdb.Error):
                raise SqlError(of_duckdb(error)) from error
            raise
        finally:
            self.arguments, self.view.describing = (), False

    def _check_failed(self) -> None:
        if self.failed:
            raise SqlError(
                "current transaction is aborted, commands ignored until end of transaction block"
            )

    def perform(
        self,
        statement: Statement,
        consume: Consumer,
        parameters: dict[str, str] | None = None,
        arguments: Sequence[Argument] = (),
    ) -> Outcome:
        """Run a statement that was read: :meth:`execute`'s second half."""
        from local_aws.redshift import statements

        if self.cancelled.is_set():
            raise Cancelled
        if statement.controls:
            outcome = statement.run(self, parameters or {})
            consume(outcome)
            return outcome
        self._check_failed()
        own = self.autocommit = not self.in_transaction
        self.arguments = arguments
        try:
            if statement.alone and self.in_transaction:
                raise SqlError(f"{statement.word} cannot run inside a transaction block")
            if own:
                self.lock(statements.locks(statement, self))
                self.begin()
            outcome = statement.run(self, parameters or {})
            consume(outcome)
            if own or statement.commits:
                self.commit()
        except duckdb.InterruptException:
            self._fail(own)
            raise Cancelled from None
        except duckdb.Error as error:
            self._fail(own)
            raise SqlError(of_duckdb(error)) from error
        except BaseException:
            self._fail(own)
            raise
        finally:
            self.arguments = ()
        return outcome

    def _fail(self, own: bool) -> None:
        if own or not self.in_transaction:
            self.rollback()
        else:
            self.failed = True

    def compiler(self, parameters: dict[str, str] | None = None) -> Compiler:
        made = Compiler(self.view, parameters, datetime.now(UTC), self.transaction_start)
        made.arguments = self.arguments
        return made

    def query(self, sql: str, parameters: dict[str, str]) -> Outcome:
        """A SELECT."""
        compiled = self.compiler(parameters).query(parse_one(sql))
        return self.fetch(compiled)

    def fetch(self, query: Query) -> Outcome:
        self.run(query.sql)
        columns = [_concrete(column) for column in query.columns]
        return Outcome(columns, self.connection.fetchmany)

    def run(self, sql: str) -> duckdb.DuckDBPyConnection:
        """One DuckDB statement."""
        if self.cancelled.is_set():
            raise Cancelled
        return self.connection.execute(sql)

    def change(self, sql: str) -> Outcome:
        """An INSERT, UPDATE, DELETE or MERGE: how many rows it changed."""
        row = self.run(sql).fetchone()
        return Outcome(count=int(row[0]) if row else 0)


def _concrete(column: Column) -> Column:
    from dataclasses import replace

    return replace(column, type=concrete(column.type))
