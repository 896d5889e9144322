"""Redshift's SQL, twice: the text that DuckDB gets, and what a Data API client observes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from local_aws.redshift import types as t
from local_aws.redshift.compiler import Column, Compiler, Relation
from local_aws.redshift.dialect import parse_one
from local_aws.redshift.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.local_aws.redshift.conftest import Warehouse


class OneTable:
    """A catalog with one table, ``t``."""

    database = "dev"

    def relation(self, parts: tuple[str, ...], path: tuple[str, ...] | None = None) -> Relation:
        if parts[-1] != "t":
            raise SqlError(f'relation "{parts[-1]}" does not exist')
        columns = [
            Column("i", t.INT4),
            Column("n", t.numeric(12, 2)),
            Column("s", t.varchar(10)),
            Column("d", t.DATE),
            Column("f", t.FLOAT8),
        ]
        return Relation("table", "public", "t", columns, sql='"t"')

    def scan(self, relation: Relation, names: Sequence[str], where: str | None, alias: str) -> str:
        raise AssertionError


def compiled(sql: str) -> tuple[str, list[str]]:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    query = Compiler(OneTable(), {}, now, now).query(parse_one(sql))
    return query.sql, [str(column.type) for column in query.columns]


@pytest.mark.parametrize(
    ("sql", "duckdb", "kind"),
    [
        ("5/2", '(5 // 2) AS "?column?"', "integer"),
        ("i/2", '("t"."i" // 2) AS "?column?"', "integer"),
        ("n + n", 'CAST("t"."n" + "t"."n" AS DECIMAL(13,2)) AS "?column?"', "numeric(13,2)"),
        ("n * n", 'CAST("t"."n" * "t"."n" AS DECIMAL(25,4)) AS "?column?"', "numeric(25,4)"),
        ("f / 2", 'CAST("t"."f" / _rs.divisor(CAST(2 AS DOUBLE)) AS DOUBLE) AS "?column?"',
         "double precision"),
        ("sum(i)", 'CAST(sum("t"."i") AS BIGINT) AS "sum"', "bigint"),
        ("sum(n)", 'CAST(sum("t"."n") AS DECIMAL(38,2)) AS "sum"', "numeric(38,2)"),
        ("avg(i)", 'CAST(sum("t"."i") // nullif(count("t"."i"), 0) AS BIGINT) AS "avg"', "bigint"),
        ("getdate()", "TIMESTAMP '2026-01-02 03:04:05' AS \"getdate\"",
         "timestamp without time zone"),
        ("nvl(s, 'x')", 'coalesce("t"."s", \'x\') AS "coalesce"', "character varying(10)"),
        ("d + 1", '("t"."d" + CAST(1 AS INTEGER)) AS "?column?"', "date"),
        ("dateadd(month, 1, d)", '(CAST("t"."d" AS TIMESTAMP) + to_months((1))) AS "date_add"',
         "timestamp without time zone"),
        ("s like 'a\\\\_b%'", "(\"t\".\"s\" LIKE 'a\\_b%' ESCAPE '\\') AS \"?column?\"", "boolean"),
        ("s::int", 'CAST(_rs.digits("t"."s", \'Integer\') AS INTEGER) AS "s"', "integer"),
        ("s::varchar(3)", '_rs.first_bytes("t"."s", 3) AS "s"', "character varying(3)"),
    ],
)  # fmt: skip
def test_text_for_duckdb(sql: str, duckdb: str, kind: str) -> None:
    assert compiled(f"select {sql} from t") == (f'SELECT {duckdb} FROM "t" AS "t"', [kind])


def test_nulls_sort_as_the_highest_values() -> None:
    text, _ = compiled("select i from t order by i, n desc")
    assert text.endswith('ORDER BY 1 ASC NULLS LAST, "t"."n" DESC NULLS FIRST')


def test_identifiers_are_folded_to_lower_case() -> None:
    assert (
        compiled('select "I" as "Total" from T')[0] == 'SELECT "t"."i" AS "total" FROM "t" AS "t"'
    )


@pytest.fixture(scope="module", autouse=True)
def tables(redshift: Warehouse) -> None:
    redshift.ok("create schema s")
    redshift.ok(
        "create table s.sales (id int not null, product varchar(10), quantity int,"
        " price decimal(12,2), day date, note char(4), primary key (id))"
    )
    redshift.ok(
        "insert into s.sales values (1, 'Laptop', 1, 1200.00, '2024-01-01', 'a'),"
        " (2, 'Mouse', 2, 25.00, '2024-01-01', 'b '), (3, 'Mouse', 3, 20.00, '2024-01-03', null),"
        " (4, null, null, null, null, null)"
    )


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select 7/2, -7/2, 7%3, 7.0/2", [(3, -3, 1, "3.500000000000")]),
        ("select 2.0/3, 10.00/3", [("0.666666666666", "3.3333333333333")]),
        ("select avg(quantity), sum(quantity), avg(price) from s.sales", [(2, 6, "415.00")]),
        ("select cast(2.5 as int), cast(-2.5 as int), cast(1.005 as decimal(5,2))",
         [(3, -3, "1.01")]),
        ("select true, 't'::boolean, false and null", [(True, True, False)]),
        ("select id from s.sales order by price desc", [(4,), (1,), (2,), (3,)]),
        ("select id from s.sales order by price limit 2", [(3,), (2,)]),
        ("select id from s.sales order by 1 limit all", [(1,), (2,), (3,), (4,)]),
        ("select top 1 id from s.sales order by id desc", [(4,)]),
        ("select note, len(note), note = 'b' from s.sales where id = 2", [("b   ", 1, True)]),
        ("select product from s.sales where product ilike 'mou%' and id = 2", [("Mouse",)]),
        ("select product similar to '(Lap|Mou)%' from s.sales where id = 1", [(True,)]),
        ("select 'a' || 1 || null", [(None,)]),
        ("select listagg(product, '+') within group (order by id) from s.sales",
         [("Laptop+Mouse+Mouse",)]),
        ("select count(distinct product), approximate count(distinct product) from s.sales",
         [(2, 2)]),
        ("select product, id from s.sales qualify row_number() over"
         " (partition by product order by id desc) = 1 order by 2", [("Laptop", 1), ("Mouse", 3),
                                                                    (None, 4)]),
        ("select day, count(*) c from s.sales group by 1 having count(*) > 1",
         [("2024-01-01", 2)]),
        ("select price * 2 as twice, twice + 1 as more from s.sales where id = 2",
         [("50.00", "51.00")]),
        ("with recursive n(i) as (select 1 union all select i + 1 from n where i < 4)"
         " select sum(i) from n", [(10,)]),
        ("select 1 union all select 2.5 order by 1", [("1.0",), ("2.5",)]),
        ("select 1 except select 2", [(1,)]),
        ("select 1 minus select 1", []),
        ("select a.id, b.id from s.sales a left join s.sales b on b.id = a.id + 1"
         " where a.id > 2 order by 1", [(3, 4), (4, None)]),
        ("select id from s.sales where day = '2024-01-03' or (id, product) in"
         " (select 1, 'Laptop') order by 1", [(1,), (3,)]),
        ("select x.product from (select product, max(price) m from s.sales group by 1) x"
         " where x.m > (select avg(price) from s.sales)", [("Laptop",)]),
        ("select sum(quantity) over (order by id rows unbounded preceding) from s.sales"
         " where quantity is not null order by 1", [(1,), (3,), (6,)]),
        ("select datediff(day, min(day), max(day)) from s.sales", [(2,)]),
        ("select date '2024-01-31' + interval '1 month'", [("2024-02-29 00:00:00",)]),
        ("select cast(null as int), nvl(null, 'x'), decode(2, 1, 'a', 'b')", [(None, "x", "b")]),
        ("select try_cast('x' as int), try_cast('7' as int), try_cast('2024-13-01' as date)",
         [(None, 7, None)]),
        ("select 0.00, 0.10::float8, 1::float8::varchar", [("0.00", 0.1, "1")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_answers(redshift: Warehouse, sql: str, rows: list[tuple[object, ...]]) -> None:
    assert redshift.rows(sql) == rows


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select id, product, price, day, note from s.sales",
         [("id", "int4", 10, 0), ("product", "varchar", 10, 0), ("price", "numeric", 12, 2),
          ("day", "date", 13, 0), ("note", "bpchar", 4, 0)]),
        ("select count(*), sum(id), avg(id), sum(price), max(day), 1.5, 'abc', true",
         [("count", "int8", 19, 0), ("sum", "int8", 19, 0), ("avg", "int8", 19, 0),
          ("sum", "numeric", 38, 2), ("max", "date", 13, 0), ("?column?", "numeric", 2, 1),
          ("?column?", "varchar", 3, 0), ("bool", "bool", 1, 0)]),
        ("select getdate(), current_date, 1::smallint, 2::bigint, 1.0::real, 1::float",
         [("getdate", "timestamp", 29, 6), ("date", "date", 13, 0), ("int2", "int2", 5, 0),
          ("int8", "int8", 19, 0), ("float4", "float4", 8, 8), ("float8", "float8", 17, 17)]),
    ],
)  # fmt: skip
def test_types(redshift: Warehouse, sql: str, columns: list[tuple[str, str, int, int]]) -> None:
    if " from " not in sql and "id" in sql:
        sql += " from s.sales"
    assert redshift.columns(sql) == columns


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("select * from s.nope", 'ERROR: relation "s.nope" does not exist'),
        ("select * from nope.t", 'ERROR: schema "nope" does not exist'),
        ("select colour from s.sales", 'ERROR: column "colour" does not exist in sales'),
        ("select id from s.sales a, s.sales b", 'ERROR: column reference "id" is ambiguous'),
        ("select 1/0", "ERROR: Divide by zero"),
        ("select 1.0::float/0", "ERROR: Divide by zero"),
        ("select '12a'::int", "ERROR: Invalid digit, Value 'a', Pos 2, Type: Integer"),
        ("select product = 5 from s.sales",
         "ERROR: operator does not exist: character varying(10) = integer"),
        ("select product as p from s.sales where p = 'x'",
         'ERROR: column "p" does not exist in sales'),
        ("insert into s.sales values (9, 'far too long a name')",
         "ERROR: Value too long for character type"),
        ("insert into s.sales values (null)", "ERROR: Cannot insert a NULL value into column id"),
        ("insert into s.sales (id, quantity) values (9, 'x')",
         "ERROR: Invalid digit, Value 'x', Pos 0, Type: Integer"),
        ("insert into s.sales (id, day) select 9, product from s.sales",
         'ERROR: column "day" is of type date but expression is of type character varying'),
        ("insert into s.sales (id, price) values (9, 12345678901.5)",
         "ERROR: Numeric data overflow"),
        ("insert into s.sales values (1,2,3,4,5,6,7)",
         "ERROR: INSERT has more expressions than target columns"),
        ("select 1; select 2",
         "ERROR: cannot insert multiple commands into a prepared statement"),
        ("selec 1", 'ERROR: syntax error at or near "selec"'),
        ("create table s.sales (a int)", 'ERROR: Relation "sales" already exists'),
        ("create table s.x (a nosuch)", 'ERROR: type "nosuch" does not exist'),
        ("create table s.x (a int, check (a > 1))", "ERROR: CHECK constraints"),
        ("call load()", "ERROR: The embedded AWS does not support stored procedures"),
        ("create materialized view v as select 1",
         "ERROR: The embedded AWS does not support materialized views"),
        ("create function f() returns int as $$ 1 $$ language sql",
         "ERROR: The embedded AWS does not support CREATE FUNCTION"),
        ("alter table s.sales append from s.x",
         "ERROR: The embedded AWS does not support ALTER TABLE APPEND"),
        ("select sum(1) over (order by id) from s.sales", "ERROR: Aggregate window functions"),
        ("select * from stv_recents", "ERROR: The embedded AWS does not support the system view"),
        ("select a.b.c.d from s.sales a", "ERROR: "),
        ("select product, count(*) from s.sales", "ERROR: "),
        ("set datestyle to german", "ERROR: The embedded AWS does not support datestyle"),
        ("merge into s.sales using s.sales x on sales.id = x.id when matched then delete",
         "ERROR: MERGE needs exactly one WHEN MATCHED and one WHEN NOT MATCHED clause"),
    ],
    ids=lambda value: value[:60],
)  # fmt: skip
def test_errors(redshift: Warehouse, sql: str, error: str) -> None:
    assert redshift.error(sql).startswith(error)


def test_keys_inform_and_do_not_constrain(redshift: Warehouse) -> None:
    redshift.ok("create table s.keys (id int primary key, other int unique)")
    redshift.ok("insert into s.keys values (1, 1), (1, 1)")
    assert redshift.value("select count(*) from s.keys") == 2
    assert redshift.rows(
        "select kcu.column_name from information_schema.table_constraints tco"
        " join information_schema.key_column_usage kcu"
        " on kcu.constraint_name = tco.constraint_name"
        " and kcu.constraint_schema = tco.constraint_schema"
        " where tco.constraint_type = 'PRIMARY KEY' and kcu.table_name = 'keys'"
    ) == [("id",)]


def test_physical_attributes_are_kept_and_change_nothing(redshift: Warehouse) -> None:
    redshift.ok(
        "create table s.physical (id bigint identity(10, 5) encode az64 distkey,"
        " name character varying(20) encode zstd default 'none', at timestamp default getdate(),"
        " constraint p primary key (id), foreign key (name) references s.keys (id))"
        " diststyle key compound sortkey (name, at)"
    )
    redshift.ok("insert into s.physical (name) values ('a'), (default)")
    assert redshift.rows("select id, name, at > date '2020-01-01' from s.physical order by id") == [
        (10, "a", True),
        (15, "none", True),
    ]
    assert redshift.error("insert into s.physical values (1, 'x')").startswith(
        'ERROR: cannot set an identity column "id" to a value'
    )
    info = "select diststyle, sortkey1, tbl_rows from svv_table_info where \"table\" = 'physical'"
    assert redshift.rows(info) == [("KEY(id)", "name", "2")]


def test_change_and_merge(redshift: Warehouse) -> None:
    redshift.ok("create table s.target (id int, total decimal(12,2), label varchar(5))")
    redshift.ok("create table s.source (id int, total decimal(12,2))")
    redshift.ok("insert into s.target values (1, 1.00, 'one'), (2, 2.00, 'two')")
    redshift.ok("insert into s.source values (2, 20.00), (3, 30.00)")
    done = redshift.ok(
        "update s.target set total = source.total + 0.005, label = default from s.source"
        " where target.id = source.id"
    )
    assert done["ResultRows"] == 1
    assert redshift.rows("select * from s.target order by id") == [
        (1, "1.00", "one"),
        (2, "20.01", None),
    ]
    merge = (
        "merge into s.target using s.source on target.id = source.id"
        " when matched then update set total = source.total"
        " when not matched then insert (id, total) values (source.id, source.total)"
    )
    assert redshift.ok(merge)["ResultRows"] == 2
    assert redshift.rows("select id, total from s.target order by id") == [
        (1, "1.00"),
        (2, "20.00"),
        (3, "30.00"),
    ]
    redshift.ok("insert into s.source values (3, 31.00)")
    assert redshift.error(merge) == "ERROR: Found multiple matches to update the same tuple."
    redshift.ok("create table s.copy as select id, total from s.source where id = 3")
    redshift.ok("insert into s.copy values (3, 31.00)")
    redshift.ok("merge into s.copy using s.source on copy.id = source.id remove duplicates")
    assert redshift.rows("select * from s.copy order by 1, 2") == [
        (2, "20.00"),
        (3, "30.00"),
        (3, "31.00"),
    ]
    assert redshift.ok("delete from s.target using s.source where target.id = source.id")[
        "ResultRows"
    ] == 2  # fmt: skip
    assert redshift.rows("select id from s.target") == [(1,)]
    redshift.ok("truncate table s.target")
    assert redshift.value("select count(*) from s.target") == 0


def test_tables_change_shape(redshift: Warehouse) -> None:
    redshift.ok("create table s.shape (a int, b varchar(3))")
    redshift.ok("insert into s.shape values (1, 'x')")
    redshift.ok("alter table s.shape add column c decimal(5,2) default 1.5 not null")
    redshift.ok("alter table s.shape rename column b to name")
    redshift.ok("alter table s.shape alter column name type varchar(30)")
    redshift.ok("insert into s.shape (a, name) values (2, 'a longer one')")
    redshift.ok("comment on column s.shape.name is 'its name'")
    redshift.ok("alter table s.shape drop column a")
    redshift.ok("alter table s.shape rename to shaped")
    assert redshift.rows("select * from s.shaped order by 1") == [
        ("a longer one", "1.50"),
        ("x", "1.50"),
    ]
    assert redshift.rows(
        "select column_name, data_type, character_maximum_length, remarks from svv_columns"
        " where table_name = 'shaped' order by ordinal_position"
    ) == [("name", "character varying", 30, "its name"), ("c", "numeric", None, None)]


def test_views(redshift: Warehouse) -> None:
    redshift.ok("create table s.base (id int, v varchar(5))")
    redshift.ok("insert into s.base values (1, 'a'), (2, 'b')")
    redshift.ok("create view s.bound as select * from s.base where id > 1")
    redshift.ok("create view s.late as select * from s.base with no schema binding")
    redshift.ok("create or replace view s.deeper (k) as select id from s.bound")
    assert redshift.rows("select * from s.bound") == [(2, "b")]
    assert redshift.rows("select k from s.deeper") == [(2,)]
    assert redshift.error("drop table s.base").startswith(
        "ERROR: cannot drop table base because other objects depend on it"
    )
    redshift.ok("drop table s.base cascade")
    assert redshift.error("select * from s.late") == 'ERROR: relation "s.base" does not exist'
    assert redshift.error("select * from s.bound") == 'ERROR: relation "s.bound" does not exist'
    redshift.ok("create table s.base (other int)")
    assert redshift.columns("select * from s.late") == [("other", "int4", 10, 0)]


def test_privileges_and_maintenance_check_their_objects(redshift: Warehouse) -> None:
    for sql in ("grant select on s.sales to public", "grant usage on schema s to group x",
                "revoke all on s.sales from x", "vacuum s.sales", "analyze s.sales"):  # fmt: skip
        redshift.ok(sql)
    assert (
        redshift.error("grant select on s.none to x") == 'ERROR: relation "s.none" does not exist'
    )
    assert redshift.error("vacuum s.none") == 'ERROR: relation "s.none" does not exist'


def test_identity_of_a_temporary_table(redshift: Warehouse) -> None:
    done = redshift.batch(
        "create table #numbered (id int identity(5, -1), v varchar(3))",
        "insert into #numbered (v) values ('a'), ('b')",
        "select id, v from #numbered order by 2",
    )
    assert redshift.result(done["SubStatements"][2]["Id"]) == [(5, "a"), (4, "b")]
