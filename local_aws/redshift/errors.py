"""How Redshift words its errors, and DuckDB's errors in those words."""

from __future__ import annotations

import duckdb

from local_aws.service import AwsError


class SqlError(Exception):
    """A statement fails: the text after ``ERROR:`` in the statement's Error."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  Hint: {hint}" if hint else message)


class Unsupported(SqlError):
    """Valid in Redshift and not here; says so, and what to do instead."""

    def __init__(self, what: str, remedy: str = "") -> None:
        text = f"The embedded AWS does not support {what}."
        super().__init__(f"{text} {remedy}".rstrip() + " See local_aws/FIDELITY.md.")


class Cancelled(Exception):
    """The statement was cancelled by CancelStatement or by its session's end."""


def of_duckdb(error: duckdb.Error) -> str:
    """The Redshift wording of what DuckDB raised, as far as Redshift's is known."""
    text = str(error)
    first = text.split("\n", 1)[0]
    own = "Invalid Input Error: Value too long"
    if text.startswith(own):
        return text.removeprefix("Invalid Input Error: ").split("\n\n", 1)[0]
    for prefix in ("Invalid Input Error: ", "Conversion Error: ", "Constraint Error: "):
        first = first.removeprefix(prefix)
    if "Division by zero" in first:
        return "Divide by zero"
    if first.startswith("NOT NULL constraint failed: "):
        column = first.removeprefix("NOT NULL constraint failed: ").rpartition(".")[2]
        return f"Cannot insert a NULL value into column {column}"
    if isinstance(error, duckdb.OutOfRangeException) or "out of range" in first:
        return f"Numeric data overflow ({first.removeprefix('Out of Range Error: ')})"
    if isinstance(error, duckdb.TransactionException) and "onflict" in first:
        return (
            "1023\n  Detail: Serializable isolation violation on table in Redshift."
            f" ({first.removeprefix('TransactionContext Error: ')})"
        )
    return first


def shape(error: Exception) -> str:
    """The text of DescribeStatement's ``Error``."""
    if isinstance(error, SqlError):
        return f"ERROR: {error}"
    if isinstance(error, duckdb.Error):
        return f"ERROR: {of_duckdb(error)}"
    if isinstance(error, AwsError):
        return f"ERROR: {error.message}"
    return f"ERROR: {type(error).__name__}: {error}"
