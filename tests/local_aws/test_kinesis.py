"""Kinesis data streams: shards, iterators, limits and what a full shard refuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.kinesis.records import Records
from local_aws.kinesis.shards import hash_range, shard_of
from local_aws.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=["kinesis"]) as running:
        yield running


@pytest.fixture(scope="module")
def kinesis(client: Callable[[str], Any]) -> Any:
    return client("kinesis")


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def read(kinesis: Any, stream: str, shard: str, **where: Any) -> list[dict[str, Any]]:
    """Everything of a shard from a place on (the oldest record unless told otherwise)."""
    where = where or {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **where)
    found: list[dict[str, Any]] = []
    place = iterator["ShardIterator"]
    while True:
        answer = kinesis.get_records(ShardIterator=place, Limit=7)
        if not answer["Records"]:
            assert answer["MillisBehindLatest"] == 0
            return found
        found += answer["Records"]
        place = answer["NextShardIterator"]


def test_records_go_to_the_shard_of_their_key_and_come_back_in_order(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="clicks", ShardCount=3, Tags={"a": "1"})
    shards = kinesis.list_shards(StreamName="clicks")["Shards"]
    assert [shard["ShardId"] for shard in shards] == [f"shardId-{n:012d}" for n in range(3)]
    records = [
        {"Data": b"%d" % number, "PartitionKey": f"cookie-{number % 5}"} for number in range(40)
    ]
    answer = kinesis.put_records(StreamName="clicks", Records=records)
    assert answer["FailedRecordCount"] == 0
    given = {item["SequenceNumber"]: item["ShardId"] for item in answer["Records"]}
    assert len(given) == 40
    seen: list[bytes] = []
    for shard in shards:
        found = read(kinesis, "clicks", shard["ShardId"])
        numbers = [int(record["Data"]) for record in found]
        assert numbers == sorted(numbers)
        assert {given[record["SequenceNumber"]] for record in found} <= {shard["ShardId"]}
        assert {record["PartitionKey"] for record in found}.isdisjoint(
            records[int(other)]["PartitionKey"] for other in seen
        )
        seen += [record["Data"] for record in found]
    assert sorted(map(int, seen)) == list(range(40))
    last = shards[-1]["HashKeyRange"]["EndingHashKey"]
    placed = kinesis.put_record(
        StreamName="clicks", Data=b"", PartitionKey="x", ExplicitHashKey=last
    )
    assert placed["ShardId"] == shards[-1]["ShardId"]


@pytest.mark.parametrize("count", [1, 3, 7])
def test_every_hash_key_has_its_shard(count: int) -> None:
    assert hash_range(0, count)[0] == 0
    assert hash_range(count - 1, count)[1] == (1 << 128) - 1
    for number in range(count):
        first, last = hash_range(number, count)
        assert shard_of("", str(first), count) == shard_of("", str(last), count) == number


def test_a_reader_begins_where_it_says(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="places", ShardCount=1)
    shard = "shardId-000000000000"

    def put(data: bytes) -> str:
        return kinesis.put_record(StreamName="places", Data=data, PartitionKey="k")[
            "SequenceNumber"
        ]

    def data(**where: Any) -> list[bytes]:
        return [record["Data"] for record in read(kinesis, "places", shard, **where)]

    numbers = [put(b"0"), put(b"1")]
    time.sleep(0.005)
    moment = datetime.now(UTC)
    latest = kinesis.get_shard_iterator(
        StreamName="places", ShardId=shard, ShardIteratorType="LATEST"
    )["ShardIterator"]
    time.sleep(0.005)
    put(b"2")
    assert data() == [b"0", b"1", b"2"]
    at = {"StartingSequenceNumber": numbers[1]}
    assert data(ShardIteratorType="AT_SEQUENCE_NUMBER", **at) == [b"1", b"2"]
    assert data(ShardIteratorType="AFTER_SEQUENCE_NUMBER", **at) == [b"2"]
    assert data(ShardIteratorType="AT_TIMESTAMP", Timestamp=moment) == [b"2"]
    (record,) = kinesis.get_records(ShardIterator=latest)["Records"]
    assert record["Data"] == b"2"
    assert abs((record["ApproximateArrivalTimestamp"] - moment).total_seconds()) < 5
    behind = kinesis.get_shard_iterator(
        StreamName="places", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    assert kinesis.get_records(ShardIterator=behind, Limit=1)["MillisBehindLatest"] > 0


def test_limits_of_records_are_aws_own(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="limits", ShardCount=2)
    put, batch = kinesis.put_record, kinesis.put_records
    code, message = error_of(
        put, StreamName="limits", PartitionKey="key", Data=b"x" * (1_048_576 - 2)
    )
    assert code == "ValidationException"
    assert "at 'data' failed to satisfy constraint" in message
    assert "length less than or equal to 1048576" in message
    put(StreamName="limits", PartitionKey="key", Data=b"x" * (1_048_576 - 3))
    small = {"Data": b"x", "PartitionKey": "k"}
    code, message = error_of(batch, StreamName="limits", Records=[small] * 501)
    assert code == "ValidationException"
    assert "at 'records' failed to satisfy constraint" in message
    assert "less than or equal to 500" in message
    large = {"Data": b"x" * (1 << 20), "PartitionKey": "k"}
    code, message = error_of(batch, StreamName="limits", Records=[small, large])
    assert code == "ValidationException"
    assert "'records.2.member.data'" in message
    nearly = {"Data": b"x" * 1_000_000, "PartitionKey": "k"}
    code, message = error_of(batch, StreamName="limits", Records=[nearly] * 11)
    assert (code, message) == ("InvalidArgumentException", "Records size exceeds 10 MB limit")
    code, message = error_of(
        put, StreamName="limits", PartitionKey="k", Data=b"", ExplicitHashKey=str(1 << 128)
    )
    assert code == "InvalidArgumentException"


def test_a_full_shard_refuses_records_and_takes_the_others(kinesis: Any) -> None:
    """1,000 records a second for a shard: of 1,500 at once some are refused, each by name."""
    kinesis.create_stream(StreamName="busy", ShardCount=2)
    kinesis.put_record(StreamName="busy", Data=b"", PartitionKey="other", ExplicitHashKey="0")
    high = str((1 << 128) - 1)
    record = {"Data": b"x", "PartitionKey": "k", "ExplicitHashKey": high}
    answers = [kinesis.put_records(StreamName="busy", Records=[record] * 500) for _ in range(4)]
    failed = [item for answer in answers for item in answer["Records"] if "ErrorCode" in item]
    assert failed
    assert sum(answer["FailedRecordCount"] for answer in answers) == len(failed)
    assert {item["ErrorCode"] for item in failed} == {"ProvisionedThroughputExceededException"}
    assert failed[0]["ErrorMessage"] == (
        "Rate exceeded for shard shardId-000000000001 in stream busy under account 123456789012."
    )
    assert len(read(kinesis, "busy", "shardId-000000000001")) == 2000 - len(failed)
    kinesis.put_record(StreamName="busy", Data=b"", PartitionKey="k", ExplicitHashKey="0")


def test_what_is_not_there(kinesis: Any) -> None:
    code, message = error_of(kinesis.put_record, StreamName="no", Data=b"", PartitionKey="k")
    assert code == "ResourceNotFoundException"
    assert message == "Stream no under account 123456789012 not found."
    kinesis.create_stream(StreamName="there", ShardCount=1)
    assert error_of(kinesis.create_stream, StreamName="there", ShardCount=1)[0] == (
        "ResourceInUseException"
    )
    code, message = error_of(
        kinesis.get_shard_iterator,
        StreamName="there",
        ShardId="shardId-000000000001",
        ShardIteratorType="LATEST",
    )
    assert (code, "shardId-000000000001" in message) == ("ResourceNotFoundException", True)
    assert error_of(kinesis.get_records, ShardIterator="AAAA")[0] == "InvalidArgumentException"
    code, message = error_of(
        kinesis.split_shard,
        StreamName="there",
        ShardToSplit="shardId-000000000000",
        NewStartingHashKey="1",
    )
    assert (code, "kinesis:SplitShard" in message) == ("NotImplemented", True)


def test_a_deleted_stream_takes_its_records_along(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="again", ShardCount=1)
    kinesis.put_record(StreamName="again", Data=b"old", PartitionKey="k")
    place = kinesis.get_shard_iterator(
        StreamName="again", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    kinesis.delete_stream(StreamName="again")
    assert "again" not in kinesis.list_streams()["StreamNames"]
    assert error_of(kinesis.get_records, ShardIterator=place)[0] == "ResourceNotFoundException"
    kinesis.create_stream(StreamName="again", ShardCount=1)
    assert read(kinesis, "again", "shardId-000000000000") == []


def test_streams_are_described_and_listed(kinesis: Any) -> None:
    kinesis.create_stream(StreamName="one-demand", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    summary = kinesis.describe_stream_summary(StreamName="one-demand")["StreamDescriptionSummary"]
    assert summary["StreamStatus"] == "ACTIVE"
    assert summary["OpenShardCount"] == 4
    assert summary["RetentionPeriodHours"] == 24
    assert summary["StreamARN"] == "arn:aws:kinesis:us-east-1:123456789012:stream/one-demand"
    described = kinesis.describe_stream(StreamARN=summary["StreamARN"], Limit=3)
    assert len(described["StreamDescription"]["Shards"]) == 3
    assert described["StreamDescription"]["HasMoreShards"] is True
    names = [
        name
        for page in kinesis.get_paginator("list_streams").paginate(Limit=2)
        for name in page["StreamNames"]
    ]
    assert "one-demand" in names
    assert names == sorted(set(names))
    kinesis.increase_stream_retention_period(StreamName="one-demand", RetentionPeriodHours=48)
    code, _ = error_of(
        kinesis.decrease_stream_retention_period, StreamName="one-demand", RetentionPeriodHours=12
    )
    assert code == "InvalidArgumentException"
    kinesis.add_tags_to_stream(StreamName="one-demand", Tags={"room": "clicks"})
    assert kinesis.list_tags_for_stream(StreamName="one-demand")["Tags"] == [
        {"Key": "room", "Value": "clicks"}
    ]


def test_records_are_kept_for_a_day(server: Server, kinesis: Any) -> None:
    kinesis.create_stream(StreamName="days", ShardCount=1)
    engine: Any = server.aws.services["kinesis"]
    records: Records = engine.records
    document = engine.stream("days")
    hours = 3_600_000
    now = time.time_ns() // 1_000_000
    records.append(document["id"], now - 25 * hours, [(0, "k", b"yesterday")])
    records.append(document["id"], now - 23 * hours, [(0, "k", b"today")])
    found = read(kinesis, "days", "shardId-000000000000")
    assert [record["Data"] for record in found] == [b"today"]
    engine.expire()
    kept, _ = records.read(document["id"], 0, 0, 0, 10)
    assert [record.data for record in kept] == [b"today"]
