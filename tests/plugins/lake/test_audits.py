"""The audits of silver and gold, asked of an Athena: each check finds what it is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from local_aws.instance import Config
from local_aws.server import Server
from madrugada.staging import candidate
from tests.plugins.lake.asked import Checks, ask, differing, put_tables
from tests.plugins.lake.conftest import Lake, run_id

VERSION = run_id(0xABCDEF012345)
NIGHT = {
    "delivery_date": "2026-01-06",
    "datasets": {"vendas": ["id"], "lojas": ["id"]},
    "open": False,
}

SILVER = """
    create table bronze_vendas as
    select * from (values ('1', '2026-01-05'), ('2', '2026-01-06'), ('3', '2026-01-06'),
        ('4', '2026-01-06'), ('x', '2026-01-06')) as t(id, ingest_date);
    create table bronze_lojas as
    select * from (values ('1', '2026-01-06')) as t(id, ingest_date);
    create table vendas as
    select id::int as id, id_loja::int as id_loja, id_cliente::int as id_cliente,
        ingest_date::date as ingest_date, warnings::varchar as warnings
    from (values
        (1, 1, 7, '2026-01-05', null),
        (2, 9, 7, '2026-01-06', 'other;id_loja_reference'),
        (3, null, 8, '2026-01-06', 'id_cliente_reference')
    ) as t(id, id_loja, id_cliente, ingest_date, warnings);
    create table lojas as
    select 1::int as id, date '2026-01-06' as ingest_date, null::varchar as warnings;
    create table clientes as select 7::int as id;
    create table quarantine as
    select * from (values ('vendas', date '2026-01-06', 'id_type'),
        ('vendas', date '2026-01-05', 'id_type')) as t(dataset, ingest_date, rule);
"""
"""Vendas has a row of an older night; of this night's four rows two are kept, one is in quarantine
and one, 4, is superseded by a newer night's (not shown)."""

SAID = {
    "vendas": {
        "delivered": 4,
        "kept": 3,
        "rows": 3,
        "inserted": 1,
        "updated": 1,
        "duplicates": 0,
        "references": [
            {"rule": "id_loja_reference", "column": "id_loja", "dataset": "lojas", "to": "id"},
            {
                "rule": "id_cliente_reference",
                "column": "id_cliente",
                "dataset": "clientes",
                "to": "id",
            },
        ],
    },
    "lojas": {
        "delivered": 1,
        "kept": 1,
        "rows": 1,
        "inserted": 1,
        "updated": 0,
        "duplicates": 0,
        "references": [],
    },
}

KEYS = {
    "processed_sales": ["id"],
    "wide_vendas": ["id_venda"],
    "vendas_por_produto": ["id_produto"],
    "vendas_por_cidade_mes": ["cidade", "mes"],
}
GOLD = """
    create table sales_data as
    select id::int as id, quantity::int as quantity, price::decimal(12,2) as price
    from (values (1, 2, 1.50), (2, 1, 4.00)) as t(id, quantity, price);
    create table vendas as
    select id::int as id, id_produto::int as id_produto
    from (values (1, 1), (2, 1), (3, 2), (4, 99)) as t(id, id_produto);
    create table produtos as
    select id::int as id, valor::decimal(12,2) as valor
    from (values (1, 20.00), (2, 5.50)) as t(id, valor);
    create table pagamentos as
    select id::int as id, id_venda::int as id_venda, dt_pgto::date as dt_pgto
    from (values (1, 1, '2026-01-05'), (2, 1, '2026-01-06'), (3, 2, null), (4, 77, '2026-01-06'))
        as t(id, id_venda, dt_pgto);
    create table processed_sales as
    select *, (quantity * price)::decimal(12,2) as total_value from sales_data;
    create table wide_vendas as
    select v.id as id_venda, v.id_produto, p.valor,
        v.id in (select id_venda from pagamentos where dt_pgto is not null) as pago
    from vendas v left join produtos p on p.id = v.id_produto;
    create table vendas_por_produto as
    select id_produto, count(*)::int as vendas, coalesce(sum(valor), 0)::decimal(18,2)
        as valor_total
    from wide_vendas group by id_produto;
    create table vendas_por_cidade_mes as
    select 'Natal' as cidade, date '2026-01-01' as mes, count(*)::int as vendas,
        sum(valor)::decimal(18,2) as valor_total
    from wide_vendas;
"""


@pytest.fixture(scope="module")
def server(state: Path) -> Iterator[Server]:
    with Server(Config(state=state), services=["s3", "glue", "athena"]) as running:
        yield running


@pytest.fixture
def audited(lake: Lake, server: Server) -> Callable[..., Checks]:
    lake.s3.create_bucket(Bucket="results")
    lake.glue.create_database(DatabaseInput={"Name": "madrugada_bronze"})

    def audited(layer: str, change: str = "", said: Any = None, open_day: bool = False) -> Checks:
        """The audit's checks, with one thing changed after all was right."""
        with duckdb.connect() as made:
            made.execute({"silver": SILVER, "gold": GOLD}[layer] + change)
            tables = [row[0] for row in made.execute("show tables").fetchall()]
            put_tables(lake, {name: place(layer, name) for name in tables}, made)
        night = {**NIGHT, "open": open_day}
        pulled = {"plan_night": night, "build_silver": VERSION, "build_gold": VERSION}
        params = {"quarantine": "quarantine"}
        report = {"datasets": said or SAID, "tables": {n: {"key": k} for n, k in KEYS.items()}}
        return ask(lake, server, layer, pulled, report, params=params)

    return audited


def place(layer: str, name: str) -> str:
    """Where a table of the scripts above is: bronze, published silver, or a candidate."""
    if name.startswith("bronze_"):
        return f"madrugada_bronze.{name.removeprefix('bronze_')}"
    published = {"silver": ["clientes"]}.get(
        layer, ["sales_data", "vendas", "produtos", "pagamentos"]
    )
    if name in published:
        return f"madrugada_silver.{name}"
    return f"madrugada_staging.{candidate(layer, name, VERSION)}"


def test_silver_as_it_should_be_has_each_check_and_all_hold(audited: Any) -> None:
    checks = audited("silver")
    assert differing(checks) == set()
    assert checks["vendas: delivered = kept + quarantined + superseded"] == ("4", "4")
    assert checks["vendas: rows flagged by id_loja_reference"] == ("1", "1")
    assert checks["vendas: rows flagged by id_cliente_reference"] == ("1", "1")
    assert len(checks) == 2 * 4 + 2


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        ("delete from bronze_vendas where id = 'x'", {"rows in bronze, as delivered"}),
        (
            "delete from vendas where id = 3",
            {"delivered = kept + quarantined + superseded", "rows in the table"},
        ),
        (
            "delete from quarantine where ingest_date = '2026-01-06'",
            {"delivered = kept + quarantined + superseded"},
        ),
        ("delete from vendas where id = 1", {"rows in the table"}),
        ("update vendas set id = 2", {"one row for each key"}),
        (
            "update vendas set warnings = 'other' where id = 2",
            {"rows flagged by id_loja_reference"},
        ),
        # A shop that is known is flagged all the same; and one that has gone is not.
        (
            "update vendas set warnings = 'id_loja_reference' where id = 1",
            {"rows flagged by id_loja_reference"},
        ),
        ("update lojas set id = 2", {"rows flagged by id_loja_reference"}),
        ("update clientes set id = 8", {"rows flagged by id_cliente_reference"}),
    ],
)
def test_what_is_wrong_in_silver_is_found(audited: Any, change: str, differ: set[str]) -> None:
    found = differing(audited("silver", change))
    assert found == {f"vendas: {name}" for name in differ}


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        ("insert into bronze_vendas values ('5', '2026-01-06')", set()),
        (
            "delete from bronze_vendas where id = 'x'",
            {"vendas: rows in bronze, as delivered"},
        ),
    ],
)
def test_into_a_day_that_is_not_over_more_may_come_and_nothing_be_lost(
    audited: Any, change: str, differ: set[str]
) -> None:
    assert differing(audited("silver", change, open_day=True)) == differ


def test_a_reference_to_a_table_that_was_never_published_is_flagged_in_every_row(
    audited: Any,
) -> None:
    said = {**SAID["vendas"], "references": [{**SAID["vendas"]["references"][1], "dataset": None}]}
    checks = audited("silver", said={**SAID, "vendas": said})
    assert checks["vendas: rows flagged by id_cliente_reference"] == ("3", "1")


def test_gold_as_it_should_be_has_each_check_and_all_hold(audited: Any) -> None:
    checks = audited("gold")
    assert differing(checks) == set()
    assert {name: expected for name, (expected, _) in checks.items()} == {
        "processed_sales: rows": "2",
        "processed_sales: total value": "7.00",
        "processed_sales: one row for each key": "2",
        "wide_vendas: one row for each key": "4",
        "vendas_por_produto: one row for each key": "3",
        "vendas_por_cidade_mes: one row for each key": "1",
        "wide_vendas: rows": "4",
        "wide_vendas: total value": "45.50",
        "wide_vendas: paid sales": "1",
        "vendas_por_produto: sales": "4",
        "vendas_por_produto: total value": "45.50",
        "vendas_por_cidade_mes: sales": "4",
        "vendas_por_cidade_mes: total value": "45.50",
    }


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        (
            "delete from processed_sales where id = 1",
            {"processed_sales: rows", "processed_sales: total value"},
        ),
        (
            "update processed_sales set total_value = 3.01 where id = 1",
            {"processed_sales: total value"},
        ),
        # A sale lost, another twice: as many rows, of the same value.
        (
            "update wide_vendas set id_venda = 1, pago = false where id_venda = 2",
            {"wide_vendas: one row for each key"},
        ),
        # An order lost, another twice, of the same value.
        (
            "update processed_sales set id = 1, total_value = 3.50;"
            "update sales_data set quantity = 1, price = 3.50",
            {"processed_sales: one row for each key"},
        ),
        # A product in two rows that add up, and a city's month.
        (
            "insert into vendas_por_produto values (1, 0, 0)",
            {"vendas_por_produto: one row for each key"},
        ),
        (
            "insert into vendas_por_cidade_mes values ('Natal', '2026-01-01', 0, 0)",
            {"vendas_por_cidade_mes: one row for each key"},
        ),
        (
            "insert into wide_vendas values (5, 99, null, false)",
            {"wide_vendas: rows", "vendas_por_produto: sales", "vendas_por_cidade_mes: sales"},
        ),
        (
            "update produtos set valor = 6.50 where id = 2",
            {"wide_vendas: total value"},
        ),
        ("update wide_vendas set pago = true where id_venda = 2", {"wide_vendas: paid sales"}),
        (
            "update vendas_por_produto set vendas = 3 where id_produto = 1",
            {"vendas_por_produto: sales"},
        ),
        (
            "update vendas_por_produto set valor_total = 0 where id_produto = 1",
            {"vendas_por_produto: total value"},
        ),
        ("update vendas_por_cidade_mes set vendas = 3", {"vendas_por_cidade_mes: sales"}),
        (
            "update vendas_por_cidade_mes set valor_total = 45.49",
            {"vendas_por_cidade_mes: total value"},
        ),
    ],
)
def test_what_is_wrong_in_gold_is_found(audited: Any, change: str, differ: set[str]) -> None:
    assert differing(audited("gold", change)) == differ
