"""The last lines of the local stack's logs."""

from __future__ import annotations

import os
import sys

from ops.command import command
from ops.processes import last_lines
from ops.settings import Settings


@command
def main(argv: list[str] | None = None) -> int:
    wanted = (argv or sys.argv[1:] or [""])[0]
    folder = Settings.load().logs
    logs = sorted(folder.glob("*.log"))
    if not logs:
        print(f"No logs in {folder}. Start the stack with: make up", file=sys.stderr)
        return 1
    if not wanted:
        for log in logs:
            print(f"== {log}\n{last_lines(log, 12)}\n")
        return 0
    path = folder / f"{wanted}.log"
    if path not in logs:
        names = ", ".join(log.stem for log in logs)
        print(f"LOG={wanted!r}: expected one of {names}.", file=sys.stderr)
        return 1
    os.execvp("tail", ["tail", "-n", "100", "-F", str(path)])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())
