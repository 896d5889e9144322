"""What the contract says of a file's bytes, read in plain Python and as simply as can be.

Shares nothing with the function and the jobs but the compiled contract; what they make of a file is
held against it.
"""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

csv.field_size_limit(sys.maxsize)
DATES = {
    "dd/MM/yyyy": ("([0-9]{2})/([0-9]{2})/([0-9]{4})", "dmy"),
    "M/d/yyyy": ("([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", "mdy"),
    "yyyy-MM-dd": ("([0-9]{4})-([0-9]{2})-([0-9]{2})", "ymd"),
}


class Wrong(Exception):
    """The text is not of the type."""


@dataclass
class Row:
    """One line after the header. `values` is None when it belongs in quarantine."""

    line: int
    raw: str
    why: str = ""
    values: tuple[Any, ...] | None = None
    warnings: set[str] = field(default_factory=set)
    rescued: dict[str, str] = field(default_factory=dict)


def lines_of(content: bytes) -> list[str]:
    """Lines end with LF alone; CRs before it belong to the end, and so does a mark at the start."""
    lines = content.decode("utf-8").removeprefix("\ufeff").split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.rstrip("\r") for line in lines]


def fields_of(line: str, delimiter: str) -> list[str] | None:
    """None when a quote is open at the end, or something stands beside a quoted field."""
    # To the csv module a CR ends a row; here it is a character like others.
    spare = next(chr(n) for n in range(0xE000, 0xF8FF) if chr(n) not in line)
    rows = csv.reader([line.replace("\r", spare)], delimiter=delimiter, strict=True)
    try:
        return [text.replace(spare, "\r") for text in next(rows, [""])]
    except csv.Error:
        return None


def rows_of(content: bytes, dataset: dict[str, Any]) -> list[Row]:
    """Every line after the header, by the contract's rules but the references."""
    lines = lines_of(content)
    header = [name.strip() for name in fields_of(lines[0], dataset["delimiter"]) or []]
    return [_row(n, line, header, dataset) for n, line in enumerate(lines[1:], 2)]


def kept(rows: list[Row], key: int) -> dict[Any, Row]:
    """The rows that are not in quarantine, the last of each key."""
    return {row.values[key]: row for row in rows if row.values is not None}


def _row(number: int, line: str, header: list[str], dataset: dict[str, Any]) -> Row:
    row = Row(number, line)
    fields = fields_of(line, dataset["delimiter"])
    if fields is None or len(fields) != len(header):
        row.why = "not as many well quoted fields as the header"
        return row
    cells = dict(zip(header, fields, strict=True))
    texts: dict[str, str | None] = {}
    values: dict[str, Any] = {}
    wrong: set[str] = set()
    for column in dataset["columns"]:
        name, text = column["name"], cells.get(column["header"], "")
        text = text if column["type"] == "string" else text.strip(" ")
        texts[name] = text if text.strip(" ") else None
        try:
            values[name] = None if texts[name] is None else _typed(text, column)
        except Wrong:
            values[name] = None
            wrong.add(name)
    for rule in dataset["rules"]:
        if rule["kind"] == "reference" or not _broken(rule, texts, values, wrong):
            continue
        if rule["severity"] == "error":
            row.why = row.why or rule["id"]
        else:
            row.warnings.add(rule["id"])
    if not row.why:
        row.values = tuple(values.values())
        known = {column["header"] for column in dataset["columns"]}
        row.rescued = {k: v for k, v in cells.items() if k not in known and v.strip(" ")}
    return row


def _typed(text: str, column: dict[str, Any]) -> Any:
    kind = column["type"]
    if kind == "string":
        return text
    if kind == "int":
        if re.fullmatch("[+-]?[0-9]+", text) and -(2**31) <= int(text) < 2**31:
            return int(text)
    elif kind == "decimal(12,2)":
        if re.fullmatch("[+-]?[0-9]{1,10}([.][0-9]{1,2})?", text):
            return Decimal(text)
    elif kind == "boolean":
        if text in (column["true_value"], column["false_value"]):
            return text == column["true_value"]
    elif kind == "date":
        pattern, order = DATES[column["format"]]
        if match := re.fullmatch(pattern, text):
            parts = dict(zip(order, map(int, match.groups()), strict=True))
            try:
                return date(parts["y"], parts["m"], parts["d"])
            except ValueError as error:
                raise Wrong from error
    else:
        raise AssertionError(f"no plain reading of {kind}")
    raise Wrong


def _broken(
    rule: dict[str, Any], texts: dict[str, str | None], values: dict[str, Any], wrong: set[str]
) -> bool:
    kind, name, parameters = rule["kind"], rule["column"], rule["parameters"]
    if kind == "product_maximum":
        factors = [values[column] for column in parameters["columns"]]
        if None in factors:
            return False
        product = Decimal(1)
        for factor in factors:
            product *= factor
        return product > Decimal(parameters["value"])
    text, value = texts[name], values[name]
    if kind == "required":
        return text is None
    if kind == "type":
        return name in wrong
    if kind == "max_bytes":
        return text is not None and len(text.encode()) > parameters["value"]
    if kind == "allowed":
        return text is not None and text not in parameters["values"]
    if value is None:
        return False
    limit = parameters["value"]
    bound = date.fromisoformat(limit) if isinstance(value, date) else Decimal(limit)
    if kind == "minimum":
        return value < bound
    if kind == "maximum":
        return value > bound
    raise AssertionError(f"no plain reading of {kind}")
