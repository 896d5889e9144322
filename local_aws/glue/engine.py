"""AWS Glue: the Data Catalog, crawlers and jobs, each in a file of its own."""

from __future__ import annotations

from local_aws.glue.catalog import CatalogOperations
from local_aws.glue.crawlers import CrawlerOperations
from local_aws.glue.jobs import JobOperations


class Glue(CatalogOperations, CrawlerOperations, JobOperations):
    """The service ``glue``."""

    service_name = "glue"
    features = (
        *CatalogOperations.features,
        *CrawlerOperations.features,
        *JobOperations.features,
    )

    def setup(self) -> None:
        for part in (CatalogOperations, CrawlerOperations, JobOperations):
            part.setup(self)

    def start(self) -> None:
        for part in (CatalogOperations, CrawlerOperations, JobOperations):
            part.start(self)

    def expire(self) -> None:
        JobOperations.expire(self)

    def stop(self) -> None:
        for part in (CatalogOperations, CrawlerOperations, JobOperations):
            part.stop(self)
