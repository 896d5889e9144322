"""Every SQL file is used, is one statement, and parses in its engine's dialect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import sqlglot
from sqlglot import exp

from include.contracts.compile import load_contracts
from madrugada.staging import candidate
from tests.dags.conftest import SQL

FILES = sorted(path.relative_to(SQL) for path in SQL.rglob("*.sql"))
FOR_PEOPLE = {
    Path("redshift/join_warehouse_with_lake.sql"),
    Path("redshift/clickstream/product_views_by_campaign.sql"),
}
"""Shown in the documents as a query to ask; no task runs them."""

NOT_IN_SQLGLOT = {Path("redshift/schema/create_external_schema.sql")}
"""Statements that sqlglot 30 keeps as opaque commands."""

VERSION = "jr_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
CONTRACTS = {c.name: c for c in load_contracts().values()}
NIGHT = {
    "delivery_date": "2026-01-05",
    "sources": "orders,stores",
    "datasets": {name: list(c.key) for name, c in CONTRACTS.items() if c.layer == "silver"},
    "open": True,
}
REPORT = {
    "datasets": {
        name: {
            "delivered": 10,
            "kept": 9,
            "rows": 9,
            "inserted": 9,
            "updated": 0,
            "duplicates": 0,
            "references": [
                {
                    "rule": rule.id,
                    "column": rule.column,
                    "dataset": rule.parameters["dataset"],
                    "to": rule.parameters["to"],
                }
                for rule in CONTRACTS[name].rules
                if rule.kind == "reference"
            ],
        }
        for name in NIGHT["datasets"]
    },
    "match": {
        "catalogue_films": 3,
        "tmdb_films": 3,
        "films_matched": 2,
        "pairs": 4,
    },
    "tables": {
        name: {"rows": 9, "key": list(contract.key), "columns": ["id"]}
        for name, contract in CONTRACTS.items()
        if contract.layer == "gold"
    },
}


class TaskInstance:
    def xcom_pull(self, task_ids: str) -> Any:
        return {
            "plan_night": NIGHT,
            "build_silver": VERSION,
            "build_gold": VERSION,
            "compact_silver": VERSION,
            "compact_gold": VERSION,
        }[task_ids]


PARAMS = [
    {
        "schema": "sales_schema",
        "layer": "silver",
        "quarantine": "quarantine",
        "glue_database": "madrugada_gold",
        "bronze_bucket": "bronze",
        "gold_bucket": "gold",
        "role": "arn:aws:iam::1:role/r",
    },
    {
        "schema": "spectrum",
        "layer": "gold",
        "quarantine": "quarantine",
        "glue_database": "madrugada_gold",
        "bronze_bucket": "bronze",
        "gold_bucket": "gold",
        "role": "arn:aws:iam::1:role/r",
    },
]


def render(path: Path, params: dict[str, str]) -> str:
    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(SQL), undefined=jinja2.StrictUndefined
    )
    return environment.get_template(str(path)).render(
        ti=TaskInstance(),
        params=params,
        candidate=candidate,
        job_report=lambda layer, version: REPORT,
    )


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one)


def given(task: Any) -> Any:
    """What the DAG file gives to a task's templated fields."""
    if not task.is_mapped:
        return [getattr(task, name, None) for name in task.template_fields]
    expanded = getattr(task.expand_input, "value", None)
    return [task.partial_kwargs, expanded if isinstance(expanded, dict) else {}]


def referenced(dag: Any) -> set[Path]:
    """The SQL files that the DAG's tasks name; Airflow may have put their text in already."""
    texts = {(SQL / path).read_text(): path for path in FILES}
    found = set()
    for task in dag.tasks:
        for text in strings(given(task)):
            if text in texts:
                found.add(texts[text])
            elif text.endswith(".sql"):
                found.add(Path(text))
    return found


def test_there_are_sql_files() -> None:
    assert {path.parts[0] for path in FILES} == {"athena", "redshift"}


def test_every_file_that_a_task_names_exists(dags: dict[str, Any]) -> None:
    named = set().union(*(referenced(dag) for dag in dags.values()))
    assert named - set(FILES) == set()


def test_every_file_is_named_by_a_task(dags: dict[str, Any]) -> None:
    named = set().union(*(referenced(dag) for dag in dags.values()))
    assert set(FILES) - named == FOR_PEOPLE


@pytest.mark.parametrize("params", PARAMS, ids=lambda p: p["schema"])
@pytest.mark.parametrize("path", FILES, ids=str)
def test_it_is_one_statement_of_its_dialect(path: Path, params: dict[str, str]) -> None:
    statements = sqlglot.parse(render(path, params), dialect=path.parts[0])
    assert len(statements) == 1
    (statement,) = statements
    assert statement is not None
    assert isinstance(statement, exp.Command) == (path in NOT_IN_SQLGLOT)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_lines_are_short_and_in_lower_case(path: Path) -> None:
    text = (SQL / path).read_text()
    assert text.endswith("\n")
    assert max(len(line) for line in text.splitlines()) <= 100
    tokens = sqlglot.tokenize(render(path, PARAMS[0]), dialect=path.parts[0])
    words = [token.text for token in tokens if token.token_type.value == token.text.upper()]
    assert [word for word in words if word != word.lower()] == []


@pytest.mark.parametrize("path", [p for p in FILES if p.parts[1] == "validation"], ids=str)
def test_each_question_is_asked_of_both_engines(path: Path) -> None:
    other = {"athena": "redshift", "redshift": "athena"}[path.parts[0]]
    assert Path(other, *path.parts[1:]) in FILES
    columns = [
        one.named_selects
        for engine in ("athena", "redshift")
        for one in sqlglot.parse(render(Path(engine, *path.parts[1:]), PARAMS[0]), dialect=engine)
    ]
    assert columns[0] == columns[1]


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.parts[:2] == ("redshift", "schema")], ids=str
)
def test_the_warehouse_s_tables_are_as_their_contracts_say(path: Path) -> None:
    if path.stem not in CONTRACTS:
        assert path.stem.startswith("create_")
        return
    assert (SQL / path).read_text().strip() == CONTRACTS[path.stem].redshift_ddl()


@pytest.mark.parametrize("path", [p for p in FILES if p.parts[1] == "audit"], ids=str)
def test_an_audit_gives_check_expected_actual(path: Path) -> None:
    (statement,) = sqlglot.parse(render(path, PARAMS[0]), dialect="athena")
    assert statement.named_selects == ["check", "expected", "actual"]
