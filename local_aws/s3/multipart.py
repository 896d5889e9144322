"""Multipart uploads. Parts are files outside the buckets; they survive a restart.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
import time
import uuid
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local_aws.s3.attributes import ATTRIBUTES, ENCRYPTION, encryption_headers, given_attributes
from local_aws.s3.base import (
    OWNER,
    OWNER_ID,
    PAYER,
    bucket_operation,
    iso_time,
    key_operation,
    parse_number,
    quote_etag,
)
from local_aws.s3.body import CHECKSUM_HEADER
from local_aws.s3.checksums import CHECKSUMS, FULL_OBJECT, composite, full_object
from local_aws.s3.conditions import parse_source_range, write_condition
from local_aws.s3.copies import SOURCE, CopyOperations, copy_bytes
from local_aws.s3.errors import S3Error, invalid_argument
from local_aws.s3.names import check_key
from local_aws.s3.objects import LARGEST_PUT
from local_aws.s3.protocol import Call, Reply, element, malformed_xml, parse_xml, quoted, xml_reply
from local_aws.s3.transfers import CHECKSUM_MEMBERS, ObjectOperations, wanted_checksum
from local_aws.service import Unsupported

SMALLEST_PART = 5 << 20
MOST_PARTS = 10000
_ID = re.compile(r"[0-9a-f]{32}")
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS upload (id TEXT PRIMARY KEY, bucket TEXT NOT NULL,"
    " key TEXT NOT NULL, started_ns INTEGER NOT NULL, info TEXT NOT NULL, algorithm TEXT,"
    " type TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS part (upload TEXT NOT NULL, number INTEGER NOT NULL,"
    " etag TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
    " checksums TEXT NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID",
)


@dataclass(slots=True)
class Upload:
    """An upload in progress; ``kind`` is COMPOSITE or FULL_OBJECT if ``algorithm`` is given."""

    id: str
    bucket: str
    key: str
    started_ns: int
    info: dict[str, Any]
    algorithm: str | None
    kind: str | None


@dataclass(slots=True)
class Part:
    number: int
    etag: str
    size: int
    mtime_ns: int
    checksums: dict[str, str]


class MultipartOperations(CopyOperations):
    _uploads: Path
    _upload_locks: list[Any]

    def setup_multipart(self) -> None:
        # Not the locks of keys: completing an upload takes one of these and then one of those.
        self._upload_locks = [threading.RLock() for _ in range(64)]
        self._uploads = self.aws.config.state / "s3-uploads"
        self._uploads.mkdir(exist_ok=True)
        for statement in _SCHEMA:
            self.objects.query(statement)
        known = {row[0] for row in self.objects.query("SELECT id FROM upload")}
        for folder in self._uploads.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    @key_operation("ChecksumAlgorithm", "ChecksumType", *ATTRIBUTES, ignores=ENCRYPTION)
    def CreateMultipartUpload(self, call: Call) -> Reply:
        """Start an upload in parts."""
        self.objects.folder(call.bucket)
        check_key(call.key)
        if call.key.endswith("/"):
            raise Unsupported(f"a multipart upload to {call.key!r}, a folder here")
        info = given_attributes(call)
        algorithm = wanted_checksum(call, "x-amz-checksum-algorithm")
        kind = _checksum_type(call, algorithm)
        upload = uuid.uuid4().hex
        (self._uploads / upload).mkdir()
        self.objects.query(
            "INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, ?)",
            upload,
            call.bucket,
            call.key,
            time.time_ns(),
            json.dumps(info),
            algorithm,
            kind,
        )
        headers = encryption_headers(info)
        if algorithm and kind:
            headers = {
                **headers,
                "x-amz-checksum-algorithm": algorithm.upper(),
                "x-amz-checksum-type": kind,
            }
        content = (
            element("Bucket", call.bucket) + element("Key", call.key) + element("UploadId", upload)
        )
        return xml_reply("InitiateMultipartUploadResult", content, headers)

    @key_operation(
        "Body", "ContentLength", "ContentMD5", "PartNumber", "UploadId", *CHECKSUM_MEMBERS
    )
    def UploadPart(self, call: Call) -> Reply:
        """Store one part; a part of the same number is replaced."""
        upload, number = self._upload(call), _part_number(call)
        algorithm = wanted_checksum(call) or upload.algorithm
        with self.objects.new_file() as path:
            ObjectOperations.receive(call, path, LARGEST_PUT, algorithm)
            checksums = call.body.checksums
            if upload.algorithm and upload.algorithm not in checksums:
                raise _wrong_algorithm(upload.algorithm, next(iter(checksums), "null"))
            self._keep_part(upload, number, path, call.body.md5, checksums)
        headers = {"ETag": quote_etag(call.body.md5), **encryption_headers(upload.info)}
        headers.update({CHECKSUM_HEADER + name: value for name, value in checksums.items()})
        return Reply(200, headers)

    @key_operation(*SOURCE, "CopySourceRange", "PartNumber", "UploadId")
    def UploadPartCopy(self, call: Call) -> Reply:
        """Store a part from another object or a range of it."""
        upload, number = self._upload(call), _part_number(call)
        with self.open_source(call) as (_, descriptor, source), self.objects.new_file() as path:
            start, length = 0, source.size
            wanted = call.header("x-amz-copy-source-range")
            if wanted:
                start, length = parse_source_range(wanted, source.size)
            digests = copy_bytes(descriptor, start, length, path, upload.algorithm)
            etag = digests.pop("etag")
            part = self._keep_part(upload, number, path, etag, digests)
        content = element("LastModified", iso_time(part.mtime_ns))
        content += f"<ETag>&quot;{etag}&quot;</ETag>" + _checksums_xml(digests)
        return xml_reply("CopyPartResult", content, encryption_headers(upload.info))

    def _keep_part(
        self, upload: Upload, number: int, path: Path, etag: str, checksums: dict[str, str]
    ) -> Part:
        status = path.stat()
        with self._locked(upload):
            if not self.objects.query("SELECT 1 FROM upload WHERE id = ?", upload.id):
                raise _no_such_upload(upload.id)
            os.replace(path, self._file(upload.id, number))
            self.objects.query(
                "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)",
                upload.id,
                number,
                etag,
                status.st_size,
                status.st_mtime_ns,
                json.dumps(checksums),
            )
        return Part(number, etag, status.st_size, status.st_mtime_ns, checksums)

    @key_operation(
        "MultipartUpload",
        "UploadId",
        "IfMatch",
        "IfNoneMatch",
        "ChecksumType",
        "MpuObjectSize",
        *(name for name in CHECKSUM_MEMBERS if name != "ChecksumAlgorithm"),
    )
    def CompleteMultipartUpload(self, call: Call) -> Reply:
        """Make the parts one object, in one step for every reader."""
        text = call.body.text(4 << 20, verify=False)
        condition = write_condition(call)
        upload = self._upload(call)
        with (
            self._upload_locks[hash(upload.id) % len(self._upload_locks)],
            self.objects.new_file() as path,
        ):
            upload = self._upload(call)
            parts = self._chosen_parts(upload, text)
            size = sum(part.size for part in parts)
            expected = call.header("x-amz-mp-object-size")
            if expected is not None and expected != str(size):
                raise S3Error(
                    "InvalidRequest",
                    f"The provided 'x-amz-mp-object-size' header value {expected} does not match"
                    f" what was computed: {size}",
                )
            info = self._whole_info(call, upload, parts)
            self._join(upload, parts, path)
            whole = hashlib.md5(
                b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False
            )
            etag = f"{whole.hexdigest()}-{len(parts)}"
            stored = self.objects.commit(call.bucket, call.key, path, etag, info, condition)
            self._forget_upload(upload.id)
        self.created(call, stored, "CompleteMultipartUpload")
        location = f"{self.aws.endpoint_url}/{call.bucket}/{quote(call.key)}"
        content = (
            element("Location", location)
            + element("Bucket", call.bucket)
            + element("Key", call.key)
            + f"<ETag>&quot;{etag}&quot;</ETag>"
            + _checksums_xml(info.get("checksums", {}))
            + element("ChecksumType", info.get("checksum_type"))
        )
        return xml_reply("CompleteMultipartUploadResult", content, encryption_headers(info))

    def _chosen_parts(self, upload: Upload, text: str) -> list[Part]:
        """The stored parts that a CompleteMultipartUpload document names.

        Raises:
            S3Error: MalformedXML, InvalidPart, InvalidPartOrder, EntityTooSmall, InvalidRequest.
        """
        root = parse_xml(text) if text else None
        wanted = root.findall("Part") if root is not None else []
        if root is None or root.tag != "CompleteMultipartUpload" or not wanted:
            raise malformed_xml("expected CompleteMultipartUpload with Parts")
        known = {part.number: part for part in self._stored_parts(upload.id)}
        chosen: list[Part] = []
        for each in wanted:
            number = (each.findtext("PartNumber") or "").strip()
            if not number.isdecimal():
                raise malformed_xml("a Part needs a PartNumber")
            if chosen and int(number) <= chosen[-1].number:
                raise S3Error(
                    "InvalidPartOrder",
                    "The list of parts was not in ascending order. The parts list must be"
                    " specified in order by part number.",
                    UploadId=upload.id,
                )
            part = known.get(int(number))
            etag = (each.findtext("ETag") or "").strip().strip('"')
            if part is None or part.etag != etag:
                raise _invalid_part(upload, number, etag)
            for name in CHECKSUMS:
                given = each.findtext(f"Checksum{name.upper()}")
                if given is not None and given.strip() != part.checksums.get(name):
                    raise _invalid_part(upload, number, etag)
                if given is None and upload.kind == "COMPOSITE" and name == upload.algorithm:
                    raise S3Error(
                        "InvalidRequest",
                        f"The upload was created using a {name} checksum. The complete request"
                        f" must include the checksum for each part. It was missing for part"
                        f" {number} in the request.",
                    )
            chosen.append(part)
        for part in chosen[:-1]:
            if part.size < SMALLEST_PART:
                raise S3Error(
                    "EntityTooSmall",
                    "Your proposed upload is smaller than the minimum allowed size",
                    ProposedSize=str(part.size),
                    MinSizeAllowed=str(SMALLEST_PART),
                    PartNumber=str(part.number),
                    ETag=part.etag,
                )
        return chosen

    @staticmethod
    def _whole_info(call: Call, upload: Upload, parts: list[Part]) -> dict[str, Any]:
        info = {**upload.info, "parts": [part.size for part in parts]}
        name, kind = upload.algorithm, upload.kind
        if name is None or kind is None:
            return info
        given_kind = call.header("x-amz-checksum-type")
        if given_kind not in (None, kind):
            raise S3Error(
                "InvalidRequest",
                f"The upload was created using the {kind} checksum mode. The complete request must"
                " use the same checksum mode.",
            )
        values = [part.checksums[name] for part in parts]
        if kind == "FULL_OBJECT":
            value = full_object(name, [(part.checksums[name], part.size) for part in parts])
        else:
            value = composite(name, values)
        given = call.header(CHECKSUM_HEADER + name)
        if given is not None and given.partition("-")[0] != value.partition("-")[0]:
            raise S3Error(
                "BadDigest",
                f"The {name} you specified did not match the calculated checksum.",
            )
        info["checksums"] = {name: value}
        info["checksum_type"] = kind
        info["part_checksums"] = [name, values]
        return info

    def _join(self, upload: Upload, parts: list[Part], path: Path) -> None:
        with open(path, "wb", buffering=0) as target:
            for part in parts:
                with open(self._file(upload.id, part.number), "rb", buffering=0) as source:
                    left = part.size
                    while left:
                        moved = os.sendfile(target.fileno(), source.fileno(), None, left)
                        if not moved:
                            raise S3Error("InternalError", f"part {part.number} is cut short")
                        left -= moved

    @key_operation("UploadId")
    def AbortMultipartUpload(self, call: Call) -> Reply:
        """Give an upload up and delete its parts."""
        upload = self._upload(call)
        with self._locked(upload):
            self._upload(call)
            self._forget_upload(upload.id)
        return Reply(204)

    def _forget_upload(self, upload: str) -> None:
        self.objects.query("DELETE FROM upload WHERE id = ?", upload)
        self.objects.query("DELETE FROM part WHERE upload = ?", upload)
        with suppress(FileNotFoundError):
            shutil.rmtree(self._uploads / upload)

    def forget_uploads(self, bucket: str) -> None:
        """Give up every upload to a bucket that is deleted."""
        for (upload,) in self.objects.query("SELECT id FROM upload WHERE bucket = ?", bucket):
            self._forget_upload(upload)

    @key_operation("UploadId", "MaxParts", "PartNumberMarker")
    def ListParts(self, call: Call) -> Reply:
        """Page through the parts of an upload."""
        upload = self._upload(call)
        limit = parse_number(call, "max-parts", 1000, 1000)
        after = parse_number(call, "part-number-marker", 0)
        parts = [part for part in self._stored_parts(upload.id) if part.number > after]
        page = parts[:limit]
        content = (
            element("Bucket", call.bucket)
            + element("Key", call.key)
            + element("UploadId", upload.id)
            + f"<Initiator><ID>{OWNER_ID}</ID></Initiator>{OWNER}"
            + element("StorageClass", upload.info.get("storage_class", "STANDARD"))
            + element("PartNumberMarker", after)
            + element("NextPartNumberMarker", page[-1].number if page else after)
            + element("MaxParts", limit)
            + element("IsTruncated", len(parts) > len(page))
        )
        if upload.algorithm:
            content += element("ChecksumAlgorithm", upload.algorithm.upper())
            content += element("ChecksumType", upload.kind)
        for part in page:
            content += (
                f"<Part>{element('PartNumber', part.number)}"
                f"{element('LastModified', iso_time(part.mtime_ns))}"
                f"<ETag>&quot;{part.etag}&quot;</ETag>{element('Size', part.size)}"
                f"{_checksums_xml(part.checksums)}</Part>"
            )
        return xml_reply("ListPartsResult", content)

    @bucket_operation(
        "Prefix",
        "Delimiter",
        "EncodingType",
        "KeyMarker",
        "UploadIdMarker",
        "MaxUploads",
        ignores=PAYER,
    )
    def ListMultipartUploads(self, call: Call) -> Reply:
        """Page through a bucket's uploads in progress by key and start."""
        self.objects.folder(call.bucket)
        query = call.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        limit = parse_number(call, "max-uploads", 1000, 1000)
        marker, id_marker = query.get("key-marker", ""), query.get("upload-id-marker", "")
        rows = self.objects.query(
            "SELECT key, id, started_ns, info, algorithm, type FROM upload WHERE bucket = ?"
            " ORDER BY key, started_ns, id",
            call.bucket,
        )
        if id_marker:
            at = [i for i, row in enumerate(rows) if row[:2] == (marker, id_marker)]
            rows = rows[at[0] + 1 :] if at else [row for row in rows if row[0] > marker]
        elif marker:
            rows = [row for row in rows if row[0] > marker]
        encode = (lambda text: quote(text, safe="/")) if "encoding-type" in query else str
        shown: list[str] = []
        prefixes: list[str] = []
        last, truncated = ("", ""), False
        for key, upload, started, info, algorithm, kind in rows:
            if not key.startswith(prefix):
                continue
            at_delimiter = key.find(delimiter, len(prefix)) if delimiter else -1
            group = key[: at_delimiter + len(delimiter)] if at_delimiter >= 0 else None
            if group is not None and (group in prefixes or group == marker):
                continue
            if len(shown) + len(prefixes) == limit:
                truncated = True
                break
            if group is not None:
                prefixes.append(group)
                last = (group, "")
                continue
            last = (key, upload)
            storage = json.loads(info).get("storage_class", "STANDARD")
            checksum = ""
            if algorithm:
                checksum = element("ChecksumAlgorithm", algorithm.upper())
                checksum += element("ChecksumType", kind)
            shown.append(
                f"<Upload><Key>{quoted(encode(key))}</Key>{element('UploadId', upload)}"
                f"<Initiator><ID>{OWNER_ID}</ID></Initiator>{OWNER}"
                f"{element('StorageClass', storage)}{element('Initiated', iso_time(started))}"
                f"{checksum}</Upload>"
            )
        content = (
            element("Bucket", call.bucket)
            + element("KeyMarker", encode(marker))
            + element("UploadIdMarker", id_marker)
            + (element("NextKeyMarker", encode(last[0])) if truncated else "")
            + (element("NextUploadIdMarker", last[1]) if truncated else "")
            + element("Prefix", encode(prefix))
            + (element("Delimiter", encode(delimiter)) if delimiter else "")
            + element("EncodingType", query.get("encoding-type"))
            + element("MaxUploads", limit)
            + element("IsTruncated", truncated)
            + "".join(shown)
            + "".join(
                f"<CommonPrefixes><Prefix>{quoted(encode(each))}</Prefix></CommonPrefixes>"
                for each in prefixes
            )
        )
        return xml_reply("ListMultipartUploadsResult", content)

    def _upload(self, call: Call) -> Upload:
        """The upload of the request.

        Raises:
            S3Error: NoSuchBucket, NoSuchUpload.
        """
        self.objects.folder(call.bucket)
        name = call.query["uploadId"]
        rows = self.objects.query(
            "SELECT id, bucket, key, started_ns, info, algorithm, type FROM upload"
            " WHERE id = ? AND bucket = ? AND key = ?",
            name,
            call.bucket,
            call.key,
        )
        if not rows or not _ID.fullmatch(name):
            raise _no_such_upload(name)
        row = rows[0]
        return Upload(row[0], row[1], row[2], row[3], json.loads(row[4]), row[5], row[6])

    def _stored_parts(self, upload: str) -> list[Part]:
        rows = self.objects.query(
            "SELECT number, etag, size, mtime_ns, checksums FROM part WHERE upload = ?"
            " ORDER BY number",
            upload,
        )
        return [Part(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in rows]

    def _locked(self, upload: Upload) -> AbstractContextManager[Any]:
        return self._upload_locks[hash(upload.id) % len(self._upload_locks)]

    def _file(self, upload: str, number: int) -> Path:
        return self._uploads / upload / str(number)


def _part_number(call: Call) -> int:
    text = call.query["partNumber"]
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PARTS:
        raise invalid_argument(
            f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive",
            "partNumber",
            text,
        )
    return int(text)


def _checksum_type(call: Call, algorithm: str | None) -> str | None:
    """How the parts' checksums become the object's.

    Raises:
        S3Error: InvalidRequest.
    """
    given = call.header("x-amz-checksum-type")
    if algorithm is None:
        if given:
            raise S3Error(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the"
                " x-amz-checksum-algorithm header.",
            )
        return None
    kind = given or ("FULL_OBJECT" if algorithm == "crc64nvme" else "COMPOSITE")
    allowed = kind == "COMPOSITE" and algorithm != "crc64nvme"
    if not allowed and not (kind == "FULL_OBJECT" and algorithm in FULL_OBJECT):
        raise S3Error(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm} checksum algorithm.",
        )
    return kind


def _checksums_xml(checksums: dict[str, str]) -> str:
    return "".join(element(f"Checksum{name.upper()}", value) for name, value in checksums.items())


def _no_such_upload(upload: str) -> S3Error:
    return S3Error(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have"
        " been aborted or completed.",
        UploadId=upload,
    )


def _invalid_part(upload: Upload, number: str, etag: str) -> S3Error:
    return S3Error(
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been"
        " uploaded, or the specified entity tag may not match the part's entity tag.",
        UploadId=upload.id,
        PartNumber=number,
        ETag=etag,
    )


def _wrong_algorithm(expected: str, actual: str) -> S3Error:
    return S3Error(
        "InvalidRequest",
        f"Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum"
        f" Type: {actual}",
    )
