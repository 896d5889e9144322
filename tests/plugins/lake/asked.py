"""Small Parquet tables in an embedded lake, and an audit's query asked of Athena about them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import duckdb
import jinja2

from local_aws.server import Server
from madrugada.settings import settings
from madrugada.staging import candidate
from tests.conftest import ROOT
from tests.plugins.lake.conftest import Lake

GLUE_TYPES = {"INTEGER": "int", "VARCHAR": "string"}
"""DuckDB's names of types that Glue calls otherwise."""

Checks = dict[str, tuple[str, str]]
"""Name of a check to what was expected and what was found."""


def parquet(given: dict[str, Any], columns: list[dict[str, str]]) -> dict[str, Any]:
    """A TableInput made one of Parquet files with these columns."""
    package = "org.apache.hadoop.hive.ql.io.parquet"
    given["Parameters"]["classification"] = "parquet"
    given["StorageDescriptor"] |= {
        "Columns": columns,
        "InputFormat": f"{package}.MapredParquetInputFormat",
        "OutputFormat": f"{package}.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": f"{package}.serde.ParquetHiveSerDe"},
    }
    return given


def put_tables(lake: Lake, names: dict[str, str], made: duckdb.DuckDBPyConnection) -> None:
    """Puts DuckDB's tables into the catalog: `names` maps each to ``<database>.<table>``."""
    for source, target in names.items():
        database, name = target.split(".")
        version = lake.new_version()
        folder = Path(lake.state, "s3", settings().bucket("gold"), name, version)
        folder.mkdir(parents=True)
        made.execute(f"copy {source} to '{folder}/0.parquet' (format parquet)")
        described = made.execute(f"describe {source}").fetchall()
        columns = [{"Name": c[0], "Type": GLUE_TYPES.get(c[1], c[1].lower())} for c in described]
        given = lake.definition(name, lake.location("gold", name, version), version)
        lake.glue.create_table(DatabaseName=database, TableInput=parquet(given, columns))


def ask(
    lake: Lake, server: Server, audit: str, pulled: dict[str, Any], said: Any, **context: Any
) -> Checks:
    """The checks of ``athena/audit/<audit>.sql``.

    :param pulled: what each task's XCom is.
    :param said: the report of every job.
    """

    class TaskInstance:
        def xcom_pull(self, task_ids: str) -> Any:
            return pulled[task_ids]

    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(ROOT / "include" / "sql"), undefined=jinja2.StrictUndefined
    )
    query = environment.get_template(f"athena/audit/{audit}.sql").render(
        ti=TaskInstance(), candidate=candidate, job_report=lambda layer, version: said, **context
    )
    athena = lake._client(server, "athena")
    run = athena.start_query_execution(
        QueryString=query, ResultConfiguration={"OutputLocation": "s3://results/"}
    )["QueryExecutionId"]
    while True:
        state = athena.get_query_execution(QueryExecutionId=run)["QueryExecution"]["Status"]
        if state["State"] not in ("QUEUED", "RUNNING"):
            break
        time.sleep(0.05)
    assert state["State"] == "SUCCEEDED", state
    answer = athena.get_query_results(QueryExecutionId=run)["ResultSet"]["Rows"]
    rows = [[cell.get("VarCharValue", "") for cell in row["Data"]] for row in answer[1:]]
    return {name: (expected, actual) for name, expected, actual in rows}


def differing(checks: Checks) -> set[str]:
    """The names of those that do not hold."""
    return {name for name, (expected, actual) in checks.items() if expected != actual}
