"""What streams and queues acknowledged survives ``kill -9``, exactly; S3 gets all of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[2]
ROLE = "arn:aws:iam::123456789012:role/firehose"
SERVE = """
import sys, time
from pathlib import Path
from local_aws.instance import Config
from local_aws.server import Server
server = Server(Config(state=Path(sys.argv[1])), services=["s3", "sqs", "kinesis", "firehose"])
server.start()
print(server.endpoint_url, flush=True)
time.sleep(300)
"""


class Victim:
    """A server in a process of its own, to be killed."""

    def __init__(self, state: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(state)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert self._process.stdout
        self._url = self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=BotoConfig(retries={"total_max_attempts": 1}),
        )


def pour(send: Callable[[list[bytes]], int], acknowledged: list[bytes], name: str) -> None:
    """Send batches of ten until the server is gone; what it acknowledged is noted."""
    for start in range(0, 1_000_000, 10):
        batch = [f"{name}-{number}".encode() for number in range(start, start + 10)]
        try:
            failed = send(batch)
        except (BotoCoreError, ClientError):
            return
        assert failed == 0
        acknowledged += batch


def lake(s3: Any, prefix: str) -> Counter[bytes]:
    found: Counter[bytes] = Counter()
    for item in s3.list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", []):
        found.update(s3.get_object(Bucket="lake", Key=item["Key"])["Body"].read().split())
    return found


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Killed while all four doors take messages, and S3's objects are being written."""
    victim = Victim(tmp_path)
    try:
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "firehose.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        victim.client("iam").create_role(
            RoleName="firehose",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        victim.client("s3").create_bucket(Bucket="lake")
        kinesis, firehose, sqs = map(victim.client, ("kinesis", "firehose", "sqs"))
        on_demand = {"StreamMode": "ON_DEMAND"}
        for name in ("read", "delivered"):
            kinesis.create_stream(StreamName=name, StreamModeDetails=on_demand)
        sources: list[dict[str, Any]] = [
            {"DeliveryStreamName": "direct"},
            {
                "DeliveryStreamName": "from-kinesis",
                "DeliveryStreamType": "KinesisStreamAsSource",
                "KinesisStreamSourceConfiguration": {
                    "KinesisStreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/delivered",
                    "RoleARN": ROLE,
                },
            },
        ]
        for source in sources:
            firehose.create_delivery_stream(
                **source,
                ExtendedS3DestinationConfiguration={
                    "RoleARN": ROLE,
                    "BucketARN": "arn:aws:s3:::lake",
                    "Prefix": f"{source['DeliveryStreamName']}/",
                    "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
                },
            )
        queue = sqs.create_queue(QueueName="queue")["QueueUrl"]

        def to_kinesis(stream: str) -> Callable[[list[bytes]], int]:
            return lambda batch: kinesis.put_records(
                StreamName=stream,
                Records=[{"Data": data + b"\n", "PartitionKey": data.decode()} for data in batch],
            )["FailedRecordCount"]

        doors: dict[str, Callable[[list[bytes]], int]] = {
            "read": to_kinesis("read"),
            "delivered": to_kinesis("delivered"),
            "direct": lambda batch: firehose.put_record_batch(
                DeliveryStreamName="direct", Records=[{"Data": data + b"\n"} for data in batch]
            )["FailedPutCount"],
            "queue": lambda batch: len(
                sqs.send_message_batch(
                    QueueUrl=queue,
                    Entries=[
                        {"Id": str(n), "MessageBody": data.decode()} for n, data in enumerate(batch)
                    ],
                )["Failed"]
            ),
        }
        acknowledged: dict[str, list[bytes]] = {name: [] for name in doors}
        threads = [
            threading.Thread(target=pour, args=(send, acknowledged[name], name))
            for name, send in doors.items()
        ]
        for thread in threads:
            thread.start()
        while any(len(done) < 200 for done in acknowledged.values()):
            assert all(thread.is_alive() for thread in threads)
            time.sleep(0.01)
    finally:
        victim.kill()
    for thread in threads:
        thread.join()

    victim = Victim(tmp_path)
    try:
        kinesis, s3, sqs = map(victim.client, ("kinesis", "s3", "sqs"))
        found: dict[str, Counter[bytes]] = {"read": Counter(), "queue": Counter()}
        for shard in kinesis.list_shards(StreamName="read")["Shards"]:
            place = kinesis.get_shard_iterator(
                StreamName="read", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            records = kinesis.get_records(ShardIterator=place)["Records"]
            found["read"].update(record["Data"].strip() for record in records)
        while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            found["queue"].update(message["Body"].encode() for message in batch)
        deadline = time.monotonic() + 15
        for name, prefix in (("direct", "direct/"), ("delivered", "from-kinesis/")):
            wanted = set(acknowledged[name])
            while not wanted <= (lines := lake(s3, prefix)).keys():
                assert time.monotonic() < deadline, f"{len(wanted - lines.keys())} of {name} lost"
                time.sleep(0.1)
            found[name] = lines
    finally:
        victim.kill()
    for name, done in acknowledged.items():
        missing = set(done) - found[name].keys()
        assert not missing, f"{name}: {len(missing)} of {len(done)} acknowledged are lost"
        # A batch whose answer the kill took away may be there too; nothing is there twice.
        assert len(found[name]) - len(done) in (0, 10), name
        assert set(found[name].values()) == {1}, name
