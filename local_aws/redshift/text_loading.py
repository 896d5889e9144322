"""COPY from CSV, delimited text and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_aws.redshift.errors import Unsupported

if TYPE_CHECKING:
    from local_aws.redshift.compiler import Column, Relation
    from local_aws.redshift.objects import Object
    from local_aws.redshift.session import Session


def load(
    session: Session, relation: Relation, wanted: list[Column], files: list[Object], copy: Any
) -> int:
    raise Unsupported(f"COPY of {copy.format.upper()}")
