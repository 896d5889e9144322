"""Deliveries that are not complete, that are corrected, and that are run again as a range."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from include.sample_data.generate import generate
from ops.nightly import trigger, watch
from tests.e2e.conftest import DAG, Stack
from tests.e2e.test_sales_nightly import everything, messages

FIRST, SECOND, INCOMPLETE = "2026-03-02", "2026-03-03", "2026-03-04"
JOBS = ("madrugada-bronze-to-silver", "madrugada-sales-silver-to-gold")
ORDER, SALE = "900001", "900002"
"""What the first delivery has and its correction has not; no other delivery knows them."""


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each date; the first one has an order and a sale of its own."""
    folders = {day: tmp_path_factory.mktemp(day) for day in (FIRST, SECOND, INCOMPLETE)}
    for seed, folder in enumerate(folders.values()):
        generate(folder, 60, seed=seed)
    sales = folders[FIRST] / "caso_estudo_vendas.csv"
    _, customer, store, product, day = sales.read_text("utf-8-sig").splitlines()[1].split(";")
    append(sales, ";".join([SALE, customer, store, product, day]))
    append(folders[FIRST] / "sales_data.csv", f"{ORDER},Projector,2,1000.00,2024-01-06")
    (folders[INCOMPLETE] / "caso_estudo_lojas.csv").unlink()
    return folders


def append(file: Path, line: str) -> None:
    """Add a line as the file's other lines end."""
    ending = b"\r\n" if file.read_bytes().endswith(b"\r\n") else b"\n"
    with file.open("ab") as out:
        out.write(line.encode() + ending)


def without(rows: list[list[str]], key: str) -> list[list[str]]:
    return [row for row in rows if row[0] != key]


def backfill(stack: Stack) -> None:
    """`make backfill` over both dates, each job really run once for each of them."""
    before = [stack.glue_runs(job) for job in JOBS]
    done = stack.ops("nightly", "--start", FIRST, "--end", SECOND)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 nights: all succeeded" in done.stdout
    assert [stack.glue_runs(job) for job in JOBS] == [runs + 2 for runs in before]


@pytest.fixture(scope="module")
def waiting_in_vain(stack: Stack, deliveries: dict[str, Path]) -> str:
    """The run of a night whose delivery lacks a file: it waits while other nights run."""
    sent = stack.deliver(deliveries[INCOMPLETE], INCOMPLETE)
    assert sent.returncode == 1
    assert "caso_estudo_lojas.csv is missing from the stores delivery" in sent.stderr
    assert "id;cidade" in sent.stderr
    return trigger(stack.airflow, DAG, date.fromisoformat(INCOMPLETE))


@pytest.mark.slow
def test_a_corrected_delivery_takes_back_rows_and_the_range_run_again_changes_nothing_else(
    stack: Stack, deliveries: dict[str, Path], waiting_in_vain: str, tmp_path: Path
) -> None:
    for day in (FIRST, SECOND):
        sent = stack.deliver(deliveries[day], day)
        assert sent.returncode == 0, sent.stderr
    backfill(stack)
    before = everything(stack)
    for place in ("lake", "warehouse"):
        assert len(without(before[f"{place} processed_sales"], ORDER)) == (
            len(before[f"{place} processed_sales"]) - 1
        )
        assert len(without(before[f"{place} wide_vendas"], SALE)) == (
            len(before[f"{place} wide_vendas"]) - 1
        )

    corrected = tmp_path / "corrected"
    shutil.copytree(deliveries[FIRST], corrected)
    for name, key in (("sales_data.csv", ORDER), ("caso_estudo_vendas.csv", SALE)):
        lines = (corrected / name).read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(key.encode())]
        assert len(kept) == len(lines) - 1
        (corrected / name).write_bytes(b"".join(kept))
    sent = stack.deliver(corrected, FIRST)
    assert sent.returncode == 0, sent.stderr
    backfill(stack)

    after = everything(stack)
    for place in ("lake", "warehouse"):
        for table, key in (("processed_sales", ORDER), ("wide_vendas", SALE)):
            name = f"{place} {table}"
            assert after[name] == without(before[name], key)
    assert after["lake vendas"] == without(before["lake vendas"], SALE)
    assert after["quarantine"] == before["quarantine"]
    for table, key in (("processed_sales", "id"), ("wide_vendas", "id_venda")):
        sums = "count(*), " + ("sum(total_value)" if key == "id" else "sum(valor)")
        agreed = stack.athena(f"select {sums} from madrugada_gold.{table}")
        assert stack.redshift(f"select {sums} from sales_schema.{table}") == agreed
        assert stack.redshift(f"select {sums} from spectrum.{table}") == agreed
    for mart in ("vendas_por_produto", "vendas_por_cidade_mes"):
        query = "select sum(vendas), sum(valor_total) from {}." + mart
        whole = stack.athena("select count(*), sum(valor) from madrugada_gold.wide_vendas")
        assert stack.athena(query.format("madrugada_gold")) == whole
        assert stack.redshift(query.format("sales_schema")) == whole


@pytest.mark.slow
def test_a_missing_file_is_waited_for_and_then_named_and_nothing_is_published(
    stack: Stack, waiting_in_vain: str
) -> None:
    before = everything(stack)
    assert not watch(stack.airflow, DAG, waiting_in_vain, timeout=300)
    states = stack.task_states(waiting_in_vain)
    assert states["wait_for_delivery"] == "failed"
    assert states["check_delivery"] == "failed"
    assert states["crawl_bronze"] == states["build_silver"] == "upstream_failed"
    expected = "caso_estudo_lojas.csv is missing from the stores delivery of 2026-03-04"
    log = stack.task_log(waiting_in_vain, "check_delivery")
    assert expected in log
    assert "id;cidade" in log
    alarms = [message for message in messages(stack) if "check_delivery failed" in message]
    assert any(expected in alarm and "id;cidade" in alarm for alarm in alarms)
    assert everything(stack) == before
