"""moto's snapshots in the state folder: a file for each service, a folder for each moto version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle
import moto


class UnreadableSnapshot(Exception):
    """What another version of moto wrote, or a file that is broken; the message says what to do."""


def newest(folder: Path, name: str) -> Path | None:
    """The service's snapshot that was written last, by whichever version of moto."""
    return max(
        folder.glob(f"*/{name}.pickle"), key=lambda path: path.stat().st_mtime_ns, default=None
    )


def read(path: Path) -> Any:
    """A snapshot's backends by region.

    Raises:
        UnreadableSnapshot: this version of moto cannot read it.
    """
    try:
        # The file is the embedded AWS's own, in its own state folder.
        return cloudpickle.loads(path.read_bytes())
    except Exception as error:
        writer = path.parent.name
        raise UnreadableSnapshot(
            f"moto {moto.__version__} cannot read {path}, which moto {writer} wrote"
            f" ({type(error).__name__}: {error}). Install moto=={writer}, or restore the file from"
            " a backup; to start without what it holds, move it out of its folder."
        ) from error


def set_aside(path: Path) -> None:
    """Keep a snapshot that is carried over under another name."""
    path.rename(path.with_suffix(".carried-over"))
