"""MySQL's date formats, which Trino's date_format and date_parse take, as DuckDB's.

https://trino.io/docs/current/functions/datetime.html#mysql-date-functions
"""

from __future__ import annotations

from local_aws.athena.errors import QueryError, unsupported

_FORMAT = {
    "a": "%a", "b": "%b", "c": "%-m", "d": "%d", "e": "%-d", "f": "%f", "H": "%H", "h": "%I",
    "I": "%I", "i": "%M", "j": "%j", "k": "%-H", "l": "%-I", "M": "%B", "m": "%m", "p": "%p",
    "r": "%I:%M:%S %p", "S": "%S", "s": "%S", "T": "%H:%M:%S", "v": "%V", "W": "%A", "x": "%G",
    "Y": "%Y", "y": "%y", "%": "%%",
}  # fmt: skip
_NOT_IN_TRINO = "DUuVwX"
_NOT_PARSED = "vxyj"


def strftime_format(text: str, parsing: bool = False) -> str:
    """The DuckDB format of a MySQL format.

    >>> strftime_format("%Y-%m-%d %H:%i:%s")
    '%Y-%m-%d %H:%M:%S'

    Raises:
        QueryError: a specifier that Trino refuses, or that is not supported.
    """
    out = []
    index = 0
    while index < len(text):
        char = text[index]
        if char != "%":
            out.append(char)
            index += 1
            continue
        if index + 1 == len(text):
            raise QueryError("INVALID_FUNCTION_ARGUMENT", f"Invalid date format: {text}")
        code = text[index + 1]
        if code in _NOT_IN_TRINO:
            raise QueryError(
                "INVALID_FUNCTION_ARGUMENT",
                f"%{code} not supported in date format string",
            )
        if parsing and code in _NOT_PARSED:
            raise unsupported(f"%{code} in date_parse", "Use %Y, %m, %d, %H, %i, %s, %f, %b, %M.")
        out.append(_FORMAT.get(code, code))
        index += 2
    return "".join(out)
