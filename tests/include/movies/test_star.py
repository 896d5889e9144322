"""A night of films on the sample, from both sources to the star, against plain Python."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import bronze_to_silver
import movies_silver_to_gold as gold
from include.sample_data.catalogue import generate
from madrugada_spark.contract import JobError
from madrugada_spark.gold import Options
from madrugada_spark.json_lines import numbered_objects
from madrugada_spark.storage import DeliveredFile
from tests.include.movies import reference
from tests.include.movies.conftest import BRONZE, CONTRACTS_URI, DAY, Api
from tests.include.night import GOLD, SILVER, Night, _runs

# Whole Spark runs: make test-pipelines.
pytestmark = pytest.mark.slow

SOURCES = ("catalogue", "tmdb")
MOVIES = "RAW/Local/CSV/Movies/2026/01/05/movies.csv"
FILMS = "RAW/TMDB/JSON/2026/01/05/movies.json"


class MoviesNight(Night):
    """Nights of films: the catalogue is delivered, TMDB's films are fetched."""

    def silver(self, day: str, sources: str = "catalogue,tmdb") -> dict[str, Any]:
        options = bronze_to_silver.Options(
            version=f"jr_{next(_runs):012x}",
            contracts_uri=CONTRACTS_URI,
            bronze_bucket=BRONZE,
            silver_bucket=SILVER,
            delivery_date=day,
            sources=SOURCES,
            silver_database="madrugada_silver",
            staging_database="madrugada_staging",
            quarantine="movies_quarantine",
        )
        return bronze_to_silver.SilverRun(self.spark, options).run()

    def gold(self, day: str, sources: str = "catalogue,tmdb") -> dict[str, Any]:
        options = Options(
            version=f"jr_{next(_runs):012x}",
            contracts_uri=CONTRACTS_URI,
            gold_bucket=GOLD,
            delivery_date=day,
            sources=SOURCES,
            silver_database="madrugada_silver",
            gold_database="madrugada_gold",
            staging_database="madrugada_staging",
        )
        return gold.MoviesGoldRun(self.spark, options, gold.TABLES).run()


@pytest.fixture
def night(spark: Any, aws: Any, buckets_root: Path, ingest: Any) -> MoviesNight:
    return MoviesNight(spark, aws, buckets_root, ingest)


def spoiled(folder: Path) -> None:
    """Beside the sample's own bad rows: the export was cut off in the middle of its last line."""
    path = folder / "movies.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.rstrip("\n").rindex("|", 0, -60)], encoding="utf-8")


def test_a_night_on_the_sample_is_what_plain_python_says(
    night: MoviesNight, api: Api, tmdb: Any, tmp_path: Path
) -> None:
    generate(tmp_path, 2000)
    spoiled(tmp_path)
    # Page 3 comes again in the place of page 4, and a film has no title.
    api.films[65:80] = api.films[45:60]
    api.films[7] = {**api.films[7], "title": ""}
    tmdb.handler({"delivery_date": DAY})
    night.deliver(tmp_path, DAY, "catalogue")
    silver = night.silver(DAY)
    night.publish(silver)
    films = silver["datasets"]

    lines = (tmp_path / "movies.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert films["movies"]["delivered"] == len(lines) == 2000
    # Two rows are cut off, the sample's own and the last one.
    assert films["movies"]["quarantined"] == {
        "malformed_row": 2,
        "notamedia_type": 1,
        "titulopincipal_required": 1,
    }
    ids = {line.split("|")[0] for line in lines}
    assert films["movies"]["kept"] + films["movies"]["duplicates"] == 1996
    assert len(ids) - 2 <= films["movies"]["kept"] <= len(ids)
    assert films["movies"]["new_columns"] == []
    assert films["series"]["new_columns"] == ["temporadas"]
    (aside,) = night.table("silver", "series").where("rescued_data is not null").limit(1).collect()
    assert aside["rescued_data"].startswith('{"temporadas":')
    repeated = 105 - len({film["id"] for film in api.films})
    assert repeated >= 15
    assert films["tmdb_movies"]["duplicates"] == repeated
    assert films["tmdb_movies"]["quarantined"] == {"title_required": 1}
    found = night.table("silver", "movies_quarantine")
    bad = found.where("dataset = 'movies'").orderBy("line_number").collect()
    assert bad[-1]["line_number"] == 2001
    assert bad[-1]["reason"].startswith("expected 15 fields separated by '|', found ")
    (bad,) = found.where("dataset = 'tmdb_movies'").collect()
    assert (bad["source_file"], bad["line_number"]) == ("movies.json", 8)
    day = "year=2026/month=01/day=05"
    assert list((night.root / SILVER / "tmdb_movies").glob(f"*/{day}/*.parquet"))
    columns = night.table("silver", "movies").columns
    assert "nomeartista" not in columns
    assert dict(night.table("silver", "movies").dtypes)["notamedia"] == "double"

    report = night.gold(DAY)
    night.publish(report)
    body = (night.root / BRONZE / FILMS).read_bytes()
    delivered = night.root / BRONZE / MOVIES
    expected = reference.star(delivered, body)
    assert set(expected) == set(report["tables"])
    for name, rows in expected.items():
        table = [tuple(row) for row in night.table("gold", name).collect()]
        assert (table if name.startswith("aggregated") else sorted(table)) == rows, name
    figures = reference.match(delivered, body)
    percent = report["match"].pop("match_percent")
    assert report["match"] == figures
    assert percent == round(100 * figures["films_matched"] / figures["catalogue_films"], 2)
    assert figures["titles_matched_more_than_once"] > 0
    assert figures["pairs"] == report["tables"]["joined_df"]["rows"]
    assert 10 < percent < 90


TITLES = [
    ("A Maldição", "a  maldicao "),
    ("ÓRFÃOS do Ñandú", "orfaos do nandu"),
    ("O\u00a0Poço\tEscuro", "o poco escuro"),
    ("Cafe\u0301 Noir", "café noir"),
    ("İzmir", "izmir"),
    ("Τρόμος", "τρομος"),
]


def test_titles_are_the_same_but_for_capitals_accents_and_blanks(spark: Any) -> None:
    rows = spark.createDataFrame(TITLES, "a string, b string")
    from pyspark.sql import functions as F

    found = rows.select(gold.normalised(F.col("a")), gold.normalised(F.col("b"))).collect()
    assert [a for a, _ in found] == [b for _, b in found]
    assert [a for a, _ in found] == [reference.plain(a) for a, _ in TITLES]


def test_a_title_of_k_films_gives_k_rows(spark: Any) -> None:
    """The three joined on the catalogue's id alone would give 27."""
    movies = spark.createDataFrame(
        [
            ("tt1", "A Névoa", "The Fog", 1980, "Horror", 6.8, 80000),
            ("tt2", "A Nevoa", None, None, "Drama, Horror ", None, None),
            ("tt3", "A Névoa", None, 2001, "Horror Comedy", 5.0, 10),
            ("tt4", "A Névoa", None, 2001, None, 5.0, 10),
        ],
        "id string, titulopincipal string, titulooriginal string, anolancamento int, genero string,"
        " notamedia double, numerovotos int",
    )
    theirs = spark.createDataFrame(
        [
            (n, "a névoa", "", "Terror", float(n), date(2000, 1, n))
            for n in (1, 2, 3)
        ]
        + [(4, "A Névoa", "", "Drama", 9.0, None)],
        "id int, title string, overview string, genres string, popularity double,"
        " release_date date",
    )  # fmt: skip
    star = [build(movies, theirs) for build in (gold.dim_nome_filme, gold.dim_tempo)]
    joined = gold.juncao_dimensao_fato(*star, gold.fact_popularidade(movies, theirs))
    assert sorted((r["id"], r["id_tmdb"]) for r in joined.collect()) == [
        (i, n) for i in ("tt1", "tt2") for n in (1, 2, 3)
    ]
    assert [tuple(row) for row in gold.agregar_ordenar(joined).collect()] == [
        (1, None, "A Nevoa", None, 3.0),
        (2, 1980, "A Névoa", 80000, 3.0),
    ]


def test_a_plain_file_is_numbered_also_where_spark_cuts_it(spark: Any, buckets_root: Path) -> None:
    path = buckets_root / BRONZE / "RAW" / "cut.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f'{{"id": {n}}}\n' for n in range(1, 2001)))
    before = {
        name: spark.conf.get(f"spark.sql.files.{name}")
        for name in ("maxPartitionBytes", "openCostInBytes")
    }
    uri = f"s3://{BRONZE}/RAW/cut.json"
    file = DeliveredFile("cut.json", uri, os.path.getsize(path), "")
    try:
        for name in before:
            spark.conf.set(f"spark.sql.files.{name}", "5000")
        lines, counts = numbered_objects(spark, [file])
        assert lines.rdd.getNumPartitions() > 3
        found = [(r["_line"], r["_file_line"], r["_raw"]) for r in lines.orderBy("_line").collect()]
    finally:
        for name, value in before.items():
            spark.conf.set(f"spark.sql.files.{name}", value)
    assert counts == {uri: 2000}
    assert found == [(n, n, f'{{"id": {n}}}') for n in range(1, 2001)]


def fetched(night: MoviesNight, tmdb: Any, folder: Path) -> None:
    """A day of both sources, in bronze; the catalogue is small."""
    generate(folder, 60)
    tmdb.handler({"delivery_date": DAY})
    night.deliver(folder, DAY, "catalogue")


def test_fields_that_the_contract_does_not_know_and_those_that_are_gone_are_reported(
    night: MoviesNight, api: Api, tmdb: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.films[:] = [
        {key: value for key, value in film.items() if key != "popularity"} for film in api.films
    ]
    api.films[3] |= {"seen_by": 7, "softcore": None}
    api.films[9] |= {"mood": "dark"}
    fetched(night, tmdb, tmp_path)
    films = night.silver(DAY)["datasets"]["tmdb_movies"]
    assert (films["new_columns"], films["missing_columns"]) == (["mood", "seen_by"], ["popularity"])
    said = capsys.readouterr().out
    assert "has new columns, kept in rescued_data: mood, seen_by\n" in said
    assert "lacks columns, null in every row: popularity\n" in said


def test_a_changed_type_stops_the_night_also_where_a_single_row_would_be_kept(
    night: MoviesNight, api: Api, tmdb: Any, tmp_path: Path
) -> None:
    for film in api.films[:80]:
        film["release_date"] = "5 Jan 1996"
    fetched(night, tmdb, tmp_path)
    with pytest.raises(JobError) as raised:
        night.silver(DAY)
    assert (
        "movies.json: column release_date no longer looks like a date as yyyy-MM-dd: 80 of "
    ) in str(raised.value)
    assert night.glue.get_tables(DatabaseName="madrugada_staging")["TableList"] == []
