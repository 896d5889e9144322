"""A year of small nights backfilled whole, in as many sittings as it takes.

    .venv/bin/python benchmarks/year.py --state /var/tmp/year --minutes 120

The first sitting delivers every day of a year and asks Airflow for the backfill; each later one
starts the stack on the same state again and lets Airflow carry on. A sitting ends when all nights
are done, or after `--minutes`, and stops the stack whatever is being worked on. Says how many
nights were done and how quickly, which tasks were tried again, what the logs say of locks and
limits, how often Glue was asked, and whether gold holds the last day's delivery, as it does
at the end. Prints figures and asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.backfill import FIRST_DAY, submissions, task_instances, tell  # noqa: E402
from benchmarks.sales_night import DAG  # noqa: E402
from benchmarks.stack import ops, stack_at  # noqa: E402
from include.sample_data.generate import generate  # noqa: E402
from ops.airflow_api import Airflow  # noqa: E402
from ops.deliver import deliver  # noqa: E402
from ops.nightly import backfilled, start_backfill  # noqa: E402
from ops.settings import Settings  # noqa: E402


def begin(settings: Settings, airflow: Airflow, nights: int, rows: int) -> dict[str, str]:
    """Deliver every day and ask for the backfill; what was asked, and the newest orders' total."""
    days = [FIRST_DAY + timedelta(days=n) for n in range(nights)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        for number, day in enumerate(days):
            folder = Path(scratch) / day.isoformat()
            newest = generate(folder, rows, seed=number)
            with redirect_stdout(StringIO()):
                deliver(settings, folder, day)
    print(f"{nights} days delivered in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    _, body = start_backfill(airflow, DAG, days[0], days[-1])
    print(f"a backfill of {nights} nights was made in {time.monotonic() - began:.1f} s")
    return {
        "from": body["from_date"],
        "to": body["to_date"],
        "orders_total": str(newest.orders_total),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", required=True, help="folder that the sittings share")
    parser.add_argument("--minutes", type=float, default=120, help="how long this sitting is")
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--port", default="8392")
    parser.add_argument("--aws-port", default="4792")
    args = parser.parse_args()
    state = Path(args.state).resolve()
    settings = stack_at(state, args.port, args.aws_port)
    asked_file = state / "year.json"
    until = time.monotonic() + 60 * args.minutes
    try:
        ops("stack", "up")
        airflow = Airflow(settings)
        if not asked_file.exists():
            asked_file.write_text(json.dumps(begin(settings, airflow, args.nights, args.rows)))
        asked = json.loads(asked_file.read_text())

        def states() -> Counter[str]:
            runs = backfilled(airflow, DAG, asked["from"], asked["to"])
            return Counter(run["state"] for run in runs)

        before, began = states(), time.monotonic()
        while (now := states())["queued"] + now["running"] and time.monotonic() < until:
            time.sleep(30)
        done = sum(now.values()) - now["queued"] - now["running"]
        done -= sum(before.values()) - before["queued"] - before["running"]
        seconds = time.monotonic() - began
        print(
            f"{done} nights in {seconds:.0f} s, {seconds / max(done, 1):.1f} s a night;"
            f" all so far: {dict(now)}"
        )
        print(f"silver jobs submitted: {submissions(settings)}")
        if now["success"]:
            tell(settings, task_instances(airflow), asked["orders_total"])
    finally:
        ops("stack", "stop")


if __name__ == "__main__":
    main()
