"""Names of candidate tables: a version that is written but not yet published."""

from __future__ import annotations


def suffix(version: str) -> str:
    """The part of a version (a Glue job run id) that its candidate tables' names carry."""
    return version[-12:]


def candidate(layer: str, table: str, version: str) -> str:
    """The candidate's name in the staging database: ``silver_vendas_1a2b3c4d5e6f``."""
    return f"{layer}_{table}_{suffix(version)}"
