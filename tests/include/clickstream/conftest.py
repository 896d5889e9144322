"""The models built twice from a few hundred events: by dbt in DuckDB, and by the SQL that dbt
compiles for Redshift in the embedded Redshift, over the same Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from local_aws.instance import Config
from local_aws.server import Server
from tests.conftest import ROOT
from tests.include.clickstream import reference, shop_events
from tests.include.clickstream.dbt_process import Dbt
from tests.include.clickstream.shop_events import Row
from tests.local_aws.redshift.conftest import SERVICES, Warehouse, make_client

PASSWORD = "Small-Hours-1"
STATE = "aws"
MODELS = ("sessions", "conversions", "funnel_by_day")
SPECTRUM_QUERY = ROOT / "include/sql/redshift/clickstream/product_views_by_campaign.sql"
DAYS = 4
NIGHTS = [shop_events.FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
ROWS = shop_events.deliveries(400, days=DAYS)
SESSION_COLUMNS = list(reference.sessions(ROWS)[0])


def expected(events: list[Row]) -> dict[str, list[Row]]:
    """Each model's rows as the reference has them."""
    sessions = reference.sessions(events)
    return {
        "sessions": sessions,
        "conversions": reference.conversions(sessions),
        "funnel_by_day": reference.funnel_by_day(sessions),
    }


def product_views_by_campaign(events: list[Row], conversions: list[Row]) -> list[tuple[Any, ...]]:
    """What `SPECTRUM_QUERY` asks, in plain Python, in its order."""
    bought = {(c["cookie_id"], c["session_id"]): c for c in conversions}
    views: dict[tuple[str | None, str], list[str]] = {}
    for visit in reference.visits(events):
        session = reference.sessions(visit)[0]
        conversion = bought.get((session["cookie_id"], session["session_id"]))
        for event in visit if conversion else []:
            page = event["page_url_path"]
            if (
                reference.step(page) == "product"
                and event["event_timestamp"] <= conversion["converted_at"]
            ):
                key = (conversion["last_touch_campaign"], page)
                views.setdefault(key, []).append(session["session_id"])
    rows = [(campaign, page, len(set(of)), len(of)) for (campaign, page), of in views.items()]
    # Redshift puts nulls last.
    return sorted(rows, key=lambda row: (-row[2], row[0] is None, row[0] or "", row[1]))


def in_order(rows: list[Row]) -> list[Row]:
    """By what is unique in each of the models."""
    return sorted(rows, key=lambda row: str(row.get("session_id", row.get("session_date"))))


def from_duckdb(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return in_order([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])


def from_redshift(warehouse: Warehouse, query: str) -> list[Row]:
    """A query's rows by the Data API, which gives times and days as text."""
    done = warehouse.ok(query)
    described = warehouse.data.get_statement_result(Id=done["Id"])["ColumnMetadata"]
    read: dict[str, Callable[[Any], Any]] = {
        "timestamp": datetime.fromisoformat, "date": date.fromisoformat,
    }  # fmt: skip
    columns = [(c["name"], read.get(c["typeName"], lambda value: value)) for c in described]
    return in_order(
        [
            {name: None if value is None else form(value)
             for (name, form), value in zip(columns, row, strict=True)}
            for row in warehouse.result(done["Id"])
        ]
    )  # fmt: skip


def delete_and_insert(sessions: str) -> list[str]:
    """The strategy of `sessions` and its hook, for what its compiled SQL gives."""
    columns = ", ".join(SESSION_COLUMNS)
    return [
        f"create table clickstream.fresh as {sessions}",
        "delete from clickstream.sessions"
        " where cookie_id in (select cookie_id from clickstream.fresh)",
        f"insert into clickstream.sessions ({columns}) select {columns} from clickstream.fresh",
        "drop table clickstream.fresh",
        "delete from clickstream.sessions where cookie_id in"
        " (select known.cookie_id from clickstream.sessions known"
        " left join clickstream.stg_events events on events.cookie_id = known.cookie_id"
        " where events.cookie_id is null)",
    ]


class Shop:
    """The lake with silver's table, a warehouse beside it, and dbt for both targets."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.folder = folder
        self.warehouse = Warehouse(server)
        serverless = make_client(server, "redshift-serverless")
        serverless.create_namespace(namespaceName="madrugada", adminUserPassword=PASSWORD)
        made = serverless.create_workgroup(workgroupName="madrugada", namespaceName="madrugada")
        endpoint = made["workgroup"]["endpoint"]
        self.duckdb = folder / "warehouse.duckdb"
        self.events = f"{folder / STATE}/s3/lake/events/*.parquet"
        self.dbt = Dbt(
            folder,
            {
                "REDSHIFT_HOST": endpoint["address"],
                "REDSHIFT_PORT": str(endpoint["port"]),
                "REDSHIFT_USER": "admin",
                "REDSHIFT_PASSWORD": PASSWORD,
                "REDSHIFT_SSLMODE": "disable",
                "CLICKSTREAM_DUCKDB": str(self.duckdb),
                "CLICKSTREAM_EVENTS": self.events,
            },
        )
        self._s3 = make_client(server, "s3")
        self._s3.create_bucket(Bucket="lake")
        self._register(make_client(server, "glue"))
        self.warehouse.ok(
            "create external schema spectrum_silver from data catalog"
            " database 'madrugada_silver' iam_role 'arn:aws:iam::123456789012:role/redshift'"
        )

    def _register(self, glue: Any) -> None:
        types = {"varchar": "string", "integer": "int"}
        glue.create_database(DatabaseInput={"Name": "madrugada_silver"})
        storage = {
            "Columns": [
                {"Name": name, "Type": types.get(kind, kind)}
                for name, kind in shop_events.COLUMNS.items()
            ],
            "Location": "s3://lake/events/",
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": (
                    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                )
            },
        }
        table = {"Name": "events", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}
        glue.create_table(DatabaseName="madrugada_silver", TableInput=table)

    def publish(self, nights: Collection[date]) -> list[Row]:
        """Silver's table becomes what these nights make of the deliveries; its rows."""
        rows = shop_events.silver(ROWS, nights)
        path = self.folder / "part.parquet"
        shop_events.write_parquet(rows, path)
        self._s3.put_object(Bucket="lake", Key="events/part.parquet", Body=path.read_bytes())
        return rows

    def run_compiled(self, compiled: dict[str, str], *, anew: bool) -> None:
        """What `dbt run` does with this SQL, by the Data API; `sessions` whole if anew."""
        if anew:
            self.warehouse.ok("drop schema if exists clickstream cascade")
            self.warehouse.ok("create schema clickstream")
            self.warehouse.ok(
                f"create view clickstream.stg_events as {compiled['stg_events']}"
                " with no schema binding"
            )
            self.warehouse.ok(f"create table clickstream.sessions as {compiled['sessions']}")
        else:
            for statement in delete_and_insert(compiled["sessions"]):
                self.warehouse.ok(statement)
        for model in ("conversions", "funnel_by_day"):
            self.warehouse.ok(f"drop table if exists clickstream.{model}")
            self.warehouse.ok(f"create table clickstream.{model} as {compiled[model]}")

    def built(self, target: str) -> dict[str, list[Row]]:
        """Each model's rows as they stand in the target."""
        queries = {model: f"select * from clickstream.{model}" for model in MODELS}
        if target == "redshift":
            return {name: from_redshift(self.warehouse, sql) for name, sql in queries.items()}
        with duckdb.connect(self.duckdb, read_only=True) as connection:
            return {name: from_duckdb(connection, sql) for name, sql in queries.items()}


@dataclass(frozen=True)
class Built:
    """Two runs: a night in the middle first, then, incrementally, the ones before and after it."""

    shop: Shop
    first: dict[str, dict[str, str]]
    """By target: each model's SQL as it was compiled where there were no tables."""
    again: dict[str, dict[str, str]]
    """The same where there were."""
    events: list[Row]
    """Silver's rows in the end."""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("clickstream")
    config = Config(state=folder / STATE, redshift_port=0)
    with Server(config, services=SERVICES) as server:
        shop = Shop(server, folder)
        try:
            shop.publish(NIGHTS[2:3])
            shop.dbt("duckdb", "run")
            shop.dbt("redshift", "compile")
            first = {target: shop.dbt.compiled(target) for target in ("duckdb", "redshift")}
            shop.run_compiled(first["redshift"], anew=True)
            events = shop.publish(NIGHTS)
            shop.dbt("duckdb", "run")
            shop.dbt("redshift", "compile")
            again = {target: shop.dbt.compiled(target) for target in ("duckdb", "redshift")}
            shop.run_compiled(again["redshift"], anew=False)
            yield Built(shop, first, again, events)
        finally:
            shop.dbt.close()
