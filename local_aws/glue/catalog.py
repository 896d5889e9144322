"""AWS Glue: databases, tables, versions and partitions."""

from __future__ import annotations

from local_aws.service import Service


class CatalogOperations(Service):
    """Operations on databases, tables, versions and partitions."""
