"""Candidates become published tables, one catalog call a table."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.client import BaseClient

from madrugada.publishing import BASE, KEY, VERSION, PublishTablesOperator, published_key
from madrugada.staging import candidate

FIRST = "jr_" + "1" * 64
SECOND = "jr_" + "2" * 64
OTHER = "jr_" + "3" * 64


class Catalog:
    """moto's Glue catalog with the project's databases."""

    def __init__(self, glue: Any) -> None:
        self.glue = glue
        for name in ("madrugada_staging", "madrugada_gold"):
            glue.create_database(DatabaseInput={"Name": name})

    def stage(
        self, table: str, version: str, base: str = "", columns: tuple[str, ...] = ("id",)
    ) -> None:
        """Register a candidate as the Glue jobs do."""
        self.glue.create_table(
            DatabaseName="madrugada_staging",
            TableInput={
                "Name": candidate("gold", table, version),
                "Description": f"{table}, in words",
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {
                    VERSION: version,
                    BASE: base,
                    KEY: "id",
                    "classification": "parquet",
                },
                "StorageDescriptor": {
                    "Columns": [{"Name": name, "Type": "int"} for name in columns],
                    "Location": f"s3://madrugada-local-gold/{table}/{version}",
                },
            },
        )

    def published(self, table: str) -> dict[str, Any]:
        return self.glue.get_table(DatabaseName="madrugada_gold", Name=table)["Table"]

    def names(self) -> set[str]:
        found = self.glue.get_tables(DatabaseName="madrugada_gold")["TableList"]
        return {table["Name"] for table in found}


@pytest.fixture
def catalog(aws: Any) -> Catalog:
    return Catalog(aws("glue"))


def publish(version: str) -> list[dict[str, Any]]:
    return PublishTablesOperator(
        task_id="publish_gold",
        layer="gold",
        database="madrugada_gold",
        staging_database="madrugada_staging",
        version=version,
    ).execute({})  # type: ignore[typeddict-item]


def test_the_first_version_makes_the_table(catalog: Catalog) -> None:
    catalog.stage("sales", FIRST)
    assert publish(FIRST) == [{"table": "sales", "upsert_keys": ["id"]}]
    table = catalog.published("sales")
    assert table["StorageDescriptor"]["Location"] == f"s3://madrugada-local-gold/sales/{FIRST}"
    assert table["Parameters"][VERSION] == FIRST
    assert table["Parameters"]["classification"] == "parquet"
    assert table["Description"] == "sales, in words"


def test_a_new_version_takes_over_columns_and_location(catalog: Catalog) -> None:
    catalog.stage("sales", FIRST)
    publish(FIRST)
    catalog.stage("sales", SECOND, base=FIRST, columns=("id", "price"))
    publish(SECOND)
    table = catalog.published("sales")
    assert table["Parameters"][VERSION] == SECOND
    assert table["StorageDescriptor"]["Location"].endswith(SECOND)
    assert [c["Name"] for c in table["StorageDescriptor"]["Columns"]] == ["id", "price"]


def test_a_reader_sees_the_old_version_or_the_new_one(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call that writes for each table: nothing is taken away before the new is there."""
    for table in ("sales", "marts"):
        catalog.stage(table, FIRST)
        catalog.stage(table, SECOND, base=FIRST)
    asked: list[str] = []
    send = BaseClient._make_api_call

    def listen(self: Any, operation: str, parameters: Any) -> Any:
        asked.append(operation)
        return send(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", listen)
    for version, call in ((FIRST, "CreateTable"), (SECOND, "UpdateTable")):
        asked.clear()
        publish(version)
        assert [one for one in asked if not one.startswith("Get")] == [call, call]


def test_publishing_the_same_version_again_changes_nothing(catalog: Catalog) -> None:
    catalog.stage("sales", FIRST)
    first = publish(FIRST)
    before = catalog.published("sales")
    assert publish(FIRST) == first
    assert catalog.published("sales") == before


def test_what_was_built_on_another_version_is_refused(catalog: Catalog) -> None:
    catalog.stage("sales", FIRST)
    publish(FIRST)
    catalog.stage("sales", SECOND, base=FIRST)
    catalog.stage("sales", OTHER, base=FIRST)
    publish(OTHER)
    with pytest.raises(AirflowFailException) as refused:
        publish(SECOND)
    assert f"{SECOND} was built on {FIRST}, but {OTHER} has been published" in str(refused.value)
    assert "Clear the build task" in str(refused.value)
    assert catalog.published("sales")["Parameters"][VERSION] == OTHER


def test_what_was_built_on_nothing_does_not_replace_something(catalog: Catalog) -> None:
    catalog.stage("sales", FIRST)
    catalog.stage("sales", SECOND)
    publish(FIRST)
    with pytest.raises(AirflowFailException, match="was built on nothing"):
        publish(SECOND)


def test_when_one_table_is_refused_none_is_published(catalog: Catalog) -> None:
    """Compaction has published another version of the last table, and of no other."""
    for table in ("marts", "sales", "wide_vendas"):
        catalog.stage(table, FIRST)
    publish(FIRST)
    for table in ("marts", "sales", "wide_vendas"):
        catalog.stage(table, SECOND, base=FIRST)
    catalog.stage("wide_vendas", OTHER, base=FIRST)
    publish(OTHER)
    with pytest.raises(AirflowFailException, match=r"madrugada_gold\.wide_vendas: version"):
        publish(SECOND)
    versions = {name: catalog.published(name)["Parameters"][VERSION] for name in catalog.names()}
    assert versions == {"marts": FIRST, "sales": FIRST, "wide_vendas": OTHER}


def test_what_was_half_published_is_finished(catalog: Catalog) -> None:
    catalog.stage("sales", FIRST)
    publish(FIRST)
    catalog.stage("wide_vendas", FIRST)
    publish(FIRST)
    assert catalog.names() == {"sales", "wide_vendas"}


def test_all_tables_of_the_version_are_published_and_no_others(catalog: Catalog) -> None:
    for table in ("wide_vendas", "sales"):
        catalog.stage(table, FIRST)
    catalog.stage("marts", SECOND)
    assert [one["table"] for one in publish(FIRST)] == ["sales", "wide_vendas"]
    assert catalog.names() == {"sales", "wide_vendas"}


def test_a_version_without_candidates_is_refused(catalog: Catalog) -> None:
    with pytest.raises(AirflowFailException, match=f"{FIRST} has no gold candidates"):
        publish(FIRST)
    assert catalog.names() == set()


def test_a_table_whose_name_begins_as_another_s_is_not_mistaken_for_it(catalog: Catalog) -> None:
    catalog.stage("sales", FIRST)
    catalog.stage("sales_by_month", FIRST)
    publish(FIRST)
    assert catalog.published("sales")["StorageDescriptor"]["Location"].endswith(f"/sales/{FIRST}")


def test_a_load_takes_what_is_published_when_it_runs(catalog: Catalog) -> None:
    catalog.stage("sales", FIRST)
    publish(FIRST)
    assert published_key("gold", "sales") == f"sales/{FIRST}/"
    catalog.stage("sales", SECOND, base=FIRST)
    publish(SECOND)
    assert published_key("gold", "sales") == f"sales/{SECOND}/"
