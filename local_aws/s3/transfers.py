"""Operations on objects and their bytes.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_aws.s3.attributes import (
    ATTRIBUTES,
    ENCRYPTION,
    attribute_headers,
    encryption_headers,
    given_attributes,
)
from local_aws.s3.base import (
    PAYER,
    S3Base,
    bucket_operation,
    check_version,
    http_time,
    key_operation,
    quote_etag,
)
from local_aws.s3.body import BLOCK, CHECKSUM_HEADER
from local_aws.s3.checksums import CHECKSUMS
from local_aws.s3.conditions import (
    check_read,
    delete_condition,
    parse_range,
    write_condition,
)
from local_aws.s3.errors import S3Error, invalid_argument, no_such_key
from local_aws.s3.names import check_key
from local_aws.s3.objects import LARGEST_PUT, Stored
from local_aws.s3.protocol import Call, Reply, element, malformed_xml, xml_reply
from local_aws.service import AwsError, Unsupported

CHECKSUM_MEMBERS = (
    "ChecksumAlgorithm",
    "ChecksumCRC32",
    "ChecksumCRC32C",
    "ChecksumCRC64NVME",
    "ChecksumSHA1",
    "ChecksumSHA256",
)
_OVERRIDES = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Expires",
)
_READ = (
    "IfMatch",
    "IfModifiedSince",
    "IfNoneMatch",
    "IfUnmodifiedSince",
    "Range",
    "ResponseCacheControl",
    "ResponseContentDisposition",
    "ResponseContentEncoding",
    "ResponseContentLanguage",
    "ResponseContentType",
    "ResponseExpires",
    "VersionId",
    "PartNumber",
    "ChecksumMode",
)


class ObjectOperations(S3Base):
    @key_operation(
        "Body",
        "ContentLength",
        "ContentMD5",
        "IfMatch",
        "IfNoneMatch",
        *CHECKSUM_MEMBERS,
        *ATTRIBUTES,
        ignores=ENCRYPTION,
        differs="Keys that cannot be file names are refused.",
    )
    def PutObject(self, call: Call) -> Reply:
        """Store an object in one step: readers see the old one or the new one."""
        self.objects.folder(call.bucket)
        check_key(call.key)
        condition = write_condition(call)
        info = given_attributes(call)
        with self.objects.new_file() as path:
            self.receive(call, path, LARGEST_PUT, wanted_checksum(call))
            if call.body.checksums:
                info["checksums"] = call.body.checksums
            stored = self.objects.commit(
                call.bucket, call.key, path, call.body.md5, info, condition
            )
        self.created(call, stored, "Put")
        headers = {"ETag": quote_etag(stored.etag), **encryption_headers(info)}
        headers.update(checksum_headers(info))
        return Reply(200, headers)

    @staticmethod
    def receive(call: Call, path: Path, largest: int, algorithm: str | None = None) -> None:
        """Write the request's body to a file, verifying it; compute ``algorithm`` on the way.

        Raises:
            S3Error: MissingContentLength, EntityTooLarge, and those of the body's checks.
        """
        if not call.body.given:
            raise S3Error(
                "MissingContentLength", "You must provide the Content-Length HTTP header."
            )
        with open(path, "wb", buffering=0) as file:
            for block in call.body.blocks(algorithm):
                if call.body.size > largest:
                    raise S3Error(
                        "EntityTooLarge",
                        "Your proposed upload exceeds the maximum allowed size",
                        MaxSizeAllowed=str(largest),
                    )
                file.write(block)

    @key_operation(
        *_READ,
    )
    def GetObject(self, call: Call) -> Reply:
        """Read an object or a range of it."""
        check_version(call)
        if call.key.endswith("/"):
            return self._read(call, self.found(call), None)
        try:
            descriptor, stored = self.objects.open(call.bucket, call.key)
        except FileNotFoundError:
            raise no_such_key(call.key) from None
        try:
            reply = self._read(call, stored, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if isinstance(reply.body, bytes):
            os.close(descriptor)
        return reply

    @key_operation(
        *_READ,
    )
    def HeadObject(self, call: Call) -> Reply:
        """Describe an object without its content."""
        return self._read(call, self.found(call), None)

    def _read(self, call: Call, stored: Stored, descriptor: int | None) -> Reply:
        unchanged = check_read(call, stored)
        if unchanged:
            return unchanged
        headers = {
            "ETag": quote_etag(stored.etag),
            "Last-Modified": http_time(stored.mtime_ns),
            "Accept-Ranges": "bytes",
            **attribute_headers(stored.info),
        }
        for name in _OVERRIDES:
            value = call.query.get(f"response-{name.lower()}")
            if value is not None:
                headers[name] = _header_value(name, value)
        start, length, status = 0, stored.size, 200
        wanted = self._part(call, stored, headers) or parse_range(call.header("range"), stored.size)
        if wanted:
            start, length = wanted
            status = 206
            headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{stored.size}"
        elif call.header("x-amz-checksum-mode") == "ENABLED":
            headers.update(checksum_headers(stored.info))
        headers["Content-Length"] = str(length)
        if descriptor is None:
            return Reply(status, headers)
        if length <= BLOCK:
            return Reply(status, headers, os.pread(descriptor, length, start))
        return Reply(status, headers, FileStream(descriptor, start, length))

    @staticmethod
    def _part(call: Call, stored: Stored, headers: dict[str, str]) -> tuple[int, int] | None:
        """The range of the part that ``partNumber`` asks for."""
        text = call.query.get("partNumber")
        if text is None:
            return None
        if call.header("range"):
            raise S3Error(
                "InvalidRequest", "Cannot specify both Range header and partNumber query parameter"
            )
        sizes = stored.info.get("parts")
        count = len(sizes) if sizes else 1
        if not text.isdecimal() or not 1 <= int(text) <= 10000:
            raise invalid_argument(
                "Part number must be an integer between 1 and 10000, inclusive", "partNumber", text
            )
        if int(text) > count:
            raise S3Error("InvalidPartNumber", "The requested partnumber is not satisfiable")
        if not sizes:
            return (0, stored.size) if stored.size else None
        headers["x-amz-mp-parts-count"] = str(count)
        return sum(sizes[: int(text) - 1]), sizes[int(text) - 1]

    @key_operation(
        "IfMatch",
        "VersionId",
    )
    def DeleteObject(self, call: Call) -> Reply:
        """Delete an object; one that is not there is no error."""
        check_version(call)
        if self.objects.delete(call.bucket, call.key, delete_condition(call)):
            self.removed(call, call.key)
        return Reply(204)

    @bucket_operation(
        "Delete",
        "ChecksumAlgorithm",
        ignores=PAYER,
    )
    def DeleteObjects(self, call: Call) -> Reply:
        """Delete up to 1000 objects, each with its own result."""
        self.objects.folder(call.bucket)
        root = call.xml()
        wanted = root.findall("Object")
        if root.tag != "Delete" or not 1 <= len(wanted) <= 1000:
            raise malformed_xml("expected Delete with 1 to 1000 Objects")
        quiet = (root.findtext("Quiet") or "").strip() == "true"
        parts = []
        for each in wanted:
            key = each.findtext("Key") or ""
            try:
                self._delete_one(call, key, {child.tag: child.text or "" for child in each})
            except AwsError as error:
                parts.append(
                    f"<Error>{element('Key', key)}{element('Code', error.code)}"
                    f"{element('Message', error.message)}</Error>"
                )
            else:
                if not quiet:
                    parts.append(f"<Deleted>{element('Key', key)}</Deleted>")
        return xml_reply("DeleteResult", "".join(parts))

    def _delete_one(self, call: Call, key: str, wanted: dict[str, str]) -> None:
        if not key:
            raise S3Error("UserKeyMustBeSpecified", "The request must contain a Key.")
        if wanted.get("VersionId") not in (None, "null"):
            raise S3Error("NoSuchVersion", "The specified version does not exist.")
        unknown = set(wanted) - {"Key", "VersionId", "ETag"}
        if unknown:
            raise Unsupported(f"the option {sorted(unknown)[0]} of s3:DeleteObjects")
        etag = wanted.get("ETag")
        one = Call(
            call.method,
            call.bucket,
            key,
            {},
            {"HTTP_IF_MATCH": etag} if etag else {},
            call.body,
            call.request_id,
        )
        if self.objects.delete(call.bucket, key, delete_condition(one)):
            self.removed(call, key)


def wanted_checksum(call: Call, header: str = "x-amz-sdk-checksum-algorithm") -> str | None:
    """The algorithm that a header names, in lower case.

    Raises:
        Unsupported: it is not verified here.
    """
    name = call.header(header)
    if name is None:
        return None
    if name.lower() not in CHECKSUMS:
        raise Unsupported(
            f"the checksum {name}", f"Supported checksums: {', '.join(CHECKSUMS).upper()}."
        )
    return name.lower()


def base64_digest(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def checksum_headers(info: dict[str, Any]) -> dict[str, str]:
    """The checksums that the object was stored with."""
    checksums = info.get("checksums")
    if not checksums:
        return {}
    headers = {CHECKSUM_HEADER + name: value for name, value in checksums.items()}
    headers["x-amz-checksum-type"] = info.get("checksum_type", "FULL_OBJECT")
    return headers


def _header_value(name: str, value: str) -> str:
    if "\r" in value or "\n" in value:
        raise invalid_argument("Header values have one line", f"response-{name.lower()}", value)
    return value


class FileStream(Iterator[bytes]):
    """A piece of an open file, block by block; closes the file."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor = descriptor
        self._offset = start
        self._end = start + length

    def __next__(self) -> bytes:
        block = os.pread(self._descriptor, min(BLOCK, self._end - self._offset), self._offset)
        if not block:
            raise StopIteration
        self._offset += len(block)
        return block

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
