"""TO_CHAR's and TO_DATE's formats, from Redshift's elements to DuckDB's.

https://docs.aws.amazon.com/redshift/latest/dg/r_FORMAT_strings.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_aws.redshift.errors import Unsupported

if TYPE_CHECKING:
    from local_aws.redshift.compiler import Compiler, Typed

_ELEMENTS = (
    "HH24", "HH12", "YYYY", "Y,YYY", "IYYY", "MONTH", "Month", "month", "YYY", "SSSS", "DDD", "DAY",
    "Day", "day", "MON", "Mon", "mon", "YY", "IW", "WW", "MM", "DD", "DY", "Dy", "dy", "HH", "MI",
    "SS", "MS", "US", "AM", "PM", "am", "pm", "A.M.", "P.M.", "BC", "AD", "CC", "RM", "TZ", "OF",
    "J", "Q", "D", "Y", "I", "W",
)  # fmt: skip
_BY_LENGTH = sorted(_ELEMENTS, key=len, reverse=True)


def split(pattern: str) -> list[tuple[str, str]]:
    """``("element", "YYYY")`` and ``("text", "-")`` pairs; FM is ``("fill", "")``."""
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(pattern):
        if pattern[at] == '"':
            end = pattern.find('"', at + 1)
            end = len(pattern) if end < 0 else end
            parts.append(("text", pattern[at + 1 : end]))
            at = end + 1
            continue
        if pattern[at : at + 2].upper() == "FM":
            parts.append(("fill", ""))
            at += 2
            continue
        rest = pattern[at:]
        found = next((e for e in _BY_LENGTH if rest.startswith(e)), None) or next(
            (e for e in _BY_LENGTH if rest.upper().startswith(e) and e.isupper()), None
        )
        if found:
            parts.append(("element", found))
            at += len(found)
        else:
            parts.append(("text", pattern[at]))
            at += 1
    return parts


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def moment_text(sql: str, pattern: str) -> str:
    """TO_CHAR of a timestamp as a DuckDB expression.

    Raises:
        Unsupported: an element that has no counterpart.
    """
    pieces, short = [], False
    for kind, value in split(pattern):
        if kind == "fill":
            short = True
            continue
        if kind == "text":
            pieces.append(_quoted(value))
            continue
        pieces.append(_element(sql, value, short))
        short = False
    return f"({' || '.join(pieces)})" if pieces else "''"


def _element(sql: str, name: str, short: bool) -> str:
    def number(part: str, width: int) -> str:
        shown = f"CAST({part} AS VARCHAR)"
        return shown if short else f"lpad({shown}, {width}, '0')"

    hour12 = f"CASE WHEN hour({sql}) % 12 = 0 THEN 12 ELSE hour({sql}) % 12 END"
    numbers = {
        "YYYY": (f"year({sql})", 4),
        "YYY": (f"year({sql}) % 1000", 3),
        "YY": (f"year({sql}) % 100", 2),
        "Y": (f"year({sql}) % 10", 1),
        "IYYY": (f"isoyear({sql})", 4),
        "MM": (f"month({sql})", 2),
        "DD": (f"day({sql})", 2),
        "DDD": (f"dayofyear({sql})", 3),
        "D": (f"dayofweek({sql}) + 1", 1),
        "Q": (f"quarter({sql})", 1),
        "W": (f"(day({sql}) - 1) // 7 + 1", 1),
        "WW": (f"(dayofyear({sql}) - 1) // 7 + 1", 2),
        "IW": (f"week({sql})", 2),
        "HH24": (f"hour({sql})", 2),
        "HH12": (hour12, 2),
        "HH": (hour12, 2),
        "MI": (f"minute({sql})", 2),
        "SS": (f"second({sql})", 2),
        "MS": (f"(microsecond({sql}) % 1000000) // 1000", 3),
        "US": (f"microsecond({sql}) % 1000000", 6),
        "CC": (f"century({sql})", 2),
    }
    if name in numbers:
        return number(*numbers[name])
    meridiem = {"AM": "upper", "PM": "upper", "am": "lower", "pm": "lower"}
    if name in meridiem:
        return f"{meridiem[name]}(CASE WHEN hour({sql}) < 12 THEN 'am' ELSE 'pm' END)"
    words = {
        "MONTH": (f"upper(monthname({sql}))", 9),
        "Month": (f"monthname({sql})", 9),
        "month": (f"lower(monthname({sql}))", 9),
        "DAY": (f"upper(dayname({sql}))", 9),
        "Day": (f"dayname({sql})", 9),
        "day": (f"lower(dayname({sql}))", 9),
        "MON": (f"upper(left(monthname({sql}), 3))", 0),
        "Mon": (f"left(monthname({sql}), 3)", 0),
        "mon": (f"lower(left(monthname({sql}), 3))", 0),
        "DY": (f"upper(left(dayname({sql}), 3))", 0),
        "Dy": (f"left(dayname({sql}), 3)", 0),
        "dy": (f"lower(left(dayname({sql}), 3))", 0),
    }
    if name in words:
        shown, width = words[name]
        return f"rpad({shown}, {width}, ' ')" if width and not short else shown
    raise Unsupported(f"the format element {name} of TO_CHAR")


_READ = {
    "YYYY": "%Y", "YY": "%y", "MM": "%m", "DD": "%d", "DDD": "%j", "HH24": "%H", "HH12": "%I",
    "HH": "%I", "MI": "%M", "SS": "%S", "MS": "%g", "US": "%f", "AM": "%p", "PM": "%p", "am": "%p",
    "pm": "%p", "MON": "%b", "Mon": "%b", "mon": "%b", "MONTH": "%B", "Month": "%B", "month": "%B",
}  # fmt: skip


def strptime_format(pattern: str) -> str:
    """A format for DuckDB's strptime.

    Raises:
        Unsupported: an element that has no counterpart.
    """
    made = ""
    for kind, value in split(pattern):
        if kind == "text":
            made += value.replace("%", "%%")
        elif kind == "element":
            if value not in _READ:
                raise Unsupported(f"the format element {value} of TO_DATE and TO_TIMESTAMP")
            made += _READ[value]
    return made


def read_moment(sql: str, pattern: str) -> str:
    return f"strptime({sql}, {_quoted(strptime_format(pattern))})"


def read_date(sql: str, pattern: str, strict: bool) -> str:
    """TO_DATE; unless strict, a day past its month's end counts on into the next month."""
    elements = [value for kind, value in split(pattern) if kind == "element"]
    if strict or sorted(elements) != ["DD", "MM", "YYYY"] or pattern.count("DD") != 1:
        return f"CAST({read_moment(sql, pattern)} AS DATE)"
    groups = _quoted(
        "^\\s*"
        + "".join(
            (r"(\d{4})" if value == "YYYY" else r"(\d{1,2})")
            if kind == "element"
            else _escaped(value)
            for kind, value in split(pattern)
            if kind != "fill"
        )
        + "\\s*$"
    )
    at = {name: elements.index(name) + 1 for name in ("YYYY", "MM", "DD")}

    def piece(name: str) -> str:
        return f"CAST(regexp_extract({sql}, {groups}, {at[name]}) AS INTEGER)"

    made = f"(make_date({piece('YYYY')}, {piece('MM')}, 1) + ({piece('DD')} - 1))"
    return (
        f"CASE WHEN {sql} IS NULL THEN NULL WHEN regexp_matches({sql}, {groups}) THEN {made}"
        f" ELSE CAST({read_moment(sql, pattern)} AS DATE) END"
    )


def _escaped(value: str) -> str:
    return "".join("\\" + char if not char.isalnum() else char for char in value)


def number_text(c: Compiler, value: Typed, pattern: str) -> str:
    """TO_CHAR of a number.

    Raises:
        Unsupported: always, for now: there is no counterpart of numeric formats.
    """
    raise Unsupported("TO_CHAR of a number", "Use CAST(... AS VARCHAR), LPAD and ROUND.")
