"""Deliveries whose columns are not quite the contract's, as far as published silver."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from madrugada_spark.contract import JobError
from tests.include.night import BRONZE, Night

MONDAY, TUESDAY = "2026-01-05", "2026-01-06"
FILE = "caso_estudo_clientes.csv"


@pytest.fixture
def night(spark: Any, aws: Any, buckets_root: Path, ingest: Any) -> Night:
    return Night(spark, aws, buckets_root, ingest)


@pytest.fixture
def stores(sample: Any, tmp_path: Path) -> Path:
    """The sample's six files, made small, to be changed."""
    for path in sample.folder.glob("caso_estudo_*.csv"):
        head = path.read_text(encoding="utf-8-sig").splitlines()[:21]
        (tmp_path / path.name).write_text("\n".join(head) + "\n", encoding="utf-8")
    return tmp_path


def test_new_and_missing_columns_are_kept_aside_and_reported(night, stores, capsys) -> None:
    night.run_silver(stores, MONDAY, "stores")
    changed = ["dt_nasc;uf;id;nome", "5/2/1975;RN;1;Ana", ";;2;Eva", "5/2/1975;SP;x;Bia"]
    changed += [f";;{n};Eva" for n in range(4, 8)]
    (stores / FILE).write_text("\n".join(changed), encoding="utf-8")
    capsys.readouterr()
    report = night.run_silver(stores, TUESDAY, "stores")["datasets"]
    assert (report["clientes"]["new_columns"], report["clientes"]["missing_columns"]) == (
        ["uf"],
        ["sexo"],
    )
    assert (report["lojas"]["new_columns"], report["lojas"]["missing_columns"]) == ([], [])
    said = capsys.readouterr().out
    where = f"s3://{BRONZE}/stores/clientes/ingest_date={TUESDAY}/{FILE}"
    assert f"{where} has new columns, kept in rescued_data: uf\n" in said
    assert f"{where} lacks columns, null in every row: sexo\n" in said
    table = night.table("silver", "clientes")
    assert [tuple(row) for row in table.where("id < 4").orderBy("id").collect()][:2] == [
        (1, "Ana", None, date(1975, 5, 2), date(2026, 1, 6), None, '{"uf":"RN"}'),
        (2, "Eva", None, None, date(2026, 1, 6), None, None),
    ]
    assert table.count() == 20
    assert table.where("sexo is not null").count() == 14
    (bad,) = night.table("silver", "quarantine").where("dataset = 'clientes'").collect()
    assert (bad["raw"], bad["rule"], bad["column_name"]) == ("5/2/1975;SP;x;Bia", "id_type", "id")


@pytest.mark.slow
def test_a_changed_type_stops_the_night_before_anything_is_published(night, stores) -> None:
    text = (stores / FILE).read_text(encoding="utf-8").splitlines()
    rows = [line.split(";") for line in text[1:]]
    changed = [[*row[:3], "1980-01-31"] for row in rows[:12]] + rows[12:]
    (stores / FILE).write_text("\n".join([text[0], *map(";".join, changed)]), encoding="utf-8")
    night.deliver(stores, MONDAY, "stores")
    with pytest.raises(JobError) as raised:
        night.silver(MONDAY, "stores")
    where = f"s3://{BRONZE}/stores/clientes/ingest_date={MONDAY}/{FILE}"
    assert str(raised.value).startswith(
        f"{where}: column dt_nasc no longer looks like a date as M/d/yyyy: 12 of "
    )
    assert "such as '1980-01-31'" in str(raised.value)
    assert night.glue.get_tables(DatabaseName="madrugada_staging")["TableList"] == []
