"""What the groups of S3 operations share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, TypeVar

from local_aws.s3.errors import S3Error, no_such_key
from local_aws.s3.objects import ObjectStore, Stored
from local_aws.s3.protocol import Call
from local_aws.service import Service, operation

OWNER_ID = "6d616472756761646161776c6f63616c6d616472756761646161776c6f63616c"
OWNER = f"<Owner><ID>{OWNER_ID}</ID></Owner>"

PAYER = {"RequestPayer": "one account owns everything, nobody is charged"}

BUCKET = "s3/bucket"


F = TypeVar("F", bound=Callable[..., Any])


def bucket_operation(
    *accepts: str, ignores: Mapping[str, str] | None = None, differs: str = ""
) -> Callable[[F], F]:
    """An operation on a bucket, which may name the bucket's owner to be sure of it."""
    return operation("Bucket", "ExpectedBucketOwner", *accepts, ignores=ignores, differs=differs)


def key_operation(
    *accepts: str, ignores: Mapping[str, str] | None = None, differs: str = ""
) -> Callable[[F], F]:
    """An operation on an object."""
    return bucket_operation("Key", *accepts, ignores={**PAYER, **(ignores or {})}, differs=differs)


class S3Base(Service):
    """The state behind S3: :attr:`objects`, and a document of settings for each bucket."""

    service_name = "s3"
    objects: ObjectStore

    # What one group of operations needs of another.

    def created(self, call: Call, stored: Stored, how: str) -> None:
        """Tell who listens that an object was made by ``how`` (Put, Copy, ...)."""
        raise NotImplementedError

    def removed(self, call: Call, key: str) -> None:
        """Tell who listens that an object was deleted."""
        raise NotImplementedError

    def forget_uploads(self, bucket: str) -> None:
        """Give up every multipart upload to a bucket that is deleted."""
        raise NotImplementedError

    def settings(self, bucket: str) -> dict[str, Any]:
        """The bucket's settings (a copy).

        Raises:
            S3Error: NoSuchBucket.
        """
        self.objects.folder(bucket)
        return self.aws.store.get(BUCKET, bucket) or {}

    def change_settings(self, bucket: str, **changes: Any) -> None:
        """Set or, with None, forget settings of a bucket."""
        with self.aws.store.transaction():
            document = {**self.settings(bucket), **changes}
            kept = {name: value for name, value in document.items() if value is not None}
            self.aws.store.put(BUCKET, bucket, kept)

    def found(self, call: Call) -> Stored:
        """The object of the request.

        Raises:
            S3Error: NoSuchBucket, NoSuchKey, or NoSuchVersion.
        """
        check_version(call)
        stored = self.objects.find(call.bucket, call.key)
        if stored is None:
            raise no_such_key(call.key)
        return stored


def check_version(call: Call) -> None:
    """Versioning is off: the only version is ``null``."""
    version = call.query.get("versionId")
    if version not in (None, "null"):
        raise S3Error(
            "NoSuchVersion",
            "The specified version does not exist.",
            Key=call.key,
            VersionId=str(version),
        )


def quote_etag(etag: str) -> str:
    return f'"{etag}"'


def iso_time(mtime_ns: int) -> str:
    """``2026-01-05T03:00:00.000Z``: S3 knows whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(mtime_ns // 1_000_000_000))


def http_time(mtime_ns: int) -> str:
    return formatdate(mtime_ns // 1_000_000_000, usegmt=True)


def parse_http_time(text: str | None) -> int | None:
    """Seconds since the epoch of an HTTP date; None when it is none (S3 ignores bad dates)."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def parse_number(call: Call, name: str, default: int, largest: int | None = None) -> int:
    """A query argument that is a number from 0.

    Raises:
        S3Error: InvalidArgument.
    """
    text = call.query.get(name)
    if text is None or text == "":
        return default
    try:
        number = int(text)
    except ValueError:
        raise S3Error(
            "InvalidArgument",
            f"Provided {name} not an integer or within integer range",
            ArgumentName=name,
            ArgumentValue=text,
        ) from None
    if number < 0 or number > 2147483647:
        raise S3Error(
            "InvalidArgument",
            f"Argument {name} must be an integer between 0 and 2147483647",
            ArgumentName=name,
            ArgumentValue=text,
        )
    return min(number, largest) if largest else number


def iso_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
