"""Every column that a statement names is in the contract of the table it is asked of."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import sqlglot
import yaml
from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify

from include.contracts.compile import load_contracts
from tests.dags.conftest import ROOT, SQL
from tests.dags.test_sql import PARAMS, VERSION, render

QUARANTINE = ("dataset", "ingest_date", "source_file", "line_number", "raw", "rule", "reason")
# Its tables are those of the report that is given to it.
OF_ANY_TABLE = {Path("athena/audit/compacted.sql")}
FILES = sorted(
    path
    for path in (file.relative_to(SQL) for file in SQL.rglob("*.sql"))
    if path.parts[1] not in ("schema", "bronze") and path not in OF_ANY_TABLE
)


@functools.cache
def known() -> dict[str, dict[str, dict[str, str]]]:
    """Types of columns by schema and table, as the contracts have them."""
    schemas: dict[str, dict[str, dict[str, str]]] = {
        name: {}
        for name in (
            "madrugada_bronze",
            "madrugada_silver",
            "madrugada_gold",
            "madrugada_staging",
            "sales_schema",
            "spectrum",
            "spectrum_silver",
        )
    }
    schemas["clickstream"] = dbt_models("clickstream")
    schemas["sales_schema"].update(created("redshift/campaign_days/create.sql"))
    quarantine = dict.fromkeys((*QUARANTINE, "column_name"), "string")
    tables: dict[tuple[str, str], dict[str, str]] = {("silver", "quarantine"): quarantine}
    for contract in load_contracts().values():
        lake = {column["Name"]: column["Type"] for column in contract.glue_columns()}
        tables[contract.layer, contract.name] = lake
        if contract.layer == "silver":
            delivered = {str(c.header).lower(): "string" for c in contract.columns}
            schemas["madrugada_bronze"][contract.name] = {**delivered, "ingest_date": "string"}
            schemas["spectrum_silver"][contract.name] = lake
        else:
            schemas["spectrum"][contract.name] = lake
            schemas["sales_schema"][contract.name] = dict(contract.redshift_columns())
    for path in SQL.glob("athena/schema/tb_*.sql"):
        view = sqlglot.parse_one(path.read_text(), dialect="athena")
        names = view.expression.named_selects
        schemas["madrugada_silver"][path.stem] = dict.fromkeys(names, "string")
    for (layer, name), columns in tables.items():
        # Athena's own column: the object that a row is in.
        schemas["madrugada_bronze"].get(name, {}).setdefault("$path", "string")
        schemas[f"madrugada_{layer}"][name] = columns
        schemas["madrugada_staging"][f"{layer}_{name}_{VERSION[-12:]}"] = columns
    return schemas


def created(path: str) -> dict[str, dict[str, str]]:
    """The table that a statement creates, with its columns' types."""
    table = sqlglot.parse_one((SQL / path).read_text(), dialect="redshift").this
    columns = table.find_all(exp.ColumnDef)
    return {table.this.name: {one.name: one.kind.sql("redshift") for one in columns}}


def dbt_models(project: str) -> dict[str, dict[str, str]]:
    """Types of columns of each model, as the project's properties have them."""
    folder = ROOT / "include" / "dbt" / project / "models"
    found = [yaml.safe_load(path.read_text()) for path in sorted(folder.rglob("*.yml"))]
    return {
        model["name"]: {column["name"]: column["data_type"] for column in model["columns"]}
        for properties in found
        for model in properties.get("models", [])
    }


def hold_against_contracts(text: str, dialect: str) -> None:
    """:raises AssertionError, OptimizeError: for a table or a column that no contract has."""
    statement = sqlglot.parse_one(text, dialect=dialect)
    assert list(statement.find_all(exp.Table))
    views = {view.alias for view in statement.find_all(exp.CTE)}
    for table in statement.find_all(exp.Table):
        if table.db or table.name not in views:
            assert table.name in known()[table.db], f"no contract for {table.sql()}"
    if isinstance(statement, exp.Query):
        queries = [statement]
    elif isinstance(statement, exp.Insert):
        queries = [statement.expression]
    else:
        queries = list(statement.find_all(exp.Select))
    for query in queries:
        qualify(query.copy(), dialect=dialect, schema=known())
    if isinstance(statement, exp.Delete) and statement.args.get("where"):
        target = statement.this
        for column in statement.args["where"].this.this.find_all(exp.Column):
            assert column.name in known()[target.db][target.name], f"{target.sql()}: {column.sql()}"


@pytest.mark.parametrize("params", PARAMS, ids=lambda p: p["schema"])
@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_column_that_it_names_is_in_a_contract(path: Path, params: dict[str, str]) -> None:
    hold_against_contracts(render(path, params), path.parts[0])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("select preco from madrugada_silver.produtos", OptimizeError),
        (
            "select v.valor from madrugada_gold.wide_vendas w, madrugada_gold.vendas v",
            AssertionError,
        ),
        ("select count(*) from madrugada_gold.wide_vendas where paga", OptimizeError),
        ("delete from sales_schema.wide_vendas where id in (select 1)", AssertionError),
    ],
)
def test_a_column_that_no_contract_has_is_found(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        hold_against_contracts(text, "redshift")
