"""Which published tables have files far from the target size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from madrugada.versions import bucket_and_prefix, history, objects

SMALL = 4
"""A file is small below this part of the target."""

LARGE = 2
"""A file is large above this many times the target."""


def uneven_files(
    glue: Any,
    s3: Any,
    database: str,
    target_bytes: int,
    tell: Callable[[str], None] = print,
) -> list[str]:
    """The tables that have a large file, or two or more small ones in one folder, by name.

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
        large = sum(size > LARGE * target_bytes for sizes in folders.values() for size in sizes)
        tell(
            f"{database}.{table}: {files} files in {len(folders)} folders,"
            f" {sum(len(sizes) for sizes in small.values())} of them small ones together,"
            f" {large} large"
        )
        if small or large:
            found.append(table)
    return found
