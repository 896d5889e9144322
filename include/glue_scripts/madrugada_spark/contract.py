"""The compiled contracts (`contracts.json`) as the jobs use them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

FORMAT = 1
COUNTED = "counted"
"""Duplicates that are a matter of course are counted; all others go to quarantine."""
JSON_LINES = "jsonl"


class JobError(Exception):
    """The job cannot go on; the message says which file, table or value, and what was expected."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    required: bool
    header: str | None = None
    format: str | None = None
    true_value: str | None = None
    false_value: str | None = None
    privacy: str | None = None
    """What is done to the value before it is written, a function of `privacy`; None: nothing."""
    value_of: str | None = None
    """`delivery_date` for a column that no file has."""


@dataclass(frozen=True)
class Rule:
    id: str
    kind: str
    severity: str
    column: str | None
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Dataset:
    """A delivered dataset and its silver table, or a gold table (no source, no rules)."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    glue_columns: tuple[tuple[str, str], ...]
    source: str = ""
    file_name: str = ""
    file_format: str = "csv"
    delimiter: str | None = ";"
    null_text: str | None = None
    """What stands in a file where there is no value, beside nothing at all."""
    duplicates: str = "quarantined"
    min_rows: int = 0
    max_quarantined_percent: float = 100.0
    rules: tuple[Rule, ...] = ()
    built_from: tuple[str, ...] = ()
    partition_column: str | None = None
    """The date column by which a version's files are kept apart; None: in one folder."""
    partition_by: str | None = None
    """`month` or `day`."""
    left_in_bronze: tuple[str, ...] = ()
    """Headers that a file may have, and silver has no column for."""

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def folders(self) -> dict[str, Any]:
        """By what `write_parquet` keeps files apart."""
        return {f"{by}s_of": self.partition_column for by in (self.partition_by,) if by}

    @property
    def references(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.kind == "reference"]

    @property
    def headers(self) -> tuple[str, ...]:
        """The columns' names in a delivered file, in the contract's order."""
        return tuple(str(column.header) for column in self.delivered_columns)

    @property
    def delivered_columns(self) -> tuple[Column, ...]:
        """Those that a file has; of a gold table, all."""
        return tuple(column for column in self.columns if column.value_of is None)

    @property
    def private_columns(self) -> tuple[Column, ...]:
        """Those whose delivered values must not be written as they are."""
        return tuple(column for column in self.columns if column.privacy is not None)

    @property
    def required_headers(self) -> frozenset[str]:
        """Those without which every row would be rejected."""
        return frozenset(
            str(self.column(str(rule.column)).header)
            for rule in self.rules
            if rule.kind == "required" and rule.severity == "error"
        )

    def new_columns(self, header: Iterable[str]) -> list[str]:
        """What a file's header has and the contract does not know, in the file's order."""
        known = {*self.headers, *self.left_in_bronze}
        return [name for name in header if name not in known]

    def missing_columns(self, header: Iterable[str]) -> list[str]:
        """What the contract knows and a file's header does not have, in the contract's order."""
        there = set(header)
        return [name for name in self.headers if name not in there]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class Contracts:
    datasets: dict[str, Dataset]
    gold: dict[str, Dataset]
    sources: dict[str, tuple[str, ...]]

    def datasets_of(self, sources: Iterable[str]) -> list[Dataset]:
        """The datasets of these sources, each after those it references.

        :raises JobError: for a source that no contract names.
        """
        chosen = list(sources)
        unknown = [source for source in chosen if source not in self.sources]
        if unknown or not chosen:
            raise JobError(
                f"--sources: expected a comma list of {', '.join(self.sources)}, "
                f"found {','.join(chosen) or 'nothing'}"
            )
        return [dataset for dataset in self.datasets.values() if dataset.source in chosen]

    def gold_of(self, sources: Iterable[str]) -> list[Dataset]:
        """The gold tables that can be built from these sources alone."""
        chosen = set(sources)
        self.datasets_of(chosen)
        return [table for table in self.gold.values() if set(table.built_from) <= chosen]


def read_contracts(text: str | bytes) -> Contracts:
    """Parses `contracts.json`.

    :raises JobError: when it was compiled by another version of the project.
    """
    document = json.loads(text)
    if document.get("format") != FORMAT:
        raise JobError(
            f"contracts.json: expected format {FORMAT}, found {document.get('format')!r}; "
            "deploy the contracts and the jobs of one version together"
        )
    return Contracts(
        datasets={name: _dataset(entry) for name, entry in document["datasets"].items()},
        gold={name: _dataset(entry) for name, entry in document["gold"].items()},
        sources={
            name: tuple(entries)
            for kind in ("sources", "streams", "fetched")
            for name, entries in document[kind].items()
        },
    )


def _dataset(entry: dict[str, Any]) -> Dataset:
    known = (
        "source",
        "file_name",
        "file_format",
        "delimiter",
        "null_text",
        "duplicates",
        "max_quarantined_percent",
        "min_rows",
    )
    columns = (
        "name",
        "type",
        "required",
        "header",
        "format",
        "true_value",
        "false_value",
        "privacy",
        "value_of",
    )
    return Dataset(
        name=entry["name"],
        key=tuple(entry["key"]),
        columns=tuple(
            Column(**{name: column[name] for name in columns})
            for column in entry["columns"]
            if column["in_silver"]
        ),
        left_in_bronze=tuple(c["header"] for c in entry["columns"] if not c["in_silver"]),
        glue_columns=tuple((c["Name"], c["Type"]) for c in entry["glue_columns"]),
        rules=tuple(
            Rule(r["id"], r["kind"], r["severity"], r["column"], r["parameters"])
            for r in entry.get("rules", ())
        ),
        built_from=tuple(entry.get("built_from", ())),
        partition_column=(entry["partition"] or {}).get("column"),
        partition_by=(entry["partition"] or {}).get("by"),
        **{name: entry[name] for name in known if name in entry},
    )
