"""Adding a dataset is one contract and one line in the DAG's list.

Both are done to a copy of the project, and a night is run on what the copy says: with no line of
code changed, the new file is asked for, checked, typed, quarantined, flagged, merged, registered,
audited and published as every other.
"""

from __future__ import annotations

import json
import runpy
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
import pytest
import sqlglot

from include.contracts.compile import compile_contracts, contracts_json
from madrugada import night as planning
from madrugada.staging import candidate
from tests.conftest import ROOT
from tests.dags.conftest import parse
from tests.include.night import CONTRACTS_URI, Night

MONDAY = "2026-01-05"
DEVOLUCOES = """\
apiVersion: v3.1.0
kind: DataContract
id: madrugada.sales.devolucoes
name: devolucoes
version: 1.0.0
status: active
domain: sales
dataProduct: sales_nightly
description:
  purpose: Sales that were given back
team:
  name: sales-data
servers:
  - server: landing
    type: s3
    location: s3://{prefix}-landing/stores/{delivery_date}/caso_estudo_devolucoes.csv
    format: csv
    delimiter: ";"
slaProperties:
  - property: frequency
    value: 1
    unit: d
customProperties:
  - property: layer
    value: silver
  - property: source
    value: stores
  - property: encoding
    value: utf-8
  - property: maxQuarantinedPercent
    value: 50
schema:
  - name: devolucoes
    physicalName: caso_estudo_devolucoes.csv
    physicalType: file
    logicalType: object
    dataGranularityDescription: One row for each sale given back
    properties:
      - name: id_venda
        physicalName: id_venda
        logicalType: integer
        physicalType: int
        primaryKey: true
        primaryKeyPosition: 1
        required: true
        relationships:
          - to: vendas.id
            customProperties:
              - property: severity
                value: warn
      - name: dt_devolucao
        physicalName: dt_devolução
        logicalType: date
        physicalType: date
        logicalTypeOptions: {format: dd/MM/yyyy}
        required: true
        partitioned: true
        partitionKeyPosition: 1
        customProperties:
          - property: partitionBy
            value: month
      - name: valor
        physicalName: valor
        logicalType: number
        physicalType: decimal(12,2)
        logicalTypeOptions: {minimum: 0}
"""
DELIVERED = [
    "id_venda;valor;dt_devolução;motivo",
    "1;20.00;02/01/2026;quebrado",
    "999999;;31/12/2025;",
    "2;-1;02/01/2026;",
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The DAGs, contracts and SQL, with the contract and the line that a new dataset is."""
    root = tmp_path / "project"
    for room in ("dags", "include/contracts", "include/sql"):
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "include/contracts/devolucoes.yaml").write_text(DEVOLUCOES, encoding="utf-8")
    dag = root / "dags" / "sales_nightly.py"
    text = dag.read_text(encoding="utf-8")
    line = '    "stores": ["clientes", '
    assert text.count(line) == 1
    dag.write_text(
        text.replace(line, '    "stores": ["devolucoes", "clientes", '), encoding="utf-8"
    )
    return root


def test_the_dag_still_parses_and_plans_the_new_dataset(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = parse(copy / "dags"), parse(ROOT / "dags")
    assert there.import_errors == {}
    tasks = {dag.dag_id: dag.task_ids for dag in here.dags.values()}
    assert {dag.dag_id: dag.task_ids for dag in there.dags.values()} == tasks

    contracts = compile_contracts(copy / "include/contracts")
    monkeypatch.setattr(planning, "deployed_contracts", lambda: contracts)
    datasets = runpy.run_path(str(copy / "dags" / "sales_nightly.py"))["DATASETS"]
    night = planning.plan({"delivery_date": MONDAY, "sources": list(datasets)}, None, datasets)
    assert night["datasets"]["devolucoes"] == ["id_venda"]

    counts = dict.fromkeys(("delivered", "kept", "rows", "inserted", "updated", "duplicates"), 2)
    counts["references"] = []
    pulled = {"plan_night": night, "build_silver": "jr_0123456789abcdef"}
    audit = jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(copy / "include/sql"), undefined=jinja2.StrictUndefined
    ).get_template("athena/audit/silver.sql")
    text = audit.render(
        ti=type("TaskInstance", (), {"xcom_pull": staticmethod(lambda task_ids: pulled[task_ids])}),
        params={"quarantine": "quarantine"},
        candidate=candidate,
        job_report=lambda *_: {"datasets": dict.fromkeys(night["datasets"], counts)},
    )
    assert sqlglot.parse_one(text, dialect="athena").named_selects == [
        "check",
        "expected",
        "actual",
    ]
    for check in (
        "rows in bronze",
        "delivered = kept",
        "rows in the table",
        "one row for each key",
    ):
        assert f"'devolucoes: {check}" in text
    assert "distinct id_venda from madrugada_staging.silver_devolucoes_" in text


@pytest.mark.slow
def test_its_rows_come_out_in_silver(
    copy: Path, spark: Any, aws: Any, buckets_root: Path, ingest: Any, sample: Any, tmp_path: Path
) -> None:
    night = Night(spark, aws, buckets_root, ingest)
    night.contracts_folder = copy / "include/contracts"
    bucket, key = CONTRACTS_URI.removeprefix("s3://").split("/", 1)
    compiled = contracts_json(night.contracts_folder)
    aws.put_object(Bucket=bucket, Key=key, Body=compiled.encode())
    folder = tmp_path / "delivery"
    folder.mkdir()
    for path in sample.folder.glob("caso_estudo_*.csv"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()[:21]
        (folder / path.name).write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ingest.DeliveryError, match=r"caso_estudo_devolucoes\.csv is missing"):
        night.deliver(folder, MONDAY, "stores")
    (folder / "caso_estudo_devolucoes.csv").write_text("\n".join(DELIVERED), encoding="utf-8")

    report = night.run_silver(folder, MONDAY, "stores")["datasets"]["devolucoes"]
    figures = ("delivered", "kept", "quarantined", "warned", "new_columns", "missing_columns")
    assert [(r["column"], r["dataset"]) for r in report["references"]] == [("id_venda", "vendas")]
    assert {name: report[name] for name in figures} == {
        "delivered": 3,
        "kept": 2,
        "quarantined": {"valor_minimum": 1},
        "warned": {"id_venda_reference": 1},
        "new_columns": ["motivo"],
        "missing_columns": [],
    }
    table = night.glue.get_table(DatabaseName="madrugada_silver", Name="devolucoes")["Table"]
    described = json.loads(compiled)["datasets"]["devolucoes"]["glue_columns"]
    assert table["StorageDescriptor"]["Columns"] == described
    columns = [column["Name"] for column in described]
    today = date.fromisoformat(MONDAY)
    rows = night.table("silver", "devolucoes").select(*columns).orderBy("id_venda").collect()
    assert [tuple(row) for row in rows] == [
        (1, date(2026, 1, 2), Decimal("20.00"), today, None, '{"motivo":"quebrado"}'),
        (999999, date(2025, 12, 31), None, today, "id_venda_reference", None),
    ]
    (bad,) = night.table("silver", "quarantine").where("dataset = 'devolucoes'").collect()
    assert (bad["line_number"], bad["raw"]) == (4, "2;-1;02/01/2026;")
