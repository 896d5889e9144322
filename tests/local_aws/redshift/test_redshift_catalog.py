"""The catalog tables that dbt and drivers read, and names that change under views."""

from __future__ import annotations

import pytest

from tests.local_aws.redshift.conftest import Warehouse


@pytest.fixture(scope="module")
def shop(redshift: Warehouse) -> Warehouse:
    for sql in (
        "create schema shop",
        "create table shop.orders (id bigint not null, name varchar(40) encode zstd,"
        " price decimal(10,2)) diststyle key distkey(id) compound sortkey(name, id)",
        "insert into shop.orders values (1, 'a', 1.50)",
        "create view shop.bound as select name, price * 2 as twice from shop.orders",
        "create view shop.late as select id, name from shop.orders with no schema binding",
        "create view shop.lost as select a from shop.nothing with no schema binding",
        "comment on table shop.orders is $c$It's $1 a row$c$",
        "comment on column shop.orders.price is 'In euros'",
    ):
        redshift.ok(sql)
    return redshift


def test_columns_by_pg_attribute(shop: Warehouse) -> None:
    sql = """
        select col.attname, pg_catalog.format_type(col.atttypid, col.atttypmod), desc_.description
        from pg_catalog.pg_namespace sch
        join pg_catalog.pg_class tbl on tbl.relnamespace = sch.oid
        join pg_catalog.pg_attribute col on col.attrelid = tbl.oid
        left outer join pg_catalog.pg_description desc_
            on desc_.objoid = tbl.oid and desc_.objsubid = col.attnum
        where sch.nspname = 'shop' and tbl.relname = '{}' order by col.attnum
    """
    assert shop.rows(sql.format("orders")) == [
        ("id", "bigint", None),
        ("name", "character varying(40)", None),
        ("price", "numeric(10,2)", "In euros"),
    ]
    assert shop.rows(sql.format("bound"))[1][:2] == ("twice", "numeric(21,2)")
    assert shop.rows(sql.format("late")) == []


def test_comments_of_tables_stand_under_0(shop: Warehouse) -> None:
    sql = "select description from pg_description where objsubid = 0"
    assert shop.rows(sql) == [("It's $1 a row",)]


def test_late_binding_views_have_a_function(shop: Warehouse) -> None:
    sql = """select view_name, col_name, col_type, n from pg_get_late_binding_view_cols()
        cols(view_schema name, view_name name, col_name name, col_type varchar, n int)
        where view_schema = 'shop' order by n"""
    assert shop.rows(sql) == [
        ("late", "id", "bigint", 1), ("late", "name", "character varying(40)", 2),
    ]  # fmt: skip
    error = shop.error("select * from pg_get_late_binding_view_cols()")
    assert "a column definition list is required" in error
    assert "GENERATE_SERIES" in shop.error("select * from generate_series(1, 2)")


def test_dependencies_of_views(shop: Warehouse) -> None:
    sql = """
        select v.relname, r.relname from pg_depend d
        join pg_rewrite w on d.objid = w.oid
        join pg_class v on v.oid = w.ev_class
        join pg_class r on r.oid = d.refobjid
    """
    assert shop.rows(sql) == [("bound", "orders")]


def test_what_svv_table_info_says(shop: Warehouse) -> None:
    sql = (
        "select encoded, diststyle, sortkey1, sortkey1_enc, sortkey_num, max_varchar, tbl_rows,"
        " size from svv_table_info where \"table\" = 'orders'"
    )
    assert shop.rows(sql) == [("Y", "KEY(id)", "name", "zstd", 2, 40, "1", None)]


def test_privileges_are_asked_of_tables_that_exist(shop: Warehouse) -> None:
    ask = "select has_table_privilege(current_user, '{}', '{}')"
    assert shop.value(ask.format('"dev"."shop"."orders"', "SELECT")) is True
    assert "does not exist" in shop.error(ask.format("shop.none", "SELECT"))
    assert "unrecognized privilege type" in shop.error(ask.format("shop.orders", "READ"))


def test_a_view_stays_with_its_renamed_table(redshift: Warehouse) -> None:
    for sql in (
        "create table moved (a int)",
        "insert into moved values (1)",
        "create view over as select moved.a from moved",
        "create view above as select a from over",
        "create table fresh (a int)",
        "alter table moved rename to moved_backup",
        "alter table fresh rename to moved",
        "insert into moved values (2)",
    ):
        redshift.ok(sql)
    assert redshift.value("select a from above") == 1
    redshift.ok("alter table over rename to over_backup")
    assert redshift.value("select a from above") == 1
    assert "does not exist" in redshift.error("select * from over")
    redshift.ok("alter table moved_backup rename to moved_again")
    assert redshift.value("select a from over_backup") == 1
    redshift.ok("drop table moved")
    assert "other objects depend on it" in redshift.error("drop table moved_again")
    redshift.ok("drop table moved_again cascade")
    assert "does not exist" in redshift.error("select * from above")


def test_a_renamed_view_keeps_its_columns_and_comment(redshift: Warehouse) -> None:
    for sql in (
        "create view first_name as select 1 as a, 'x'::varchar(3) as b",
        "comment on view first_name is 'kept'",
        "alter table first_name rename to second_name",
    ):
        redshift.ok(sql)
    assert redshift.rows("select remarks from svv_tables where table_name = 'second_name'") == [
        ("kept",)
    ]
    sql = (
        "select column_name, data_type, character_maximum_length from information_schema.columns"
        " where table_name = 'second_name' order by ordinal_position"
    )
    assert redshift.rows(sql) == [("a", "integer", None), ("b", "character varying", 3)]
    assert "is not a table" in redshift.error("alter table second_name add column c int")


def test_a_statement_that_cannot_be_read_fails_the_transaction(redshift: Warehouse) -> None:
    session = redshift.ok("begin", SessionKeepAliveSeconds=30)["SessionId"]
    redshift.error("selec 1", SessionId=session)
    error = redshift.error("select 1", SessionId=session)
    assert "current transaction is aborted" in error
    redshift.ok("rollback", SessionId=session)
    redshift.ok("select 1", SessionId=session)
