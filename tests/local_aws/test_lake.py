"""Catalog tables as relations: what DuckDB reads of plain files, by SerDe and partition."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from local_aws.athena.execution import explained
from local_aws.lake import FAILURE, Lake, LakeError, parse_type
from local_aws.lake.scan import PARQUET_SERDE
from local_aws.lake.text import JSON_SERDES, LAZY_SIMPLE, OPEN_CSV


class World:
    """A bucket ``b`` and a catalog, both as simple as can be."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.partitions: list[dict[str, Any]] = []
        s3 = SimpleNamespace(
            bucket_path=lambda bucket: root / bucket, path=lambda uri: root / uri[5:]
        )
        glue = SimpleNamespace(call=self._glue)
        self.lake = Lake(SimpleNamespace(s3=s3, services={"glue": glue}))  # type: ignore[arg-type]
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")

    def _glue(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert operation == "GetPartitions"
        return {"Partitions": self.partitions}

    def table(
        self,
        serde: str,
        columns: list[tuple[str, str]],
        serde_properties: dict[str, str] | None = None,
        keys: list[tuple[str, str]] | None = None,
        properties: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        return {
            "DatabaseName": "d",
            "Name": "t",
            "Parameters": properties or {},
            "PartitionKeys": [{"Name": n, "Type": type_} for n, type_ in keys or []],
            "StorageDescriptor": {
                "Location": "s3://b/t",
                "Columns": [{"Name": n, "Type": type_} for n, type_ in columns],
                "SerdeInfo": {
                    "SerializationLibrary": serde,
                    "Parameters": serde_properties or {},
                },
            },
        }

    def put(self, key: str, body: bytes) -> Path:
        path = self.root / "b" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return path

    def parquet(self, key: str, select: str) -> Path:
        path = self.put(key, b"")
        self.connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
        return path

    def partition(self, values: list[str], location: str) -> None:
        self.partitions.append({"Values": values, "StorageDescriptor": {"Location": location}})

    def rows(self, table: dict[str, Any], *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        scan = self.lake.scan(table, *args, **kwargs)
        return self.connection.execute(f"SELECT * FROM ({scan.sql}) AS r").fetchall()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.connection.close()


@pytest.mark.parametrize(
    ("hive", "in_duckdb"),
    [
        ("int", "INTEGER"),
        ("decimal(12,2)", "DECIMAL(12,2)"),
        ("decimal", "DECIMAL(10,0)"),
        ("varchar(5)", "VARCHAR"),
        ("array<map<string,int>>", "MAP(VARCHAR, INTEGER)[]"),
        ("struct<A:int,b:array<date>>", 'STRUCT("a" INTEGER, "b" DATE[])'),
    ],
)
def test_types(hive: str, in_duckdb: str) -> None:
    assert parse_type(hive).duckdb == in_duckdb


@pytest.mark.parametrize("text", ["", "uniontype<int>", "array<int", "decimal(39,2)", "int(3)"])
def test_unknown_types_are_named(text: str) -> None:
    with pytest.raises(LakeError, match="Unsupported Hive type"):
        parse_type(text)


class TestLazySimple:
    COLUMNS = [("id", "int"), ("nome", "string"), ("dia", "date"), ("valor", "decimal(12,2)")]

    def test_header_bom_crlf_and_nulls(self, world: World) -> None:
        world.put("t/a.csv", '\ufeffid;nome;dia;valor\r\n1;"Zé";2024-01-02;1.5\r\n'.encode())
        world.put("t/b.csv", b"id;nome;dia;valor\n1.5;\\N;02/01/2024;x\n\n7;a\n8;b;;;extra\n")
        table = world.table(
            LAZY_SIMPLE,
            self.COLUMNS,
            {"field.delim": ";"},
            properties={"skip.header.line.count": "1"},
        )
        assert world.rows(table) == [
            (1, '"Zé"', date(2024, 1, 2), Decimal("1.50")),
            (None, None, None, None),
            (None, None, None, None),
            (7, "a", None, None),
            (8, "b", None, None),
        ]

    def test_compressed_hidden_and_empty_files(self, world: World) -> None:
        world.put("t/a.csv.gz", gzip.compress(b"1;a\n"))
        world.put("t/_SUCCESS", b"no")
        world.put("t/.crc", b"no")
        world.put("t/_temporary/x.csv", b"9;z\n")
        world.put("t/empty.csv", b"")
        table = world.table(LAZY_SIMPLE, self.COLUMNS[:2], {"field.delim": ";"})
        assert world.rows(table) == [(1, "a")]

    def test_escaped_delimiters(self, world: World) -> None:
        world.put("t/a.csv", rb"1;a\;b;" + b"\n")
        table = world.table(
            LAZY_SIMPLE, self.COLUMNS[:2], {"field.delim": ";", "escape.delim": "\\"}
        )
        assert world.rows(table) == [(1, "a;b")]

    def test_a_compression_that_is_not_read(self, world: World) -> None:
        world.put("t/a.csv.bz2", b"x")
        with pytest.raises(LakeError, match=r"a\.csv\.bz2.*\.gz"):
            world.rows(world.table(LAZY_SIMPLE, self.COLUMNS))


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize(
    "content",
    [
        "h\r\n1\r\n2\r\n",
        "h\n1\n2",
        "h\r1\r2\r",
        "h\r\n1\n2\r\n",
        "h\n1\r2\n",
        "h\r\n1\r\x0c\n2\r\n",
        "h\r\r\n\n\r1",
        "\n\r",
        "\ufeffh\n1\r\n",
    ],
)
def test_lines_end_as_they_like(world: World, content: str, skip: int) -> None:
    """CR, LF or both, in one file too, as in Hive's and Athena's readers."""
    world.put("t/a.csv", content.encode())
    world.put("t/b.csv", b"h\nlast\n")
    table = world.table(
        LAZY_SIMPLE,
        [("a", "string")],
        {"field.delim": ";"},
        properties={"skip.header.line.count": str(skip)},
    )
    expected = re.split("\r\n|\r|\n", content.removeprefix("\ufeff"))
    if not expected[-1]:
        expected.pop()
    found = [row[0] for row in world.rows(table)]
    assert sorted(found) == sorted(expected[skip:] + ["h", "last"][skip:])


def test_a_file_that_is_written_anew_is_looked_at_anew(world: World) -> None:
    table = world.table(LAZY_SIMPLE, [("a", "string")], {"field.delim": ";"})
    for content in (b"1\n2\n", b"1\r2\n", b"1\n2\n"):
        world.put("t/a.csv", content)
        assert world.rows(table) == [("1",), ("2",)]


def test_a_compressed_file_whose_lines_end_differently_is_refused_by_name(world: World) -> None:
    world.put("t/a.csv.gz", gzip.compress(b"1\r\n2\n"))
    with pytest.raises(duckdb.Error) as caught:
        world.rows(world.table(LAZY_SIMPLE, [("a", "string")], {"field.delim": ";"}))
    said = explained(caught.value)
    assert said.code == "HIVE_BAD_DATA"
    assert "compressed text file" in str(said)


class TestOpenCsv:
    def test_quotes_escapes_and_epochs(self, world: World) -> None:
        world.put("t/a.csv", b'1,"a,""b"" \\"c\\" d",19000,1000\n"2","",0,2024-01-01 00:00:00\n')
        columns = [("a", "int"), ("b", "string"), ("c", "date"), ("d", "timestamp")]
        rows = world.rows(world.table(OPEN_CSV, columns))
        assert [row[:3] for row in rows] == [
            (1, 'a,"b" "c" d', date(2022, 1, 8)),
            (2, "", date(1970, 1, 1)),
        ]
        assert str(rows[0][3]) == "1970-01-01 00:00:01"

    def test_an_empty_number_is_bad_data(self, world: World) -> None:
        world.put("t/a.csv", b",x\n")
        table = world.table(OPEN_CSV, [("a", "int"), ("b", "string")])
        with pytest.raises(duckdb.Error) as caught:
            world.rows(table)
        assert str(caught.value).split(FAILURE)[1] == (
            "HIVE_BAD_DATA: Error parsing field value '' for field 0: For input string: \"\""
        )
        assert world.rows(table, {"b"}) == [("x",)]
        lenient = {"use.null.for.invalid.data": "true"}
        table = world.table(OPEN_CSV, [("a", "int"), ("b", "string")], lenient)
        assert world.rows(table) == [(None, "x")]


def test_json_lines(world: World) -> None:
    world.put("t/a.json", b'{"A":1,"b":{"x":1,"y":[1,2],"z":3},"m":{"k":5},"s":{"q":1}}\n\n')
    world.put("t/b.json", b'{"a":"2","b":{},"s":"text"}\n')
    columns = [
        ("a", "int"),
        ("b", "struct<x:int,y:array<int>>"),
        ("m", "map<string,int>"),
        ("s", "string"),
        ("gone", "date"),
    ]
    assert world.rows(world.table(JSON_SERDES[0], columns)) == [
        (1, {"x": 1, "y": [1, 2]}, {"k": 5}, '{"q":1}', None),
        (2, {"x": None, "y": None}, None, "text", None),
    ]


def test_malformed_json(world: World) -> None:
    world.put("t/a.json", b'{"a":1}\nnonsense\n')
    table = world.table(JSON_SERDES[0], [("a", "int")])
    with pytest.raises(duckdb.Error, match="Row is not a valid JSON Object"):
        world.rows(table)
    table = world.table(JSON_SERDES[0], [("a", "int")], {"ignore.malformed.json": "true"})
    assert world.rows(table) == [(1,), (None,)]


class TestParquet:
    def test_columns_by_name_and_missing_ones(self, world: World) -> None:
        world.parquet("t/1.parquet", "SELECT 'x' AS B, 1::BIGINT AS a")
        world.parquet("t/2.parquet", "SELECT 2::INT AS a, 1.5::DECIMAL(3,1) AS c")
        table = world.table(
            PARQUET_SERDE, [("a", "bigint"), ("b", "string"), ("c", "decimal(12,2)")]
        )
        assert world.rows(table) == [(1, "x", None), (2, None, Decimal("1.50"))]

    def test_incompatible_types_are_bad_data(self, world: World) -> None:
        world.parquet("t/1.parquet", "SELECT 'x' AS a")
        with pytest.raises(LakeError, match=r"a's type VARCHAR .*s3://b/t/1.parquet.* int ") as e:
            world.rows(world.table(PARQUET_SERDE, [("a", "int")]))
        assert e.value.code == "HIVE_BAD_DATA"

    def test_only_the_bytes_of_used_columns(self, world: World) -> None:
        world.parquet("t/1.parquet", "SELECT range AS a, md5(range::VARCHAR) AS b FROM range(999)")
        table = world.table(PARQUET_SERDE, [("a", "bigint"), ("b", "string")])
        all_, one = world.lake.scan(table), world.lake.scan(table, {"a"})
        assert 0 < one.bytes < all_.bytes < (world.root / "b/t/1.parquet").stat().st_size
        assert world.lake.scan(table, set()).bytes == 0
        assert len(world.rows(table, set())) == 999

    def test_timestamps_of_both_kinds(self, world: World) -> None:
        moment = "TIMESTAMP '2024-01-01 12:00:00.123456'"
        world.parquet("t/1.parquet", f"SELECT {moment} AS t")
        world.parquet("t/2.parquet", f"SELECT {moment} AT TIME ZONE 'UTC' AS t")
        rows = world.rows(world.table(PARQUET_SERDE, [("t", "timestamp")]))
        assert [str(t) for (t,) in rows] == ["2024-01-01 12:00:00.123456"] * 2

    def test_not_parquet(self, world: World) -> None:
        world.put("t/1.parquet", b"nonsense")
        with pytest.raises(LakeError, match="Not valid Parquet file"):
            world.rows(world.table(PARQUET_SERDE, [("a", "int")]))


class TestPartitions:
    @pytest.fixture
    def table(self, world: World) -> dict[str, Any]:
        for day in ("2024-01-01", "2024-01-02", "2024-01-03"):
            world.parquet(f"t/dt={day}/1.parquet", f"SELECT '{day}' AS a")
        world.parquet("elsewhere/1.parquet", "SELECT 'moved' AS a")
        world.partition(["2024-01-01"], "s3://b/t/dt=2024-01-01/")
        world.partition(["2024-01-02"], "s3://b/t/dt=2024-01-02")
        world.partition(["2024-02-01"], "s3://b/elsewhere")
        return world.table(PARQUET_SERDE, [("a", "string")], keys=[("dt", "date")])

    def test_only_registered_ones_are_read(self, world: World, table: dict[str, Any]) -> None:
        assert sorted(world.rows(table)) == [
            ("2024-01-01", date(2024, 1, 1)),
            ("2024-01-02", date(2024, 1, 2)),
            ("moved", date(2024, 2, 1)),
        ]

    def test_pruned(self, world: World, table: dict[str, Any]) -> None:
        scan = world.lake.scan(table, {"a"}, "dt > DATE '2024-01-15'")
        assert scan.files == 1
        assert world.rows(table, {"a"}, "r.\"dt\" > DATE '2024-01-15'", "r") == [("moved",)]
        assert world.rows(table, {"a", "dt"}, "dt IS NULL") == []

    def test_path(self, world: World, table: dict[str, Any]) -> None:
        rows = world.rows(table, {"$path"}, "dt = DATE '2024-02-01'")
        assert rows == [("s3://b/elsewhere/1.parquet",)]

    def test_a_value_of_another_type(self, world: World, table: dict[str, Any]) -> None:
        world.partition(["yesterday"], "s3://b/elsewhere")
        with pytest.raises(LakeError, match="Invalid partition value 'yesterday' for date"):
            world.rows(table)


def test_no_files_is_an_empty_relation(world: World) -> None:
    scan = world.lake.scan(world.table(PARQUET_SERDE, [("a", "int"), ("b", "array<date>")]))
    cursor = world.connection.execute(scan.sql)
    assert [str(column[1]) for column in cursor.description or []] == ["INTEGER", "DATE[]"]
    assert cursor.fetchall() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(TableType="VIRTUAL_VIEW"), "is a view"),
        (lambda t: t["Parameters"].update(table_type="ICEBERG"), "Iceberg"),
        (lambda t: t["Parameters"].update({"projection.enabled": "true"}), "projection.enabled"),
        (
            lambda t: t["StorageDescriptor"]["SerdeInfo"].update(
                SerializationLibrary="org.apache.hadoop.hive.ql.io.orc.OrcSerde"
            ),
            "OrcSerde",
        ),
        (lambda t: t["StorageDescriptor"].update(Location="hdfs://x"), "not in S3"),
    ],
)
def test_refused(world: World, change: Callable[[dict[str, Any]], None], message: str) -> None:
    world.put("t/a", b"x")
    table = world.table(PARQUET_SERDE, [("a", "int")])
    change(table)
    with pytest.raises(LakeError, match=message):
        world.rows(table)
