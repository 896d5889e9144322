from __future__ import annotations

import csv
import hashlib
from decimal import Decimal
from pathlib import Path

import pytest

from include.contracts.compile import load_contracts
from include.sample_data import producer
from include.sample_data.generate import generate, main

DAY = "2026-01-05"


def rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_default_delivery_has_the_traits_of_the_real_one(sample) -> None:
    for name in sample.rows:
        if name == "sales_data.csv":
            continue
        content = (sample.folder / name).read_bytes()
        assert content.startswith(b"\xef\xbb\xbf")
        assert content.count(b"\r\n") == content.count(b"\n") == sample.rows[name] + 1
    sales = rows(sample.folder / "caso_estudo_vendas.csv", ";")
    payments = rows(sample.folder / "caso_estudo_pagamentos.csv", ";")
    products = rows(sample.folder / "caso_estudo_produtos.csv", ";")
    customers = rows(sample.folder / "caso_estudo_clientes.csv", ";")
    promotions = rows(sample.folder / "caso_estudo_venda_promocao.csv", ";")
    stores = rows(sample.folder / "caso_estudo_lojas.csv", ";")
    ids = {row["id"] for row in sales}
    assert len(ids) == 1000
    assert {row["id_cliente"] for row in sales} <= {row["id"] for row in customers}
    assert {row["id_loja"] for row in sales} == {row["id"] for row in stores}
    assert {row["id_produto"] for row in sales} == {row["id"] for row in products}
    assert [row for row in payments if not row["id"]] == payments[844:] == payments[-12:]
    assert {row["id_venda"] for row in payments[:844]} <= ids
    assert len(customers) == 1000
    assert sum(row["dt_nasc"] == "" for row in customers) == 4
    assert len(promotions) == 3000
    assert sum(row["id_venda"] not in ids for row in promotions) == 2000
    assert [p["id"] for p in products if Decimal(p["valor"]) > 100_000] == ["10"]
    price = {p["id"]: Decimal(p["valor"]) for p in products}
    assert sum(price[row["id_produto"]] for row in sales) == sample.sales_total


def test_the_default_orders_are_the_known_ones(sample) -> None:
    content = (sample.folder / "sales_data.csv").read_bytes()
    assert b"\r" not in content
    orders = rows(sample.folder / "sales_data.csv", ",")
    totals: dict[str, Decimal] = {}
    for row in orders[:10]:
        value = int(row["quantity"]) * Decimal(row["price"])
        totals[row["product"]] = totals.get(row["product"], Decimal(0)) + value
    assert totals == {
        "Laptop": 2450,
        "Monitor": 620,
        "Keyboard": 215,
        "Mouse": 110,
        "Headphones": 100,
        "Webcam": 50,
    }
    assert [(row["id"], row["price"]) for row in orders[10:]] == [("11", ""), ("12", "")]
    assert sample.orders_total == sum(totals.values())


def test_the_same_size_and_seed_give_the_same_bytes(tmp_path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate(tmp_path / name, rows=2500, seed=seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


def test_bigger_deliveries_grow_in_proportion(tmp_path) -> None:
    made = generate(tmp_path, rows=45_000)
    assert made.rows["caso_estudo_vendas.csv"] == 45_000
    assert made.rows["caso_estudo_pagamentos.csv"] == 37_980 + 12
    assert made.rows["caso_estudo_venda_promocao.csv"] == 135_000
    orders = rows(tmp_path / "sales_data.csv", ",")
    assert [int(row["id"]) for row in orders] == list(range(1, 45_001))
    assert sum(row["price"] == "" for row in orders) == made.orders_without_price == 92
    payments = rows(tmp_path / "caso_estudo_pagamentos.csv", ";")
    assert [int(row["id"]) for row in payments[:-12]] == list(range(1, 37_981))
    assert len({row["id_venda"] for row in payments[:-12]}) == 37_980


def test_the_generator_on_the_command_line(tmp_path, capsys) -> None:
    assert main(["--rows", "10", "--out", str(tmp_path / "new")]) == 0
    assert "10 sales worth" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--rows", "0", "--out", str(tmp_path)])
    assert "--rows: expected 1 or more, found 0" in capsys.readouterr().err


def plan(folder: Path, sources: list[str] | None = None) -> producer.Plan:
    return producer.plan_delivery(folder, load_contracts().values(), sources)


def test_the_producer_sends_each_file_to_its_source(aws, sample, capsys) -> None:
    arguments = ["--from", str(sample.folder), "--date", DAY, "--landing", "test-landing"]
    assert producer.main(arguments) == 0
    listed = aws.list_objects_v2(Bucket="test-landing")["Contents"]
    assert {item["Key"].rsplit("/", 1)[0] for item in listed} == {f"orders/{DAY}", f"stores/{DAY}"}
    for item in listed:
        body = aws.get_object(Bucket="test-landing", Key=item["Key"])["Body"].read()
        assert body == (sample.folder / item["Key"].rsplit("/", 1)[1]).read_bytes()
    assert f"s3://test-landing/orders/{DAY}/sales_data.csv" in capsys.readouterr().out


def test_the_producer_sends_what_there_is_and_says_what_is_missing(
    aws, sample, tmp_path, capsys
) -> None:
    for name in sample.rows:
        if name not in ("caso_estudo_lojas.csv", "sales_data.csv"):
            (tmp_path / name).write_bytes((sample.folder / name).read_bytes())
    (tmp_path / "caso_estudo_vendas.csv").write_bytes(b"")
    arguments = ["--from", str(tmp_path), "--date", DAY, "--landing", "test-landing"]
    assert producer.main(arguments) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "nothing of the source orders is in this folder",
        f"{tmp_path}/caso_estudo_lojas.csv: is missing, so that the stores delivery is not"
        " complete; expected a file with the header id;cidade",
        f"{tmp_path}/caso_estudo_vendas.csv: is empty; expected the header"
        " id;id_cliente;id_loja;id_produto;dt_venda and rows",
    ]
    keys = {item["Key"] for item in aws.list_objects_v2(Bucket="test-landing")["Contents"]}
    stores = {name for name in sample.rows if name != "sales_data.csv"}
    assert keys == {f"stores/{DAY}/{name}" for name in stores - {"caso_estudo_lojas.csv"}}


def test_the_producer_sends_one_source_alone_and_names_unknown_files(
    aws, sample, tmp_path, capsys
) -> None:
    (tmp_path / "sales_data.csv").write_bytes((sample.folder / "sales_data.csv").read_bytes())
    (tmp_path / "notes.txt").write_text("x")
    arguments = ["--from", str(tmp_path), "--date", DAY, "--landing", "test-landing"]
    assert producer.main(arguments) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"not sent, no contract knows it: {tmp_path}/notes.txt",
        "nothing of the source stores is in this folder",
    ]
    made = plan(tmp_path)
    assert (made.sources, made.lacks) == (["orders"], ())
    asked = plan(tmp_path, ["orders", "stores"])
    assert len(asked.lacks) == 6
    assert asked.sources == ["orders"]
    with pytest.raises(producer.ProducerError, match="unknown source shops"):
        plan(tmp_path, ["shops"])
    with pytest.raises(producer.ProducerError, match="no file of any source; expected caso_est"):
        plan(tmp_path, ["stores"])


def test_the_producer_refuses_a_folder_with_nothing_to_send(tmp_path) -> None:
    with pytest.raises(producer.ProducerError, match="expected a folder of CSV files"):
        plan(tmp_path / "nowhere")
    with pytest.raises(producer.ProducerError, match=r"no file of any source; expected caso_est"):
        plan(tmp_path)


def test_the_producer_names_the_file_that_cannot_be_sent(aws, sample) -> None:
    from datetime import date

    with pytest.raises(
        producer.ProducerError, match=r"sales_data\.csv: could not be sent to s3://no"
    ):
        producer.deliver(plan(sample.folder, ["orders"]), date(2026, 1, 5), "nowhere", aws)
