"""S3 objects for COPY and UNLOAD: prefixes, manifests, authorisation clauses."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws.redshift.dialect import Cursor
from local_aws.redshift.errors import SqlError, Unsupported
from local_aws.service import AwsError

if TYPE_CHECKING:
    from local_aws.instance import Instance


@dataclass(frozen=True)
class Object:
    """One object: its URI and its file."""

    uri: str
    path: Path

    @property
    def name(self) -> str:
        return self.uri.rpartition("/")[2]


def split_uri(uri: str) -> tuple[str, str]:
    """``("bucket", "key")``.

    Raises:
        SqlError: it is not an S3 URI.
    """
    if not uri.lower().startswith("s3://") or len(uri) <= 5:
        raise SqlError(f"Invalid S3 path {uri!r}", "Write s3://bucket/prefix.")
    bucket, _, key = uri[5:].partition("/")
    return bucket, key


def folder(aws: Instance, bucket: str) -> Path:
    try:
        return Path(aws.s3.path(f"s3://{bucket}/"))
    except AwsError as error:
        raise SqlError(
            f"S3ServiceException: The specified bucket does not exist: {bucket}. ({error.code})"
        ) from None


def with_prefix(aws: Instance, uri: str) -> list[Object]:
    """Every object whose key starts with the URI's key, in key order.

    Raises:
        SqlError: there is none, in Redshift's words.
    """
    bucket, prefix = split_uri(uri)
    root = folder(aws, bucket)
    top, _, _ = prefix.rpartition("/")
    start = root / top if top else root
    found = []
    for directory, _, names in os.walk(start):
        for name in names:
            path = Path(directory, name)
            key = path.relative_to(root).as_posix()
            if key.startswith(prefix):
                found.append(Object(f"s3://{bucket}/{key}", path))
    if not found:
        raise SqlError(f"The specified S3 prefix '{prefix}' does not exist")
    return sorted(found, key=lambda each: each.uri)


def in_manifest(aws: Instance, uri: str) -> list[Object]:
    """The objects that a manifest lists.

    https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html
    """
    bucket, key = split_uri(uri)
    path = folder(aws, bucket) / key
    if not path.is_file():
        raise SqlError(
            f"Problem reading manifest file - S3ServiceException: The specified key"
            f" does not exist. {uri}"
        )
    try:
        entries = json.loads(path.read_text("utf-8"))["entries"]
        urls = [(entry["url"], bool(entry.get("mandatory", False))) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise SqlError(f"Manifest file is not in correct json format: {uri} ({error})") from None
    found = []
    for url, mandatory in urls:
        place, name = split_uri(url)
        file = folder(aws, place) / name
        if file.is_file():
            found.append(Object(url, file))
        elif mandatory:
            raise SqlError(f"Problem reading manifest file - mandatory file {url} does not exist")
    if not found:
        raise SqlError(f"No files found in the manifest {uri}")
    return found


def authorisation(cursor: Cursor) -> bool:
    """Read one authorisation clause, if one is next. Rights are not checked here.

    https://docs.aws.amazon.com/redshift/latest/dg/copy-parameters-authorization.html
    """
    if cursor.accept("IAM_ROLE"):
        if not cursor.accept("DEFAULT"):
            value = cursor.string()
            if value != "SESSION" and not all(
                part.strip().startswith("arn:") for part in value.split(",")
            ):
                raise SqlError(f"Invalid IAM_ROLE {value!r}", "Write a role's ARN or DEFAULT.")
        return True
    if cursor.peek() in ("CREDENTIALS", "CREDENTIAL"):
        cursor.token()
        cursor.accept("AS")
        _check_credentials(cursor.string())
        return True
    for word in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        if cursor.accept(word):
            cursor.accept("AS")
            cursor.string()
            return True
    return False


def _check_credentials(value: str) -> None:
    known = {"aws_iam_role", "aws_access_key_id", "aws_secret_access_key", "token",
             "master_symmetric_key"}  # fmt: skip
    names = {part.partition("=")[0].strip() for part in value.split(";") if part.strip()}
    if not names or names - known:
        raise SqlError(
            "Invalid credentials. Must be of the format: credentials"
            " 'aws_iam_role=...' or 'aws_access_key_id=...;aws_secret_access_key=..."
            "[;token=...]'"
        )
    if "master_symmetric_key" in names:
        raise Unsupported("client-side encryption in COPY and UNLOAD")
