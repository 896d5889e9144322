"""AWS Glue: jobs and their runs on Spark."""

from __future__ import annotations

from local_aws.service import Service


class JobOperations(Service):
    """Operations on jobs and their runs on Spark."""
