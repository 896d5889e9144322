"""How Redshift words its errors, and DuckDB's errors in those words."""

from __future__ import annotations

import re

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


_STATES = (
    ("syntax error|cannot insert multiple commands", "42601"),
    ("The embedded AWS does not support", "0A000"),
    ("Value too long", "22001"),
    ("Divide by zero", "22012"),
    ("Numeric data overflow", "22003"),
    ("Invalid digit|invalid input syntax", "22P02"),
    ("Cannot insert a NULL value", "23502"),
    ("cannot run inside a transaction block", "25001"),
    ("current transaction is aborted", "25P02"),
    ('prepared statement ".*" already exists', "42P05"),
    ('prepared statement ".*" does not exist', "26000"),
    ('portal ".*" already exists', "42P03"),
    ('portal ".*" does not exist', "34000"),
    ("cached plan must not change", "0A000"),
    ("deadlock detected", "40P01"),
    ("Serializable isolation violation", "40001"),
    ("permission denied", "42501"),
    ("must be type boolean|is of type|cannot be matched", "42804"),
    ("cannot cast type", "42846"),
    ("is ambiguous", "42702"),
    ("because other objects depend on it", "2BP01"),
    ("unrecognized configuration parameter", "42704"),
    ('schema ".*" already exists', "42P06"),
    ("already exists", "42P07"),
    ('schema ".*" does not exist', "3F000"),
    ("(function|operator) .*does not exist", "42883"),
    ('type ".*" does not exist', "42704"),
    ('column ".*" .*does not exist', "42703"),
    ('(relation|Table|View) ".*" does not exist', "42P01"),
)
"""What a message looks like, and the SQLSTATE that PostgreSQL gives it; the first one counts."""


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of a failed statement, as a driver sees it.

    https://www.postgresql.org/docs/8.0/errcodes-appendix.html
    """
    if isinstance(error, Cancelled):
        return "57014"
    if not isinstance(error, SqlError | duckdb.Error | AwsError):
        return "XX000"
    shown = shape(error)
    return next((state for pattern, state in _STATES if re.search(pattern, shown)), "42000")


def shape(error: Exception) -> str:
    """The text of DescribeStatement's ``Error``."""
    if isinstance(error, SqlError):
        return f"ERROR: {error}"
    if isinstance(error, duckdb.Error):
        return f"ERROR: {of_duckdb(error)}"
    if isinstance(error, AwsError):
        return f"ERROR: {error.message}"
    return f"ERROR: {type(error).__name__}: {error}"
