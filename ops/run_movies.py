"""The first night of the films: a catalogue uploaded, TMDB asked, the star built and shown."""

from __future__ import annotations

from include.sample_data.catalogue import generate
from ops import catalogue
from ops.airflow_api import Airflow
from ops.nightly import trigger, watch
from ops.run_sales import SAMPLE_DAY
from ops.settings import ROOT, Settings
from ops.sql import ask, print_table
from ops.stack import say

SQL = ROOT / "include" / "sql"
TOTALS = (SQL / "athena" / "validation" / "movies_totals.sql").read_text()
PLACES = {"Athena": ("athena", "madrugada_gold"), "Spectrum": ("redshift", "spectrum")}
MOST_POPULAR = """
    select titulopincipal, anolancamento, numerovotos, popularity
    from madrugada_gold.joined_df order by popularity desc, titulopincipal limit 5
"""


def show_figures(settings: Settings) -> bool:
    """Print what each engine says of the star, and some of its films; do both agree?"""
    said = {
        name: dict(ask(settings, engine, TOTALS.replace("madrugada_gold", schema))[1])
        for name, (engine, schema) in PLACES.items()
    }
    rows = [[figure, *(said[name][figure] for name in PLACES)] for figure in said["Athena"]]
    print_table("The star, as each engine finds it", (["figure", *PLACES], rows))
    print_table("The most popular films of both sources", ask(settings, "athena", MOST_POPULAR))
    return all(len(set(row[1:])) == 1 for row in rows)


def first_night(settings: Settings, rows: int) -> bool:
    """Deliver a catalogue of `rows` rows and run its night; True when all is well and agrees."""
    folder = settings.state / "sample" / f"catalogue-{rows}"
    generate(folder, rows)
    catalogue.deliver(settings, folder, SAMPLE_DAY)
    say(f"The night of {SAMPLE_DAY}, through Airflow's scheduler:")
    airflow = Airflow(settings)
    run_id = trigger(airflow, "movies_nightly", SAMPLE_DAY)
    if not watch(airflow, "movies_nightly", run_id):
        say(f"The night failed. Its tasks and logs: {settings.airflow_url}/dags/movies_nightly")
        return False
    agree = show_figures(settings)
    say(
        f"\nAirflow:   {settings.airflow_url}/dags/movies_nightly (no password)\n"
        f"The star:  docs/star.md\n"
        f"Athena:    make sql ENGINE=athena Q="
        f'"select * from madrugada_gold.aggregated_order_df order by ordem limit 10"'
    )
    if not agree:
        say("The figures differ between the engines: the night is not reconciled.")
    return agree
