"""What follows from the contracts, and is written or registered elsewhere, is as they say."""

from __future__ import annotations

import ast
from datetime import date
from typing import Any

import pytest
import yaml

from include.contracts.compile import contracts_json, load_contracts
from madrugada_spark.contract import Contracts, read_contracts
from madrugada_spark.delivered import checked_rows
from madrugada_spark.merge import merged, with_reference_warnings
from tests.conftest import ROOT

CONTRACTS = load_contracts()
SILVER = sorted(name for name, c in CONTRACTS.items() if c.layer == "silver")
FILES = sorted(name for name in SILVER if CONTRACTS[name].file_format == "csv")
CRAWLED = sorted(name for name in FILES if not str(CONTRACTS[name].bronze_key).startswith("RAW/"))
SALES = {name for name, c in CONTRACTS.items() if c.data_product == "sales_nightly"}
WAREHOUSE = {name for name in SALES if CONTRACTS[name].layer == "gold"}


class _AnyTag(yaml.SafeLoader):
    """CloudFormation's short forms (`!Sub` and others), which are of no interest here."""


_AnyTag.add_multi_constructor("!", lambda loader, suffix, node: str(node.value))


def assigned(path: str, name: str) -> Any:
    """The value of a constant at the top of a module, without importing it."""
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path} has no {name}")


def test_the_dag_lists_the_datasets_that_have_contracts() -> None:
    listed = assigned("dags/sales_nightly.py", "DATASETS")
    assert {(source, name) for source, names in listed.items() for name in names} == {
        (CONTRACTS[name].source, name) for name in SALES - WAREHOUSE
    }


def test_the_warehouse_has_a_table_for_each_gold_contract_of_sales_and_no_other() -> None:
    folder = ROOT / "include" / "sql" / "redshift" / "schema"
    made = {path.stem: path.read_text() for path in folder.glob("*.sql")}
    statements = {name: text for name, text in made.items() if not name.startswith("create_")}
    assert statements == {name: f"{CONTRACTS[name].redshift_ddl()}\n" for name in WAREHOUSE}


def test_facts_are_pruned_by_their_key() -> None:
    for path in (ROOT / "include" / "sql" / "redshift" / "prune").glob("*.sql"):
        (key,) = CONTRACTS[path.stem].key
        assert f"where {key} not in (select {key} from" in path.read_text()


def test_the_crawler_has_a_classifier_for_each_separator() -> None:
    template = yaml.load((ROOT / "infra" / "template.yaml").read_text(), Loader=_AnyTag)  # noqa: S506
    classifiers = {
        name: resource["Properties"]["CsvClassifier"]["Delimiter"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Glue::Classifier"
    }
    crawler = template["Resources"]["BronzeCrawler"]["Properties"]
    assert {classifiers[name] for name in crawler["Classifiers"]} == {
        CONTRACTS[name].delimiter for name in CRAWLED
    }
    (target,) = crawler["Targets"]["S3Targets"]
    assert {"RAW/**", "_cursors/**", "_manifests/**"} <= set(target["Exclusions"])


@pytest.fixture(scope="module")
def compiled() -> Contracts:
    return read_contracts(contracts_json())


@pytest.mark.parametrize("name", SILVER)
def test_the_job_writes_the_columns_that_the_catalog_is_told(spark, compiled, name) -> None:
    dataset = compiled.datasets[name]
    lines = "_line bigint, _raw string"
    if CONTRACTS[name].file_format == "jsonl":
        lines += ", _broken_text boolean, _file string, _file_line bigint, _salt string"
    empty = spark.createDataFrame([], lines)
    rows = checked_rows(empty, dataset, [*dataset.headers, "unknown"], date(2026, 1, 5))
    table = merged(rows, None, dataset, date(2026, 1, 5))
    table = with_reference_warnings(table, dataset, {})
    assert table.dtypes == list(dataset.glue_columns)
    assert dataset.glue_columns == tuple(
        (column["Name"], column["Type"]) for column in CONTRACTS[name].glue_columns()
    )
