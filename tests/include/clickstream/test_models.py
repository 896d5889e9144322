"""The dbt models against plain Python, on both targets, whole and incrementally, in any order."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from ops import dbt_graph
from tests.include.clickstream import reference, shop_events
from tests.include.clickstream.conftest import (
    DAYS,
    MODELS,
    NIGHTS,
    SPECTRUM_QUERY,
    Built,
    delete_and_insert,
    expected,
    from_duckdb,
    from_redshift,
    in_order,
    product_views_by_campaign,
)
from tests.include.clickstream.dbt_process import PROJECT

# All of dbt: make test-pipelines.
pytestmark = pytest.mark.slow

TARGETS = ("duckdb", "redshift")


def unit_tests() -> set[str]:
    return {
        test["name"]
        for path in PROJECT.glob("models/**/*.unit_tests.yml")
        for test in yaml.safe_load(path.read_text())["unit_tests"]
    }


def test_the_unit_tests_pass(built: Built) -> None:
    assert len(unit_tests()) == 7
    states = built.shop.dbt("duckdb", "test", "--select", "test_type:unit")
    assert states == dict.fromkeys(unit_tests(), "pass")


@pytest.mark.parametrize("target", TARGETS)
def test_incrementally_they_are_what_the_reference_says(built: Built, target: str) -> None:
    found = built.shop.built(target)
    for model, rows in expected(built.events).items():
        assert found[model] == in_order(rows), model
        assert len(rows) >= DAYS
        assert list(found[model][0]) == list(rows[0])


def test_both_targets_compiled_sql_gives_the_same_rows(built: Built) -> None:
    """Redshift's by the Data API, DuckDB's in DuckDB; whole, from the same Parquet files."""
    with duckdb.connect(built.shop.duckdb, read_only=True) as connection:
        for model in ("stg_events", *MODELS):
            one = from_redshift(built.shop.warehouse, built.first["redshift"][model])
            other = from_duckdb(connection, built.first["duckdb"][model])
            if model == "stg_events":
                key = lambda row: row["event_id"]  # noqa: E731
                one, other = sorted(one, key=key), sorted(other, key=key)
                assert len(one) == len(built.events)
            else:
                assert one == in_order(expected(built.events)[model])
            assert one == other, model


@pytest.mark.parametrize("target", TARGETS)
def test_where_nothing_changed_nothing_is_rebuilt(built: Built, target: str) -> None:
    sql = built.again[target]["sessions"]
    assert sql != built.first[target]["sessions"]
    if target == "redshift":
        assert from_redshift(built.shop.warehouse, sql) == []
    else:
        with duckdb.connect(built.shop.duckdb, read_only=True) as connection:
            assert from_duckdb(connection, sql) == []


def test_the_dag_s_graph_is_dbt_s(built: Built) -> None:
    """`make docs` writes it anew."""
    manifest = json.loads((built.shop.folder / "redshift" / "manifest.json").read_text())
    assert (PROJECT / "graph.json").read_text() == dbt_graph.text(manifest)


def test_the_lake_joins_with_conversions_without_being_loaded(built: Built) -> None:
    conversions = reference.conversions(reference.sessions(built.events))
    wanted = product_views_by_campaign(built.events, conversions)
    assert len(wanted) > 4
    assert built.shop.warehouse.rows(SPECTRUM_QUERY.read_text()) == wanted


def described() -> dict[str, dict[str, Any]]:
    models = [
        model
        for path in PROJECT.glob("models/**/*.yml")
        for model in yaml.safe_load(path.read_text()).get("models", [])
    ]
    return {model["name"]: model for model in models}


def test_every_column_is_described(built: Built) -> None:
    models = described()
    assert set(models) == {path.stem for path in PROJECT.glob("models/**/*.sql")}
    with duckdb.connect(built.shop.duckdb, read_only=True) as connection:
        for name, model in models.items():
            assert "Grain: " in model["description"]
            cursor = connection.execute(f"select * from clickstream.{name} limit 0")
            columns = [column[0] for column in cursor.description or ()]
            assert [column["name"] for column in model["columns"]] == columns
            assert all(column["description"] for column in model["columns"])


def test_sql_is_in_lower_case_and_narrow() -> None:
    files = [*PROJECT.glob("models/**/*.sql"), *PROJECT.glob("tests/*.sql")]
    assert len(files) == 6
    for path in files:
        text = path.read_text()
        assert max(len(line) for line in text.splitlines()) <= 80, path
        code = [line for line in text.splitlines() if not line.startswith("--")]
        assert not {"SELECT", "FROM", "WHERE"} & set(" ".join(code).split()), path


class Nights:
    """Events of six nights, and what dbt does with its compiled SQL, in a DuckDB of its own."""

    def __init__(self, folder: Path, built: Built, count: int) -> None:
        self.first, self.again = built.first["duckdb"], built.again["duckdb"]
        self.rows = shop_events.deliveries(count, days=6, seed=2)
        shop_events.write_parquet(self.rows, folder / "rows.parquet")
        # The compiled names begin with the file's.
        self.connection = duckdb.connect(folder / built.shop.duckdb.name)
        self.sql(f"create table deliveries as from '{folder / 'rows.parquet'}'")
        source = f"read_parquet('{built.shop.events}')"
        assert source in self.first["stg_events"]
        self.staging = self.first["stg_events"].replace(source, "silver_events")

    def sql(self, statement: str) -> duckdb.DuckDBPyConnection:
        return self.connection.execute(statement)

    def begin(self) -> None:
        self.sql("drop schema if exists clickstream cascade")
        self.sql("create schema clickstream")
        self.sql("create or replace table silver_events as from deliveries limit 0")
        self.sql(f"create view clickstream.stg_events as {self.staging}")

    def run(self, nights: set[date]) -> None:
        """The models, when these nights are in silver."""
        days = ", ".join(f"date '{night}'" for night in nights)
        self.sql(
            "create or replace table silver_events as from deliveries"
            f" where landing_date in ({days}) qualify"
            " row_number() over (partition by event_id order by landing_date desc) = 1"
        )
        if self.tables():
            for statement in delete_and_insert(self.again["sessions"]):
                self.sql(statement)
        else:
            self.sql(f"create table clickstream.sessions as {self.first['sessions']}")
        for model in ("conversions", "funnel_by_day"):
            self.sql(f"create or replace table clickstream.{model} as {self.again[model]}")

    def tables(self) -> list[Any]:
        return self.sql(
            "select table_name from duckdb_tables() where schema_name = 'clickstream'"
        ).fetchall()

    def differ_from_a_full_refresh(self) -> int:
        """Sessions that a full refresh has and the table has not, and the other way round."""
        self.sql(f"create or replace temp table whole as {self.first['sessions']}")
        ((count,),) = self.sql(
            "select count(*) from ((from whole except all from clickstream.sessions)"
            " union all (from clickstream.sessions except all from whole))"
        ).fetchall()
        return int(count)


@pytest.fixture(scope="module", params=[5000, pytest.param(50_000, marks=pytest.mark.slow)])
def nights(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, built: Built
) -> Nights:
    return Nights(tmp_path_factory.mktemp("nights"), built, request.param)


@pytest.fixture(scope="module")
def truth(nights: Nights) -> dict[str, list[shop_events.Row]]:
    """The models' rows when all six nights are in; what was delivered again later is not."""
    days = {shop_events.FIRST_DAY + timedelta(days=number) for number in range(6)}
    found = expected(shop_events.silver(nights.rows, days))
    return {model: in_order(rows) for model, rows in found.items()}


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [4, 0, 5, 0, 2, 1, 4, 3, 3]], ids=str)
def test_nights_in_any_order_give_what_the_reference_says(
    nights: Nights, truth: dict[str, list[shop_events.Row]], order: list[int]
) -> None:
    nights.begin()
    loaded: set[date] = set()
    for number in order:
        loaded.add(shop_events.FIRST_DAY + timedelta(days=number))
        nights.run(loaded)
        if len(loaded) == 4:
            assert nights.differ_from_a_full_refresh() == 0
            # A rollback of silver: cookies of the other nights are not there any more.
            nights.run({max(loaded)})
            assert nights.differ_from_a_full_refresh() == 0
    for model in MODELS:
        found = from_duckdb(nights.connection, f"from clickstream.{model}")
        assert found == truth[model], model
    assert nights.differ_from_a_full_refresh() == 0
    assert len(truth["sessions"]) > len(nights.rows) // 5
    assert len(truth["conversions"]) > len(nights.rows) // 25


@pytest.mark.slow
def test_dbt_itself_on_redshift(built: Built) -> None:
    """Models, tests and unit tests of the whole project, anew and incrementally, by the wire.

    Cookies that silver has no more lose their sessions.
    """
    shop = built.shop
    tests = {"sessions_hold_every_event", "funnel_counts_every_session", *unit_tests()}
    try:
        shop.warehouse.ok("drop schema clickstream cascade")
        for nights in (NIGHTS[2:3], NIGHTS):
            events = shop.publish(nights)
            states = shop.dbt("redshift", "build")
            assert set(states.values()) == {"success", "pass"}
            assert {"stg_events", *MODELS, *tests} <= set(states)
            found = shop.built("redshift")
            for model, rows in expected(events).items():
                assert found[model] == in_order(rows), model
        assert shop.dbt("duckdb", "build") == states
        events = shop.publish(NIGHTS[:1])
        shop.dbt("redshift", "build")
        found = shop.built("redshift")
        for model, rows in expected(events).items():
            assert found[model] == in_order(rows), model
        # Everything arrived long ago: the source is stale.
        assert not shop.dbt.try_("redshift", "source", "freshness")["success"]
    finally:
        shop.publish(NIGHTS)
        shop.dbt("redshift", "run", "--full-refresh")
