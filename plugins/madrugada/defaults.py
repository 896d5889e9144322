"""Defaults of every pipeline; a DAG that overrides one says why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from madrugada.notifications import alarm, keep_reason

OWNER = "data-engineering"
TIMEZONE = "America/Sao_Paulo"
SQL_FOLDER = str(Path(__file__).resolve().parents[2] / "include" / "sql")

NIGHT_POKE_SECONDS = 5
LONGEST_NIGHT = timedelta(hours=6)
"""Also the longest that a night waits for another's end."""

CRAWLER_POOL = "glue_crawler"
GLUE_POOL = "glue_jobs"
WAREHOUSE_POOL = "redshift_loads"
TURN_POOL = "turns"
REPROCESS_POOL = "reprocessing"
POOLS = {
    CRAWLER_POOL: (1, "A crawler refuses a second run while one is going"),
    GLUE_POOL: (1, "The Glue jobs allow one run at a time"),
    WAREHOUSE_POOL: (4, "Redshift loads side by side"),
    REPROCESS_POOL: (2, "Nights that a reprocessing runs side by side"),
    # Fewer than an executor's slots: whoever has the turn must find one.
    TURN_POOL: (4, "Runs that stand first in line for a turn; the others wait in the queue"),
}
"""Name to (slots, reason), for services that allow few things at once."""


def default_args() -> dict[str, Any]:
    return {
        "owner": OWNER,
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        "execution_timeout": timedelta(minutes=30),
        # The reason first: a report may be on its way that asks for it.
        "on_failure_callback": [keep_reason, alarm],
    }
