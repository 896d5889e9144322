"""What the DAGs of sales share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from madrugada.warehouse import Warehouse

SALES = Warehouse(
    schema="sales_schema",
    facts=("processed_sales", "wide_vendas"),
    marts=("vendas_por_produto", "vendas_por_cidade_mes"),
)

SOURCES = ["orders", "stores"]

TURN = "sales"
"""What they take turns at, since they write the same tables."""

QUARANTINE = "quarantine"


def tables(layer: str, datasets: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The published tables of sales in `silver` or `gold`.

    Args:
        datasets: the deployed contracts'.
    """
    if layer == "gold":
        return set(SALES.tables)
    return {name for name, one in datasets.items() if one.get("source") in SOURCES} | {QUARANTINE}
