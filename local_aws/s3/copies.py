"""Copies inside S3.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local_aws.s3.attributes import (
    ATTRIBUTES,
    ENCRYPTION,
    encryption_headers,
    given_attributes,
)
from local_aws.s3.base import S3Base, iso_time, key_operation
from local_aws.s3.body import BLOCK
from local_aws.s3.checksums import CHECKSUMS, md5
from local_aws.s3.conditions import check_source, write_condition
from local_aws.s3.errors import S3Error, invalid_argument, no_such_key
from local_aws.s3.names import check_key
from local_aws.s3.objects import LARGEST_PUT, Stored
from local_aws.s3.protocol import Call, Reply, element, xml_reply
from local_aws.s3.transfers import base64_digest, wanted_checksum

SOURCE = (
    "CopySource",
    "CopySourceIfMatch",
    "CopySourceIfModifiedSince",
    "CopySourceIfNoneMatch",
    "CopySourceIfUnmodifiedSince",
    "ExpectedSourceBucketOwner",
)


class CopyOperations(S3Base):
    @key_operation(
        *SOURCE,
        "MetadataDirective",
        "TaggingDirective",
        "ChecksumAlgorithm",
        "IfMatch",
        "IfNoneMatch",
        *ATTRIBUTES,
        ignores=ENCRYPTION,
    )
    def CopyObject(self, call: Call) -> Reply:
        """Copy an object, with its metadata and tags unless others are given."""
        self.objects.folder(call.bucket)
        check_key(call.key)
        condition = write_condition(call)
        with self.open_source(call) as (bucket, descriptor, source):
            if source.size > LARGEST_PUT:
                raise S3Error(
                    "InvalidRequest",
                    "The specified copy source is larger than the maximum allowable size for a"
                    f" copy source: {LARGEST_PUT}",
                )
            info = self._attributes(call, bucket, source)
            algorithm = wanted_checksum(call, "x-amz-checksum-algorithm")
            checksums = source.info.get("checksums", {})
            if not algorithm and source.info.get("checksum_type") == "COMPOSITE":
                algorithm = next(iter(checksums), None)
            elif not algorithm and checksums:
                info["checksums"] = checksums
            with self.objects.new_file() as path:
                is_md5 = "-" not in source.etag
                digests = copy_bytes(descriptor, 0, source.size, path, algorithm, hashed=not is_md5)
                if algorithm:
                    info["checksums"] = {algorithm: digests[algorithm]}
                etag = source.etag if is_md5 else digests["etag"]
                stored = self.objects.commit(call.bucket, call.key, path, etag, info, condition)
        self.created(call, stored, "Copy")
        content = element("LastModified", iso_time(stored.mtime_ns))
        content += f"<ETag>&quot;{stored.etag}&quot;</ETag>"
        if info.get("checksums"):
            content += element("ChecksumType", "FULL_OBJECT")
            for name, value in info["checksums"].items():
                content += element(f"Checksum{name.upper()}", value)
        return xml_reply("CopyObjectResult", content, encryption_headers(info))

    def _attributes(self, call: Call, bucket: str, source: Stored) -> dict[str, Any]:
        """The copy's ``info``: given with the request, or the source's."""
        given = given_attributes(call)
        metadata = _directive(call, "x-amz-metadata-directive")
        tagging = _directive(call, "x-amz-tagging-directive")
        if (
            (bucket, source.key) == (call.bucket, call.key)
            and metadata == "COPY"
            and call.header("x-amz-storage-class") is None
            and "encryption" not in given
        ):
            raise S3Error(
                "InvalidRequest",
                "This copy request is illegal because it is trying to copy an object to itself"
                " without changing the object's metadata, storage class, website redirect location"
                " or encryption attributes.",
            )
        if metadata == "COPY":
            for name in ("headers", "metadata"):
                given.pop(name, None)
                if name in source.info:
                    given[name] = source.info[name]
        if tagging == "COPY":
            given.pop("tags", None)
            if "tags" in source.info:
                given["tags"] = source.info["tags"]
        return given

    @contextmanager
    def open_source(self, call: Call) -> Iterator[tuple[str, int | None, Stored]]:
        """Bucket, open file (None for a folder marker) and description of a copy's source.

        Raises:
            S3Error: InvalidArgument, NoSuchBucket, NoSuchKey, PreconditionFailed, AccessDenied.
        """
        header = call.header("x-amz-copy-source") or ""
        path, _, version = header.partition("?versionId=")
        bucket, _, key = unquote(path).removeprefix("/").partition("/")
        if not bucket or not key:
            raise invalid_argument(
                "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
                "x-amz-copy-source",
                header,
            )
        if version not in ("", "null"):
            raise S3Error("NoSuchVersion", "The specified version does not exist.", Key=key)
        owner = call.header("x-amz-source-expected-bucket-owner")
        if owner not in (None, self.aws.config.account):
            raise S3Error("AccessDenied", "Access Denied")
        descriptor: int | None = None
        if key.endswith("/"):
            stored = self.objects.find(bucket, key)
            if stored is None:
                raise no_such_key(key)
        else:
            try:
                descriptor, stored = self.objects.open(bucket, key)
            except FileNotFoundError:
                raise no_such_key(key) from None
        try:
            check_source(call, stored)
            yield bucket, descriptor, stored
        finally:
            if descriptor is not None:
                os.close(descriptor)


def copy_bytes(
    descriptor: int | None,
    start: int,
    length: int,
    path: Path,
    algorithm: str | None,
    hashed: bool = True,
) -> dict[str, str]:
    """Copy a piece of an open file to a new file.

    Returns:
        ``etag`` (MD5, hexadecimal) if ``hashed``, and the checksum of ``algorithm`` (base64).
    """
    hashes = {}
    if hashed:
        hashes["etag"] = md5()
    if algorithm:
        hashes[algorithm] = CHECKSUMS[algorithm]()
    with open(path, "wb", buffering=0) as target:
        end = start + length if descriptor is not None else start
        while start < end and descriptor is not None:
            if not hashes:
                try:
                    moved = os.copy_file_range(
                        descriptor, target.fileno(), min(end - start, 1 << 30), start
                    )
                except OSError:
                    moved = target.write(os.pread(descriptor, min(BLOCK, end - start), start))
            else:
                block = os.pread(descriptor, min(BLOCK, end - start), start)
                for each in hashes.values():
                    each.update(block)
                moved = target.write(block)
            if not moved:
                raise S3Error("InternalError", "the copy's source was cut short meanwhile")
            start += moved
    digests = {name: each.digest() for name, each in hashes.items()}
    result = {name: base64_digest(digest) for name, digest in digests.items()}
    if hashed:
        result["etag"] = digests["etag"].hex()
    return result


def _directive(call: Call, header: str) -> str:
    value = call.header(header) or "COPY"
    if value not in ("COPY", "REPLACE"):
        raise invalid_argument(f"Unknown {header.removeprefix('x-amz-')}.", header, value)
    return value
