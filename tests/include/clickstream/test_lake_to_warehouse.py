"""From lines in bronze to sessions in Redshift, all of it real, against plain Python on the lines.

The stack of `infra/template.yaml`: the function that closes a day, the Glue job on Spark, the
published silver table, Spectrum, and dbt by Redshift's own protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.sample_data.events import Options
from infra.deploy import deploy
from local_aws.instance import Config
from local_aws.server import Server
from madrugada.publishing import PublishTablesOperator
from tests.conftest import ROOT
from tests.include.clickstream import raw_lines, reference
from tests.include.clickstream.conftest import (
    MODELS,
    SPECTRUM_QUERY,
    Row,
    expected,
    from_redshift,
    in_order,
    product_views_by_campaign,
)
from tests.include.clickstream.dbt_process import Dbt
from tests.local_aws.redshift.conftest import Warehouse

STATE = "aws"
PREFIX = "madrugada-shop"
EVENTS = 50_000
OPTIONS = Options(
    count=EVENTS, first_day=date(2026, 1, 5), days=3, duplicates=0.02, broken=0.005, late=0.05
)


class Pipeline:
    """A deployed stack, and its nights without a scheduler."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.folder = folder
        self.client = server.aws.client
        deploy(self, "madrugada", {"Prefix": PREFIX}, (ROOT / "infra/template.yaml").read_text(),
               lambda told: None)  # fmt: skip
        self.warehouse = Warehouse(server)
        serverless = self.client("redshift-serverless")
        namespace = serverless.get_namespace(namespaceName="madrugada")["namespace"]
        admin = json.loads(
            self.client("secretsmanager").get_secret_value(
                SecretId=namespace["adminPasswordSecretArn"]
            )["SecretString"]
        )
        endpoint = serverless.get_workgroup(workgroupName="madrugada")["workgroup"]["endpoint"]
        self.dbt = Dbt(
            folder,
            {
                "REDSHIFT_HOST": endpoint["address"],
                "REDSHIFT_PORT": str(endpoint["port"]),
                "REDSHIFT_USER": admin["username"],
                "REDSHIFT_PASSWORD": admin["password"],
                "REDSHIFT_SSLMODE": "disable",
            },
        )
        self.warehouse.ok(
            "create external schema spectrum_silver from data catalog"
            f" database 'madrugada_silver' iam_role '{namespace['defaultIamRoleArn']}'"
        )

    def arrive(self, arrived: Sequence[raw_lines.Arrived]) -> None:
        s3 = self.client("s3")
        for key, body in raw_lines.objects(arrived, most_lines=400).items():
            s3.put_object(Bucket=f"{PREFIX}-bronze", Key=key, Body=body)

    def forget(self) -> None:
        """No night has run: bronze is all that there is."""
        glue = self.client("glue")
        for database in ("madrugada_silver", "madrugada_staging"):
            for table in glue.get_tables(DatabaseName=database)["TableList"]:
                glue.delete_table(DatabaseName=database, Name=table["Name"])
        self.warehouse.ok("drop schema if exists clickstream cascade")

    def silver(self, day: date) -> dict[str, Any]:
        """A night as far as the published table; the job's figures."""
        closed = self.client("lambda").invoke(
            FunctionName="madrugada-close-day",
            Payload=json.dumps({"delivery_date": str(day), "source": "clickstream"}).encode(),
        )
        assert "FunctionError" not in closed, closed["Payload"].read()
        glue = self.client("glue")
        job = "madrugada-clickstream-to-silver"
        run = glue.start_job_run(JobName=job, Arguments={"--delivery_date": str(day)})["JobRunId"]
        while True:
            found = glue.get_job_run(JobName=job, RunId=run)["JobRun"]
            if found["JobRunState"] not in ("STARTING", "RUNNING", "WAITING"):
                break
        assert found["JobRunState"] == "SUCCEEDED", found.get("ErrorMessage")
        PublishTablesOperator(
            task_id="publish_silver",
            layer="silver",
            database="madrugada_silver",
            staging_database="madrugada_staging",
            version=run,
        ).execute({})  # type: ignore[typeddict-item]
        report = self.client("s3").get_object(Bucket=f"{PREFIX}-silver", Key=f"_reports/{run}.json")
        return json.loads(report["Body"].read())["datasets"]["events"]

    def lake(self) -> list[tuple[Any, ...]]:
        """The published events, whole, read by DuckDB."""
        table = self.client("glue").get_table(DatabaseName="madrugada_silver", Name="events")
        location = table["Table"]["StorageDescriptor"]["Location"].removeprefix("s3://")
        files = self.folder / STATE / "s3" / location
        return sorted(duckdb.sql(f"from read_parquet('{files}/**/*.parquet')").fetchall(), key=repr)

    def model(self, name: str) -> list[Row]:
        return from_redshift(self.warehouse, f"select * from clickstream.{name}")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("pipeline")
    with (
        pytest.MonkeyPatch.context() as environment,
        Server(Config(state=folder / STATE, redshift_port=0)) as server,
    ):
        for name, value in {
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AIRFLOW_CONN_AWS_DEFAULT": '{"conn_type": "aws"}',
        }.items():
            environment.setenv(name, value)
        running = Pipeline(server, folder)
        try:
            yield running
        finally:
            running.dbt.close()


@pytest.mark.slow
def test_50000_events_whichever_way_the_nights_are_run(pipeline: Pipeline) -> None:
    arrived = raw_lines.arrivals(OPTIONS, days_late=0.01)
    days = sorted({one.day for one in arrived})
    assert len(days) == 4  # visits go on past the third midnight
    everything = raw_lines.silver(arrived)
    assert len(everything) == EVENTS
    by_day = {day: raw_lines.counts(arrived, day) for day in days}
    assert 200 < sum(counts["broken"] for counts in by_day.values()) < 300
    assert sum(counts["delivered"] - counts["broken"] for counts in by_day.values()) - EVENTS > 900
    wanted = {model: in_order(rows) for model, rows in expected(everything).items()}
    over_midnight = [s for s in wanted["sessions"] if s["ended_at"].date() > s["session_date"]]
    assert len(over_midnight) > 10
    assert len(wanted["conversions"]) > 500
    pipeline.arrive(arrived)

    found = {}
    for order in ([0, 1, 2, 3], [2, 0, 3, 0, 1]):
        pipeline.forget()
        seen: set[date] = set()
        for number in order:
            day = days[number]
            report = pipeline.silver(day)
            counts = by_day[day]
            assert report["delivered"] == counts["delivered"]
            assert report["duplicates"] == counts["duplicates"]
            assert report["quarantined"] == {"malformed_row": counts["broken"]}
            seen.add(day)
            pipeline.dbt("redshift", "run")
            # After every night, not in the end alone, the warehouse is what the lines say so far.
            so_far = expected(raw_lines.silver(one for one in arrived if one.day in seen))
            for model in ("conversions", "funnel_by_day"):
                assert pipeline.model(model) == in_order(so_far[model]), (order, day, model)
        found[tuple(order)] = (pipeline.lake(), {model: pipeline.model(model) for model in MODELS})
    one, other = found.values()
    assert one == other
    assert one[1] == wanted
    states = pipeline.dbt("redshift", "test")
    assert set(states.values()) == {"pass"}
    assert pipeline.warehouse.rows(SPECTRUM_QUERY.read_text()) == product_views_by_campaign(
        everything, reference.conversions(wanted["sessions"])
    )
