"""Redshift's system views, as queries on DuckDB's own catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_aws.redshift.compiler import Relation

if TYPE_CHECKING:
    from local_aws.redshift.warehouse import View


def relation(view: View, schema: str, name: str) -> Relation | None:
    return None
