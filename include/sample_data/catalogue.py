"""Makes the two files of a day's catalogue, always the same for the same size and seed.

    python -m include.sample_data.catalogue --rows 3000 --out DIR [--seed 2026]

`movies.csv` and `series.csv` (a third as many rows), separated by `|`, UTF-8, `\\N` for null, one
row for each title and artist. Among the films are such whose genre, year or votes nobody knows, and
whose artists are hardly known: they are as good as any. Every `BAD_EVERY`th row is a bad one:
without a title, with a mean of votes that is none, or cut off in the middle. `series.csv` has a
column that its contract does not know. Rows are written as they are made, so memory does not grow
with ROWS.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from include.sample_data.films import Film, film

DEFAULT_ROWS = 3000
DEFAULT_SEED = 2026
BAD_EVERY = 500
NULL = "\\N"
MOVIES = (
    "id|tituloPincipal|tituloOriginal|anoLancamento|tempoMinutos|genero|notaMedia|numeroVotos|"
    "generoArtista|personagem|nomeArtista|anoNascimento|anoFalecimento|profissao|"
    "titulosMaisConhecidos"
)
SERIES = MOVIES.replace("anoLancamento|", "anoLancamento|anoTermino|temporadas|")
OTHER_GENRES = ("Drama", "Comedy", "Drama,Romance", "Documentary", "Thriller")
HORROR_GENRES = ("Horror", "Drama,Horror", "Horror,Mystery,Thriller")
ARTISTS = ("Inês Leão", "André Falcão", "Lúcia Brandão", "Érico Duarte", "Zé do Poço")
WORK = ("actor", "actress", "director", "producer,writer")


@dataclass
class Catalogue:
    """What was made: rows by file name, and how many of them are bad."""

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)
    bad: dict[str, int] = field(default_factory=dict)


def generate(folder: Path | str, rows: int = DEFAULT_ROWS, seed: int = DEFAULT_SEED) -> Catalogue:
    """Writes both files into `folder`, which is made when it is not there.

    :param rows: of movies.csv, at least 1.
    :raises ValueError: when rows is below 1.
    """
    if rows < 1:
        raise ValueError(f"rows: expected 1 or more, found {rows}")
    made = Catalogue(Path(folder))
    made.folder.mkdir(parents=True, exist_ok=True)
    for name, header, count in (
        ("movies.csv", MOVIES, rows),
        ("series.csv", SERIES, max(1, rows // 3)),
    ):
        with (made.folder / name).open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{header}\n")
            file.writelines(_rows(count, seed, series=name == "series.csv"))
        made.rows[name], made.bad[name] = count, count // BAD_EVERY
    return made


def _rows(count: int, seed: int, series: bool) -> Iterator[str]:
    random = Random(f"{seed} {'series' if series else 'movies'}")  # noqa: S311
    number = written = 0
    while written < count:
        one = film(number, seed)
        told = _told(one, random, series)
        for _ in range(min(random.randint(1, 5), count - written)):
            written += 1
            fields = [*told, *_artist(random)]
            if written % BAD_EVERY == 0:
                _spoil(fields, written // BAD_EVERY)
            yield "|".join(fields) + "\n"
        number += 1


def _told(one: Film, random: Random, series: bool) -> list[str]:
    """A film's own fields, the same in each of its rows."""

    def known(value: object, of_100: int) -> str:
        return str(value) if random.randrange(100) < of_100 else NULL

    genres = random.choice(HORROR_GENRES if one.horror else OTHER_GENRES)
    # As different people write: capitals, a blank too many, no accents at all.
    title = random.choice((one.title, one.title, one.title.upper(), one.title.replace(" ", "  ")))
    fields = [f"tt{one.number + (5_000_000 if series else 1):07}", title, known(one.title, 90)]
    fields.append(known(one.year, 97))
    if series:
        fields += [known(one.year + random.randint(0, 9), 60), known(random.randint(1, 9), 80)]
    fields.append(known(random.randint(60, 190), 85))
    fields.append(genres if one.horror else known(genres, 95))
    fields.append(known(f"{random.uniform(1, 10):.1f}", 95))
    fields.append(known(int(10 ** random.uniform(0.7, 6)), 95))
    return fields


def _artist(random: Random) -> list[str]:
    born = random.randint(1880, 2000)
    return [
        random.choice(("Male", "Female", NULL)),
        random.choice(("Padre", 'O "Corvo"', "Helena", NULL)),
        random.choice(ARTISTS) if random.randrange(20) else NULL,
        str(born) if random.randrange(3) else NULL,
        str(born + 70) if born < 1950 and random.randrange(2) else NULL,
        random.choice(WORK),
        random.choice(("tt0000001,tt0000005", "tt0000009", NULL)),
    ]


def _spoil(fields: list[str], times: int) -> None:
    """Makes a row a bad one, each time in another way."""
    match times % 3:
        case 0:
            fields[1] = NULL
        case 1:
            fields[-9] = "onze"
        case 2:
            del fields[-6:]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m include.sample_data.catalogue",
        description="Make a day's catalogue, always the same for a size and seed.",
    )
    parser.add_argument("--rows", type=int, default=DEFAULT_ROWS, help="rows of movies.csv (3000)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the files to")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    arguments = parser.parse_args(argv)
    if arguments.rows < 1:
        parser.error(f"--rows: expected 1 or more, found {arguments.rows}")
    made = generate(arguments.out, arguments.rows, arguments.seed)
    for name, rows in made.rows.items():
        print(f"{rows:>12,} rows, {made.bad[name]:,} of them bad  {made.folder / name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
