"""The first night of sales: a sample delivered, the night run, each engine's figures shown."""

from __future__ import annotations

from datetime import date

from include.sample_data.generate import generate
from ops.airflow_api import Airflow
from ops.deliver import deliver
from ops.nightly import trigger, watch
from ops.settings import Settings
from ops.sql import ask, print_table
from ops.stack import say

SAMPLE_DAY = date(2026, 1, 2)
"""Fixed, so that the sample gives the same tables on every machine and on every day."""

GOLD = ["processed_sales", "vendas_por_cidade_mes", "vendas_por_produto", "wide_vendas"]
TOTALS = "select product, sum(total_value) as total_value from {} group by product order by 2 desc"
PLACES = {
    "Athena": ("athena", "madrugada_gold"),
    "Spectrum": ("redshift", "spectrum"),
    "Redshift": ("redshift", "sales_schema"),
}


def show_figures(settings: Settings) -> bool:
    """Print rows per table and totals by product as each engine has them; True when all agree."""
    counts = {
        name: {
            table: ask(settings, engine, f"select count(*) from {schema}.{table}")[1][0][0]
            for table in GOLD
        }
        for name, (engine, schema) in PLACES.items()
    }
    totals = {
        name: ask(settings, engine, TOTALS.format(f"{schema}.processed_sales"))[1]
        for name, (engine, schema) in PLACES.items()
    }
    sales = {
        name: ask(settings, engine, f"select sum(valor) from {schema}.wide_vendas")[1][0][0]
        for name, (engine, schema) in PLACES.items()
    }
    rows = [[table, *(counts[name][table] for name in PLACES)] for table in GOLD]
    print_table("Rows per table", (["table", *PLACES], rows))
    first = totals["Athena"]
    products = [[row[0], *(dict(totals[name]).get(row[0], "") for name in PLACES)] for row in first]
    print_table("Total sales by product (orders)", (["product", *PLACES], products))
    print_table(
        "Total of the stores' sales, in reais",
        (["", *PLACES], [["sum(valor) of wide_vendas", *(sales[name] for name in PLACES)]]),
    )
    return all(len({str(found[name]) for name in PLACES}) == 1 for found in (counts, totals, sales))


def first_night(settings: Settings, rows: int) -> bool:
    """Deliver `rows` sales and run their night; True when it is well and all engines agree."""
    folder = settings.state / "sample" / str(rows)
    made = folder.with_suffix(".made")
    if not made.exists():
        say(f"Making the sample delivery ({rows} sales) ...")
        generate(folder, rows)
        made.touch()
    deliver(settings, folder, SAMPLE_DAY)
    say(f"The night of {SAMPLE_DAY}, through Airflow's scheduler:")
    airflow = Airflow(settings)
    run_id = trigger(airflow, "sales_nightly", SAMPLE_DAY)
    if not watch(airflow, "sales_nightly", run_id):
        say(f"The night failed. Its tasks and logs: {settings.airflow_url}/dags/sales_nightly")
        return False
    agree = show_figures(settings)
    say(
        f"\nAirflow:   {settings.airflow_url}/dags/sales_nightly (no password)\n"
        f"Athena:    make sql ENGINE=athena   Q="
        f'"select count(*), sum(valor) from madrugada_gold.wide_vendas"\n'
        f"Redshift:  make sql ENGINE=redshift Q="
        f'"select count(*), sum(valor) from sales_schema.wide_vendas"\n'
        f"Spectrum:  make sql ENGINE=redshift Q="
        f'"select count(*), sum(valor) from spectrum.wide_vendas"'
    )
    if not agree:
        say("The figures differ between the engines: the night is not reconciled.")
    return agree
