"""The table that joins stores and web shop, by the very statements of the DAG, on a Redshift."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from local_aws.instance import Config
from local_aws.server import Server
from tests.conftest import ROOT
from tests.local_aws.redshift.conftest import SERVICES, Warehouse

SQL = ROOT / "include" / "sql" / "redshift"
BATCH = [f"campaign_days/{name}.sql" for name in ("create", "clear", "fill")]
SALE = "({}, 1, 'c', 'f', null, 1, 'Natal', 1, '{}', 'p', {}, false, null, true)"


def text(path: str) -> str:
    return (SQL / path).read_text()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    state: Path = tmp_path_factory.mktemp("aws")
    with Server(Config(state=state), services=SERVICES) as server:
        made = Warehouse(server)
        made.create()
        made.ok("create schema sales_schema")
        made.ok("create schema clickstream")
        made.ok(text("schema/wide_vendas.sql"))
        made.ok(
            "create table clickstream.conversions"
            " (conversion_date date, last_touch_campaign varchar(256))"
        )
        yield made


def put(warehouse: Warehouse, sales: list[tuple[int, str, str]], conversions: list[str]) -> None:
    warehouse.ok("delete from sales_schema.wide_vendas")
    warehouse.ok("delete from clickstream.conversions")
    rows = ", ".join(SALE.format(number, day, value) for number, day, value in sales)
    warehouse.ok(f"insert into sales_schema.wide_vendas values {rows}")
    warehouse.ok(f"insert into clickstream.conversions values {', '.join(conversions)}")


def build(warehouse: Warehouse) -> list[tuple[object, ...]]:
    for path in BATCH:
        warehouse.ok(text(path))
    found = warehouse.rows("select * from sales_schema.campaign_days order by day, campaign")
    return [(*row[:4], Decimal(str(row[4])), Decimal(str(row[5]))) for row in found]


def checks(warehouse: Warehouse) -> dict[str, tuple[str, str]]:
    return {name: (e, a) for name, e, a in warehouse.rows(text("campaign_days/audit.sql"))}


def test_a_day_s_sales_are_shared_by_its_conversions_and_no_day_is_lost(
    warehouse: Warehouse,
) -> None:
    put(
        warehouse,
        [(1, "2026-01-05", "70.00"), (2, "2026-01-05", "30.00"), (3, "2026-01-06", "9.99"),
         (4, "2026-01-06", "null")],
        ["('2026-01-05', 'a')", "('2026-01-05', 'a')", "('2026-01-05', null)",
         "('2026-01-07', 'b')"],
    )  # fmt: skip
    expected = [
        ("2026-01-05", "a", 2, 2, Decimal(100), Decimal("66.67")),
        ("2026-01-05", "none", 1, 2, Decimal(100), Decimal("33.33")),
        ("2026-01-06", "none", 0, 1, Decimal("9.99"), Decimal("9.99")),
        ("2026-01-07", "b", 1, 0, Decimal(0), Decimal(0)),
    ]
    assert build(warehouse) == expected
    assert build(warehouse) == expected, "built again, it is the same"
    assert checks(warehouse) == {
        "conversions": ("4", "4"),
        "sales: value": ("109.99", "109.99"),
        "days whose shares do not add up": ("0", "0"),
    }


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ("delete from {} where day = '2026-01-07'", "conversions"),
        ("delete from {} where day = '2026-01-06'", "sales: value"),
        (
            "update {} set valor_by_share = 0 where campaign = 'a'",
            "days whose shares do not add up",
        ),
    ],
)
def test_the_audit_finds_what_is_wrong(warehouse: Warehouse, change: str, differs: str) -> None:
    put(
        warehouse,
        [(1, "2026-01-05", "70.00"), (3, "2026-01-06", "9.99")],
        ["('2026-01-05', 'a')", "('2026-01-07', 'b')"],
    )
    build(warehouse)
    warehouse.ok(change.format("sales_schema.campaign_days"))
    wrong = [name for name, (expected, actual) in checks(warehouse).items() if expected != actual]
    assert wrong == [differs]
