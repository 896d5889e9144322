"""The audit of the star, asked of an Athena: each check finds what it is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from local_aws.instance import Config
from local_aws.server import Server
from madrugada.staging import candidate
from tests.plugins.lake.asked import Checks, ask, differing, put_tables
from tests.plugins.lake.conftest import Lake, run_id

VERSION = run_id(0xABCDEF012345)
STAR = """
    create table tb_csv as
    select id, title as titulopincipal, votes::int as numerovotos
    from (values ('tt1', 'A Névoa', 5), ('tt2', 'a nevoa', null), ('tt3', 'Poço', 7))
        as t(id, title, votes);
    create table tb_json as
    select id::int as id, title
    from (values (1, 'A NÉVOA'), (2, 'A Névoa'), (3, 'Trem')) as t(id, title);
    create table dim_nome_filme as
    select c.id, t.id as id_tmdb, c.titulopincipal, t.title
    from tb_csv c, tb_json t where c.id <> 'tt3' and t.id <> 3;
    create table dim_tempo as select id, id_tmdb, 1980::int as anolancamento from dim_nome_filme;
    create table fact_popularidade as
    select n.id, n.id_tmdb, c.numerovotos from dim_nome_filme n join tb_csv c using (id);
    create table joined_df as
    select n.id, n.id_tmdb, titulopincipal, anolancamento, numerovotos
    from dim_nome_filme n join dim_tempo using (id, id_tmdb)
        join fact_popularidade using (id, id_tmdb);
    create table aggregated_order_df as
    select row_number() over (order by titulopincipal)::int as ordem, titulopincipal
    from (select distinct titulopincipal from joined_df);
"""
"""Two films of the catalogue and two of TMDB have the same title: four pairs."""
SAID = {"match": {"catalogue_films": 3, "tmdb_films": 3, "films_matched": 2, "pairs": 4}}
PAIR = ["id", "id_tmdb"]
KEYS = {
    "dim_nome_filme": PAIR,
    "dim_tempo": PAIR,
    "fact_popularidade": PAIR,
    "joined_df": PAIR,
    "aggregated_order_df": ["ordem"],
}


@pytest.fixture(scope="module")
def server(state: Path) -> Iterator[Server]:
    with Server(Config(state=state), services=["s3", "glue", "athena"]) as running:
        yield running


@pytest.fixture
def audited(lake: Lake, server: Server) -> Callable[..., Checks]:
    lake.s3.create_bucket(Bucket="results")

    def audited(change: str = "", **said: int) -> Checks:
        """The audit's checks, with one thing changed after all was right."""
        with duckdb.connect() as made:
            made.execute(STAR + change)
            tables = [row[0] for row in made.execute("show tables").fetchall()]
            names = {
                name: f"madrugada_silver.{name}"
                if name.startswith("tb_")
                else f"madrugada_staging.{candidate('gold', name, VERSION)}"
                for name in tables
            }
            put_tables(lake, names, made)
        report = {
            "match": {**SAID["match"], **said},
            "tables": {name: {"key": key} for name, key in KEYS.items()},
        }
        return ask(lake, server, "movies_gold", {"build_gold": VERSION}, report)

    return audited


def test_a_star_as_it_should_be_has_each_check_and_all_hold(audited: Any) -> None:
    checks = audited()
    assert differing(checks) == set()
    assert checks["joined_df: rows, joined on both ids"] == ("4", "4")
    assert checks["joined_df: votes"] == ("10", "10")
    assert len(checks) == 17


THRICE = """
    create or replace table joined_df as
    select n.id, n.id_tmdb, titulopincipal, anolancamento, numerovotos
    from dim_nome_filme n join dim_tempo using (id) join fact_popularidade using (id)
"""
PAIRS = {
    "dim_nome_filme: rows",
    "dim_tempo: rows",
    "fact_popularidade: rows",
    "joined_df: rows, joined on both ids",
}
NOT_THEIRS = "dim_nome_filme: pairs as tb_csv and tb_json have their titles"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said", "differ"),
    [
        # The views joined on the catalogue's id alone: two films of TMDB give eight rows.
        (THRICE, {}, {"joined_df: rows, joined on both ids", "joined_df: votes",
                      "joined_df: one row for each key"}),
        ("", {"pairs": 5}, PAIRS),
        ("", {"catalogue_films": 4}, {"tb_csv: films, as the job found them"}),
        ("", {"tmdb_films": 2}, {"tb_json: films, as the job found them"}),
        ("", {"films_matched": 1}, {"dim_nome_filme: films that tb_csv has"}),
        (
            "update dim_nome_filme set id_tmdb = 1, title = 'A NÉVOA' where id = 'tt2'",
            {},
            {"dim_nome_filme: one row for each key"},
        ),
        ("update dim_nome_filme set title = 'Trem' where id_tmdb = 1", {}, {NOT_THEIRS}),
        ("update dim_nome_filme set titulopincipal = 'x' where id = 'tt1'", {}, {NOT_THEIRS}),
        ("delete from dim_tempo where id_tmdb = 1", {}, {"dim_tempo: rows"}),
        (
            "update fact_popularidade set numerovotos = 6 where id = 'tt1'",
            {},
            {"fact_popularidade: votes as in tb_csv", "joined_df: votes"},
        ),
        ("delete from aggregated_order_df where ordem = 2", {},
         {"aggregated_order_df: one row for each year and title"}),
        ("update aggregated_order_df set ordem = 1", {},
         {"aggregated_order_df: places from 1 on", "aggregated_order_df: one row for each key"}),
        # A row lost and another twice: as many, and with as many votes.
        ("update fact_popularidade set id_tmdb = 1 where id = 'tt2'", {},
         {"fact_popularidade: one row for each key"}),
        ("update dim_tempo set id_tmdb = 1", {}, {"dim_tempo: one row for each key"}),
        ("update joined_df set id_tmdb = 1", {}, {"joined_df: one row for each key"}),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_star_is_found(
    audited: Any, change: str, said: dict[str, int], differ: set[str]
) -> None:
    assert differing(audited(change, **said)) == differ
