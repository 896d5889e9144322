"""The films' tables in Athena: their DDL is the contracts', and the engine takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest
import sqlglot

import movies_silver_to_gold as gold
from include.contracts.compile import load_contracts
from include.sample_data.catalogue import MOVIES, SERIES
from local_aws.instance import Config
from local_aws.server import Server
from madrugada_spark.catalog import table_input
from tests.conftest import ROOT

SCHEMA = ROOT / "include" / "sql" / "athena" / "schema"
CONTRACTS = load_contracts()
VIEWS = {
    "tb_csv": ("movies", "genero", gold.CATALOGUE_GENRE, {"warnings", "rescued_data"}),
    "tb_json": ("tmdb_movies", "genres", gold.TMDB_GENRE, {"warnings", "rescued_data"}),
}
TABLES = ("joined_df", "aggregated_order_df")


def statement(name: str) -> str:
    text = (SCHEMA / f"{name}.sql").read_text(encoding="utf-8")
    return jinja2.Template(text).render(params={"gold_bucket": "gold"})


def test_there_is_a_statement_for_each_table_and_no_other() -> None:
    assert {path.stem for path in SCHEMA.glob("*.sql")} == {*VIEWS, *TABLES}


@pytest.mark.parametrize("name", TABLES)
def test_a_tables_columns_are_its_contracts(name: str) -> None:
    written = (SCHEMA / f"{name}.sql").read_text(encoding="utf-8")
    assert written == f"{CONTRACTS[name].athena_ddl()}\n"


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_has_its_contracts_columns_and_the_jobs_genre(name: str) -> None:
    table, column, genre, left_out = VIEWS[name]
    view = sqlglot.parse_one(statement(name), dialect="athena")
    query = view.expression
    assert query.find(sqlglot.exp.Table).sql() == f"madrugada_silver.{table}"
    known = [one["Name"] for one in CONTRACTS[table].glue_columns()]
    used = {one.name for one in query.find_all(sqlglot.exp.Column)}
    landing = {"landing_date", "ingest_date"} & set(known)
    assert used | landing == set(known) - left_out
    assert query.args["where"].sql(dialect="athena") == (
        f"WHERE REGEXP_LIKE({column}, '(^|,) *{genre} *(,|$)')"
    )


def test_the_samples_headers_are_the_contracts() -> None:
    for name, header, unknown in (("movies", MOVIES, []), ("series", SERIES, ["temporadas"])):
        known = [str(column.header) for column in CONTRACTS[name].columns]
        assert [one for one in header.split("|") if one not in unknown] == known


@pytest.fixture(scope="module")
def athena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Silver films in a whole embedded AWS: each has one of the genre and one that is not."""
    folder = tmp_path_factory.mktemp("films")
    with Server(Config(state=tmp_path_factory.mktemp("aws"))) as server:
        s3, glue = server.aws.client("s3"), server.aws.client("glue")
        for bucket in ("silver", "gold", "results"):
            s3.create_bucket(Bucket=bucket)
        for database in ("madrugada_silver", "madrugada_gold"):
            glue.create_database(DatabaseInput={"Name": database})
        for name, (table, column, genre, _) in VIEWS.items():
            columns = [(c["Name"], c["Type"]) for c in CONTRACTS[table].glue_columns()]
            path = folder / f"{name}.parquet"
            write(path, columns, [{column: f"Drama, {genre}"}, {column: f"Sub{genre}"}, {}])
            s3.upload_file(str(path), "silver", f"{table}/v1/year=2026/a.parquet")
            given = table_input(table, f"s3://silver/{table}/v1/", columns, {})
            glue.create_table(DatabaseName="madrugada_silver", TableInput=given)
        yield server.aws.client("athena"), glue


def write(path: Path, columns: list[tuple[str, str]], rows: list[dict[str, str]]) -> None:
    with duckdb.connect() as connection:
        names = ", ".join(f"{name} {kind}" for name, kind in columns)
        connection.execute(f"create table t ({names})")
        for row in rows:
            values = {**row, **{n: "2026-01-05" for n, kind in columns if kind == "date"}}
            marks = ", ".join("?" for _ in values)
            connection.execute(
                f"insert into t ({', '.join(values)}) values ({marks})", [*values.values()]
            )
        connection.execute(f"copy t to '{path}' (format parquet)")


def ask(client: Any, text: str) -> list[list[str | None]]:
    started = client.start_query_execution(
        QueryString=text, ResultConfiguration={"OutputLocation": "s3://results/"}
    )["QueryExecutionId"]
    while True:
        status = client.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
    assert status["State"] == "SUCCEEDED", status
    rows = client.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows[1:]]


def test_athena_makes_them_and_makes_them_again(athena: Any) -> None:
    client, glue = athena
    for _ in range(2):
        for name in (*VIEWS, *TABLES):
            ask(client, statement(name))
    assert ask(client, "select genero from madrugada_silver.tb_csv") == [["Drama, Horror"]]
    found = ask(client, "select genres, year, month, day from madrugada_silver.tb_json")
    assert found == [["Drama, Terror", "2026", "1", "5"]]
    for name in TABLES:
        assert ask(client, f"select count(*) from madrugada_gold.{name}") == [["0"]]
        there = glue.get_table(DatabaseName="madrugada_gold", Name=name)["Table"]
        assert there["StorageDescriptor"]["Columns"] == CONTRACTS[name].glue_columns()
