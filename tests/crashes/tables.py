"""What a night leaves behind: every row of lake and warehouse, and whatever is still going on."""

from __future__ import annotations

from typing import Any

from ops import sql
from ops.settings import Settings

LAKE = ("madrugada_silver", "madrugada_gold")
WAREHOUSE = "sales_schema"
ENDED = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}

Rows = list[tuple[str, ...]]
Tables = dict[str, Rows]


def all_tables(settings: Settings) -> Tables:
    """Each published table's rows, sorted, by ``<schema>.<table>``: silver, gold, warehouse."""
    found: Tables = {}
    glue = sql.client(settings, "glue")
    for database in LAKE:
        pages = glue.get_paginator("get_tables").paginate(DatabaseName=database)
        for table in (table["Name"] for page in pages for table in page["TableList"]):
            found[f"{database}.{table}"] = _rows(settings, "athena", f"{database}.{table}")
    listed = sql.ask(
        settings,
        "redshift",
        f"select table_name from information_schema.tables where table_schema = '{WAREHOUSE}'",
    )[1]
    for (table,) in listed:
        found[f"{WAREHOUSE}.{table}"] = _rows(settings, "redshift", f"{WAREHOUSE}.{table}")
    return found


def _rows(settings: Settings, engine: str, table: str) -> Rows:
    names, rows = sql.ask(settings, engine, f"select * from {table}")
    header: Rows = [tuple(names)]
    return header + sorted(tuple(row) for row in rows)


def differences(found: Tables, expected: Tables) -> list[str]:
    """In a sentence each, the tables that are not, row for row, as expected."""
    said = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    said += [f"{name} was not expected" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(found.keys() & expected.keys()):
        if found[name] != expected[name]:
            here, there = found[name], expected[name]
            lost = [row for row in there if row not in set(here)]
            more = [row for row in here if row not in set(there)]
            said.append(
                f"{name}: {len(here) - 1} rows instead of {len(there) - 1}; {len(lost)} lost,"
                f" {len(more)} not expected, such as {(lost or more or [('a row twice',)])[0]}"
            )
    return said


def half_published(found: Tables, before: Tables, after: Tables) -> list[str]:
    """The tables that a reader sees neither as they were before the night nor as after it."""
    return [
        f"{name} is neither last night's nor this night's"
        for name, rows in sorted(found.items())
        if rows not in (before.get(name), after.get(name))
    ]


def left_overs(settings: Settings) -> list[str]:
    """Runs, crawls, queries, statements and turns that go on though the night has ended."""

    def client(service: str) -> Any:
        return sql.client(settings, service)

    said = []
    glue = client("glue")
    for job in glue.list_jobs()["JobNames"]:
        for run in glue.get_job_runs(JobName=job, MaxResults=200)["JobRuns"]:
            if run["JobRunState"] not in ENDED:
                said.append(f"the Glue run {run['Id'][:12]} of {job} is {run['JobRunState']}")
    for crawler in glue.get_crawlers()["Crawlers"]:
        if crawler["State"] != "READY":
            said.append(f"the crawler {crawler['Name']} is {crawler['State']}")
    athena = client("athena")
    for group in athena.list_work_groups()["WorkGroups"]:
        ids = athena.list_query_executions(WorkGroup=group["Name"], MaxResults=50)
        for query in ids["QueryExecutionIds"]:
            found = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
            if found["State"] in ("QUEUED", "RUNNING"):
                said.append(f"the Athena query {query} is {found['State']}")
    pages = client("redshift-data").get_paginator("list_statements").paginate(Status="ALL")
    for statement in (one for page in pages for one in page["Statements"]):
        if statement["Status"] not in ("FINISHED", "FAILED", "ABORTED"):
            said.append(f"the statement {statement['Id']} is {statement['Status']}")
    for layer in ("silver", "gold"):
        listed = client("s3").list_objects_v2(Bucket=settings.bucket(layer), Prefix="_turns/")
        said += [f"the turn {one['Key']} was left" for one in listed.get("Contents", [])]
    return said
