"""Films of the project's own making, which the sample catalogue and the stand-in of TMDB share.

Titles are made of parts, so that there are as many as are asked for, and some of them are of two
films, as remakes are. The same number always gives the same film.
"""

from __future__ import annotations

from dataclasses import dataclass

OPENINGS = (
    "A Noite",
    "O Sótão",
    "A Maldição",
    "O Coração",
    "As Águas",
    "O Último Trem",
    "A Canção",
    "O Poço",
    "Três Irmãs",
    "O Jardim",
    "A Sombra",
    "O Relógio",
)
ENDINGS = (
    "do Cemitério",
    "de São Tomé",
    "da Bruxa",
    "sem Fim",
    "dos Órfãos",
    "da Paixão",
    "à Meia-Noite",
    "do Ñandú",
    "de Ícaro",
    "das Cinzas",
    "Perdida",
)
# Every so many films, one has the title of the one before it; both are horror films.
REMAKE_EVERY = 26
FIRST_YEAR, YEARS = 1922, 104
_TITLES = len(OPENINGS) * len(ENDINGS)


@dataclass(frozen=True)
class Film:
    """A film, of which catalogue and API each tell in their own way."""

    number: int
    title: str
    year: int
    horror: bool


def film(number: int, seed: int) -> Film:
    """
    :param number: from 0.
    """
    named = number - 1 if number % REMAKE_EVERY == REMAKE_EVERY - 1 else number
    title = f"{OPENINGS[named % len(OPENINGS)]} {ENDINGS[named // len(OPENINGS) % len(ENDINGS)]}"
    if named >= _TITLES:
        title += f" {named // _TITLES + 1}"
    year = FIRST_YEAR + (number * 7919 + seed) % YEARS
    return Film(number, title, year, horror=named % 2 == 0)
