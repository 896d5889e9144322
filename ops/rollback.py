"""Put a layer's published tables back to an earlier version, or list the versions there are."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from ops.airflow_api import Airflow
from ops.command import command
from ops.nightly import wait_for_dag, watch
from ops.settings import ROOT, OpsError, Settings
from ops.sql import client

ZONE = ZoneInfo("America/Sao_Paulo")
DAG = "sales_rollback"
LAYERS = ("silver", "gold")


def versions(settings: Settings, layer: str) -> list[list[str]]:
    """A row for each state that the layer has been in, the newest first.

    Version, when it was published, its delivery date, how many tables it published and their rows,
    and whether the layer can go back to it.
    """
    # The DAG's own code, so that what is listed is what the DAG will find.
    sys.path.insert(0, str(ROOT / "plugins"))
    from include.contracts.compile import contracts_json
    from madrugada.rollback import obstacles
    from madrugada.sales import tables
    from madrugada.versions import history, job_figures, states

    glue, s3 = client(settings, "glue"), client(settings, "s3")
    mine = tables(layer, json.loads(contracts_json())["datasets"])
    known = history(glue, f"madrugada_{layer}", mine)
    now = {name: entries[0].version for name, entries in known.items()}
    rows = []
    for state in states(known):
        new = [p for p in state.tables.values() if p is not None and p.version == state.version]
        figures = job_figures(s3, settings.bucket(layer), state.version)
        counts = [f["rows"] for name, f in figures.items() if name in state.tables and "rows" in f]
        there = {name: p.version for name, p in state.tables.items() if p is not None}
        in_the_way = obstacles(s3, state)
        if in_the_way:
            answer = "no: " + " ".join(in_the_way)
        elif all(now[name] == version for name, version in there.items()):
            answer = "published now"
        else:
            answer = "yes"
        rows.append(
            [
                state.version,
                f"{state.at.astimezone(ZONE):%Y-%m-%d %H:%M:%S}",
                state.delivery_date,
                str(len(new)),
                str(sum(counts)) if counts else "",
                answer,
            ]
        )
    return rows


def show(settings: Settings, layer: str) -> None:
    rows = versions(settings, layer)
    if not rows:
        raise OpsError(f"madrugada_{layer} has no published table yet.")
    names = ["version", "published", "delivery", "tables", "rows", "can be gone back to"]
    # Whole versions, to be copied: a table would cut them off on a narrow screen.
    widths = [max(len(line[i]) for line in [names, *rows]) for i in range(len(names))]
    for line in [names, *rows]:
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\nGo back with: make rollback LAYER={layer} VERSION=<version>, or VERSION=previous")


def roll_back(airflow: Airflow, layer: str, version: str) -> bool:
    """Trigger the DAG, as its form does, and watch it; True when it succeeded."""
    wait_for_dag(airflow, DAG)
    run_id = f"manual__{layer}__{datetime.now(ZONE):%Y%m%dT%H%M%S%f}"
    body: dict[str, Any] = {
        "dag_run_id": run_id,
        "logical_date": None,
        "conf": {"layer": layer, "version": version},
    }
    airflow.post(f"/dags/{DAG}/dagRuns", body, named=True)
    return watch(airflow, DAG, run_id)


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.rollback", description=__doc__)
    parser.add_argument("--layer", default="")
    parser.add_argument("--version", default="", help="a version, or previous; none lists them")
    args = parser.parse_args(argv)
    if args.layer not in LAYERS:
        raise OpsError(
            f"LAYER={args.layer!r}: expected silver or gold, as in make rollback LAYER=gold"
        )
    settings = Settings.load()
    if args.version:
        return 0 if roll_back(Airflow(settings), args.layer, args.version) else 1
    show(settings, args.layer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
