"""Which models and tests a dbt project has, in short, for the DAGs: its `graph.json`.

dbt's own manifest says it too, with the text of every macro of every package; of that the DAGs need
a twentieth, and it is not the same on two machines.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ops.command import command
from ops.settings import ROOT, OpsError

PROJECTS = ROOT / "include" / "dbt"
COMMAND = "from dbt.cli.main import cli; cli()"
OF_A_NODE = (
    "unique_id",
    "name",
    "resource_type",
    "package_name",
    "original_file_path",
    "fqn",
    "tags",
)
OF_ITS_CONFIG = ("materialized", "tags", "severity", "enabled")


def graph(manifest: dict[str, Any]) -> dict[str, Any]:
    """The part of a manifest (dbt's `manifest.json`) from which tasks are made, in order."""
    found: dict[str, Any] = {"metadata": {"project_name": manifest["metadata"]["project_name"]}}
    for kind in ("nodes", "sources"):
        found[kind] = {
            name: {
                **{key: node[key] for key in OF_A_NODE if key in node},
                "config": {k: v for k, v in node["config"].items() if k in OF_ITS_CONFIG},
                "depends_on": {"nodes": sorted(node.get("depends_on", {}).get("nodes", []))},
            }
            for name, node in sorted(manifest[kind].items())
        }
    return found


def text(manifest: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps(graph(manifest), indent=1, sort_keys=True) + "\n"


def write(project: str) -> Path:
    """Write a project's graph anew; no warehouse is asked.

    Raises:
        OpsError: dbt cannot read the project; the message has dbt's words.
    """
    folder = PROJECTS / project
    with tempfile.TemporaryDirectory() as target:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "parse", "--target", "redshift"],
            cwd=folder,
            env={
                **os.environ,
                "DBT_PROFILES_DIR": str(folder),
                "DBT_TARGET_PATH": target,
                "DBT_LOG_PATH": target,
                **dict.fromkeys(("REDSHIFT_HOST", "REDSHIFT_USER", "REDSHIFT_PASSWORD"), "unasked"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise OpsError(f"dbt cannot read {folder}:\n{done.stdout}{done.stderr}")
        manifest = json.loads((Path(target) / "manifest.json").read_text())
    path = folder / "graph.json"
    path.write_text(text(manifest))
    return path


@command
def main() -> int:
    for project in sorted(path.parent.name for path in PROJECTS.glob("*/dbt_project.yml")):
        print(f"{write(project).relative_to(ROOT)} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
