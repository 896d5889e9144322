"""The embedded S3 on the wire: what boto3 does not send, and what it must never get."""

from __future__ import annotations

import base64
import http.client
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import botocore.loaders
import pytest
from botocore.model import ServiceModel

from local_aws.instance import Config
from local_aws.s3.checksums import CHECKSUMS, Crc, polynomial_of
from local_aws.s3.engine import S3
from local_aws.server import Server

BUCKET = "wire-bucket"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=["s3"]) as running:
        yield running


@pytest.fixture(scope="module")
def s3(client: Callable[[str], Any]) -> Any:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture
def wire(server: Server, s3: Any) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(server.endpoint_url).netloc, timeout=10)
    yield connection
    connection.close()


def send(
    wire: http.client.HTTPConnection,
    method: str,
    target: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    **options: Any,
) -> tuple[int, dict[str, str], bytes]:
    wire.request(method, target, body, headers or {}, **options)
    answer = wire.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def aws_chunks(*blocks: bytes, trailer: str = "", signed: bool = False) -> bytes:
    extension = b";chunk-signature=" + b"0" * 64 if signed else b""
    body = b"".join(
        b"%x%s\r\n%s\r\n" % (len(block), extension, block) for block in (*blocks, b"") if block
    )
    return body + b"0" + extension + b"\r\n" + trailer.encode() + b"\r\n"


def crc32_of(data: bytes) -> str:
    return base64.b64encode(crc32(data).to_bytes(4, "big")).decode()


def crc64_of(data: bytes) -> str:
    digest = CHECKSUMS["crc64nvme"]()
    digest.update(data)
    return base64.b64encode(digest.digest()).decode()


@pytest.mark.parametrize("algorithm", ["crc32", "crc64nvme"])
@pytest.mark.parametrize("chunked", [False, True])
def test_trailing_checksums(
    wire: http.client.HTTPConnection, s3: Any, algorithm: str, chunked: bool
) -> None:
    content = b"first block|" + b"x" * 70000
    value = {"crc32": crc32_of, "crc64nvme": crc64_of}[algorithm](content)
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-trailer": f"x-amz-checksum-{algorithm}",
        "x-amz-decoded-content-length": str(len(content)),
        "Content-Encoding": "aws-chunked",
        "Content-Type": "text/plain",
    }

    def put(given: str) -> tuple[int, dict[str, str], bytes]:
        body: Any = aws_chunks(
            content[:12], content[12:], trailer=f"x-amz-checksum-{algorithm}:{given}\r\n"
        )
        if chunked:
            pieces = iter([body[:7], body[7:100], body[100:]])
            return send(
                wire,
                "PUT",
                f"/{BUCKET}/trailed",
                pieces,
                {**headers, "Transfer-Encoding": "chunked"},
                encode_chunked=True,
            )
        return send(wire, "PUT", f"/{BUCKET}/trailed", body, headers)

    status, answered, _ = put(value)
    assert status == 200
    assert answered[f"x-amz-checksum-{algorithm}"] == value
    got = s3.get_object(Bucket=BUCKET, Key="trailed")
    assert got["Body"].read() == content
    assert "ContentEncoding" not in got
    s3.delete_object(Bucket=BUCKET, Key="trailed")
    status, _, answer = put("A" * (len(value) - value.count("=")) + "=" * value.count("="))
    assert (status, b"<Code>BadDigest</Code>" in answer) == (400, True)
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="trailed")["KeyCount"] == 0


def test_signed_chunks_of_a_compressed_body(wire: http.client.HTTPConnection, s3: Any) -> None:
    content = b"pretend this is gzip"
    status, _, _ = send(
        wire,
        "PUT",
        f"/{BUCKET}/signed",
        aws_chunks(content[:5], content[5:], signed=True),
        {
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "x-amz-decoded-content-length": str(len(content)),
            "Content-Encoding": "aws-chunked,gzip",
        },
    )
    assert status == 200
    got = s3.get_object(Bucket=BUCKET, Key="signed")
    assert (got["ContentEncoding"], got["Body"].read()) == ("gzip", content)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"5\r\nabc", "IncompleteBody"),
        (b"zz\r\nabc\r\n0\r\n\r\n", "IncompleteBody"),
        (b"3\r\nabcd\r\n0\r\n\r\n", "IncompleteBody"),
        (b"3\r\nabc\r\n0\r\n\r\n", "InvalidRequest"),
        (b"2\r\nab\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "IncompleteBody"),
    ],
)
def test_broken_chunks(wire: http.client.HTTPConnection, s3: Any, body: bytes, code: str) -> None:
    status, _, answer = send(
        wire,
        "PUT",
        f"/{BUCKET}/broken",
        body,
        {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
            "x-amz-decoded-content-length": "3",
        },
    )
    assert (status, f"<Code>{code}</Code>".encode() in answer) == (400, True)
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="broken")["KeyCount"] == 0
    assert send(wire, "HEAD", f"/{BUCKET}")[0] == 200


def test_a_wrong_payload_hash_is_refused(wire: http.client.HTTPConnection) -> None:
    headers = {"x-amz-content-sha256": "0" * 64}
    status, _, answer = send(wire, "PUT", f"/{BUCKET}/hash", b"x", headers)
    assert (status, b"XAmzContentSHA256Mismatch" in answer) == (400, True)


def test_a_client_that_goes_away_leaves_nothing(server: Server, s3: Any) -> None:
    host, _, port = urlsplit(server.endpoint_url).netloc.partition(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(
            b"PUT /%s/half HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"
            % BUCKET.encode()
        )
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while b"</Error>" not in answer and (piece := connection.recv(65536)):
            answer += piece
        assert b"IncompleteBody" in answer
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="half")["KeyCount"] == 0
    assert list((server.aws.config.state / "s3-scratch").iterdir()) == []


def test_expect_continue(server: Server, s3: Any) -> None:
    host, _, port = urlsplit(server.endpoint_url).netloc.partition(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(
            b"PUT /%s/patient HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n" % BUCKET.encode()
        )
        assert connection.recv(1024).startswith(b"HTTP/1.1 100")
        connection.sendall(b"ok")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert s3.get_object(Bucket=BUCKET, Key="patient")["Body"].read() == b"ok"


@pytest.mark.parametrize(
    "target",
    [
        "/wire-bucket/../s3.sqlite",
        "/wire-bucket/%2e%2e/s3.sqlite",
        "/wire-bucket/..%2fs3.sqlite",
        "/wire-bucket/a/..%2f..%2f..%2fs3.sqlite",
        "/../s3.sqlite",
        "/..%2fs3.sqlite",
        "/%2e%2e/s3.sqlite",
        "/wire-bucket//etc/passwd",
        "/wire-bucket/%00",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_nothing_leads_out_of_a_bucket(
    wire: http.client.HTTPConnection, server: Server, target: str, method: str
) -> None:
    state = server.aws.config.state
    before = sorted(str(path) for path in state.rglob("*"))
    status, _, answer = send(wire, method, target, b"evil" if method == "PUT" else None)
    assert b"SQLite" not in answer
    assert b"root:" not in answer
    if method == "DELETE":
        assert status in (204, 404)
    else:
        assert status in (400, 404, 501)
    assert sorted(str(path) for path in state.rglob("*")) == before


def test_symbolic_links_are_no_objects(
    wire: http.client.HTTPConnection, server: Server, s3: Any, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("outside")
    folder = server.aws.s3.bucket_path(BUCKET)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)
    try:
        for target in ("link", "folder/secret"):
            assert send(wire, "GET", f"/{BUCKET}/{target}")[0] == 404
            assert send(wire, "HEAD", f"/{BUCKET}/{target}")[0] == 404
        for prefix in ("link", "folder", "folder/"):
            assert s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"] == 0
        for key in ("folder/new", "folder/new/", "folder/a/b"):
            with pytest.raises(s3.exceptions.ClientError) as caught:
                s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
            assert "symbolic link" in str(caught.value)
        s3.delete_object(Bucket=BUCKET, Key="folder/secret")
        assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    finally:
        (folder / "link").unlink()
        (folder / "folder").unlink()


def test_the_bucket_may_be_in_the_host(wire: http.client.HTTPConnection, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="hosted/x", Body=b"1")
    for host in (f"{BUCKET}.localhost", f"{BUCKET}.s3.localhost:4566"):
        status, _, answer = send(wire, "GET", "/hosted/x", headers={"Host": host})
        assert (status, answer) == (200, b"1")


def test_keys_with_escaped_characters(wire: http.client.HTTPConnection, s3: Any) -> None:
    assert send(wire, "PUT", f"/{BUCKET}/e/a%2Fb%252Fc+d%20e", b"1")[0] == 200
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="e/")["Contents"]
    assert [each["Key"] for each in listed] == ["e/a/b%2Fc+d e"]
    status, _, answer = send(wire, "GET", f"/{BUCKET}/%ff")
    assert (status, b"InvalidURI" in answer) == (400, True)


def test_control_characters_survive_xml(wire: http.client.HTTPConnection, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="ctl/\x01\r\n\t", Body=b"")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="ctl/")["Contents"]
    assert [each["Key"] for each in listed] == ["ctl/\x01\r\n\t"]
    _, _, answer = send(wire, "GET", f"/{BUCKET}?list-type=2&prefix=ctl/")
    assert b"<Key>ctl/&#x1;&#xD;" in answer


def test_requests_that_make_no_sense(wire: http.client.HTTPConnection) -> None:
    status, headers, answer = send(wire, "POST", f"/{BUCKET}?delete", b"<Delete>")
    assert (status, b"MalformedXML" in answer) == (400, True)
    laughs = b"".join(
        b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 10)
    )
    bomb = b'<!DOCTYPE a [<!ENTITY l0 "ha">%s]><Delete><Object><Key>&l9;</Key></Object></Delete>'
    status, _, answer = send(wire, "POST", f"/{BUCKET}?delete", bomb % laughs)
    assert (status, b"MalformedXML" in answer) == (400, True)
    status, headers, answer = send(wire, "POST", f"/{BUCKET}", b"--form", {"Content-Type": "x"})
    assert (status, b"PostObject" in answer) == (501, True)
    status, headers, answer = send(wire, "PATCH", f"/{BUCKET}/x")
    assert (status, b"MethodNotAllowed" in answer) == (405, True)
    assert headers["x-amz-request-id"].encode() in answer
    assert headers["Content-Type"] == "application/xml"
    status, headers, answer = send(wire, "HEAD", f"/{BUCKET}/none-such")
    assert (status, answer) == (404, b"")


def test_what_an_operation_lists_exists_on_aws() -> None:
    model = ServiceModel(botocore.loaders.Loader().load_service_model("s3", "service-2"))
    operations = S3.operations()
    assert len(operations) > 50
    for name, operation in operations.items():
        members = set(model.operation_model(name).input_shape.members)
        assert set(operation.accepts) <= members, name
        assert set(operation.ignores) <= members, name
        assert operation.summary.endswith("."), name


@pytest.mark.parametrize(
    ("algorithm", "check"),
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_crcs(algorithm: str, check: str) -> None:
    polynomial = polynomial_of(algorithm)
    crc = Crc(polynomial)
    crc.update(b"123456789")
    assert crc.digest().hex() == check
    data = bytes(range(256)) * 4096 + b"a block of 1 MiB and a tail" + b"\xff" * 3000
    whole = Crc(polynomial)
    whole.update(data)
    if algorithm == "crc32":
        assert whole.digest() == crc32(data).to_bytes(4, "big")
    pieces = Crc(polynomial)
    for start in range(0, len(data), 300_000):
        pieces.update(data[start : start + 300_000])
    assert pieces.digest() == whole.digest()
    left, right = Crc(polynomial), Crc(polynomial)
    left.update(data[:777])
    right.update(data[777:])
    assert polynomial.combine(left.digest(), right.digest(), len(data) - 777) == whole.digest()
