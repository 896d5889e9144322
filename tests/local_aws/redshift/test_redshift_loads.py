"""COPY, UNLOAD and Spectrum, over S3's files and the Glue catalog."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from tests.local_aws.redshift.conftest import Warehouse

ROLE = "iam_role 'arn:aws:iam::123456789012:role/warehouse'"
PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


@pytest.fixture(scope="module")
def s3(client: Callable[[str], Any]) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="lake")
    return made


@pytest.fixture(scope="module", autouse=True)
def schema(redshift: Warehouse) -> None:
    redshift.ok("create schema w")


def put_parquet(s3: Any, folder: Path, key: str, query: str) -> None:
    path = folder / "part.parquet"
    duckdb.connect().execute(f"copy ({query}) to '{path}' (format parquet)")
    s3.put_object(Bucket="lake", Key=key, Body=path.read_bytes())


GOOD = "select {n}::int as id, 'x{n}' as name, {n}.50::decimal(12,2) as price, true as ok"


def test_parquet_by_position(redshift: Warehouse, s3: Any, tmp_path: Path) -> None:
    redshift.ok("create table w.p (a int, b varchar(5), c decimal(12,2), d boolean)")
    for n in (1, 2):
        put_parquet(s3, tmp_path, f"p/part-{n}.parquet", GOOD.format(n=n))
    s3.put_object(Bucket="lake", Key="p/_SUCCESS", Body=b"")
    done = redshift.ok(f"copy w.p from 's3://lake/p/part-' {ROLE} format as parquet")
    assert done["ResultRows"] == 2
    redshift.ok(f"copy w.p from 's3://lake/p/' {ROLE} format as parquet;")
    assert redshift.rows("select * from w.p order by 1") == [
        (1, "x1", "1.50", True),
        (1, "x1", "1.50", True),
        (2, "x2", "2.50", True),
        (2, "x2", "2.50", True),
    ]
    redshift.ok("create table w.some (d boolean, a int default 9, b varchar(5), c decimal(12,2))")
    put_parquet(s3, tmp_path, "some/1.parquet", "select 'z' as b, 1.25::decimal(12,2)")
    redshift.ok(f"copy w.some (b, c) from 's3://lake/some/' {ROLE} parquet")
    assert redshift.rows("select * from w.some") == [(None, 9, "z", "1.25")]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("select 1::int, 'x'", "Unmatched number of columns between table and file"),
        ("select 1::bigint, 'x', 1.5::decimal(12,2), true", "incompatible Parquet schema"),
        ("select 1::int, 2::int, 1.5::decimal(12,2), true", "incompatible Parquet schema"),
        ("select 1::int, 'x', 1.5::double, true", "incompatible Parquet schema"),
        ("select 1::int, 'too long', 1.5::decimal(12,2), true", "Value too long"),
    ],
)
def test_one_bad_parquet_file_fails_the_whole_copy(
    redshift: Warehouse, s3: Any, tmp_path: Path, query: str, error: str
) -> None:
    redshift.ok("drop table if exists w.bad")
    redshift.ok("create table w.bad (a int, b varchar(5), c decimal(12,2), d boolean)")
    put_parquet(s3, tmp_path, "bad/1.parquet", GOOD.format(n=1))
    put_parquet(s3, tmp_path, "bad/2.parquet", query)
    assert error in redshift.error(f"copy w.bad from 's3://lake/bad/' {ROLE} format parquet")
    assert redshift.value("select count(*) from w.bad") == 0


@pytest.mark.parametrize(
    ("tail", "error"),
    [
        (f"{ROLE} parquet maxerror 3", "ERROR: MAXERROR argument is not supported for PARQUET"),
        (f"{ROLE} parquet region 'us-east-1'", "ERROR: REGION argument is not supported"),
        ("parquet", "ERROR: Missing credentials"),
        (f"{ROLE} parquet fast", 'ERROR: syntax error at or near "fast"'),
        (f"{ROLE} format as orc", "ERROR: The embedded AWS does not support the COPY option ORC"),
        ("credentials 'user=x' parquet", "ERROR: Invalid credentials"),
    ],
)
def test_copy_options_are_checked(redshift: Warehouse, s3: Any, tail: str, error: str) -> None:
    redshift.ok("create table if not exists w.options (a int)")
    assert redshift.error(f"copy w.options from 's3://lake/p/' {tail}").startswith(error)


def test_copy_of_what_is_not_there(redshift: Warehouse, s3: Any) -> None:
    redshift.ok("create table if not exists w.options (a int)")
    assert redshift.error(f"copy w.options from 's3://lake/none' {ROLE} csv") == (
        "ERROR: The specified S3 prefix 'none' does not exist"
    )
    assert "does not exist" in redshift.error(f"copy w.options from 's3://nobucket/x' {ROLE} csv")


def test_csv(redshift: Warehouse, s3: Any) -> None:
    redshift.ok(
        "create table w.c (id int not null, name varchar(6), price decimal(5,2), day date,"
        " at timestamp, ok boolean)"
    )
    body = (
        "\ufeffid;name;price;day;at;ok\r\n"
        '1;"a;""b""";1.005;31/01/2024;2024-01-31 10:00:00;t\r\n'
        "2;;;;;\r\n"
        "3;  ;2;01/02/2024;2024-02-01T00:00:00;no\r\n"
    )
    s3.put_object(Bucket="lake", Key="c/1.csv.gz", Body=gzip.compress(body.encode()))
    options = "csv delimiter ';' ignoreheader 1 dateformat 'DD/MM/YYYY' timeformat 'auto' gzip"
    redshift.ok(f"copy w.c from 's3://lake/c/' {ROLE} {options} blanksasnull")
    assert redshift.rows("select * from w.c order by 1") == [
        (1, 'a;"b"', "1.01", "2024-01-31", "2024-01-31 10:00:00", True),
        (2, "", None, None, None, None),
        (3, None, "2.00", "2024-02-01", "2024-02-01 00:00:00", False),
    ]


def test_load_errors_are_recorded_and_counted(redshift: Warehouse, s3: Any) -> None:
    redshift.ok("create table w.e (id int, name varchar(3))")
    body = "1,abc\nx,def\n3,toolong\n4,ok,more\n5\n6,fin\n"
    s3.put_object(Bucket="lake", Key="e/1.csv", Body=body.encode())
    error = redshift.error(f"copy w.e from 's3://lake/e/' {ROLE} csv maxerror 4")
    assert error == (
        "ERROR: Load into table 'e' failed.  Check 'sys_load_error_detail' system table for"
        " details."
    )
    assert redshift.value("select count(*) from w.e") == 0
    assert redshift.rows(
        "select file_name, line_number, column_name, error_code, error_message"
        " from sys_load_error_detail where table_name = 'e' order by line_number"
    ) == [
        ("s3://lake/e/1.csv", 2, "id", 1207, "Invalid digit, Value 'x', Pos 0, Type: Integer"),
        ("s3://lake/e/1.csv", 3, "name", 1204, "String length exceeds DDL length"),
        ("s3://lake/e/1.csv", 4, "", 1202, "Extra column(s) found"),
        ("s3://lake/e/1.csv", 5, "name", 1214, "Delimiter not found"),
    ]
    done = redshift.ok(f"copy w.e from 's3://lake/e/' {ROLE} csv maxerror 4 truncatecolumns")
    assert done["ResultRows"] == 3
    assert redshift.rows("select * from w.e order by 1") == [(1, "abc"), (3, "too"), (6, "fin")]


def test_json_and_manifest(redshift: Warehouse, s3: Any) -> None:
    redshift.ok("create table w.j (id int, name varchar(20), price decimal(6,2))")
    for key, item in (("j/a.json", {"price": 1.1, "id": 1}), ("j/b.json", {"id": 2, "name": "é"})):
        s3.put_object(Bucket="lake", Key=key, Body=json.dumps(item, ensure_ascii=False).encode())
    entries = [{"url": f"s3://lake/j/{n}.json", "mandatory": n != "c"} for n in "abc"]
    s3.put_object(Bucket="lake", Key="m.json", Body=json.dumps({"entries": entries}).encode())
    redshift.ok(f"copy w.j from 's3://lake/m.json' {ROLE} format as json 'auto' manifest")
    assert redshift.rows("select * from w.j order by 1") == [(1, None, "1.10"), (2, "é", None)]


def test_unload(redshift: Warehouse, s3: Any) -> None:
    redshift.ok("create table w.u (id int, name varchar(9), day date, ok boolean)")
    redshift.ok("insert into w.u values (1, 'a,b', '2024-01-01', true), (2, null, null, false)")
    query = "select * from w.u order by id"
    redshift.ok(f"unload ('{query}') to 's3://lake/u/csv_' {ROLE} csv header parallel off")
    body = s3.get_object(Bucket="lake", Key="u/csv_000")["Body"].read()
    assert body == b'id,name,day,ok\n1,"a,b",2024-01-01,t\n2,,,f\n'
    redshift.ok(f"unload ('{query}') to 's3://lake/u/text_' {ROLE}")
    body = s3.get_object(Bucket="lake", Key="u/text_0000_part_00")["Body"].read()
    assert body == b"1|a,b|2024-01-01|t\n2|||f\n"
    to = f"unload ('{query}') to 's3://lake/u/parquet/' {ROLE} format as parquet manifest"
    redshift.ok(to)
    assert "unload destination on S3 is not empty" in redshift.error(to)
    redshift.ok(f"{to} allowoverwrite")
    redshift.ok("create table w.u2 (like w.u)")
    manifest = "s3://lake/u/parquet/manifest"
    redshift.ok(f"copy w.u2 from '{manifest}' {ROLE} format as parquet manifest")
    assert redshift.rows("select * from w.u2 order by 1") == redshift.rows(query)
    redshift.ok(
        f"unload ('{query}') to 's3://lake/u/parts/' {ROLE} parquet partition by (ok) cleanpath"
    )
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket="lake", Prefix="u/parts/")["Contents"]]
    assert keys == [
        "u/parts/ok=false/0000_part_00.parquet",
        "u/parts/ok=true/0000_part_00.parquet",
    ]


@pytest.fixture(scope="module")
def spectrum(
    redshift: Warehouse,
    s3: Any,
    client: Callable[[str], Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    glue = client("glue")
    glue.create_database(DatabaseInput={"Name": "gold"})
    folder = tmp_path_factory.mktemp("gold")
    for day in ("2024-01-01", "2024-01-02"):
        put_parquet(
            s3, folder, f"gold/sales/day={day}/1.parquet",
            "select 1::int as id, 'Mouse' as product, 25.00::decimal(12,2) as total",
        )  # fmt: skip
    storage = {
        "Columns": [
            {"Name": "id", "Type": "int"},
            {"Name": "product", "Type": "string"},
            {"Name": "total", "Type": "decimal(12,2)"},
        ],
        "Location": "s3://lake/gold/sales/",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": PARQUET_SERDE},
    }
    glue.create_table(
        DatabaseName="gold",
        TableInput={
            "Name": "sales",
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "day", "Type": "date"}],
            "StorageDescriptor": storage,
        },
    )
    redshift.ok(
        f"create external schema if not exists spectrum from data catalog database 'gold' {ROLE}"
    )


def test_external_tables_join_with_local_ones(redshift: Warehouse, spectrum: None) -> None:
    for day in ("2024-01-01", "2024-01-02"):
        redshift.ok(
            f"alter table spectrum.sales add if not exists partition (day='{day}')"
            f" location 's3://lake/gold/sales/day={day}/'"
        )
    redshift.ok("create table w.local (id int, label varchar(9))")
    redshift.ok("insert into w.local values (1, 'one')")
    assert redshift.rows(
        "select l.label, s.day, sum(s.total) from spectrum.sales s join w.local l on l.id = s.id"
        " where s.day >= '2024-01-02' group by 1, 2"
    ) == [("one", "2024-01-02", "25.00")]
    assert redshift.columns("select * from spectrum.sales") == [
        ("id", "int4", 10, 0),
        ("product", "varchar", 65535, 0),
        ("total", "numeric", 12, 2),
        ("day", "date", 13, 0),
    ]
    assert redshift.value("select count(*) from spectrum.sales") == 2
    redshift.ok("create view w.lake_view as select id from spectrum.sales with no schema binding")
    assert redshift.value("select count(*) from w.lake_view") == 2


def test_external_catalogs(redshift: Warehouse, spectrum: None) -> None:
    assert redshift.rows("select schemaname, databasename from svv_external_schemas") == [
        ("spectrum", "gold")
    ]
    assert redshift.rows(
        "select columnname, external_type, part_key from svv_external_columns order by columnnum"
    ) == [("id", "int", 0), ("product", "string", 0), ("total", "decimal(12,2)", 0),
          ("day", "date", 1)]  # fmt: skip
    assert redshift.rows(
        "select table_name, table_type from svv_tables where table_schema = 'spectrum'"
    ) == [("sales", "EXTERNAL TABLE")]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("update spectrum.sales set id = 2", "ERROR: cannot update external table"),
        ("delete from spectrum.sales", "ERROR: cannot delete from external table"),
        ("insert into spectrum.sales values (1)", "ERROR: cannot insert into external table"),
        ("create table spectrum.x (a int)", "ERROR: Operations on local objects"),
        ("create view w.v as select * from spectrum.sales", "ERROR: External tables are not"),
        (f"create external schema s2 from data catalog database 'none' {ROLE}",
         'ERROR: external database "none" does not exist'),
    ],
)  # fmt: skip
def test_what_external_tables_refuse(
    redshift: Warehouse, spectrum: None, sql: str, error: str
) -> None:
    assert redshift.error(sql).startswith(error)


def test_external_ddl_stays_out_of_transactions(redshift: Warehouse, spectrum: None) -> None:
    table = (
        "create external table spectrum.made (id int, v varchar(5)) row format delimited"
        " fields terminated by ',' stored as textfile location 's3://lake/made/'"
    )
    done = redshift.batch("select 1", table)
    assert done["Error"].endswith("CREATE EXTERNAL TABLE cannot run inside a transaction block")
    redshift.ok(table)
    assert redshift.rows("select * from spectrum.made") == []
    done = redshift.batch("drop table spectrum.made")
    assert done["Error"].endswith("DROP EXTERNAL TABLE cannot run inside a transaction block")
    redshift.ok("drop table spectrum.made")
    assert redshift.error("select * from spectrum.made").startswith("ERROR: relation")


def test_partitions_that_a_query_does_not_ask_for_are_not_read(
    redshift: Warehouse, spectrum: None, s3: Any
) -> None:
    s3.put_object(Bucket="lake", Key="gold/sales/day=2024-01-03/1.parquet", Body=b"broken")
    redshift.ok(
        "alter table spectrum.sales add partition (day='2024-01-03')"
        " location 's3://lake/gold/sales/day=2024-01-03/'"
    )
    try:
        good = "select count(*) from spectrum.sales where day < '2024-01-03' and id > 0"
        assert redshift.value(good) == 2
        assert redshift.run("select sum(id) from spectrum.sales")["Status"] == "FAILED"
    finally:
        redshift.ok("alter table spectrum.sales drop partition (day='2024-01-03')")
