"""Multipart uploads to the embedded S3."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.server import Server

BUCKET = "parts-bucket"
PART = 5 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=["s3"]) as running:
        yield running


@pytest.fixture(scope="module")
def s3(client: Callable[[str], Any]) -> Any:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture(scope="module")
def blocks() -> list[bytes]:
    return [os.urandom(PART), os.urandom(PART), b"the last one is short"]


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def start(s3: Any, key: str, **arguments: Any) -> dict[str, str]:
    made = s3.create_multipart_upload(Bucket=BUCKET, Key=key, **arguments)
    return {"Bucket": BUCKET, "Key": key, "UploadId": made["UploadId"]}


def send(s3: Any, upload: dict[str, str], blocks: list[bytes]) -> list[dict[str, Any]]:
    return [
        {
            "PartNumber": number,
            "ETag": s3.upload_part(**upload, PartNumber=number, Body=block)["ETag"],
        }
        for number, block in enumerate(blocks, 1)
    ]


def md5(data: bytes) -> Any:
    return hashlib.md5(data, usedforsecurity=False)


def etag_of(blocks: list[bytes]) -> str:
    digests = b"".join(md5(block).digest() for block in blocks)
    return f'"{md5(digests).hexdigest()}-{len(blocks)}"'


def test_parts_become_one_object(s3: Any, server: Server, blocks: list[bytes]) -> None:
    upload = start(s3, "whole", ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1")
    parts = send(s3, upload, blocks)
    assert code_of(s3.head_object, Bucket=BUCKET, Key="whole") == "404"
    assert not (server.aws.s3.bucket_path(BUCKET) / "whole").exists()
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert done["ETag"] == etag_of(blocks)
    assert done["Location"] == f"{server.endpoint_url}/{BUCKET}/whole"
    got = s3.get_object(Bucket=BUCKET, Key="whole")
    assert got["Body"].read() == b"".join(blocks)
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (
        etag_of(blocks),
        "text/x",
        {"a": "1"},
    )
    assert s3.get_object_tagging(Bucket=BUCKET, Key="whole")["TagSet"]
    assert code_of(s3.list_parts, **upload) == "NoSuchUpload"
    assert list((server.aws.config.state / "s3-uploads").iterdir()) == []

    second = s3.get_object(Bucket=BUCKET, Key="whole", PartNumber=2)
    assert second["Body"].read() == blocks[1]
    assert second["PartsCount"] == 3
    assert code_of(s3.get_object, Bucket=BUCKET, Key="whole", PartNumber=4) == "InvalidPartNumber"
    attributes = s3.get_object_attributes(
        Bucket=BUCKET, Key="whole", ObjectAttributes=["ObjectParts", "StorageClass"]
    )
    assert attributes["ObjectParts"]["TotalPartsCount"] == 3


def test_parts_may_come_in_any_order_and_again(s3: Any, blocks: list[bytes]) -> None:
    upload = start(s3, "order")
    s3.upload_part(**upload, PartNumber=9, Body=blocks[2])
    s3.upload_part(**upload, PartNumber=3, Body=b"will be replaced")
    s3.upload_part(**upload, PartNumber=5, Body=b"will be left out")
    s3.upload_part(**upload, PartNumber=3, Body=blocks[0])
    listed = s3.list_parts(**upload, MaxParts=2)
    assert [part["PartNumber"] for part in listed["Parts"]] == [3, 5]
    assert listed["IsTruncated"] is True
    more = s3.list_parts(**upload, PartNumberMarker=listed["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in more["Parts"]] == [9]
    parts = [
        {"PartNumber": number, "ETag": md5(block).hexdigest()}
        for number, block in ((3, blocks[0]), (9, blocks[2]))
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    body = s3.get_object(Bucket=BUCKET, Key="order")["Body"].read()
    assert body == blocks[0] + blocks[2]


def test_uploads_that_cannot_be_completed(s3: Any, blocks: list[bytes]) -> None:
    upload = start(s3, "wrong")
    parts = send(s3, upload, [b"too small", blocks[0], b"end"])

    def code(chosen: list[dict[str, Any]], **arguments: Any) -> str:
        return code_of(
            s3.complete_multipart_upload,
            **upload,
            MultipartUpload={"Parts": chosen},
            **arguments,
        )

    assert code(parts) == "EntityTooSmall"
    assert code([parts[2], parts[1]]) == "InvalidPartOrder"
    assert code([parts[1], parts[1]]) == "InvalidPartOrder"
    assert code([{**parts[1], "ETag": parts[0]["ETag"]}]) == "InvalidPart"
    assert code([{**parts[1], "PartNumber": 7}]) == "InvalidPart"
    assert code([]) == "MalformedXML"
    assert code(parts[1:], MpuObjectSize=1) == "InvalidRequest"
    assert code(parts[1:], IfMatch='"0"') == "NoSuchKey"
    assert code_of(s3.upload_part, **upload, PartNumber=10001, Body=b"") == "InvalidArgument"
    assert code_of(s3.upload_part, **{**upload, "Key": "x"}, PartNumber=1, Body=b"") == (
        "NoSuchUpload"
    )
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[1:]}, IfNoneMatch="*")
    again = start(s3, "wrong")
    part = send(s3, again, [b"x"])
    assert (
        code_of(
            s3.complete_multipart_upload,
            **again,
            MultipartUpload={"Parts": part},
            IfNoneMatch="*",
        )
        == "PreconditionFailed"
    )


def test_aborting_forgets_the_parts(s3: Any, server: Server) -> None:
    upload = start(s3, "given-up")
    send(s3, upload, [b"x"])
    s3.abort_multipart_upload(**upload)
    assert code_of(s3.abort_multipart_upload, **upload) == "NoSuchUpload"
    assert code_of(s3.upload_part, **upload, PartNumber=1, Body=b"") == "NoSuchUpload"
    assert not (server.aws.config.state / "s3-uploads" / upload["UploadId"]).exists()


def test_parts_copied_from_objects(s3: Any, blocks: list[bytes]) -> None:
    s3.put_object(Bucket=BUCKET, Key="source ç", Body=blocks[0] + b"tail")
    source = {"Bucket": BUCKET, "Key": "source ç"}
    upload = start(s3, "from-copies")
    first = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source)
    second = s3.upload_part_copy(
        **upload, PartNumber=2, CopySource=source, CopySourceRange="bytes=10-19"
    )
    for given in ("bytes=0-99999999", "bytes=5-", "10-19"):
        arguments = {**upload, "PartNumber": 3, "CopySource": source, "CopySourceRange": given}
        assert code_of(s3.upload_part_copy, **arguments) == "InvalidArgument"
    parts = [
        {"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]}
        for number, part in enumerate((first, second), 1)
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    body = s3.get_object(Bucket=BUCKET, Key="from-copies")["Body"].read()
    assert body == blocks[0] + b"tail" + blocks[0][10:20]


def test_checksums_of_parts(s3: Any, blocks: list[bytes]) -> None:
    upload = start(s3, "sums", ChecksumAlgorithm="SHA256")
    parts = []
    for number, block in enumerate(blocks, 1):
        sent = s3.upload_part(**upload, PartNumber=number, Body=block, ChecksumAlgorithm="SHA256")
        assert sent["ChecksumSHA256"] == b64encode(hashlib.sha256(block).digest()).decode()
        parts.append({"PartNumber": number, **{n: sent[n] for n in ("ETag", "ChecksumSHA256")}})
    bare = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    complete = s3.complete_multipart_upload
    assert code_of(complete, **upload, MultipartUpload={"Parts": bare}) == "InvalidRequest"
    done = complete(**upload, MultipartUpload={"Parts": parts})
    digests = b"".join(hashlib.sha256(block).digest() for block in blocks)
    assert done["ChecksumSHA256"] == f"{b64encode(hashlib.sha256(digests).digest()).decode()}-3"
    assert done["ChecksumType"] == "COMPOSITE"
    got = s3.get_object(Bucket=BUCKET, Key="sums", ChecksumMode="ENABLED")
    assert got["ChecksumSHA256"] == done["ChecksumSHA256"]
    assert got["Body"].read() == b"".join(blocks)


def test_the_checksum_of_the_whole(s3: Any, blocks: list[bytes]) -> None:
    whole = b64encode(crc32(b"".join(blocks)).to_bytes(4, "big")).decode()
    for given, code in (("AAAAAA==", "BadDigest"), (whole, None)):
        upload = start(s3, "full", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        parts = send(s3, upload, blocks)
        arguments = {
            **upload,
            "MultipartUpload": {"Parts": parts},
            "ChecksumCRC32": given,
            "ChecksumType": "FULL_OBJECT",
        }
        if code:
            assert code_of(s3.complete_multipart_upload, **arguments) == code
        else:
            done = s3.complete_multipart_upload(**arguments)
            assert (done["ChecksumCRC32"], done["ChecksumType"]) == (whole, "FULL_OBJECT")
    got = s3.get_object(Bucket=BUCKET, Key="full", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"".join(blocks)
    assert len(b64decode(got["ChecksumCRC32"])) == 4
    assert code_of(
        s3.create_multipart_upload,
        Bucket=BUCKET,
        Key="x",
        ChecksumAlgorithm="SHA1",
        ChecksumType="FULL_OBJECT",
    ) == ("InvalidRequest")


def test_uploads_in_progress_are_listed(s3: Any, client: Callable[[str], Any]) -> None:
    s3.create_bucket(Bucket="in-progress")
    made = []
    for key in ("b/1", "a", "b/2", "a", "ç d"):
        upload = s3.create_multipart_upload(Bucket="in-progress", Key=key)
        made.append((key, upload["UploadId"]))
    expected = sorted(made, key=lambda each: each[0].encode())
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket="in-progress", PaginationConfig={"PageSize": 2}
    )
    listed = [(each["Key"], each["UploadId"]) for page in pages for each in page["Uploads"]]
    assert listed == expected
    grouped = s3.list_multipart_uploads(Bucket="in-progress", Delimiter="/")
    assert [each["Prefix"] for each in grouped["CommonPrefixes"]] == ["b/"]
    assert [each["Key"] for each in grouped["Uploads"]] == ["a", "a", "ç d"]
    prefixed = s3.list_multipart_uploads(Bucket="in-progress", Prefix="b/")
    assert [each["Key"] for each in prefixed["Uploads"]] == ["b/1", "b/2"]
    s3.create_multipart_upload(Bucket="in-progress", Key="sum", ChecksumAlgorithm="SHA256")
    (found,) = s3.list_multipart_uploads(Bucket="in-progress", Prefix="sum")["Uploads"]
    assert (found["ChecksumAlgorithm"], found["ChecksumType"]) == ("SHA256", "COMPOSITE")
    s3.delete_bucket(Bucket="in-progress")
    s3.create_bucket(Bucket="in-progress")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="in-progress")


def test_managed_transfers(s3: Any, tmp_path: Path) -> None:
    body = os.urandom(17 << 20)
    (tmp_path / "up").write_bytes(body)
    s3.upload_file(str(tmp_path / "up"), BUCKET, "managed")
    head = s3.head_object(Bucket=BUCKET, Key="managed")
    eight = 8 << 20
    assert head["ETag"] == etag_of([body[:eight], body[eight : 2 * eight], body[2 * eight :]])
    s3.download_file(BUCKET, "managed", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == body
    s3.copy({"Bucket": BUCKET, "Key": "managed"}, BUCKET, "managed-copy")
    copied = s3.head_object(Bucket=BUCKET, Key="managed-copy")
    assert copied["ContentLength"] == len(body)
    s3.copy_object(Bucket=BUCKET, Key="single", CopySource=f"{BUCKET}/managed")
    assert s3.head_object(Bucket=BUCKET, Key="single")["ETag"] == f'"{md5(body).hexdigest()}"'


def test_an_upload_survives_a_restart(tmp_path: Path) -> None:
    block = os.urandom(PART)

    def client(server: Server) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    with Server(Config(state=tmp_path), services=["s3"]) as server:
        s3 = client(server)
        s3.create_bucket(Bucket=BUCKET)
        upload = start(s3, "survivor", Metadata={"a": "1"})
        first = s3.upload_part(**upload, PartNumber=1, Body=block)["ETag"]
    with Server(Config(state=tmp_path), services=["s3"]) as server:
        s3 = client(server)
        second = s3.upload_part(**upload, PartNumber=2, Body=b"end")["ETag"]
        parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        got = s3.get_object(Bucket=BUCKET, Key="survivor")
        assert (got["Body"].read(), got["Metadata"]) == (block + b"end", {"a": "1"})
