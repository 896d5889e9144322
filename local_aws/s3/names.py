"""Bucket names and keys, and which keys can be plain files."""

from __future__ import annotations

import re
from pathlib import Path

from local_aws.s3.errors import S3Error
from local_aws.service import Unsupported

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
LONGEST_KEY = 1024
LONGEST_SEGMENT = 255


def is_bucket_name(name: str) -> bool:
    """Whether S3 allows the name.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    return (
        _BUCKET.fullmatch(name) is not None
        and ".." not in name
        and not _ADDRESS.fullmatch(name)
        and not name.startswith(("xn--", "sthree-", "amzn-s3-demo-"))
        and not name.endswith(("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"))
    )


def fault_of_key(key: str) -> str:
    """Why the key cannot be a plain file; empty when it can."""
    if "\0" in key:
        return "it contains a NUL character"
    segments = key.removesuffix("/").split("/")
    for segment in segments:
        if segment in ("", ".", ".."):
            return f"its part {segment!r} between slashes is no file name"
        if len(segment.encode()) > LONGEST_SEGMENT:
            return f"its part {segment[:20]!r}... is longer than {LONGEST_SEGMENT} bytes"
    return ""


def check_key(key: str) -> None:
    """Refuse a key that S3 does not allow, or that cannot be a plain file.

    Raises:
        S3Error: KeyTooLongError, as on AWS.
        Unsupported: the key is allowed on AWS only.
    """
    size = len(key.encode())
    if size > LONGEST_KEY:
        raise S3Error(
            "KeyTooLongError",
            "Your key is too long",
            Size=str(size),
            MaxSizeAllowed=str(LONGEST_KEY),
        )
    fault = fault_of_key(key)
    if fault:
        raise Unsupported(
            f"the key {key[:200]!r}: objects are plain files, and {fault}",
            "Use a key whose parts are file names of at most 255 bytes.",
        )


def path_of(folder: Path, key: str) -> str:
    """The file of a key that passed :func:`fault_of_key` (without a trailing slash)."""
    return f"{folder}/{key.removesuffix('/')}"
