from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

import sales_silver_to_gold as gold

D = Decimal
JAN, FEB = date(2019, 1, 15), date(2019, 2, 1)


@pytest.fixture(scope="module")
def silver(spark: SparkSession) -> dict[str, Any]:
    return {
        "vendas": spark.createDataFrame(
            [
                (1, 1, 1, 1, JAN),
                (2, 1, 1, 2, JAN),
                (3, 2, 2, 1, FEB),
                (4, 9, 9, 9, FEB),
            ],
            "id int, id_cliente int, id_loja int, id_produto int, dt_venda date",
        ),
        "clientes": spark.createDataFrame(
            [(1, "Ana", "F", date(1980, 5, 2)), (2, None, "M", None)],
            "id int, nome string, sexo string, dt_nasc date",
        ),
        "lojas": spark.createDataFrame([(1, "Natal"), (2, "Belém")], "id int, cidade string"),
        "produtos": spark.createDataFrame(
            [(1, "mouse", D("20.00"), None), (2, "xxx-231a", D("3211352.00"), "valor_suspicious")],
            "id int, produto string, valor decimal(12,2), warnings string",
        ),
        "promocao": spark.createDataFrame(
            [(1, True), (2, False), (3, True), (77, True)], "id_venda int, promocao boolean"
        ),
        "pagamentos": spark.createDataFrame(
            [(1, 1, date(2019, 3, 2)), (2, 1, date(2019, 2, 3)), (3, 2, FEB), (4, 88, FEB)],
            "id int, id_venda int, dt_pgto date",
        ),
    }


NAMES = ("vendas", "clientes", "lojas", "produtos", "promocao", "pagamentos")


@pytest.fixture(scope="module")
def wide(silver) -> Any:
    return gold.wide_vendas(*(silver[name] for name in NAMES))


def test_wide_vendas_has_one_row_for_each_sale(wide, contracts) -> None:
    assert wide.columns == [c["name"] for c in contracts["gold"]["wide_vendas"]["columns"]]
    rows = [tuple(row) for row in wide.orderBy("id_venda").collect()]
    born, paid = date(1980, 5, 2), date(2019, 2, 3)
    odd = D("3211352.00")
    assert rows == [
        (1, 1, "Ana", "F", born, 1, "Natal", 1, JAN, "mouse", D("20.00"), True, paid, True),
        (2, 1, "Ana", "F", born, 1, "Natal", 2, JAN, "xxx-231a", odd, False, FEB, True),
        (3, 2, None, "M", None, 2, "Belém", 1, FEB, "mouse", D("20.00"), True, None, False),
        (4, 9, None, None, None, 9, None, 9, FEB, None, None, None, None, False),
    ]


def test_vendas_por_produto_flags_what_silver_warned_of(wide, silver, contracts) -> None:
    out = gold.vendas_por_produto(wide, silver["produtos"])
    assert out.columns == [c["name"] for c in contracts["gold"]["vendas_por_produto"]["columns"]]
    odd = D("3211352.00")
    assert [tuple(row) for row in out.orderBy("id_produto").collect()] == [
        (1, "mouse", D("20.00"), 2, 1, 2, D("40.00"), D("20.00"), False),
        (2, "xxx-231a", odd, 1, 1, 0, odd, odd, True),
        (9, None, None, 1, 0, 0, D("0.00"), D("0.00"), True),
    ]


def test_vendas_por_cidade_mes_is_by_the_month_of_the_sale(wide, contracts) -> None:
    out = gold.vendas_por_cidade_mes(wide)
    expected = contracts["gold"]["vendas_por_cidade_mes"]["columns"]
    assert out.columns == [c["name"] for c in expected]
    odd = D("3211372.00")
    assert [tuple(row) for row in out.orderBy("cidade").collect()] == [
        ("(desconhecida)", FEB, 1, 0, D("0.00"), D("0.00")),
        ("Belém", FEB, 1, 0, D("20.00"), D("0.00")),
        ("Natal", date(2019, 1, 1), 2, 2, odd, odd),
    ]


def test_processed_sales_multiplies_money_exactly(spark, contracts) -> None:
    sales = spark.createDataFrame(
        [(1, "Mouse", 3, D("0.10"), JAN, None), (2, "Laptop", 2, D("1200.35"), JAN, None)],
        "id int, product string, quantity int, price decimal(12,2), date date, warnings string",
    )
    out = gold.processed_sales(sales)
    assert out.columns == [c["name"] for c in contracts["gold"]["processed_sales"]["columns"]]
    assert [row["total_value"] for row in out.orderBy("id").collect()] == [D("0.30"), D("2400.70")]
    assert dict(out.dtypes)["total_value"] == "decimal(12,2)"
