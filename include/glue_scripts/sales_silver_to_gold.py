"""Glue job: the published silver tables become the gold tables of sales.

Builds what the named sources allow: `orders` gives processed_sales; `stores` gives wide_vendas,
vendas_por_produto and vendas_por_cidade_mes. How tables are written, and the job's arguments, are
told in `madrugada_spark.gold`.
"""

from __future__ import annotations

import sys
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from madrugada_spark.gold import GoldRun, Table, options_of
from madrugada_spark.session import spark_session

UNKNOWN_CITY = "(desconhecida)"
MONEY = "decimal(18,2)"


def wide_vendas(
    vendas: DataFrame,
    clientes: DataFrame,
    lojas: DataFrame,
    produtos: DataFrame,
    promocao: DataFrame,
    pagamentos: DataFrame,
) -> DataFrame:
    """One row for each sale, with what is known of it; of several payments the earliest.

    A sale whose customer, store or product is not known keeps its ids, with nulls beside them.
    """
    first_payment = pagamentos.groupBy(F.col("id_venda").alias("id")).agg(
        F.min("dt_pgto").alias("dt_pgto")
    )
    return (
        vendas.select("id", "id_cliente", "id_loja", "id_produto", "dt_venda")
        .join(
            clientes.select(
                F.col("id").alias("id_cliente"),
                F.col("nome").alias("nome_cliente"),
                F.col("sexo").alias("sexo_cliente"),
                "dt_nasc",
            ),
            "id_cliente",
            "left",
        )
        .join(lojas.select(F.col("id").alias("id_loja"), "cidade"), "id_loja", "left")
        .join(
            produtos.select(F.col("id").alias("id_produto"), "produto", "valor"),
            "id_produto",
            "left",
        )
        .join(promocao.select(F.col("id_venda").alias("id"), "promocao"), "id", "left")
        .join(first_payment, "id", "left")
        .select(
            F.col("id").alias("id_venda"),
            "id_cliente",
            "nome_cliente",
            "sexo_cliente",
            "dt_nasc",
            "id_loja",
            "cidade",
            "id_produto",
            "dt_venda",
            "produto",
            "valor",
            "promocao",
            "dt_pgto",
            F.col("dt_pgto").isNotNull().alias("pago"),
        )
    )


def processed_sales(sales_data: DataFrame) -> DataFrame:
    """Orders with `total_value`, quantity times price."""
    return sales_data.select(
        "id",
        "product",
        "quantity",
        "price",
        "date",
        (F.col("quantity") * F.col("price")).cast("decimal(12,2)").alias("total_value"),
    )


def vendas_por_produto(wide: DataFrame, produtos: DataFrame) -> DataFrame:
    """One row for each product sold; `sinalizado` when silver carries a warning on the product."""
    flagged = produtos.select(
        F.col("id").alias("id_produto"), F.col("warnings").isNotNull().alias("sinalizado")
    )
    return (
        wide.groupBy("id_produto", "produto", "valor")
        .agg(*_figures(), _count(F.col("promocao")).alias("em_promocao"))
        .join(flagged, "id_produto", "left")
        .select(
            "id_produto",
            "produto",
            "valor",
            "vendas",
            "pagas",
            "em_promocao",
            "valor_total",
            "valor_pago",
            # A product that is not known is worth a look too.
            F.coalesce("sinalizado", F.lit(True)).alias("sinalizado"),
        )
    )


def vendas_por_cidade_mes(wide: DataFrame) -> DataFrame:
    """One row for each city and month with a sale."""
    return wide.groupBy(
        F.coalesce("cidade", F.lit(UNKNOWN_CITY)).alias("cidade"),
        F.trunc("dt_venda", "month").alias("mes"),
    ).agg(*_figures())


def _figures() -> list[Any]:
    value = F.coalesce("valor", F.lit(0).cast("decimal(12,2)"))
    paid = F.when(F.col("pago"), value).otherwise(F.lit(0).cast("decimal(12,2)"))
    return [
        F.count("*").cast("int").alias("vendas"),
        _count(F.col("pago")).alias("pagas"),
        F.sum(value).cast(MONEY).alias("valor_total"),
        F.sum(paid).cast(MONEY).alias("valor_pago"),
    ]


def _count(test: Any) -> Any:
    return F.count(F.when(test, F.lit(1))).cast("int")


TABLES = {
    "processed_sales": Table(processed_sales, ("sales_data",), counted_from="sales_data"),
    "wide_vendas": Table(
        wide_vendas,
        ("vendas", "clientes", "lojas", "produtos", "promocao", "pagamentos"),
        counted_from="vendas",
    ),
    "vendas_por_produto": Table(vendas_por_produto, ("wide_vendas", "produtos")),
    "vendas_por_cidade_mes": Table(vendas_por_cidade_mes, ("wide_vendas",)),
}


def main(argv: list[str]) -> None:
    GoldRun(spark_session("sales_silver_to_gold"), options_of(argv), TABLES).run()


if __name__ == "__main__":
    main(sys.argv)
