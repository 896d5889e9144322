"""Do Athena, Spectrum and Redshift give the same answers to the same questions?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airflow.providers.amazon.aws.hooks.athena import AthenaHook
from airflow.providers.amazon.aws.hooks.redshift_data import RedshiftDataHook

Row = tuple[str, ...]
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(E[+-]?[0-9]+)?")


@dataclass(frozen=True)
class Answer:
    """What one engine says to one question; `rows` sorted, numbers in one notation."""

    engine: str
    rows: tuple[Row, ...]


def athena_answer(query_id: str) -> Answer:
    """The rows of an Athena query that has succeeded."""
    pages = AthenaHook().get_query_results_paginator(query_id)
    assert pages is not None, f"Athena query {query_id} has no result"
    rows = [
        [cell.get("VarCharValue") for cell in row["Data"]]
        for page in pages
        for row in page["ResultSet"]["Rows"]
    ]
    return Answer("Athena", normalised(rows[1:]))


def redshift_answer(engine: str, statement_id: str) -> Answer:
    """The rows of a Data API statement that has finished."""
    pages = RedshiftDataHook().conn.get_paginator("get_statement_result").paginate(Id=statement_id)
    rows = [[_value(field) for field in record] for page in pages for record in page["Records"]]
    return Answer(engine, normalised(rows))


def _value(field: dict[str, Any]) -> Any:
    return None if field.get("isNull") else next(iter(field.values()))


def normalised(rows: Iterable[Iterable[Any]]) -> tuple[Row, ...]:
    """Rows as sorted text; a number is the same number however an engine writes it."""
    return tuple(sorted(tuple(_text(value) for value in row) for row in rows))


def _text(value: Any) -> str:
    if value is None:
        return "∅"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    # Only what an engine would print for a number: a product called 007 is not a 7.
    if _NUMBER.fullmatch(text):
        return f"{Decimal(text).normalize():f}"
    return text


def differences(question: str, answers: list[Answer]) -> list[str]:
    """One sentence for each engine that does not say what the first one says.

    Raises:
        ValueError: fewer than two answers, which would agree with anything.
    """
    if len(answers) < 2:
        raise ValueError(f"{question}: nothing to compare, {len(answers)} answer(s)")
    first, *others = answers
    said = []
    for other in others:
        if other.rows == first.rows:
            continue
        only_first = [row for row in first.rows if row not in other.rows][:3]
        only_other = [row for row in other.rows if row not in first.rows][:3]
        said.append(
            f"{question}: {first.engine} and {other.engine} differ;"
            f" only {first.engine}: {only_first}; only {other.engine}: {only_other}"
        )
    return said
