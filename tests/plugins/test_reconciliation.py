"""The same answer is the same, however an engine writes it; another one is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from madrugada.reconciliation import (
    FIGURES,
    Answer,
    Figure,
    _value,
    answer_figures,
    delivery_figures,
    differences,
    normalised,
)


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


# A busy machine is slow to make examples; that says nothing of the code.
@settings(suppress_health_check=[HealthCheck.too_slow])
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


# The table of figures


def test_a_figure_says_equal_or_by_how_much_it_is_not() -> None:
    assert Figure("rows", {"silver": "10", "Redshift": "10"}).verdict == "equal"
    assert Figure("rows", {"silver": "10", "Redshift": "10"}).difference == ""
    figure = Figure("rows", {"Redshift": "7", "gold": "10", "Athena": "12.5", "Spectrum": "10"})
    assert figure.verdict == "Athena 2.5 more, Redshift 3 less"
    assert figure.difference == (
        "rows: gold 10, Athena 12.5, Spectrum 10, Redshift 7 (Athena 2.5 more, Redshift 3 less)"
    )
    assert figure.as_json() == {
        "figure": "rows",
        "bronze": None,
        "silver": None,
        "gold": "10",
        "athena": "12.5",
        "spectrum": "10",
        "redshift": "7",
        "verdict": "Athena 2.5 more, Redshift 3 less",
    }


def test_a_figure_that_is_no_number_differs_too() -> None:
    assert Figure("x", {"gold": "10", "Athena": "∅"}).verdict == "Athena says ∅"


def test_a_figure_known_in_one_place_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        Figure("rows", {"gold": "10"})
    with pytest.raises(ValueError, match="unknown places"):
        Figure("rows", {"gold": "10", "athena": "10"})


SILVER = {"sales_data": {"kept": 10, "quarantined": {"price_required": 2}, "rows": 30}}
SILVER_CHECKS = {
    "sales_data: rows in bronze, as delivered": ("12", "12"),
    "sales_data: rows in the table": ("30", "30"),
}


def verdicts(figures: list[Figure]) -> dict[str, str]:
    return {figure.name: figure.verdict for figure in figures}


DELIVERED, IN_TABLE = (
    "sales_data: rows delivered = kept + quarantined",
    "sales_data: rows in silver",
)


def test_what_is_delivered_is_kept_or_in_quarantine() -> None:
    figures = delivery_figures({"sales_data": 12}, SILVER, SILVER_CHECKS)
    assert verdicts(figures) == {DELIVERED: "equal", IN_TABLE: "equal"}
    assert figures[0].values == {"bronze": "12", "silver": "12", "Athena": "12"}
    assert figures[1].values == {"silver": "30", "Athena": "30"}


@pytest.mark.parametrize(
    ("delivered", "changes", "athena", "expected"),
    [
        # A row that the job neither kept nor put in quarantine
        (12, {"kept": 9}, "12", {DELIVERED: "silver 1 less", IN_TABLE: "equal"}),
        (12, {"quarantined": {}}, "12", {DELIVERED: "silver 2 less", IN_TABLE: "equal"}),
        # The job's own word for what was delivered is not asked
        (13, {"delivered": 12}, "13", {DELIVERED: "silver 1 less", IN_TABLE: "equal"}),
        # Athena reads another number of lines from bronze
        (12, {}, "11", {DELIVERED: "Athena 1 less", IN_TABLE: "equal"}),
        (12, {"rows": 31}, "12", {DELIVERED: "equal", IN_TABLE: "Athena 1 less"}),
    ],
)
def test_a_row_that_is_lost_between_bronze_and_silver_is_seen(
    delivered: int, changes: dict[str, Any], athena: str, expected: dict[str, str]
) -> None:
    silver = {"sales_data": {**SILVER["sales_data"], **changes}}
    checks = {**SILVER_CHECKS, "sales_data: rows in bronze, as delivered": ("12", athena)}
    figures = delivery_figures({"sales_data": delivered}, silver, checks)
    assert verdicts(figures) == expected


def test_an_audit_that_did_not_count_a_dataset_is_named() -> None:
    with pytest.raises(ValueError, match="no check 'sales_data: rows in bronze, as delivered'"):
        delivery_figures({"sales_data": 12}, SILVER, {})


GOLD = {"processed_sales": {"rows": 10}, "wide_vendas": {"rows": 3}}
GOLD_CHECKS = {
    "processed_sales: rows": ("10", "10"),
    "processed_sales: total value": ("150", "150"),
}
LAYERS = {
    "processed_sales: rows": "processed_sales: rows",
    "total_by_product: total_value": "processed_sales: total value",
}


def asked(**changes: list[tuple[Any, ...]]) -> dict[str, list[Answer]]:
    """Both questions' answers by three engines; Redshift's rows can be changed."""
    rows: dict[str, list[tuple[Any, ...]]] = {
        "rows_by_table": [("processed_sales", 10), ("wide_vendas", 3)],
        "total_by_product": [("Mouse", "110.00"), ("007", "40.00")],
    }
    columns = {
        "rows_by_table": ("table_name", "total"),
        "total_by_product": ("product", "total_value"),
    }
    return {
        question: [
            Answer(
                engine,
                normalised(changes.get(question, rows[question]) if engine == "Redshift" else
                           rows[question]),
                columns[question],
            )
            for engine in ("Athena", "Redshift", "Spectrum")
        ]
        for question in rows
    }  # fmt: skip


def test_the_figures_of_the_engines_stand_beside_those_of_silver_and_gold() -> None:
    figures = answer_figures(asked(), GOLD, GOLD_CHECKS, LAYERS)
    assert {figure.name: figure.values for figure in figures} == {
        "processed_sales: rows": {
            "silver": "10", "gold": "10", "Athena": "10", "Redshift": "10", "Spectrum": "10",
        },
        "wide_vendas: rows": {"gold": "3", "Athena": "3", "Redshift": "3", "Spectrum": "3"},
        "total_by_product: rows": {"Athena": "2", "Redshift": "2", "Spectrum": "2"},
        "total_by_product: total_value": {
            "silver": "150", "gold": "150", "Athena": "150", "Redshift": "150", "Spectrum": "150",
        },
    }  # fmt: skip
    assert set(verdicts(figures).values()) == {"equal"}


def test_null_adds_nothing_to_a_sum() -> None:
    """Sales of a product that nobody delivered yet have no price, and so no total."""
    rows = {"total_by_product": [("Mouse", "110.00"), (None, None), ("007", "40.00")]}
    answers = {
        question: [
            Answer(one.engine, normalised(rows.get(question, one.rows)), one.columns)
            for one in given
        ]
        for question, given in asked().items()
    }
    found = verdicts(answer_figures(answers, GOLD, GOLD_CHECKS, LAYERS))
    assert found["total_by_product: total_value"] == "equal"
    (total,) = [
        figure
        for figure in answer_figures(answers, GOLD, GOLD_CHECKS, LAYERS)
        if figure.name == "total_by_product: total_value"
    ]
    assert set(total.values.values()) == {"150"}


def test_a_difference_is_seen_wherever_it_is() -> None:
    found = verdicts(
        answer_figures(
            asked(
                rows_by_table=[("processed_sales", 9), ("wide_vendas", 3)],
                total_by_product=[("Mouse", "110.50"), ("007", "40.00")],
            ),
            {**GOLD, "wide_vendas": {"rows": 4}},
            {**GOLD_CHECKS, "processed_sales: rows": ("11", "10")},
            LAYERS,
        )
    )
    assert found == {
        "processed_sales: rows": "gold 1 less, Athena 1 less, Spectrum 1 less, Redshift 2 less",
        "wide_vendas: rows": "Athena 1 less, Spectrum 1 less, Redshift 1 less",
        "total_by_product: rows": "equal",
        "total_by_product: total_value": "Redshift 0.5 more",
    }


def test_a_table_that_one_engine_does_not_have_is_seen() -> None:
    figures = answer_figures(asked(rows_by_table=[("processed_sales", 10)]), GOLD, {}, {})
    (wide,) = [figure for figure in figures if figure.name == "wide_vendas: rows"]
    assert "Redshift" not in wide.values
    # The rows themselves are compared too, and there it is missing.
    assert differences(
        "rows_by_table", asked(rows_by_table=[("processed_sales", 10)])["rows_by_table"]
    )


@pytest.mark.parametrize(
    "layers",
    [{"no_such: figure": "processed_sales: rows"}, {"processed_sales: rows": "no such check"}],
)
def test_a_figure_that_is_to_be_compared_and_is_not_there_is_named(layers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no.such"):
        answer_figures(asked(), GOLD, GOLD_CHECKS, layers)


def test_duplicates_that_a_contract_counts_are_accounted_for() -> None:
    said = {"events": {"kept": 9, "duplicates": 2, "quarantined": {"json": 1}, "rows": 9}}
    checks = {
        "events: rows in bronze, as delivered": ("12", "12"),
        "events: rows in the table": ("9", "9"),
    }
    delivered, rows = delivery_figures({}, said, checks)
    assert delivered.name == "events: rows delivered = kept + duplicates + quarantined"
    assert dict(delivered.values) == {"silver": "12", "Athena": "12"}
    assert rows.verdict == "equal"


def test_a_question_of_figures_gives_each_of_them() -> None:
    answers = {
        "totals": [
            Answer("Athena", normalised([("sessions", 7), ("sessions: cookies", 5)]), FIGURES),
            Answer("Redshift", normalised([("sessions", 8), ("sessions: cookies", 5)]), FIGURES),
        ]
    }
    found = {figure.name: figure.verdict for figure in answer_figures(answers, {}, {}, {})}
    assert found == {"sessions": "Redshift 1 more", "sessions: cookies": "equal"}
