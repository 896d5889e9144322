"""UNLOAD: a query's rows to S3."""

from __future__ import annotations

from local_aws.redshift.errors import Unsupported
from local_aws.redshift.statements import Statement


def unload(sql: str) -> Statement:
    raise Unsupported("UNLOAD")
