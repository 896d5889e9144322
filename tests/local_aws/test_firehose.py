"""Firehose: what is put arrives in S3, buffered by size and time, where and as it was asked for."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from local_aws.firehose.buffer import Buffer
from local_aws.firehose.dates import formatted
from local_aws.firehose.prefixes import data_prefix, error_prefix
from local_aws.instance import Config
from local_aws.server import Server
from local_aws.service import AwsError

ROLE = "arn:aws:iam::123456789012:role/firehose"
SERVICES = ["s3", "logs", "kinesis", "lambda", "firehose"]
TRANSFORM = """
import base64, json

def handler(event, context):
    answers = []
    for record in event["records"]:
        data = base64.b64decode(record["data"])
        if data == b"crash":
            raise RuntimeError("no")
        if data == b"drop":
            answers.append({"recordId": record["recordId"], "result": "Dropped"})
        elif data == b"bad":
            answers.append({"recordId": record["recordId"], "result": "ProcessingFailed"})
        elif data != b"forget":
            answers.append({"recordId": record["recordId"], "result": "Ok",
                            "data": base64.b64encode(data.upper()).decode()})
    return {"records": answers}
"""


def trust(*services: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": list(services)},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def make_role(client: Callable[[str], Any]) -> None:
    iam = client("iam")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(
            RoleName="firehose",
            AssumeRolePolicyDocument=trust("firehose.amazonaws.com", "lambda.amazonaws.com"),
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=SERVICES) as running:
        yield running


@pytest.fixture(scope="module")
def firehose(client: Callable[[str], Any]) -> Any:
    make_role(client)
    client("s3").create_bucket(Bucket="lake")
    return client("firehose")


def create(firehose: Any, name: str, source: str | None = None, **settings: Any) -> str:
    """A delivery stream that delivers at once under its own name, unless told otherwise."""
    more: dict[str, Any] = {"DeliveryStreamType": "DirectPut"}
    if source:
        more = {
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {"KinesisStreamARN": source, "RoleARN": ROLE},
        }
    return firehose.create_delivery_stream(
        DeliveryStreamName=name,
        ExtendedS3DestinationConfiguration={
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::lake",
            "Prefix": f"{name}/",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
            **settings,
        },
        **more,
    )["DeliveryStreamARN"]


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def keys(client: Callable[[str], Any], prefix: str) -> list[str]:
    listed = client("s3").list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", [])
    return [item["Key"] for item in listed]


def content(client: Callable[[str], Any], key: str) -> bytes:
    return client("s3").get_object(Bucket="lake", Key=key)["Body"].read()


def arrived(client: Callable[[str], Any], prefix: str, count: int = 1) -> list[str]:
    """The keys under a prefix, as soon as there are so many."""
    deadline = time.monotonic() + 10
    while len(found := keys(client, prefix)) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_record_arrives_under_its_hour(client: Callable[[str], Any], firehose: Any) -> None:
    arn = create(firehose, "plain")
    assert arn == "arn:aws:firehose:us-east-1:123456789012:deliverystream/plain"
    before = datetime.now(UTC) - timedelta(seconds=1)
    answer = firehose.put_record(DeliveryStreamName="plain", Record={"Data": b'{"a": 1}\n'})
    assert answer["RecordId"]
    (key,) = arrived(client, "plain/")
    found = re.fullmatch(
        r"plain/(\d{4}/\d\d/\d\d/\d\d)/plain-1-(\d{4}(?:-\d\d){5})-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}"
        r"-[0-9a-f]{12}",
        key,
    )
    assert found, key
    moment = datetime.strptime(found[2], "%Y-%m-%d-%H-%M-%S").replace(tzinfo=UTC)
    assert before - timedelta(seconds=1) <= moment <= datetime.now(UTC)
    assert found[1] == f"{moment:%Y/%m/%d/%H}"
    assert content(client, key) == b'{"a": 1}\n'


def test_a_buffer_is_delivered_when_it_is_full(client: Callable[[str], Any], firehose: Any) -> None:
    """Not before: 300 s have not passed. Records stay whole and in order."""
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 300}
    create(firehose, "full", BufferingHints=hints, CompressionFormat="GZIP")
    lines = [b"%07d%s\n" % (number, b"x" * 10_000) for number in range(250)]
    for start in range(0, 100, 50):
        records = [{"Data": line} for line in lines[start : start + 50]]
        firehose.put_record_batch(DeliveryStreamName="full", Records=records)
    time.sleep(0.3)
    assert keys(client, "full/") == []
    for start in range(100, 250, 50):
        records = [{"Data": line} for line in lines[start : start + 50]]
        answer = firehose.put_record_batch(DeliveryStreamName="full", Records=records)
        assert (answer["FailedPutCount"], len(answer["RequestResponses"])) == (0, 50)
    found = arrived(client, "full/", 2)
    assert all(key.endswith(".gz") for key in found)
    contents = sorted(gzip.decompress(content(client, key)) for key in found)
    whole = b"".join(contents)
    assert whole == b"".join(lines)[: len(whole)]
    assert [len(text) // 10_008 for text in contents] == [105, 105]
    time.sleep(0.2)
    assert keys(client, "full/") == found
    # What is left comes when the settings change.
    update = {"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}, "FileExtension": ".txt.z"}
    firehose.update_destination(
        DeliveryStreamName="full",
        CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate=update,
    )
    rest = sorted(set(arrived(client, "full/", 3)) - set(found))
    assert len(rest) == 1
    assert "/full-2-" in rest[0]
    assert rest[0].endswith(".txt.z")
    assert whole + gzip.decompress(content(client, rest[0])) == b"".join(lines)


def test_a_buffer_is_delivered_when_it_is_old(client: Callable[[str], Any], firehose: Any) -> None:
    create(firehose, "old", BufferingHints={"SizeInMBs": 128, "IntervalInSeconds": 1})
    start = time.monotonic()
    for number in range(5):
        firehose.put_record(DeliveryStreamName="old", Record={"Data": b"%d" % number})
    assert keys(client, "old/") == []
    (key,) = arrived(client, "old/")
    assert 0.8 < time.monotonic() - start < 4
    assert content(client, key) == b"01234"


def test_the_oldest_record_decides_the_prefix(
    server: Server, client: Callable[[str], Any], firehose: Any
) -> None:
    hours = {"SizeInMBs": 1, "IntervalInSeconds": 900}
    create(
        firehose,
        "hours",
        BufferingHints=hours,
        Prefix="hours/day=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/",
        CustomTimeZone="America/Sao_Paulo",
    )
    engine: Any = server.aws.services["firehose"]
    delivery = engine._deliveries["hours"]
    oldest = datetime(2026, 1, 5, 2, 59, 59, tzinfo=UTC)
    buffer: Buffer = engine._buffer
    with delivery._changed:
        for data, moment in ((b"a", oldest), (b"b", oldest + timedelta(seconds=2))):
            at = int(moment.timestamp() * 1000)
            buffer.add(delivery._id, at, [data])
            delivery._grow(1, at)
    (key,) = arrived(client, "hours/")
    assert key.startswith("hours/day=2026-01-04/hour=23/hours-1-2026-01-04-23-59-59-")
    assert content(client, key) == b"ab"


def test_a_kinesis_stream_as_source(client: Callable[[str], Any], firehose: Any) -> None:
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=2)
    kinesis.put_record(StreamName="clicks", Data=b"before", PartitionKey="k")
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"
    append = {"Type": "AppendDelimiterToRecord", "Parameters": []}
    create(
        firehose,
        "from-clicks",
        source=arn,
        BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 1},
        ProcessingConfiguration={"Enabled": True, "Processors": [append]},
    )
    for start in range(0, 100, 20):
        records = [
            {"Data": b"%d" % number, "PartitionKey": str(number)}
            for number in range(start, start + 20)
        ]
        assert kinesis.put_records(StreamName="clicks", Records=records)["FailedRecordCount"] == 0
    lines: list[bytes] = []
    count = 1
    while len(lines) < 100:
        found = arrived(client, "from-clicks/", count)
        lines = [line for key in found for line in content(client, key).splitlines()]
        count = len(found) + 1
    assert sorted(map(int, lines)) == list(range(100))
    described = firehose.describe_delivery_stream(DeliveryStreamName="from-clicks")[
        "DeliveryStreamDescription"
    ]
    source = described["Source"]["KinesisStreamSourceDescription"]
    assert source["KinesisStreamARN"] == arn
    code, message = error_of(
        firehose.put_record, DeliveryStreamName="from-clicks", Record={"Data": b"x"}
    )
    assert code == "InvalidArgumentException"
    assert message == (
        "This operation is not permitted on KinesisStreamAsSource delivery stream type."
    )


def test_the_largest_record_of_a_stream_arrives_whole(
    client: Callable[[str], Any], firehose: Any
) -> None:
    """A stream takes more in one record than Firehose itself does."""
    kinesis = client("kinesis")
    kinesis.create_stream(StreamName="large", ShardCount=1)
    create(
        firehose,
        "from-large",
        source="arn:aws:kinesis:us-east-1:123456789012:stream/large",
        BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 1},
    )
    data = b"x" * ((1 << 20) - 1)
    kinesis.put_record(StreamName="large", Data=data, PartitionKey="k")
    (key,) = arrived(client, "from-large/")
    assert content(client, key) == data


def test_a_function_transforms_and_what_fails_goes_under_the_error_prefix(
    client: Callable[[str], Any], firehose: Any
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", TRANSFORM)
    function = client("lambda").create_function(
        FunctionName="transform",
        Runtime="python3.11",
        Role=ROLE,
        Handler="code.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=10,
    )["FunctionArn"]
    parameters = [
        {"ParameterName": "LambdaArn", "ParameterValue": function},
        {"ParameterName": "NumberOfRetries", "ParameterValue": "1"},
    ]
    create(
        firehose,
        "transformed",
        Prefix="transformed/!{timestamp:yyyy}/",
        ErrorOutputPrefix="transformed-errors/!{firehose:error-output-type}/!{timestamp:yyyy}/",
        BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 1},
        ProcessingConfiguration={
            "Enabled": True,
            "Processors": [
                {"Type": "Lambda", "Parameters": parameters},
                {
                    "Type": "AppendDelimiterToRecord",
                    "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                },
            ],
        },
    )
    given = (b"a", b"drop", b"bad", b"forget", b"b")
    firehose.put_record_batch(
        DeliveryStreamName="transformed", Records=[{"Data": data} for data in given]
    )
    (key,) = arrived(client, "transformed/")
    assert content(client, key) == b"A\nB\n"
    (key,) = arrived(client, "transformed-errors/processing-failed/")
    failed = {
        base64.b64decode(item["rawData"]): item
        for item in map(json.loads, content(client, key).splitlines())
    }
    assert {data: item["errorCode"] for data, item in failed.items()} == {
        b"bad": "Lambda.ProcessingFailedStatus",
        b"forget": "Lambda.MissingRecordId",
    }
    assert failed[b"bad"]["lambdaArn"] == function
    assert failed[b"bad"]["attemptsMade"] == 1
    assert 0 <= failed[b"bad"]["attemptEndingTimestamp"] - failed[b"bad"]["arrivalTimestamp"] < 9999
    firehose.put_record(DeliveryStreamName="transformed", Record={"Data": b"crash"})
    second = set(arrived(client, "transformed-errors/", 2)) - {key}
    (line,) = content(client, second.pop()).splitlines()
    crashed = json.loads(line)
    assert (crashed["errorCode"], crashed["attemptsMade"]) == ("Lambda.FunctionError", 2)


def test_limits_are_aws_own(firehose: Any) -> None:
    create(firehose, "limits")
    put, batch = firehose.put_record, firehose.put_record_batch
    code, message = error_of(
        put, DeliveryStreamName="limits", Record={"Data": b"x" * (1000 * 1024 + 1)}
    )
    assert code == "ValidationException"
    assert "at 'record.data' failed to satisfy constraint" in message
    assert message.endswith("Member must have length less than or equal to 1024000")
    put(DeliveryStreamName="limits", Record={"Data": b"x" * 1000 * 1024})
    small = {"Data": b"x"}
    code, message = error_of(batch, DeliveryStreamName="limits", Records=[small] * 501)
    assert (code, "less than or equal to 500" in message) == ("ValidationException", True)
    code, message = error_of(
        batch, DeliveryStreamName="limits", Records=[{"Data": b"x" * 1_000_000}] * 5
    )
    assert (code, message) == ("InvalidArgumentException", "Records size exceeds 4 MB limit")
    code, message = error_of(put, DeliveryStreamName="none", Record=small)
    assert (code, message) == (
        "ResourceNotFoundException",
        "Firehose none under account 123456789012 not found.",
    )


@pytest.mark.parametrize(
    ("settings", "code", "named"),
    [
        (
            {"BufferingHints": {"SizeInMBs": 129, "IntervalInSeconds": 1}},
            "ValidationException",
            "sizeInMBs",
        ),
        (
            {"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 901}},
            "ValidationException",
            "intervalInSeconds",
        ),
        ({"BufferingHints": {"SizeInMBs": 1}}, "InvalidArgumentException", "IntervalInSeconds"),
        (
            {"Prefix": "a/!{timestamp:yyyy}/"},
            "InvalidArgumentException",
            "ErrorOutputPrefix can't be null when Prefix contains expressions",
        ),
        (
            {"ErrorOutputPrefix": "a/!{timestamp:yyyy}/"},
            "InvalidArgumentException",
            "!{firehose:error-output-type}",
        ),
        (
            {"Prefix": "!{firehose:error-output-type}/", "ErrorOutputPrefix": "e/"},
            "InvalidArgumentException",
            "Prefix cannot contain",
        ),
        (
            {"Prefix": "!{timestamp:yyyy", "ErrorOutputPrefix": "e/"},
            "InvalidArgumentException",
            "can only appear",
        ),
        (
            {"Prefix": "!{timestamp:bb}", "ErrorOutputPrefix": "e/"},
            "InvalidArgumentException",
            "Unsupported pattern letter: b",
        ),
        (
            {"Prefix": "!{partitionKeyFromQuery:x}/", "ErrorOutputPrefix": "e/"},
            "NotImplemented",
            "partitionKeyFromQuery",
        ),
        ({"CompressionFormat": "ZIP"}, "NotImplemented", "ZIP"),
        ({"CustomTimeZone": "Nowhere/Land"}, "InvalidArgumentException", "Nowhere/Land"),
        (
            {"DynamicPartitioningConfiguration": {"Enabled": True}},
            "NotImplemented",
            "DynamicPartitioningConfiguration",
        ),
        (
            {
                "ProcessingConfiguration": {
                    "Enabled": True,
                    "Processors": [{"Type": "Decompression"}],
                }
            },
            "NotImplemented",
            "Decompression",
        ),
        (
            {"RoleARN": "arn:aws:iam::123456789012:role/nobody"},
            "InvalidArgumentException",
            "unable to assume role",
        ),
    ],
)
def test_what_a_destination_may_not_be(
    firehose: Any, settings: dict[str, Any], code: str, named: str
) -> None:
    with pytest.raises(ClientError) as caught:
        create(firehose, "never", **settings)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert named in error["Message"]


def test_delivery_streams_are_described_listed_and_deleted(
    client: Callable[[str], Any], firehose: Any
) -> None:
    create(firehose, "a-short-one", BufferingHints={"SizeInMBs": 2, "IntervalInSeconds": 900})
    with pytest.raises(firehose.exceptions.ResourceInUseException):
        create(firehose, "a-short-one")
    described = firehose.describe_delivery_stream(DeliveryStreamName="a-short-one")
    stream = described["DeliveryStreamDescription"]
    assert (stream["DeliveryStreamStatus"], stream["VersionId"]) == ("ACTIVE", "1")
    (destination,) = stream["Destinations"]
    extended = destination["ExtendedS3DestinationDescription"]
    assert extended["BufferingHints"] == {"SizeInMBs": 2, "IntervalInSeconds": 900}
    assert extended["CompressionFormat"] == "UNCOMPRESSED"
    first = firehose.list_delivery_streams(Limit=1)
    assert first["DeliveryStreamNames"] == ["a-short-one"]
    assert first["HasMoreDeliveryStreams"] is True
    with pytest.raises(firehose.exceptions.ConcurrentModificationException):
        firehose.update_destination(
            DeliveryStreamName="a-short-one",
            CurrentDeliveryStreamVersionId="7",
            DestinationId=destination["DestinationId"],
            ExtendedS3DestinationUpdate={"Prefix": "x/"},
        )
    firehose.put_record(DeliveryStreamName="a-short-one", Record={"Data": b"last words"})
    firehose.delete_delivery_stream(DeliveryStreamName="a-short-one")
    (key,) = keys(client, "a-short-one/")
    assert content(client, key) == b"last words"
    code, _ = error_of(firehose.describe_delivery_stream, DeliveryStreamName="a-short-one")
    assert code == "ResourceNotFoundException"


def test_a_destination_that_fails_is_tried_until_it_works(
    client: Callable[[str], Any], firehose: Any
) -> None:
    logging = {"Enabled": True, "LogGroupName": "/firehose", "LogStreamName": "waiting"}
    create(
        firehose,
        "waiting",
        BucketARN="arn:aws:s3:::not-yet",
        CloudWatchLoggingOptions=logging,
    )
    firehose.put_record(DeliveryStreamName="waiting", Record={"Data": b"patient"})
    logs = client("logs")
    deadline = time.monotonic() + 10
    events: list[dict[str, Any]] = []
    while not events:
        assert time.monotonic() < deadline
        if logs.describe_log_groups(logGroupNamePrefix="/firehose")["logGroups"]:
            events = logs.get_log_events(logGroupName="/firehose", logStreamName="waiting")[
                "events"
            ]
    assert json.loads(events[0]["message"])["errorCode"] == "S3.NoSuchBucket"
    s3 = client("s3")
    s3.create_bucket(Bucket="not-yet")
    while not (found := s3.list_objects_v2(Bucket="not-yet").get("Contents")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    body = s3.get_object(Bucket="not-yet", Key=found[0]["Key"])["Body"].read()
    assert body == b"patient"


def failing(times: int, then: Callable[..., Any]) -> Callable[..., Any]:
    """What fails as on a full disk, and works after so many times."""
    left = [times]

    def call(*arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise sqlite3.OperationalError("database or disk is full")
        return then(*arguments)

    return call


def test_a_full_disk_ends_no_delivery(
    server: Server,
    client: Callable[[str], Any],
    firehose: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was written and could not be noted is written again under the same key."""
    engine: Any = server.aws.services["firehose"]
    buffer = engine._buffer
    create(firehose, "noted-late")
    monkeypatch.setattr(buffer, "delivered", failing(1, buffer.delivered))
    firehose.put_record(DeliveryStreamName="noted-late", Record={"Data": b"first"})
    (key,) = arrived(client, "noted-late/")
    firehose.put_record(DeliveryStreamName="noted-late", Record={"Data": b"second"})
    found = arrived(client, "noted-late/", 2)
    assert [content(client, each) for each in found if each == key] == [b"first"]
    assert sorted(content(client, each) for each in found) == [b"first", b"second"]
    wait_until(lambda: buffer.waiting(engine._deliveries["noted-late"]._id).oldest is None)
    assert keys(client, "noted-late/") == found


def test_a_failure_that_cannot_be_noted_ends_no_delivery(
    server: Server,
    client: Callable[[str], Any],
    firehose: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine: Any = server.aws.services["firehose"]
    logging = {"Enabled": True, "LogGroupName": "/full", "LogStreamName": "disk"}
    monkeypatch.setattr(engine, "log_error", failing(1, engine.log_error))
    monkeypatch.setattr(engine._buffer, "give_up", failing(1, engine._buffer.give_up))
    create(
        firehose,
        "unnoted",
        BucketARN="arn:aws:s3:::later",
        CloudWatchLoggingOptions=logging,
    )
    delivery = engine._deliveries["unnoted"]
    # Some eight hours of trying: a pause that is doubled each time has no number any more.
    delivery._failures = 2000
    monkeypatch.setattr("local_aws.firehose.delivery.LONGEST_PAUSE", 0.05)
    firehose.put_record(DeliveryStreamName="unnoted", Record={"Data": b"patient"})
    wait_until(lambda: delivery._failures > 2003)
    s3 = client("s3")
    s3.create_bucket(Bucket="later")
    wait_until(lambda: "Contents" in s3.list_objects_v2(Bucket="later"))
    (found,) = s3.list_objects_v2(Bucket="later")["Contents"]
    assert s3.get_object(Bucket="later", Key=found["Key"])["Body"].read() == b"patient"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy/MM/dd/HH", "2026/01/05/13"),
        ("yy-M-d H:m:s.SSS", "26-1-5 13:7:9.042"),
        ("'year='yyyy'/month='MM", "year=2026/month=01"),
        ("D DDD E EEEE MMM MMMM", "5 005 Mon Monday Jan January"),
        ("hh a k K", "01 PM 13 1"),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "2026-01-05T13:07:09-03:00"),
        ("''yyyy''", "'2026'"),
        ("x xx X", "-03 -0300 -03"),
    ],
)
def test_patterns_are_javas(pattern: str, text: str) -> None:
    moment = datetime(2026, 1, 5, 13, 7, 9, 42_000, ZoneInfo("America/Sao_Paulo"))
    assert formatted(pattern, moment) == text


def test_prefixes_are_those_of_awss_own_examples() -> None:
    moment = datetime(2018, 8, 27, 10, 30, tzinfo=UTC)
    kind = "processing-failed"
    assert data_prefix("", moment) == "2018/08/27/10/"
    given = "myFirehoseFailures/!{firehose:error-output-type}/"
    assert error_prefix("", given, moment, kind) == "myFirehoseFailures/processing-failed/"
    random = data_prefix("a/y=!{timestamp:yyyy}/rand=!{firehose:random-string}", moment)
    assert re.fullmatch(r"a/y=2018/rand=[0-9a-z]{11}", random)
    assert data_prefix("mine/", moment) == "mine/2018/08/27/10/"
    failed = error_prefix("mine/", None, moment, kind)
    assert failed == "mine/processing-failed/2018/08/27/10/"
    with pytest.raises(AwsError, match="Invalid expression"):
        data_prefix("!{nonsense:x}", moment)


def test_an_orderly_stop_delivers_what_is_buffered(tmp_path: Path) -> None:
    """And a plan that was interrupted is repeated under the same key."""
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 900}
    config = Config(state=tmp_path)

    def client_of(server: Server) -> Callable[[str], Any]:
        return server.aws.client

    with Server(config, services=SERVICES) as server:
        client = client_of(server)
        make_role(client)
        client("s3").create_bucket(Bucket="lake")
        firehose = client("firehose")
        create(firehose, "stopped", BufferingHints=hints)
        firehose.put_record(DeliveryStreamName="stopped", Record={"Data": b"first"})
    with Server(config, services=SERVICES) as server:
        client = client_of(server)
        (first,) = keys(client, "stopped/")
        assert content(client, first) == b"first"
        engine: Any = server.aws.services["firehose"]
        delivery = engine._deliveries["stopped"]
        client("firehose").put_record(DeliveryStreamName="stopped", Record={"Data": b"second"})
        last = delivery._write()  # and the process dies before it notes so
        client("firehose").put_record(DeliveryStreamName="stopped", Record={"Data": b"third"})
        assert len(keys(client, "stopped/")) == 2
        assert engine._buffer.planned(delivery._id)[0] == last
    with Server(config, services=SERVICES) as server:
        client = client_of(server)
        contents = [content(client, key) for key in keys(client, "stopped/")]
        assert sorted(contents) == [b"first", b"second", b"third"]
