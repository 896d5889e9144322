"""Listing operations.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from local_aws.s3.base import OWNER, PAYER, S3Base, bucket_operation, iso_time, parse_number
from local_aws.s3.errors import invalid_argument
from local_aws.s3.listing import LARGEST_PAGE, Item, Lister
from local_aws.s3.objects import Stored
from local_aws.s3.protocol import Call, Reply, element, quoted, xml_reply


@dataclass(slots=True)
class Page:
    objects: list[Stored]
    prefixes: list[str]
    last: str
    truncated: bool


class ListOperations(S3Base):
    @bucket_operation(
        "Prefix",
        "Delimiter",
        "MaxKeys",
        "ContinuationToken",
        "StartAfter",
        "EncodingType",
        "FetchOwner",
        ignores=PAYER,
    )
    def ListObjectsV2(self, call: Call) -> Reply:
        """Page through a bucket's keys in the order of their UTF-8 bytes."""
        query = call.query
        token = query.get("continuation-token")
        start_after = query.get("start-after", "")
        after = _decode_token(token) if token is not None else start_after
        limit = parse_number(call, "max-keys", LARGEST_PAGE, LARGEST_PAGE)
        page = self.page(call, after, limit)
        encode = _encoding(call)
        content = (
            element("Name", call.bucket)
            + element("Prefix", encode(query.get("prefix", "")))
            + (element("StartAfter", encode(start_after)) if start_after else "")
            + (element("ContinuationToken", token) if token is not None else "")
            + element("KeyCount", len(page.objects) + len(page.prefixes))
            + element("MaxKeys", limit)
            + (element("Delimiter", encode(query["delimiter"])) if query.get("delimiter") else "")
            + element("EncodingType", query.get("encoding-type"))
            + element("IsTruncated", page.truncated)
            + (element("NextContinuationToken", _token(page.last)) if page.truncated else "")
            + self._contents(page, encode, query.get("fetch-owner") == "true")
        )
        return xml_reply("ListBucketResult", content)

    @bucket_operation(
        "Prefix",
        "Delimiter",
        "MaxKeys",
        "Marker",
        "EncodingType",
        ignores=PAYER,
    )
    def ListObjects(self, call: Call) -> Reply:
        """Page through a bucket's keys, first version of the operation."""
        query = call.query
        limit = parse_number(call, "max-keys", LARGEST_PAGE, LARGEST_PAGE)
        marker = query.get("marker", "")
        page = self.page(call, marker, limit)
        encode = _encoding(call)
        delimiter = query.get("delimiter")
        content = (
            element("Name", call.bucket)
            + element("Prefix", encode(query.get("prefix", "")))
            + element("Marker", encode(marker))
            + (element("NextMarker", encode(page.last)) if page.truncated and delimiter else "")
            + element("MaxKeys", limit)
            + (element("Delimiter", encode(delimiter)) if delimiter else "")
            + element("EncodingType", query.get("encoding-type"))
            + element("IsTruncated", page.truncated)
            + self._contents(page, encode, True)
        )
        return xml_reply("ListBucketResult", content)

    @bucket_operation(
        "Prefix",
        "Delimiter",
        "MaxKeys",
        "KeyMarker",
        "VersionIdMarker",
        "EncodingType",
        ignores=PAYER,
        differs="Versioning is off: every object has the one version null.",
    )
    def ListObjectVersions(self, call: Call) -> Reply:
        """Page through a bucket's objects as their only versions."""
        query = call.query
        limit = parse_number(call, "max-keys", LARGEST_PAGE, LARGEST_PAGE)
        marker, delimiter = query.get("key-marker", ""), query.get("delimiter")
        page = self.page(call, marker, limit)
        encode = _encoding(call)
        content = (
            element("Name", call.bucket)
            + element("Prefix", encode(query.get("prefix", "")))
            + element("KeyMarker", encode(marker))
            + element("VersionIdMarker", query.get("version-id-marker", ""))
            + (element("NextKeyMarker", encode(page.last)) if page.truncated else "")
            + (element("NextVersionIdMarker", "null") if page.truncated else "")
            + element("MaxKeys", limit)
            + (element("Delimiter", encode(delimiter)) if delimiter else "")
            + element("EncodingType", query.get("encoding-type"))
            + element("IsTruncated", page.truncated)
            + self._contents(page, encode, True, "Version")
        )
        return xml_reply("ListVersionsResult", content)

    def page(self, call: Call, after: str, limit: int) -> Page:
        """At most ``limit`` keys and common prefixes of the request's bucket behind ``after``."""
        query = call.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        folder = self.objects.folder(call.bucket)
        if limit == 0:
            return Page([], [], "", False)
        markers = self.objects.markers(call.bucket, prefix)
        lister = Lister(str(folder), markers, prefix, after, delimiter)
        items: list[Item] = list(islice(lister, limit + 1))
        truncated = len(items) > limit
        del items[limit:]
        files = self.objects.describe_all(
            call.bucket, ((item.name, item.status) for item in items if item.status)
        )
        objects = [
            stored
            for item in items
            if not item.is_prefix
            and not item.status
            and (stored := self.objects.find(call.bucket, item.name))
        ]
        if objects:
            files = sorted(files + objects, key=lambda stored: stored.key)
        prefixes = [item.name for item in items if item.is_prefix]
        return Page(files, prefixes, items[-1].name if items else "", truncated)

    @staticmethod
    def _contents(page: Page, encode: _Encode, owner: bool, tag: str = "Contents") -> str:
        parts = []
        shown = OWNER if owner else ""
        version = ""
        if tag == "Version":
            version = "<VersionId>null</VersionId><IsLatest>true</IsLatest>"
        for stored in page.objects:
            algorithms = "".join(
                f"<ChecksumAlgorithm>{name.upper()}</ChecksumAlgorithm>"
                for name in stored.info.get("checksums", ())
            )
            parts.append(
                f"<{tag}><Key>{quoted(encode(stored.key))}</Key>{version}"
                f"<LastModified>{iso_time(stored.mtime_ns)}</LastModified>"
                f"<ETag>&quot;{stored.etag}&quot;</ETag>{algorithms}<Size>{stored.size}</Size>"
                f"<StorageClass>{stored.info.get('storage_class', 'STANDARD')}</StorageClass>"
                f"{shown}</{tag}>"
            )
        for prefix in page.prefixes:
            parts.append(
                f"<CommonPrefixes><Prefix>{quoted(encode(prefix))}</Prefix></CommonPrefixes>"
            )
        return "".join(parts)


class _Encode:
    """Keys as they are, or percent-encoded when the request asks for it."""

    def __init__(self, url: bool) -> None:
        self._url = url

    def __call__(self, text: str) -> str:
        return quote(text, safe="/") if self._url else text


def _encoding(call: Call) -> _Encode:
    wanted = call.query.get("encoding-type")
    if wanted not in (None, "url"):
        raise invalid_argument(
            "Invalid Encoding Method specified in Request", "encoding-type", wanted
        )
    return _Encode(wanted == "url")


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(b"1" + last.encode()).decode()


def _decode_token(token: str) -> str:
    try:
        data = base64.b64decode(token, altchars=b"-_", validate=True)
        if data[:1] != b"1":
            raise ValueError
        return data[1:].decode()
    except (binascii.Error, ValueError):
        raise invalid_argument(
            "The continuation token provided is incorrect", "continuation-token", token
        ) from None
