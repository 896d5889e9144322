"""Remove what Airflow keeps of runs that are long past: rows of its database, and logs."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops import stack
from ops.command import command
from ops.settings import OpsError, Settings

TABLES = ("asset_event", "callback", "dag_run", "import_error", "job", "log", "trigger")
"""What grows with every run; with a run go its tasks, their tries and what they handed on.

Not `dag`, which `airflow db clean` would take too: it has a row for each DAG, and on SQLite one
that cannot go, because a task of it is kept, costs a minute and leaves a table behind.
"""


def clean(settings: Settings, days: int) -> int:
    """Remove rows and logs that are older; how many logs those were. The stack may be up.

    Each DAG keeps its last run that nobody triggered by hand, however old, as Airflow would.

    Raises:
        OpsError: there is no database, or Airflow could not clean a table.
    """
    if not (settings.state / "airflow" / "airflow.db").exists():
        raise OpsError(f"Airflow has no history in {settings.state} yet.")
    before = datetime.now(UTC) - timedelta(days=days)
    done = subprocess.run(
        [stack.AIRFLOW, "db", "clean", "--yes", "--skip-archive", "--error-on-cleanup-failure",
         "--tables", ",".join(TABLES), "--clean-before-timestamp", before.isoformat()],
        env={**os.environ, **settings.airflow_environment()},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise OpsError(
            "airflow db clean did not clean everything; what it left is as it was. When no night is"
            f" under way, run make clean-history again. Its last lines:\n{last}"
        )
    return sum(
        _remove_files(folder, before.timestamp())
        for folder in (settings.logs / "airflow", settings.state / "airflow" / "logs")
    )


def _remove_files(folder: Path, before: float) -> int:
    """Remove files that were last written before, and the folders that this leaves empty."""
    old = [p for p in folder.rglob("*") if p.is_file() and p.stat().st_mtime < before]
    for file in old:
        file.unlink()
        for above in file.relative_to(folder).parents[:-1]:
            if any((folder / above).iterdir()):
                break
            (folder / above).rmdir()
    return len(old)


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.history", description=__doc__)
    parser.add_argument("--days", default="90")
    days = parser.parse_args(argv).days
    if not days.isdigit() or not int(days):
        raise OpsError(f"DAYS={days!r}: expected a whole number above 0.")
    logs = clean(Settings.load(), int(days))
    print(f"Removed what Airflow kept of runs more than {days} days ago, {logs} logs among it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
