from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from madrugada_spark.catalog import Catalog
from madrugada_spark.contract import JobError
from tests.include.night import BRONZE, GOLD, SILVER, Night

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = "2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"
ORDERS = "id,product,quantity,price,date\n"
STORES = {
    "clientes": "id;nome;sexo;dt_nasc",
    "lojas": "id;cidade",
    "produtos": "id;produto;valor",
    "vendas": "id;id_cliente;id_loja;id_produto;dt_venda",
    "pagamentos": "id;id_venda;dt_pgto",
    "venda_promocao": "id_venda;promoção",
}


@pytest.fixture
def night(spark: Any, aws: Any, buckets_root: Path, ingest: Any) -> Night:
    return Night(spark, aws, buckets_root, ingest)


def orders(folder: Path, *rows: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sales_data.csv").write_text(ORDERS + "".join(f"{row}\n" for row in rows))
    return folder


def stores(folder: Path, rows: dict[str, list[str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, header in STORES.items():
        lines = "".join(f"{line}\r\n" for line in (header, *rows[name]))
        (folder / f"caso_estudo_{name}.csv").write_text(lines, encoding="utf-8", newline="")
    return folder


def test_a_night_on_the_sample(night, sample, contracts, capsys) -> None:
    reports = night.run(sample.folder, MONDAY)
    silver = reports["silver"]["datasets"]
    assert {name: (r["delivered"], r["kept"], r["rows"]) for name, r in silver.items()} == {
        "clientes": (1000, 1000, 1000),
        "lojas": (10, 10, 10),
        "produtos": (10, 10, 10),
        "sales_data": (12, 10, 10),
        "vendas": (1000, 1000, 1000),
        "pagamentos": (856, 844, 844),
        "promocao": (3000, 3000, 3000),
    }
    assert {name: r["quarantined"] for name, r in silver.items() if r["quarantined"]} == {
        "sales_data": {"price_required": 2},
        "pagamentos": {"empty_row": 12},
    }
    assert {name: r["warned"] for name, r in silver.items() if r["warned"]} == {
        "clientes": {"nome_missing": 4},
        "produtos": {"valor_suspicious": 1},
        "promocao": {"id_venda_reference": 2000},
    }
    assert silver["promocao"]["references"] == [
        {"rule": "id_venda_reference", "column": "id_venda", "dataset": "vendas", "to": "id"}
    ]
    assert [r["dataset"] for r in silver["vendas"]["references"]] == [
        "clientes",
        "lojas",
        "produtos",
    ]
    quarantine = night.table("silver", "quarantine")
    assert [
        (r["source_file"], r["line_number"], r["raw"], r["reason"])
        for r in quarantine.where("dataset = 'sales_data'").orderBy("line_number").collect()
    ] == [
        (
            "sales_data.csv",
            12,
            "11,Webcam,1,,2024-01-05",
            "price is empty, expected decimal(12,2)",
        ),
        (
            "sales_data.csv",
            13,
            "12,Headphones,2,,2024-01-05",
            "price is empty, expected decimal(12,2)",
        ),
    ]
    empty = quarantine.where("dataset = 'pagamentos'").agg(F.min("line_number"), F.count("*"))
    assert tuple(empty.first()) == (846, 12)

    wide = night.table("gold", "wide_vendas")
    assert tuple(
        wide.agg(
            F.count("*"), F.sum("valor"), F.count_if("pago"), F.count_distinct("id_venda")
        ).first()
    ) == (1000, sample.sales_total, 844, 1000)
    for mart in ("vendas_por_produto", "vendas_por_cidade_mes"):
        sums = night.table("gold", mart).agg(F.sum("valor_total"), F.sum("vendas"), F.sum("pagas"))
        assert tuple(sums.first()) == (sample.sales_total, 1000, 844)
    flagged = night.table("gold", "vendas_por_produto").where("sinalizado").collect()
    assert [row["id_produto"] for row in flagged] == [10]
    totals = (
        night.table("gold", "processed_sales")
        .groupBy("product")
        .agg(F.sum("total_value").alias("total"))
        .orderBy(F.desc("total"))
        .collect()
    )
    assert [(row["product"], row["total"]) for row in totals] == [
        ("Laptop", Decimal(2450)),
        ("Monitor", Decimal(620)),
        ("Keyboard", Decimal(215)),
        ("Mouse", Decimal(110)),
        ("Headphones", Decimal(100)),
        ("Webcam", Decimal(50)),
    ]
    for layer, kind in (("silver", "datasets"), ("gold", "gold")):
        for name in silver if layer == "silver" else reports["gold"]["tables"]:
            found = night.glue.get_table(DatabaseName=f"madrugada_{layer}", Name=name)["Table"]
            assert found["StorageDescriptor"]["Columns"] == contracts[kind][name]["glue_columns"]
    # COPY from Parquet goes by position and reads every file under the location.
    assert len(reports["gold"]["tables"]) == 4
    for name in reports["gold"]["tables"]:
        assert night.table("gold", name).dtypes == [
            (c["name"], c["type"]) for c in contracts["gold"][name]["columns"]
        ]
    for bucket in (SILVER, GOLD):
        files = [p for p in (night.root / bucket).rglob("*") if p.is_file()]
        assert {p.suffix for p in files} == {".parquet"}
    said = capsys.readouterr().out
    assert "empty_row 12" in said
    assert "wide_vendas" in said


@pytest.mark.slow
def test_candidates_say_what_they_were_made_from(night, tmp_path) -> None:
    folder = orders(tmp_path, "1,Laptop,1,10.00,2024-01-01")
    first = night.run(folder, MONDAY, "orders")
    second = night.run(folder, MONDAY, "orders")
    name = f"silver_sales_data_{second['silver']['version'][-12:]}"
    table = night.glue.get_table(DatabaseName="madrugada_staging", Name=name)["Table"]
    descriptor = table["StorageDescriptor"]
    version = second["silver"]["version"]
    assert descriptor["Location"] == f"s3://{SILVER}/sales_data/{version}/"
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["Parameters"] == {
        "classification": "parquet",
        "EXTERNAL": "TRUE",
        "madrugada.version": version,
        "madrugada.base_version": first["silver"]["version"],
        "madrugada.delivery_date": MONDAY,
        "madrugada.deliveries": MONDAY,
    }
    serde = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    assert descriptor["SerdeInfo"]["SerializationLibrary"] == serde
    own = ["ingest_date", "warnings", "rescued_data"]
    assert [c["Name"] for c in descriptor["Columns"]][-3:] == own
    assert second["gold"]["silver_versions"] == {"sales_data": version}
    assert list(second["gold"]["tables"]) == ["processed_sales"]
    stored = night.s3.get_object(Bucket=SILVER, Key=f"_reports/{version}.json")["Body"].read()
    assert json.loads(stored) == second["silver"]
    # Nothing of the first run was overwritten.
    assert list((night.root / SILVER / "sales_data" / first["silver"]["version"]).iterdir())


def rows_of(night: Night, layer: str = "silver", name: str = "sales_data") -> list[tuple[Any, ...]]:
    table = night.table(layer, name).orderBy("id")
    return [(r["id"], str(r["price"]), str(r["ingest_date"])) for r in table.collect()]


def test_nights_in_any_order_and_again_give_the_same_tables(night, tmp_path) -> None:
    monday = orders(
        tmp_path / "mon",
        "1,A,1,1.00,2024-01-01",
        "2,B,1,2.00,2024-01-01",
        "2,B,1,2.50,2024-01-01",
        "x,B,1,2.50,2024-01-01",
    )
    tuesday = orders(tmp_path / "tue", "2,B,1,9.00,2024-01-02", "3,C,1,3.00,2024-01-02")
    night.run_silver(monday, MONDAY, "orders")
    newer = night.run_silver(tuesday, TUESDAY, "orders")["datasets"]["sales_data"]
    assert (newer["inserted"], newer["updated"], newer["rows"]) == (1, 1, 3)
    expected = [(1, "1.00", MONDAY), (2, "9.00", TUESDAY), (3, "3.00", TUESDAY)]
    assert rows_of(night) == expected
    again = night.run_silver(monday, MONDAY, "orders")["datasets"]["sales_data"]
    assert rows_of(night) == expected
    assert (again["delivered"], again["kept"], again["rows"]) == (4, 2, 3)
    assert again["quarantined"] == {"duplicate_key": 1, "id_type": 1}
    assert (again["inserted"], again["updated"], again["superseded"]) == (1, 0, 1)
    quarantine = night.table("silver", "quarantine")
    assert sorted((r["line_number"], r["rule"]) for r in quarantine.collect()) == [
        (3, "duplicate_key"),
        (5, "id_type"),
    ]
    night.run_silver(tuesday, TUESDAY, "orders")
    assert rows_of(night) == expected
    assert night.table("silver", "quarantine").count() == 2


def sale(identifier: int, customer: int, day: str) -> str:
    return f"{identifier};{customer};1;1;{day}"


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four days of both sources, two of them delivered twice, the second time with fewer keys."""
    root = tmp_path_factory.mktemp("deliveries")

    def both(name: str, orders_: list[str], sales: list[str], **more: list[str]) -> None:
        rows = {
            "clientes": ["1;Ana;F;5/2/1980"],
            "lojas": ["1;Natal"],
            "produtos": ["1;mouse;20"],
            "pagamentos": ["1;5;01/02/2026"],
            "venda_promocao": ["5;1"],
        }
        stores(orders(root / name, *orders_), {**rows, "vendas": sales, **more})

    both(
        "monday",
        ["4,A,1,4.00,2025-12-31", "5,A,1,1.00,2026-01-04", "6,A,1,1.00,2026-01-04"],
        [sale(5, 1, "31/12/2025"), sale(6, 7, "02/01/2026")],
        venda_promocao=["5;1", "6;0", "8;1"],
    )
    both(
        "tuesday, at first",
        ["5,B,1,2.00,2026-01-05", "6,B,1,2.00,2026-02-01", "9,B,1,2.00,2026-01-05", "x,,,,"],
        [sale(5, 1, "05/01/2026"), sale(6, 2, "05/02/2026"), sale(9, 1, "05/01/2026")],
        clientes=["1;Ana Maria;F;5/2/1980", "2;Bia;F;5/2/1981"],
        venda_promocao=["9;1"],
    )
    both(
        "tuesday",
        ["9,C,1,3.00,2026-01-05", "9,B,1,2.00,2026-01-05"],
        [sale(9, 2, "05/01/2026")],
        venda_promocao=["9;0"],
    )
    both(
        "wednesday, at first",
        ["4,W,1,8.00,2026-01-06", "9,W,1,8.00,2026-01-06", "6,W,1,8.00,2026-01-06"],
        [sale(6, 1, "06/01/2026"), sale(8, 1, "06/01/2026")],
        clientes=["2;Bia Lima;F;5/2/1981"],
    )
    both("wednesday", ["7,W,1,8.00,2026-01-06"], [sale(7, 9, "06/01/2026")])
    both("thursday", ["5,T,1,9.00,2026-01-07"], [sale(5, 2, "07/01/2026")])
    return {folder.name: folder for folder in root.iterdir()}


DAYS = {"monday": MONDAY, "tuesday": TUESDAY, "wednesday": WEDNESDAY, "thursday": THURSDAY}


def tables_after(night: Night, deliveries: dict[str, Path], *order: str) -> dict[str, Any]:
    """Silver's tables, row for row, and what they say they were built from."""
    for name in order:
        night.run_silver(deliveries[name], DAYS[name.split(",")[0]], "orders,stores")
    found = night.glue.get_tables(DatabaseName="madrugada_silver")["TableList"]
    return {
        table["Name"]: (
            table["Parameters"].get("madrugada.deliveries"),
            sorted(map(repr, night.table("silver", table["Name"]).collect())),
        )
        for table in found
    }


@pytest.fixture(scope="module")
def in_order() -> dict[str, Any]:
    """What nights in order, each of its last delivery, come to; filled by the first test."""
    return {}


@pytest.mark.slow
def test_a_key_that_a_corrected_delivery_drops_is_what_older_ones_say(night, deliveries) -> None:
    for name in ("monday", "tuesday, at first"):
        night.run_silver(deliveries[name], DAYS[name.split(",")[0]], "orders")
    sales = night.run_silver(deliveries["tuesday"], TUESDAY, "orders")["datasets"]["sales_data"]
    assert rows_of(night) == [
        (4, "4.00", MONDAY),
        (5, "1.00", MONDAY),
        (6, "1.00", MONDAY),
        (9, "2.00", TUESDAY),
    ]
    assert (sales["kept"], sales["restored"], sales["rows"]) == (1, 2, 4)


@pytest.mark.slow
def test_a_corrected_delivery_gives_keys_back_to_older_ones(night, deliveries, in_order) -> None:
    first = tables_after(night, deliveries, "monday", "tuesday, at first")
    assert rows_of(night) == [
        (4, "4.00", MONDAY),
        (5, "2.00", TUESDAY),
        (6, "2.00", TUESDAY),
        (9, "2.00", TUESDAY),
    ]
    report = night.run_silver(deliveries["tuesday"], TUESDAY, "orders,stores")["datasets"]
    assert rows_of(night) == [
        (4, "4.00", MONDAY),
        (5, "1.00", MONDAY),
        (6, "1.00", MONDAY),
        (9, "2.00", TUESDAY),
    ]
    sales = report["sales_data"]
    assert [sales[n] for n in ("kept", "inserted", "updated", "restored", "rows")] == [
        1,
        1,
        0,
        2,
        4,
    ]
    assert {name: r["restored"] for name, r in report.items() if r["restored"]} == {
        "sales_data": 2,
        "vendas": 2,
    }
    # Their references are looked up anew.
    warned = {r["id"]: r["warnings"] for r in night.table("silver", "vendas").collect()}
    assert warned == {5: None, 6: "id_cliente_reference", 9: "id_cliente_reference"}
    clientes = [r["nome"] for r in night.table("silver", "clientes").collect()]
    assert clientes == ["Ana"]
    assert first["vendas"][0] == f"{MONDAY},{TUESDAY}"
    in_order |= tables_after(night, deliveries, "wednesday", "thursday")


@pytest.mark.slow
@pytest.mark.parametrize(
    "order",
    [
        ("wednesday, at first", "thursday", "tuesday, at first", "monday", "tuesday", "wednesday"),
        ("tuesday, at first", "thursday", "wednesday, at first", "wednesday", "monday", "tuesday"),
    ],
)
def test_tables_depend_on_deliveries_alone(night, deliveries, in_order, order) -> None:
    expected = in_order or tables_after(night, deliveries, *DAYS)
    assert tables_after(night, deliveries, *order) == expected


@pytest.mark.slow
def test_late_rows_go_to_the_months_of_their_dates_in_a_big_table(
    night, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("madrugada_spark.session.SMALL", -1)  # every table is a big one
    first = orders(
        tmp_path / "mon",
        "1,A,1,1.00,2025-11-30",
        "2,B,1,2.00,2025-12-31",
        "3,C,1,3.00,2026-01-01",
    )
    night.run(first, MONDAY, "orders")
    # A new row of November, another value in December, and a sale that moves to another month.
    late = orders(
        tmp_path / "tue",
        "4,D,1,4.00,2025-11-02",
        "2,B,1,2.50,2025-12-31",
        "3,C,1,3.00,2025-12-01",
    )
    report = night.run(late, TUESDAY, "orders")["silver"]["datasets"]["sales_data"]
    assert [report[n] for n in ("inserted", "updated", "rows")] == [1, 2, 4]
    assert rows_of(night) == [
        (1, "1.00", MONDAY),
        (2, "2.50", TUESDAY),
        (3, "3.00", TUESDAY),
        (4, "4.00", TUESDAY),
    ]
    for layer, name in (("silver", "sales_data"), ("gold", "processed_sales")):
        found = night.glue.get_table(DatabaseName=f"madrugada_{layer}", Name=name)["Table"]
        location = found["StorageDescriptor"]["Location"]
        folders = night.spark.read.parquet(location).select("id", "date_month").collect()
        assert sorted((r["id"], str(r["date_month"])) for r in folders) == [
            (1, "2025-11"),
            (2, "2025-12"),
            (3, "2025-12"),
            (4, "2025-11"),
        ]


def test_a_candidate_whose_creation_was_not_answered_is_made(night, tmp_path, monkeypatch) -> None:
    create = Catalog.create_candidate

    def twice(self: Catalog, database: str, given: dict[str, Any]) -> None:
        self.glue.create_table(DatabaseName=database, TableInput=given)
        create(self, database, given)  # what boto3 does when the first answer is lost

    monkeypatch.setattr(Catalog, "create_candidate", twice)
    night.deliver(orders(tmp_path, "1,A,1,1.00,2024-01-01"), MONDAY, "orders")
    version = night.silver(MONDAY, "orders")["version"]
    name = f"silver_sales_data_{version[-12:]}"
    other = {"Name": name, "Parameters": {"madrugada.version": "jr_other"}}
    with pytest.raises(night.glue.exceptions.AlreadyExistsException):
        create(Catalog(), "madrugada_staging", other)


def test_a_delivery_that_is_not_there_stops_before_anything_is_written(night, sample) -> None:
    night.deliver(sample.folder, MONDAY)
    with pytest.raises(JobError, match=r"the manifest of orders of 2026-01-06 cannot be read from"):
        night.silver(TUESDAY)
    key = f"stores/lojas/ingest_date={MONDAY}/caso_estudo_lojas.csv"
    good = night.s3.get_object(Bucket=BRONZE, Key=key)["Body"].read()
    night.s3.put_object(Bucket=BRONZE, Key=key, Body=good.replace(b"cidade", b"city"))
    with pytest.raises(JobError, match=f"{key} is not the file that its manifest describes"):
        night.silver(MONDAY)
    night.s3.delete_object(Bucket=BRONZE, Key=key)
    with pytest.raises(JobError, match=f"{key} is in the manifest and cannot be read: NoSuchKey"):
        night.silver(MONDAY)
    assert not any((night.root / SILVER).iterdir())


def test_a_rejected_delivery_and_a_wrong_header_are_told(night, tmp_path) -> None:
    night.deliver(orders(tmp_path, "1,A,1,1.00,2024-01-01"), MONDAY, "orders")
    key = f"_manifests/orders/{MONDAY}.json"
    manifest = json.loads(night.s3.get_object(Bucket=BRONZE, Key=key)["Body"].read())
    body = b"id,product,quantity,cost,date\n1,A,1,1.00,2024-01-01\n"
    night.s3.put_object(Bucket=BRONZE, Key=manifest["files"][0]["key"], Body=body)
    head = night.s3.head_object(Bucket=BRONZE, Key=manifest["files"][0]["key"])
    manifest["files"][0]["etag"] = head["ETag"].strip('"')
    night.s3.put_object(Bucket=BRONZE, Key=key, Body=json.dumps(manifest))
    with pytest.raises(JobError, match=r"lacks the required column price: expected id"):
        night.silver(MONDAY, "orders")
    manifest |= {"status": "rejected", "errors": ["sales_data.csv is empty"]}
    night.s3.put_object(Bucket=BRONZE, Key=key, Body=json.dumps(manifest))
    with pytest.raises(JobError, match=r"the delivery is rejected, not complete: sales_data\.csv"):
        night.silver(MONDAY, "orders")


def test_rows_that_the_manifest_counts_and_the_file_lacks_stop_the_night(night, tmp_path) -> None:
    night.deliver(orders(tmp_path, "1,A,1,1.00,2024-01-01"), MONDAY, "orders")
    key = f"_manifests/orders/{MONDAY}.json"
    manifest = json.loads(night.s3.get_object(Bucket=BRONZE, Key=key)["Body"].read())
    manifest["files"][0]["rows"] = 2
    night.s3.put_object(Bucket=BRONZE, Key=key, Body=json.dumps(manifest))
    with pytest.raises(JobError, match="2 rows delivered, but 1 kept and 0 quarantined"):
        night.silver(MONDAY, "orders")
    assert night.glue.get_tables(DatabaseName="madrugada_staging")["TableList"] == []


def test_too_many_rejected_rows_stop_the_night(night, tmp_path) -> None:
    good = "1,A,1,1.00,2024-01-01"
    night.deliver(orders(tmp_path, good, "2,A,1,,2024-01-01", "3,A,1,,"), MONDAY, "orders")
    with pytest.raises(JobError, match=r"2 of 3 rows rejected \(66\.7 %\), at most 50 % allowed"):
        night.silver(MONDAY, "orders")
    assert night.glue.get_tables(DatabaseName="madrugada_staging")["TableList"] == []
    # Its report is there all the same, with what was counted and why it stopped.
    (listed,) = night.s3.list_objects_v2(Bucket=SILVER, Prefix="_reports/")["Contents"]
    report = json.loads(night.s3.get_object(Bucket=SILVER, Key=listed["Key"])["Body"].read())
    figures = report["datasets"]["sales_data"]
    assert (figures["delivered"], figures["kept"]) == (3, 1)
    assert figures["quarantined"] == {"price_required": 2}
    assert len(report["stopped"]) == 1
    assert "2 of 3 rows rejected" in report["stopped"][0]


def test_gold_wants_silver_first(night) -> None:
    with pytest.raises(JobError, match=r"not published yet: madrugada_silver\.sales_data"):
        night.gold(MONDAY, "orders")
