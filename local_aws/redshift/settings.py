"""Statements that change no data: transactions, parameters, maintenance, privileges, locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_aws.redshift import types as t
from local_aws.redshift.compiler import Column
from local_aws.redshift.dialect import Cursor
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.redshift.statements import Runner, Statement, lock_name

if TYPE_CHECKING:
    from local_aws.redshift.session import Outcome, Session


def _done(count: int = -1) -> Outcome:
    from local_aws.redshift.session import Outcome

    return Outcome(count=count)


def begin(sql: str) -> Statement:
    """BEGIN, START TRANSACTION.

    https://docs.aws.amazon.com/redshift/latest/dg/r_BEGIN.html
    """
    cursor = Cursor(sql)
    if cursor.accept("START"):
        cursor.expect("TRANSACTION")
    else:
        cursor.expect("BEGIN")
        if not cursor.accept("WORK"):
            cursor.accept("TRANSACTION")
    while cursor:
        if cursor.accept("ISOLATION"):
            cursor.expect("LEVEL")
            levels = (
                ("SERIALIZABLE",),
                ("READ", "COMMITTED"),
                ("READ", "UNCOMMITTED"),
                ("REPEATABLE", "READ"),
            )
            if not any(cursor.accept(*level) for level in levels):
                cursor.fail("expected an isolation level")
        elif cursor.accept("READ", "ONLY"):
            raise Unsupported("READ ONLY transactions")
        elif not cursor.accept("READ", "WRITE"):
            cursor.fail()
        cursor.accept(",")

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        if not session.in_transaction:
            session.begin()
        session.explicit = True
        return _done()

    return Statement("BEGIN", sql, run, controls=True)


def _ending(sql: str, *words: str) -> None:
    cursor = Cursor(sql)
    if not any(cursor.accept(word) for word in words):
        cursor.fail()
    if not cursor.accept("WORK"):
        cursor.accept("TRANSACTION")
    cursor.end()


def commit(sql: str) -> Statement:
    _ending(sql, "COMMIT", "END")

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        if session.in_transaction:
            session.commit()
        return _done()

    return Statement("COMMIT", sql, run, controls=True)


def rollback(sql: str) -> Statement:
    _ending(sql, "ROLLBACK", "ABORT")

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        if session.in_transaction:
            session.rollback()
        return _done()

    return Statement("ROLLBACK", sql, run, controls=True)


# -- parameters ----------------------------------------------------------------------------

DEFAULTS = {
    "analyze_threshold_percent": "10",
    "client_encoding": "UTF8",
    "datestyle": "ISO, MDY",
    "default_geometry_encoding": "1",
    "enable_case_sensitive_identifier": "off",
    "enable_result_cache_for_session": "on",
    "extra_float_digits": "0",
    "query_group": "default",
    "search_path": "$user, public",
    "server_version": "8.0.2",
    "statement_timeout": "0",
    "timezone": "UTC",
    "wlm_query_slot_count": "1",
}
"""https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_ConfigurationRef.html"""
_FREE = ("query_group", "enable_result_cache_for_session", "analyze_threshold_percent",
         "wlm_query_slot_count")  # fmt: skip


def set_parameter(sql: str) -> Statement:
    """SET: search_path and statement_timeout work, those without an effect on results are kept,
    and the others take their default value alone."""
    cursor = Cursor(sql)
    cursor.expect("SET")
    if cursor.accept("SESSION", "AUTHORIZATION") or cursor.accept("SEED"):
        raise Unsupported("SET SESSION AUTHORIZATION and SET SEED")
    local = cursor.accept("LOCAL")
    if not local:
        cursor.accept("SESSION")
    if local:
        raise Unsupported("SET LOCAL")
    name = cursor.name()
    if name == "time":
        cursor.expect("ZONE")
        name = "timezone"
    elif not (cursor.accept("TO") or cursor.accept("=")):
        cursor.fail("expected TO or =")
    values = []
    while cursor:
        values.append(cursor.token().text)
        cursor.accept(",")
    if not values:
        cursor.fail("expected a value")

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        assign(session, name, values)
        return _done()

    return Statement("SET", sql, run)


def assign(session: Session, name: str, values: list[str]) -> None:
    """Set a parameter of a session.

    Raises:
        Unsupported: there is no such parameter here, or it cannot have that value.
    """
    if name not in DEFAULTS:
        raise Unsupported(f"the parameter {name}")
    value = ", ".join(values)
    if value.lower() == "default":
        _reset(session, name)
        return
    if name == "search_path":
        session.view.search_path = tuple(part.strip().lower() for part in value.split(","))
        value = ", ".join(session.view.search_path)
    elif name == "client_encoding":
        if value.strip("'").upper().replace("-", "") not in ("UTF8", "UNICODE"):
            raise Unsupported(f"client_encoding = {value}", "Its value here is UTF8.")
        value = DEFAULTS[name]
    elif name == "datestyle":
        if value.lower() not in ("iso", DEFAULTS[name].lower()):
            raise Unsupported(f"datestyle = {value}", f"Its value here is {DEFAULTS[name]}.")
        value = DEFAULTS[name]
    elif name == "timezone":
        if value.upper() not in ("UTC", "GMT", "ETC/UTC"):
            raise Unsupported("a session time zone other than UTC", "Use CONVERT_TIMEZONE.")
    elif name == "statement_timeout":
        if value != "0":
            raise Unsupported("statement_timeout")
    elif name not in _FREE and value.lower().strip("'") != DEFAULTS[name].lower():
        raise Unsupported(f"{name} = {value}", f"Its value here is {DEFAULTS[name]}.")
    session.settings[name] = value


def _reset(session: Session, name: str) -> None:
    session.settings.pop(name, None)
    if name == "search_path":
        session.view.search_path = ("$user", "public")


def reset(sql: str) -> Statement:
    cursor = Cursor(sql)
    cursor.expect("RESET")
    name = cursor.name()
    cursor.end()

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        for each in list(session.settings) if name == "all" else [name]:
            if each not in DEFAULTS:
                raise Unsupported(f"the parameter {each}")
            _reset(session, each)
        return _done()

    return Statement("RESET", sql, run)


def show(sql: str) -> Statement:
    cursor = Cursor(sql)
    cursor.expect("SHOW")
    if cursor.peek() in ("TABLE", "VIEW", "TABLES", "SCHEMAS", "COLUMNS", "DATABASES", "GRANTS",
                         "PROCEDURE", "EXTERNAL", "DATASHARES", "MODEL", "ROLE"):  # fmt: skip
        raise Unsupported(f"SHOW {cursor.peek()}", "Query SVV_TABLES and SVV_COLUMNS.")
    name = cursor.name()
    cursor.end()
    if name == "all":
        columns = [Column("name", t.varchar(128)), Column("setting", t.varchar(256))]
    else:
        columns = [Column(name, t.varchar(256))]

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        from local_aws.redshift.session import Outcome

        wanted = sorted(DEFAULTS) if name == "all" else [name]
        rows: list[tuple[str, ...]] = []
        for each in wanted:
            if each not in DEFAULTS:
                raise SqlError(f'unrecognized configuration parameter "{each}"')
            rows.append((session.settings.get(each, DEFAULTS[each]),))
        if name == "all":
            rows = [(each, *row) for each, row in zip(wanted, rows, strict=True)]

        def fetch(count: int) -> list[tuple[str, ...]]:
            taken = rows[:count]
            del rows[:count]
            return taken

        return Outcome(columns, fetch)

    return Statement("SHOW", sql, run, columns=lambda *_: columns)


# -- maintenance ---------------------------------------------------------------------------


def vacuum(sql: str) -> Statement:
    """VACUUM: DuckDB needs none; the table must exist.

    https://docs.aws.amazon.com/redshift/latest/dg/r_VACUUM_command.html
    """
    cursor = Cursor(sql)
    cursor.expect("VACUUM")
    if not any(cursor.accept(*words) for words in (
        ("FULL",), ("SORT", "ONLY"), ("DELETE", "ONLY"), ("REINDEX",), ("RECLUSTER",),
    )):  # fmt: skip
        pass
    target = cursor.qualified() if cursor and cursor.peek() not in ("TO", "BOOST") else None
    if cursor.accept("TO"):
        cursor.number()
        cursor.expect("PERCENT")
    cursor.accept("BOOST")
    cursor.end()
    return Statement("VACUUM", sql, _exists(target), alone=True)


def analyze(sql: str) -> Statement:
    """ANALYZE: DuckDB keeps its statistics itself; the table and columns must exist."""
    cursor = Cursor(sql)
    cursor.token()
    if cursor.accept("COMPRESSION"):
        raise Unsupported("ANALYZE COMPRESSION")
    cursor.accept("VERBOSE")
    target = None
    columns: list[str] = []
    if cursor and cursor.peek() != "PREDICATE":
        target = cursor.qualified()
        if cursor.peek() == "(":
            columns = cursor.names()
    if not cursor.accept("PREDICATE", "COLUMNS"):
        cursor.accept("ALL", "COLUMNS")
    cursor.end()
    return Statement("ANALYZE", sql, _exists(target, columns))


def _exists(target: tuple[str, ...] | None, columns: list[str] | None = None) -> Runner:
    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        if target is not None:
            relation = session.view.relation(target)
            names = [column.name for column in relation.columns]
            for column in columns or ():
                if column not in names:
                    raise SqlError(f'column "{column}" of relation "{target[-1]}" does not exist')
        return _done()

    return run


def lock(sql: str) -> Statement:
    cursor = Cursor(sql)
    cursor.expect("LOCK")
    cursor.accept("TABLE")
    targets = [cursor.qualified()]
    while cursor.accept(","):
        targets.append(cursor.qualified())
    cursor.end()

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        for target in targets:
            session.view.relation(target)
        session.lock([name for name in (lock_name(session, part) for part in targets) if name])
        return _done()

    return Statement("LOCK", sql, run, writes=tuple(targets))


# -- privileges ----------------------------------------------------------------------------

_OBJECTS = ("SCHEMA", "DATABASE", "FUNCTION", "PROCEDURE", "LANGUAGE", "MODEL", "DATASHARE", "ROLE")


def grant(sql: str) -> Statement:
    """GRANT and REVOKE: there is one user here, so they change nothing; tables, schemas and the
    database that they name must exist.

    https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html
    """
    cursor = Cursor(sql)
    word = cursor.token().text.upper()
    if cursor.accept("GRANT", "OPTION", "FOR"):
        pass
    privileges = []
    while cursor and cursor.peek() not in ("ON", "TO", "FROM"):
        privileges.append(cursor.token().text.upper())
    if not cursor.accept("ON"):
        raise Unsupported(f"{word} of roles")
    kind = "TABLE"
    if cursor.accept("ALL", "TABLES", "IN", "SCHEMA") or cursor.accept("SCHEMA"):
        kind = "SCHEMA"
    elif cursor.accept("DATABASE"):
        kind = "DATABASE"
    elif cursor.peek() in _OBJECTS or cursor.peek() == "ALL":
        raise Unsupported(f"{word} ON {cursor.peek()}")
    else:
        cursor.accept("TABLE")
    targets = [cursor.qualified()]
    while cursor.accept(","):
        targets.append(cursor.qualified())
    cursor.expect("TO" if word == "GRANT" else "FROM")
    if not cursor:
        cursor.fail("expected a user, GROUP, ROLE or PUBLIC")

    def run(session: Session, parameters: dict[str, str]) -> Outcome:
        for target in targets:
            if kind == "TABLE":
                session.view.relation(target)
            elif kind == "SCHEMA" and not session.view.has_schema(target[-1]):
                raise SqlError(f'schema "{target[-1]}" does not exist')
            elif kind == "DATABASE" and target[-1] != session.view.database:
                raise SqlError(f'database "{target[-1]}" does not exist')
        return _done()

    return Statement(word, sql, run)
