"""dbt in a process of its own that stays: a command a line (a JSON list) in, its result a line out.

To begin takes dbt several seconds, a command far less.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[3] / "include" / "dbt" / "clickstream"


class Dbt:
    """The project's commands; `folder` gets the logs, and what each target compiled."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._output = (folder / "dbt.txt").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=PROJECT,
            env={**os.environ, "DBT_LOG_PATH": str(folder / "logs"), "DBT_LOG_LEVEL_FILE": "none",
                 "DBT_PROFILES_DIR": str(PROJECT), "DBT_USE_COLORS": "false", **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._output, text=True,
        )  # fmt: skip

    def __call__(self, target: str, *command: str) -> dict[str, str]:
        """Each node's state by its name.

        Raises:
            AssertionError: the command failed; the text is what dbt printed.
        """
        result = self.try_(target, *command)
        if not result["success"]:
            raise AssertionError(f"dbt {' '.join(command)}: {self.printed()[-6000:]}")
        return result["nodes"]

    def try_(self, target: str, *command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        where = ["--target", target, "--target-path", str(self.folder / target)]
        self._process.stdin.write(json.dumps([*command, *where]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self.printed()[-6000:]
        return json.loads(answer)

    def printed(self) -> str:
        return (self.folder / "dbt.txt").read_text()

    def compiled(self, target: str) -> dict[str, str]:
        """The SQL of each model, as the last command for the target compiled it."""
        folder = self.folder / target / "compiled" / "clickstream" / "models"
        # Deeper down are tests, and fixtures with the names of models.
        return {path.stem: path.read_text() for path in folder.glob("*/*.sql")}

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._output.close()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what dbt prints is no answer
    from dbt.cli.main import dbtRunner

    for line in sys.stdin:
        done = dbtRunner().invoke(json.loads(line))
        if done.exception is not None:
            print(repr(done.exception), file=sys.stderr, flush=True)
        results = getattr(done.result, "results", None) or []
        nodes = {result.node.name: str(result.status) for result in results}
        print(json.dumps({"success": done.success, "nodes": nodes}), file=answers, flush=True)


if __name__ == "__main__":
    main()
