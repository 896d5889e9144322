"""A night of films on a stack of its own: seconds, rows per second of silver, peak memory.

    .venv/bin/python benchmarks/movies_night.py --rows 3000 --nights 3
    .venv/bin/python benchmarks/movies_night.py --rows 10000000

`--rows` are those of `movies.csv`; `series.csv` has a third as many. Prints figures and asserts
nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.memory import Memory  # noqa: E402
from benchmarks.sales_night import last_reports  # noqa: E402
from benchmarks.stack import ops, stack_at  # noqa: E402
from include.sample_data.catalogue import generate  # noqa: E402
from ops.airflow_api import Airflow  # noqa: E402
from ops.nightly import trigger, watch  # noqa: E402
from ops.settings import Settings  # noqa: E402

DAG = "movies_nightly"
FIRST_DAY = date(2026, 1, 2)


def night(settings: Settings, folder: Path, day: date) -> float:
    """Deliver and run one night; seconds from trigger to success."""
    began = time.monotonic()
    ops("catalogue", "--from", str(folder), "--date", day.isoformat())
    print(f"delivered and taken in within {time.monotonic() - began:.1f} s")
    airflow = Airflow(settings)
    run_id = trigger(airflow, DAG, day)
    if not watch(airflow, DAG, run_id):
        raise SystemExit(f"the night of {day} failed")
    run = airflow.get(f"/dags/{DAG}/dagRuns/{run_id}")
    first, last = (datetime.fromisoformat(run[k]) for k in ("queued_at", "end_date"))
    return (last - first).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--nights", type=int, default=1)
    parser.add_argument("--port", default="8393")
    parser.add_argument("--aws-port", default="4793")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / "state"
        settings = stack_at(state, args.port, args.aws_port)
        folder = Path(scratch) / "delivery"
        began = time.monotonic()
        generate(folder, args.rows)
        print(f"generated {args.rows:,} rows of films in {time.monotonic() - began:.1f} s")
        memory = Memory(state)
        try:
            ops("stack", "up")
            memory.start()
            seconds = [
                night(settings, folder, FIRST_DAY + timedelta(days=n)) for n in range(args.nights)
            ]
            memory.done.set()
            print(
                f"night, trigger to success: median {statistics.median(seconds):.1f} s of"
                f" {[round(s, 1) for s in seconds]}"
            )
            silver = last_reports(settings)["silver"]
            rows = sum(one["delivered"] for one in silver["datasets"].values())
            print(
                f"silver: {rows:,} rows in {silver['seconds']:.1f} s,"
                f" {rows / silver['seconds']:,.0f} rows/s"
            )
            memory.tell()
        finally:
            memory.done.set()
            ops("stack", "stop")


if __name__ == "__main__":
    main()
