"""Which statement a text is, what it locks, and whether it may stand in a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.redshift.dialect import Cursor
from local_aws.redshift.errors import SqlError, Unsupported

if TYPE_CHECKING:
    from local_aws.redshift.compiler import Column
    from local_aws.redshift.session import Outcome, Session

Runner = Callable[["Session", dict[str, str]], "Outcome"]
Describer = Callable[["Session", dict[str, str]], "list[Column]"]


@dataclass
class Statement:
    """One statement, read.

    ``controls`` begin and end transactions; ``alone`` cannot run in one; ``commits`` ends one.
    ``writes`` are the relations it changes, as named in it. ``columns`` says which columns its
    result has, without running it; None when it has no result.
    """

    word: str
    sql: str
    runner: Runner
    controls: bool = False
    alone: bool = False
    commits: bool = False
    writes: tuple[tuple[str, ...], ...] = ()
    columns: Describer | None = None

    def run(self, session: Session, parameters: dict[str, str]) -> Outcome:
        return self.runner(session, parameters)


_REFUSED = {
    "CALL": "stored procedures",
    "CLOSE": "cursors",
    "DEALLOCATE": "PREPARE and EXECUTE",
    "DECLARE": "cursors",
    "EXECUTE": "PREPARE and EXECUTE",
    "FETCH": "cursors",
    "PREPARE": "PREPARE and EXECUTE",
    "REFRESH": "materialized views",
    "CANCEL": "CANCEL",
    "USE": "USE",
    "ATTACH": "ATTACH",
    "DETACH": "DETACH",
    "DESC": "DESC",
    "VALUES": "VALUES as a statement",
    "TABLE": "TABLE as a statement",
}


def read(sql: str) -> Statement:
    """What one statement is.

    Raises:
        SqlError: no such statement. Unsupported: one that Redshift has and this does not.
    """
    from local_aws.redshift import ddl, dml, loading, settings, unloading

    cursor = Cursor(sql)
    word = cursor.peek()
    if word in _REFUSED:
        raise Unsupported(f"{_REFUSED[word]} in Redshift")
    readers: dict[str, Callable[[str], Statement]] = {
        "SELECT": dml.select,
        "WITH": dml.with_query,
        "(": dml.select,
        "INSERT": dml.insert,
        "UPDATE": dml.update,
        "DELETE": dml.delete,
        "MERGE": dml.merge,
        "EXPLAIN": dml.explain,
        "CREATE": ddl.create,
        "DROP": ddl.drop,
        "ALTER": ddl.alter,
        "TRUNCATE": ddl.truncate,
        "COMMENT": ddl.comment,
        "COPY": loading.copy,
        "UNLOAD": unloading.unload,
        "BEGIN": settings.begin,
        "START": settings.begin,
        "COMMIT": settings.commit,
        "END": settings.commit,
        "ROLLBACK": settings.rollback,
        "ABORT": settings.rollback,
        "SET": settings.set_parameter,
        "RESET": settings.reset,
        "SHOW": settings.show,
        "VACUUM": settings.vacuum,
        "ANALYZE": settings.analyze,
        "ANALYSE": settings.analyze,
        "GRANT": settings.grant,
        "REVOKE": settings.grant,
        "LOCK": settings.lock,
    }
    if word not in readers:
        cursor.fail()
    return readers[word](sql)


def locks(statement: Statement, session: Session) -> list[str]:
    """The lock names of what a statement writes: ``schema.table``; none for temporary tables."""
    names = []
    for parts in statement.writes:
        name = lock_name(session, parts)
        if name:
            names.append(name)
    return names


def lock_name(session: Session, parts: tuple[str, ...]) -> str:
    """A bare name is taken to be in the first schema of the search path."""
    schema, name = session.view.place(parts)
    if name.startswith("#") or schema.startswith("pg_temp"):
        return ""
    if not schema:
        schema = next((s for s in session.view.search_path if s != "$user"), "public")
    return f"{schema}.{name}"


def planned(sqls: list[str], session: Session) -> list[str]:
    """The locks of a whole batch, as far as its texts can be read before they run."""
    found: list[str] = []
    for sql in sqls:
        try:
            found += locks(read(sql), session)
        except SqlError:
            continue
    return found
