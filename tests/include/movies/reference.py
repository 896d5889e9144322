"""The star in plain Python, from the delivered files: another way to the same figures.

Nothing here is shared with the jobs: lines are split by hand, titles go through Unicode's own
decomposition, pairs are found with dictionaries.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]


def plain(title: str) -> str:
    """Small letters, no accents, one blank between words."""
    parts = unicodedata.normalize("NFD", title.lower())
    return " ".join("".join(c for c in parts if not unicodedata.combining(c)).split())


def catalogue(path: Path) -> dict[str, dict[str, Any]]:
    """Horror films by id, of each the last good row."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    names = header.split("|")
    films: dict[str, dict[str, Any]] = {}
    for line in lines:
        fields = line.split("|")
        if len(fields) != len(names):
            continue
        row = {n: None if v in ("", "\\N") else v for n, v in zip(names, fields, strict=True)}
        try:
            film = {
                "title": row["tituloPincipal"],
                "original": row["tituloOriginal"],
                "genres": row["genero"],
                "year": None if row["anoLancamento"] is None else int(row["anoLancamento"]),
                "mean": None if row["notaMedia"] is None else float(row["notaMedia"]),
                "votes": None if row["numeroVotos"] is None else int(row["numeroVotos"]),
            }
        except ValueError:
            continue
        if row["id"] and film["title"]:
            films[row["id"]] = film
    return {i: film for i, film in films.items() if "Horror" in (film["genres"] or "").split(",")}


def tmdb(body: bytes) -> dict[int, dict[str, Any]]:
    """Horror films with a title by id."""
    films = {}
    for line in body.decode().splitlines():
        film = json.loads(line)
        if film["title"] and "Terror" in film["genres"].split(", "):
            film["date"] = (
                date.fromisoformat(film["release_date"]) if film["release_date"] else None
            )
            films[film["id"]] = film
    return films


def star(movies: Path, body: bytes) -> dict[str, list[Row]]:
    """Every gold table's rows, sorted; aggregated_order_df in its order."""
    ours, theirs = catalogue(movies), tmdb(body)
    by_title = defaultdict(list)
    for number, film in theirs.items():
        by_title[plain(film["title"])].append((number, film))
    pairs = [
        (i, number, mine, yours)
        for i, mine in ours.items()
        for number, yours in by_title[plain(mine["title"])]
    ]
    largest: dict[tuple[Any, str], list[list[Any]]] = defaultdict(lambda: [[], []])
    for _, _, mine, yours in pairs:
        votes, popularity = largest[mine["year"], mine["title"]]
        votes.append(mine["votes"])
        popularity.append(yours["popularity"])

    def later(mine: dict[str, Any], yours: dict[str, Any]) -> Row:
        return yours["popularity"], mine["year"], yours["date"], yours["overview"]

    def most(values: list[Any]) -> Any:
        return max((v for v in values if v is not None), default=None)

    def unknown_first(values: Row) -> list[Any]:
        return [(v is not None, v) for v in values]

    rows = [(y, most(p), most(v), title) for (y, title), (v, p) in largest.items()]
    rows.sort(key=unknown_first)
    return {
        "dim_nome_filme": sorted(
            (i, n, m["title"], m["original"], m["genres"], t["title"], t["overview"])
            for i, n, m, t in pairs
        ),
        "dim_tempo": sorted((i, n, m["year"], t["date"]) for i, n, m, t in pairs),
        "fact_popularidade": sorted(
            (i, n, m["mean"], m["votes"], t["popularity"]) for i, n, m, t in pairs
        ),
        "joined_df": sorted(
            (i, n, m["title"], m["genres"], m["mean"], m["votes"], *later(m, t))
            for i, n, m, t in pairs
        ),
        "aggregated_order_df": [
            (place, year, title, votes, popularity)
            for place, (year, popularity, votes, title) in enumerate(rows, 1)
        ],
    }


def match(movies: Path, body: bytes) -> dict[str, int]:
    """How many films, titles and pairs there are."""
    ours: dict[str, int] = defaultdict(int)
    theirs: dict[str, int] = defaultdict(int)
    for film in catalogue(movies).values():
        ours[plain(film["title"])] += 1
    for film in tmdb(body).values():
        theirs[plain(film["title"])] += 1
    both = ours.keys() & theirs.keys()
    return {
        "catalogue_films": sum(ours.values()),
        "tmdb_films": sum(theirs.values()),
        "catalogue_titles": len(ours),
        "titles_matched": len(both),
        "titles_matched_more_than_once": sum(ours[t] * theirs[t] > 1 for t in both),
        "films_matched": sum(ours[t] for t in both),
        "pairs": sum(ours[t] * theirs[t] for t in both),
    }
