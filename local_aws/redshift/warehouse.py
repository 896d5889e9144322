"""One Redshift database: a DuckDB file, its catalog, and the locks on its tables.

What Redshift knows of a table and DuckDB does not (types in Redshift's terms, defaults, keys that
are not enforced, distribution and sort keys, comments, the text of views) stands as JSON in
DuckDB's own comments on tables and columns. So it is written, renamed, dropped and rolled back
in the very transaction that changes the table.
"""

# SQL is put together here from quoted names and compiled expressions only.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from local_aws.redshift import types as t
from local_aws.redshift.compiler import Column, Relation, quote, text
from local_aws.redshift.errors import Cancelled, SqlError, Unsupported
from local_aws.redshift.macros import MACROS

if TYPE_CHECKING:
    from local_aws.redshift.session import Session

INTERNAL = "_rs"
HIDDEN_SCHEMAS = ("main", "information_schema", "pg_catalog", INTERNAL)
SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET Calendar = 'gregorian'",
)


class Locks:
    """One writer per table at a time; the others wait, as Redshift's writers do.

    https://docs.aws.amazon.com/redshift/latest/dg/c_write_readwrite.html
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owners: dict[str, object] = {}
        self._waiting: dict[object, str] = {}

    def acquire(self, owner: object, names: Iterable[str], cancelled: threading.Event) -> None:
        """Take every lock, in name order, so that two statements never wait for each other.

        Raises:
            SqlError: two transactions wait for each other. Cancelled: while it waited.
        """
        with self._changed:
            for name in sorted(set(names)):
                while self._owners.get(name, owner) is not owner:
                    self._waiting[owner] = name
                    try:
                        if self._deadlocked(owner):
                            raise SqlError("deadlock detected")
                        if cancelled.is_set():
                            raise Cancelled
                        self._changed.wait(0.5)
                    finally:
                        self._waiting.pop(owner, None)
                self._owners[name] = owner

    def _deadlocked(self, owner: object) -> bool:
        seen: set[int] = set()
        at: object = owner
        while at in self._waiting:
            at = self._owners.get(self._waiting[at])
            if at is owner:
                return True
            if at is None or id(at) in seen:
                return False
            seen.add(id(at))
        return False

    def release(self, owner: object) -> None:
        with self._changed:
            for name in [name for name, holder in self._owners.items() if holder is owner]:
                del self._owners[name]
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Warehouse:
    """One database of one workgroup, opened once in this process."""

    def __init__(self, path: Path, database: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.database = database
        self.locks = Locks()
        self.sessions: dict[int, Session] = {}
        """The sessions that have a process id (PG_BACKEND_PID), by it."""
        self._db = duckdb.connect(str(path))
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        """What every warehouse file carries: schemas, Redshift's own tables, macros."""
        for setting in SETTINGS:
            self._db.execute(setting)
        # Everything under this database's own name, whatever the file is called.
        row = self._db.execute("SELECT current_database()").fetchone()
        self.attached: str = row[0] if row else self.database
        self._db.execute("BEGIN TRANSACTION")
        self._db.execute(f"CREATE SCHEMA IF NOT EXISTS {INTERNAL}")
        self._db.execute("CREATE SCHEMA IF NOT EXISTS public")
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {INTERNAL}.external_schema"
            " (name VARCHAR, catalog_database VARCHAR, role VARCHAR, region VARCHAR)"
        )
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {INTERNAL}.load_error (query BIGINT, table_name VARCHAR,"
            " started TIMESTAMP, file VARCHAR, line BIGINT, column_name VARCHAR, type VARCHAR,"
            " length VARCHAR, position INTEGER, raw_line VARCHAR, raw_value VARCHAR,"
            " code INTEGER, reason VARCHAR)"
        )
        self._db.execute(
            f"CREATE TABLE IF NOT EXISTS {INTERNAL}.load_commit (query BIGINT, file VARCHAR,"
            " lines BIGINT, loaded TIMESTAMP)"
        )
        for macro in MACROS:
            self._db.execute(f"CREATE OR REPLACE MACRO {INTERNAL}.{macro}")
        self._db.execute("COMMIT")

    def connection(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own: its own transaction and temporary tables."""
        cursor = self._db.cursor()
        for setting in SETTINGS:
            cursor.execute(setting)
        return cursor

    def close(self) -> None:
        """Close the file; connections that are open end."""
        for session in list(self.sessions.values()):
            session.terminate()
        with contextlib.suppress(duckdb.Error):
            self._db.execute("CHECKPOINT")
        self._db.close()


class View:
    """A warehouse's catalog as one session sees it, in its transaction."""

    def __init__(
        self, warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, spectrum: Any = None
    ) -> None:
        self.warehouse = warehouse
        self.database = warehouse.database
        self.connection = connection
        self.spectrum = spectrum
        self.search_path: tuple[str, ...] = ("$user", "public")
        self.pid = 0
        self.describing = False
        """Whether a statement is compiled to be described, not run."""

    # -- names -----------------------------------------------------------------------------

    def place(self, parts: tuple[str, ...]) -> tuple[str, str]:
        """``(schema, name)`` of ``name``, ``schema.name`` or ``database.schema.name``; the
        schema of a bare name is ''."""
        if len(parts) == 3:
            if parts[0] != self.database:
                raise Unsupported(f"the other database {parts[0]}", "Connect to that database.")
            parts = parts[1:]
        if len(parts) > 3:
            raise SqlError(f"improper qualified name: {'.'.join(parts)}")
        return ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])

    def creation_schema(self) -> str:
        """The schema in which a bare name is created."""
        for schema in self.search_path:
            if schema != "$user" and self.has_schema(schema):
                return schema
        raise SqlError("no schema has been selected to create in")

    def relation(self, parts: tuple[str, ...], path: tuple[str, ...] | None = None) -> Relation:
        """What a name in FROM means.

        Raises:
            SqlError: there is no such schema or relation.
        """
        found = self.find(parts, path)
        if found is None:
            raise SqlError(f'relation "{".".join(parts)}" does not exist')
        return found

    def find(self, parts: tuple[str, ...], path: tuple[str, ...] | None = None) -> Relation | None:
        from local_aws.redshift import system

        schema, name = self.place(parts)
        if not schema:
            temporary = self.local("", name, temporary=True)
            if temporary is not None or name.startswith("#"):
                return temporary
            view = system.relation(self, "", name)
            if view is not None:
                return view
            for candidate in path or self.search_path:
                if candidate == "$user":
                    continue
                found = self.in_schema(candidate, name)
                if found is not None:
                    return found
            return None
        if schema.startswith("pg_temp"):
            return self.local("", name, temporary=True)
        view = system.relation(self, schema, name)
        if view is not None or schema in ("pg_catalog", "information_schema"):
            return view
        if not self.has_schema(schema):
            raise SqlError(f'schema "{schema}" does not exist')
        return self.in_schema(schema, name)

    def in_schema(self, schema: str, name: str) -> Relation | None:
        external = self.external_schema(schema)
        if external is not None:
            return self.spectrum.relation(schema, external, name) if self.spectrum else None
        return self.local(schema, name)

    def local(self, schema: str, name: str, temporary: bool = False) -> Relation | None:
        """A table or view of DuckDB, with what its comments say."""
        where = ("temp", "main") if temporary else (self.warehouse.attached, schema)
        rows = self.connection.execute(
            "SELECT column_name, is_nullable, comment, data_type FROM duckdb_columns()"
            " WHERE database_name = ? AND schema_name = ? AND table_name = ?"
            " ORDER BY column_index",
            [*where, name],
        ).fetchall()
        if not rows or schema == INTERNAL:
            return None
        details = self._details(where, name)
        shown = "pg_temp" if temporary else schema
        columns = []
        notes: dict[str, Any] = {}
        for column, nullable, comment, stored in rows:
            note = json.loads(comment) if comment else {}
            typed = t.parse_type(note["type"]) if "type" in note else t.from_duck(stored)
            columns.append(Column(column, typed, nullable, (shown, name), note.get("default")))
            notes[column] = note
        kind = "view" if "view" in details else "temp" if temporary else "table"
        sql = ".".join(quote(part) for part in (*where, name))
        return Relation(
            kind, shown, name, columns, sql,
            definition=details.get("view", ""),
            path=tuple(details.get("path", ())),
            details={**details, "columns": notes},
        )  # fmt: skip

    def _details(self, where: tuple[str, str], name: str) -> dict[str, Any]:
        row = self.connection.execute(
            "SELECT comment FROM duckdb_tables() WHERE database_name = ? AND schema_name = ?"
            " AND table_name = ? UNION ALL SELECT comment FROM duckdb_views()"
            " WHERE database_name = ? AND schema_name = ? AND view_name = ?",
            [*where, name, *where, name],
        ).fetchone()
        return json.loads(row[0]) if row and row[0] else {}

    # -- other sessions --------------------------------------------------------------------

    def signal(self, pid: int, terminate: bool) -> bool:
        """Cancel another session's statement, or end the session; False when there is none."""
        session = self.warehouse.sessions.get(pid)
        if session is None or self.describing:
            return session is not None
        if terminate:
            session.terminate()
        else:
            session.cancel()
        return True

    # -- schemas ---------------------------------------------------------------------------

    def schemas(self) -> list[str]:
        """Local schemas, then external ones."""
        rows = self.connection.execute(
            "SELECT schema_name FROM duckdb_schemas() WHERE database_name = ? ORDER BY 1",
            [self.warehouse.attached],
        ).fetchall()
        local = [row[0] for row in rows if row[0] not in HIDDEN_SCHEMAS]
        return local + sorted(self.external_schemas())

    def has_schema(self, name: str) -> bool:
        return name in self.schemas()

    def external_schemas(self) -> dict[str, dict[str, str]]:
        rows = self.connection.execute(
            f"SELECT name, catalog_database, role, region FROM {self.internal('external_schema')}"
        ).fetchall()
        return {
            name: {"database": database, "role": role, "region": region}
            for name, database, role, region in rows
        }

    def external_schema(self, name: str) -> dict[str, str] | None:
        return self.external_schemas().get(name)

    def internal(self, name: str) -> str:
        return ".".join(quote(part) for part in (self.warehouse.attached, INTERNAL, name))

    def relations(self) -> list[Relation]:
        """Every local table and view, temporary ones of this session last."""
        rows = self.connection.execute(
            "SELECT database_name, schema_name, table_name FROM duckdb_tables()"
            " WHERE database_name IN (?, 'temp') UNION ALL"
            " SELECT database_name, schema_name, view_name FROM duckdb_views()"
            " WHERE database_name = ? AND NOT internal ORDER BY 1, 2, 3",
            [self.warehouse.attached, self.warehouse.attached],
        ).fetchall()
        found = []
        for database, schema, name in rows:
            temporary = database == "temp" and self.warehouse.attached != "temp"
            if not temporary and schema in HIDDEN_SCHEMAS:
                continue
            relation = self.local(schema, name, temporary)
            if relation is not None:
                found.append(relation)
        return found

    def scan(self, relation: Relation, names: Sequence[str], where: str | None, alias: str) -> str:
        return self.spectrum.scan(relation, names, where, alias)

    # -- comments --------------------------------------------------------------------------

    def annotate(self, relation: str, details: dict[str, Any], view: bool = False) -> None:
        """Write a table's details; ``relation`` is its quoted DuckDB name."""
        kept = {key: value for key, value in details.items() if key != "columns" and value}
        shown = text(json.dumps(kept)) if kept else "NULL"
        kind = "VIEW" if view else "TABLE"
        self.connection.execute(f"COMMENT ON {kind} {relation} IS {shown}")

    def annotate_column(self, relation: str, column: str, note: dict[str, Any]) -> None:
        shown = text(json.dumps({key: value for key, value in note.items() if value is not None}))
        self.connection.execute(f"COMMENT ON COLUMN {relation}.{quote(column)} IS {shown}")
