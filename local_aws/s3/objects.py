"""Objects as plain files, and a side table for what a file cannot hold.

The file is the truth. A row of the side table (ETag, headers, metadata, tags) belongs to a file
only while size and modification time agree, so that files which others write, change or delete
in the folder are objects at once, with an ETag computed when it is first asked for.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws.s3.body import BLOCK
from local_aws.s3.errors import S3Error, no_such_bucket
from local_aws.s3.names import check_key, fault_of_key, is_bucket_name, path_of
from local_aws.service import Unsupported

EMPTY_MD5 = hashlib.md5(b"", usedforsecurity=False).hexdigest()
LARGEST_PUT = 5 << 30

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    bucket TEXT NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    etag TEXT NOT NULL, info TEXT NOT NULL, PRIMARY KEY (bucket, key, size, mtime_ns)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marker (
    bucket TEXT NOT NULL, key TEXT NOT NULL, inode INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    info TEXT NOT NULL, PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
"""


@dataclass(slots=True)
class Stored:
    """An object as it stands: size in bytes, modification time in ns, ETag without quotes.

    ``info`` holds what was given with it: ``headers``, ``metadata``, ``tags``, ``checksums``,
    ``parts`` (sizes), ``storage_class``, ``encryption``; each may be missing.
    """

    key: str
    size: int
    mtime_ns: int
    etag: str
    info: dict[str, Any] = field(default_factory=dict)


Condition = Callable[[Stored | None], None]
"""Raises when a write must not replace the object that is there."""


class ObjectStore:
    """The buckets under ``root`` and everything in them."""

    def __init__(self, root: Path, scratch: Path, table: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        self.root = root.resolve()
        self.scratch = scratch
        self._db = sqlite3.connect(table, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._db_lock = threading.Lock()
        self._locks = [threading.RLock() for _ in range(64)]

    def close(self) -> None:
        with self._db_lock:
            self._db.close()

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement on the side table, committed at once."""
        with self._db_lock:
            return self._db.execute(sql, values).fetchall()

    # Buckets

    def folder(self, bucket: str) -> Path:
        """The bucket's folder.

        Raises:
            S3Error: NoSuchBucket.
        """
        folder = self.root / bucket
        if not is_bucket_name(bucket) or not folder.is_dir():
            raise no_such_bucket(bucket)
        return folder

    def buckets(self) -> list[str]:
        return sorted(
            entry.name
            for entry in os.scandir(self.root)
            if entry.is_dir() and is_bucket_name(entry.name)
        )

    def delete_bucket(self, bucket: str) -> None:
        """Delete a bucket that has no objects, with the empty folders in it.

        Raises:
            S3Error: NoSuchBucket, BucketNotEmpty.
        """
        folder = self.folder(bucket)
        if self.markers(bucket) or not _remove_empty_tree(str(folder)):
            raise S3Error(
                "BucketNotEmpty", "The bucket you tried to delete is not empty", BucketName=bucket
            )
        for table in ("object", "marker"):
            self.query(f"DELETE FROM {table} WHERE bucket = ?", bucket)  # noqa: S608

    # Reading

    def find(self, bucket: str, key: str) -> Stored | None:
        """The object, or None.

        Raises:
            S3Error: NoSuchBucket.
        """
        folder = self.folder(bucket)
        if key.endswith("/"):
            return self._find_marker(folder, bucket, key)
        try:
            descriptor, stored = self.open(bucket, key)
        except FileNotFoundError:
            return None
        os.close(descriptor)
        return stored

    def open(
        self, bucket: str, key: str, rows: list[tuple[Any, ...]] | None = None
    ) -> tuple[int, Stored]:
        """An open file descriptor of exactly the content that is described, to be closed.

        A new row for the side table is appended to ``rows``, if given, instead of written.

        Raises:
            FileNotFoundError: there is no such object.
            S3Error: NoSuchBucket.
        """
        folder = self.folder(bucket)
        if fault_of_key(key) or key.endswith("/"):
            raise FileNotFoundError(key)
        path = path_of(folder, key)
        for attempt in range(100):
            descriptor = _open_file(path)
            status = os.fstat(descriptor)
            stored = self._row(bucket, key, status)
            if stored:
                return descriptor, stored
            if attempt < 99 and not _is_current(path, status):
                os.close(descriptor)
                continue
            try:
                stored, is_settled = _describe(key, descriptor, status)
                if is_settled and rows is None:
                    self._put_row(bucket, key, status, stored.etag, {})
                elif is_settled and rows is not None:
                    rows.append((bucket, key, stored.size, stored.mtime_ns, stored.etag, ""))
                return descriptor, stored
            except BaseException:
                os.close(descriptor)
                raise
        raise AssertionError("unreachable")

    def _row(self, bucket: str, key: str, status: os.stat_result) -> Stored | None:
        rows = self.query(
            "SELECT etag, info FROM object WHERE bucket = ? AND key = ? AND size = ?"
            " AND mtime_ns = ?",
            bucket,
            key,
            status.st_size,
            status.st_mtime_ns,
        )
        if not rows:
            return None
        etag, info = rows[0]
        return Stored(
            key, status.st_size, status.st_mtime_ns, etag, json.loads(info) if info else {}
        )

    def _put_row(
        self, bucket: str, key: str, status: os.stat_result, etag: str, info: dict[str, Any]
    ) -> None:
        self.query(
            "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?)",
            bucket,
            key,
            status.st_size,
            status.st_mtime_ns,
            etag,
            json.dumps(info) if info else "",
        )

    def describe_all(
        self, bucket: str, found: Iterable[tuple[str, os.stat_result]]
    ) -> list[Stored]:
        """Describe a page of files whose status is known; those that vanished are left out."""
        page = list(found)
        rows = self.query(
            # CROSS JOIN: look up each wanted key, never scan the table.
            "SELECT o.key, o.size, o.mtime_ns, o.etag, o.info FROM json_each(?) AS wanted"
            " CROSS JOIN object AS o ON o.bucket = ? AND o.key = wanted.value",
            json.dumps([key for key, _ in page]),
            bucket,
        )
        known = {(key, size, mtime): (etag, info) for key, size, mtime, etag, info in rows}
        result, new = [], list[tuple[Any, ...]]()
        for key, status in page:
            row = known.get((key, status.st_size, status.st_mtime_ns))
            if row:
                info = json.loads(row[1]) if row[1] else {}
                result.append(Stored(key, status.st_size, status.st_mtime_ns, row[0], info))
                continue
            with suppress(FileNotFoundError):
                descriptor, stored = self.open(bucket, key, new)
                os.close(descriptor)
                result.append(stored)
        if new:
            with self._db_lock:
                self._db.execute("BEGIN")
                try:
                    self._db.executemany(
                        "INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?)", new
                    )
                finally:
                    self._db.execute("COMMIT")
        return result

    # Folder markers: keys that end with a slash

    def markers(self, bucket: str, prefix: str = "") -> list[str]:
        """The bucket's folder markers under a prefix, in key order."""
        folder = self.root / bucket
        rows = self.query(
            "SELECT key, inode FROM marker WHERE bucket = ? AND key >= ? ORDER BY key",
            bucket,
            prefix,
        )
        return [
            key
            for key, inode in rows
            if key.startswith(prefix) and _inode(path_of(folder, key)) == inode
        ]

    def _find_marker(self, folder: Path, bucket: str, key: str) -> Stored | None:
        rows = self.query(
            "SELECT inode, mtime_ns, info FROM marker WHERE bucket = ? AND key = ?", bucket, key
        )
        if not rows or _inode(path_of(folder, key)) != rows[0][0]:
            return None
        info = json.loads(rows[0][2]) if rows[0][2] else {}
        return Stored(key, 0, rows[0][1], EMPTY_MD5, info)

    # Writing

    @contextmanager
    def new_file(self) -> Iterator[Path]:
        """A path outside all buckets to write to; removed unless it was committed."""
        path = self.scratch / uuid.uuid4().hex
        try:
            yield path
        finally:
            with suppress(FileNotFoundError):
                path.unlink()

    @contextmanager
    def locked(self, bucket: str, key: str) -> Iterator[None]:
        """No write to the key happens meanwhile, other than the holder's own."""
        with self._locks[hash((bucket, key)) % len(self._locks)]:
            yield

    def commit(
        self,
        bucket: str,
        key: str,
        path: Path,
        etag: str,
        info: dict[str, Any],
        condition: Condition | None = None,
    ) -> Stored:
        """Make a written file the object, in one step for every reader.

        Raises:
            S3Error: NoSuchBucket, or whatever ``condition`` raises.
            Unsupported: the key clashes with another, or cannot be a plain file.
        """
        check_key(key)
        with self.locked(bucket, key):
            if condition:
                condition(self.find(bucket, key))
            if key.endswith("/"):
                return self._commit_marker(bucket, key, path, info)
            now = time.time_ns()
            os.utime(path, ns=(now, now))
            status = os.stat(path)
            self._put_row(bucket, key, status, etag, info)
            self._rename(path, bucket, key)
            self.query(
                "DELETE FROM object WHERE bucket = ? AND key = ?"
                " AND NOT (size = ? AND mtime_ns = ?)",
                bucket,
                key,
                status.st_size,
                status.st_mtime_ns,
            )
        return Stored(key, status.st_size, status.st_mtime_ns, etag, info)

    def _commit_marker(self, bucket: str, key: str, path: Path, info: dict[str, Any]) -> Stored:
        if path.stat().st_size:
            raise Unsupported(
                f"the key {key!r} with content: a key that ends with / is a folder here",
                "Store the content under a key without the last slash.",
            )
        folder = self.folder(bucket)
        target = path_of(folder, key)
        _check_links(target, key)
        make_folder(folder, target, key)
        now = time.time_ns()
        self.query(
            "INSERT OR REPLACE INTO marker VALUES (?, ?, ?, ?, ?)",
            bucket,
            key,
            os.stat(target).st_ino,
            now,
            json.dumps(info) if info else "",
        )
        return Stored(key, 0, now, EMPTY_MD5, info)

    def _rename(self, path: Path, bucket: str, key: str) -> None:
        folder = self.folder(bucket)
        target = path_of(folder, key)
        _check_links(os.path.dirname(target), key)
        for _ in range(100):
            try:
                os.rename(path, target)
                return
            except FileNotFoundError:
                # Somebody may delete the last file of the folder, and so the folder, meanwhile.
                make_folder(folder, os.path.dirname(target), key)
            except NotADirectoryError as error:
                raise _clash(key) from error
            except IsADirectoryError as error:
                if self.markers(bucket, f"{key}/") or not _remove_empty_tree(target):
                    raise _clash(key) from error
        raise S3Error("InternalError", f"the folder of {key!r} disappears as fast as it is made")

    def change_info(self, bucket: str, key: str, change: Callable[[Stored], None]) -> Stored | None:
        """Change what is kept beside an object; None when there is no such object."""
        with self.locked(bucket, key):
            stored = self.find(bucket, key)
            if stored is None:
                return None
            change(stored)
            body = json.dumps(stored.info) if stored.info else ""
            if key.endswith("/"):
                self.query(
                    "UPDATE marker SET info = ? WHERE bucket = ? AND key = ?", body, bucket, key
                )
            else:
                self.query(
                    "UPDATE object SET info = ? WHERE bucket = ? AND key = ? AND size = ?"
                    " AND mtime_ns = ?",
                    body,
                    bucket,
                    key,
                    stored.size,
                    stored.mtime_ns,
                )
            return stored

    def delete(self, bucket: str, key: str, condition: Condition | None = None) -> bool:
        """Delete an object and the folders that this leaves empty; False when there was none.

        Raises:
            S3Error: NoSuchBucket, or whatever ``condition`` raises.
        """
        folder = self.folder(bucket)
        with self.locked(bucket, key):
            if condition:
                condition(self.find(bucket, key))
            if fault_of_key(key):
                return False
            path = path_of(folder, key)
            if _leads_elsewhere(os.path.dirname(path)):
                return False
            if key.endswith("/"):
                existed = self._find_marker(folder, bucket, key) is not None
                self.query("DELETE FROM marker WHERE bucket = ? AND key = ?", bucket, key)
                self._prune(folder, bucket, key)
                return existed
            try:
                if not stat.S_ISREG(os.lstat(path).st_mode):
                    return False
                os.unlink(path)
            except (FileNotFoundError, NotADirectoryError):
                return False
            self.query("DELETE FROM object WHERE bucket = ? AND key = ?", bucket, key)
        self._prune(folder, bucket, os.path.dirname(key))
        return True

    def _prune(self, folder: Path, bucket: str, key: str) -> None:
        """Remove a folder and its parents as long as they are empty and no markers."""
        key = key.removesuffix("/")
        while key:
            if self._find_marker(folder, bucket, f"{key}/"):
                return
            try:
                os.rmdir(f"{folder}/{key}")
            except FileNotFoundError:
                pass
            except OSError:
                return
            key = os.path.dirname(key)


def _describe(key: str, descriptor: int, status: os.stat_result) -> tuple[Stored, bool]:
    """Describe a file that another program wrote, and say whether it stood still meanwhile."""
    etag = EMPTY_MD5
    if status.st_size:
        digest = hashlib.md5(usedforsecurity=False)
        offset = 0
        while block := os.pread(descriptor, BLOCK, offset):
            digest.update(block)
            offset += len(block)
        etag = digest.hexdigest()
    after = os.fstat(descriptor)
    is_settled = (after.st_size, after.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    return Stored(key, status.st_size, status.st_mtime_ns, etag), is_settled


def make_folder(folder: Path, target: str, key: str) -> None:
    """Make the folders of a key, but never the bucket's own, which may have been deleted."""
    try:
        os.mkdir(target)
    except FileExistsError as error:
        try:
            mode = os.lstat(target).st_mode
        except FileNotFoundError:
            # Somebody deleted the last file in it, and so the folder, meanwhile.
            make_folder(folder, target, key)
        else:
            if not stat.S_ISDIR(mode):
                raise _clash(key) from error
    except NotADirectoryError as error:
        raise _clash(key) from error
    except FileNotFoundError as error:
        if target == str(folder):
            raise no_such_bucket(folder.name) from error
        parent = os.path.dirname(target)
        if parent == str(folder) and not folder.is_dir():
            raise no_such_bucket(folder.name) from error
        make_folder(folder, parent, key)
        make_folder(folder, target, key)


def _leads_elsewhere(path: str) -> bool:
    """Whether a symbolic link, which only another program can have made, is in the path."""
    return os.path.realpath(path) != path


def _check_links(path: str, key: str) -> None:
    if _leads_elsewhere(path):
        raise Unsupported(
            f"the key {key[:200]!r}: a symbolic link in the bucket's folder is in its way",
            "Remove the link.",
        )


def _clash(key: str) -> Unsupported:
    return Unsupported(
        f"the key {key[:200]!r}: objects are plain files, and a key cannot be a file and, with a"
        " slash behind it, the folder of another key",
        "Delete the clashing objects or use another key.",
    )


def _open_file(path: str) -> int:
    """Open a regular file that is really inside the bucket's folder (no symbolic links)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            raise FileNotFoundError(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode) or _leads_elsewhere(path):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return descriptor


def _is_current(path: str, status: os.stat_result) -> bool:
    try:
        return os.lstat(path).st_ino == status.st_ino
    except OSError:
        return False


def _inode(path: str) -> int | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino if stat.S_ISDIR(status.st_mode) else None


def _remove_empty_tree(path: str) -> bool:
    """Remove folders that hold no file at any depth; False when there is one."""
    with os.scandir(path) as entries:
        folders = []
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                return False
            folders.append(entry.path)
    if not all(_remove_empty_tree(each) for each in folders):
        return False
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True
