"""The embedded S3's folder is shared: with Spark and DuckDB, with readers, with the past."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.server import Server

BUCKET = "shared-bucket"


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
def folder(server: Server, s3: Any) -> Path:
    return server.aws.s3.bucket_path(BUCKET)


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def keys(s3: Any, prefix: str) -> list[str]:
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [each["Key"] for each in listed.get("Contents", [])]


def make_client(server: Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_a_file_is_an_object_at_once(s3: Any, folder: Path) -> None:
    path = folder / "out/_temporary/0/part-0.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rows")
    assert keys(s3, "out/") == ["out/_temporary/0/part-0.parquet"]
    head = s3.head_object(Bucket=BUCKET, Key="out/_temporary/0/part-0.parquet")
    assert (head["ETag"], head["ContentLength"]) == (etag(b"rows"), 4)
    assert int(head["LastModified"].timestamp()) == int(path.stat().st_mtime)

    path.rename(folder / "out/part-0.parquet")
    shutil.rmtree(folder / "out/_temporary")
    assert keys(s3, "out/") == ["out/part-0.parquet"]
    (folder / "out/part-0.parquet").unlink()
    assert keys(s3, "out/") == []
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=BUCKET, Key="out/part-0.parquet")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"


def test_a_folder_that_another_program_left_empty_is_no_object(s3: Any, folder: Path) -> None:
    (folder / "hollow/a/b").mkdir(parents=True)
    assert keys(s3, "hollow") == []
    assert "CommonPrefixes" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="hollow", Delimiter="/")
    s3.put_object(Bucket=BUCKET, Key="hollow", Body=b"now a file")
    assert keys(s3, "hollow") == ["hollow"]


def test_what_was_given_belongs_to_the_content_it_was_given_with(s3: Any, folder: Path) -> None:
    at = {"Bucket": BUCKET, "Key": "changed"}
    s3.put_object(**at, Body=b"mine", Metadata={"a": "1"}, ContentType="text/x")
    (folder / "changed").write_bytes(b"your")
    got = s3.get_object(**at)
    assert got["Body"].read() == b"your"
    assert (got["ETag"], got["Metadata"]) == (etag(b"your"), {})
    assert got["ContentType"] == "binary/octet-stream"
    with open(folder / "changed", "ab") as file:
        file.write(b"s")
    assert s3.head_object(**at)["ETag"] == etag(b"yours")
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="changed")["Contents"][0]["ETag"] == (
        etag(b"yours")
    )


def test_tags_of_a_file_that_another_program_wrote(s3: Any, folder: Path) -> None:
    (folder / "foreign").write_bytes(b"x")
    tags = [{"Key": "a", "Value": "1"}]
    s3.put_object_tagging(Bucket=BUCKET, Key="foreign", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="foreign")["TagSet"] == tags


def test_names_that_are_not_utf8_are_no_keys(s3: Any, folder: Path) -> None:
    (folder / "odd").mkdir()
    odd = os.fsencode(folder / "odd") + b"/\xff\xfe"
    with open(odd, "wb"):
        pass
    (folder / "odd/even").touch()
    assert keys(s3, "odd/") == ["odd/even"]
    os.unlink(odd)


def test_a_marker_lives_as_long_as_its_folder(s3: Any, folder: Path) -> None:
    s3.put_object(Bucket=BUCKET, Key="marker/", Body=b"")
    (folder / "marker/x").touch()
    assert keys(s3, "marker") == ["marker/", "marker/x"]
    (folder / "marker/x").unlink()
    assert keys(s3, "marker") == ["marker/"]
    (folder / "marker").rmdir()
    assert keys(s3, "marker") == []


def test_readers_see_the_old_or_the_new_object(s3: Any, folder: Path) -> None:
    """Each read, of the file and of the object, is whole and fits its ETag and metadata."""
    bodies = [bytes([letter]) * size for letter, size in ((65, 3_000_000), (66, 2_000_000))]
    at = {"Bucket": BUCKET, "Key": "busy/object"}
    s3.put_object(**at, Body=bodies[0], Metadata={"n": "0"})
    stop = threading.Event()
    faults: list[str] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            number = 1 - number
            s3.put_object(**at, Body=bodies[number], Metadata={"n": str(number)})

    def read() -> None:
        while not stop.is_set():
            got = s3.get_object(**at)
            body = got["Body"].read()
            number = int(got["Metadata"]["n"])
            if body != bodies[number] or got["ETag"] != etag(bodies[number]):
                faults.append(f"object {number}: {len(body)} bytes, {got['ETag']}")
            if (folder / "busy/object").read_bytes() not in bodies:
                faults.append("file")

    threads = [threading.Thread(target=work) for work in (write, read, read)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []


def test_puts_and_deletes_that_share_folders(s3: Any) -> None:
    """A folder that one client empties while another fills it loses nothing."""
    faults: list[str] = []

    def churn(name: str) -> None:
        try:
            for _ in range(40):
                key = f"churn/a/b/{name}"
                s3.put_object(Bucket=BUCKET, Key=key, Body=name.encode())
                if s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() != name.encode():
                    faults.append(key)
                s3.delete_object(Bucket=BUCKET, Key=key)
        except ClientError as error:
            faults.append(str(error))

    threads = [threading.Thread(target=churn, args=(name,)) for name in "pqrs"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert keys(s3, "churn") == []


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    with Server(Config(state=tmp_path), services=["s3"]) as server:
        s3 = make_client(server)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
        s3.put_object(Bucket=BUCKET, Key="a/b", Body=b"1", Metadata={"m": "1"}, Tagging="t=1")
        s3.put_object(Bucket=BUCKET, Key="c/", Body=b"")
        created = s3.list_buckets()["Buckets"]
        listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    with Server(Config(state=tmp_path), services=["s3"]) as server:
        s3 = make_client(server)
        assert s3.list_buckets()["Buckets"] == created
        assert s3.list_objects_v2(Bucket=BUCKET)["Contents"] == listed
        assert s3.head_object(Bucket=BUCKET, Key="a/b")["Metadata"] == {"m": "1"}
        assert s3.get_object_tagging(Bucket=BUCKET, Key="a/b")["TagSet"]
        assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"]


CRASHING = """
import sys, threading, time
from pathlib import Path
from local_aws.instance import Config
from local_aws.server import Server
server = Server(Config(state=Path(sys.argv[1])), services=["s3"])
server.start()
print(server.endpoint_url, flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_killed_server_leaves_no_half_object(tmp_path: Path) -> None:
    """Kill the server while it receives objects: each is there whole, or not at all."""
    process = subprocess.Popen(
        [sys.executable, "-c", CRASHING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    url = process.stdout.readline().strip()
    s3 = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )
    s3.create_bucket(Bucket=BUCKET)
    accepted: dict[str, str] = {}

    def put(worker: int) -> None:
        for number in range(1000):
            body = bytes([worker]) * (1 + number % 7 * 400_000)
            key = f"{worker}/{number % 5}"
            try:
                s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"n": str(len(body))})
            except Exception:
                return
            accepted[key] = str(len(body))

    threads = [threading.Thread(target=put, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    process.kill()
    process.wait()
    for thread in threads:
        thread.join()
    assert accepted
    with Server(Config(state=tmp_path), services=["s3"]) as server:
        assert list((tmp_path / "s3-scratch").iterdir()) == []
        s3 = make_client(server)
        found = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert {each["Key"] for each in found} >= set(accepted)
        for each in found:
            got = s3.get_object(Bucket=BUCKET, Key=each["Key"])
            body = got["Body"].read()
            assert got["Metadata"] == {"n": str(len(body))}
            assert got["ETag"] == etag(body)
            assert body == body[:1] * len(body)
