"""The lake: catalog tables over plain files, for every engine that queries them."""

from local_aws.lake.errors import LakeError
from local_aws.lake.scan import Column, Lake, Scan
from local_aws.lake.text import FAILURE, failure
from local_aws.lake.types import HiveType, literal, parse_type, quoted

__all__ = [
    "FAILURE",
    "Column",
    "HiveType",
    "Lake",
    "LakeError",
    "Scan",
    "failure",
    "literal",
    "parse_type",
    "quoted",
]
