"""How answers are shown."""

from __future__ import annotations

import csv
import io

import pytest

from ops import sql


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> sql.Answer:
    found = (["product", "total"], [['Café, "longo"', "2450.00"], ["", "-3"]])
    monkeypatch.setattr(sql, "ask", lambda settings, engine, query: found)
    return found


def test_csv_reads_back_as_it_was(answer: sql.Answer, capsys: pytest.CaptureFixture[str]) -> None:
    assert sql.main(["--query", "select 1", "--format", "csv"]) == 0
    out = capsys.readouterr().out
    assert list(csv.reader(io.StringIO(out))) == [answer[0], *answer[1]]
    assert "\r" not in out


def test_a_table_has_numbers_to_the_right(
    answer: sql.Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sql.main(["--query", "select 1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if "Café" in line]
    assert "2450.00 │" in row
    (short,) = [line for line in lines if "-3" in line]
    assert short.index("-3") + 2 == row.index("2450.00") + 7


def test_no_row_is_a_table_of_headings(capsys: pytest.CaptureFixture[str]) -> None:
    sql.print_table("", (["product", "total"], []))
    assert "product" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ({"isNull": True}, ""),
        ({"stringValue": "Mouse"}, "Mouse"),
        ({"longValue": 3}, "3"),
        ({"booleanValue": True}, "true"),
    ],
)
def test_values_of_the_data_api(field: dict[str, object], text: str) -> None:
    assert sql._text(field) == text


@pytest.mark.parametrize(
    ("text", "numeric"), [("1", True), ("-1.50", True), ("1.2.3", False), ("x1", False)]
)
def test_what_is_a_number(text: str, numeric: bool) -> None:
    assert sql._is_number(text) is numeric
