"""Objects and buckets of the embedded S3, as a boto3 client sees them."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.server import Server
from local_aws.service import AwsError

BUCKET = "objects-bucket"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=["s3"]) as running:
        yield running


@pytest.fixture(scope="module")
def s3(client: Callable[[str], Any]) -> Any:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    return made


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, int, str]:
    """Code, status and message of the error that a call must give."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    error = response["Error"]
    return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error.get("Message", "")


def test_an_object_is_a_plain_file_with_what_was_given(s3: Any, server: Server) -> None:
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    put = s3.put_object(
        Bucket=BUCKET,
        Key="dir/ação 1+2%2F&<x>.txt",
        Body="olá".encode(),
        ContentType="text/plain; charset=utf-8",
        ContentEncoding="identity",
        ContentDisposition='attachment; filename="x.txt"',
        CacheControl="no-cache",
        ContentLanguage="pt-BR",
        Expires=expires,
        Metadata={"Source": "loja", "n-1": "2"},
        Tagging="layer=bronze&night=2026-01-05",
        StorageClass="STANDARD_IA",
    )
    path = server.aws.s3.bucket_path(BUCKET) / "dir/ação 1+2%2F&<x>.txt"
    assert path.read_bytes() == "olá".encode()
    assert put["ETag"] == f'"{md5("olá".encode(), usedforsecurity=False).hexdigest()}"'

    got = s3.get_object(Bucket=BUCKET, Key="dir/ação 1+2%2F&<x>.txt")
    assert got["Body"].read() == "olá".encode()
    head = s3.head_object(Bucket=BUCKET, Key="dir/ação 1+2%2F&<x>.txt")
    for answer in (got, head):
        assert answer["ETag"] == put["ETag"]
        assert answer["ContentLength"] == 4
        assert answer["ContentType"] == "text/plain; charset=utf-8"
        assert answer["ContentEncoding"] == "identity"
        assert answer["ContentDisposition"] == 'attachment; filename="x.txt"'
        assert answer["CacheControl"] == "no-cache"
        assert answer["ContentLanguage"] == "pt-BR"
        assert answer["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT"
        assert answer["Metadata"] == {"source": "loja", "n-1": "2"}
        assert answer["StorageClass"] == "STANDARD_IA"
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
        assert abs(answer["LastModified"] - datetime.now(UTC)) < timedelta(seconds=60)


def test_an_object_without_a_type_is_bytes(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="plain", Body=b"")
    head = s3.head_object(Bucket=BUCKET, Key="plain")
    assert head["ContentType"] == "binary/octet-stream"
    assert head["ContentLength"] == 0
    assert "StorageClass" not in head
    assert s3.get_object(Bucket=BUCKET, Key="plain")["Body"].read() == b""


def test_overwriting_forgets_what_was_given_before(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="again", Body=b"1", Metadata={"a": "1"}, Tagging="a=1")
    s3.put_object(Bucket=BUCKET, Key="again", Body=b"2")
    assert s3.head_object(Bucket=BUCKET, Key="again")["Metadata"] == {}
    assert s3.get_object_tagging(Bucket=BUCKET, Key="again")["TagSet"] == []


def test_missing_things_have_their_errors(s3: Any) -> None:
    assert refused(s3.get_object, Bucket=BUCKET, Key="nope")[:2] == ("NoSuchKey", 404)
    assert refused(s3.head_object, Bucket=BUCKET, Key="nope")[:2] == ("404", 404)
    assert refused(s3.get_object, Bucket="no-such-bucket", Key="x")[:2] == ("NoSuchBucket", 404)
    assert refused(s3.put_object, Bucket="no-such-bucket", Key="x")[:2] == ("NoSuchBucket", 404)
    assert refused(s3.head_bucket, Bucket="no-such-bucket")[:2] == ("404", 404)
    assert refused(s3.list_objects_v2, Bucket="no-such-bucket")[0] == "NoSuchBucket"
    s3.delete_object(Bucket=BUCKET, Key="nope")
    assert refused(s3.get_object, Bucket=BUCKET, Key="dir")[0] == "NoSuchKey"
    assert refused(s3.get_object, Bucket=BUCKET, Key="plain/below")[0] == "NoSuchKey"
    assert refused(s3.get_object, Bucket=BUCKET, Key="plain", VersionId="v1")[0] == "NoSuchVersion"


@pytest.mark.parametrize(
    ("header", "expected", "shown"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-50", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-50", b"89", "bytes 8-9/10"),
    ],
)
def test_ranges(s3: Any, header: str, expected: bytes, shown: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="ranges", Body=b"0123456789")
    got = s3.get_object(Bucket=BUCKET, Key="ranges", Range=header)
    assert got["Body"].read() == expected
    assert got["ContentRange"] == shown
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert s3.head_object(Bucket=BUCKET, Key="ranges", Range=header)["ContentLength"] == len(
        expected
    )


def test_ranges_that_are_none(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="ranges", Body=b"0123456789")
    s3.put_object(Bucket=BUCKET, Key="nothing", Body=b"")
    for key, header in (("ranges", "bytes=10-"), ("ranges", "bytes=-0"), ("nothing", "bytes=0-1")):
        code, status, _ = refused(s3.get_object, Bucket=BUCKET, Key=key, Range=header)
        assert (code, status) == ("InvalidRange", 416)
    for header in ("bytes=5-2", "lines=1-2", "bytes=0-1,3-4"):
        got = s3.get_object(Bucket=BUCKET, Key="ranges", Range=header)
        assert got["Body"].read() == b"0123456789"
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_conditional_reads(s3: Any) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="cond", Body=b"x")["ETag"]
    moment = s3.head_object(Bucket=BUCKET, Key="cond")["LastModified"]
    before, other = moment - timedelta(seconds=10), '"0"'
    for read in (s3.get_object, s3.head_object):
        at = {"Bucket": BUCKET, "Key": "cond"}
        assert read(**at, IfMatch=etag)["ETag"] == etag
        assert read(**at, IfNoneMatch=other)["ETag"] == etag
        assert read(**at, IfModifiedSince=before)["ETag"] == etag
        assert read(**at, IfUnmodifiedSince=moment)["ETag"] == etag
        assert read(**at, IfMatch=etag, IfUnmodifiedSince=before)["ETag"] == etag
        assert refused(read, **at, IfMatch=other)[1] == 412
        assert refused(read, **at, IfUnmodifiedSince=before)[1] == 412
        assert refused(read, **at, IfNoneMatch=etag)[1] == 304
        assert refused(read, **at, IfModifiedSince=moment)[1] == 304
        assert refused(read, **at, IfNoneMatch=etag, IfModifiedSince=before)[1] == 304


def test_conditional_writes(s3: Any) -> None:
    at = {"Bucket": BUCKET, "Key": "cond-write"}
    first = s3.put_object(**at, Body=b"1", IfNoneMatch="*")["ETag"]
    assert refused(s3.put_object, **at, Body=b"2", IfNoneMatch="*")[:2] == (
        "PreconditionFailed",
        412,
    )
    assert refused(s3.put_object, **at, Body=b"2", IfMatch='"0"')[1] == 412
    assert s3.get_object(**at)["Body"].read() == b"1"
    s3.put_object(**at, Body=b"2", IfMatch=first)
    assert refused(s3.delete_object, **at, IfMatch=first)[1] == 412
    assert s3.get_object(**at)["Body"].read() == b"2"
    code, status, _ = refused(
        s3.put_object, Bucket=BUCKET, Key="cond-none", Body=b"", IfMatch=first
    )
    assert (code, status) == ("NoSuchKey", 404)
    assert refused(s3.put_object, **at, Body=b"", IfNoneMatch=first)[0] == "NotImplemented"


def test_of_many_that_create_one_wins(s3: Any) -> None:
    results: list[int] = []
    codes: list[str] = []

    def create(number: int) -> None:
        try:
            s3.put_object(Bucket=BUCKET, Key="race", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
        else:
            results.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    assert codes == ["PreconditionFailed"] * 11
    assert s3.get_object(Bucket=BUCKET, Key="race")["Body"].read() == b"%d" % results[0]


def test_response_headers_can_be_overridden(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="override", Body=b"x", ContentType="text/plain")
    got = s3.get_object(
        Bucket=BUCKET,
        Key="override",
        ResponseContentType="text/csv",
        ResponseContentDisposition="attachment",
        ResponseCacheControl="max-age=1",
    )
    assert (got["ContentType"], got["ContentDisposition"]) == ("text/csv", "attachment")
    assert got["CacheControl"] == "max-age=1"
    code, status, _ = refused(
        s3.get_object, Bucket=BUCKET, Key="override", ResponseContentType="a\r\nSet-Cookie: b"
    )
    assert (code, status) == ("InvalidArgument", 400)


def test_damaged_uploads_are_refused(s3: Any) -> None:
    at = {"Bucket": BUCKET, "Key": "damaged"}
    wrong = "AAAAAAAAAAAAAAAAAAAAAA=="
    assert refused(s3.put_object, **at, Body=b"x", ContentMD5=wrong)[:2] == ("BadDigest", 400)
    assert refused(s3.put_object, **at, Body=b"x", ContentMD5="x")[0] == "InvalidDigest"
    assert refused(s3.put_object, **at, Body=b"x", ChecksumCRC32="AAAAAA==")[0] == "BadDigest"
    assert refused(s3.put_object, **at, Body=b"x", ChecksumCRC32="AA")[0] == "InvalidRequest"
    sha = "A" * 43 + "="
    assert refused(s3.put_object, **at, Body=b"x", ChecksumSHA256=sha)[0] == "BadDigest"
    assert refused(s3.head_object, **at)[0] == "404"


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        ("CRC32", "y/Q5Jg=="),
        ("CRC32C", "4waSgw=="),
        ("CRC64NVME", "rosUhgp5mIg="),
        ("SHA1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ("SHA256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ],
)
def test_checksums_are_verified_and_returned(s3: Any, algorithm: str, value: str) -> None:
    at = {"Bucket": BUCKET, "Key": f"sum/{algorithm}"}
    put = s3.put_object(**at, Body=b"123456789", **{f"Checksum{algorithm}": value})
    assert put[f"Checksum{algorithm}"] == value
    assert f"Checksum{algorithm}" not in s3.head_object(**at)
    head = s3.head_object(**at, ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == value
    assert head["ChecksumType"] == "FULL_OBJECT"
    attributes = s3.get_object_attributes(**at, ObjectAttributes=["Checksum", "ObjectSize", "ETag"])
    assert attributes["Checksum"][f"Checksum{algorithm}"] == value
    assert attributes["ObjectSize"] == 9
    assert attributes["ETag"] == "25f9e794323b453885f5181f1b624d0b"
    assert refused(s3.put_object, **at, Body=b"12345678", **{f"Checksum{algorithm}": value})[0] == (
        "BadDigest"
    )


def test_large_objects_are_streamed(s3: Any) -> None:
    block = os.urandom(1 << 20)
    body = block * 9 + b"end"
    s3.put_object(Bucket=BUCKET, Key="large", Body=io.BytesIO(body))
    assert s3.get_object(Bucket=BUCKET, Key="large")["Body"].read() == body
    piece = s3.get_object(Bucket=BUCKET, Key="large", Range="bytes=1048570-7340100")["Body"].read()
    assert piece == body[1048570:7340101]


def test_deleting_removes_the_folders_it_leaves_empty(s3: Any, server: Server) -> None:
    folder = server.aws.s3.bucket_path(BUCKET)
    s3.put_object(Bucket=BUCKET, Key="deep/a/b/c.txt", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="deep/d.txt", Body=b"")
    s3.delete_object(Bucket=BUCKET, Key="deep/a/b/c.txt")
    assert sorted(path.name for path in (folder / "deep").iterdir()) == ["d.txt"]
    s3.delete_object(Bucket=BUCKET, Key="deep/d.txt")
    assert not (folder / "deep").exists()


def test_delete_objects_tells_each_result(s3: Any) -> None:
    for key in ("many/1", "many/2", "many/3"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    answer = s3.delete_objects(
        Bucket=BUCKET,
        Delete={
            "Objects": [
                {"Key": "many/1"},
                {"Key": "many/none"},
                {"Key": "many/2", "ETag": "0"},
                {"Key": "many/3", "VersionId": "v7"},
            ]
        },
    )
    assert [each["Key"] for each in answer["Deleted"]] == ["many/1", "many/none"]
    assert {each["Key"]: each["Code"] for each in answer["Errors"]} == {
        "many/2": "PreconditionFailed",
        "many/3": "NoSuchVersion",
    }
    quiet = s3.delete_objects(
        Bucket=BUCKET,
        Delete={"Objects": [{"Key": "many/2"}, {"Key": "many/3"}], "Quiet": True},
    )
    assert "Deleted" not in quiet
    assert "Errors" not in quiet
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="many/")["KeyCount"] == 0


def test_folder_markers(s3: Any, server: Server) -> None:
    folder = server.aws.s3.bucket_path(BUCKET)
    s3.put_object(Bucket=BUCKET, Key="marked/sub/", Body=b"", Metadata={"by": "console"})
    s3.put_object(Bucket=BUCKET, Key="marked/sub/x", Body=b"1")
    assert s3.head_object(Bucket=BUCKET, Key="marked/sub/")["Metadata"] == {"by": "console"}
    assert s3.get_object(Bucket=BUCKET, Key="marked/sub/")["Body"].read() == b""
    assert refused(s3.head_object, Bucket=BUCKET, Key="marked/")[1] == 404
    s3.delete_object(Bucket=BUCKET, Key="marked/sub/x")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="marked")
    assert [each["Key"] for each in listed["Contents"]] == ["marked/sub/"]
    s3.delete_object(Bucket=BUCKET, Key="marked/sub/")
    assert not (folder / "marked").exists()
    assert refused(s3.put_object, Bucket=BUCKET, Key="full/", Body=b"x")[0] == "NotImplemented"


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("a//b", "no file name"),
        ("/a", "no file name"),
        ("a/./b", "no file name"),
        ("a/../../b", "no file name"),
        ("x/" + "é" * 128, "longer than 255 bytes"),
    ],
)
def test_keys_that_cannot_be_files_are_refused(s3: Any, key: str, why: str) -> None:
    code, status, message = refused(s3.put_object, Bucket=BUCKET, Key=key, Body=b"")
    assert (code, status) == ("NotImplemented", 501)
    assert why in message
    assert refused(s3.get_object, Bucket=BUCKET, Key=key)[0] == "NoSuchKey"
    s3.delete_object(Bucket=BUCKET, Key=key)


def test_a_key_is_a_file_or_a_folder(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="clash", Body=b"file")
    for key in ("clash/below", "clash/deeper/still", "clash/"):
        code, _, message = refused(s3.put_object, Bucket=BUCKET, Key=key, Body=b"")
        assert code == "NotImplemented"
        assert "cannot be a file and" in message
    s3.put_object(Bucket=BUCKET, Key="clash2/below", Body=b"")
    assert refused(s3.put_object, Bucket=BUCKET, Key="clash2", Body=b"")[0] == "NotImplemented"
    assert s3.get_object(Bucket=BUCKET, Key="clash")["Body"].read() == b"file"
    s3.delete_object(Bucket=BUCKET, Key="clash")
    s3.put_object(Bucket=BUCKET, Key="clash/below", Body=b"")


def test_too_long_keys_are_refused_as_on_aws(s3: Any) -> None:
    key = "/".join(["x" * 200] * 6)
    assert refused(s3.put_object, Bucket=BUCKET, Key=key, Body=b"")[:2] == ("KeyTooLongError", 400)


def test_options_that_are_not_there_are_named(s3: Any) -> None:
    at = {"Bucket": BUCKET, "Key": "x"}
    for arguments, word in (
        ({"WebsiteRedirectLocation": "/y"}, "WebsiteRedirectLocation"),
        ({"ObjectLockLegalHoldStatus": "ON"}, "ObjectLockLegalHoldStatus"),
        ({"StorageClass": "GLACIER"}, "GLACIER"),
        ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}, "SSECustomerAlgorithm"),
    ):
        code, status, message = refused(s3.put_object, **at, Body=b"", **arguments)
        assert (code, status) == ("NotImplemented", 501)
        assert word in message
    code, _, message = refused(s3.restore_object, **at, RestoreRequest={"Days": 1})
    assert code == "NotImplemented"
    assert "s3:RestoreObject" in message
    assert refused(s3.put_object, **at, Body=b"", StorageClass="WARM")[0] == "InvalidStorageClass"
    s3.put_object(**at, Body=b"", ACL="bucket-owner-full-control")
    assert refused(s3.put_object, **at, Body=b"", ACL="public-read")[0] == (
        "AccessControlListNotSupported"
    )
    assert refused(s3.head_object, **at, ExpectedBucketOwner="999999999999")[1] == 403
    assert refused(s3.put_object, **at, Body=b"", Metadata={"a": "x" * 2048})[0] == (
        "MetadataTooLarge"
    )


def test_copies(s3: Any) -> None:
    s3.put_object(
        Bucket=BUCKET,
        Key="from/ç 1+1.txt",
        Body=b"data",
        ContentType="text/csv",
        Metadata={"a": "1"},
        Tagging="t=1",
    )
    source = {"Bucket": BUCKET, "Key": "from/ç 1+1.txt"}
    copied = s3.copy_object(Bucket=BUCKET, Key="to/same", CopySource=source)["CopyObjectResult"]
    head = s3.head_object(Bucket=BUCKET, Key="to/same")
    assert copied["ETag"] == head["ETag"] == s3.head_object(**source)["ETag"]
    assert (head["ContentType"], head["Metadata"]) == ("text/csv", {"a": "1"})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="to/same")["TagSet"] == [
        {"Key": "t", "Value": "1"}
    ]
    s3.copy_object(
        Bucket=BUCKET,
        Key="to/other",
        CopySource=source,
        MetadataDirective="REPLACE",
        TaggingDirective="REPLACE",
        Metadata={"b": "2"},
        Tagging="u=2",
    )
    head = s3.head_object(Bucket=BUCKET, Key="to/other")
    assert (head["ContentType"], head["Metadata"]) == ("binary/octet-stream", {"b": "2"})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="to/other")["TagSet"] == [
        {"Key": "u", "Value": "2"}
    ]
    assert s3.get_object(Bucket=BUCKET, Key="to/other")["Body"].read() == b"data"


def test_copies_on_conditions(s3: Any) -> None:
    etag = s3.put_object(Bucket=BUCKET, Key="source", Body=b"data")["ETag"]
    moment = s3.head_object(Bucket=BUCKET, Key="source")["LastModified"]
    at = {"Bucket": BUCKET, "Key": "target", "CopySource": f"/{BUCKET}/source?versionId=null"}
    assert refused(s3.copy_object, **at, CopySourceIfMatch='"0"')[1] == 412
    assert refused(s3.copy_object, **at, CopySourceIfNoneMatch=etag)[1] == 412
    assert refused(s3.copy_object, **at, CopySourceIfModifiedSince=moment)[1] == 412
    before = moment - timedelta(seconds=5)
    assert refused(s3.copy_object, **at, CopySourceIfUnmodifiedSince=before)[1] == 412
    s3.copy_object(**at, CopySourceIfMatch=etag, IfNoneMatch="*")
    assert refused(s3.copy_object, **at, IfNoneMatch="*")[1] == 412
    assert refused(s3.copy_object, **{**at, "CopySource": f"{BUCKET}/nope"})[0] == "NoSuchKey"
    assert refused(s3.copy_object, **{**at, "CopySource": "none-such/x"})[0] == "NoSuchBucket"
    assert refused(s3.copy_object, **{**at, "CopySource": f"{BUCKET}/../s3.sqlite"})[0] == (
        "NoSuchKey"
    )


def test_a_copy_to_itself_must_change_something(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="itself", Body=b"data", Metadata={"a": "1"})
    at = {"Bucket": BUCKET, "Key": "itself", "CopySource": f"{BUCKET}/itself"}
    assert refused(s3.copy_object, **at)[0] == "InvalidRequest"
    s3.copy_object(**at, MetadataDirective="REPLACE", Metadata={"a": "2"})
    got = s3.get_object(Bucket=BUCKET, Key="itself")
    assert (got["Metadata"], got["Body"].read()) == ({"a": "2"}, b"data")


def test_object_tags(s3: Any) -> None:
    at = {"Bucket": BUCKET, "Key": "tagged"}
    s3.put_object(**at, Body=b"x")
    tags = [{"Key": "a", "Value": "1"}, {"Key": "ç", "Value": ""}]
    s3.put_object_tagging(**at, Tagging={"TagSet": tags})
    assert s3.get_object_tagging(**at)["TagSet"] == tags
    s3.delete_object_tagging(**at)
    assert s3.get_object_tagging(**at)["TagSet"] == []
    twice = {"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}
    assert refused(s3.put_object_tagging, **at, Tagging=twice)[0] == "InvalidTag"
    missing = {"Bucket": BUCKET, "Key": "not-tagged"}
    assert refused(s3.get_object_tagging, **missing)[0] == "NoSuchKey"
    assert refused(s3.put_object_tagging, **missing, Tagging={"TagSet": tags})[0] == "NoSuchKey"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_urls(s3: Any, server: Server, version: str) -> None:
    s3.put_object(Bucket=BUCKET, Key="signed é", Body=b"secret")
    signer = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=BotoConfig(signature_version=version),
    )
    at = {"Bucket": BUCKET, "Key": "signed é"}
    with urlopen(signer.generate_presigned_url("get_object", at, 60)) as answer:  # noqa: S310
        assert answer.read() == b"secret"
    put = Request(  # noqa: S310
        signer.generate_presigned_url("put_object", at, 60), method="PUT", data=b"changed"
    )
    with urlopen(put) as answer:  # noqa: S310
        assert answer.status == 200
    assert s3.get_object(**at)["Body"].read() == b"changed"
    with pytest.raises(HTTPError) as caught:
        urlopen(signer.generate_presigned_url("get_object", at, -5))  # noqa: S310
    assert caught.value.code == 403
    assert b"<Code>AccessDenied</Code><Message>Request has expired" in caught.value.read()


def test_buckets_live_and_die(s3: Any, server: Server) -> None:
    s3.create_bucket(Bucket="short-lived")
    s3.create_bucket(Bucket="short-lived")
    assert (server.aws.config.state / "s3/short-lived").is_dir()
    listed = {each["Name"]: each for each in s3.list_buckets()["Buckets"]}
    assert abs(listed["short-lived"]["CreationDate"] - datetime.now(UTC)) < timedelta(seconds=60)
    paged = s3.list_buckets(MaxBuckets=1, Prefix="s")
    assert [each["Name"] for each in paged["Buckets"]] == ["short-lived"]
    s3.put_object(Bucket="short-lived", Key="a/b/", Body=b"")
    assert refused(s3.delete_bucket, Bucket="short-lived")[:2] == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket="short-lived", Key="a/b/")
    s3.put_object(Bucket="short-lived", Key="a/b/c", Body=b"")
    assert refused(s3.delete_bucket, Bucket="short-lived")[:2] == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket="short-lived", Key="a/b/c")
    (server.aws.config.state / "s3/short-lived/empty/folder").mkdir(parents=True)
    s3.delete_bucket(Bucket="short-lived")
    assert not (server.aws.config.state / "s3/short-lived").exists()
    assert refused(s3.delete_bucket, Bucket="short-lived")[0] == "NoSuchBucket"


def test_bucket_names_and_regions(client: Callable[[str], Any], s3: Any) -> None:
    for name in ("Upper", "192.168.0.1", "a..b", "xn--x", "with_line"):
        assert refused(s3.create_bucket, Bucket=name)[0] == "InvalidBucketName"
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    assert s3.head_bucket(Bucket=BUCKET)["BucketRegion"] == "us-east-1"
    code, _, message = refused(
        s3.create_bucket,
        Bucket="elsewhere",
        CreateBucketConfiguration={"LocationConstraint": "sa-east-1"},
    )
    assert code == "NotImplemented"
    assert "us-east-1" in message


def test_bucket_settings_are_kept_or_refused(s3: Any) -> None:
    at = {"Bucket": "with-settings"}
    s3.create_bucket(**at)
    assert refused(s3.get_bucket_tagging, **at)[0] == "NoSuchTagSet"
    s3.put_bucket_tagging(**at, Tagging={"TagSet": [{"Key": "p", "Value": "m & d"}]})
    assert s3.get_bucket_tagging(**at)["TagSet"] == [{"Key": "p", "Value": "m & d"}]
    s3.delete_bucket_tagging(**at)
    assert refused(s3.get_bucket_tagging, **at)[0] == "NoSuchTagSet"

    assert "Status" not in s3.get_bucket_versioning(**at)
    code, _, message = refused(
        s3.put_bucket_versioning, **at, VersioningConfiguration={"Status": "Enabled"}
    )
    assert code == "NotImplemented"
    assert "s3:PutBucketVersioning" in message

    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    default = s3.get_bucket_encryption(**at)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert default["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    s3.put_bucket_encryption(**at, ServerSideEncryptionConfiguration=rules)
    assert s3.get_bucket_encryption(**at)["ServerSideEncryptionConfiguration"] == rules

    block = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    assert s3.get_public_access_block(**at)["PublicAccessBlockConfiguration"] == block
    block["IgnorePublicAcls"] = False
    s3.put_public_access_block(**at, PublicAccessBlockConfiguration=block)
    assert s3.get_public_access_block(**at)["PublicAccessBlockConfiguration"] == block
    s3.delete_public_access_block(**at)
    assert refused(s3.get_public_access_block, **at)[0] == "NoSuchPublicAccessBlockConfiguration"

    assert refused(s3.get_bucket_lifecycle_configuration, **at)[0] == (
        "NoSuchLifecycleConfiguration"
    )
    lifecycle = {
        "Rules": [
            {
                "ID": "x",
                "Filter": {"Prefix": "tmp/"},
                "Status": "Enabled",
                "Expiration": {"Days": 7},
            }
        ]
    }
    s3.put_bucket_lifecycle_configuration(**at, LifecycleConfiguration=lifecycle)
    assert s3.get_bucket_lifecycle_configuration(**at)["Rules"] == lifecycle["Rules"]

    policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny"}]}'
    assert refused(s3.get_bucket_policy, **at)[0] == "NoSuchBucketPolicy"
    assert refused(s3.put_bucket_policy, **at, Policy="{")[0] == "MalformedPolicy"
    s3.put_bucket_policy(**at, Policy=policy)
    assert s3.get_bucket_policy(**at)["Policy"] == policy

    grants = s3.get_bucket_acl(**at)["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    controls = s3.get_bucket_ownership_controls(**at)["OwnershipControls"]["Rules"]
    assert controls == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert refused(s3.get_bucket_cors, **at)[0] == "NoSuchCORSConfiguration"
    assert refused(s3.get_bucket_website, **at)[0] == "NoSuchWebsiteConfiguration"

    s3.delete_bucket(**at)
    s3.create_bucket(**at)
    assert refused(s3.get_bucket_policy, **at)[0] == "NoSuchBucketPolicy"


def test_path_of_a_uri(s3: Any, server: Server) -> None:
    root = server.aws.s3.bucket_path(BUCKET)
    assert server.aws.s3.path(f"s3://{BUCKET}/a/b") == root / "a/b"
    assert server.aws.s3.path(f"s3://{BUCKET}/a/b/") == root / "a/b"
    assert server.aws.s3.path(f"s3a://{BUCKET}") == root
    for uri, code in (
        ("s3://no-such-bucket/x", "NoSuchBucket"),
        (f"s3://{BUCKET}/a/../../x", "InvalidURI"),
        ("https://x/y", "InvalidURI"),
        ("s3://../x", "NoSuchBucket"),
    ):
        with pytest.raises(AwsError) as caught:
            server.aws.s3.path(uri)
        assert caught.value.code == code
