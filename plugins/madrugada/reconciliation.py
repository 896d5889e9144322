"""Are the figures the same in bronze, silver, gold, Athena, Spectrum and Redshift?

Two ways of looking, and both must find nothing. The engines' answers to the same questions are
compared row for row (`differences`). And a table of figures, each from where it is known by itself,
says of every line whether it is equal, or by how much it is not (`Figure`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from madrugada.clients import client

Row = tuple[str, ...]
NULL = "∅"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(E[+-]?[0-9]+)?")

PLACES = ("bronze", "silver", "gold", "Athena", "Spectrum", "Redshift")
ROWS_BY_TABLE = "rows_by_table"
"""The question whose rows are ``table_name, total``: each is a figure of its own."""
FIGURES = ("figure", "total")
"""The columns of any other question whose rows are figures of their own."""

IN_BRONZE = "{dataset}: rows in bronze, as delivered"
IN_SILVER = "{dataset}: rows in the table"
"""The checks of the audit of silver in which Athena counts by itself."""


@dataclass(frozen=True)
class Answer:
    """What one engine says to one question; `rows` sorted, numbers in one notation."""

    engine: str
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One figure, as each place knows it; `values` has at least two places."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := set(self.values) - set(PLACES):
            raise ValueError(f"{self.name}: unknown places {sorted(unknown)}")
        if len(self.values) < 2:
            raise ValueError(f"{self.name}: nothing to compare, known in {list(self.values)} only")

    @property
    def gaps(self) -> list[str]:
        """How each place differs from the first that knows the figure: `Redshift 3 less`."""
        known = [(place, self.values[place]) for place in PLACES if place in self.values]
        (_, first), *others = known
        return [f"{place} {_gap(first, value)}" for place, value in others if value != first]

    @property
    def verdict(self) -> str:
        """`equal`, or by how much not."""
        return ", ".join(self.gaps) or "equal"

    @property
    def difference(self) -> str:
        """The figure, its values and its gaps in a sentence; empty when all are equal."""
        if not self.gaps:
            return ""
        known = ", ".join(
            f"{place} {self.values[place]}" for place in PLACES if place in self.values
        )
        return f"{self.name}: {known} ({self.verdict})"

    def as_json(self) -> dict[str, Any]:
        places = {place.lower(): self.values.get(place) for place in PLACES}
        return {"figure": self.name, **places, "verdict": self.verdict}


def _gap(first: str, other: str) -> str:
    if not (_NUMBER.fullmatch(first) and _NUMBER.fullmatch(other)):
        return f"says {other}"
    gap = Decimal(other) - Decimal(first)
    return f"{abs(gap).normalize():f} {'more' if gap > 0 else 'less'}"


def athena_answer(query_id: str) -> Answer:
    """The rows of an Athena query that has succeeded."""
    paginator = client("athena").get_paginator("get_query_results")
    rows = [
        [cell.get("VarCharValue") for cell in row["Data"]]
        for page in paginator.paginate(QueryExecutionId=query_id)
        for row in page["ResultSet"]["Rows"]
    ]
    return Answer("Athena", normalised(rows[1:]), tuple(rows[0]))


def redshift_answer(engine: str, statement_id: str) -> Answer:
    """The rows of a Data API statement that has finished."""
    paginator = client("redshift-data").get_paginator("get_statement_result")
    pages = list(paginator.paginate(Id=statement_id))
    rows = [[_value(field) for field in record] for page in pages for record in page["Records"]]
    columns = tuple(column["name"] for column in pages[0]["ColumnMetadata"])
    return Answer(engine, normalised(rows), columns)


def audit_checks(query_id: str) -> dict[str, tuple[str, str]]:
    """The checks of an audit that has run: name to ``(expected, actual)``."""
    return {row[0]: (row[1], row[2]) for row in athena_answer(query_id).rows}


def _value(field: dict[str, Any]) -> Any:
    return None if field.get("isNull") else next(iter(field.values()))


def normalised(rows: Iterable[Iterable[Any]]) -> tuple[Row, ...]:
    """Rows as sorted text; a number is the same number however an engine writes it."""
    return tuple(sorted(tuple(_text(value) for value in row) for row in rows))


def _text(value: Any) -> str:
    if value is None:
        return NULL
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


def delivery_figures(
    delivered: Mapping[str, int],
    silver: Mapping[str, Mapping[str, Any]],
    checks: Mapping[str, tuple[str, str]],
) -> list[Figure]:
    """Each dataset from bronze to silver: what was delivered is kept or in quarantine.

    Args:
        delivered: rows of each dataset, by the manifests that know them.
        silver: each dataset's figures, by the silver job's report.
        checks: what Athena found in the audit of silver (see `audit_checks`).

    Raises:
        ValueError: the audit has no count of a dataset.
    """
    figures = []
    for dataset, said in silver.items():
        accounted = said["kept"] + said.get("duplicates", 0) + sum(said["quarantined"].values())
        values = {"silver": _text(accounted), "Athena": _counted(checks, IN_BRONZE, dataset)}
        if dataset in delivered:
            values["bronze"] = _text(delivered[dataset])
        parts = "kept + duplicates" if said.get("duplicates") else "kept"
        figures.append(Figure(f"{dataset}: rows delivered = {parts} + quarantined", values))
        found = _counted(checks, IN_SILVER, dataset)
        figures.append(
            Figure(f"{dataset}: rows in silver", {"silver": _text(said["rows"]), "Athena": found})
        )
    return figures


def _is_number_or_null(value: str) -> bool:
    return value == NULL or _NUMBER.fullmatch(value) is not None


def _counted(checks: Mapping[str, tuple[str, str]], check: str, dataset: str) -> str:
    name = check.format(dataset=dataset)
    if name not in checks:
        raise ValueError(f"the audit of silver has no check {name!r}: it has {sorted(checks)}")
    return checks[name][1]


def answer_figures(
    answers: Mapping[str, Sequence[Answer]],
    gold: Mapping[str, Mapping[str, Any]],
    checks: Mapping[str, tuple[str, str]],
    layers: Mapping[str, str],
) -> list[Figure]:
    """Each engine's figures beside those of silver and gold.

    A question gives a figure for each table (`ROWS_BY_TABLE`) or for each row (`FIGURES`); else its
    number of rows and the sum of each of its columns of numbers but the first, which is what it is
    asked by. Null adds nothing to a sum, as in SQL.

    Args:
        answers: each question's answers.
        gold: each table's figures, by the gold job's report.
        checks: what Athena found in the audit of gold.
        layers: figure to the check that has it as silver (expected) and gold (actual) have it.

    Raises:
        ValueError: `layers` names a figure or a check that there is not.
    """
    found: dict[str, dict[str, str]] = {}
    for question, given in answers.items():
        columns = given[0].columns
        numeric = [
            index
            for index in range(1, len(columns))
            if all(_is_number_or_null(row[index]) for answer in given for row in answer.rows)
        ]
        for answer in given:
            if question == ROWS_BY_TABLE:
                for table, total in answer.rows:
                    found.setdefault(f"{table}: rows", {})[answer.engine] = total
                continue
            if columns == FIGURES:
                for name, total in answer.rows:
                    found.setdefault(name, {})[answer.engine] = total
                continue
            found.setdefault(f"{question}: rows", {})[answer.engine] = _text(len(answer.rows))
            for index in numeric:
                numbers = (Decimal(row[index]) for row in answer.rows if row[index] != NULL)
                added = sum(numbers, Decimal(0))
                name = f"{question}: {columns[index]}"
                found.setdefault(name, {})[answer.engine] = _text(added)
    for table, said in gold.items():
        found.setdefault(f"{table}: rows", {})["gold"] = _text(said["rows"])
    for name, check in layers.items():
        if name not in found or check not in checks:
            raise ValueError(
                f"figure {name!r} should be compared with the check {check!r}: there are figures"
                f" {sorted(found)} and checks {sorted(checks)}"
            )
        expected, actual = checks[check]
        found[name].setdefault("gold", actual)
        found[name]["silver"] = expected
    return [Figure(name, values) for name, values in found.items()]
