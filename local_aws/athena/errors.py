"""A query's failure, as Athena words it."""

from __future__ import annotations


class QueryError(Exception):
    """The query fails with ``<code>: <message>``, such as ``COLUMN_NOT_FOUND: line 1:8: ...``.

    https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def unsupported(what: str, remedy: str = "") -> QueryError:
    """Athena has it, the embedded AWS does not."""
    text = f"The embedded AWS does not support {what}."
    return QueryError("NOT_SUPPORTED", f"{text} {remedy}".strip())
