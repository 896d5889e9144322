"""Delivers a day's catalogue: puts its files into landing, in parts, and goes on where it was cut.

    python upload.py --from DIR --date YYYY-MM-DD [--bucket BUCKET] [--file movies.csv ...]

A file is read once, in parts; each is sent with its SHA-256, several at a time, and S3 refuses what
is not what was sent. An upload that was ended in the middle is found again (ListMultipartUploads)
and gone on with: a part that S3 has (ListParts) with the size and the checksum of this file's is
not sent again, so a file that has changed meanwhile is mended where it differs. A file that is
there already is not sent again. Nobody sees a file before its last part is there.

The function that is called by S3 then checks the files against their contracts and copies them to
bronze. This file needs boto3 and rich, and nothing of the project: it runs where the catalogue is
made, in a container of its own (see the Dockerfile beside it).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

SOURCE = "catalogue"
FILES = ("series.csv", "movies.csv")
PART_BYTES = 8 << 20
MOST_PARTS = 10_000
AT_ONCE = 4
DEFAULT_PREFIX = "madrugada-local"


class UploadError(Exception):
    """A file cannot be delivered; the message names it. What was sent is gone on with next time."""


@dataclass(frozen=True)
class Part:
    """A part of a file, by its place in it; numbers are from 1, as S3 has them."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True)
class Sent:
    """What became of a file: its bytes, and how many of them were there already."""

    key: str
    bytes: int
    there: int


class Uploader:
    """Puts files into one bucket; `progress` is told of a file's name and bytes that are done."""

    def __init__(
        self,
        s3: Any,
        bucket: str,
        progress: Callable[[str, int], None] = lambda name, done: None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self.s3, self.bucket, self.progress, self.part_bytes = s3, bucket, progress, part_bytes

    def upload(self, path: Path, key: str) -> Sent:
        """
        :raises UploadError: the file cannot be read, has changed while it was sent, or S3 does not
            take it.
        """
        try:
            before = path.stat()
            sent = self._upload(path, key, before.st_size)
            after = path.stat()
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise UploadError(f"{path} changed while it was sent; send it again")
        except (ClientError, BotoCoreError, OSError) as error:
            raise UploadError(
                f"{path}: could not be sent to s3://{self.bucket}/{key}: {error}"
            ) from error
        return sent

    def _upload(self, path: Path, key: str, size: int) -> Sent:
        parts = parts_of(size, self.part_bytes)
        if self._is_there(path, key, size, parts):
            self.progress(path.name, size)
            return Sent(key, size, there=size)
        if len(parts) == 1:
            body = _read(path, parts[0])
            self.s3.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType="text/csv",
                ChecksumSHA256=_digest(body),
            )  # fmt: skip
            self.progress(path.name, size)
            return Sent(key, size, there=0)
        upload = self._unfinished(key) or self._begin(key)
        known = self._known_parts(key, upload)
        there = 0
        lock = threading.Lock()

        def send(part: Part) -> dict[str, Any]:
            nonlocal there
            body = _read(path, part)
            digest = _digest(body)
            found = known.get(part.number)
            if found and found["Size"] == part.size and found.get("ChecksumSHA256") == digest:
                etag = found["ETag"]
                with lock:
                    there += part.size
            else:
                etag = self.s3.upload_part(
                    Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=part.number,
                    Body=body, ChecksumSHA256=digest,
                )["ETag"]  # fmt: skip
            self.progress(path.name, part.size)
            return {"PartNumber": part.number, "ETag": etag, "ChecksumSHA256": digest}

        done = sorted(_at_once(send, parts), key=lambda part: part["PartNumber"])
        self.s3.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done},
            ChecksumSHA256=_together([part["ChecksumSHA256"] for part in done]),
        )  # fmt: skip
        return Sent(key, size, there)

    def _is_there(self, path: Path, key: str, size: int, parts: Sequence[Part]) -> bool:
        """Whether the bucket has this very file: by its size first, then by its checksum."""
        try:
            found = self.s3.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
                raise
            return False
        if found["ContentLength"] != size or not found.get("ChecksumSHA256"):
            return False
        digests = [_digest(_read(path, part)) for part in parts]
        return found["ChecksumSHA256"] == (
            digests[0] if len(parts) == 1 else f"{_together(digests)}-{len(parts)}"
        )

    def _begin(self, key: str) -> str:
        return self.s3.create_multipart_upload(
            Bucket=self.bucket, Key=key, ContentType="text/csv", ChecksumAlgorithm="SHA256"
        )["UploadId"]

    def _unfinished(self, key: str) -> str | None:
        """The newest upload of this key that was begun with checksums and not ended."""
        pages = self.s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix=key
        )
        found = [
            one
            for page in pages
            for one in page.get("Uploads", ())
            if one["Key"] == key and one.get("ChecksumAlgorithm") == "SHA256"
        ]
        return max(found, key=lambda one: one["Initiated"])["UploadId"] if found else None

    def _known_parts(self, key: str, upload: str) -> Mapping[int, dict[str, Any]]:
        pages = self.s3.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key=key, UploadId=upload
        )
        return {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}


def parts_of(size: int, part_bytes: int = PART_BYTES) -> list[Part]:
    """A file's parts, the same for every try: as large as asked for, larger when there would be
    more of them than S3 takes."""
    wanted = max(part_bytes, -(-size // MOST_PARTS))
    starts = range(0, max(size, 1), wanted)
    return [Part(n, start, min(wanted, size - start)) for n, start in enumerate(starts, 1)]


def _at_once(send: Callable[[Part], dict[str, Any]], parts: Sequence[Part]) -> Iterator[Any]:
    """Sends parts, a few at a time: no more of the file is in memory than those."""
    waiting: set[Future[dict[str, Any]]] = set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part in parts:
            if len(waiting) == AT_ONCE:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            waiting.add(pool.submit(send, part))
        yield from (future.result() for future in waiting)


def _read(path: Path, part: Part) -> bytes:
    with path.open("rb") as file:
        file.seek(part.offset)
        body = file.read(part.size)
    if len(body) != part.size:
        raise UploadError(f"{path} became shorter while it was sent; send it again")
    return body


def _digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _together(digests: Sequence[str]) -> str:
    """The checksum of checksums that S3 keeps of an object in parts."""
    return _digest(b"".join(base64.b64decode(digest) for digest in digests))


def deliver(
    folder: Path, day: date, bucket: str, s3: Any, names: Sequence[str] = FILES
) -> list[Sent]:
    """Sends a folder's files with a bar for each; what became of them.

    :raises UploadError: a file is not there, is empty, or could not be sent.
    """
    paths = [folder / name for name in names]
    for path in paths:
        if not path.is_file() or not path.stat().st_size:
            raise UploadError(f"{path}: expected a file with rows, found none")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bars:
        tasks = {path.name: bars.add_task(path.name, total=path.stat().st_size) for path in paths}
        uploader = Uploader(s3, bucket, lambda name, done: bars.update(tasks[name], advance=done))
        return [uploader.upload(path, f"{SOURCE}/{day}/{path.name}") for path in paths]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="upload.py", description="Put a day's catalogue into landing, in parts that can go on."
    )
    parser.add_argument("--from", dest="folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--date", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    parser.add_argument("--file", dest="files", action="append", help="by default both")
    parser.add_argument(
        "--bucket",
        default=f"{os.environ.get('MADRUGADA_PREFIX', DEFAULT_PREFIX)}-landing",
    )
    arguments = parser.parse_args(argv)
    try:
        sent = deliver(
            arguments.folder,
            arguments.date,
            arguments.bucket,
            boto3.client("s3"),
            arguments.files or FILES,
        )
    except UploadError as error:
        print(error, file=sys.stderr)
        return 1
    for one in sent:
        said = f", {one.there:,} of them there already" if one.there else ""
        print(f"s3://{arguments.bucket}/{one.key}: {one.bytes:,} bytes{said}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
