"""A night of any size on a stack of its own: seconds and rows per second by layer, peak memory.

    .venv/bin/python benchmarks/sales_night.py --rows 1000 --nights 3
    .venv/bin/python benchmarks/sales_night.py --rows 5000000

Rows of silver are those delivered, rows of gold those written. Prints figures and asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.memory import Memory  # noqa: E402
from benchmarks.stack import ops, stack_at  # noqa: E402
from include.sample_data.generate import generate  # noqa: E402
from ops import sql  # noqa: E402
from ops.airflow_api import Airflow  # noqa: E402
from ops.nightly import trigger, watch  # noqa: E402
from ops.settings import Settings  # noqa: E402

DAG = "sales_nightly"
FIRST_DAY = date(2026, 1, 2)


def night(settings: Settings, folder: Path, day: date) -> float:
    """Deliver and run one night; seconds from trigger to success."""
    ops("deliver", "--from", str(folder), "--date", day.isoformat())
    airflow = Airflow(settings)
    run_id = trigger(airflow, DAG, day)
    if not watch(airflow, DAG, run_id):
        raise SystemExit(f"the night of {day} failed")
    run = airflow.get(f"/dags/{DAG}/dagRuns/{run_id}")
    first, last = (datetime.fromisoformat(run[k]) for k in ("queued_at", "end_date"))
    return (last - first).total_seconds()


def last_reports(settings: Settings) -> dict[str, Any]:
    """The jobs' own reports of the last night."""
    s3 = sql.client(settings, "s3")
    found = {}
    for layer in ("silver", "gold"):
        bucket = settings.bucket(layer)
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="_reports/")["Contents"]
        jobs = [one for one in listed if one["Key"].startswith("_reports/jr_")]
        newest = max(jobs, key=lambda one: one["LastModified"])
        found[layer] = json.loads(s3.get_object(Bucket=bucket, Key=newest["Key"])["Body"].read())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--nights", type=int, default=1)
    parser.add_argument("--port", default="8391")
    parser.add_argument("--aws-port", default="4791")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / "state"
        settings = stack_at(state, args.port, args.aws_port)
        folder = Path(scratch) / "delivery"
        began = time.monotonic()
        generate(folder, args.rows)
        print(f"generated {args.rows:,} sales in {time.monotonic() - began:.1f} s")
        memory = Memory(state)
        try:
            began = time.monotonic()
            ops("stack", "up")
            print(f"stack up in {time.monotonic() - began:.1f} s")
            memory.start()
            seconds = [
                night(settings, folder, FIRST_DAY + timedelta(days=n)) for n in range(args.nights)
            ]
            memory.done.set()
            print(
                f"night, trigger to success: median {statistics.median(seconds):.1f} s of"
                f" {[round(s, 1) for s in seconds]}"
            )
            for layer, report in last_reports(settings).items():
                if layer == "silver":
                    rows = sum(one["delivered"] for one in report["datasets"].values())
                else:
                    rows = sum(one["rows"] for one in report["tables"].values())
                print(
                    f"{layer}: {rows:,} rows in {report['seconds']:.1f} s,"
                    f" {rows / report['seconds']:,.0f} rows/s"
                )
            memory.tell()
        finally:
            memory.done.set()
            ops("stack", "stop")


if __name__ == "__main__":
    main()
