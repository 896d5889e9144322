"""Patterns of Java's DateTimeFormatter, as prefixes have them.

https://docs.oracle.com/javase/8/docs/api/java/time/format/DateTimeFormatter.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from itertools import groupby

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_RESERVED = "[]{}#"


class BadPattern(ValueError):
    """A pattern that Java refuses, or one that is not supported; the message names it."""


def _number(value: Callable[[datetime], int], most: int = 2) -> Callable[[datetime, int], str]:
    def written(moment: datetime, width: int) -> str:
        if width > most:
            raise BadPattern("Too many pattern letters")
        return f"{value(moment):0{width}d}"

    return written


def _year(moment: datetime, width: int) -> str:
    return f"{moment.year % 100:02d}" if width == 2 else f"{moment.year:0{width}d}"


def _month(moment: datetime, width: int) -> str:
    if width > 5:
        raise BadPattern("Too many pattern letters")
    name = _MONTHS[moment.month - 1]
    texts = {3: name[:3], 4: name, 5: name[:1]}
    return texts.get(width) or f"{moment.month:0{width}d}"


def _weekday(moment: datetime, width: int) -> str:
    if width > 5:
        raise BadPattern("Too many pattern letters")
    name = _DAYS[moment.weekday()]
    return {4: name, 5: name[:1]}.get(width, name[:3])


def _half_day(moment: datetime, width: int) -> str:
    if width > 1:
        raise BadPattern("Too many pattern letters")
    return "AM" if moment.hour < 12 else "PM"


def _fraction(moment: datetime, width: int) -> str:
    if width > 9:
        raise BadPattern("Too many pattern letters")
    return f"{moment.microsecond:06d}000"[:width]


def _offset(moment: datetime, width: int) -> str:
    if width > 3:
        raise BadPattern("Too many pattern letters")
    text = moment.strftime("%z")
    if width == 1:
        return text if text[3:5] != "00" else text[:3]
    return text if width == 2 else f"{text[:3]}:{text[3:5]}"


def _offset_or_z(moment: datetime, width: int) -> str:
    text = _offset(moment, width)
    return "Z" if not moment.utcoffset() else text


_LETTERS: dict[str, Callable[[datetime, int], str]] = {
    "y": _year,
    "u": _year,
    "M": _month,
    "L": _month,
    "d": _number(lambda moment: moment.day),
    "D": _number(lambda moment: moment.timetuple().tm_yday, 3),
    "E": _weekday,
    "a": _half_day,
    "H": _number(lambda moment: moment.hour),
    "k": _number(lambda moment: moment.hour or 24),
    "K": _number(lambda moment: moment.hour % 12),
    "h": _number(lambda moment: moment.hour % 12 or 12),
    "m": _number(lambda moment: moment.minute),
    "s": _number(lambda moment: moment.second),
    "S": _fraction,
    "x": _offset,
    "X": _offset_or_z,
}


def _parts(pattern: str) -> list[str]:
    """The pattern's quoted texts, with their quotes, and what stands between them."""
    if pattern.count("'") % 2:
        raise BadPattern(f"Pattern ends with an incomplete string literal: {pattern}")
    return re.findall(r"'[^']*'|[^']+", pattern)


def formatted(pattern: str, moment: datetime) -> str:
    """A moment, in its own time zone, as a pattern writes it.

    Raises:
        BadPattern: naming the letter that Java does not have, or that is not supported.
    """
    text = []
    for part in _parts(pattern.replace("''", "'\0'")):
        if part.startswith("'"):
            text.append(part[1:-1].replace("\0", "'"))
            continue
        for letter, run in groupby(part):
            width = len(list(run))
            if letter in _LETTERS:
                text.append(_LETTERS[letter](moment, width))
            elif letter in _RESERVED or (letter.isascii() and letter.isalpha()):
                raise BadPattern(f"Unsupported pattern letter: {letter}")
            else:
                text.append(letter * width)
    return "".join(text)
