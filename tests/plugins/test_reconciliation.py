"""The same answer is the same, however an engine writes it; another one is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madrugada.reconciliation import Answer, _value, differences, normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2450.00", 2450),
        ("2450.00", "2450"),
        ("1E+3", "1000"),
        (Decimal("0.10"), "0.1"),
        (True, "true"),
        (353248720.0, "353248720.00"),
    ],
)
def test_one_value_in_two_notations(one: Any, other: Any) -> None:
    assert normalised([[one]]) == normalised([[other]])


@pytest.mark.parametrize(
    ("one", "other"),
    [("2450.00", "2450.01"), (None, ""), (None, "0"), ("Mouse", "mouse"), ("NaN", "0"), (True, 1)],
)
def test_two_values(one: Any, other: Any) -> None:
    assert normalised([[one]]) != normalised([[other]])


@given(st.lists(st.tuples(st.text(), st.decimals(allow_nan=False, places=2)), max_size=8))
def test_the_order_of_rows_does_not_matter_and_none_is_lost(rows: list[Any]) -> None:
    assert normalised(rows) == normalised(reversed(rows))
    assert len(normalised(rows)) == len(rows)


def test_values_of_the_data_api() -> None:
    assert _value({"isNull": True}) is None
    assert _value({"stringValue": "Mouse"}) == "Mouse"
    assert _value({"longValue": 3}) == 3
    assert _value({"booleanValue": False}) is False


def answer(engine: str, *rows: tuple[Any, ...]) -> Answer:
    return Answer(engine, normalised(rows))


def test_engines_that_agree_leave_nothing_to_say() -> None:
    answers = [answer(e, ("Mouse", "110.00"), ("Laptop", 2450)) for e in ("Athena", "Redshift")]
    assert differences("totals", answers) == []


def test_a_difference_names_the_question_the_engines_and_the_rows() -> None:
    said = differences(
        "totals",
        [
            answer("Athena", ("Mouse", 110), ("Laptop", 2450)),
            answer("Redshift", ("Mouse", 110), ("Laptop", 2400)),
            answer("Spectrum", ("Mouse", 110), ("Laptop", 2450)),
        ],
    )
    assert len(said) == 1
    for part in ("totals", "Athena and Redshift differ", "('Laptop', '2450')", "'2400'"):
        assert part in said[0]


def test_a_row_that_comes_twice_is_a_difference() -> None:
    assert differences(
        "totals", [answer("Athena", ("Mouse", 1)), answer("Spectrum", ("Mouse", 1), ("Mouse", 1))]
    )


def test_one_answer_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        differences("totals", [answer("Athena", ("Mouse", 1))])
