"""The Data Catalog, as a boto3 client sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws.glue.partition_filter import NULL_PARTITION, PartitionFilter
from local_aws.instance import Config
from local_aws.server import Server


def glue_of(server: Server) -> Any:
    return boto3.client(
        "glue",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"), wait_seconds=2)
    with Server(config, services=["glue"]) as running:
        yield running


@pytest.fixture(scope="module")
def glue(server: Server) -> Any:
    return glue_of(server)


@pytest.fixture
def database(glue: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    name = "db_" + request.node.name.partition("[")[0].lower()
    glue.create_database(DatabaseInput={"Name": name})
    yield name
    glue.delete_database(Name=name)


def table_input(name: str, *keys: tuple[str, str], location: str = "s3://b/t/") -> dict[str, Any]:
    return {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"classification": "parquet"},
        "PartitionKeys": [{"Name": key, "Type": kind} for key, kind in keys],
        "StorageDescriptor": {
            "Columns": [{"Name": "id", "Type": "bigint"}],
            "Location": location,
            "SerdeInfo": {"SerializationLibrary": "x.ParquetHiveSerDe"},
        },
    }


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def test_database_lifecycle(glue: Any) -> None:
    glue.create_database(
        DatabaseInput={"Name": "Vendas", "Description": "d", "Parameters": {"a": "1"}},
        Tags={"team": "dados"},
    )
    found = glue.get_database(Name="VENDAS")["Database"]
    assert (found["Name"], found["Description"], found["Parameters"]) == ("vendas", "d", {"a": "1"})
    arn = "arn:aws:glue:us-east-1:123456789012:database/vendas"
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"team": "dados"}
    again = {"DatabaseInput": {"Name": "vendas"}}
    assert code_of(glue.create_database, **again) == "AlreadyExistsException"
    glue.update_database(Name="vendas", DatabaseInput={"Name": "vendas", "Description": "e"})
    changed = glue.get_database(Name="vendas")["Database"]
    assert changed["Description"] == "e"
    assert changed["CreateTime"] == found["CreateTime"]
    assert "vendas" in [d["Name"] for d in glue.get_databases()["DatabaseList"]]
    glue.create_table(DatabaseName="vendas", TableInput=table_input("t", ("dia", "date")))
    glue.create_partition(
        DatabaseName="vendas", TableName="t", PartitionInput={"Values": ["2026-01-01"]}
    )
    glue.delete_database(Name="vendas")
    assert code_of(glue.get_database, Name="vendas") == "EntityNotFoundException"
    assert code_of(glue.get_tags, ResourceArn=arn) == "EntityNotFoundException"
    glue.create_database(DatabaseInput={"Name": "vendas"})
    assert glue.get_tables(DatabaseName="vendas")["TableList"] == []
    glue.create_table(DatabaseName="vendas", TableInput=table_input("t", ("dia", "date")))
    assert glue.get_partitions(DatabaseName="vendas", TableName="t")["Partitions"] == []
    glue.delete_database(Name="vendas")


def test_table_lifecycle_and_versions(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table_input("Clientes"))
    table = glue.get_table(DatabaseName=database, Name="CLIENTES")["Table"]
    assert table["Name"] == "clientes"
    assert table["VersionId"] == "0"
    assert table["DatabaseName"] == database
    assert table["PartitionKeys"] == []
    assert table["StorageDescriptor"]["Columns"] == [{"Name": "id", "Type": "bigint"}]
    again = {"DatabaseName": database, "TableInput": table_input("clientes")}
    assert code_of(glue.create_table, **again) == "AlreadyExistsException"
    for number in (1, 2):
        glue.update_table(
            DatabaseName=database,
            TableInput=table_input("clientes", location=f"s3://b/v{number}/"),
            VersionId=str(number - 1),
        )
    versions = glue.get_table_versions(DatabaseName=database, TableName="clientes")["TableVersions"]
    assert [
        (version["VersionId"], version["Table"]["StorageDescriptor"]["Location"])
        for version in versions
    ] == [("2", "s3://b/v2/"), ("1", "s3://b/v1/"), ("0", "s3://b/t/")]
    stale = {"TableInput": table_input("clientes"), "VersionId": "1"}
    code = code_of(glue.update_table, DatabaseName=database, **stale)
    assert code == "ConcurrentModificationException"
    glue.update_table(DatabaseName=database, TableInput=table_input("clientes"), SkipArchive=True)
    glue.delete_table_version(DatabaseName=database, TableName="clientes", VersionId="0")
    versions = glue.get_table_versions(DatabaseName=database, TableName="clientes")["TableVersions"]
    assert [version["VersionId"] for version in versions] == ["3", "1"]
    first = glue.get_table_version(DatabaseName=database, TableName="clientes", VersionId="1")
    assert first["TableVersion"]["Table"]["StorageDescriptor"]["Location"] == "s3://b/v1/"
    glue.delete_table(DatabaseName=database, Name="clientes")
    gone = {"DatabaseName": database, "Name": "clientes"}
    assert code_of(glue.get_table, **gone) == "EntityNotFoundException"
    assert code_of(glue.delete_table, **gone) == "EntityNotFoundException"
    assert code_of(glue.get_table, DatabaseName="nada", Name="t") == "EntityNotFoundException"


def test_one_of_many_updates_of_a_version_wins(server: Server, glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table_input("t"))

    def publish(number: int) -> str:
        given = table_input("t", location=f"s3://b/{number}/")
        try:
            glue.update_table(DatabaseName=database, TableInput=given, VersionId="0")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return f"s3://b/{number}/"

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(publish, range(8)))
    [won] = [answer for answer in answers if answer != "ConcurrentModificationException"]
    table = glue.get_table(DatabaseName=database, Name="t")["Table"]
    assert (table["StorageDescriptor"]["Location"], table["VersionId"]) == (won, "1")


def test_update_replaces_the_whole_definition(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table_input("t"))
    glue.update_table(DatabaseName=database, TableInput={"Name": "t"})
    table = glue.get_table(DatabaseName=database, Name="t")["Table"]
    assert "StorageDescriptor" not in table
    assert "Parameters" not in table


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("vendas*", ["vendas", "vendas_por_mes"]),
        ("*_por_*", ["vendas_por_mes"]),
        (".*_por_.*", ["vendas_por_mes"]),
        ("vendas", ["vendas"]),
        ("lojas|vendas", ["lojas", "vendas"]),
        ("LOJAS", ["lojas"]),
        ("x.*", []),
    ],
)
def test_tables_by_pattern(glue: Any, database: str, expression: str, expected: list[str]) -> None:
    for name in ("lojas", "vendas", "vendas_por_mes"):
        glue.create_table(DatabaseName=database, TableInput=table_input(name))
    found = glue.get_tables(DatabaseName=database, Expression=expression)["TableList"]
    assert [table["Name"] for table in found] == expected


def test_tables_come_in_pages(glue: Any, database: str) -> None:
    for number in range(5):
        glue.create_table(DatabaseName=database, TableInput=table_input(f"t{number}"))
    pages = list(
        glue.get_paginator("get_tables").paginate(
            DatabaseName=database, PaginationConfig={"PageSize": 2}
        )
    )
    assert [[t["Name"] for t in page["TableList"]] for page in pages] == [
        ["t0", "t1"],
        ["t2", "t3"],
        ["t4"],
    ]
    bad = {"DatabaseName": database, "NextToken": "nonsense"}
    assert code_of(glue.get_tables, **bad) == "InvalidInputException"
    failed = glue.batch_delete_table(DatabaseName=database, TablesToDelete=["t0", "nada"])["Errors"]
    assert [(e["TableName"], e["ErrorDetail"]["ErrorCode"]) for e in failed] == [
        ("nada", "EntityNotFoundException")
    ]
    assert code_of(glue.get_table, DatabaseName=database, Name="t0") == "EntityNotFoundException"


def test_partition_lifecycle(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table_input("t", ("dia", "date")))
    on = {"DatabaseName": database, "TableName": "t"}

    def partition_input(day: str, location: str = "s3://b/t/") -> dict[str, Any]:
        columns = [{"Name": "id", "Type": "bigint"}]
        return {
            "Values": [day],
            "StorageDescriptor": {"Location": location, "Columns": columns},
        }

    glue.create_partition(**on, PartitionInput=partition_input("2026-01-01"))
    code = code_of(glue.create_partition, **on, PartitionInput=partition_input("2026-01-01"))
    assert code == "AlreadyExistsException"
    wrong = {"Values": ["2026", "01"]}
    assert code_of(glue.create_partition, **on, PartitionInput=wrong) == "InvalidInputException"
    errors = glue.batch_create_partition(
        **on, PartitionInputList=[partition_input("2026-01-01"), partition_input("2026-01-02")]
    )["Errors"]
    assert [(e["PartitionValues"], e["ErrorDetail"]["ErrorCode"]) for e in errors] == [
        (["2026-01-01"], "AlreadyExistsException")
    ]
    many = [partition_input(f"day{number}") for number in range(101)]
    assert code_of(glue.batch_create_partition, **on, PartitionInputList=many) == (
        "InvalidInputException"
    )
    glue.update_partition(
        **on,
        PartitionValueList=["2026-01-02"],
        PartitionInput=partition_input("2026-01-03", "s3://b/new/"),
    )
    values = [p["Values"] for p in glue.get_partitions(**on)["Partitions"]]
    assert values == [["2026-01-01"], ["2026-01-03"]]
    got = glue.get_partition(**on, PartitionValues=["2026-01-03"])["Partition"]
    assert got["StorageDescriptor"]["Location"] == "s3://b/new/"
    bare = glue.get_partitions(**on, ExcludeColumnSchema=True)["Partitions"]
    assert all("Columns" not in p["StorageDescriptor"] for p in bare)
    batch = glue.batch_get_partition(
        **on, PartitionsToGet=[{"Values": ["2026-01-01"]}, {"Values": ["1999-01-01"]}]
    )
    assert [p["Values"] for p in batch["Partitions"]] == [["2026-01-01"]]
    errors = glue.batch_update_partition(
        **on,
        Entries=[
            {
                "PartitionValueList": ["2026-01-01"],
                "PartitionInput": partition_input("2026-01-01", "s3://z/"),
            }
        ],
    )["Errors"]
    assert errors == []
    got = glue.get_partition(**on, PartitionValues=["2026-01-01"])["Partition"]
    assert got["StorageDescriptor"]["Location"] == "s3://z/"
    glue.delete_partition(**on, PartitionValues=["2026-01-01"])
    assert code_of(glue.get_partition, **on, PartitionValues=["2026-01-01"]) == (
        "EntityNotFoundException"
    )
    errors = glue.batch_delete_partition(
        **on, PartitionsToDelete=[{"Values": ["2026-01-01"]}, {"Values": ["2026-01-03"]}]
    )["Errors"]
    assert [e["PartitionValues"] for e in errors] == [["2026-01-01"]]
    assert glue.get_partitions(**on)["Partitions"] == []


DAYS = [["2025-12-31", "9", "ba"], ["2026-01-01", "10", "sp"], ["2026-01-02", "100", "São Paulo"]]
NULL = ["2026-01-03", "1", "__HIVE_DEFAULT_PARTITION__"]


@pytest.fixture(scope="module")
def filtered(glue: Any) -> Iterator[dict[str, str]]:
    glue.create_database(DatabaseInput={"Name": "filters"})
    keys = (("dia", "date"), ("n", "int"), ("uf", "string"))
    glue.create_table(DatabaseName="filters", TableInput=table_input("t", *keys))
    where = {"DatabaseName": "filters", "TableName": "t"}
    glue.batch_create_partition(
        **where, PartitionInputList=[{"Values": values} for values in [*DAYS, NULL]]
    )
    yield where
    glue.delete_database(Name="filters")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("dia = '2026-01-01'", ["10"]),
        ("dia = DATE '2026-01-01'", ["10"]),
        ("dia <> '2026-01-01'", ["9", "100", "1"]),
        ("dia != '2026-01-01'", ["9", "100", "1"]),
        ("n > 9", ["10", "100"]),
        ("n >= '10'", ["10", "100"]),
        ("9 < n", ["10", "100"]),
        ("n <= 10 and uf = 'sp'", ["10"]),
        ("(n = 9 or n = 100) AND not uf = 'ba'", ["100"]),
        ("n = 9 or n = 10 and uf = 'ba'", ["9"]),
        ("n between 9 and 10", ["9", "10"]),
        ("n not between 9 and 10", ["100", "1"]),
        ("uf in ('sp', 'ba')", ["9", "10"]),
        ("uf not in ('sp', 'ba')", ["100"]),
        ("uf like 'S%o P_ulo'", ["100"]),
        ("uf not like 's%'", ["9", "100"]),
        ("uf is null", ["1"]),
        ("uf is not null", ["9", "10", "100"]),
        ("N = 9", ["9"]),
        ("\"uf\" = 'sp'", ["10"]),
        ("`uf` = 'sp'", ["10"]),
        ("uf <> 'it''s'", ["9", "10", "100"]),
        ("n like '1%'", ["10", "100", "1"]),
        ("n = 10.0", ["10"]),
        ("n in (-1, 9)", ["9"]),
        ("uf not in ('sp', null)", []),
        ("uf is null or n = 9", ["9", "1"]),
        ("dia >= '2026-01-01' and dia < '2026-01-02'", ["10"]),
    ],
)
def test_partition_filter(
    glue: Any, filtered: dict[str, str], expression: str, expected: list[str]
) -> None:
    found = glue.get_partitions(**filtered, Expression=expression)["Partitions"]
    assert [partition["Values"][1] for partition in found] == expected


@pytest.mark.parametrize(
    "expression",
    [
        "mes = 1",
        "n = 'dez'",
        "n =",
        "n + 1 = 2",
        "upper(uf) = 'SP'",
        "n = 1; drop table t",
        "uf = n",
        "dia",
        "n = '1_0'",
        "n = 1.5",
        "uf rlike 's.*'",
        "dia = '2026-13-01'",
        "n in (select 1)",
        "uf like any ('a', 'b')",
    ],
)
def test_partition_filter_that_is_wrong(
    glue: Any, filtered: dict[str, str], expression: str
) -> None:
    code = code_of(glue.get_partitions, **filtered, Expression=expression)
    assert code == "InvalidInputException"


def _literals(kind: str) -> st.SearchStrategy[str]:
    if kind == "int":
        return st.integers(-2, 4).map(str)
    days = st.integers(1, 4).map(lambda day: f"'2026-01-0{day}'")
    return days if kind == "date" else st.sampled_from(["'a'", "'b'", "'ab'", "''''", "'%'"])


KINDS = {"dia": "date", "n": "int", "uf": "string"}


@st.composite
def _tests(draw: st.DrawFn) -> str:
    key = draw(st.sampled_from(list(KINDS)))
    literal = _literals(KINDS[key])
    shape = draw(st.sampled_from(["compare", "between", "in", "null", "like"]))
    negated = draw(st.sampled_from(["", "NOT "]))
    if shape == "compare":
        return f"{key} {draw(st.sampled_from(['=', '<>', '<', '<=', '>', '>=']))} {draw(literal)}"
    if shape == "between":
        return f"{key} {negated}BETWEEN {draw(literal)} AND {draw(literal)}"
    if shape == "in":
        return f"{key} {negated}IN ({', '.join(draw(st.lists(literal, min_size=1, max_size=3)))})"
    if shape == "null":
        return f"{key} IS {negated}NULL"
    return f"uf {negated}LIKE {draw(st.sampled_from(['%a%', '_', 'a_', '%']))!r}"


EXPRESSIONS = st.recursive(
    _tests(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"NOT ({text})"),
    ),
    max_leaves=5,
)
ROWS = [
    (day, number, text)
    for day in ("2026-01-01", "2026-01-03", NULL_PARTITION)
    for number in ("-1", "2", NULL_PARTITION)
    for text in ("a", "ab", "'", "%", NULL_PARTITION)
]


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    """The rows as a table of DuckDB, the judge."""
    with duckdb.connect() as database:
        database.execute("CREATE TABLE t (position INT, dia DATE, n INT, uf VARCHAR)")
        for position, row in enumerate(ROWS):
            values = [None if value == NULL_PARTITION else value for value in row]
            database.execute("INSERT INTO t VALUES (?, ?, ?, ?)", [position, *values])
        yield database


@settings(max_examples=75, deadline=None)
@given(EXPRESSIONS)
def test_partition_filter_agrees_with_a_database(
    rows: duckdb.DuckDBPyConnection, expression: str
) -> None:
    keep = PartitionFilter(expression, list(KINDS.items())).matches
    expected = rows.execute(
        f"SELECT coalesce({expression}, false) FROM t ORDER BY position"
    ).fetchall()
    assert [keep(row) for row in ROWS] == [passes for (passes,) in expected]


def test_segments_together_are_all_partitions(glue: Any, filtered: dict[str, str]) -> None:
    parts = [
        glue.get_partitions(**filtered, Segment={"SegmentNumber": n, "TotalSegments": 3})
        for n in range(3)
    ]
    got = [tuple(p["Values"]) for part in parts for p in part["Partitions"]]
    assert len(got) == 4
    assert {tuple(values) for values in [*DAYS, NULL]} == set(got)


def test_many_partitions_come_in_pages(server: Server, glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table_input("big", ("n", "int")))
    catalog = server.aws.services["glue"].catalog  # type: ignore[attr-defined]
    with server.aws.store.transaction():
        for number in range(2_500):
            catalog.create_partition(database, "big", {"Values": [str(number)]})
    on = {"DatabaseName": database, "TableName": "big"}
    pages = list(glue.get_paginator("get_partitions").paginate(**on))
    assert [len(page["Partitions"]) for page in pages] == [1000, 1000, 500]
    assert len({p["Values"][0] for page in pages for p in page["Partitions"]}) == 2_500
    few = glue.get_partitions(**on, Expression="n >= 2498")["Partitions"]
    assert [p["Values"] for p in few] == [["2498"], ["2499"]]


def test_tags(glue: Any, database: str) -> None:
    arn = f"arn:aws:glue:us-east-1:123456789012:database/{database}"
    glue.tag_resource(ResourceArn=arn, TagsToAdd={"a": "1", "b": "2"})
    glue.untag_resource(ResourceArn=arn, TagsToRemove=["a"])
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"b": "2"}
    missing = "arn:aws:glue:us-east-1:123456789012:crawler/nada"
    assert code_of(glue.get_tags, ResourceArn=missing) == "EntityNotFoundException"


def test_search(glue: Any, database: str) -> None:
    glue.create_table(DatabaseName=database, TableInput=table_input("achado_um"))
    glue.create_table(DatabaseName=database, TableInput=table_input("outro"))
    found = glue.search_tables(SearchText="achado")["TableList"]
    assert [table["Name"] for table in found] == ["achado_um"]
    filters = [{"Key": "DatabaseName", "Value": database}, {"Key": "Name", "Value": "outro"}]
    assert len(glue.search_tables(Filters=filters)["TableList"]) == 1


def test_what_is_not_there_is_refused_by_name(glue: Any, database: str) -> None:
    link = {"Name": "l", "TargetTable": {"DatabaseName": "x", "Name": "y"}}
    with pytest.raises(ClientError, match="TargetTable"):
        glue.create_table(DatabaseName=database, TableInput=link)
    with pytest.raises(ClientError, match="PartitionIndexes"):
        glue.create_table(
            DatabaseName=database,
            TableInput=table_input("t"),
            PartitionIndexes=[{"Keys": ["a"], "IndexName": "i"}],
        )
    with pytest.raises(ClientError, match="catalog 999999999999"):
        glue.get_table(CatalogId="999999999999", DatabaseName=database, Name="t")


def test_catalog_survives_a_restart(tmp_path: Path) -> None:
    config = Config(state=tmp_path, wait_seconds=1)
    with Server(config, services=["glue"]) as first:
        glue = glue_of(first)
        glue.create_database(DatabaseInput={"Name": "d"})
        glue.create_table(DatabaseName="d", TableInput=table_input("t", ("dia", "date")))
        values = {"Values": ["2026-01-01"]}
        glue.create_partition(DatabaseName="d", TableName="t", PartitionInput=values)
        before = glue.get_table(DatabaseName="d", Name="t")["Table"]
    with Server(config, services=["glue"]) as second:
        glue = glue_of(second)
        assert glue.get_table(DatabaseName="d", Name="t")["Table"] == before
        partitions = glue.get_partitions(DatabaseName="d", TableName="t")["Partitions"]
        assert [p["Values"] for p in partitions] == [["2026-01-01"]]
