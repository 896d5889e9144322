"""One client's connection: log in, then statements by the simple or the extended protocol.

Statements go to a :class:`~local_aws.redshift.session.Session`, as the Data API's do.
https://www.postgresql.org/docs/8.0/protocol-flow.html
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import shlex
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_aws.redshift import settings, spectrum, statements
from local_aws.redshift.compiler import Argument, Column
from local_aws.redshift.compute import Compute
from local_aws.redshift.dialect import numbered, split
from local_aws.redshift.errors import Cancelled, SqlError, Unsupported, shape, sqlstate
from local_aws.redshift.logins import LoginError, log_in
from local_aws.redshift.session import Outcome, Rows, Session
from local_aws.redshift.statements import Statement
from local_aws.redshift.types import RType
from local_aws.redshift.wire import messages, values
from local_aws.redshift.wire.messages import Body, ProtocolError, int16, int32, message, text

if TYPE_CHECKING:
    from local_aws.redshift.wire.listener import Listener

log = logging.getLogger("local_aws.redshift.wire")
LOGIN_SECONDS = 60
FLUSH_BYTES = 64 * 1024
VERSION = 2
"""Of Redshift's own protocol: 1 says where columns come from, 2 sends NUMERIC in binary."""
_TAGS = {"CREATE TABLE AS": "SELECT", "TRUNCATE": "TRUNCATE TABLE", "LOCK": "LOCK TABLE"}
_SESSION_PARAMETERS = frozenset(settings.DEFAULTS) - {"server_version"}


@dataclass
class Prepared:
    """A statement that was parsed; ``statement`` is None for an empty text."""

    statement: Statement | None
    types: list[RType]
    columns: list[Column] | None = None
    described: bool = False


@dataclass
class Portal:
    """A prepared statement with its arguments; ``rest`` are rows that Execute has yet to send."""

    prepared: Prepared
    arguments: list[Argument]
    formats: list[int]
    rest: deque[tuple[Any, ...]] | None = None
    tag: str = ""


@dataclass(eq=False)
class Connection:
    """Runs in a thread of its own, from the client's first byte to its last."""

    listener: Listener
    socket: socket.socket
    secret: int = field(default_factory=lambda: secrets.randbits(31))
    session: Session | None = None
    busy: bool = False
    terminated: bool = False
    protocol: int = 0
    database: str = ""
    prepared: dict[str, Prepared] = field(default_factory=dict)
    portals: dict[str, Portal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._in = self.socket.makefile("rb")
        self._out = bytearray()

    # -- the connection's life -------------------------------------------------------------

    def run(self) -> None:
        """Serve until the client leaves, or is made to."""
        try:
            if self._start():
                while self._next():
                    pass
        except (EOFError, OSError):
            pass
        except ProtocolError as error:
            self._fatal("08P01", str(error))
        except LoginError as error:
            log.info("a connection is refused: %s", error)
            self._fatal(error.state, str(error))
        except SqlError as error:
            self._fatal(sqlstate(error), str(error))
        except Exception:
            log.exception("a connection failed")
            self._fatal("XX000", "internal error")
        finally:
            if self.terminated:
                self._fatal("57P01", "terminating connection due to administrator command")
            if self.session is not None:
                self.session.close()
            with contextlib.suppress(OSError):
                self._in.close()
                self.socket.close()

    def cancel(self) -> None:
        """Stop the statement that runs now, if one does."""
        if self.busy and self.session is not None:
            self.session.cancel()

    def terminate(self) -> None:
        """End the connection: the client is told, what was not committed is lost."""
        self.terminated = True
        if self.session is not None:
            self.session.cancel()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)

    def _send(self, *parts: bytes) -> None:
        for part in parts:
            self._out += part
        if len(self._out) > FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        self.socket.sendall(self._out)
        self._out.clear()

    def _fatal(self, state: str, reason: str) -> None:
        with contextlib.suppress(OSError):
            self._send(messages.fields(b"E", {"S": "FATAL", "C": state, "M": reason}))
            self._flush()

    # -- log in ----------------------------------------------------------------------------

    def _start(self) -> bool:
        """Log in; False when the client only asked to cancel a statement."""
        self.socket.settimeout(LOGIN_SECONDS)
        while True:
            code, body = messages.read_startup(self._in)
            if code in (messages.SSL_REQUEST, messages.GSS_REQUEST):
                self._send(b"N")
                self._flush()
                continue
            if code == messages.CANCEL_REQUEST:
                self.listener.cancel(body.int32(), body.int32())
                return False
            break
        if code >> 16 != 3:
            raise LoginError(
                "0A000", f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: use 3.0"
            )
        given: dict[str, str] = {}
        while name := body.text():
            given[name] = body.text()
        if not given.get("user"):
            raise LoginError("28000", "no user name specified in startup packet")
        self.listener.check_room()
        self._log_in(given)
        self.socket.settimeout(None)
        return True

    def _log_in(self, given: dict[str, str]) -> None:
        user = given["user"]
        self._send(message(b"R", int32(3)))
        self._flush()
        kind, body = messages.read(self._in)
        if kind != b"p":
            raise ProtocolError("expected a password")
        aws = self.listener.aws
        login = log_in(aws, user, given.get("database") or user, body.text())
        compute = Compute.of(aws)
        warehouse = compute.warehouse(login.namespace, login.database)
        self.database = login.database
        session = self.session = Session(warehouse, aws, spectrum.Spectrum, next(compute.pids))
        session.terminate = self.terminate
        for name, value in _requested(given):
            settings.assign(session, name, [value])
        shown = {
            "server_version": settings.DEFAULTS["server_version"],
            "server_encoding": "UNICODE",
            "client_encoding": "UTF8",
            "DateStyle": settings.DEFAULTS["datestyle"],
            "TimeZone": "UTC",
            "integer_datetimes": "on",
            "is_superuser": "on",
            "session_authorization": user,
        }
        asked = given.get("client_protocol_version", "")
        if asked.isdigit():
            self.protocol = min(int(asked), VERSION)
            shown["server_protocol_version"] = str(self.protocol)
        self._send(message(b"R", int32(0)))
        for name, value in shown.items():
            self._send(message(b"S", text(name), text(value)))
        self._send(message(b"K", int32(session.view.pid), int32(self.secret)))
        self._ready()

    # -- messages --------------------------------------------------------------------------

    def _next(self) -> bool:
        """Answer one message; False after the last one."""
        kind, body = messages.read(self._in)
        if kind == b"X":
            return False
        if kind == b"S":
            self._ready()
        elif kind == b"H":
            self._flush()
        elif kind == b"Q":
            sql = body.text()
            self._guarded(lambda: self._simple(sql))
            self._ready()
        elif kind in _EXTENDED:
            if not self._guarded(lambda: _EXTENDED[kind](self, body)):
                self._skip()
        elif kind == b"F":
            self._error(Unsupported("function calls of the protocol", "Use SELECT."))
            self._ready()
        elif kind not in (b"d", b"c", b"f"):  # COPY's data, after COPY was refused
            raise ProtocolError(f"invalid frontend message type {kind[0]}")
        return not self.terminated

    def _guarded(self, work: Callable[[], None]) -> bool:
        """Whether it went well; what went wrong is sent."""
        assert self.session is not None
        self.session.cancelled.clear()
        self.busy = True
        try:
            work()
        except (OSError, EOFError, ProtocolError):
            raise
        except Exception as error:
            if not self.terminated:
                self._error(error)
            return False
        finally:
            self.busy = False
        return True

    def _skip(self) -> None:
        """After an error, nothing counts until the client says Sync."""
        self._flush()
        while not self.terminated:
            kind, _ = messages.read(self._in)
            if kind == b"X":
                raise EOFError
            if kind == b"S":
                self._ready()
                return

    def _ready(self) -> None:
        session = self.session
        assert session is not None
        if not session.in_transaction:
            self.portals.clear()
        state = b"E" if session.failed else b"T" if session.in_transaction else b"I"
        self._send(message(b"Z", state))
        self._flush()

    def _error(self, error: Exception) -> None:
        state = sqlstate(error)
        if isinstance(error, Cancelled):
            said = "Query cancelled on user's request"
        else:
            said = shape(error).removeprefix("ERROR: ")
        if state == "XX000":
            log.exception("a statement failed", exc_info=error)
        shown = {"S": "ERROR", "C": state}
        first, _, hint = said.partition("\n  Hint: ")
        first, _, detail = first.partition("\n  Detail: ")
        self._send(messages.fields(b"E", {**shown, "M": first, "D": detail, "H": hint}))

    # -- simple protocol -------------------------------------------------------------------

    def _simple(self, sql: str) -> None:
        """Statements in one text; several are one transaction, as the Data API's batches are."""
        session = self.session
        assert session is not None
        try:
            parts = split(sql)
        except SqlError:
            session.failed = session.in_transaction
            raise
        if not parts:
            self._send(message(b"I"))
            return
        together = len(parts) > 1 and not session.in_transaction
        try:
            if together:
                session.lock(statements.planned(parts, session))
            for part in parts:
                statement = session.read(part)
                if statement is None:
                    continue
                if together and not session.in_transaction:
                    session.begin()
                self._run_simple(session, statement)
            if together and session.in_transaction and not session.explicit:
                session.commit()
        except BaseException:
            if session.in_transaction and not session.explicit:
                session.rollback()
            raise
        finally:
            if not session.in_transaction:
                session.warehouse.locks.release(session)

    def _run_simple(self, session: Session, statement: Statement) -> None:
        failed = session.failed
        sent = 0

        def consume(outcome: Outcome) -> None:
            nonlocal sent
            if outcome.columns is None or outcome.rows is None:
                return
            plain = [0] * len(outcome.columns)
            self._send(values.description(outcome.columns, plain, self.protocol, self.database))
            sent = self._rows(outcome.columns, plain, outcome.rows)

        outcome = session.perform(statement, consume)
        self._complete(_tag(statement, outcome, failed))

    def _rows(self, columns: Sequence[Column], formats: Sequence[int], rows: Rows) -> int:
        encoders = [
            values.encoder(column, binary, self.protocol)
            for column, binary in zip(columns, formats, strict=True)
        ]
        count = 0
        while batch := rows(2000):
            for row in batch:
                self._send(_data_row(row, encoders))
            count += len(batch)
            if self.terminated:
                raise Cancelled
        return count

    def _complete(self, tag: str) -> None:
        self._send(message(b"C", text(tag)))

    # -- extended protocol -----------------------------------------------------------------

    def _parse(self, body: Body) -> None:
        name, sql = body.text(), body.text()
        given = [values.parameter_type(body.int32()) for _ in range(body.int16())]
        assert self.session is not None
        if name and name in self.prepared:
            raise SqlError(f'prepared statement "{name}" already exists')
        sql, most = numbered(sql)
        given += [values.parameter_type(0)] * (most - len(given))
        prepared = Prepared(self.session.read(sql), given)
        self._columns(prepared)  # so that what names nothing is refused now, and not kept
        self.prepared[name] = prepared
        self._send(message(b"1"))

    def _find(self, name: str) -> Prepared:
        found = self.prepared.get(name)
        if found is None:
            raise SqlError(f'prepared statement "{name}" does not exist')
        return found

    def _columns(self, prepared: Prepared) -> list[Column] | None:
        if not prepared.described and prepared.statement is not None:
            assert self.session is not None
            specimens = [values.specimen(kind) for kind in prepared.types]
            prepared.columns = self.session.describe(prepared.statement, specimens)
            prepared.described = True
        return prepared.columns

    def _bind(self, body: Body) -> None:
        portal, name = body.text(), body.text()
        prepared = self._find(name)
        codes = [body.int16() for _ in range(body.int16())]
        given = [body.value() for _ in range(body.int16())]
        if len(given) != len(prepared.types):
            raise ProtocolError(
                f"bind message supplies {len(given)} parameters, but prepared statement"
                f' "{name}" requires {len(prepared.types)}'
            )
        formats = _formats(codes, len(given))
        arguments = [
            values.argument(kind, binary, value)
            for kind, binary, value in zip(prepared.types, formats, given, strict=True)
        ]
        wanted = [body.int16() for _ in range(body.int16())]
        if portal and portal in self.portals:
            raise SqlError(f'portal "{portal}" already exists')
        self.portals[portal] = Portal(prepared, arguments, wanted)
        self._send(message(b"2"))

    def _describe(self, body: Body) -> None:
        kind, name = body.take(1), body.text()
        if kind == b"S":
            prepared, asked = self._find(name), []
            oids = [int32(each.oid) for each in prepared.types]
            self._send(message(b"t", int16(len(oids)), *oids))
        else:
            portal = self._portal(name)
            prepared, asked = portal.prepared, portal.formats
        columns = self._columns(prepared)
        if columns is None:
            self._send(message(b"n"))
            return
        formats = _formats(asked, len(columns))
        self._send(values.description(columns, formats, self.protocol, self.database))

    def _portal(self, name: str) -> Portal:
        found = self.portals.get(name)
        if found is None:
            raise SqlError(f'portal "{name}" does not exist')
        return found

    def _execute(self, body: Body) -> None:
        portal, most = self._portal(body.text()), body.int32()
        statement = portal.prepared.statement
        if statement is None:
            self._send(message(b"I"))
            return
        if portal.rest is None:
            self._run_portal(portal, statement, most)
        if portal.rest:
            self._some_rows(portal, most)
        if portal.rest:
            self._send(message(b"s"))
        else:
            self._complete(portal.tag)

    def _run_portal(self, portal: Portal, statement: Statement, most: int) -> None:
        session = self.session
        assert session is not None
        failed = session.failed
        rest: deque[tuple[Any, ...]] = deque()
        described = portal.prepared.columns if portal.prepared.described else None

        def consume(outcome: Outcome) -> None:
            if outcome.columns is None or outcome.rows is None:
                return
            portal.prepared.columns = _as_described(described, outcome.columns)
            portal.prepared.described = True
            if most > 0:  # the rest is asked for when the statement is over
                while batch := outcome.rows(2000):
                    rest.extend(batch)
                return
            columns = portal.prepared.columns
            self._rows(columns, _formats(portal.formats, len(columns)), outcome.rows)

        outcome = session.perform(statement, consume, arguments=portal.arguments)
        portal.tag = _tag(statement, outcome, failed)
        portal.rest = rest

    def _some_rows(self, portal: Portal, most: int) -> None:
        rest, columns = portal.rest, portal.prepared.columns
        assert rest is not None
        assert columns is not None
        batch = [rest.popleft() for _ in range(min(most, len(rest)) if most > 0 else len(rest))]

        def fetch(count: int) -> list[tuple[Any, ...]]:
            taken = batch[:]
            batch.clear()
            return taken

        self._rows(columns, _formats(portal.formats, len(columns)), fetch)

    def _close(self, body: Body) -> None:
        kind, name = body.take(1), body.text()
        if kind == b"S":
            self.prepared.pop(name, None)
        else:
            self.portals.pop(name, None)
        self._send(message(b"3"))


_EXTENDED: dict[bytes, Callable[[Connection, Body], None]] = {
    b"P": Connection._parse,
    b"B": Connection._bind,
    b"D": Connection._describe,
    b"E": Connection._execute,
    b"C": Connection._close,
}


def _requested(given: dict[str, str]) -> list[tuple[str, str]]:
    """The parameters of the session that a client sets when it connects."""
    found = [(k.lower(), v) for k, v in given.items() if k.lower() in _SESSION_PARAMETERS]
    words = shlex.split(given.get("options", ""))
    for at, word in enumerate(words):
        name, equals, value = word.removeprefix("-c").removeprefix("--").partition("=")
        if equals:
            found.append((name.strip().lower().replace("-", "_"), value))
        elif word != "-c" or at + 1 == len(words):
            raise Unsupported(f"the connection option {word}", "Use -c name=value.")
    return found


def _formats(codes: Sequence[int], count: int) -> list[int]:
    """A format code (0 text, 1 binary) for each of so many values."""
    if len(codes) > 1 and len(codes) != count:
        raise ProtocolError(f"message has {len(codes)} formats but {count} values")
    return list(codes) if len(codes) == count else [codes[0] if codes else 0] * count


def _as_described(described: list[Column] | None, columns: list[Column]) -> list[Column]:
    """The columns as the client knows them.

    Raises:
        SqlError: a table has changed since the statement was described.
    """
    if described is None:
        return columns
    if [column.type.oid for column in described] != [column.type.oid for column in columns]:
        raise SqlError("cached plan must not change result type")
    return described


def _data_row(row: Sequence[Any], encoders: Sequence[values.Encoder]) -> bytes:
    parts = [int16(len(row))]
    for value, encode in zip(row, encoders, strict=True):
        if value is None:
            parts.append(_NULL)
        else:
            shown = encode(value)
            parts += [int32(len(shown)), shown]
    return message(b"D", *parts)


_NULL = int32(-1)


def _tag(statement: Statement, outcome: Outcome, failed: bool) -> str:
    """What CommandComplete says."""
    word = statement.word
    if failed and word == "COMMIT":
        return "ROLLBACK"
    count = max(outcome.count, 0)
    if word == "INSERT":
        return f"INSERT 0 {count}"
    if word in ("UPDATE", "DELETE", "MERGE"):
        return f"{word} {count}"
    return _TAGS.get(word, word)
