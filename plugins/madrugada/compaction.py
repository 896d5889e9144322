"""Which published tables have files far below the target size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from madrugada.versions import bucket_and_prefix, history, objects

SMALL = 4
"""A file is small below this part of the target."""


def small_files(
    glue: Any,
    s3: Any,
    database: str,
    target_bytes: int,
    tell: Callable[[str], None] = print,
) -> list[str]:
    """The tables that have two or more small files in one folder, by name.

    One small file is as few as a folder can have; the files of different months stay apart.
    """
    found = []
    for table, entries in sorted(history(glue, database).items()):
        bucket, prefix = bucket_and_prefix(entries[0].location)
        folders: dict[str, list[int]] = {}
        for one in objects(s3, bucket, prefix):
            folders.setdefault(one["Key"].rpartition("/")[0], []).append(one["Size"])
        small = {
            folder: sizes
            for folder, all_sizes in folders.items()
            if len(sizes := [size for size in all_sizes if size * SMALL < target_bytes]) > 1
        }
        files = sum(len(sizes) for sizes in folders.values())
        tell(
            f"{database}.{table}: {files} files in {len(folders)} folders,"
            f" {sum(len(sizes) for sizes in small.values())} of them small ones together"
        )
        if small:
            found.append(table)
    return found
