"""A backfill of small nights against one night, and a re-run against a first run.

    .venv/bin/python benchmarks/backfill.py --nights 30 --rows 200

On a stack of its own: delivers one small delivery a day, each with other values for the same keys;
runs the first night, runs it again, and backfills all nights side by side, `--times` times. Says
how often Glue was asked, which tasks were tried again, what the logs say of locks and limits, and
whether gold holds the newest delivery. Prints figures and asserts nothing. A year is `year.py`'s.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.sales_night import DAG, night  # noqa: E402
from benchmarks.stack import ops, stack_at  # noqa: E402
from include.sample_data.generate import generate  # noqa: E402
from ops import sql  # noqa: E402
from ops.airflow_api import Airflow  # noqa: E402
from ops.nightly import backfill, trigger, watch  # noqa: E402
from ops.settings import Settings  # noqa: E402

FIRST_DAY = date(2025, 1, 1)
TROUBLE = ("database is locked", "ConcurrentRunsExceeded", "CrawlerRunningException", "deadlock")


def submissions(settings: Settings) -> int:
    pages = sql.client(settings, "glue").get_paginator("get_job_runs")
    return sum(len(p["JobRuns"]) for p in pages.paginate(JobName="madrugada-bronze-to-silver"))


def task_instances(airflow: Airflow) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = airflow.get(
            f"/dags/{DAG}/dagRuns/~/taskInstances", limit=100, offset=len(found), order_by="id"
        )["task_instances"]
        found += page
        if len(page) < 100:
            return found


def slower(tasks: list[dict[str, Any]], nights: int = 5) -> list[str]:
    """Each task's median seconds in the first nights and in the last, the most slowed first."""
    runs = sorted(
        {one["dag_run_id"] for one in tasks if one["duration"]},
        key=lambda run: min(
            one["start_date"] for one in tasks if one["dag_run_id"] == run and one["start_date"]
        ),
    )
    found = []
    for task in sorted({one["task_id"] for one in tasks}):
        first, last = (
            statistics.median(
                one["duration"]
                for one in tasks
                if one["task_id"] == task and one["dag_run_id"] in some and one["duration"]
            )
            for some in (set(runs[:nights]), set(runs[-nights:]))
        )
        found.append((last - first, f"{task} {first:.1f} -> {last:.1f}"))
    return [text for _, text in sorted(found, reverse=True)]


def trouble(settings: Settings) -> dict[str, int]:
    """How many lines of the logs name each trouble."""
    found = dict.fromkeys(TROUBLE, 0)
    for path in settings.logs.rglob("*.log"):
        text = path.read_text(errors="replace")
        for name in TROUBLE:
            found[name] += text.count(name)
    return found


def tell(settings: Settings, tasks: list[dict[str, Any]], expected: object) -> None:
    """Say what was tried again, what the logs say of trouble, and the orders in gold."""
    again = Counter(one["task_id"] for one in tasks if one["try_number"] > 1)
    print(f"tried again: {dict(again)}; in the logs: {trouble(settings)}")
    query = "select sum(total_value) from madrugada_gold.processed_sales"
    gold = sql.ask(settings, "athena", query)
    print(f"orders in gold: {gold[1][0][0]}; in the newest delivery: {expected}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=30)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--times", type=int, default=2, help="backfills of all nights")
    parser.add_argument("--port", default="8392")
    parser.add_argument("--aws-port", default="4792")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        settings = stack_at(Path(scratch) / "state", args.port, args.aws_port)
        days = [FIRST_DAY + timedelta(days=n) for n in range(args.nights)]
        try:
            ops("stack", "up")
            for number, day in enumerate(days):
                folder = Path(scratch) / "delivery" / day.isoformat()
                last = generate(folder, args.rows, seed=number)
                if day != days[0]:
                    ops("deliver", "--from", str(folder), "--date", str(day))
            first = night(settings, Path(scratch) / "delivery" / str(days[0]), days[0])
            airflow = Airflow(settings)
            once_more = []
            for _ in range(3):
                began = time.monotonic()
                if not watch(airflow, DAG, trigger(airflow, DAG, days[0])):
                    raise SystemExit("the night failed when run again")
                once_more.append(time.monotonic() - began)
            one = statistics.median(once_more)
            print(f"first night {first:.1f} s; again {[round(s, 1) for s in once_more]}")
            for _ in range(args.times):
                before, began = submissions(settings), time.monotonic()
                good = backfill(airflow, DAG, days[0], days[-1])
                seconds = time.monotonic() - began
                print(
                    f"backfill: {args.nights} nights in {seconds:.1f} s,"
                    f" {seconds / args.nights:.1f} s a night,"
                    f" {seconds / (args.nights * one):.2f} of as many single nights;"
                    f" all succeeded: {good}; silver jobs submitted:"
                    f" {submissions(settings) - before}"
                )
            tasks = task_instances(airflow)
            print("seconds in the first and the last nights: " + ", ".join(slower(tasks)))
            tell(settings, tasks, last.orders_total)
        finally:
            ops("stack", "stop")


if __name__ == "__main__":
    main()
