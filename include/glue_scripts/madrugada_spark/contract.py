"""The compiled contracts (`contracts.json`) as the jobs use them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

FORMAT = 1


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
    delimiter: str = ";"
    max_quarantined_percent: float = 100.0
    rules: tuple[Rule, ...] = ()
    built_from: tuple[str, ...] = ()
    partition_column: str | None = None
    """The date column by whose months a version's files are kept apart; None: in one folder."""

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def references(self) -> list[Rule]:
        return [rule for rule in self.rules if rule.kind == "reference"]

    @property
    def headers(self) -> tuple[str, ...]:
        """The columns' names in a delivered file, in the contract's order."""
        return tuple(str(column.header) for column in self.columns)

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
        return [name for name in header if name not in self.headers]

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
        sources={name: tuple(entries) for name, entries in document["sources"].items()},
    )


def _dataset(entry: dict[str, Any]) -> Dataset:
    known = ("source", "file_name", "delimiter", "max_quarantined_percent")
    columns = ("name", "type", "required", "header", "format", "true_value", "false_value")
    return Dataset(
        name=entry["name"],
        key=tuple(entry["key"]),
        columns=tuple(
            Column(**{name: column[name] for name in columns}) for column in entry["columns"]
        ),
        glue_columns=tuple((c["Name"], c["Type"]) for c in entry["glue_columns"]),
        rules=tuple(
            Rule(r["id"], r["kind"], r["severity"], r["column"], r["parameters"])
            for r in entry.get("rules", ())
        ),
        built_from=tuple(entry.get("built_from", ())),
        partition_column=(entry["partition"] or {}).get("column"),
        **{name: entry[name] for name in known if name in entry},
    )
