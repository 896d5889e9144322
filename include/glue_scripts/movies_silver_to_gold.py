"""Glue job: the published silver films of catalogue and TMDB become a star, and two tables of it.

A horror film of the catalogue and one of TMDB belong together when their titles are the same but
for capitals, accents and blanks. Dimensions and facts have a row for each such pair, under both
ids; what joins them joins on both, so that a title that k films of TMDB have gives k rows and not
k times k times k. How many titles match, and how many more than once, is in the job's report. How
tables are written, and the job's arguments, are told in `madrugada_spark.gold`.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from madrugada_spark.gold import GoldRun, Table, options_of
from madrugada_spark.printed import print_table
from madrugada_spark.session import spark_session

# The genre as each source calls it; the views tb_csv and tb_json in silver ask for the same.
CATALOGUE_GENRE, TMDB_GENRE = "Horror", "Terror"
PAIR = ["id", "id_tmdb"]


def of_genre(films: DataFrame, column: str, genre: str) -> DataFrame:
    """Films of which it is one of the genres, as they are listed with commas between them."""
    return films.where(F.col(column).rlike(f"(^|,) *{genre} *(,|$)"))


def normalised(title: Column) -> Column:
    """The title in small letters, without accents, with one blank between words."""
    plain, bare = _without_marks()
    small = F.translate(F.lower(title), plain, bare)
    return F.trim(F.regexp_replace(small, r"(?U)\s+", " "))


@functools.cache
def _without_marks() -> tuple[str, str]:
    """Letters with marks and the same without; marks by themselves come last, and become nothing.

    Spark has no function for it. Those of Unicode's first plane whose decomposition is one
    character and marks: https://www.unicode.org/reports/tr15/
    """
    letters, bare, marks = "", "", ""
    for code in range(0x80, 0x10000):
        letter = chr(code)
        if unicodedata.category(letter) == "Mn":
            marks += letter
            continue
        parts = unicodedata.normalize("NFD", letter)
        base = "".join(part for part in parts if unicodedata.category(part) != "Mn")
        if len(base) == 1 and base != letter:
            letters += letter
            bare += base
    return letters + marks, bare


def pairs(movies: DataFrame, tmdb_movies: DataFrame) -> DataFrame:
    """Each horror film of the catalogue beside each one of TMDB with its title."""
    ours = of_genre(movies, "genero", CATALOGUE_GENRE).select(
        "*", normalised(F.col("titulopincipal")).alias("_title")
    )
    theirs = of_genre(tmdb_movies, "genres", TMDB_GENRE).select(
        F.col("id").alias("id_tmdb"),
        "title",
        "overview",
        "popularity",
        "release_date",
        normalised(F.col("title")).alias("_title"),
    )
    return ours.join(theirs, "_title")


def dim_nome_filme(movies: DataFrame, tmdb_movies: DataFrame) -> DataFrame:
    names = ("titulopincipal", "titulooriginal", "genero", "title", "overview")
    return pairs(movies, tmdb_movies).select(*PAIR, *names)


def dim_tempo(movies: DataFrame, tmdb_movies: DataFrame) -> DataFrame:
    return pairs(movies, tmdb_movies).select(*PAIR, "anolancamento", "release_date")


def fact_popularidade(movies: DataFrame, tmdb_movies: DataFrame) -> DataFrame:
    return pairs(movies, tmdb_movies).select(*PAIR, "notamedia", "numerovotos", "popularity")


def juncao_dimensao_fato(nome: DataFrame, tempo: DataFrame, popularidade: DataFrame) -> DataFrame:
    """The star as one table, one row for each pair."""
    return (
        nome.select(*PAIR, "titulopincipal", "genero", "overview")
        .join(tempo, PAIR)
        .join(popularidade, PAIR)
        .select(
            *PAIR,
            "titulopincipal",
            "genero",
            "notamedia",
            "numerovotos",
            "popularity",
            "anolancamento",
            "release_date",
            "overview",
        )
    )


def agregar_ordenar(joined: DataFrame) -> DataFrame:
    """The largest votes and popularity of each year and title, by year, popularity and votes.

    `ordem` is the place in that order, since a table has none; what is unknown comes first, and of
    equals the title decides.
    """
    order = Window.orderBy("anolancamento", "popularity", "numerovotos", "titulopincipal")
    return (
        joined.groupBy("anolancamento", "titulopincipal")
        .agg(F.max("numerovotos").alias("numerovotos"), F.max("popularity").alias("popularity"))
        .withColumn("ordem", F.row_number().over(order))
        .select("ordem", "anolancamento", "titulopincipal", "numerovotos", "popularity")
    )


def match(movies: DataFrame, tmdb_movies: DataFrame) -> dict[str, Any]:
    """How well the two sources meet, from the films themselves and not from the star."""

    def titles(films: DataFrame, column: str, name: str) -> DataFrame:
        return films.groupBy(normalised(F.col(column)).alias("_title")).agg(
            F.count("*").alias(name)
        )

    ours = titles(of_genre(movies, "genero", CATALOGUE_GENRE), "titulopincipal", "ours")
    theirs = titles(of_genre(tmdb_movies, "genres", TMDB_GENRE), "title", "theirs")
    both = F.col("ours").isNotNull() & F.col("theirs").isNotNull()
    found = (
        ours.join(theirs, "_title", "full")
        .agg(
            F.coalesce(F.sum("ours"), F.lit(0)).alias("catalogue_films"),
            F.coalesce(F.sum("theirs"), F.lit(0)).alias("tmdb_films"),
            F.count(F.when(F.col("ours").isNotNull(), 1)).alias("catalogue_titles"),
            F.count(F.when(both, 1)).alias("titles_matched"),
            F.count(F.when(both & (F.col("ours") * F.col("theirs") > 1), 1)).alias(
                "titles_matched_more_than_once"
            ),
            F.coalesce(F.sum(F.when(both, F.col("ours"))), F.lit(0)).alias("films_matched"),
            F.coalesce(F.sum(F.col("ours") * F.col("theirs")), F.lit(0)).alias("pairs"),
        )
        .first()
    )
    assert found is not None
    figures: dict[str, Any] = found.asDict()
    films = max(1, figures["catalogue_films"])
    figures["match_percent"] = round(100 * figures["films_matched"] / films, 2)
    return figures


SILVER = ("movies", "tmdb_movies")
TABLES = {
    "dim_nome_filme": Table(dim_nome_filme, SILVER),
    "dim_tempo": Table(dim_tempo, SILVER),
    "fact_popularidade": Table(fact_popularidade, SILVER),
    "joined_df": Table(juncao_dimensao_fato, ("dim_nome_filme", "dim_tempo", "fact_popularidade")),
    # In one file, so that whoever reads it from its start has it in its order.
    "aggregated_order_df": Table(agregar_ordenar, ("joined_df",), files=1),
}


class MoviesGoldRun(GoldRun):
    """With how well the sources meet in its report."""

    def figures(self) -> dict[str, Any]:
        return {"match": match(*(self.silver[name] for name in SILVER))}

    def tell(self, report: dict[str, Any]) -> None:
        print_table(("match", "figure"), list(report["match"].items()))


def main(argv: list[str]) -> None:
    MoviesGoldRun(spark_session("movies_silver_to_gold"), options_of(argv), TABLES).run()


if __name__ == "__main__":
    main(sys.argv)
