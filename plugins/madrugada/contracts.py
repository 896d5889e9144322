"""The contracts as deployed: the one JSON document that jobs, functions and DAGs read."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from madrugada.settings import settings


def deployed_contracts() -> dict[str, Any]:
    """The compiled contracts from the artifacts bucket (see `include/contracts/compile.py`)."""
    bucket, key = S3Hook.parse_s3_url(settings().contracts_uri)
    return json.loads(S3Hook().read_key(key, bucket))
