"""How fast the embedded S3 is: prints figures, asserts nothing.

Run it from the repository's root: ``python -m benchmarks.s3_speed [--megabytes 200]``.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3

from local_aws.instance import Config
from local_aws.server import Server

BUCKET = "speed-bucket"


@contextmanager
def seconds(label: str, megabytes: float = 0) -> Iterator[None]:
    start = time.perf_counter()
    yield
    took = time.perf_counter() - start
    rate = f"  {megabytes / took:8.0f} MB/s" if megabytes else ""
    print(f"{label:<52}{took:8.2f} s{rate}")


def each(label: str, count: int, work: Callable[[int], Any]) -> None:
    """Median and 99th percentile, in milliseconds, of ``count`` calls behind each other."""
    took = []
    for number in range(count):
        start = time.perf_counter()
        work(number)
        took.append((time.perf_counter() - start) * 1000)
    took.sort()
    print(f"{label:<52}{statistics.median(took):8.2f} ms{took[int(count * 0.99)]:10.2f} ms (p99)")


def small_objects(s3: Any, endpoint: str) -> None:
    def put(number: int) -> None:
        s3.put_object(Bucket=BUCKET, Key=f"small/{number:05}", Body=b"x" * 1000)

    def get(number: int) -> None:
        s3.get_object(Bucket=BUCKET, Key=f"small/{number:05}")["Body"].read()

    each("boto3: put 1 kB", 500, put)
    each("boto3: get 1 kB", 500, get)
    each("boto3: head", 500, lambda n: s3.head_object(Bucket=BUCKET, Key=f"small/{n:05}"))

    wire = http.client.HTTPConnection(urlsplit(endpoint).netloc)

    def raw(method: str, body: bytes | None) -> Callable[[int], None]:
        def send(number: int) -> None:
            wire.request(method, f"/{BUCKET}/raw/{number:05}", body)
            wire.getresponse().read()

        return send

    each("bare HTTP: put 1 kB", 500, raw("PUT", b"x" * 1000))
    each("bare HTTP: get 1 kB", 500, raw("GET", None))
    with (
        seconds("boto3: 2000 puts of 1 kB, 8 threads"),
        ThreadPoolExecutor(8) as pool,
    ):
        list(pool.map(put, range(2000)))
    each("boto3: delete", 500, lambda n: s3.delete_object(Bucket=BUCKET, Key=f"small/{n:05}"))


def lists(s3: Any, endpoint: str, bucket: Path) -> None:
    folder = bucket / "listed"
    for number in range(10_000):
        path = folder / f"{number % 10}/part-{number:05}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number)
    pages = s3.get_paginator("list_objects_v2")
    for label in ("list 10,000 keys, first time (ETags computed)", "list 10,000 keys"):
        with seconds(label):
            found = sum(
                len(page["Contents"]) for page in pages.paginate(Bucket=BUCKET, Prefix="listed/")
            )
            if found != 10_000:
                raise SystemExit(f"listed {found} keys instead of 10,000")
    wire = http.client.HTTPConnection(urlsplit(endpoint).netloc)
    with seconds("bare HTTP: list 10,000 keys"):
        token: str | None = ""
        while token is not None:
            query = f"list-type=2&prefix=listed/{token and f'&continuation-token={token}'}"
            wire.request("GET", f"/{BUCKET}?{query}")
            found_token = re.search(rb"<NextContinuationToken>(.*?)<", wire.getresponse().read())
            token = quote(found_token[1].decode()) if found_token else None
    with seconds("list 10 common prefixes"):
        s3.list_objects_v2(Bucket=BUCKET, Prefix="listed/", Delimiter="/")


def large_objects(s3: Any, megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "large"
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(os.urandom(1 << 20))
        with seconds(f"upload_file, {megabytes} MB in parts", megabytes):
            s3.upload_file(str(path), BUCKET, "large")
        with seconds("download_file", megabytes):
            s3.download_file(BUCKET, "large", f"{path}.2")
        with path.open("rb") as file, seconds("put_object, one stream", megabytes):
            s3.put_object(Bucket=BUCKET, Key="stream", Body=file)
    with seconds("copy_object", megabytes):
        s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/stream")


def serve(state: str, ready: Any, done: Any) -> None:
    """An S3 server in a process of its own, as in the stack."""
    with Server(Config(state=Path(state)), services=["s3"]) as server:
        ready.put(server.endpoint_url)
        done.get()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200, help="size of the large object")
    arguments = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    ready, done = processes.SimpleQueue(), processes.SimpleQueue()
    with tempfile.TemporaryDirectory() as state:
        process = processes.Process(target=serve, args=(state, ready, done))
        process.start()
        endpoint = ready.get()
        s3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106
        )
        s3.create_bucket(Bucket=BUCKET)
        small_objects(s3, endpoint)
        lists(s3, endpoint, Path(state, "s3", BUCKET))
        large_objects(s3, arguments.megabytes)
        done.put(None)
        process.join()


if __name__ == "__main__":
    main()
