"""Ask Athena or Redshift something and print a table, or CSV."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from ops.command import command
from ops.settings import OpsError, Settings

Answer = tuple[list[str], list[list[str]]]


CONFIGURED = {"lambda": Config(read_timeout=320, retries={"total_max_attempts": 1})}
"""A function may take the five minutes that it has; one that is called again runs a second time."""


def client(settings: Settings, service: str) -> Any:
    return boto3.client(
        service,
        config=CONFIGURED.get(service),
        endpoint_url=settings.aws_url,
        region_name=settings.region,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
    )


def athena(settings: Settings, query: str) -> Answer:
    """Column names and rows, as text.

    Raises:
        OpsError: the query failed; with Athena's reason.
    """
    api = client(settings, "athena")
    run = api.start_query_execution(QueryString=query, WorkGroup="madrugada")["QueryExecutionId"]
    while True:
        found = api.get_query_execution(QueryExecutionId=run)["QueryExecution"]["Status"]
        if found["State"] == "SUCCEEDED":
            break
        if found["State"] in ("FAILED", "CANCELLED"):
            raise OpsError(f"Athena: {found.get('StateChangeReason', found['State'])}")
        time.sleep(0.1)
    pages = list(api.get_paginator("get_query_results").paginate(QueryExecutionId=run))
    info = pages[0]["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    names = [column["Name"] for column in info]
    rows = [
        [cell.get("VarCharValue", "") for cell in row["Data"]]
        for page in pages
        for row in page["ResultSet"]["Rows"]
    ]
    return names, rows[1:] if rows and rows[0] == names else rows


def redshift(settings: Settings, query: str) -> Answer:
    """Column names and rows, as text.

    Raises:
        OpsError: the statement failed; with Redshift's error.
    """
    api = client(settings, "redshift-data")
    run = api.execute_statement(Sql=query, WorkgroupName="madrugada", Database="dev")["Id"]
    while True:
        found = api.describe_statement(Id=run)
        if found["Status"] == "FINISHED":
            break
        if found["Status"] in ("FAILED", "ABORTED"):
            raise OpsError(f"Redshift: {found.get('Error', found['Status'])}")
        time.sleep(0.1)
    if not found.get("HasResultSet"):
        return ["result"], [[f"done, {found.get('ResultRows', -1)} rows"]]
    pages = list(api.get_paginator("get_statement_result").paginate(Id=run))
    names = [column["name"] for column in pages[0]["ColumnMetadata"]]
    return names, [[_text(f) for f in record] for page in pages for record in page["Records"]]


def _text(field: dict[str, Any]) -> str:
    if field.get("isNull"):
        return ""
    value = next(iter(field.values()))
    return str(value).lower() if isinstance(value, bool) else str(value)


ENGINES = {"athena": athena, "redshift": redshift}


def ask(settings: Settings, engine: str, query: str) -> Answer:
    if engine not in ENGINES:
        raise OpsError(f"ENGINE={engine!r}: expected athena or redshift.")
    if not query.strip():
        raise OpsError('Say what to ask: make sql ENGINE=athena Q="select ..."')
    try:
        return ENGINES[engine](settings, query)
    except ClientError as error:
        raise OpsError(f"{engine}: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise OpsError(
            f"The embedded AWS does not answer at {settings.aws_url}. Start it with: make up"
        ) from error


def print_table(title: str, answer: Answer) -> None:
    names, rows = answer
    table = Table(title=title or None, title_justify="left")
    for index, name in enumerate(names):
        numeric = all(_is_number(row[index]) for row in rows if row[index])
        table.add_column(name, justify="right" if numeric and rows else "left")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.sql", description=__doc__)
    parser.add_argument("--engine", default="athena")
    parser.add_argument("--query", default="")
    parser.add_argument("--format", default="table")
    args = parser.parse_args(argv)
    if args.format not in ("table", "csv"):
        raise OpsError(f"FORMAT={args.format!r}: expected table or csv.")
    answer = ask(Settings.load(), args.engine, args.query)
    if args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer[0])
        writer.writerows(answer[1])
    else:
        print_table("", answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
