"""What the pipelines publish, as Airflow assets that other DAGs can be scheduled on."""

from __future__ import annotations

from airflow.sdk import Asset

PUBLISHED_MOVIES = Asset(name="published_movies", uri="madrugada://gold/movies")
PUBLISHED_SALES = Asset(name="published_sales", uri="madrugada://gold/sales")
PUBLISHED_CLICKSTREAM = Asset(name="published_clickstream", uri="madrugada://redshift/clickstream")
