"""Run nights through the scheduler and watch them: one date, or a range of dates."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date, datetime, timedelta
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

from ops.airflow_api import Airflow
from ops.command import command
from ops.settings import OpsError, Settings

ZONE = ZoneInfo("America/Sao_Paulo")
NIGHTS_AT_ONCE = 2
"""One builds while the next fetches its files. More would only wait for their turn, and each run
that is under way costs the scheduler its part of every look at them."""
DAYS_BEHIND = {"clickstream_nightly": 1}
"""A stream's night takes the day before, which is over then; the others the day itself."""
FINAL = {"success", "failed", "upstream_failed", "skipped", "removed"}
MARKS = {"success": "ok", "failed": "FAILED", "upstream_failed": "not run", "skipped": "skipped"}


def a_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise OpsError(f"{text!r} is not a date: expected YYYY-MM-DD, for example 2026-01-05.")  # noqa: B904


def wait_for_dag(airflow: Airflow, dag_id: str, seconds: float = 90) -> None:
    """Wait until the DAG processor has read a new DAG file for the first time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = airflow.get("/dags", dag_id_pattern=dag_id)["dags"]
        if any(dag["dag_id"] == dag_id and not dag["has_import_errors"] for dag in found):
            return
        errors = airflow.get("/importErrors")["import_errors"]
        if errors:
            raise OpsError(
                f"{errors[0]['filename']} cannot be imported:\n{errors[0]['stack_trace']}"
            )
        time.sleep(0.3)
    raise OpsError(f"Airflow has not found the DAG {dag_id} within {seconds:.0f} s. See: make logs")


def trigger(airflow: Airflow, dag_id: str, day: date, **conf: Any) -> str:
    """Trigger one night by hand, as the form in the UI does; its run id.

    :param conf: the form's other fields.
    """
    wait_for_dag(airflow, dag_id)
    run_id = f"manual__{day.isoformat()}__{datetime.now(ZONE):%Y%m%dT%H%M%S%f}"
    body = {
        "dag_run_id": run_id,
        "logical_date": None,
        "conf": {"delivery_date": day.isoformat(), **conf},
    }
    airflow.post(f"/dags/{dag_id}/dagRuns", body, named=True)
    return run_id


def watch(airflow: Airflow, dag_id: str, run_id: str, timeout: float = 7200) -> bool:
    """Print each task as it ends, until the run has ended; True when it succeeded."""
    seen: set[tuple[str, int, str]] = set()
    began = time.monotonic()
    while True:
        run = airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}")
        tasks = airflow.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=200)
        for one in sorted(tasks["task_instances"], key=lambda t: t["end_date"] or "~"):
            _show(airflow, dag_id, run_id, one, seen, time.monotonic() - began)
        if run["state"] in ("success", "failed"):
            print(f"{dag_id} {run_id}: {run['state']} in {_seconds(run):.1f} s", flush=True)
            return run["state"] == "success"
        if time.monotonic() - began > timeout:
            raise OpsError(f"{dag_id} {run_id} has not ended within {timeout:.0f} s")
        # Each look takes processor from the night: twice a second it was half of the API server's.
        time.sleep(1.5)


def _seconds(run: dict[str, Any]) -> float:
    first, last = (datetime.fromisoformat(run[k]) for k in ("queued_at", "end_date"))
    return (last - first).total_seconds()


def _show(
    airflow: Airflow,
    dag_id: str,
    run_id: str,
    one: dict[str, Any],
    seen: set[tuple[str, int, str]],
    elapsed: float,
) -> None:
    state = one["state"]
    key = (one["task_id"], one["map_index"], state or "")
    if key in seen or state not in {*FINAL, "up_for_retry"}:
        return
    seen.add(key)
    label = one["task_id"]
    if one["map_index"] >= 0:
        label += f" [{one.get('rendered_map_index') or one['map_index']}]"
    took = f"{one['duration']:6.1f} s" if one["duration"] else ""
    print(f"  {elapsed:6.1f} s  {MARKS.get(state, state):<8} {label:<44} {took}", flush=True)
    if state in ("failed", "up_for_retry"):
        print(_error_of(airflow, dag_id, run_id, one), flush=True)


def _error_of(airflow: Airflow, dag_id: str, run_id: str, one: dict[str, Any]) -> str:
    """The last error lines of a failed task's log."""
    path = (
        f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{one['task_id']}"
        f"/logs/{max(one['try_number'], 1)}"
    )
    try:
        content = airflow.get(path, map_index=one["map_index"], full_content=True)["content"]
    except OpsError as error:
        return f"           (its log cannot be read: {error})"
    said = []
    for line in content:
        if not isinstance(line, dict) or line.get("level") not in ("error", "critical"):
            continue
        said.append(line.get("event", ""))
        said += [
            f"{e.get('exc_type')}: {e.get('exc_value')}" for e in line.get("error_detail") or []
        ]
    return "\n".join(f"           {line}" for line in said[-6:])


def backfill(airflow: Airflow, dag_id: str, first: date, last: date) -> bool:
    """Run every night of a range again, some side by side; True when all succeeded.

    Prints each night as it ends.

    Args:
        first, last: delivery dates.

    Raises:
        OpsError: the range is empty, or Airflow refuses it (another backfill is going, say).
    """
    made, body = start_backfill(airflow, dag_id, first, last)
    behind = timedelta(days=DAYS_BEHIND.get(dag_id, 0))
    seen: set[str] = set()
    while True:
        over = airflow.get(f"/backfills/{made}")["completed_at"]
        runs = backfilled(airflow, dag_id, body["from_date"], body["to_date"])
        for run in runs:
            if run["state"] in ("success", "failed") and run["dag_run_id"] not in seen:
                seen.add(run["dag_run_id"])
                day = datetime.fromisoformat(run["run_after"]).astimezone(ZONE).date() - behind
                took = f"{_seconds(run):6.1f} s" if run["queued_at"] else ""
                print(f"  {day}  {run['state']:<8} {took}", flush=True)
        if over:
            break
        time.sleep(5)
    good = bool(runs) and all(run["state"] == "success" for run in runs)
    print(f"{len(runs)} nights: {'all succeeded' if good else 'NOT all succeeded'}")
    return good


def start_backfill(
    airflow: Airflow, dag_id: str, first: date, last: date
) -> tuple[int, dict[str, Any]]:
    """Ask Airflow for a backfill; its id, and what was asked (`from_date` and `to_date` in it).

    Raises:
        OpsError: as `backfill`.
    """
    if last < first:
        raise OpsError(f"END={last} is before START={first}.")
    wait_for_dag(airflow, dag_id)
    behind = timedelta(days=DAYS_BEHIND.get(dag_id, 0))
    start, end = (datetime.combine(day + behind, clock(), ZONE) for day in (first, last))
    body: dict[str, Any] = {
        "dag_id": dag_id,
        "from_date": start.isoformat(),
        "to_date": (end + timedelta(hours=23)).isoformat(),
        "reprocess_behavior": "completed",
        "max_active_runs": NIGHTS_AT_ONCE,
        "run_backwards": False,
        "dag_run_conf": {},
    }
    return _create_backfill(airflow, body)["id"], body


def _create_backfill(airflow: Airflow, body: dict[str, Any], seconds: float = 120) -> Any:
    """Airflow makes a range's runs in one go, and on SQLite gives up when another run is writing.

    It takes back what it had made and says so; a rest of that, if any, is a backfill that runs. One
    whose last run has ended is over for Airflow half a minute later: that is waited for, too.
    """
    deadline = time.monotonic() + seconds
    locked = False
    while True:
        try:
            return airflow.post("/backfills", body)
        except OpsError as error:
            said = str(error)
            locked |= "Database is locked" in said
            another = "already a running backfill" in said
            wait = "Database is locked" in said or (
                another and (locked or not _backfills_go_on(airflow, body["dag_id"]))
            )
            if not wait or time.monotonic() > deadline:
                raise
        time.sleep(1)


def _backfills_go_on(airflow: Airflow, dag_id: str) -> bool:
    return any(
        airflow.get(f"/dags/{dag_id}/dagRuns", run_type="backfill", state=state, limit=1)[
            "total_entries"
        ]
        for state in ("queued", "running")
    )


def backfilled(airflow: Airflow, dag_id: str, first: str, last: str) -> list[dict[str, Any]]:
    """The backfill's runs of a range, whatever their number."""
    found: list[dict[str, Any]] = []
    while True:
        page = airflow.get(
            f"/dags/{dag_id}/dagRuns",
            run_after_gte=first,
            run_after_lte=last,
            run_type="backfill",
            order_by="run_after",
            limit=100,
            offset=len(found),
        )["dag_runs"]
        found += page
        if len(page) < 100:
            return found


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.nightly", description=__doc__)
    parser.add_argument("--dag", default="sales_nightly")
    parser.add_argument("--date", help="run this delivery date, YYYY-MM-DD")
    parser.add_argument("--start", help="first delivery date of a backfill")
    parser.add_argument("--end", help="last delivery date of a backfill")
    args = parser.parse_args(argv)
    if args.date:
        day = a_date(args.date)
        airflow = Airflow(Settings.load())
        good = watch(airflow, args.dag, trigger(airflow, args.dag, day))
    elif args.start and args.end:
        first, last = a_date(args.start), a_date(args.end)
        good = backfill(Airflow(Settings.load()), args.dag, first, last)
    else:
        raise OpsError(
            "Say which nights: make nightly DATE=2026-01-05,"
            " or make backfill START=2026-01-01 END=2026-01-05."
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
