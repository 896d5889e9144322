"""Nights of sales through a real scheduler on the embedded AWS, exact figures at each layer."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.sample_data.generate import Delivery, generate
from tests.e2e.conftest import DAG, Stack

DAY = "2026-01-05"
TOTALS = [
    ["Laptop", "2450.00"],
    ["Monitor", "620.00"],
    ["Keyboard", "215.00"],
    ["Mouse", "110.00"],
    ["Headphones", "100.00"],
    ["Webcam", "50.00"],
]
UNKNOWN_PRODUCT = "999"
GOLD = ["processed_sales", "wide_vendas", "vendas_por_produto", "vendas_por_cidade_mes"]


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Delivery]:
    """A delivery of 1000 sales, of which the last is of a product that nobody has delivered."""
    folder = tmp_path_factory.mktemp("delivery")
    made = generate(folder, 1000)
    sales = folder / "caso_estudo_vendas.csv"
    *others, last, end = sales.read_bytes().split(b"\r\n")
    sale, customer, store, _, day = last.split(b";")
    last = b";".join([sale, customer, store, UNKNOWN_PRODUCT.encode(), day])
    sales.write_bytes(b"\r\n".join([*others, last, end]))
    return folder, made


@pytest.fixture(scope="module")
def first_night(stack: Stack, delivery: tuple[Path, Delivery]) -> str:
    """The run id of the first night, which must succeed."""
    sent = stack.deliver(delivery[0], DAY)
    assert sent.returncode == 0, sent.stderr
    run_id, succeeded = stack.night(DAY)
    assert succeeded, stack.task_states(run_id)
    return run_id


def everything(stack: Stack) -> dict[str, list[list[str]]]:
    """Every published row, in lake and warehouse."""
    tables = {f"lake {t}": stack.athena(f"select * from madrugada_gold.{t}") for t in GOLD}
    tables |= {f"warehouse {t}": stack.redshift(f"select * from sales_schema.{t}") for t in GOLD}
    tables["lake vendas"] = stack.athena("select * from madrugada_silver.vendas")
    tables["quarantine"] = stack.athena("select * from madrugada_silver.quarantine")
    return {name: sorted(rows) for name, rows in tables.items()}


def test_all_tasks_of_the_first_night_succeeded(stack: Stack, first_night: str) -> None:
    states = stack.task_states(first_night)
    assert len(states) == 28
    assert states.pop("report_stopped") == "skipped"
    assert set(states.values()) == {"success"}


def test_bronze_has_what_was_delivered(
    stack: Stack, first_night: str, delivery: tuple[Path, Delivery]
) -> None:
    folder, _ = delivery
    s3 = stack.client("s3")
    for name, key in {
        "caso_estudo_vendas.csv": f"stores/vendas/ingest_date={DAY}/caso_estudo_vendas.csv",
        "sales_data.csv": f"orders/sales_data/ingest_date={DAY}/sales_data.csv",
    }.items():
        body = s3.get_object(Bucket="madrugada-local-bronze", Key=key)["Body"].read()
        assert body == (folder / name).read_bytes()
    assert stack.athena(
        f"select count(*) from madrugada_bronze.vendas where ingest_date = '{DAY}'"
    ) == [["1000"]]
    found = stack.client("glue").get_tables(DatabaseName="madrugada_bronze")["TableList"]
    tables = [t for t in found if t["Name"] != "events"]  # the template's, of another pipeline
    assert {t["Name"] for t in tables} == {
        "sales_data", "clientes", "lojas", "produtos", "vendas", "pagamentos", "promocao",
    }  # fmt: skip
    assert all([k["Name"] for k in t["PartitionKeys"]] == ["ingest_date"] for t in tables)


def test_silver_is_typed_and_rejects_are_in_quarantine(stack: Stack, first_night: str) -> None:
    assert stack.athena("select count(*), min(dt_venda) >= date '2000-01-01' from"
                        " madrugada_silver.vendas") == [["1000", "true"]]  # fmt: skip
    assert stack.athena(
        "select dataset, rule, count(*) from madrugada_silver.quarantine group by 1, 2 order by 1"
    ) == [["pagamentos", "empty_row", "12"], ["sales_data", "price_required", "2"]]
    assert stack.athena(
        "select raw from madrugada_silver.quarantine where dataset = 'pagamentos' limit 1"
    ) == [[";;"]]
    flagged = stack.athena(
        "select id, warnings from madrugada_silver.produtos where warnings is not null"
    )
    assert [row[0] for row in flagged] == ["10"]


def test_orders_give_the_known_totals_in_every_engine(stack: Stack, first_night: str) -> None:
    query = "select product, sum(total_value) from {} group by product order by 2 desc"
    assert stack.athena(query.format("madrugada_gold.processed_sales")) == TOTALS
    assert stack.redshift(query.format("sales_schema.processed_sales")) == TOTALS
    assert stack.redshift(query.format("spectrum.processed_sales")) == TOTALS


def test_wide_vendas_has_each_sale_once_with_its_whole_price(
    stack: Stack, first_night: str, delivery: tuple[Path, Delivery]
) -> None:
    folder, _ = delivery
    prices = {
        line.split(";")[0]: Decimal(line.split(";")[2])
        for line in (folder / "caso_estudo_produtos.csv").read_text("utf-8-sig").splitlines()[1:]
    }
    sales = (folder / "caso_estudo_vendas.csv").read_text("utf-8-sig").splitlines()[1:]
    products = [line.split(";")[3] for line in sales]
    assert products.count(UNKNOWN_PRODUCT) == 1
    total = sum(prices[product] for product in products if product != UNKNOWN_PRODUCT)
    expected = [["1000", "1000", f"{total:.2f}"]]
    query = "select count(*), count(distinct id_venda), sum(valor) from {}.wide_vendas"
    assert stack.athena(query.format("madrugada_gold")) == expected
    assert stack.redshift(query.format("sales_schema")) == expected
    assert stack.redshift(query.format("spectrum")) == expected


def test_a_query_joins_the_warehouse_with_the_lake(stack: Stack, first_night: str) -> None:
    root = Path(__file__).resolve().parents[2]
    query = (root / "include/sql/redshift/join_warehouse_with_lake.sql").read_text()
    rows = stack.redshift(query)
    assert len(rows) == 11
    assert {row[3] for row in rows} == {"0.00"}
    # The odd price, and the product that is not known.
    assert [row[4] for row in rows].count("true") == 2


def test_the_report_is_in_the_bucket_and_in_the_queue(stack: Stack, first_night: str) -> None:
    (report,) = reports(stack, DAY).values()
    assert report["differences"] == []
    assert report["layers"]["silver"]["datasets"]["pagamentos"]["quarantined"] == {"empty_row": 12}
    assert any(f"{DAG} {DAY}" in message for message in messages(stack))


def test_a_bad_file_stops_the_night_and_nothing_published_changes(
    stack: Stack, first_night: str, delivery: tuple[Path, Delivery], tmp_path: Path
) -> None:
    before = everything(stack)
    folder = tmp_path / "bad"
    shutil.copytree(delivery[0], folder)
    lines = (folder / "caso_estudo_lojas.csv").read_text("utf-8-sig").splitlines()
    lines[0] = "id;municipio"
    (folder / "caso_estudo_lojas.csv").write_text("\r\n".join(lines), encoding="utf-8")
    sent = stack.deliver(folder, "2026-01-06")
    assert sent.returncode == 1
    assert "caso_estudo_lojas.csv" in sent.stderr
    assert "id;cidade" in sent.stderr
    run_id, succeeded = stack.night("2026-01-06")
    assert not succeeded
    states = stack.task_states(run_id)
    assert states["check_delivery"] == "failed"
    assert states["crawl_bronze"] == "upstream_failed"
    log = stack.task_log(run_id, "check_delivery")
    assert "caso_estudo_lojas.csv" in log
    assert "id;cidade" in log
    said = messages(stack)
    alarms = [message for message in said if "check_delivery failed" in message]
    assert len(alarms) == 1
    assert "caso_estudo_lojas.csv" in alarms[0]
    assert everything(stack) == before
    # It has a report too, which says how far it came.
    assert states["reconcile"] == "upstream_failed"
    assert states["report_stopped"] == "success"
    ((key, report),) = reports(stack, "2026-01-06").items()
    reasons = {one["task"]: one["reason"] for one in report["stopped"]}
    assert "caso_estudo_lojas.csv" in reasons["check_delivery"]
    assert report["versions"] == {}
    ((_, first),) = reports(stack, DAY).items()
    orders = first["datasets"]["sales_data"]["delivered"]
    assert report["datasets"]["sales_data"]["delivered"] == orders > 0
    assert report["datasets"]["lojas"]["delivered"] is None
    assert any(f"{DAG} 2026-01-06: stopped" in one and key in one for one in said)


def reports(stack: Stack, day: str) -> dict[str, dict[str, Any]]:
    """The nights' reports of one delivery, by their keys in the gold bucket."""
    s3, bucket = stack.client("s3"), "madrugada-local-gold"
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"_reports/{DAG}/{day}/")["Contents"]
    return {
        one["Key"]: json.loads(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read())
        for one in listed
    }


def messages(stack: Stack) -> list[str]:
    """What the topics have sent to the queue that keeps their messages."""
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName="madrugada-messages")["QueueUrl"]
    found = []
    while batch := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0, WaitTimeSeconds=0
    ).get("Messages"):
        for one in batch:
            found.append(one["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return found
