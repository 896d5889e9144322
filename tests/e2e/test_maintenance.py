"""Going back to an earlier version, and tidying the lake, beside people who read it."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from include.sample_data.generate import generate
from ops.nightly import wait_for_dag, watch
from tests.e2e.conftest import Stack

pytestmark = pytest.mark.slow

MONDAY, TUESDAY = "2026-02-02", "2026-02-03"
GOLD = ["processed_sales", "wide_vendas", "vendas_por_produto", "vendas_por_cidade_mes"]
SILVER = ["sales_data", "vendas", "pagamentos", "quarantine"]


def silver(stack: Stack) -> dict[str, list[list[str]]]:
    return {t: sorted(stack.athena(f"select * from madrugada_silver.{t}")) for t in SILVER}


def gold(stack: Stack) -> dict[str, list[list[str]]]:
    """Gold in the lake and in the warehouse."""
    lake = {f"lake {t}": stack.athena(f"select * from madrugada_gold.{t}") for t in GOLD}
    house = {f"warehouse {t}": stack.redshift(f"select * from sales_schema.{t}") for t in GOLD}
    return {name: sorted(rows) for name, rows in (lake | house).items()}


def night(stack: Stack, folder: Path, day: str) -> None:
    sent = stack.deliver(folder, day)
    assert sent.returncode == 0, sent.stderr
    run_id, succeeded = stack.night(day)
    assert succeeded, stack.task_states(run_id)


@pytest.fixture(scope="module")
def two_nights(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night, and one whose delivery changes orders and takes some away; the second's folder."""
    first = tmp_path_factory.mktemp("monday")
    generate(first, 500)
    night(stack, first, MONDAY)
    second = tmp_path_factory.mktemp("tuesday")
    generate(second, 400, seed=7)
    orders = second / "sales_data.csv"
    orders.write_text(orders.read_text().replace("Laptop", "Notebook"))
    return second


def test_a_rollback_of_both_layers_and_the_night_after_it(stack: Stack, two_nights: Path) -> None:
    monday = silver(stack), gold(stack)
    night(stack, two_nights, TUESDAY)
    tuesday = silver(stack), gold(stack)
    assert monday[1] != tuesday[1]

    done = stack.ops("rollback", "--layer", "silver", "--version", "previous")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (silver(stack), gold(stack)) == (monday[0], tuesday[1])

    listed = stack.ops("rollback", "--layer", "gold")
    assert listed.returncode == 0, listed.stderr
    lines = [line for line in listed.stdout.splitlines() if line.startswith("jr_")]
    assert lines[0].endswith("published now")
    assert TUESDAY in lines[0]
    assert MONDAY in lines[1]
    version = re.split(r"\s+", lines[1])[0]
    done = stack.ops("rollback", "--layer", "gold", "--version", version)
    assert done.returncode == 0, done.stdout + done.stderr
    # The warehouse too, rows that only Tuesday had pruned.
    assert (silver(stack), gold(stack)) == monday

    run_id, succeeded = stack.night(TUESDAY)
    assert succeeded, stack.task_states(run_id)
    assert (silver(stack), gold(stack)) == tuesday


def test_a_version_that_is_not_there_changes_nothing(stack: Stack, two_nights: Path) -> None:
    before = silver(stack), gold(stack)
    done = stack.ops("rollback", "--layer", "gold", "--version", "jr_0")
    assert done.returncode == 1
    assert "was never published" in done.stdout
    assert (silver(stack), gold(stack)) == before
    # The turn was passed on: the next run does not wait for this one.
    keys = stack.client("s3").list_objects_v2(Bucket="madrugada-local-silver", Prefix="_turns/")
    assert "Contents" not in keys


def files(stack: Stack, layer: str, table: str) -> tuple[str, list[str]]:
    """The published version's location, as a prefix, and its keys."""
    found = stack.client("glue").get_table(DatabaseName=f"madrugada_{layer}", Name=table)
    prefix = found["Table"]["StorageDescriptor"]["Location"].split("/", 3)[3]
    pages = stack.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=f"madrugada-local-{layer}", Prefix=prefix)
    return prefix, [item["Key"] for page in listed for item in page.get("Contents", [])]


def cut_up(stack: Stack, layer: str, table: str, folder: Path) -> int:
    """Put five files in place of each file of what is published; how many there are then."""
    s3, bucket = stack.client("s3"), f"madrugada-local-{layer}"
    _, keys = files(stack, layer, table)
    for key in keys:
        whole = folder / "whole.parquet"
        s3.download_file(bucket, key, str(whole))
        for part in range(5):
            piece = folder / "piece.parquet"
            # In one step for readers would be better; nobody reads yet.
            duckdb.sql(
                f"copy (select * exclude n from (select *, row_number() over () as n from"
                f" read_parquet('{whole}', hive_partitioning = false)) where n % 5 = {part})"
                f" to '{piece}' (format parquet)"
            )
            s3.upload_file(str(piece), bucket, key.replace(".parquet", f"-{part}.parquet"))
        s3.delete_object(Bucket=bucket, Key=key)
    return len(files(stack, layer, table)[1])


def test_small_files_are_put_together_while_people_read(
    stack: Stack, two_nights: Path, tmp_path: Path
) -> None:
    before = silver(stack), gold(stack)
    cut = {("silver", "vendas"): 0, ("gold", "wide_vendas"): 0}
    for layer, table in cut:
        cut[layer, table] = cut_up(stack, layer, table, tmp_path)
    assert (silver(stack), gold(stack)) == before
    old = {place: files(stack, *place) for place in cut}

    seen: Counter[str] = Counter()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            for layer, table in cut:
                rows = stack.athena(f"select * from madrugada_{layer}.{table}")
                seen[f"{layer}.{table}: {len(rows)} rows, {hash(str(sorted(rows)))}"] += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        airflow = stack.airflow
        wait_for_dag(airflow, "lake_maintenance")
        run_id = f"manual__{time.time_ns()}"
        airflow.post(
            "/dags/lake_maintenance/dagRuns",
            {"dag_run_id": run_id, "logical_date": None, "conf": {}},
        )
        assert watch(airflow, "lake_maintenance", run_id, timeout=400)
    finally:
        stop.set()
        reader.join()
    assert len(seen) == len(cut), seen
    assert (silver(stack), gold(stack)) == before
    for place, count in cut.items():
        prefix, keys = files(stack, *place)
        assert prefix != old[place][0]
        folders = Counter(key.rpartition("/")[0] for key in keys)
        assert set(folders.values()) == {1}
        assert len(keys) * 5 == count
        # What it was compacted from is young, and can be gone back to.
        bucket = f"madrugada-local-{place[0]}"
        listed = stack.client("s3").list_objects_v2(Bucket=bucket, Prefix=old[place][0])
        assert {item["Key"] for item in listed["Contents"]} == set(old[place][1])
    found = airflow.get(f"/dags/lake_maintenance/dagRuns/{run_id}/taskInstances", limit=50)
    assert {one["state"] for one in found["task_instances"]} == {"success"}
