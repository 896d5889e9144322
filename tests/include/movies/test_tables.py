"""The films' tables in Athena: their DDL is the contracts', and the engine takes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
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

ATHENA = ROOT / "include" / "sql" / "athena"
SCHEMA, BRONZE = ATHENA / "schema", ATHENA / "bronze"
CONTRACTS = load_contracts()
VIEWS = {
    "tb_csv": ("movies", "genero", gold.CATALOGUE_GENRE, {"warnings", "rescued_data"}),
    "tb_json": ("tmdb_movies", "genres", gold.TMDB_GENRE, {"warnings", "rescued_data"}),
}
TABLES = ("joined_df", "aggregated_order_df")
DELIVERED = ("movies", "series", "tmdb_movies")


def statement(name: str, folder: Path = SCHEMA) -> str:
    night = SimpleNamespace(delivery_date="2026-01-05")
    return jinja2.Template((folder / f"{name}.sql").read_text(encoding="utf-8")).render(
        params={"gold_bucket": "gold", "bronze_bucket": "bronze"},
        ti=SimpleNamespace(xcom_pull=lambda task_ids: night),
    )


def test_there_is_a_statement_for_each_table_and_no_other() -> None:
    assert {path.stem for path in SCHEMA.glob("*.sql")} == {*VIEWS, *TABLES}


@pytest.mark.parametrize("name", TABLES)
def test_a_tables_columns_are_its_contracts(name: str) -> None:
    written = (SCHEMA / f"{name}.sql").read_text(encoding="utf-8")
    assert written == f"{CONTRACTS[name].athena_ddl()}\n"


@pytest.mark.parametrize("name", DELIVERED)
def test_a_bronze_tables_columns_and_days_are_its_contracts(name: str) -> None:
    written = (BRONZE / f"{name}.sql").read_text(encoding="utf-8")
    assert written == f"{CONTRACTS[name].athena_bronze_ddl()}\n"
    written = (BRONZE / f"{name}_day.sql").read_text(encoding="utf-8")
    assert written == f"{CONTRACTS[name].athena_bronze_day()}\n"
    assert len(list(BRONZE.glob("*.sql"))) == 2 * len(DELIVERED)


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


LINES = {
    "movies": f'{MOVIES}\ntt1|A "Névoa"|\\N\n\ntt2|"half|\ntt3|cut',
    "series": f"{SERIES}\ntt4|",
    "tmdb_movies": '{"id": 1, "title": "é", "genres": "Terror"}\n{"id": 2, "ti\n',
}
ROWS = {"movies": 4, "series": 1, "tmdb_movies": 2}


@pytest.fixture(scope="module")
def athena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Silver films in a whole embedded AWS: each has one of the genre and one that is not."""
    folder = tmp_path_factory.mktemp("films")
    with Server(Config(state=tmp_path_factory.mktemp("aws"))) as server:
        s3, glue = server.aws.client("s3"), server.aws.client("glue")
        for bucket in ("bronze", "silver", "gold", "results"):
            s3.create_bucket(Bucket=bucket)
        for database in ("madrugada_bronze", "madrugada_silver", "madrugada_gold"):
            glue.create_database(DatabaseInput={"Name": database})
        for name, (table, column, genre, _) in VIEWS.items():
            columns = [(c["Name"], c["Type"]) for c in CONTRACTS[table].glue_columns()]
            path = folder / f"{name}.parquet"
            write(path, columns, [{column: f"Drama, {genre}"}, {column: f"Sub{genre}"}, {}])
            s3.upload_file(str(path), "silver", f"{table}/v1/year=2026/a.parquet")
            given = table_input(table, f"s3://silver/{table}/v1/", columns, {})
            glue.create_table(DatabaseName="madrugada_silver", TableInput=given)
        for name, text in LINES.items():
            key = CONTRACTS[name].bronze_key.format(year="2026", month="01", day="05")
            s3.put_object(Bucket="bronze", Key=key, Body=text.encode())
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


def test_every_delivered_line_is_a_row_of_its_day(athena: Any) -> None:
    client, _ = athena
    for name in DELIVERED:
        for _ in range(2):
            ask(client, statement(name, BRONZE))
            ask(client, statement(f"{name}_day", BRONZE))
        counted = "select count(*) from madrugada_bronze.{} where ingest_date = '{}'"
        assert ask(client, counted.format(name, "2026-01-05")) == [[str(ROWS[name])]]
        assert ask(client, counted.format(name, "2026-01-06")) == [["0"]]
