"""AWS Glue: crawlers and classifiers."""

from __future__ import annotations

from local_aws.service import Service


class CrawlerOperations(Service):
    """Operations on crawlers and classifiers."""
