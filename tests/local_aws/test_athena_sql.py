"""Trino's SQL as clients of Athena see it: values, types and errors of real queries."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local_aws.server import Server

Row = list[str | None]
Ask = Callable[[str], list[Row]]


class Failed(Exception):
    """A query that did not succeed; the message is StateChangeReason."""


@pytest.fixture(scope="module")
def ask(client: Callable[[str], Any], server: Server) -> Ask:
    """Runs a query and gives its rows without the header."""
    client("s3").create_bucket(Bucket="sql")
    client("glue").create_database(DatabaseInput={"Name": "d"})
    athena = client("athena")

    def run(sql: str) -> list[Row]:
        key = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": "d"},
            ResultConfiguration={"OutputLocation": "s3://sql/results/"},
        )["QueryExecutionId"]
        status = athena.get_query_execution(QueryExecutionId=key)["QueryExecution"]["Status"]
        if status["State"] != "SUCCEEDED":
            raise Failed(status["StateChangeReason"])
        rows = athena.get_query_results(QueryExecutionId=key)["ResultSet"]["Rows"]
        return [[datum.get("VarCharValue") for datum in row["Data"]] for row in rows][1:]

    run(
        """
        CREATE TABLE sales WITH (partitioned_by = ARRAY['dt']) AS
        SELECT * FROM (VALUES
            (1, 'Laptop', DECIMAL '1200.00', 1.5e0, ARRAY[1, 2], DATE '2024-01-01'),
            (2, 'Mouse', DECIMAL '25.00', 2.5e0, ARRAY[3], DATE '2024-01-01'),
            (3, 'Mouse', DECIMAL '20.00', NULL, NULL, DATE '2024-01-02')
        ) AS t (id, product, price, score, tags, dt)
        """
    )
    return run


VALUES: list[tuple[str, list[str | None]]] = [
    # integers: https://trino.io/docs/current/functions/math.html
    ("7 / 2, -7 / 2, 7 % 3, -7 % 3, cast(1 as bigint) / 2", ["3", "-3", "1", "-1", "0"]),
    ("5 / 2e0, 1e0 / 0, 7.5 % 2", ["2.5", "Infinity", "1.5"]),
    ("typeof(1 + 1), typeof(1 + bigint '1'), typeof(2147483648)", ["integer", "bigint", "bigint"]),
    # decimals: https://trino.io/docs/current/functions/decimal.html
    ("1.0 / 3, 10.00 / 3, 2.00 / 3, -2.00 / 3", ["0.3", "3.33", "0.67", "-0.67"]),
    ("typeof(1.50), typeof(1.5 * 2.25), typeof(1.5 + 10)",
     ["decimal(3,2)", "decimal(5,3)", "decimal(12,1)"]),
    ("decimal '1.10' + 1, cast(12.345 as decimal(10,2)), cast('1.555' as decimal(4,2))",
     ["2.10", "12.35", "1.56"]),
    ("round(2.5), round(-2.5), round(1.255, 2), round(2.5e0), floor(-1.5), ceil(1.1)",
     ["3", "-3", "1.260", "3.0", "-2", "2"]),
    # doubles as Java prints them
    ("1e10, 1e7, 1e6, 0.1e0, 1e-3, 1e-4, -1.5e300, 100e0",
     ["1.0E10", "1.0E7", "1000000.0", "0.1", "0.001", "1.0E-4", "-1.5E300", "100.0"]),
    ("cast(1e10 as varchar), cast(0.1e0 as varchar), cast(real '0.1' as varchar), real '0.1'",
     ["1.0E10", "0.1", "0.1", "0.1"]),
    # conversions: https://trino.io/docs/current/functions/conversion.html
    ("cast(2.5 as integer), cast(2.5e0 as integer), cast(-2.5e0 as integer), cast(true as integer)",
     ["3", "3", "-3", "1"]),
    ("try_cast('1.5' as integer), try_cast('x' as date), try_cast('2024-13-01' as date)",
     [None, None, None]),
    ("cast('2024-1-5' as date), cast(timestamp '2024-01-01 10:00:00.5' as varchar)",
     ["2024-01-05", "2024-01-01 10:00:00.5"]),
    ("cast(date '2024-01-01' as timestamp), timestamp '2024-01-01 10:00:00'",
     ["2024-01-01 00:00:00.000", "2024-01-01 10:00:00.000"]),
    ("true, false, cast(null as varchar), '', 'a\"b', 'it''s'",
     ["true", "false", None, "", 'a"b', "it's"]),
    # NULL
    ("null = null, null is not distinct from null, 1 in (2, null), greatest(1, null)",
     [None, "true", None, None]),
    ("concat('a', null), 'a' || null, coalesce(null, 1.5, 2), nullif(1, 1), if(false, 1)",
     [None, None, "1.5", None, None]),
    ("try(1 / 0), try(cast('x' as integer)), try(element_at(array[1], 0))", [None, None, None]),
    # text: https://trino.io/docs/current/functions/string.html
    ("substr('hello', 2, 3), substr('hello', -3), substr('hello', 0), substr('abc', -5, 3)",
     ["ell", "llo", "", ""]),
    ("split('a,b', ','), split_part('a-b', '-', 2), split_part('a-b', '-', 3), strpos('hello', 'l')",
     ["[a, b]", "b", None, "3"]),
    ("regexp_extract('a12', '\\d+'), regexp_extract('a', '\\d+'), regexp_replace('a1', '(\\d)', '<$1>')",
     ["12", None, "a<1>"]),
    ("trim('\t a '), upper('ção'), length('ção'), reverse('abc'), lpad('1', 3, '0')",
     ["a", "ÇÃO", "3", "cba", "001"]),
    ("'abc' < 'abd', 'Z' < 'a', 'a' = cast('a' as char(3)), 'a%' like 'a!%' escape '!'",
     ["true", "true", "true", "true"]),
    # dates: https://trino.io/docs/current/functions/datetime.html
    ("date_add('month', 1, date '2024-01-31'), date_add('hour', 5, timestamp '2024-01-01 20:00:00')",
     ["2024-02-29", "2024-01-02 01:00:00.000"]),
    ("date_trunc('month', date '2024-05-31'), date_trunc('week', date '2024-01-07'),"
     " typeof(date_trunc('month', date '2024-05-31'))", ["2024-05-01", "2024-01-01", "date"]),
    ("date_diff('day', timestamp '2024-01-01 23:00:00', timestamp '2024-01-02 01:00:00'),"
     " date_diff('month', date '2024-01-31', date '2024-03-01'),"
     " date_diff('day', date '2024-01-02', date '2024-01-01')", ["0", "1", "-1"]),
    ("date '2024-01-31' + interval '1' month, date '2024-01-05' - date '2024-01-01',"
     " timestamp '2024-01-01 00:00:00' - interval '90' minute",
     ["2024-02-29", "4 00:00:00.000", "2023-12-31 22:30:00.000"]),
    ("day_of_week(date '2024-01-07'), week(date '2024-12-30'), year_of_week(date '2024-12-30'),"
     " extract(quarter from date '2024-12-01')", ["7", "1", "2025", "4"]),
    ("date_format(timestamp '2024-01-05 03:04:05', '%d/%m/%Y %H:%i:%s'),"
     " date_parse('05/01/2024', '%d/%m/%Y'), date_parse('10:11', '%H:%i')",
     ["05/01/2024 03:04:05", "2024-01-05 00:00:00.000", "1970-01-01 10:11:00.000"]),
    ("from_unixtime(0), from_iso8601_timestamp('2024-01-01T10:00:00Z'),"
     " timestamp '2024-01-01 12:00:00' at time zone 'America/Sao_Paulo'",
     ["1970-01-01 00:00:00.000 UTC", "2024-01-01 10:00:00.000 UTC",
      "2024-01-01 09:00:00.000 America/Sao_Paulo"]),
    ("cast(from_unixtime(0) at time zone 'America/Sao_Paulo' as date),"
     " current_date = cast(now() as date)", ["1969-12-31", "true"]),
    # json: https://trino.io/docs/current/functions/json.html
    ("json_extract_scalar('{\"a\":{\"b\":[1,\"x\"]}}', '$.a.b[1]'), json_extract('{\"a\":{\"b\":1}}', '$.a'),"
     " json_extract_scalar('{\"a\":{}}', '$.a'), json_extract_scalar('bad', '$.a')",
     ["x", '{"b":1}', None, None]),
    ("cast(json_parse('[1,2]') as array(integer)), json_array_length('[1,2]')", ["[1, 2]", "2"]),
    # arrays, maps, rows
    ("array[1, null, 3], map(array['k'], array[1.5]), row(1, 'x'), x'6162'",
     ["[1, null, 3]", "{k=1.5}", "{field0=1, field1=x}", "61 62"]),
    ("element_at(array[1, 2], -1), element_at(array[1], 9), array[10, 20][2], cardinality(array[1])",
     ["2", None, "20", "1"]),
    ("contains(array[1, null], 3), array_distinct(array[2, 1, 2, null]), array_sort(array[2, null, 1])",
     [None, "[2, 1, null]", "[1, 2, null]"]),
    ("transform(array[1, 2], x -> x * 10), filter(array[1, 2, 3], x -> x > 1),"
     " reduce(array[1, 2, 3], 0, (s, x) -> s + x, s -> s * 2)", ["[10, 20]", "[2, 3]", "12"]),
    ("sequence(1, 3), sequence(date '2024-01-01', date '2024-01-02'), array_join(array[1, null, 2], '-')",
     ["[1, 2, 3]", "[2024-01-01, 2024-01-02]", "1-2"]),
]  # fmt: skip


@pytest.mark.parametrize(("items", "expected"), VALUES, ids=[v[0][:40] for v in VALUES])
def test_values(ask: Ask, items: str, expected: list[str | None]) -> None:
    assert ask(f"SELECT {items}") == [expected]


QUERIES: list[tuple[str, list[Row]]] = [
    ("SELECT x FROM (VALUES 3, NULL, 1) t(x) ORDER BY x DESC", [["3"], ["1"], [None]]),
    ("SELECT x FROM (VALUES 3, NULL, 1) t(x) ORDER BY x", [["1"], ["3"], [None]]),
    ("SELECT sum(x), avg(x), count(x), count_if(x > 1), typeof(sum(x)), typeof(avg(x))"
     " FROM (VALUES 1, 2, NULL) t(x)", [["3", "1.5", "2", "1", "bigint", "double"]]),
    ("SELECT sum(price), avg(price), typeof(sum(price)), typeof(avg(price)) FROM sales",
     [["1245.00", "415.00", "decimal(38,2)", "decimal(6,2)"]]),
    ("SELECT product, sum(price) AS total FROM sales GROUP BY 1 ORDER BY 2 DESC",
     [["Laptop", "1200.00"], ["Mouse", "45.00"]]),
    ("SELECT max_by(product, price), min_by(id, price), approx_distinct(product),"
     " array_agg(id ORDER BY id DESC), approx_percentile(price, 0.5) FROM sales",
     [["Laptop", "3", "2", "[3, 2, 1]", "25.00"]]),
    ("SELECT id, tag, n FROM sales CROSS JOIN UNNEST(tags) WITH ORDINALITY AS t(tag, n)"
     " ORDER BY id, n", [["1", "1", "1"], ["1", "2", "2"], ["2", "3", "1"]]),
    ("SELECT id, tag FROM sales LEFT JOIN UNNEST(tags) AS t(tag) ON true WHERE id = 3",
     [["3", None]]),
    ("SELECT k, v FROM UNNEST(map(ARRAY['a'], ARRAY[1])) AS t(k, v)", [["a", "1"]]),
    ("SELECT id, row_number() OVER (PARTITION BY product ORDER BY price DESC) FROM sales"
     " ORDER BY id", [["1", "1"], ["2", "1"], ["3", "2"]]),
    ("SELECT id, lag(id) OVER (ORDER BY id), sum(price) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING)"
     " FROM sales ORDER BY id", [["1", None, "1200.00"], ["2", "1", "1225.00"], ["3", "2", "1245.00"]]),
    ("WITH s AS (SELECT * FROM sales), t AS (SELECT product, price FROM s WHERE dt = DATE '2024-01-01')"
     " SELECT count(*), sum(price) FROM t", [["2", "1225.00"]]),
    ("SELECT product FROM sales s WHERE price = (SELECT max(price) FROM sales x WHERE x.product ="
     " s.product) ORDER BY 1", [["Laptop"], ["Mouse"]]),
    ("SELECT count(*) FROM sales a WHERE NOT EXISTS (SELECT 1 FROM sales b WHERE a.dt = DATE"
     " '2024-01-01')", [["1"]]),
    ("SELECT count(*) FROM sales a LEFT JOIN sales b ON a.dt = DATE '2024-01-01' AND a.id = b.id",
     [["3"]]),
    ("SELECT dt, count(*) FROM sales GROUP BY ROLLUP (dt) ORDER BY dt",
     [["2024-01-01", "2"], ["2024-01-02", "1"], [None, "3"]]),
    ("SELECT k, a.v, b.v FROM (VALUES (1, 'l')) a(k, v) FULL JOIN (VALUES (2, 'r')) b(k, v)"
     " USING (k) ORDER BY k", [["1", "l", None], ["2", None, "r"]]),
    ("SELECT 1 AS x UNION SELECT 1 UNION ALL SELECT 2 ORDER BY x", [["1"], ["2"]]),
    ("SELECT x FROM (VALUES 1, 2, 3) t(x) ORDER BY x OFFSET 1 LIMIT 1", [["2"]]),
    ("SELECT SCORE FROM Sales WHERE ID = 2", [["2.5"]]),
    ("SELECT \"$path\" LIKE 's3://%dt=2024-01-02%' FROM sales WHERE id = 3", [["true"]]),
    ("SELECT x.a, x FROM (SELECT CAST(ROW(1, 'b') AS ROW(a integer, b varchar)) AS x)",
     [["1", "{a=1, b=b}"]]),
    ("SELECT listagg(product, ',') WITHIN GROUP (ORDER BY id) FROM sales", [["Laptop,Mouse,Mouse"]]),
    ("SELECT table_name, column_name, data_type FROM information_schema.columns"
     " WHERE table_schema = 'd' AND ordinal_position = 3", [["sales", "price", "decimal(6,2)"]]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), QUERIES, ids=[q[0][:50] for q in QUERIES])
def test_queries(ask: Ask, sql: str, expected: list[Row]) -> None:
    assert ask(sql) == expected


ERRORS = [
    ("SELECT 1 / 0", "DIVISION_BY_ZERO: / by zero"),
    ("SELECT 1.0 / 0", "DIVISION_BY_ZERO"),
    ("SELECT 2147483647 + 1", "NUMERIC_VALUE_OUT_OF_RANGE"),
    ("SELECT sum(x) FROM (VALUES 9223372036854775807, 1) t(x)", "NUMERIC_VALUE_OUT_OF_RANGE"),
    ("SELECT cast('abc' as integer)", "INVALID_CAST_ARGUMENT: Cannot cast 'abc' to INT"),
    ("SELECT cast('1.5' as integer)", "INVALID_CAST_ARGUMENT: Cannot cast '1.5' to INT"),
    ("SELECT cast('2024/01/01' as date)",
     "INVALID_CAST_ARGUMENT: Value cannot be cast to date: 2024/01/01"),
    ("SELECT cast(12.345 as decimal(3,2))", "INVALID_CAST_ARGUMENT"),
    ("SELECT cast(product as integer) FROM sales", "INVALID_CAST_ARGUMENT: Cannot cast"),
    ("SELECT nope FROM sales", "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved"),
    ("SELECT id AS x FROM sales WHERE x = 1", "COLUMN_NOT_FOUND"),
    ("SELECT * FROM nope", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.d.nope' does not exist"),
    ("SELECT * FROM no.such", "SCHEMA_NOT_FOUND"),
    ("SELECT * FROM other.d.sales", "CATALOG_NOT_FOUND"),
    ("SELECT nvl(1, 2)", "FUNCTION_NOT_FOUND: line 1:8: Function 'nvl' not registered"),
    ("SELECT len('a')", "FUNCTION_NOT_FOUND: line 1:8: Function 'len' not registered"),
    ("SELECT soundex('a')", "NOT_SUPPORTED: The embedded AWS does not support the function soundex"),
    ("SELECT lower(1)", "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters (integer) for function"
     " lower. Expected: lower(varchar)"),
    ("SELECT id = 'x' FROM sales", "TYPE_MISMATCH: line 1:8: Cannot apply operator: integer ="),
    ("SELECT dt = '2024-01-01' FROM sales", "TYPE_MISMATCH"),
    ("SELECT 'a' || 1", "TYPE_MISMATCH"),
    ("SELECT 1 FROM sales WHERE id", "TYPE_MISMATCH"),
    ("SELECT id, count(*) FROM sales", "EXPRESSION_NOT_AGGREGATE: 'id' must be an aggregate"),
    ("SELECT 1 FROM sales WHERE count(*) > 1", "EXPRESSION_NOT_SCALAR"),
    ("SELECT id FROM sales a JOIN sales b ON a.id = b.id", "AMBIGUOUS_NAME: line 1:8: Column 'id'"),
    ("SELECT (SELECT id FROM sales)", "SUBQUERY_MULTIPLE_ROWS"),
    ("SELECT 1 UNION SELECT 'a'", "TYPE_MISMATCH: column 1 in UNION query has incompatible types"),
    ("SELECT array[1][2]", "INVALID_FUNCTION_ARGUMENT: Array subscript must be less than"),
    ("SELECT map(array['a'], array[1])['b']", "INVALID_FUNCTION_ARGUMENT: Key not present in map"),
    ("SELECT date_add('hour', 1, date '2024-01-01')", "INVALID_FUNCTION_ARGUMENT: line 1:8: 'hour'"
     " is not a valid DATE field"),
    ("SELECT date_parse('x', '%Y')", "INVALID_FUNCTION_ARGUMENT"),
    ("SELECT row_number() FROM sales", "MISSING_OVER"),
    ("SELECT regexp_like('a', '(?=a)')", "NOT_SUPPORTED: The embedded AWS does not support (?="),
    ("WITH RECURSIVE t(n) AS (SELECT 1) SELECT * FROM t", "NOT_SUPPORTED"),
    ("SELECT * FROM sales TABLESAMPLE BERNOULLI (10)", "NOT_SUPPORTED"),
    ("DELETE FROM sales", "NOT_SUPPORTED: The embedded AWS does not support DELETE"),
    ("MERGE INTO sales USING x ON a = b WHEN MATCHED THEN DELETE", "NOT_SUPPORTED"),
    ("INSERT OVERWRITE sales SELECT 1", "NOT_SUPPORTED"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "message"), ERRORS, ids=[e[0][:50] for e in ERRORS])
def test_errors(ask: Ask, sql: str, message: str) -> None:
    with pytest.raises(Failed) as caught:
        ask(sql)
    assert str(caught.value).startswith(message)


def test_unnamed_and_named_columns(client: Callable[[str], Any], ask: Ask) -> None:
    athena = client("athena")
    key = athena.start_query_execution(
        QueryString='SELECT 1, id, price + 1 AS "Mixed Name", 1.5e0, product, dt FROM sales',
        QueryExecutionContext={"Database": "d"},
        ResultConfiguration={"OutputLocation": "s3://sql/results/"},
    )["QueryExecutionId"]
    athena.get_query_execution(QueryExecutionId=key)
    result = athena.get_query_results(QueryExecutionId=key)["ResultSet"]
    columns = result["ResultSetMetadata"]["ColumnInfo"]
    header = [datum["VarCharValue"] for datum in result["Rows"][0]["Data"]]
    assert header == ["_col0", "id", "Mixed Name", "_col3", "product", "dt"]
    assert [(c["Name"], c["Type"], c["Precision"], c["Scale"]) for c in columns] == [
        ("_col0", "integer", 10, 0),
        ("id", "integer", 10, 0),
        ("Mixed Name", "decimal", 13, 2),
        ("_col3", "double", 17, 0),
        ("product", "varchar", 6, 0),
        ("dt", "date", 0, 0),
    ]


def test_what_is_scanned(client: Callable[[str], Any], ask: Ask) -> None:
    athena = client("athena")

    def scanned(sql: str) -> int:
        key = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": "d"},
            ResultConfiguration={"OutputLocation": "s3://sql/results/"},
        )["QueryExecutionId"]
        found = athena.get_query_execution(QueryExecutionId=key)["QueryExecution"]
        assert found["Status"]["State"] == "SUCCEEDED"
        return int(found["Statistics"]["DataScannedInBytes"])

    everything = scanned("SELECT * FROM sales")
    one = scanned("SELECT id FROM sales")
    assert 0 < one < everything
    assert scanned("WITH s AS (SELECT * FROM sales) SELECT id FROM s") == one
    assert 0 < scanned("SELECT id FROM sales WHERE dt = DATE '2024-01-02'") < one
    assert scanned("SELECT count(*) FROM sales") == 0
