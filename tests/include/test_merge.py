from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession

from include.contracts.compile import contracts_json
from madrugada_spark.contract import Contracts, read_contracts
from madrugada_spark.merge import merged, with_reference_warnings

MONDAY, TUESDAY, WEDNESDAY = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)


@pytest.fixture(scope="module")
def compiled() -> Contracts:
    return read_contracts(contracts_json())


def stores(spark: SparkSession, *rows: tuple[int, str, int]) -> DataFrame:
    return spark.createDataFrame(
        [(*row, None, f'{{"uf":"{row[0]}"}}') for row in rows],
        "id int, cidade string, _line bigint, _warnings string, _rescued string",
    )


def table(spark: SparkSession, *rows: tuple[int, str, date]) -> DataFrame:
    return spark.createDataFrame(
        [(*row, None, None) for row in rows],
        "id int, cidade string, ingest_date date, warnings string, rescued_data string",
    )


def cities(frame: DataFrame) -> list[tuple[int, str, date]]:
    return sorted((r["id"], r["cidade"], r["ingest_date"]) for r in frame.collect())


def test_the_first_night_keeps_the_last_line_of_each_key(spark, compiled) -> None:
    rows = stores(spark, (1, "Natal", 2), (2, "Belém", 3), (1, "Recife", 4))
    out = merged(rows, None, compiled.datasets["lojas"], MONDAY)
    assert out.columns == ["id", "cidade", "ingest_date", "warnings", "rescued_data"]
    assert cities(out) == [(1, "Recife", MONDAY), (2, "Belém", MONDAY)]


def test_a_newer_night_updates_and_adds(spark, compiled) -> None:
    before = table(spark, (1, "Natal", MONDAY), (2, "Belém", MONDAY))
    out = merged(
        stores(spark, (2, "Palmas", 2), (3, "Macapá", 3)), before, dataset(compiled), TUESDAY
    )
    assert cities(out) == [(1, "Natal", MONDAY), (2, "Palmas", TUESDAY), (3, "Macapá", TUESDAY)]


def test_an_older_night_does_not_bring_old_values_back(spark, compiled) -> None:
    before = table(spark, (1, "Natal", WEDNESDAY), (2, "Belém", MONDAY))
    rows = stores(spark, (1, "Old", 2), (2, "Palmas", 3), (4, "Macapá", 4))
    out = merged(rows, before, dataset(compiled), TUESDAY)
    assert cities(out) == [(1, "Natal", WEDNESDAY), (2, "Palmas", TUESDAY), (4, "Macapá", TUESDAY)]


def test_the_same_night_again_replaces_itself(spark, compiled) -> None:
    before = table(spark, (1, "Natal", MONDAY), (2, "Belém", TUESDAY), (3, "Gone", TUESDAY))
    out = merged(stores(spark, (2, "Palmas", 2)), before, dataset(compiled), TUESDAY)
    assert cities(out) == [(1, "Natal", MONDAY), (2, "Palmas", TUESDAY)]


def dataset(compiled: Contracts, name: str = "lojas"):
    return compiled.datasets[name]


def test_a_column_that_the_older_table_lacks_is_null(spark, compiled) -> None:
    before = spark.createDataFrame([(1, MONDAY, None)], "id int, ingest_date date, warnings string")
    out = merged(stores(spark, (2, "Palmas", 2)), before, dataset(compiled), TUESDAY)
    assert [(r["id"], r["cidade"], r["rescued_data"]) for r in out.orderBy("id").collect()] == [
        (1, None, None),
        (2, "Palmas", '{"uf":"2"}'),
    ]


def test_what_is_kept_aside_goes_with_its_row(spark, compiled) -> None:
    first = merged(stores(spark, (1, "Natal", 2), (2, "Belém", 3)), None, dataset(compiled), MONDAY)
    out = merged(stores(spark, (2, "Palmas", 2)), first, dataset(compiled), TUESDAY)
    assert {r["cidade"]: r["rescued_data"] for r in out.collect()} == {
        "Natal": '{"uf":"1"}',
        "Palmas": '{"uf":"2"}',
    }


SALES = "id int, id_cliente int, id_loja int, id_produto int, dt_venda date, ingest_date date"


def ids(spark: SparkSession, *numbers: int) -> DataFrame:
    return spark.createDataFrame([(n,) for n in numbers], "id int")


def test_references_are_looked_up_in_the_whole_table(spark, compiled) -> None:
    vendas = dataset(compiled, "vendas")
    sales = spark.createDataFrame(
        [
            (1, 1, 1, 1, MONDAY, MONDAY, None, None),
            (2, 9, 1, 9, MONDAY, MONDAY, None, None),
            (3, 1, 9, 1, MONDAY, TUESDAY, "something_else", '{"x":"1"}'),
        ],
        f"{SALES}, warnings string, rescued_data string",
    )
    targets = {"clientes": ids(spark, 1), "lojas": ids(spark, 1), "produtos": ids(spark, 1)}
    out = with_reference_warnings(sales, vendas, targets)
    assert out.columns == sales.columns
    assert {r["id"]: r["rescued_data"] for r in out.collect()} == {1: None, 2: None, 3: '{"x":"1"}'}
    assert {r["id"]: r["warnings"] for r in out.collect()} == {
        1: None,
        2: "id_cliente_reference;id_produto_reference",
        3: "something_else;id_loja_reference",
    }
    # The customer, the store and the product arrive: the flags go, other warnings stay.
    rows = spark.createDataFrame(
        [(4, 1, 1, 1, WEDNESDAY, 2, None, None)],
        "id int, id_cliente int, id_loja int, id_produto int, dt_venda date, _line bigint, "
        "_warnings string, _rescued string",
    )
    later = merged(rows, out, vendas, WEDNESDAY)
    known = ids(spark, 1, 9)
    targets = {"clientes": known, "lojas": known, "produtos": known}
    again = with_reference_warnings(later, vendas, targets)
    assert {r["id"]: r["warnings"] for r in again.collect()} == {
        1: None,
        2: None,
        3: "something_else",
        4: None,
    }


def test_references_to_a_table_that_is_not_there_are_flagged(spark, compiled) -> None:
    sales = spark.createDataFrame(
        [(1, 1, 1, 1, MONDAY, MONDAY, None, None)], f"{SALES}, warnings string, rescued_data string"
    )
    out = with_reference_warnings(sales, dataset(compiled, "vendas"), {"lojas": ids(spark, 1)})
    assert out.collect()[0]["warnings"] == "id_cliente_reference;id_produto_reference"
