"""The audit of compacted tables, asked of an Athena: it holds for the same rows alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from local_aws.instance import Config
from local_aws.server import Server
from madrugada.settings import settings
from madrugada.staging import candidate
from tests.plugins.lake.asked import ask, differing, parquet
from tests.plugins.lake.conftest import Lake

ROWS = "(1, 'a'), (1, 'a'), (2, null), (3, 'c')"
COLUMNS = [{"Name": "id", "Type": "int"}, {"Name": "date", "Type": "string"}]


@pytest.fixture(scope="module")
def server(state: Path) -> Iterator[Server]:
    with Server(Config(state=state), services=["s3", "glue", "athena"]) as running:
        yield running


def write(lake: Lake, version: str, rows: str, files: int) -> str:
    """A version of madrugada_gold.sales with these rows, over so many files."""
    folder = lake.state / "s3" / settings().bucket("gold") / "sales" / version / "date_month=x"
    folder.mkdir(parents=True)
    for number in range(files):
        duckdb.sql(
            f"copy (select id::int as id, date::varchar as date from"
            f" (select *, row_number() over () as n from (values {rows}) as t(id, date))"
            f" where n % {files} = {number}) to '{folder}/{number}.parquet' (format parquet)"
        )
    return lake.location("gold", "sales", version)


@pytest.fixture
def published(lake: Lake) -> Lake:
    lake.s3.create_bucket(Bucket="results")
    version = lake.new_version()
    given = lake.definition("sales", write(lake, version, ROWS, 3), version)
    lake.glue.create_table(DatabaseName="madrugada_gold", TableInput=parquet(given, COLUMNS))
    return lake


def audit(lake: Lake, server: Server, rows: str, said: int = 4) -> set[str]:
    """The checks that do not hold for a compacted table of these rows."""
    version = lake.new_version()
    name = candidate("gold", "sales", version)
    given = lake.definition(name, write(lake, version, rows, 1), version)
    lake.glue.create_table(DatabaseName="madrugada_staging", TableInput=parquet(given, COLUMNS))
    report = {"tables": {"sales": {"rows": said, "columns": [c["Name"] for c in COLUMNS]}}}
    pulled = {"compact_gold": version}
    checks = ask(lake, server, "compacted", pulled, report, params={"layer": "gold"})
    assert len(checks) == 4
    return {name.removeprefix("sales: ") for name in differing(checks)}


@pytest.mark.parametrize(
    ("rows", "differ"),
    [
        ("(3, 'c'), (1, 'a'), (2, null), (1, 'a')", set()),
        (
            "(1, 'a'), (2, null), (3, 'c')",
            {"rows, as published", "rows, as the job says", "rows lost", "rows added"},
        ),
        # As many rows, and the same ones, but another of them twice.
        ("(1, 'a'), (2, null), (2, null), (3, 'c')", {"rows lost", "rows added"}),
        ("(1, 'a'), (1, 'a'), (2, ''), (3, 'c')", {"rows lost", "rows added"}),
        ("(1, 'a'), (1, 'a'), (2, null), (3, 'd')", {"rows lost", "rows added"}),
    ],
)
def test_it_holds_for_the_same_rows_as_often(
    published: Lake, server: Server, rows: str, differ: set[str]
) -> None:
    assert audit(published, server, rows) == differ


def test_what_the_job_says_is_held_against_what_is_there(published: Lake, server: Server) -> None:
    assert audit(published, server, ROWS, said=5) == {"rows, as the job says"}
