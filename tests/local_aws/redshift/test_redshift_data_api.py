"""The Data API itself: statements, batches, sessions, parameters, results, lists."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.local_aws.redshift.conftest import Warehouse


@pytest.fixture(scope="module", autouse=True)
def tables(redshift: Warehouse) -> None:
    redshift.ok("create table nums (n int)")
    redshift.ok(
        "insert into nums (with recursive r(n) as (select 1 union all select n + 1 from r"
        " where n < 2500) select n from r)"
    )


def test_describes_a_statement(redshift: Warehouse) -> None:
    done = redshift.ok("select n, n::varchar as shown from nums order by 1", StatementName="all")
    assert done["HasResultSet"] is True
    assert done["ResultRows"] == 2500
    assert done["ResultSize"] > 10_000
    assert done["Duration"] > 0
    assert done["QueryString"].startswith("select n, n::varchar")
    assert (done["Database"], done["WorkgroupName"]) == ("dev", "madrugada")
    created = redshift.ok("create table described (a int)")
    assert (created["HasResultSet"], created["ResultRows"]) == (False, -1)
    inserted = redshift.ok("insert into described values (1), (2)")
    assert (inserted["HasResultSet"], inserted["ResultRows"]) == (False, 2)


def test_pages_of_a_result(redshift: Warehouse) -> None:
    done = redshift.ok("select n from nums order by 1")
    first = redshift.data.get_statement_result(Id=done["Id"])
    assert first["TotalNumRows"] == 2500
    assert len(first["Records"]) == 1000
    assert first["Records"][0] == [{"longValue": 1}]
    assert [row[0] for row in redshift.result(done["Id"])] == list(range(1, 2501))
    with pytest.raises(ClientError, match="NextToken"):
        redshift.data.get_statement_result(Id=done["Id"], NextToken="nonsense")


def test_typed_fields(redshift: Warehouse) -> None:
    done = redshift.ok(
        "select 1, 1.50, 'x', true, 2.5::float, null::int, date '2024-01-02',"
        " timestamp '2024-01-02 03:04:05.5'"
    )
    (row,) = redshift.data.get_statement_result(Id=done["Id"])["Records"]
    assert row == [
        {"longValue": 1},
        {"stringValue": "1.50"},
        {"stringValue": "x"},
        {"booleanValue": True},
        {"doubleValue": 2.5},
        {"isNull": True},
        {"stringValue": "2024-01-02"},
        {"stringValue": "2024-01-02 03:04:05.5"},
    ]


def test_csv_results(redshift: Warehouse) -> None:
    done = redshift.ok("select n, 'a,b' as t from nums where n < 3 order by 1", ResultFormat="CSV")
    answer = redshift.data.get_statement_result_v2(Id=done["Id"])
    assert answer["Records"] == [{"CSVRecords": 'n,t\r\n1,"a,b"\r\n2,"a,b"\r\n'}]
    with pytest.raises(ClientError, match="GetStatementResultV2"):
        redshift.data.get_statement_result(Id=done["Id"])


def test_parameters_are_text_that_takes_the_type_it_is_used_as(redshift: Warehouse) -> None:
    redshift.ok("create table typed (n int, d date, s varchar(40))")
    parameters = [
        {"name": "n", "value": "7"},
        {"name": "d", "value": "2024-01-02"},
        {"name": "s", "value": "it's; drop table typed"},
    ]
    redshift.ok("insert into typed values (:n, :d, :s)", Parameters=parameters)
    assert redshift.rows(
        "select * from typed where n = :n and s = :s", Parameters=[parameters[0], parameters[2]]
    ) == [(7, "2024-01-02", "it's; drop table typed")]
    with pytest.raises(ClientError, match="unused parameters"):
        redshift.run("select 1", Parameters=[{"name": "n", "value": "1"}])
    assert "parameter m has no value" in redshift.error("select :m")


def test_a_batch_is_all_or_nothing(redshift: Warehouse) -> None:
    redshift.ok("create table whole (a int)")
    done = redshift.batch("insert into whole values (1)", "select a from whole", "select 1/0")
    assert done["Status"] == "FAILED"
    assert done["Error"] == "Query #3 failed with ERROR: Divide by zero"
    assert [sub["Status"] for sub in done["SubStatements"]] == ["FINISHED", "FINISHED", "FAILED"]
    assert redshift.value("select count(*) from whole") == 0
    done = redshift.batch("insert into whole values (1)", "select a from whole")
    assert done["Status"] == "FINISHED"
    assert done["HasResultSet"] is True
    assert [sub["Id"] for sub in done["SubStatements"]] == [f"{done['Id']}:{n}" for n in (1, 2)]
    assert redshift.result(f"{done['Id']}:2") == [(1,)]
    described = redshift.data.describe_statement(Id=f"{done['Id']}:1")
    assert (described["Status"], described["ResultRows"]) == ("FINISHED", 1)
    with pytest.raises(ClientError, match="does not have result"):
        redshift.data.get_statement_result(Id=done["Id"])


def test_a_batch_may_end_its_transaction_and_begin_another(redshift: Warehouse) -> None:
    redshift.ok("create table parts (a int)")
    done = redshift.batch(
        "insert into parts values (1)", "commit", "insert into parts values (2)", "select 1/0"
    )
    assert done["Status"] == "FAILED"
    assert redshift.rows("select a from parts") == [(1,)]
    done = redshift.batch("begin", "insert into parts values (3)", "rollback", "select 1")
    assert done["Status"] == "FINISHED"
    assert redshift.rows("select a from parts") == [(1,)]


def test_a_batch_that_commits_each_statement(redshift: Warehouse) -> None:
    redshift.ok("create table each_one (a int)")
    done = redshift.batch(
        "insert into each_one values (1)", "select 1/0", "insert into each_one values (2)",
        ExecutionMode="AUTO_COMMIT",
    )  # fmt: skip
    assert [sub["Status"] for sub in done["SubStatements"]] == ["FINISHED", "FAILED", "FINISHED"]
    assert redshift.value("select count(*) from each_one") == 2


def test_limits(redshift: Warehouse) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.*40"):
        redshift.batch(*["select 1"] * 41)
    with pytest.raises(ClientError, match="limit of 102400 bytes"):
        redshift.run(f"select '{'x' * 102400}'")
    done = redshift.batch("select 1", "vacuum nums")
    assert done["Error"].endswith("ERROR: VACUUM cannot run inside a transaction block")


def test_sessions_keep_temporary_tables(redshift: Warehouse) -> None:
    first = redshift.data.execute_statement(
        Sql="create temp table mine (a int)", SessionKeepAliveSeconds=60, **redshift.where
    )
    session = first["SessionId"]
    redshift.data.describe_statement(Id=first["Id"])
    redshift.ok("insert into mine values (1)", SessionId=session)
    redshift.ok("create table #other as select a + 1 as b from mine", SessionId=session)
    assert redshift.rows("select * from mine, #other", SessionId=session) == [(1, 2)]
    assert redshift.error("select * from mine") == 'ERROR: relation "mine" does not exist'
    redshift.ok("begin", SessionId=session)
    redshift.ok("insert into mine values (2)", SessionId=session)
    assert redshift.error("select nope from mine", SessionId=session).startswith("ERROR: column")
    assert "transaction is aborted" in redshift.error("select 1", SessionId=session)
    redshift.ok("rollback", SessionId=session)
    assert redshift.rows("select a from mine", SessionId=session) == [(1,)]
    (listed,) = redshift.data.list_sessions(SessionId=session)["Sessions"]
    assert listed["Status"] == "AVAILABLE"
    redshift.ok("select 1", SessionId=session, SessionKeepAliveSeconds=0)
    with pytest.raises(ClientError, match="not available"):
        redshift.run("select 1", SessionId=session)


def test_a_client_token_runs_a_statement_once(redshift: Warehouse) -> None:
    redshift.ok("create table once (a int)")
    first = redshift.ok("insert into once values (1)", ClientToken="token-1")
    second = redshift.ok("insert into once values (1)", ClientToken="token-1")
    assert first["Id"] == second["Id"]
    assert redshift.value("select count(*) from once") == 1


def test_cancel(redshift: Warehouse) -> None:
    slow = "select count(*) from nums a, nums b, nums c, nums d where a.n + b.n + c.n + d.n = 7"
    made = redshift.data.execute_statement(Sql=slow, **redshift.where)
    time.sleep(0.3)
    assert redshift.data.cancel_statement(Id=made["Id"])["Status"] is True
    done = redshift.data.describe_statement(Id=made["Id"])
    assert done["Status"] == "ABORTED"
    with pytest.raises(ClientError, match="already in ABORTED state"):
        redshift.data.cancel_statement(Id=made["Id"])


def test_statements_are_kept_for_a_day(redshift: Warehouse) -> None:
    """And so are their results and client tokens."""
    token = "token-of-yesterday"
    kept, old = redshift.ok("select 1")["Id"], redshift.ok("select 2", ClientToken=token)["Id"]
    aws = redshift.server.aws
    aws.store.update("redshift-data/statement", old, CreatedAt=aws.now() - timedelta(hours=25))
    engine: Any = aws.services["redshift-data"]
    engine.expire()
    assert aws.store.get("redshift-data/statement", kept)
    assert not aws.store.get("redshift-data/statement", old)
    assert not aws.store.get("redshift-data/client-token", token)
    assert [engine._result_path(each).exists() for each in (kept, old)] == [True, False]


def test_a_session_whose_end_cannot_be_noted_does_not_keep_the_others(
    redshift: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = redshift.server.aws.services["redshift-data"]
    first, second = (
        redshift.ok("select 1", SessionKeepAliveSeconds=1)["SessionId"] for _ in range(2)
    )
    close = engine._close

    def failing(live: Any) -> None:
        close(live)
        if live.id == first:
            raise OSError("No space left on device")

    monkeypatch.setattr(engine, "_close", failing)
    deadline = time.monotonic() + 10
    while second in engine._sessions:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert first not in engine._sessions


def test_calls_that_ask_to_wait_are_capped_too(redshift: Warehouse) -> None:
    """Nobody may wait any more: each is answered as things stand."""
    slow = "select count(*) from nums a, nums b, nums c, nums d where a.n + b.n + c.n + d.n = 7"
    waiting = redshift.server.aws._waiting
    taken = 0
    while waiting.acquire(blocking=False):
        taken += 1
    try:
        started = time.monotonic()
        made = redshift.data.execute_statement(Sql=slow, WaitTimeSeconds=10, **redshift.where)
        redshift.data.describe_statement(Id=made["Id"], WaitTimeSeconds=10)
        assert time.monotonic() - started < 8
        redshift.data.cancel_statement(Id=made["Id"])
    finally:
        for _ in range(taken):
            waiting.release()


def test_writers_of_one_table_wait_for_each_other(redshift: Warehouse) -> None:
    redshift.ok("create table contested (id int, n int)")
    redshift.ok("insert into contested values (1, 0)")
    failures: list[str] = []

    def add() -> None:
        for _ in range(5):
            done = redshift.batch(
                "create table #c (like contested)",
                "insert into #c select id, n + 1 from contested",
                "delete from contested using #c where contested.id = #c.id",
                "insert into contested select * from #c",
            )
            if done["Status"] != "FINISHED":
                failures.append(done["Error"])

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert redshift.rows("select * from contested") == [(1, 20)]


def test_where_statements_go(redshift: Warehouse) -> None:
    data = redshift.data
    for where, message in (
        ({"Database": "dev"}, "ClusterIdentifier or WorkgroupName"),
        ({"Database": "dev", "WorkgroupName": "none-such"}, "endpoint doesn't exist"),
        ({"Database": "dev", "ClusterIdentifier": "c1", "DbUser": "u"}, "endpoint doesn't exist"),
        ({"Database": "nope", "WorkgroupName": "madrugada"}, 'database "nope" does not exist'),
        ({"WorkgroupName": "madrugada"}, "Database is required"),
    ):
        with pytest.raises(ClientError, match=message) as caught:
            data.execute_statement(Sql="select 1", **where)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError) as caught:
        data.describe_statement(Id="00000000-0000-4000-8000-000000000000")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
    with pytest.raises(ClientError, match="WithEvent"):
        redshift.run("select 1", WithEvent=True)


def test_lists(redshift: Warehouse) -> None:
    data, where = redshift.data, redshift.where
    redshift.ok("create schema listed")
    redshift.ok("create table listed.one (id int not null default 5, name varchar(7))")
    redshift.ok("create view listed.two as select id from listed.one")
    assert data.list_databases(**where)["Databases"] == ["dev"]
    assert data.list_schemas(SchemaPattern="list%", **where)["Schemas"] == ["listed"]
    found = data.list_tables(SchemaPattern="listed", **where)["Tables"]
    assert [(each["name"], each["type"]) for each in found] == [("one", "TABLE"), ("two", "VIEW")]
    page = data.list_tables(SchemaPattern="listed", MaxResults=1, **where)
    assert page["Tables"] != data.list_tables(
        SchemaPattern="listed", MaxResults=1, NextToken=page["NextToken"], **where
    )["Tables"]  # fmt: skip
    described = data.describe_table(Schema="listed", Table="one", **where)
    assert [
        (c["name"], c["typeName"], c["length"], c["nullable"], c.get("columnDefault"))
        for c in described["ColumnList"]
    ] == [("id", "int4", 4, 0, "5"), ("name", "varchar", 7, 1, None)]
    done = redshift.ok("select 41", StatementName="named-41")
    listed = data.list_statements(StatementName="named-")["Statements"]
    assert [each["Id"] for each in listed] == [done["Id"]]
