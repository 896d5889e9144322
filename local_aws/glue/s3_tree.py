"""Which folders of a crawl are tables and which are partitions.

https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-folder-table-partition.html
https://docs.aws.amazon.com/glue/latest/dg/crawler-grouping-policy.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from local_aws.glue.schema import SIMILAR, Schema, merged

Parts = tuple[str, ...]


@dataclass(frozen=True)
class File:
    """An object: its folder's parts and name below the bucket, and its size and time."""

    folder: Parts
    name: str
    size: int
    mtime_ns: int


@dataclass
class Leaf:
    """A folder that holds files of one schema (or one file of a folder that holds several)."""

    folder: Parts
    schema: Schema
    file: str = ""


@dataclass
class Group:
    """One table to be: its root folder and the leaves that are its data or its partitions."""

    root: Parts
    leaves: list[Leaf]
    file: str = ""

    @property
    def depth(self) -> int:
        """How many partition levels lie between the root and the leaves."""
        return len(self.leaves[0].folder) - len(self.root)

    @property
    def schema(self) -> Schema:
        return merged([leaf.schema for leaf in self.leaves])

    def partition_keys(self) -> list[str]:
        """Level names: ``key`` of ``key=value`` folders, else ``partition_0`` and so on."""
        names = []
        for level in range(self.depth):
            found = {
                leaf.folder[len(self.root) + level].partition("=")[0]
                if is_hive(leaf.folder[len(self.root) + level])
                else ""
                for leaf in self.leaves
            }
            name = found.pop() if len(found) == 1 else ""
            names.append(name.lower() or f"partition_{level}")
        return names

    def partitions(self) -> list[tuple[list[str], Leaf]]:
        """Each leaf with its partition values, in order of :meth:`partition_keys`."""
        keys = self.partition_keys()
        return [(self._values(keys, leaf), leaf) for leaf in self.leaves]

    def _values(self, keys: list[str], leaf: Leaf) -> list[str]:
        folders = leaf.folder[len(self.root) :]
        return [
            folder.partition("=")[2]
            if is_hive(folder) and folder.partition("=")[0].lower() == key
            else folder
            for key, folder in zip(keys, folders, strict=True)
        ]


def is_hive(folder: str) -> bool:
    """Whether a folder's name is ``key=value``."""
    key, equals, value = folder.partition("=")
    return bool(key and equals and value)


def list_files(bucket: Path, prefix: str, excluded: Callable[[str], bool]) -> Iterator[File]:
    """The files with content under ``prefix`` (a folder, a file or ``""``), in order of keys.

    ``excluded`` is asked with the key relative to the include path.
    """
    start = bucket / prefix if prefix else bucket
    if start.is_file():
        status = start.stat()
        *folder, name = prefix.strip("/").split("/")
        if status.st_size and not excluded(name):
            yield File(tuple(folder), name, status.st_size, status.st_mtime_ns)
        return
    folder = [part for part in prefix.split("/") if part]
    yield from _walk(start, tuple(folder), "", excluded)


def _walk(
    path: Path, folder: Parts, relative: str, excluded: Callable[[str], bool]
) -> Iterator[File]:
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        key = f"{relative}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), (*folder, entry.name), f"{key}/", excluded)
        elif not excluded(key):
            status = entry.stat()
            if status.st_size:
                yield File(folder, entry.name, status.st_size, status.st_mtime_ns)


def exclusion(patterns: list[str]) -> Callable[[str], bool]:
    """Whether a key (relative to the include path) matches one of the glob patterns.

    https://docs.aws.amazon.com/glue/latest/dg/define-crawler.html#crawler-data-stores-exclude

    Raises:
        ValueError: naming the pattern that is no glob.
    """
    expressions = [re.compile(_glob(pattern)) for pattern in patterns]
    return lambda key: any(expression.fullmatch(key) for expression in expressions)


def _glob(pattern: str) -> str:
    parts: list[str] = []
    position, braces = 0, False
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            if pattern[position : position + 1] == "*":
                position += 1
                parts.append(".*")
            else:
                parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "\\" and position < len(pattern):
            parts.append(re.escape(pattern[position]))
            position += 1
        elif char == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                raise ValueError(f"the exclusion {pattern} has a [ without a ]")
            inside = pattern[position:end]
            negated = inside.startswith("!")
            inside = inside.removeprefix("!").replace("\\", "\\\\").replace("^", "\\^")
            parts.append(f"(?!/)[{'^' if negated else ''}{inside}]")
            position = end + 1
        elif char == "{" and not braces:
            braces = True
            parts.append("(?:")
        elif char == "}" and braces:
            braces = False
            parts.append(")")
        elif char == "," and braces:
            parts.append("|")
        else:
            parts.append(re.escape(char))
    if braces:
        raise ValueError(f"the exclusion {pattern} has a {{ without a }}")
    return "(?s:" + "".join(parts) + ")"


def leaves_of(folder: Parts, files: list[tuple[str, Schema]]) -> list[Leaf]:
    """One leaf when the folder's files belong together, else one leaf for each file.

    Files that nothing recognises are leaves of their own beside those that something does.
    """
    known = [(file, schema) for file, schema in files if schema.known]
    strange = [Leaf(folder, schema, file) for file, schema in files if not schema.known]
    if not known:
        return [Leaf(folder, merged([schema for _, schema in files]))]
    first = known[0][1]
    if all(first.compatible(schema) and first.similar(schema) for _, schema in known[1:]):
        return [Leaf(folder, merged([schema for _, schema in known])), *strange]
    return [*(Leaf(folder, schema, file) for file, schema in known), *strange]


def apart(leaves: list[Leaf]) -> tuple[list[Leaf], list[Group]]:
    """The leaves to group, and a table for each that nothing recognises (if anything is)."""
    known = [leaf for leaf in leaves if leaf.schema.known]
    if not known:
        return leaves, []
    strange = [leaf for leaf in leaves if not leaf.schema.known]
    return known, [Group(leaf.folder, [leaf], leaf.file) for leaf in strange]


def group(leaves: list[Leaf], root: Parts) -> list[Group]:
    """Tables by schema similarity: a folder whose subfolders are alike is one table.

    More than 70 percent of the subfolders must be alike; they become its partitions, and the
    others tables of their own. A folder with a single subfolder that is not named
    ``key=value`` is no table: the subfolder is.
    """
    return _Grouping(leaves).tables(root)


class _Grouping:
    def __init__(self, leaves: list[Leaf]) -> None:
        self.files: dict[Parts, list[Leaf]] = {}
        self.children: dict[Parts, dict[str, None]] = {}
        for leaf in leaves:
            self.files.setdefault(leaf.folder, []).append(leaf)
            for depth in range(len(leaf.folder)):
                below = self.children.setdefault(leaf.folder[:depth], {})
                below[leaf.folder[depth]] = None

    def tables(self, folder: Parts) -> list[Group]:
        own = [Group(folder, [leaf], leaf.file) for leaf in self.files.get(folder, [])]
        names = list(self.children.get(folder, {}))
        below = [self.tables((*folder, name)) for name in names]
        flat = [found for groups in below for found in groups]
        if own or not names or (len(names) == 1 and not is_hive(names[0])):
            return [*own, *flat]
        whole = [
            groups[0]
            for name, groups in zip(names, below, strict=True)
            if len(groups) == 1 and groups[0].root == (*folder, name) and not groups[0].file
        ]
        alike = max(_clusters(whole), key=len, default=[])
        if len(alike) / len(names) <= SIMILAR:
            return flat
        table = Group(folder, [leaf for found in alike for leaf in found.leaves])
        return [table, *(found for found in flat if not any(found is one for one in alike))]


def _clusters(groups: list[Group]) -> list[list[Group]]:
    clusters: list[list[Group]] = []
    for one in groups:
        for cluster in clusters:
            first = cluster[0]
            if (
                first.depth == one.depth
                and first.schema.compatible(one.schema)
                and first.schema.similar(one.schema)
            ):
                cluster.append(one)
                break
        else:
            clusters.append([one])
    return clusters


def group_at_level(leaves: list[Leaf], root: Parts, level: int) -> list[Group]:
    """Tables at a fixed folder level (the bucket is level 1), whatever their schemas.

    Files above that level are grouped as without it; leaves whose format or depth is not that
    of most of their table become tables of their own.
    """
    tables: dict[Parts, list[Leaf]] = {}
    above: list[Leaf] = []
    place = max(level - 1, len(root))
    for leaf in leaves:
        if len(leaf.folder) >= place:
            tables.setdefault(leaf.folder[:place], []).append(leaf)
        else:
            above.append(leaf)
    groups = group(above, root)
    for folder, members in tables.items():
        groups.extend(combined(members, folder))
    return groups


def combined(leaves: list[Leaf], root: Parts) -> list[Group]:
    """One table of all leaves that are compatible in format and depth; the others on their own."""
    clusters: list[list[Leaf]] = []
    for leaf in leaves:
        for cluster in clusters:
            first = cluster[0]
            if len(first.folder) == len(leaf.folder) and first.schema.compatible(leaf.schema):
                cluster.append(leaf)
                break
        else:
            clusters.append([leaf])
    most = max(clusters, key=len)
    by_folder: dict[Parts, list[Leaf]] = {}
    for leaf in most:
        by_folder.setdefault(leaf.folder, []).append(leaf)
    table = Group(
        root,
        [
            Leaf(folder, merged([leaf.schema for leaf in members]))
            for folder, members in by_folder.items()
        ],
    )
    others = [
        Group(leaf.folder, [leaf], leaf.file)
        for cluster in clusters
        if cluster is not most
        for leaf in cluster
    ]
    return [table, *others]
