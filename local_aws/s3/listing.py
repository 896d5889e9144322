"""Keys in S3's order (UTF-8 bytes of the whole key) from folders."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from local_aws.s3.names import fault_of_key

LARGEST_PAGE = 1000


@dataclass(slots=True)
class Item:
    """A key with its file's status (None for a folder marker), or a common prefix."""

    name: str
    status: os.stat_result | None = None
    is_prefix: bool = False


class Lister:
    """One listing of one bucket.

    Python orders text by code points, which is the order of its UTF-8 bytes. A folder is sorted
    as its name with a slash, so that ``a-b`` comes before what is in ``a/``.
    """

    def __init__(
        self, folder: str, markers: list[str], prefix: str, after: str, delimiter: str
    ) -> None:
        self.folder = folder
        self.markers = markers
        self.prefix = prefix
        self.after = after
        self.delimiter = delimiter
        at = after.find(delimiter, len(prefix)) if delimiter and after.startswith(prefix) else -1
        self.skip = after[: at + len(delimiter)] if at >= 0 else None

    def __iter__(self) -> Iterator[Item]:
        if self.delimiter and self.delimiter != "/":
            return self._grouped()
        return self._all()

    def _all(self) -> Iterator[Item]:
        """Walk from the deepest folder that the prefix names."""
        base = self.prefix[: self.prefix.rfind("/") + 1]
        if not base:
            yield from self._walk(self.folder, "")
            return
        path = f"{self.folder}/{base[:-1]}"
        if fault_of_key(base) or os.path.realpath(path) != path:
            return
        if base == self.prefix and base > self.after and self._is_marker(base):
            yield Item(base)
        yield from self._walk(path, base)

    def _grouped(self) -> Iterator[Item]:
        group = self.skip
        for item in self._all():
            if group is not None and item.name.startswith(group):
                continue
            at = item.name.find(self.delimiter, len(self.prefix))
            if at < 0:
                yield item
                continue
            group = item.name[: at + len(self.delimiter)]
            yield Item(group, is_prefix=True)

    def _entries(self, path: str, base: str) -> list[tuple[str, os.DirEntry[str]]]:
        prefix, after, found = self.prefix, self.after, []
        try:
            scan = os.scandir(path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        with scan:
            for entry in scan:
                name = base + entry.name
                if entry.is_dir(follow_symlinks=False):
                    name += "/"
                    behind = name > after or after.startswith(name)
                    if not behind or not (name.startswith(prefix) or prefix.startswith(name)):
                        continue
                elif not entry.is_file(follow_symlinks=False):
                    continue
                if not name.endswith("/") and (name <= after or not name.startswith(prefix)):
                    continue
                if not name.isascii() and not _is_text(name):
                    continue
                found.append((name, entry))
        found.sort(key=lambda pair: pair[0])
        return found

    def _walk(self, path: str, base: str) -> Iterator[Item]:
        rolled_up = self.delimiter == "/"
        for name, entry in self._entries(path, base):
            if not name.endswith("/"):
                try:
                    yield Item(name, entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue
            elif rolled_up and len(name) > len(self.prefix):
                if name != self.skip and self._holds_objects(entry.path, name):
                    yield Item(name, is_prefix=True)
            else:
                if name > self.after and name.startswith(self.prefix) and self._is_marker(name):
                    yield Item(name)
                yield from self._walk(entry.path, name)

    def _is_marker(self, name: str) -> bool:
        at = bisect_left(self.markers, name)
        return at < len(self.markers) and self.markers[at] == name

    def _holds_objects(self, path: str, name: str) -> bool:
        at = bisect_left(self.markers, name)
        if at < len(self.markers) and self.markers[at].startswith(name):
            return True
        return _holds_files(path)


def _holds_files(path: str) -> bool:
    folders = []
    try:
        with os.scandir(path) as scan:
            for entry in scan:
                if entry.is_file(follow_symlinks=False):
                    return True
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    except FileNotFoundError:
        return False
    return any(_holds_files(each) for each in folders)


def _is_text(name: str) -> bool:
    """Whether a file's name is UTF-8; other files cannot be keys."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
