"""PostgreSQL's protocol: Redshift's own driver, psql's, and single messages, on a real socket."""

from __future__ import annotations

import errno
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
import redshift_connector
from redshift_connector.error import InterfaceError, ProgrammingError

from local_aws.instance import Config
from local_aws.redshift.wire import listener
from local_aws.server import Server
from tests.local_aws.redshift.conftest import Warehouse, make_client

PASSWORD = "Small-Hours-1"
SERVICES = ["s3", "glue", "logs", "redshift-data", "redshift-serverless"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"), redshift_port=0)
    with Server(config, services=SERVICES) as running:
        yield running


@pytest.fixture(scope="module")
def redshift(server: Server) -> Warehouse:
    warehouse = Warehouse(server)
    api = make_client(server, "redshift-serverless")
    api.create_namespace(
        namespaceName="madrugada", dbName="dev", adminUsername="admin", adminUserPassword=PASSWORD
    )
    api.create_workgroup(workgroupName="madrugada", namespaceName="madrugada", baseCapacity=8)
    return warehouse


@pytest.fixture(scope="module")
def where(server: Server, redshift: Warehouse) -> dict[str, Any]:
    """Where GetWorkgroup says that clients connect."""
    api = make_client(server, "redshift-serverless")
    endpoint = api.get_workgroup(workgroupName="madrugada")["workgroup"]["endpoint"]
    return {"host": endpoint["address"], "port": endpoint["port"], "database": "dev"}


def connect(where: dict[str, Any], **more: Any) -> redshift_connector.Connection:
    given = {"user": "admin", "password": PASSWORD, "ssl": False, **where, **more}
    return redshift_connector.connect(**given)


@pytest.fixture
def connection(where: dict[str, Any]) -> Iterator[redshift_connector.Connection]:
    with connect(where) as made:
        made.autocommit = True
        yield made


@pytest.fixture
def cursor(connection: redshift_connector.Connection) -> redshift_connector.Cursor:
    return connection.cursor()


def state_of(error: pytest.ExceptionInfo[Exception]) -> tuple[str, str]:
    """``(SQLSTATE, message)`` of a driver's error."""
    fields = error.value.args[0]
    return fields["C"], fields["M"]


class TestLogIn:
    def test_a_wrong_password_is_refused(self, where: dict[str, Any]) -> None:
        with pytest.raises(InterfaceError) as error:
            connect(where, password="Small-Hours-2")
        assert state_of(error) == ("28000", 'password authentication failed for user "admin"')

    def test_another_user_is_refused(self, where: dict[str, Any]) -> None:
        with pytest.raises(InterfaceError):
            connect(where, user="root")

    def test_another_database_is_named(self, where: dict[str, Any]) -> None:
        with pytest.raises(ProgrammingError) as error:
            connect({**where, "database": "prod"})
        assert state_of(error) == ("3D000", 'database "prod" does not exist')

    def test_temporary_credentials_open_it(self, server: Server, where: dict[str, Any]) -> None:
        api = make_client(server, "redshift-serverless")
        made = api.get_credentials(workgroupName="madrugada")
        with connect(where, user=made["dbUser"], password=made["dbPassword"]) as opened:
            assert opened.cursor().execute("select 1").fetchone() == [1]
        with pytest.raises(InterfaceError):
            connect(where, user="admin", password=made["dbPassword"])

    def test_a_changed_password_counts_at_once(self, server: Server, where: dict[str, Any]) -> None:
        api = make_client(server, "redshift-serverless")
        api.update_namespace(namespaceName="madrugada", adminUserPassword="Small-Hours-3")
        try:
            with pytest.raises(InterfaceError):
                connect(where)
            connect(where, password="Small-Hours-3").close()
        finally:
            api.update_namespace(namespaceName="madrugada", adminUserPassword=PASSWORD)

    def test_the_password_is_not_to_be_read(self, server: Server, redshift: Warehouse) -> None:
        state = server.aws.config.state
        kept = [path.read_bytes() for path in state.glob("aws.sqlite*")]
        assert kept
        assert not any(PASSWORD.encode() in each for each in kept)

    def test_the_driver_is_told_that_there_is_no_tls(self, where: dict[str, Any]) -> None:
        with pytest.raises(InterfaceError, match="refuses SSL"):
            connect(where, ssl=True)

    def test_an_option_without_meaning_is_refused_by_name(self, where: dict[str, Any]) -> None:
        with raw(where) as client:
            client.start(options="-c statement_timeout=5")
            fields = client.error()
        assert fields["S"] == "FATAL"
        assert "statement_timeout" in fields["M"]


class TestWorkgroups:
    """Each has databases of its own behind the one address."""

    def test_the_password_says_which(self, server: Server, where: dict[str, Any]) -> None:
        api = make_client(server, "redshift-serverless")
        made = api.create_namespace(namespaceName="second", manageAdminPassword=True)
        api.create_workgroup(workgroupName="second", namespaceName="second")
        secrets = make_client(server, "secretsmanager")
        held = secrets.get_secret_value(SecretId=made["namespace"]["adminPasswordSecretArn"])
        password = json.loads(held["SecretString"])["password"]
        with connect(where) as first:
            first.cursor().execute("create table only_in_the_first (a int)")
            first.commit()
        second = connect(where, password=password)
        with pytest.raises(ProgrammingError):
            second.cursor().execute("select * from only_in_the_first")

        api.update_namespace(namespaceName="second", adminUserPassword=PASSWORD)
        with pytest.raises(ProgrammingError) as error:
            connect(where)
        assert "several workgroups: madrugada, second" in state_of(error)[1]

        api.delete_workgroup(workgroupName="second")
        api.delete_namespace(namespaceName="second")
        with pytest.raises(InterfaceError):
            second.cursor().execute("select 1")
        connect(where).close()

    def test_there_is_room_for_so_many(
        self, where: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listener, "MOST_CONNECTIONS", 0)
        with pytest.raises(ProgrammingError) as error:
            connect(where)
        assert state_of(error) == ("53300", "connection limit 0 exceeded")


class TestResults:
    def test_values_have_their_types(self, cursor: redshift_connector.Cursor) -> None:
        cursor.execute(
            "select 1::smallint, 2, 3::bigint, 1.25::decimal(12,2), -12345678901234567890.5"
            "::decimal(38,4), 0.1::real, 0.5::float8, true, 'é'::varchar(8), 'ab'::char(4),"
            " date '1999-12-31', timestamp '2024-02-29 01:02:03.5',"
            " timestamptz '2024-02-29 01:02:03+02', time '23:59:59.25', null"
        )
        row = cursor.fetchone()
        assert row[5] == pytest.approx(0.1, rel=1e-6)
        assert [*row[:5], *row[6:]] == [
            1, 2, 3, Decimal("1.25"), Decimal("-12345678901234567890.5000"), 0.5, True, "é", "ab  ",
            date(1999, 12, 31), datetime(2024, 2, 29, 1, 2, 3, 500000),
            datetime(2024, 2, 28, 23, 2, 3, tzinfo=UTC), clock(23, 59, 59, 250000), None,
        ]  # fmt: skip

    def test_columns_have_names_and_types(self, cursor: redshift_connector.Cursor) -> None:
        cursor.execute("select 1 as n, 'x'::varchar(12) as name, 1.5::decimal(10,3) as price")
        assert [(name, kind) for name, kind, *_ in cursor.description] == [
            ("n", 23), ("name", 1043), ("price", 1700),
        ]  # fmt: skip

    def test_many_rows(self, cursor: redshift_connector.Cursor) -> None:
        cursor.execute("create temp table digits (d int)")
        cursor.execute("insert into digits values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)")
        cursor.execute(
            "select a.d + 10 * b.d + 100 * c.d + 1000 * e.d as n"
            " from digits a, digits b, digits c, digits e order by n"
        )
        assert [row[0] for row in cursor.fetchall()] == list(range(10_000))

    def test_it_is_the_data_api_s_warehouse(
        self, redshift: Warehouse, cursor: redshift_connector.Cursor
    ) -> None:
        redshift.ok("create table both (a int, b varchar(10))")
        cursor.execute("insert into both values (1, 'wire')")
        assert redshift.rows("select a, b from both") == [(1, "wire")]
        redshift.ok("insert into both values (2, 'api')")
        cursor.execute("select b from both order by a")
        assert cursor.fetchall() == (["wire"], ["api"])

    def test_counts(self, cursor: redshift_connector.Cursor) -> None:
        cursor.execute("create table counted (a int)")
        cursor.execute("insert into counted values (1), (2), (3)")
        assert cursor.rowcount == 3
        cursor.execute("update counted set a = 0 where a > 1")
        assert cursor.rowcount == 2
        cursor.execute("delete from counted")
        assert cursor.rowcount == 3


class TestParameters:
    def test_they_take_their_types(self, cursor: redshift_connector.Cursor) -> None:
        cursor.execute(
            "create table given (i int, b bigint, n decimal(12,2), f float8, t varchar(20),"
            " d date, ts timestamp, ok boolean)"
        )
        row = [7, 2**40, Decimal("12.34"), 0.5, "it's $1", date(2024, 2, 29),
               datetime(2024, 2, 29, 1, 2, 3, 4), True]  # fmt: skip
        marks = ",".join(["%s"] * len(row))
        cursor.execute(f"insert into given values ({marks}),({marks})", [*row, *[None] * len(row)])
        cursor.execute("select * from given where i = %s and d = %s", [7, "2024-02-29"])
        assert cursor.fetchall() == (row,)
        cursor.execute("select count(*) from given where t is null limit %s", [1])
        assert cursor.fetchone() == [1]

    def test_marks_in_texts_and_comments_are_text(self, cursor: redshift_connector.Cursor) -> None:
        cursor.paramstyle = "numeric"
        cursor.execute("select '$2', \"n\" /* $3 */ from (select :1 as n) x -- $4", ["a"])
        assert cursor.fetchone() == ["$2", "a"]

    def test_a_missing_one_is_an_error(self, where: dict[str, Any]) -> None:
        with raw(where) as client:
            client.log_in()
            client.send(b"P", b"\0select $1\0", struct.pack("!h", 0))
            client.send(b"B", b"\0\0", struct.pack("!hhh", 0, 0, 0))
            assert client.error()["C"] == "08P01"

    def test_decimals_keep_their_digits(self, cursor: redshift_connector.Cursor) -> None:
        cursor.execute("create table exact (n decimal(38,20))")
        given = [Decimal("0.00000000000000000001"), Decimal("-1E+3"), Decimal("12.5")]
        for number in given:
            cursor.execute("insert into exact values (%s)", [number])
        cursor.execute("select n from exact order by n")
        assert [row[0] for row in cursor.fetchall()] == sorted(given)
        cursor.execute("select %s", [Decimal("-12.5")])
        assert cursor.fetchone() == [Decimal("-12.5")]


class TestTransactions:
    def test_what_is_not_committed_is_seen_by_none(
        self, where: dict[str, Any], cursor: redshift_connector.Cursor
    ) -> None:
        cursor.execute("create table shared (a int)")
        with connect(where) as writer:
            writer.cursor().execute("insert into shared values (1)")
            cursor.execute("select count(*) from shared")
            assert cursor.fetchone() == [0]
            writer.commit()
            cursor.execute("select count(*) from shared")
            assert cursor.fetchone() == [1]
            writer.cursor().execute("delete from shared")
            writer.rollback()
        cursor.execute("select count(*) from shared")
        assert cursor.fetchone() == [1]

    def test_leaving_rolls_back_and_frees_the_table(
        self, where: dict[str, Any], cursor: redshift_connector.Cursor
    ) -> None:
        cursor.execute("create table left_behind (a int)")
        gone = connect(where)
        gone.cursor().execute("insert into left_behind values (1)")
        gone.close()
        cursor.execute("insert into left_behind values (2)")
        cursor.execute("select a from left_behind")
        assert cursor.fetchall() == ([2],)

    @pytest.mark.parametrize("wrong", ["select nothing", "selec 1", "select 1/0", "vacuum"])
    def test_a_failed_one_takes_nothing_more(
        self, cursor: redshift_connector.Cursor, wrong: str
    ) -> None:
        cursor.execute("begin")
        cursor.execute("create table never (a int)")
        with pytest.raises(ProgrammingError):
            cursor.execute(wrong)
        with pytest.raises(ProgrammingError) as error:
            cursor.execute("select 1")
        assert state_of(error)[0] == "25P02"
        cursor.execute("commit")
        with pytest.raises(ProgrammingError) as error:
            cursor.execute("select * from never")
        assert state_of(error) == ("42P01", 'relation "never" does not exist')

    def test_temporary_tables_are_the_connection_s_own(
        self, where: dict[str, Any], cursor: redshift_connector.Cursor
    ) -> None:
        cursor.execute("create temporary table mine (a int)")
        with connect(where) as other, pytest.raises(ProgrammingError):
            other.cursor().execute("select * from mine")

    def test_writers_of_one_table_wait_for_each_other(
        self, where: dict[str, Any], cursor: redshift_connector.Cursor
    ) -> None:
        cursor.execute("create table queue (a int)")
        failures: list[Exception] = []

        def add() -> None:
            try:
                with connect(where) as mine:
                    mine.autocommit = True
                    for number in range(5):
                        mine.cursor().execute("insert into queue values (%s)", [number])
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=add) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        cursor.execute("select count(*), sum(a) from queue")
        assert cursor.fetchone() == [30, 60]


STATES = {
    "selec 1": "42601",
    "select * from missing": "42P01",
    "select * from missing.missing": "3F000",
    "select a from (select 1 as b) x": "42703",
    "select 1/0": "22012",
    "select 'a1'::int": "22P02",
    "select no_such_function(1)": "0A000",
    "select left('a')": "42883",
    "create schema public": "42P06",
    "call p()": "0A000",
    "declare c cursor for select 1": "0A000",
}


@pytest.mark.parametrize(("sql", "state"), STATES.items())
def test_errors_say_what_they_are(
    cursor: redshift_connector.Cursor, redshift: Warehouse, sql: str, state: str
) -> None:
    with pytest.raises(ProgrammingError) as error:
        cursor.execute(sql)
    code, message = state_of(error)
    assert code == state
    assert redshift.error(sql).startswith(f"ERROR: {message}")  # the Data API's words
    cursor.execute("select 1")
    assert cursor.fetchone() == [1]


class TestCancel:
    ENDLESS = (
        "with recursive t(n) as (select 1::bigint union all select n + 1 from t where n < 99999999)"
        " select count(*) from t"
    )

    def _running(self, victim: redshift_connector.Connection) -> tuple[threading.Thread, list[Any]]:
        seen: list[Any] = []

        def run() -> None:
            try:
                victim.cursor().execute(self.ENDLESS)
            except Exception as error:
                seen.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive()
        return thread, seen

    def test_by_another_session(
        self, where: dict[str, Any], cursor: redshift_connector.Cursor
    ) -> None:
        with connect(where) as victim:
            victim.autocommit = True
            (pid,) = victim.cursor().execute("select pg_backend_pid()").fetchone()
            thread, seen = self._running(victim)
            cursor.execute(f"select pg_cancel_backend({pid})")
            assert cursor.fetchone() == [1]
            thread.join(10)
            assert seen[0].args[0]["C"] == "57014"
            assert victim.cursor().execute("select 1").fetchone() == [1]

    def test_the_whole_session(
        self, where: dict[str, Any], cursor: redshift_connector.Cursor
    ) -> None:
        victim = connect(where)
        (pid,) = victim.cursor().execute("select pg_backend_pid()").fetchone()
        thread, seen = self._running(victim)
        cursor.execute(f"select pg_terminate_backend({pid})")
        thread.join(10)
        assert seen
        with pytest.raises(InterfaceError):
            victim.cursor().execute("select 1")
        cursor.execute(f"select pg_cancel_backend({pid})")
        assert cursor.fetchone() == [0]

    @staticmethod
    def _ask(where: dict[str, Any], pid: int, secret: int) -> None:
        """A CancelRequest; it has no answer but the connection's end."""
        with raw(where) as other:
            other.file.write(struct.pack("!iiii", 16, 80877102, pid, secret))
            other.file.flush()
            assert other.file.read(1) == b""

    def test_by_a_cancel_request(self, where: dict[str, Any]) -> None:
        with raw(where) as client:
            client.log_in()
            client.send(b"Q", self.ENDLESS.encode() + b"\0")
            time.sleep(0.3)
            self._ask(where, client.pid, client.secret ^ 1)
            assert select.select([client.socket], [], [], 0.5)[0] == []
            self._ask(where, client.pid, client.secret)
            assert client.error()["C"] == "57014"
            assert client.until(b"Z") == b"I"


class Raw:
    """A client that speaks in single messages."""

    def __init__(self, where: dict[str, Any]) -> None:
        self.socket = socket.create_connection((where["host"], where["port"]), timeout=20)
        self.file: Any = self.socket.makefile("rwb")
        self.pid = self.secret = 0

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, kind: bytes, *parts: bytes) -> None:
        content = b"".join(parts)
        self.file.write(kind + struct.pack("!i", len(content) + 4) + content)
        self.file.flush()

    def read(self) -> tuple[bytes, bytes]:
        kind = self.file.read(1)
        (length,) = struct.unpack("!i", self.file.read(4))
        return kind, self.file.read(length - 4)

    def until(self, wanted: bytes) -> bytes:
        """The content of the next message of that type."""
        while True:
            kind, content = self.read()
            if kind == b"K":
                self.pid, self.secret = struct.unpack("!ii", content)
            if kind == wanted:
                return content

    def kinds(self) -> str:
        """The types of the messages up to ReadyForQuery."""
        found = ""
        while not found.endswith("Z"):
            found += self.read()[0].decode()
        return found

    def error(self) -> dict[str, str]:
        parts = self.until(b"E").split(b"\0")
        return {part[:1].decode(): part[1:].decode() for part in parts if part}

    def start(self, **given: str) -> None:
        pairs = {"user": "admin", "database": "dev", **given}
        content = struct.pack("!i", 196608)
        content += b"".join(f"{key}\0{value}\0".encode() for key, value in pairs.items()) + b"\0"
        self.file.write(struct.pack("!i", len(content) + 4) + content)
        self.file.flush()
        assert self.until(b"R") == struct.pack("!i", 3)
        self.send(b"p", PASSWORD.encode() + b"\0")

    def log_in(self, **given: str) -> None:
        self.start(**given)
        self.until(b"Z")


raw = Raw


def test_psycopg_needs_nothing_but_the_address(where: dict[str, Any]) -> None:
    at = {**where, "user": "admin", "password": PASSWORD}
    with psycopg2.connect(**at) as client, client.cursor() as cursor:
        cursor.execute("create temp table t (a int, b varchar(20), c timestamp)")
        cursor.execute("insert into t values (%s, %s, %s)", (1, "it's", datetime(2024, 1, 1)))
        assert cursor.rowcount == 1
        cursor.execute("select * from t")
        assert cursor.fetchall() == [(1, "it's", datetime(2024, 1, 1))]
        with pytest.raises(psycopg2.errors.UndefinedTable):
            cursor.execute("select * from missing")
        client.rollback()
    client.close()
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**{**at, "password": "wrong"})


class TestMessages:
    def test_several_statements_are_one_transaction(
        self, where: dict[str, Any], redshift: Warehouse
    ) -> None:
        redshift.ok("create table several (a int)")
        with raw(where) as client:
            client.log_in()
            client.send(b"Q", b"insert into several values (1); select a/0 from several\0")
            assert client.kinds() == "CEZ"
            client.send(b"Q", b"select count(*) from several; select 2;\0")
            assert client.kinds() == "TDCTDCZ"
        assert redshift.value("select count(*) from several") == 0

    def test_nothing_is_an_empty_query(self, where: dict[str, Any]) -> None:
        with raw(where) as client:
            client.log_in()
            client.send(b"Q", b" ; -- nothing\0")
            assert client.kinds() == "IZ"

    def test_texts_are_as_psql_shows_them(self, where: dict[str, Any]) -> None:
        with raw(where) as client:
            client.log_in()
            client.send(
                b"Q",
                b"select true, 1.50, 0.1::float8, timestamptz '2024-01-01 00:00:00.5',"
                b" null, date '2024-01-01', interval '1 day 2 hours'\0",
            )
            content = client.until(b"D")
        found, at = [], 2
        while at < len(content):
            (length,) = struct.unpack("!i", content[at : at + 4])
            at += 4
            found.append(None if length < 0 else content[at : at + length].decode())
            at += max(length, 0)
        assert found == ["t", "1.50", "0.1", "2024-01-01 00:00:00.5+00", None, "2024-01-01",
                         "1 day 02:00:00"]  # fmt: skip

    def test_rows_come_in_portions(self, where: dict[str, Any]) -> None:
        with raw(where) as client:
            client.log_in()
            client.send(b"P", b"\0select 1 union all select 2 union all select 3\0\0\0")
            client.send(b"B", b"\0\0", struct.pack("!hhh", 0, 0, 0))
            client.send(b"E", b"\0", struct.pack("!i", 2))
            client.send(b"E", b"\0", struct.pack("!i", 2))
            client.send(b"S")
            assert client.kinds() == "12DDsDCZ"

    def test_after_an_error_nothing_counts_until_sync(self, where: dict[str, Any]) -> None:
        with raw(where) as client:
            client.log_in()
            client.send(b"P", b"\0selec 1\0\0\0")
            client.send(b"B", b"\0\0", struct.pack("!hhh", 0, 0, 0))
            client.send(b"E", b"\0", struct.pack("!i", 0))
            client.send(b"S")
            assert client.kinds() == "EZ"

    def test_a_changed_table_is_not_read_as_it_was(
        self, where: dict[str, Any], redshift: Warehouse
    ) -> None:
        redshift.ok("create table reshaped (a int)")
        with raw(where) as client:
            client.log_in()
            client.send(b"P", b"s\0select * from reshaped\0\0\0")
            client.send(b"D", b"Ss\0")
            client.send(b"S")
            assert client.kinds() == "1tTZ"
            redshift.ok("drop table reshaped")
            redshift.ok("create table reshaped (a varchar(5))")
            client.send(b"B", b"\0s\0", struct.pack("!hhh", 0, 0, 0))
            client.send(b"E", b"\0", struct.pack("!i", 0))
            client.send(b"S")
            assert client.error()["M"] == "cached plan must not change result type"

    @pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\4", b"\x7f" * 40])
    def test_other_protocols_are_turned_away(self, where: dict[str, Any], first: bytes) -> None:
        with raw(where) as client:
            client.file.write(first)
            client.file.flush()
            assert client.file.read(1) in (b"E", b"")
        with connect(where) as other:
            assert other.cursor().execute("select 1").fetchone() == [1]


class FailingOnce:
    """A listening socket for whose client there is no descriptor left, once."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        self.left = 1

    def accept(self) -> tuple[socket.socket, Any]:
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self.listening.accept()


def test_a_client_that_cannot_be_accepted_does_not_end_the_listening(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = listener.Listener(server.aws, 0)
    create = socket.create_server
    monkeypatch.setattr(socket, "create_server", lambda *a, **k: FailingOnce(create(*a, **k)))
    given.start()
    made: Any = given._socket
    given._socket = made.listening
    try:
        with socket.create_connection(("127.0.0.1", given.port), timeout=5) as client:
            client.sendall(struct.pack("!ii", 8, 80877103))  # may it be TLS?
            assert client.recv(1) == b"N"
    finally:
        given.stop()


def test_it_listens_only_where_it_is_asked_to(tmp_path: Any) -> None:
    with Server(Config(state=tmp_path), services=SERVICES) as quiet:
        api = make_client(quiet, "redshift-serverless")
        api.create_namespace(namespaceName="madrugada")
        made = api.create_workgroup(workgroupName="madrugada", namespaceName="madrugada")
        endpoint = made["workgroup"]["endpoint"]
        assert endpoint["address"].endswith(".redshift-serverless.amazonaws.com")
        assert endpoint["port"] == 5439
        assert quiet.aws.services["redshift-serverless"].listener is None  # type: ignore[attr-defined]
