"""dbt's documentation of the clickstream models, made from the project alone, as one HTML file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ops.command import command
from ops.settings import ROOT, OpsError, Settings

PROJECT = ROOT / "include" / "dbt" / "clickstream"
COMMAND = "from dbt.cli.main import cli; cli()"


def write(folder: Path) -> Path:
    """Generate the documentation into the folder; the page to open.

    No warehouse is asked: names, types and descriptions are the project's, which its tests hold
    against what the models give.

    Raises:
        OpsError: dbt failed; it has printed why.
    """
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "docs", "generate", "--static", "--empty-catalog"],
        cwd=PROJECT,
        env={
            **os.environ,
            "DBT_PROFILES_DIR": str(PROJECT),
            "DBT_TARGET_PATH": str(folder),
            "DBT_LOG_PATH": str(folder / "logs"),
            "CLICKSTREAM_TARGET": "duckdb",
            "CLICKSTREAM_DUCKDB": ":memory:",
        },
        check=False,
    )
    if done.returncode != 0:
        raise OpsError("dbt could not write its documentation; see above.")
    return folder / "static_index.html"


@command
def main() -> int:
    page = write((settings := Settings.load()).dbt_docs)
    print(
        f"The documentation of the models: {page.as_uri()}, and while the stack is up"
        f" {settings.airflow_url}/cosmos/clickstream/dbt_docs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
