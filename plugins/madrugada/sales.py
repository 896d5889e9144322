"""What the DAGs of sales share."""

from __future__ import annotations

from madrugada.warehouse import Warehouse

SALES = Warehouse(
    schema="sales_schema",
    facts=("processed_sales", "wide_vendas"),
    marts=("vendas_por_produto", "vendas_por_cidade_mes"),
)

TURN = "sales"
"""What they take turns at, since they write the same tables."""
