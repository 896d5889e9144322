"""Crawlers and classifiers, as a boto3 client sees them."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.waiter
import duckdb
import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.lake.scan import Lake
from local_aws.server import Server

ROLE = "arn:aws:iam::123456789012:role/crawler"
INHERIT = {
    "Tables": {"AddOrUpdateBehavior": "MergeNewColumns"},
    "Partitions": {"AddOrUpdateBehavior": "InheritFromTable"},
}


def client_of(server: Server, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"), wait_seconds=5)
    with Server(config, services=["s3", "logs", "glue"]) as running:
        yield running


class World:
    """One test's bucket, database and crawlers."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.glue = client_of(server, "glue")
        self.logs = client_of(server, "logs")
        self.s3 = client_of(server, "s3")
        self.name = name.replace("_", "-")[:60].strip("-")
        self.database = name
        self.s3.create_bucket(Bucket=self.name)
        self.glue.create_database(DatabaseInput={"Name": self.database})

    def put(self, key: str, body: str | bytes) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.s3.put_object(Bucket=self.name, Key=key, Body=data)

    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.name, Key=key)

    def csv_classifier(self, name: str, **settings: Any) -> str:
        full = f"{self.database}-{name}"
        self.glue.create_classifier(CsvClassifier={"Name": full, **settings})
        return full

    def crawler(
        self, *paths: str, exclusions: tuple[str, ...] = (), sample: int = 0, **more: Any
    ) -> str:
        """Create a crawler over paths of the bucket; its name is the database's."""
        targets = [
            {
                "Path": f"s3://{self.name}/{path}",
                "Exclusions": list(exclusions),
                **({"SampleSize": sample} if sample else {}),
            }
            for path in paths
        ]
        self.glue.create_crawler(
            Name=self.database,
            Role=ROLE,
            DatabaseName=self.database,
            Targets={"S3Targets": targets},
            **more,
        )
        return self.database

    def run(self) -> dict[str, Any]:
        """Run the crawler to its end; the ``LastCrawl``."""
        self.glue.start_crawler(Name=self.database)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            crawler = self.glue.get_crawler(Name=self.database)["Crawler"]
            if crawler["State"] == "READY":
                return dict(crawler["LastCrawl"])
        raise AssertionError("the crawler did not end")

    def crawl(self, *paths: str, **more: Any) -> None:
        self.crawler(*paths, **more)
        last = self.run()
        assert last["Status"] == "SUCCEEDED", last

    def tables(self) -> dict[str, dict[str, Any]]:
        found = self.glue.get_tables(DatabaseName=self.database)["TableList"]
        return {table["Name"]: table for table in found}

    def columns(self, table: str) -> list[tuple[str, str]]:
        columns = self.tables()[table]["StorageDescriptor"]["Columns"]
        return [(column["Name"], column["Type"]) for column in columns]

    def keys(self, table: str) -> list[tuple[str, str]]:
        return [(key["Name"], key["Type"]) for key in self.tables()[table]["PartitionKeys"]]

    def partitions(self, table: str) -> list[list[str]]:
        found = self.glue.get_partitions(DatabaseName=self.database, TableName=table)
        return [partition["Values"] for partition in found["Partitions"]]

    def metrics(self) -> tuple[int, int, int]:
        [found] = self.glue.get_crawler_metrics(CrawlerNameList=[self.database])[
            "CrawlerMetricsList"
        ]
        return found["TablesCreated"], found["TablesUpdated"], found["TablesDeleted"]

    def log(self) -> str:
        events = self.logs.get_log_events(
            logGroupName="/aws-glue/crawlers", logStreamName=self.database, startFromHead=True
        )["events"]
        return "\n".join(event["message"] for event in events)


@pytest.fixture
def world(server: Server, request: pytest.FixtureRequest) -> World:
    return World(server, request.node.name.partition("[")[0].removeprefix("test_"))


def refused(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


BOM = "\ufeff"
STORES = {
    "clientes": ("id;nome;sexo;dt_nasc", "1;Lavinia Sousa;F;5/2/1975", "2;Caio Pereira;M;"),
    "lojas": ("id;cidade", "1;São Paulo", "2;Rio de Janeiro"),
    "produtos": ("id;produto;valor", "1;mouse;20", "2;teclado;30"),
    "vendas": ("id;id_cliente;id_loja;id_produto;dt_venda", "1;620;3;2;07/11/2018"),
    "pagamentos": ("id;id_venda;dt_pgto", "1;1;28/11/2018", ";;"),
    "promocao": ("id_venda;promoção", "1;0", "2;1"),
}
TYPES = {
    "clientes": [("id", "bigint"), ("nome", "string"), ("sexo", "string"), ("dt_nasc", "string")],
    "lojas": [("id", "bigint"), ("cidade", "string")],
    "produtos": [("id", "bigint"), ("produto", "string"), ("valor", "bigint")],
    "vendas": [
        ("id", "bigint"),
        ("id_cliente", "bigint"),
        ("id_loja", "bigint"),
        ("id_produto", "bigint"),
        ("dt_venda", "string"),
    ],
    "pagamentos": [("id", "bigint"), ("id_venda", "bigint"), ("dt_pgto", "string")],
    "promocao": [("id_venda", "bigint"), ("promoção", "bigint")],
    "sales_data": [
        ("id", "bigint"),
        ("product", "string"),
        ("quantity", "bigint"),
        ("price", "double"),
        ("date", "string"),
    ],
}
SALES = (
    "id,product,quantity,price,date\n1,Laptop,1,1200.00,2024-01-01\n2,Mouse,2,25.00,2024-01-01\n"
)


def deliver(world: World, day: str) -> None:
    for dataset, lines in STORES.items():
        body = BOM + "\r\n".join(lines) + "\r\n"
        world.put(f"stores/{dataset}/ingest_date={day}/caso_estudo_{dataset}.csv", body)
    world.put(f"orders/sales_data/ingest_date={day}/sales_data.csv", SALES)
    for source in ("stores", "orders"):
        world.put(f"_manifests/{source}/{day}.json", json.dumps({"source": source, "files": []}))


def rows(world: World, table: str) -> list[Any]:
    """What a reader of the lake finds in a crawled table."""
    lake = Lake(world.server.aws)
    with duckdb.connect() as connection:
        return connection.execute(lake.scan(lake.table(world.database, table)).sql).fetchall()


BRONZE_TARGETS = (*(f"stores/{dataset}/" for dataset in STORES), "orders/sales_data/")


@pytest.mark.parametrize("style", ["one_target", "seven_targets", "one_target_no_level"])
def test_bronze(server: Server, style: str) -> None:
    world = World(server, f"bronze_{style}")
    deliver(world, "2026-01-05")
    classifiers = [
        world.csv_classifier("semicolon", Delimiter=";", QuoteSymbol='"', ContainsHeader="PRESENT"),
        world.csv_classifier("comma", Delimiter=",", QuoteSymbol='"', ContainsHeader="PRESENT"),
    ]
    configuration: dict[str, Any] = {"Version": 1.0, "CrawlerOutput": INHERIT}
    if style == "one_target":
        configuration["Grouping"] = {"TableLevelConfiguration": 3}
    world.crawl(
        *(BRONZE_TARGETS if style == "seven_targets" else [""]),
        exclusions=() if style == "seven_targets" else ("_manifests/**",),
        Classifiers=classifiers,
        Configuration=json.dumps(configuration),
    )
    assert sorted(world.tables()) == sorted(TYPES)
    assert {name: world.columns(name) for name in TYPES} == TYPES
    assert {name: world.keys(name) for name in TYPES} == {
        name: [("ingest_date", "string")] for name in TYPES
    }
    assert world.metrics() == (7, 0, 0)
    sales = world.tables()["sales_data"]
    assert sales["StorageDescriptor"]["Location"] == f"s3://{world.name}/orders/sales_data/"
    assert sales["Parameters"]["skip.header.line.count"] == "1"
    assert sales["Parameters"]["classification"] == "csv"
    assert sales["Parameters"]["recordCount"] == "2"
    assert sales["StorageDescriptor"]["SerdeInfo"] == {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
        "Parameters": {"field.delim": ","},
    }
    clientes = world.tables()["clientes"]["StorageDescriptor"]["SerdeInfo"]["Parameters"]
    assert clientes == {"field.delim": ";"}

    assert rows(world, "promocao") == [(1, 0, "2026-01-05"), (2, 1, "2026-01-05")]
    assert rows(world, "pagamentos")[0] == (1, 1, "28/11/2018", "2026-01-05")
    assert rows(world, "sales_data")[1] == (2, "Mouse", 2, 25.0, "2024-01-01", "2026-01-05")

    deliver(world, "2026-01-06")
    assert world.run()["Status"] == "SUCCEEDED"
    assert world.metrics() == (0, 7, 0)
    assert all(world.partitions(name) == [["2026-01-05"], ["2026-01-06"]] for name in TYPES)
    assert {name: world.columns(name) for name in TYPES} == TYPES
    [first, _] = world.glue.get_partitions(DatabaseName=world.database, TableName="vendas")[
        "Partitions"
    ]
    storage = first["StorageDescriptor"]
    assert storage["Location"] == f"s3://{world.name}/stores/vendas/ingest_date=2026-01-05/"
    assert storage["Columns"] == world.tables()["vendas"]["StorageDescriptor"]["Columns"]

    assert world.run()["Status"] == "SUCCEEDED"
    assert world.metrics() == (0, 0, 0)


def test_recrawl_reads_only_what_changed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import local_aws.glue.crawl as crawl

    for table in range(7):
        for day in range(1, 31):
            world.put(f"t{table}/ingest_date=2026-01-{day:02}/f.csv", f"id,n{table}\n1,2\n2,3\n")
    world.crawl(*[f"t{table}/" for table in range(7)])
    read: list[str] = []
    whole = crawl.classify

    def counting(path: Path, *rest: Any) -> Any:
        read.append(str(path))
        return whole(path, *rest)

    monkeypatch.setattr(crawl, "classify", counting)
    world.run()
    assert read == []
    world.put("t3/ingest_date=2026-01-07/f.csv", "id,n3\n1,2\n2,3\n3,4\n")
    world.run()
    assert [path.rsplit("/", 3)[1:] for path in read] == [["t3", "ingest_date=2026-01-07", "f.csv"]]
    [changed] = world.glue.get_partitions(
        DatabaseName=world.database, TableName="t3", Expression="ingest_date = '2026-01-07'"
    )["Partitions"]
    assert changed["StorageDescriptor"]["Parameters"]["recordCount"] == "3"


# The built-in CSV classifier


@pytest.mark.parametrize(
    ("body", "delimiter", "columns"),
    [
        ("id,nome,valor\n1,a,1.5\n2,b,2\n", ",", "id bigint, nome string, valor double"),
        ("id;nome\n1;a\n2;b\n", ";", "id bigint, nome string"),
        ("id|nome\n1|a\n2|b\n", "|", "id bigint, nome string"),
        ("id\tnome\n1\ta\n2\tb\n", "\t", "id bigint, nome string"),
        (BOM + "id;nome\r\n1;a\r\n2;b\r\n", ";", "id bigint, nome string"),
        ("nome,uf\nana,sp\nbia,rj\n", ",", "col0 string, col1 string"),
        ("1,ana\n2,bia\n", ",", "col0 bigint, col1 string"),
        ("id,dia\n1,2026-01-01\n2,2026-01-02\n", ",", "id bigint, dia string"),
        ('id,nome\n1,"Souza, Ana"\n2,"Lima, Bia"\n', ",", "id bigint, nome string"),
        ("id,vazio\n1,\n2,\n", ",", "id bigint, vazio string"),
        ("id,n\n1,5\n2,2.5\n3,\n", ",", "id bigint, n double"),
        ("id,n\n1,5\n2,x\n", ",", "id bigint, n string"),
        ("ID,Preço Total\n1,5\n2,6\n", ",", "id bigint, preço total bigint"),
    ],
)
def test_built_in_csv(server: Server, body: str, delimiter: str, columns: str) -> None:
    world = World(server, f"built_in_csv_{zlib.crc32(body.encode())}")
    world.put("tabela/f.csv", body)
    world.crawl("tabela/")
    [table] = world.tables().values()
    assert ", ".join(f"{name} {kind}" for name, kind in world.columns("tabela")) == columns
    assert table["Parameters"]["delimiter"] == delimiter
    has_header = "col0" not in columns
    assert ("skip.header.line.count" in table["Parameters"]) == has_header


def test_custom_csv_names_types_and_serde(world: World) -> None:
    world.put("a/f.csv", "1#'x#y'#2026-01-01\n2#'z'#2026-01-02\n")
    classifier = world.csv_classifier(
        "c",
        Delimiter="#",
        QuoteSymbol="'",
        ContainsHeader="ABSENT",
        Header=["id", "texto", "dia"],
        CustomDatatypeConfigured=True,
        CustomDatatypes=["INT", "STRING", "DATE"],
        Serde="OpenCSVSerDe",
    )
    world.crawl("a/", Classifiers=[classifier])
    assert world.columns("a") == [("id", "int"), ("texto", "string"), ("dia", "date")]
    table = world.tables()["a"]
    assert table["StorageDescriptor"]["SerdeInfo"] == {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
        "Parameters": {"quoteChar": "'", "separatorChar": "#"},
    }
    assert "skip.header.line.count" not in table["Parameters"]


def test_single_column_needs_leave(world: World) -> None:
    world.put("um/f.csv", "nome\nana\nbia\n")
    single = world.csv_classifier(
        "s", Delimiter=",", ContainsHeader="PRESENT", AllowSingleColumn=True
    )
    world.crawl("um/", Classifiers=[single])
    assert world.columns("um") == [("nome", "string")]


def test_first_matching_classifier_is_used(world: World) -> None:
    world.put("v/f.csv", "nome;uf\nana;sp\n")
    comma = world.csv_classifier("comma", Delimiter=",", ContainsHeader="PRESENT")
    semicolon = world.csv_classifier("semi", Delimiter=";", ContainsHeader="PRESENT")
    world.crawl("v/", Classifiers=[comma, semicolon])
    assert world.columns("v") == [("nome", "string"), ("uf", "string")]


def test_compressed_json_and_parquet(server: Server, world: World) -> None:
    world.put("csvgz/f.csv.gz", gzip.compress(b"id,nome\n1,a\n2,b\n"))
    lines = [{"Id": 1, "tags": ["a"], "geo": {"lat": 1.5}}, {"Id": 2**40, "ok": True, "nada": None}]
    world.put("linhas/f.json", "\n".join(json.dumps(line) for line in lines))
    folder = server.aws.s3.path(f"s3://{world.name}") / "colunar"
    folder.mkdir()
    relation = duckdb.sql(
        "select 1::int as Id, 1.5::decimal(12,2) as valor, date '2026-01-01' as dia, 'x' as nome,"
        " [1, 2] as n, {'k': 1} as s"
    )
    assert relation
    relation.write_parquet(str(folder / "f.parquet"))
    world.crawl("csvgz/", "linhas/", "colunar/")
    assert world.columns("csvgz") == [("id", "bigint"), ("nome", "string")]
    assert world.tables()["csvgz"]["Parameters"]["compressionType"] == "gzip"
    assert world.columns("linhas") == [
        ("id", "bigint"),
        ("tags", "array<string>"),
        ("geo", "struct<lat:double>"),
        ("ok", "boolean"),
        ("nada", "string"),
    ]
    assert world.columns("colunar") == [
        ("id", "int"),
        ("valor", "decimal(12,2)"),
        ("dia", "date"),
        ("nome", "string"),
        ("n", "array<int>"),
        ("s", "struct<k:int>"),
    ]
    assert world.tables()["colunar"]["Parameters"]["recordCount"] == "1"


def test_json_array_and_path(world: World) -> None:
    world.put("lista/f.json", json.dumps([{"a": 1}, {"a": 2, "b": "x"}]))
    world.glue.create_classifier(
        JsonClassifier={"Name": f"{world.database}-json", "JsonPath": "$[*]"}
    )
    world.crawl("lista/", Classifiers=[f"{world.database}-json"])
    assert world.columns("lista") == [("a", "int"), ("b", "string")]
    _, message = refused(
        world.glue.create_classifier, JsonClassifier={"Name": "x", "JsonPath": "$..a"}
    )
    assert "$..a" in message


# Tables and partitions


def test_similar_folders_become_partitions(world: World) -> None:
    for table, part in (("t1", "p1"), ("t1", "p2"), ("t1", "p3"), ("t2", "p4"), ("t2", "p5")):
        world.put(f"folder1/{table}/{part}/f.csv", "id,nome\n1,a\n2,b\n")
    world.crawl("folder1/")
    assert list(world.tables()) == ["folder1"]
    assert world.keys("folder1") == [("partition_0", "string"), ("partition_1", "string")]
    assert world.partitions("folder1") == [
        ["t1", "p1"],
        ["t1", "p2"],
        ["t1", "p3"],
        ["t2", "p4"],
        ["t2", "p5"],
    ]


def test_key_value_folders_name_the_keys(world: World) -> None:
    for month in ("jan", "feb"):
        world.put(f"sales/year=2019/month={month}/f.csv", "id,n\n1,2\n2,3\n")
    world.crawl("sales/", TablePrefix="raw_")
    assert list(world.tables()) == ["raw_sales"]
    assert world.keys("raw_sales") == [("year", "string"), ("month", "string")]
    assert world.partitions("raw_sales") == [["2019", "feb"], ["2019", "jan"]]


def test_different_schemas_become_tables(world: World) -> None:
    world.put("table1/year=2017/d.json", '{"A": 1, "B": 2}')
    world.put("table1/year=2018/d.json", '{"C": 3, "D": 4}')
    world.crawl("table1/")
    assert sorted(world.tables()) == ["year_2017", "year_2018"]


def test_combined_schemas_are_one_table(world: World) -> None:
    world.put("table1/year=2017/d.json", '{"A": 1, "B": 2}')
    world.put("table1/year=2018/d.json", '{"C": 3, "D": 4}')
    grouping = {"TableGroupingPolicy": "CombineCompatibleSchemas"}
    world.crawl("table1/", Configuration=json.dumps({"Version": 1.0, "Grouping": grouping}))
    assert world.columns("table1") == [(name, "int") for name in "abcd"]
    assert world.keys("table1") == [("year", "string")]


def test_files_of_one_folder_that_differ_become_tables(world: World) -> None:
    world.put("misto/vendas.csv", "id,nome\n1,a\n2,b\n")
    world.put("misto/lojas.csv", "cidade,uf,cep\nx,y,1\nz,w,2\n")
    world.crawl("misto/")
    found = {name: table["StorageDescriptor"]["Location"] for name, table in world.tables().items()}
    assert found == {
        "lojas_csv": f"s3://{world.name}/misto/lojas.csv",
        "vendas_csv": f"s3://{world.name}/misto/vendas.csv",
    }


def test_same_folder_name_at_two_places(world: World) -> None:
    world.put("a/x/f.csv", "id,nome\n1,a\n2,b\n")
    world.put("b/x/f.csv", "valor,dia,uf\n1,2,c\n3,4,d\n")
    world.crawl("a/x/", "b/x/")
    names = sorted(world.tables())
    assert names[0] == "x"
    assert len(names[1]) == len("x_") + 32
    world.run()
    assert sorted(world.tables()) == names


def test_exclusions_and_sample(world: World) -> None:
    world.put("d/a.csv", "id,n\n1,2\n2,3\n")
    world.put("d/b.csv", "id,n\n1,2\n2,x\n")
    world.put("d/tmp/c.csv", "outro,texto,aqui\n1,2,3\n4,5,6\n")
    world.put("d/_SUCCESS", "")
    world.crawl("d/", exclusions=("tmp/**",), sample=1)
    assert world.columns("d") == [("id", "bigint"), ("n", "bigint")]
    table = world.tables()["d"]
    assert table["Parameters"]["objectCount"] == "2"
    assert json.loads(table["Parameters"]["exclusions"]) == [f"s3://{world.name}/d/tmp/**"]


# Changes


def test_schema_change_is_taken_over(world: World) -> None:
    world.put("t/dia=1/f.csv", "id,nome,uf\n1,a,x\n2,b,y\n")
    world.crawl("t/")
    world.put("t/dia=1/f.csv", "id,nome,uf,valor\n1,a,x,1.5\n2,b,y,2.5\n")
    world.run()
    assert [name for name, _ in world.columns("t")] == ["id", "nome", "uf", "valor"]
    assert world.metrics() == (0, 1, 0)
    versions = world.glue.get_table_versions(DatabaseName=world.database, TableName="t")
    assert [version["VersionId"] for version in versions["TableVersions"]] == ["1", "0"]


def test_schema_change_is_only_logged(world: World) -> None:
    world.put("t/dia=1/f.csv", "id,nome,uf\n1,a,x\n2,b,y\n")
    policy = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    world.crawl("t/", SchemaChangePolicy=policy)
    world.put("t/dia=1/f.csv", "id,nome,uf,valor\n1,a,x,1.5\n2,b,y,2.5\n")
    world.put("t/dia=2/f.csv", "id,nome,uf\n1,a,x\n2,b,y\n")
    world.run()
    assert [name for name, _ in world.columns("t")] == ["id", "nome", "uf"]
    assert world.partitions("t") == [["1"], ["2"]]
    assert "UpdateBehavior is LOG" in world.log()


def test_new_columns_are_merged(world: World) -> None:
    world.put("t/dia=1/f.csv", "id,nome,uf\n1,a,x\n2,b,y\n")
    output = json.dumps({"Version": 1.0, "CrawlerOutput": INHERIT})
    world.crawl("t/", Configuration=output)
    table = world.tables()["t"]
    storage = table["StorageDescriptor"]
    storage["Columns"] = [{"Name": "id", "Type": "int", "Comment": "chave"}]
    world.glue.update_table(
        DatabaseName=world.database,
        TableInput={
            **{key: table[key] for key in ("Name", "Parameters", "PartitionKeys", "TableType")},
            "StorageDescriptor": storage,
        },
    )
    world.run()
    assert world.columns("t") == [("id", "int"), ("nome", "string"), ("uf", "string")]
    partition = world.glue.get_partition(
        DatabaseName=world.database, TableName="t", PartitionValues=["1"]
    )["Partition"]
    assert partition["StorageDescriptor"]["Columns"][0]["Type"] == "int"


@pytest.mark.parametrize("behavior", ["DELETE_FROM_DATABASE", "DEPRECATE_IN_DATABASE", "LOG"])
def test_files_that_are_gone(server: Server, behavior: str) -> None:
    world = World(server, f"gone_{behavior.lower()}")
    world.put("fica/dia=1/f.csv", "id,n\n1,2\n2,3\n")
    world.put("fica/dia=2/f.csv", "id,n\n1,2\n2,3\n")
    world.put("some/f.csv", "a,b,c,d\n1,2,3,4\n5,6,7,8\n")
    policy = {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": behavior}
    world.crawl("fica/", "some/", SchemaChangePolicy=policy)
    world.delete("fica/dia=2/f.csv")
    world.delete("some/f.csv")
    world.run()
    tables, partitions = world.tables(), world.partitions("fica")
    if behavior == "DELETE_FROM_DATABASE":
        assert (sorted(tables), partitions) == (["fica"], [["1"]])
        assert world.metrics() == (0, 1, 1)
        return
    assert (sorted(tables), partitions) == (["fica", "some"], [["1"], ["2"]])
    marked = "DEPRECATED_BY_CRAWLER" in tables["some"]["Parameters"]
    assert marked == (behavior == "DEPRECATE_IN_DATABASE")
    world.put("some/f.csv", "a,b,c,d\n1,2,3,4\n5,6,7,8\n")
    world.run()
    assert "DEPRECATED_BY_CRAWLER" not in world.tables()["some"]["Parameters"]


def test_new_folders_only(world: World) -> None:
    world.put("t/dia=1/f.csv", "id,n\n1,2\n2,3\n")
    log = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    new_only = {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}
    code, message = refused(
        world.glue.create_crawler,
        Name="x",
        Role=ROLE,
        DatabaseName=world.database,
        Targets={"S3Targets": [{"Path": f"s3://{world.name}/t/"}]},
        RecrawlPolicy=new_only,
    )
    assert (code, "LOG" in message) == ("InvalidInputException", True)
    world.crawl("t/", RecrawlPolicy=new_only, SchemaChangePolicy=log)
    world.put("t/dia=1/g.csv", "id,n,novo\n1,2,3\n2,3,4\n")
    world.put("t/dia=2/f.csv", "id,n\n1,2\n2,3\n")
    world.run()
    assert world.partitions("t") == [["1"], ["2"]]
    assert world.columns("t") == [("id", "bigint"), ("n", "bigint")]


# Tables that are there

JSON_TABLE = {
    "Columns": [{"Name": "id", "Type": "string"}, {"Name": "page", "Type": "string"}],
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "SerdeInfo": {
        "SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
        "Parameters": {"ignore.malformed.json": "true"},
    },
}
KEPT = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
INHERITED = json.dumps(
    {
        "Version": 1.0,
        "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}},
        "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"},
    }
)


def catalog_crawler(world: World, **more: Any) -> None:
    """A table of JSON lines made by hand, by day and hour, and a crawler over it."""
    world.glue.create_table(
        DatabaseName=world.database,
        TableInput={
            "Name": "events",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"classification": "json", "owner": "shop"},
            "PartitionKeys": [
                {"Name": "day", "Type": "string"},
                {"Name": "hour", "Type": "string"},
            ],
            "StorageDescriptor": {**JSON_TABLE, "Location": f"s3://{world.name}/shop/events/"},
        },
    )
    target = {"DatabaseName": world.database, "Tables": ["events"]}
    given = {"SchemaChangePolicy": KEPT, "Configuration": INHERITED, **more}
    world.glue.create_crawler(
        Name=world.database, Role=ROLE, Targets={"CatalogTargets": [target]}, **given
    )


def json_lines(first: int, count: int, *broken: str) -> bytes:
    lines = [json.dumps({"id": f"e{n}", "page": "/home"}) for n in range(first, first + count)]
    return gzip.compress("\n".join([*lines, *broken, ""]).encode())


def test_a_catalog_target_keeps_its_table_and_gets_its_partitions(world: World) -> None:
    """A broken line in every file: a classifier that takes any line knows them all the same."""
    line = world.csv_classifier(
        "line", Delimiter="\t", QuoteSymbol="`", ContainsHeader="ABSENT", AllowSingleColumn=True
    )
    catalog_crawler(world, Classifiers=[line])
    shown = world.glue.get_crawler(Name=world.database)["Crawler"]
    assert shown["Targets"]["S3Targets"] == []
    assert shown["Targets"]["CatalogTargets"] == [
        {"DatabaseName": world.database, "Tables": ["events"]}
    ]
    world.put("shop/events/day=2026-01-05/hour=00/a.gz", json_lines(0, 3, '{"id": "e'))
    world.put("shop/events/day=2026-01-05/hour=00/b.gz", json_lines(3, 2))
    world.put("shop/events/day=2026-01-05/hour=07/a.gz", json_lines(5, 2, '{"id"', "x"))
    before = world.tables()["events"]
    assert world.run()["Status"] == "SUCCEEDED"
    assert world.tables() == {"events": before}
    assert world.partitions("events") == [["2026-01-05", "00"], ["2026-01-05", "07"]]
    found = rows(world, "events")
    assert len(found) == 3 + 1 + 2 + 2 + 2
    assert sorted(str(row[0]) for row in found) == ["None"] * 3 + [f"e{n}" for n in range(7)]

    def storage(day: str, hour: str) -> dict[str, Any]:
        given = {"DatabaseName": world.database, "TableName": "events"}
        answer = world.glue.get_partition(**given, PartitionValues=[day, hour])
        return dict(answer["Partition"]["StorageDescriptor"])

    seven = storage("2026-01-05", "07")
    assert seven["SerdeInfo"] == JSON_TABLE["SerdeInfo"]
    assert seven["Columns"] == JSON_TABLE["Columns"]
    assert seven["Location"] == f"s3://{world.name}/shop/events/day=2026-01-05/hour=07/"
    assert seven["Parameters"]["recordCount"] == "4"

    world.put("shop/events/day=2026-01-05/hour=07/late.gz", json_lines(7, 1))
    world.put("shop/events/day=2026-01-06/hour=00/a.gz", json_lines(8, 1))
    world.delete("shop/events/day=2026-01-05/hour=00/a.gz")
    world.delete("shop/events/day=2026-01-05/hour=00/b.gz")
    assert world.run()["Status"] == "SUCCEEDED"
    assert "Table events: 1 partitions created, 1 updated, 0 deleted" in world.log()
    assert "The files of partition ['2026-01-05', '00'] of table events are gone" in world.log()
    assert len(world.partitions("events")) == 3
    assert storage("2026-01-05", "07")["Parameters"]["objectCount"] == "2"
    assert world.tables() == {"events": before}


def test_a_catalog_target_leaves_out_what_nothing_recognises(world: World) -> None:
    catalog_crawler(world)
    world.put("shop/events/day=2026-01-05/hour=00/a.gz", json_lines(0, 3))
    world.put("shop/events/day=2026-01-05/hour=07/a.gz", json_lines(3, 3, '{"id": "e'))
    world.put("shop/events/day=2026-01-05/a.gz", json_lines(6, 3))
    assert world.run()["Status"] == "SUCCEEDED"
    assert world.partitions("events") == [["2026-01-05", "00"]]
    assert set(world.tables()) == {"events"}
    left = "is left out of the table events: it is of another format or depth"
    assert f"shop/events/day=2026-01-05/hour=07 {left}" in world.log()
    assert f"shop/events/day=2026-01-05 {left}" in world.log()


def test_a_catalog_target_can_take_over_its_files_schema(world: World) -> None:
    policy = {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"}
    catalog_crawler(world, SchemaChangePolicy=policy)
    world.put("shop/events/day=2026-01-05/hour=00/a.json", '{"id": 1, "seconds": 1.5}\n')
    assert world.run()["Status"] == "SUCCEEDED"
    assert world.columns("events") == [("id", "int"), ("seconds", "double")]
    assert world.keys("events") == [("day", "string"), ("hour", "string")]
    assert world.tables()["events"]["Parameters"]["owner"] == "shop"
    assert rows(world, "events")[0][:2] == (1, 1.5)
    assert world.metrics() == (0, 1, 0)


def test_a_catalog_target_with_other_folders_than_its_keys(world: World) -> None:
    catalog_crawler(world)
    world.put("shop/events/date=2026-01-05/hour=00/a.gz", json_lines(0, 3))
    assert world.run()["Status"] == "SUCCEEDED"
    assert world.partitions("events") == []
    assert "has the partition keys day, hour and its folders date, hour" in world.log()
    world.glue.delete_table(DatabaseName=world.database, Name="events")
    last = world.run()
    assert last["Status"] == "FAILED"
    assert "EntityNotFoundException" in last["ErrorMessage"]


CATALOG = {"CatalogTargets": [{"DatabaseName": "d", "Tables": ["t"]}]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"Targets": {**CATALOG, "S3Targets": [{"Path": "s3://b/"}]}}, "targets of another kind"),
        ({"SchemaChangePolicy": {"DeleteBehavior": "DEPRECATE_IN_DATABASE"}}, "only LOG"),
        ({"SchemaChangePolicy": {}}, "only LOG"),
        ({"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}}, "is for S3 targets"),
        (
            {"Configuration": '{"Version": 1.0, "Grouping": {"TableLevelConfiguration": 2}}'},
            "TableLevelConfiguration is for S3 targets",
        ),
        (
            {
                "Targets": {
                    "CatalogTargets": [{**CATALOG["CatalogTargets"][0], "EventQueueArn": "a"}]
                }
            },
            "EventQueueArn",
        ),
    ],
)
def test_refused_catalog_targets(server: Server, change: dict[str, Any], named: str) -> None:
    given = {"Name": "r", "Role": ROLE, "Targets": CATALOG, "SchemaChangePolicy": KEPT, **change}
    assert named in refused(client_of(server, "glue").create_crawler, **given)[1]


# The crawler's life


def test_crawler_definition(world: World) -> None:
    name = world.crawler("t/", Description="d", Tags={"team": "dados"})
    crawler = world.glue.get_crawler(Name=name)["Crawler"]
    assert crawler["State"] == "READY"
    assert crawler["SchemaChangePolicy"] == {
        "UpdateBehavior": "UPDATE_IN_DATABASE",
        "DeleteBehavior": "DEPRECATE_IN_DATABASE",
    }
    assert crawler["RecrawlPolicy"] == {"RecrawlBehavior": "CRAWL_EVERYTHING"}
    assert "LastCrawl" not in crawler
    world.glue.update_crawler(Name=name, Description="e")
    changed = world.glue.get_crawler(Name=name)["Crawler"]
    assert (changed["Description"], changed["Version"]) == ("e", 2)
    assert changed["Targets"] == crawler["Targets"]
    again = {"Name": name, "Role": ROLE, "DatabaseName": "x", "Targets": crawler["Targets"]}
    assert refused(world.glue.create_crawler, **again)[0] == "AlreadyExistsException"
    assert name in world.glue.list_crawlers(Tags={"team": "dados"})["CrawlerNames"]
    assert name not in world.glue.list_crawlers(Tags={"team": "outro"})["CrawlerNames"]
    batch = world.glue.batch_get_crawlers(CrawlerNames=[name, "nada"])
    assert [found["Name"] for found in batch["Crawlers"]] == [name]
    assert batch["CrawlersNotFound"] == ["nada"]
    assert refused(world.glue.stop_crawler, Name=name)[0] == "CrawlerNotRunningException"
    world.glue.delete_crawler(Name=name)
    assert refused(world.glue.get_crawler, Name=name)[0] == "EntityNotFoundException"
    assert refused(world.glue.start_crawler, Name=name)[0] == "EntityNotFoundException"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"Schedule": "cron(0 3 * * ? *)"}, "Schedule"),
        ({"Targets": {"JdbcTargets": [{"ConnectionName": "c", "Path": "p"}]}}, "JdbcTargets"),
        ({"Targets": {"DeltaTargets": [{"DeltaTables": ["s3://b/"]}]}}, "DeltaTargets"),
        ({"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVENT_MODE"}}, "CRAWL_EVENT_MODE"),
        (
            {"Configuration": '{"Version": 1.0, "Grouping": {"TableThreshold": 5}}'},
            "TableThreshold",
        ),
        ({"Configuration": "nada"}, "not JSON"),
        ({"Classifiers": ["nenhum"]}, "nenhum"),
        ({"CrawlerSecurityConfiguration": "s"}, "CrawlerSecurityConfiguration"),
        ({"Targets": {"S3Targets": [{"Path": "gs://b/"}]}}, "gs://b/"),
        ({"Targets": {"S3Targets": [{"Path": "s3://b/", "Exclusions": ["[a"]}]}}, "exclusion"),
    ],
)
def test_refused_definitions(server: Server, change: dict[str, Any], named: str) -> None:
    glue = client_of(server, "glue")
    given = {
        "Name": "refused",
        "Role": ROLE,
        "DatabaseName": "d",
        "Targets": {"S3Targets": [{"Path": "s3://b/"}]},
        **change,
    }
    assert named in refused(glue.create_crawler, **given)[1]


def test_refused_classifiers(server: Server) -> None:
    glue = client_of(server, "glue")
    grok = {"Name": "g", "Classification": "x", "GrokPattern": "%{DATA:a}"}
    assert "GrokClassifier" in refused(glue.create_classifier, GrokClassifier=grok)[1]
    xml = {"Name": "x", "Classification": "x", "RowTag": "r"}
    assert "XMLClassifier" in refused(glue.create_classifier, XMLClassifier=xml)[1]
    same = {"Name": "c", "Delimiter": ";", "QuoteSymbol": ";"}
    assert refused(glue.create_classifier, CsvClassifier=same)[0] == "InvalidInputException"


def test_classifier_lifecycle(server: Server) -> None:
    glue = client_of(server, "glue")
    glue.create_classifier(CsvClassifier={"Name": "vida", "Delimiter": ";"})
    assert refused(glue.create_classifier, CsvClassifier={"Name": "vida"})[0] == (
        "AlreadyExistsException"
    )
    glue.update_classifier(CsvClassifier={"Name": "vida", "ContainsHeader": "PRESENT"})
    found = glue.get_classifier(Name="vida")["Classifier"]["CsvClassifier"]
    assert (found["Delimiter"], found["ContainsHeader"], found["Version"]) == (";", "PRESENT", 2)
    listed = glue.get_classifiers()["Classifiers"]
    assert "vida" in [c["CsvClassifier"]["Name"] for c in listed if "CsvClassifier" in c]
    glue.delete_classifier(Name="vida")
    assert refused(glue.get_classifier, Name="vida")[0] == "EntityNotFoundException"


def test_failed_crawls_say_why(world: World) -> None:
    world.crawler("t/")
    world.glue.update_crawler(
        Name=world.database, Targets={"S3Targets": [{"Path": "s3://nenhum-balde/t/"}]}
    )
    last = world.run()
    assert last["Status"] == "FAILED"
    assert "NoSuchBucket" in last["ErrorMessage"]
    assert "NoSuchBucket" in world.log()
    world.put("t/f.orc", b"ORC\x00\x00")
    target = {"S3Targets": [{"Path": f"s3://{world.name}/t/"}]}
    world.glue.update_crawler(Name=world.database, Targets=target)
    last = world.run()
    assert "ORC" in last["ErrorMessage"]
    world.glue.update_crawler(Name=world.database, Targets=target, DatabaseName="nenhum")
    assert "Database nenhum not found" in world.run()["ErrorMessage"]
    crawls = world.glue.list_crawls(CrawlerName=world.database)["Crawls"]
    assert [crawl["State"] for crawl in crawls] == ["FAILED"] * 3


def test_unrecognised_file_is_unknown(world: World) -> None:
    world.put("bin/f.dat", b"\x00\x01\x02\xff")
    world.crawl("bin/")
    assert world.tables()["bin"]["Parameters"]["classification"] == "UNKNOWN"
    assert "WARN" in world.log()


def test_damaged_file_leaves_the_table_whole(world: World) -> None:
    for day in (1, 2):
        world.put(f"t/dia={day}/f.csv", "id,n\n1,2\n2,3\n")
    world.put("t/dia=2/latin.csv", "id,n\n1,promo\xe7\n".encode("latin-1"))
    world.put("t/dia=1/cut.csv.gz", gzip.compress(b"id,n\n1,2\n2,3\n")[:-8])
    world.crawl("t/")
    assert sorted(world.tables()) == ["cut_csv_gz", "latin_csv", "t"]
    assert world.columns("t") == [("id", "bigint"), ("n", "bigint")]
    assert world.partitions("t") == [["1"], ["2"]]
    assert world.tables()["latin_csv"]["Parameters"]["classification"] == "UNKNOWN"
    assert "latin.csv is neither UTF-8 text" in world.log()
    assert "cut.csv.gz is damaged" in world.log()


@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz", "f.json"])
def test_large_files_are_sampled(server: Server, name: str) -> None:
    world = World(server, f"large_{name.replace('.', '_')}")
    rows = 60_000
    if name == "f.json":
        body = json.dumps([{"id": number, "n": "x" * 30} for number in range(rows)]).encode()
        columns = [("array", "array<struct<id:int,n:string>>")]
    else:
        body = b"id,n\n" + b"".join(b"%09d,%030d.5\n" % (n, n) for n in range(rows))
        columns = [("id", "bigint"), ("n", "double")]
    world.put(f"t/{name}", gzip.compress(body) if name.endswith("gz") else body)
    world.crawl("t/")
    assert world.columns("t") == columns
    if name != "f.json":
        estimated = int(world.tables()["t"]["Parameters"]["recordCount"])
        assert 0.7 * rows < estimated < 1.3 * rows


def test_running_crawler_is_busy_and_stops(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    import local_aws.glue.crawl as crawl

    for day in range(3):
        world.put(f"t/dia={day}/f.csv", "id,n\n1,2\n2,3\n")
    world.crawler("t/")
    inside, go = threading.Event(), threading.Event()
    whole = crawl.classify

    def slow(*arguments: Any) -> Any:
        inside.set()
        assert go.wait(10)
        return whole(*arguments)

    monkeypatch.setattr(crawl, "classify", slow)
    world.glue.start_crawler(Name=world.database)
    assert inside.wait(10)
    for call in (world.glue.start_crawler, world.glue.delete_crawler):
        assert refused(call, Name=world.database)[0] == "CrawlerRunningException"
    update = {"Name": world.database, "Description": "x"}
    assert refused(world.glue.update_crawler, **update)[0] == "CrawlerRunningException"
    world.glue.stop_crawler(Name=world.database)
    assert refused(world.glue.stop_crawler, Name=world.database)[0] == "CrawlerStoppingException"
    go.set()
    crawler = world.glue.get_crawler(Name=world.database)["Crawler"]
    assert (crawler["State"], crawler["LastCrawl"]["Status"]) == ("READY", "CANCELLED")
    assert world.tables() == {}


def test_restart_ends_a_crawl_that_was_running(tmp_path: Path) -> None:
    config = Config(state=tmp_path, wait_seconds=1)
    with Server(config, services=["s3", "logs", "glue"]) as first:
        world = World(first, "cortado")
        world.crawler("t/")
        crawler = first.aws.store.get("glue/crawler", "cortado")
        assert crawler is not None
        crawl = {
            "CrawlId": "c",
            "State": "RUNNING",
            "StartTime": first.aws.now(),
            "LogGroup": "/aws-glue/crawlers",
            "LogStream": "cortado",
            "MessagePrefix": "c",
        }
        first.aws.store.put(
            "glue/crawler", "cortado", {**crawler, "State": "RUNNING", "Crawl": crawl}
        )
    with Server(config, services=["s3", "logs", "glue"]) as second:
        found = client_of(second, "glue").get_crawler(Name="cortado")["Crawler"]
        assert (found["State"], found["LastCrawl"]["Status"]) == ("READY", "FAILED")


def test_airflow_hook(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.amazon.aws.hooks.glue_crawler import GlueCrawlerHook

    monkeypatch.setenv("AWS_ENDPOINT_URL", world.server.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    hook = GlueCrawlerHook(aws_conn_id=None, region_name="us-east-1")
    world.put("t/f.csv", "id,n\n1,2\n2,3\n")
    config = {
        "Name": world.database,
        "Role": ROLE,
        "DatabaseName": world.database,
        "Targets": {"S3Targets": [{"Path": f"s3://{world.name}/t/"}]},
        "Tags": {"team": "dados"},
    }
    assert not hook.has_crawler(world.database)
    hook.create_crawler(**config)
    assert hook.has_crawler(world.database)
    assert hook.update_crawler(**{**config, "Description": "novo", "Tags": {"team": "x"}})
    arn = f"arn:aws:glue:us-east-1:123456789012:crawler/{world.database}"
    assert world.glue.get_tags(ResourceArn=arn)["Tags"] == {"team": "x"}
    hook.start_crawler(world.database)

    def asleep(seconds: float) -> None:
        raise AssertionError(f"the waiter slept {seconds} s: GetCrawler did not wait")

    monkeypatch.setattr(botocore.waiter, "time", SimpleNamespace(sleep=asleep))
    assert hook.wait_for_crawler_completion(world.database) == "SUCCEEDED"
    assert list(world.tables()) == ["t"]
