"""The SQL that Trino's becomes: pure functions from typed SQL to typed SQL."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal, localcontext
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from local_aws.athena import types as t
from local_aws.athena.errors import QueryError
from local_aws.athena.formats import strftime_format
from local_aws.athena.parser import parse
from local_aws.athena.query import translate
from local_aws.athena.results import csv_line, java_double, read_csv
from local_aws.athena.statements import bind, route, single
from local_aws.athena.values import MACROS, Value, arithmetic, cast
from local_aws.lake.scan import Column, Scan
from local_aws.lake.types import HiveType

COLUMNS = [
    Column("id", HiveType("int")),
    Column("price", HiveType("decimal", (12, 2))),
    Column("at", HiveType("timestamp")),
    Column("dt", HiveType("date"), partition=True),
]


class Lake:
    """One table ``t``; remembers what was scanned."""

    def __init__(self) -> None:
        self.scans: list[tuple[set[str] | None, str | None]] = []

    def columns(self, table: dict[str, Any]) -> list[Column]:
        return COLUMNS

    def scan(
        self,
        table: dict[str, Any],
        columns: set[str] | None = None,
        where: str | None = None,
        alias: str = "p",
    ) -> Scan:
        self.scans.append((columns, where))
        return Scan("SCAN", 7)


def translated(sql: str) -> tuple[str, list[tuple[set[str] | None, str | None]]]:
    lake = Lake()
    catalog: Any = SimpleNamespace(
        lake=lake,
        table=lambda database, name: {"Name": name} if name == "t" else None,
        has_database=lambda name: name == "d",
        information=lambda name: None,
    )
    return translate(parse(sql), catalog, "d").sql, lake.scans


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT id FROM t", 'SELECT r1."id" AS c1 FROM (SCAN) AS r1'),
        ("SELECT id / 2 FROM t", 'SELECT (r1."id" // 2) AS c1 FROM (SCAN) AS r1'),
        (
            "SELECT id + bigint '1' FROM t",
            "SELECT (CAST(r1.\"id\" AS BIGINT) + CAST('1' AS BIGINT)) AS c1 FROM (SCAN) AS r1",
        ),
        (
            "SELECT at FROM t",
            "SELECT date_trunc('millisecond', r1.\"at\" + INTERVAL 500 MICROSECOND) AS c1"
            " FROM (SCAN) AS r1",
        ),
        (
            "SELECT date_add('month', 1, dt) FROM t",
            'SELECT CAST((r1."dt" + to_months(CAST(CAST(1 AS BIGINT) AS INTEGER))) AS DATE) AS c1'
            " FROM (SCAN) AS r1",
        ),
        (
            "SELECT id FROM t ORDER BY id DESC LIMIT 3",
            'SELECT r1."id" AS c1 FROM (SCAN) AS r1 ORDER BY r1."id" DESC NULLS LAST LIMIT 3',
        ),
        (
            "SELECT count_if(id > 1) FROM t",
            'SELECT count(*) FILTER (WHERE ((r1."id" > 1))) AS c1 FROM (SCAN) AS r1',
        ),
        (
            "SELECT a FROM (SELECT id a, price b FROM t) x",
            'SELECT r2.c1 AS c1 FROM (SELECT r1."id" AS c1, CAST(NULL AS DECIMAL(12,2)) AS c2'
            " FROM (SCAN) AS r1) AS r2",
        ),
    ],
)
def test_the_text(sql: str, expected: str) -> None:
    assert translated(sql)[0] == expected


@pytest.mark.parametrize(
    ("sql", "scans"),
    [
        ("SELECT count(*) FROM t", [(set(), None)]),
        ("WITH a AS (SELECT * FROM t), unused AS (SELECT * FROM t) SELECT id FROM a",
         [({"id"}, None)]),
        ("SELECT id FROM t WHERE dt = DATE '2024-01-01' AND id > 1",
         [({"id", "dt"}, "(r1.\"dt\" = CAST('2024-01-01' AS DATE))")]),
        ("SELECT 1 FROM t a JOIN t b ON a.id = b.id AND b.dt IS NULL",
         [({"id"}, None), ({"id", "dt"}, '(r2."dt" IS NULL)')]),
        ("SELECT 1 FROM t a LEFT JOIN t b ON a.dt IS NULL AND b.dt IS NULL",
         [({"dt"}, None), ({"dt"}, '(r2."dt" IS NULL)')]),
        ("SELECT 1 FROM t a LEFT JOIN t b ON a.id = b.id WHERE b.dt IS NULL",
         [({"id"}, None), ({"id", "dt"}, None)]),
        ("SELECT 1 FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE a.dt IS NULL)",
         [({"dt"}, None), (set(), None)]),
    ],
)  # fmt: skip
def test_what_is_read(sql: str, scans: list[tuple[set[str] | None, str | None]]) -> None:
    assert translated(sql)[1] == scans


decimals = some.tuples(some.integers(1, 12), some.integers(0, 6)).filter(lambda d: d[1] <= d[0])


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the macros that translated SQL calls."""
    with duckdb.connect() as made:
        for macro in MACROS:
            made.execute(macro)
        yield made


@settings(deadline=None, max_examples=60)
@given(decimals, decimals, some.integers(-(10**9), 10**9), some.integers(-(10**9), 10**9))
def test_decimal_arithmetic_is_exact(
    connection: duckdb.DuckDBPyConnection,
    first: tuple[int, int],
    second: tuple[int, int],
    x: int,
    y: int,
) -> None:
    def value(type_: tuple[int, int], number: int) -> tuple[Value, Decimal]:
        precision, scale = type_
        number = number % 10**precision if number >= 0 else -(-number % 10**precision)
        exact = Decimal(number).scaleb(-scale)
        return Value(f"CAST('{exact:f}' AS DECIMAL({precision},{scale}))",
                     t.decimal(precision, scale)), exact  # fmt: skip

    (a, left), (b, right) = value(first, x), value(second, y)
    with localcontext() as context:
        context.prec = 60
        for operator in "+-*/":
            if operator == "/" and not right:
                continue
            made = arithmetic(operator, a, b)
            exact = {
                "+": left + right, "-": left - right, "*": left * right,
                "/": left / right if right else Decimal(0),
            }[operator]  # fmt: skip
            wanted = exact.quantize(Decimal(1).scaleb(-made.type.args[1]), ROUND_HALF_UP)
            row = connection.execute(f"SELECT {made.sql}").fetchone()
            assert row is not None
            assert row[0] == wanted


@pytest.mark.parametrize(
    ("a", "operator", "b", "result"),
    [
        (t.decimal(10, 2), "+", t.decimal(5, 4), t.decimal(13, 4)),
        (t.decimal(10, 2), "*", t.decimal(5, 4), t.decimal(15, 6)),
        (t.decimal(10, 2), "/", t.decimal(5, 4), t.decimal(16, 4)),
        (t.decimal(38, 2), "+", t.decimal(38, 2), t.decimal(38, 2)),
        (t.decimal(10, 2), "*", t.INTEGER, t.decimal(20, 2)),
        (t.decimal(10, 2), "*", t.DOUBLE, t.DOUBLE),
        (t.INTEGER, "/", t.BIGINT, t.BIGINT),
        (t.REAL, "+", t.INTEGER, t.REAL),
        (t.DATE, "-", t.DATE, t.DAY_TO_SECOND),
        (t.DATE, "+", t.YEAR_TO_MONTH, t.DATE),
    ],
)
def test_result_types(a: t.Type, operator: str, b: t.Type, result: t.Type) -> None:
    assert arithmetic(operator, Value("a", a), Value("b", b)).type == result


@pytest.mark.parametrize(("a", "b"), [(t.VARCHAR, t.INTEGER), (t.BOOLEAN, t.INTEGER)])
def test_types_that_do_not_meet(a: t.Type, b: t.Type) -> None:
    assert t.common(a, b) is None
    with pytest.raises(QueryError, match="TYPE_MISMATCH"):
        arithmetic("+", Value("a", a), Value("b", b))


def test_casts_that_do_not_exist() -> None:
    with pytest.raises(QueryError, match="Cannot cast boolean to date"):
        cast(Value("b", t.BOOLEAN), t.DATE)


@settings(deadline=None)
@given(some.floats(allow_nan=False))
def test_doubles_are_printed_one_way(connection: duckdb.DuckDBPyConnection, number: float) -> None:
    printed = java_double(number)
    assert float(printed) == number
    row = connection.execute(
        "SELECT trino_number_text(CAST(CAST(? AS DOUBLE) AS VARCHAR))", [number]
    ).fetchone()
    assert row == (printed,)


@settings(deadline=None)
@given(some.lists(some.lists(some.none() | some.text(), min_size=2, max_size=2)))
def test_results_are_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str | None]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "r.csv"
    path.write_text("".join(map(csv_line, rows)), encoding="utf-8", newline="")
    found, offset = [], 0
    while offset is not None:
        page, following = read_csv(path, offset, 2)
        found += page
        offset = following  # type: ignore[assignment]
    assert found == rows


@pytest.mark.parametrize(
    ("mysql", "expected"),
    [("%Y-%m-%d %H:%i:%s", "%Y-%m-%d %H:%M:%S"), ("%c/%e %W", "%-m/%-d %A"), ("100%%", "100%%")],
)
def test_date_formats(mysql: str, expected: str) -> None:
    assert strftime_format(mysql) == expected


def test_parameters_are_bound_by_tokens() -> None:
    sql = "SELECT '?', \"a?\" FROM t -- ?\nWHERE x = ? AND y = ?"
    assert bind(sql, ["'?'", "1 + 1"]).endswith("WHERE x = '?' AND y = (1 + 1)")
    with pytest.raises(QueryError, match="expected 2 but found 0"):
        bind(sql, [])


@pytest.mark.parametrize(
    ("sql", "type_", "subtype"),
    [
        ("/* a; b */ SELECT 1;", "DML", "SELECT"),
        ("(SELECT 1)", "DML", "SELECT"),
        ("VALUES 1", "DML", "SELECT"),
        ("INSERT INTO t SELECT 1", "DML", "INSERT"),
        ("CREATE TABLE a.b AS WITH x AS (SELECT 1 y) SELECT * FROM x", "DDL",
         "CREATE_TABLE_AS_SELECT"),
        ("create external table `a` (`b` string) location 's3://c/'", "DDL", "CREATE_TABLE"),
        ("MSCK REPAIR TABLE t", "DDL", "MSCK"),
        ("SHOW TABLES IN d", "UTILITY", "SHOW_TABLES"),
        ("DESC t", "UTILITY", "DESCRIBE"),
        ("EXPLAIN SELECT 1", "UTILITY", "EXPLAIN"),
    ],
)  # fmt: skip
def test_routes(sql: str, type_: str, subtype: str) -> None:
    routed = route(sql)
    assert (routed.type, routed.subtype) == (type_, subtype)


def test_one_statement() -> None:
    assert single("SELECT ';' -- ; \n ;") == "SELECT ';'"
    with pytest.raises(QueryError, match="Only one sql statement is allowed"):
        single("SELECT 1; SELECT 2")


def test_numbers_that_run_into_operators() -> None:
    with pytest.raises(QueryError, match="Put spaces around operators"):
        translated("SELECT 1e0+2*3")
