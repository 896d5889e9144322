"""The first night of the clickstream: events through both doors, the day run, figures shown."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta

from include.sample_data.events import Options, lines
from ops.airflow_api import Airflow
from ops.events import send
from ops.nightly import trigger, watch
from ops.settings import ROOT, OpsError, Settings
from ops.sql import ask, client, print_table
from ops.stack import say

SQL = ROOT / "include" / "sql"
BY_QUEUE = 10
"""One event in so many comes by the queue, the others by the stream."""
PATIENCE = 120
"""Seconds until what was accepted is in bronze; what waits in buffers is written far sooner."""
TOTALS = {
    "Athena": ("athena", "athena/validation/clickstream_totals.sql"),
    "Spectrum": ("redshift", "redshift/spectrum/clickstream_totals.sql"),
    "Redshift": ("redshift", "redshift/validation/clickstream_totals.sql"),
}
CAMPAIGNS = """
    select coalesce(last_touch_campaign, '(none)') as campaign, count(*) as conversions
    from clickstream.conversions group by 1 order by 2 desc, 1
"""


def arrived(settings: Settings, day: str) -> int:
    """How many lines are in bronze of the events that arrived on a day (in UTC)."""
    s3, bucket = client(settings, "s3"), settings.bucket("bronze")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"clickstream/events/ingest_date={day}/"
    )
    found = 0
    for page in pages:
        for one in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            found += gzip.decompress(body).count(b"\n")
    return found


def show_figures(settings: Settings) -> bool:
    """Print what each engine says of the sessions, and conversions by campaign; do all agree?"""
    said = {
        name: dict(ask(settings, engine, (SQL / file).read_text())[1])
        for name, (engine, file) in TOTALS.items()
    }
    rows = [[figure, *(said[name][figure] for name in TOTALS)] for figure in said["Athena"]]
    print_table("Sessions, as each engine finds them", (["figure", *TOTALS], rows))
    print_table(
        "Conversions by the last campaign before them", ask(settings, "redshift", CAMPAIGNS)
    )
    return all(len(set(row[1:])) == 1 for row in rows)


def first_night(settings: Settings, rows: int) -> bool:
    """Send `rows` events, with copies and broken lines among them, and run the day they arrive on.

    True when the night is well and all engines agree.

    Raises:
        OpsError: what was accepted did not come to bronze.
    """
    today = datetime.now(UTC).date()
    before = arrived(settings, today.isoformat())
    made = list(
        lines(
            Options(
                count=rows,
                # Visits of the day before, so that none is ahead of the clock.
                first_day=today - timedelta(days=1),
                seed=time.time_ns(),
                duplicates=0.02,
                broken=0.005,
                late=0.05,
            )
        )
    )
    doors = {
        "kinesis": [line for number, line in enumerate(made) if number % BY_QUEUE],
        "sqs": [line for number, line in enumerate(made) if not number % BY_QUEUE],
    }
    for door, some in doors.items():
        if some and (refused := send(settings, iter(some), len(some), door, None)):
            raise OpsError(f"{refused} events were refused; see above.")
    say("Waiting until they are in bronze: the doors write what they have every few seconds ...")
    deadline = time.monotonic() + PATIENCE
    while (here := arrived(settings, today.isoformat()) - before) < len(made):
        if datetime.now(UTC).date() != today:
            raise OpsError("The day in UTC has ended meanwhile. Run it again.")
        if time.monotonic() > deadline:
            raise OpsError(f"{here} of {len(made)} events are in bronze. See: make logs LOG=aws")
        time.sleep(1)
    say(f"The events that arrived on {today}, through Airflow's scheduler:")
    airflow = Airflow(settings)
    run_id = trigger(airflow, "clickstream_nightly", today, take_open_day=True)
    if not watch(airflow, "clickstream_nightly", run_id):
        say(f"The night failed: {settings.airflow_url}/dags/clickstream_nightly")
        return False
    agree = show_figures(settings)
    say(
        f"\nAirflow:   {settings.airflow_url}/dags/clickstream_nightly (no password)\n"
        f"Redshift:  make sql ENGINE=redshift Q="
        f'"select * from clickstream.funnel_by_day"\n'
        f"psql, dbt: port {settings.redshift_port} of 127.0.0.1, sslmode=disable\n"
        f"Models:    make dbt-docs"
    )
    if not agree:
        say("The figures differ between the engines: the night is not reconciled.")
    return agree
