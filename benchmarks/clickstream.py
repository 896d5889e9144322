"""The clickstream on a stack of its own: what its doors take, and nights of any size.

    .venv/bin/python benchmarks/clickstream.py --doors --seconds 180
    .venv/bin/python benchmarks/clickstream.py --events 1000000

`--doors`: events per second that each door accepts under a sustained load (a shard of the stream
takes 1,000, as on AWS), how many of them never come to bronze (the loss; those that come more than
once are counted too), and the seconds from putting an event to Athena's finding it, crawl included.
`--events`: so many events of one day are laid into bronze as Firehose does, and their night is run;
seconds of each task, rows per second of silver, peak memory. Prints figures and asserts nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.memory import Memory  # noqa: E402
from benchmarks.stack import ops, stack_at  # noqa: E402
from include.sample_data import event_producer  # noqa: E402
from include.sample_data.events import Options, lines  # noqa: E402
from ops import sql  # noqa: E402
from ops.airflow_api import Airflow  # noqa: E402
from ops.nightly import trigger, watch  # noqa: E402
from ops.settings import Settings  # noqa: E402

DAG = "clickstream_nightly"
DAY = date(2026, 1, 5)
OF_AN_OBJECT = 100_000
"""Events in each object that is laid into bronze: about 100 MB before compression."""
QUIET_SECONDS = 30
"""When no object has come for so long after the end of a load, all has come that ever will."""


def objects(settings: Settings, day: str) -> list[dict[str, Any]]:
    pages = (
        sql.client(settings, "s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=settings.bucket("bronze"), Prefix=f"clickstream/events/ingest_date={day}/")
    )
    return [one for page in pages for one in page.get("Contents", [])]


def events_in_bronze(settings: Settings, day: str, keys: set[str]) -> Counter[str]:
    """How often each event id is in the day's objects but for those named."""
    s3, found = sql.client(settings, "s3"), Counter[str]()
    for one in objects(settings, day):
        if one["Key"] in keys:
            continue
        body = s3.get_object(Bucket=settings.bucket("bronze"), Key=one["Key"])["Body"].read()
        found.update(json.loads(line)["event_id"] for line in gzip.decompress(body).splitlines())
    return found


def endless(seconds: float, sent: list[str]) -> Iterator[str]:
    """Events until the time is over; their ids are added to `sent`."""
    until = time.monotonic() + seconds
    today = datetime.now(UTC).date()
    seed = 0
    while True:
        seed += 1
        for line in lines(Options(count=20_000, first_day=today, seed=seed)):
            if time.monotonic() > until:
                return
            event = json.loads(line)
            event["event_id"] = str(uuid.uuid4())
            sent.append(event["event_id"])
            yield json.dumps(event)


def load(settings: Settings, door: str, seconds: float, rate: float | None) -> None:
    today = datetime.now(UTC).date().isoformat()
    before = {one["Key"] for one in objects(settings, today)}
    service = sql.client(settings, door)
    opened = {"kinesis": event_producer.Kinesis, "sqs": event_producer.Sqs}[door](service)
    sent: list[str] = []
    began = time.monotonic()
    result = event_producer.Producer(opened, rate, lambda done: None).run(endless(seconds, sent))
    took = time.monotonic() - began
    known, last = -1, time.monotonic()
    while time.monotonic() - last < QUIET_SECONDS:
        now = len(objects(settings, today))
        if now != known:
            known, last = now, time.monotonic()
        time.sleep(1)
    found = events_in_bronze(settings, today, before)
    lost = sum(1 for one in sent if one not in found)
    print(
        f"{door}: {result.accepted:,} events accepted in {took:.1f} s,"
        f" {result.accepted / took:,.0f}/s; {len(result.refused)} refused,"
        f" {result.again:,} sent again; in bronze {len(found):,} ids,"
        f" lost {lost:,}, more than once {sum(n > 1 for n in found.values()):,}"
    )


def visible(settings: Settings, door: str) -> float:
    """Seconds from putting an event to Athena's finding it."""
    (line,) = lines(Options(count=1, first_day=datetime.now(UTC).date(), seed=time.time_ns()))
    event = {**json.loads(line), "event_id": str(uuid.uuid4())}
    opened = {"kinesis": event_producer.Kinesis, "sqs": event_producer.Sqs}[door](
        sql.client(settings, door)
    )
    glue = sql.client(settings, "glue")
    count = "select count(*) from madrugada_bronze.events where event_id = '{}'"
    query = count.format(event["event_id"])
    today = datetime.now(UTC).date().isoformat()
    before = len(objects(settings, today))
    began = time.monotonic()
    event_producer.Producer(opened, None, lambda done: None).run([json.dumps(event)])
    while len(objects(settings, today)) == before:
        time.sleep(0.1)
    glue.start_crawler(Name="madrugada-clickstream")
    while glue.get_crawler(Name="madrugada-clickstream")["Crawler"]["State"] != "READY":
        time.sleep(0.1)
    while sql.ask(settings, "athena", query)[1] != [["1"]]:
        time.sleep(0.1)
    return time.monotonic() - began


def packed(count: int, seed: int) -> tuple[int, bytes]:
    """So many events of the day, with copies and broken lines: how many lines, and an object."""
    options = Options(
        count=count, first_day=DAY, seed=seed, duplicates=0.02, broken=0.005, late=0.05
    )
    some = list(lines(options))
    return len(some), gzip.compress(("\n".join(some) + "\n").encode(), 1, mtime=0)


def lay(settings: Settings, count: int) -> tuple[int, int]:
    """Put a day's events into bronze; ``(lines, bytes)``."""
    s3, total, size = sql.client(settings, "s3"), 0, 0
    counts = [min(OF_AN_OBJECT, count - start) for start in range(0, count, OF_AN_OBJECT)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for number, (some, body) in enumerate(pool.map(packed, counts, range(len(counts)))):
            key = f"clickstream/events/ingest_date={DAY}/hour={number % 24:02}/{number:05}.gz"
            s3.put_object(Bucket=settings.bucket("bronze"), Key=key, Body=body)
            total, size = total + some, size + len(body)
    return total, size


def night(settings: Settings, count: int) -> None:
    began = time.monotonic()
    total, size = lay(settings, count)
    print(f"{total:,} lines, {size / 1e6:,.0f} MB, made in {time.monotonic() - began:.1f} s")
    airflow = Airflow(settings)
    run_id = trigger(airflow, DAG, DAY)
    if not watch(airflow, DAG, run_id):
        raise SystemExit("the night failed")
    s3, bucket = sql.client(settings, "s3"), settings.bucket("gold")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"_reports/{DAG}/{DAY}/")["Contents"]
    report = json.loads(s3.get_object(Bucket=bucket, Key=listed[0]["Key"])["Body"].read())
    events = report["datasets"]["events"]
    silver = next(t for t in report["durations"]["tasks"] if t["task"] == "build_silver")
    print(
        f"silver: {events['delivered']:,} rows in {silver['seconds']:.1f} s,"
        f" {events['delivered'] / silver['seconds']:,.0f} rows/s; kept {events['kept']:,},"
        f" duplicates {events['duplicates']:,}, quarantined {sum(events['quarantined'].values()):,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doors", action="store_true")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--rate", type=float, help="events per second; none is as fast as it goes")
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--port", default="8392")
    parser.add_argument("--aws-port", default="4792")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / "state"
        settings = stack_at(state, args.port, args.aws_port)
        memory = Memory(state)
        try:
            ops("stack", "up")
            memory.start()
            if args.doors:
                for door in event_producer.DOORS:
                    load(settings, door, args.seconds, args.rate)
                    print(f"{door}: visible in Athena after {visible(settings, door):.1f} s")
            if args.events:
                night(settings, args.events)
            memory.done.set()
            memory.tell()
        finally:
            memory.done.set()
            ops("stack", "stop")


if __name__ == "__main__":
    main()
