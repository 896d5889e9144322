from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote_plus

import pytest

DAY = "2026-01-05"
LANDING, BRONZE = "test-landing", "test-bronze"
STORE_FILES = {
    "clientes": "caso_estudo_clientes.csv",
    "lojas": "caso_estudo_lojas.csv",
    "produtos": "caso_estudo_produtos.csv",
    "vendas": "caso_estudo_vendas.csv",
    "pagamentos": "caso_estudo_pagamentos.csv",
    "promocao": "caso_estudo_venda_promocao.csv",
}
ORDERS = b"id,product,quantity,price,date\n1,Laptop,1,1200.00,2024-01-01\n"


def put_stores(s3: Any, folder: Path, **replaced: bytes | None) -> None:
    for dataset, name in STORE_FILES.items():
        body = replaced.get(dataset, (folder / name).read_bytes())
        if body is not None:
            s3.put_object(Bucket=LANDING, Key=f"stores/{DAY}/{name}", Body=body)


def put_orders(s3: Any, body: bytes = ORDERS) -> None:
    s3.put_object(Bucket=LANDING, Key=f"orders/{DAY}/sales_data.csv", Body=body)


def event(*keys: str) -> dict[str, Any]:
    return {
        "Records": [
            {"s3": {"bucket": {"name": LANDING}, "object": {"key": quote_plus(key, safe="/")}}}
            for key in keys
        ]
    }


def manifest(s3: Any, source: str) -> dict[str, Any]:
    key = f"_manifests/{source}/{DAY}.json"
    return json.loads(s3.get_object(Bucket=BRONZE, Key=key)["Body"].read())


def bronze_keys(s3: Any) -> set[str]:
    return {item["Key"] for item in s3.list_objects_v2(Bucket=BRONZE).get("Contents", [])}


def test_by_hand_copies_unchanged_and_writes_the_manifest(aws, ingest, sample) -> None:
    put_stores(aws, sample.folder)
    put_orders(aws, (sample.folder / "sales_data.csv").read_bytes())
    sources = ["orders", "stores"]
    answer = ingest.handler({"delivery_date": DAY, "sources": sources}, None)
    assert [d["status"] for d in answer["deliveries"]] == ["complete", "complete"]
    written = manifest(aws, "stores")
    assert [f["dataset"] for f in written["files"]] == list(STORE_FILES)
    assert {f["file_name"]: f["rows"] for f in written["files"]} == {
        name: rows for name, rows in sample.rows.items() if name != "sales_data.csv"
    }
    for file in written["files"]:
        delivered = (sample.folder / file["file_name"]).read_bytes()
        assert file["key"] == (
            f"stores/{file['dataset']}/ingest_date={DAY}/{STORE_FILES[file['dataset']]}"
        )
        copied = aws.get_object(Bucket=BRONZE, Key=file["key"])
        assert copied["Body"].read() == delivered
        assert file["bytes"] == len(delivered)
        assert file["sha256"] == hashlib.sha256(delivered).hexdigest()
        assert file["etag"] == copied["ETag"].strip('"')


def test_the_same_delivery_again_gives_the_same_bytes(aws, ingest, sample) -> None:
    put_stores(aws, sample.folder)
    key = f"_manifests/stores/{DAY}.json"
    ingest.handler({"delivery_date": DAY, "sources": ["stores"]})
    first = aws.get_object(Bucket=BRONZE, Key=key)["Body"].read()
    ingest.handler({"delivery_date": DAY, "sources": ["stores"]})
    assert aws.get_object(Bucket=BRONZE, Key=key)["Body"].read() == first


def test_events_one_by_one_write_the_manifest_with_the_last_file(aws, ingest, sample) -> None:
    files = list(STORE_FILES.values())
    for name in files[:-1]:
        key = f"stores/{DAY}/{name}"
        aws.put_object(Bucket=LANDING, Key=key, Body=(sample.folder / name).read_bytes())
        answer = ingest.handler(event(key))
        assert answer["deliveries"][0]["status"] == "incomplete"
    assert not any(key.startswith("_manifests/") for key in bronze_keys(aws))
    assert len(bronze_keys(aws)) == len(files) - 1
    key = f"stores/{DAY}/{files[-1]}"
    aws.put_object(Bucket=LANDING, Key=key, Body=(sample.folder / files[-1]).read_bytes())
    assert ingest.handler(event(key))["deliveries"][0]["status"] == "complete"
    assert len(manifest(aws, "stores")["files"]) == 6


def test_the_last_two_files_at_once_do_not_lose_the_manifest(
    aws, ingest: ModuleType, sample, monkeypatch
) -> None:
    """The second event is answered whole while the first is in the middle of a file."""
    put_stores(aws, sample.folder, promocao=None)
    last = f"stores/{DAY}/{STORE_FILES['promocao']}"
    real = ingest.check_file
    answers: list[Any] = []

    def check(chunks, dataset, where):
        monkeypatch.setattr(ingest, "check_file", real)
        aws.put_object(
            Bucket=LANDING,
            Key=last,
            Body=(sample.folder / STORE_FILES["promocao"]).read_bytes(),
        )
        answers.append(ingest.handler(event(last)))
        return real(chunks, dataset, where)

    monkeypatch.setattr(ingest, "check_file", check)
    answers.append(ingest.handler(event(f"stores/{DAY}/{STORE_FILES['pagamentos']}")))
    assert [answer["deliveries"][0]["status"] for answer in answers] == ["complete", "complete"]
    assert manifest(aws, "stores")["status"] == "complete"


def test_a_bad_file_that_is_mended_meanwhile_is_not_left_rejected(
    aws, ingest: ModuleType, monkeypatch
) -> None:
    put_orders(aws, b"nonsense\n")
    real = ingest.check_file

    def check(chunks, dataset, where):
        monkeypatch.setattr(ingest, "check_file", real)
        body = list(chunks)
        put_orders(aws)
        ingest.handler(event(f"orders/{DAY}/sales_data.csv"))
        return real(body, dataset, where)

    monkeypatch.setattr(ingest, "check_file", check)
    answer = ingest.handler(event(f"orders/{DAY}/sales_data.csv"))
    assert answer["deliveries"][0]["status"] == "complete"
    assert manifest(aws, "orders")["status"] == "complete"


def test_a_file_that_arrives_while_others_are_checked_is_seen(
    aws, ingest: ModuleType, sample, monkeypatch
) -> None:
    put_stores(aws, sample.folder, promocao=None)
    late = STORE_FILES["promocao"]
    real = ingest.check_file
    arrived: list[str] = []

    def check(chunks, dataset, where):
        if not arrived:
            arrived.append(where)
            aws.put_object(
                Bucket=LANDING,
                Key=f"stores/{DAY}/{late}",
                Body=(sample.folder / late).read_bytes(),
            )
        return real(chunks, dataset, where)

    monkeypatch.setattr(ingest, "check_file", check)
    answer = ingest.handler(event(f"stores/{DAY}/{STORE_FILES['lojas']}"))
    assert answer["deliveries"][0]["status"] == "complete"


def test_a_missing_file_is_named_with_its_place(aws, ingest, sample) -> None:
    put_stores(aws, sample.folder, lojas=None, vendas=None)
    with pytest.raises(ingest.DeliveryError) as raised:
        ingest.handler({"delivery_date": DAY, "sources": ["stores"]})
    message = str(raised.value)
    assert f"s3://{LANDING}/stores/{DAY}/caso_estudo_lojas.csv" in message
    assert "id;cidade" in message
    assert f"s3://{LANDING}/stores/{DAY}/caso_estudo_vendas.csv" in message
    assert not any(key.startswith("_manifests/") for key in bronze_keys(aws))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is empty: expected the header id;cidade"),
        (b"\xef\xbb\xbfid;cidade\r\n", "has 0 rows after its header: expected at least 1"),
        (
            b"\xef\xbb\xbfid;city\r\n1;Natal\r\n",
            "lacks the required column cidade: expected id;cidade, found id;city",
        ),
        (
            b"id;cidade;id\r\n1;Natal;1\r\n",
            "has a column twice in its header, id, so that nobody can tell which counts: expected "
            "id;cidade, found id;cidade;id",
        ),
        (
            b"id;cidade;uf; uf \n1;Natal;RN;RN\n",
            "has a column twice in its header, uf, so",
        ),
        (
            b"id;cidade;;\r\n1;Natal;;\r\n",
            "has a column without a name in its header, the 3. of 4: expected id;cidade",
        ),
        (
            b"id;cidade;" + b";".join(b"c%d" % n for n in range(999)) + b"\n1;Natal\n",
            "expected at most 1000 columns in 65536 bytes, found 1001 columns",
        ),
        (
            b"id;cidade;" + b"x" * 70_000 + b"\n1;Natal;x\n",
            "has too long a header: expected at most 1000 columns in 65536 bytes, found 3 columns",
        ),
        (b"cidade,uf,id\r\nNatal,RN,1\r\n", "expected ';', found ',' in the header cidade,uf,id"),
        (b"id,cidade\r\n1,Natal\r\n", "expected ';', found ','"),
        (b"1;Natal\r\n", "has the wrong header: expected id;cidade, found 1;Natal"),
        ("id;cidade\r\n1;Belém\r\n".encode("latin-1"), "is not UTF-8: byte 0xe9 near position 16"),
        ("id;cidade\r\n1;Belém".encode()[:-2], "is not UTF-8: it ends inside a character"),
        ("id;cidade\r\n1;Belém\r\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_bad_file_is_rejected_with_its_reason(aws, ingest, sample, body, said) -> None:
    put_stores(aws, sample.folder, lojas=body)
    with pytest.raises(ingest.DeliveryError, match=r"caso_estudo_lojas\.csv") as raised:
        ingest.handler({"delivery_date": DAY, "sources": ["stores"]})
    assert said in str(raised.value)
    written = manifest(aws, "stores")
    assert written["status"] == "rejected"
    assert said in written["errors"][0]
    assert not any("lojas" in key for key in bronze_keys(aws))
    assert len(written["files"]) == 5


def test_columns_are_found_by_their_header_and_differences_are_told(
    aws, ingest, sample, caplog
) -> None:
    people = "\ufeffuf; nome ;dt_nasc;e-mail;id\r\nRN;Ana;;a@b.c;1\r\n".encode()
    put_stores(aws, sample.folder, clientes=people)
    answer = ingest.handler({"delivery_date": DAY, "sources": ["stores"]})
    assert answer["deliveries"][0]["status"] == "complete"
    files = {file["dataset"]: file for file in manifest(aws, "stores")["files"]}
    assert files["clientes"]["new_columns"] == ["uf", "e-mail"]
    assert files["clientes"]["missing_columns"] == ["sexo"]
    assert (files["lojas"]["new_columns"], files["lojas"]["missing_columns"]) == ([], [])
    where = f"s3://{BRONZE}/{files['clientes']['key']}"
    assert aws.get_object(Bucket=BRONZE, Key=files["clientes"]["key"])["Body"].read() == people
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{where} has new columns, which are kept aside in rescued_data: uf, e-mail",
        f"{where} lacks optional columns, which are null in every row: sexo",
    ]
    # And again, from the copy in bronze.
    first = manifest(aws, "stores")
    ingest.handler({"delivery_date": DAY, "sources": ["stores"]})
    assert manifest(aws, "stores") == first


def test_a_copy_in_bronze_is_held_against_the_contract_of_today(
    aws, ingest: ModuleType, contracts
) -> None:
    put_orders(aws)
    ingest.handler({"delivery_date": DAY, "sources": ["orders"]})
    changed = json.loads(json.dumps(contracts))
    orders = changed["datasets"]["sales_data"]
    orders["columns"].append({**orders["columns"][1], "name": "shop", "header": "shop"})
    both = {"landing": LANDING, "bronze": BRONZE}
    later = ingest.Ingest(aws, contracts=changed, **both).settle("orders", DAY)
    assert later["files"][0]["missing_columns"] == ["shop"]
    orders["rules"].append(
        {"id": "shop_required", "kind": "required", "severity": "error", "column": "shop"}
    )
    answer = ingest.Ingest(aws, contracts=changed, **both).settle("orders", DAY)
    assert answer["status"] == "rejected"
    assert answer["errors"] == [
        f"s3://{BRONZE}/orders/sales_data/ingest_date={DAY}/sales_data.csv lacks the required "
        "column shop: expected id,product,quantity,price,date,shop, found "
        "id,product,quantity,price,date"
    ]


def test_a_bad_file_leaves_bronze_as_it_was_and_a_good_one_mends_it(aws, ingest, sample) -> None:
    put_orders(aws)
    ingest.handler({"delivery_date": DAY, "sources": ["orders"]})
    key = f"orders/sales_data/ingest_date={DAY}/sales_data.csv"
    put_orders(aws, b"id;product;quantity;price;date\n1;x;1;1;2024-01-01\n")
    answer = ingest.handler(event(f"orders/{DAY}/sales_data.csv"))
    assert answer["deliveries"][0]["status"] == "rejected"
    assert aws.get_object(Bucket=BRONZE, Key=key)["Body"].read() == ORDERS
    corrected = ORDERS + b"2,Mouse,1,20.00,2024-01-02"
    put_orders(aws, corrected)
    ingest.handler(event(f"orders/{DAY}/sales_data.csv"))
    assert aws.get_object(Bucket=BRONZE, Key=key)["Body"].read() == corrected
    assert manifest(aws, "orders")["status"] == "complete"
    assert manifest(aws, "orders")["files"][0]["rows"] == 2


def test_unknown_files_are_named_and_do_not_make_a_delivery(aws, ingest, sample) -> None:
    put_stores(aws, sample.folder)
    extra = f"stores/{DAY}/notes & more.txt"
    aws.put_object(Bucket=LANDING, Key=extra, Body=b"x")
    answer = ingest.handler(event(extra, "elsewhere/file.csv", "stores/2026-13-01/a.csv"))
    assert answer["ignored"] == ["elsewhere/file.csv", "stores/2026-13-01/a.csv"]
    assert manifest(aws, "stores")["ignored"] == [extra]
    assert manifest(aws, "stores")["status"] == "complete"


def test_bronze_is_the_delivery_once_landing_is_emptied(aws, ingest) -> None:
    put_orders(aws)
    ingest.handler({"delivery_date": DAY, "sources": ["orders"]})
    aws.delete_object(Bucket=LANDING, Key=f"orders/{DAY}/sales_data.csv")
    answer = ingest.handler({"delivery_date": DAY, "sources": ["orders"]})
    assert answer["deliveries"][0]["status"] == "complete"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({}, "delivery_date: expected YYYY-MM-DD, found None"),
        ({"delivery_date": "05/01/2026"}, "found '05/01/2026'"),
        (
            {"delivery_date": DAY, "sources": ["shops"]},
            "unknown 'shops'; expected some of catalogue, orders",
        ),
    ],
)
def test_a_bad_call_says_what_was_expected(ingest, payload, said) -> None:
    with pytest.raises(ingest.DeliveryError, match=said.replace("(", r"\(")):
        ingest.handler(payload)


def test_rows_are_counted_in_pieces_of_any_size(ingest, contracts) -> None:
    dataset = contracts["datasets"]["lojas"]
    body = "\ufeffid;cidade\r\n1;São Paulo\r\n\r\n2;Belém".encode()
    for size in (1, 2, 3, 7, 1000):
        chunks = [body[i : i + size] for i in range(0, len(body), size)]
        assert ingest.check_file(chunks, dataset, "here") == (
            hashlib.sha256(body).hexdigest(),
            3,
        )
