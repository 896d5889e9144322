"""Events of the embedded S3, as functions, queues and topics receive them."""

from __future__ import annotations

import json
import os
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config, Instance
from local_aws.s3.engine import S3
from local_aws.server import Server
from local_aws.service import AwsError

BUCKET = "events-bucket"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:ingest"
Delivered = tuple[dict[str, Any], str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=["s3", "sqs"]) as running:
        yield running


@pytest.fixture(scope="module")
def s3(client: Callable[[str], Any]) -> Any:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    return made


@pytest.fixture(scope="module")
def delivered(server: Server) -> queue.Queue[Delivered]:
    events: queue.Queue[Delivered] = queue.Queue()
    server.aws.s3.on_object_created(lambda event, arn: events.put((event, arn)))
    return events


def to_function(*events: str, arn: str = FUNCTION, **filters: str) -> dict[str, Any]:
    rules = [{"Name": name, "Value": value} for name, value in filters.items()]
    target: dict[str, Any] = {"LambdaFunctionArn": arn, "Events": list(events)}
    if rules:
        target["Filter"] = {"Key": {"FilterRules": rules}}
    return target


def configure(s3: Any, *functions: dict[str, Any], **others: Any) -> None:
    configuration = {**({"LambdaFunctionConfigurations": list(functions)} if functions else {})}
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={**configuration, **others}
    )


def next_object(delivered: queue.Queue[Delivered]) -> tuple[str, dict[str, Any]]:
    event, arn = delivered.get(timeout=5)
    assert arn == FUNCTION
    (record,) = event["Records"]
    return record["eventName"], record["s3"]["object"]


def test_a_function_gets_the_event_as_s3_writes_it(
    s3: Any, delivered: queue.Queue[Delivered]
) -> None:
    rule = to_function("s3:ObjectCreated:*", prefix="orders/", suffix=".csv")
    configure(s3, {**rule, "Id": "ingest"})
    s3.put_object(Bucket=BUCKET, Key="orders/x.txt", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="other/x.csv", Body=b"")
    put = s3.put_object(Bucket=BUCKET, Key="orders/date=2026-01-05/a b+ç~(1).csv", Body=b"12345")
    event, arn = delivered.get(timeout=5)
    assert arn == FUNCTION
    (record,) = event["Records"]
    assert record["eventVersion"] == "2.1"
    assert record["eventSource"] == "aws:s3"
    assert record["awsRegion"] == "us-east-1"
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["eventTime"].endswith("Z")
    assert record["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    assert record["s3"]["s3SchemaVersion"] == "1.0"
    assert record["s3"]["configurationId"] == "ingest"
    assert record["s3"]["bucket"]["name"] == BUCKET
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{BUCKET}"
    described = record["s3"]["object"]
    assert described["key"] == "orders/date%3D2026-01-05/a+b%2B%C3%A7%7E%281%29.csv"
    assert described["size"] == 5
    assert described["eTag"] == put["ETag"].strip('"')
    assert int(described["sequencer"], 16)
    assert delivered.empty()


def test_every_way_to_make_an_object(s3: Any, delivered: queue.Queue[Delivered]) -> None:
    configure(s3, to_function("s3:ObjectCreated:*", "s3:ObjectRemoved:*"))
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    first = next_object(delivered)
    assert first[0] == "ObjectCreated:Put"
    s3.copy_object(Bucket=BUCKET, Key="b", CopySource=f"{BUCKET}/a")
    second = next_object(delivered)
    assert (second[0], second[1]["key"]) == ("ObjectCreated:Copy", "b")
    assert second[1]["sequencer"] > first[1]["sequencer"]
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="c")["UploadId"]
    at = {"Bucket": BUCKET, "Key": "c", "UploadId": upload}
    etag = s3.upload_part(**at, PartNumber=1, Body=b"123")["ETag"]
    done = s3.complete_multipart_upload(
        **at, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    name, described = next_object(delivered)
    assert name == "ObjectCreated:CompleteMultipartUpload"
    assert (described["size"], described["eTag"]) == (3, done["ETag"].strip('"'))
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "c"}, {"Key": "none"}]})
    name, described = next_object(delivered)
    assert (name, described["key"]) == ("ObjectRemoved:Delete", "c")
    assert "size" not in described
    assert delivered.empty()


def test_a_refused_write_makes_no_event(s3: Any, delivered: queue.Queue[Delivered]) -> None:
    configure(s3, to_function("s3:ObjectCreated:*"))
    s3.put_object(Bucket=BUCKET, Key="once", Body=b"1")
    next_object(delivered)
    with pytest.raises(ClientError):
        s3.put_object(Bucket=BUCKET, Key="once", Body=b"2", IfNoneMatch="*")
    configure(s3)
    s3.put_object(Bucket=BUCKET, Key="quiet", Body=b"1")
    with pytest.raises(queue.Empty):
        delivered.get(timeout=0.3)


def test_an_engine_tells_of_its_own_file(
    s3: Any, server: Server, delivered: queue.Queue[Delivered]
) -> None:
    configure(s3, to_function("s3:ObjectCreated:Put"))
    (server.aws.s3.bucket_path(BUCKET) / "by-hand").write_bytes(b"1234")
    server.aws.s3.notify(BUCKET, "by-hand")
    name, described = next_object(delivered)
    assert (name, described["key"], described["size"]) == ("ObjectCreated:Put", "by-hand", 4)
    with pytest.raises(AwsError) as caught:
        server.aws.s3.notify(BUCKET, "not-there")
    assert caught.value.code == "NoSuchKey"


def test_queues_and_topics(s3: Any, client: Callable[[str], Any]) -> None:
    queues, topics = client("sqs"), client("sns")
    url = queues.create_queue(QueueName="direct")["QueueUrl"]
    direct = "arn:aws:sqs:us-east-1:123456789012:direct"
    topic = topics.create_topic(Name="uploads")["TopicArn"]
    other = queues.create_queue(QueueName="by-topic")["QueueUrl"]
    topics.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:by-topic"
    )
    configure(
        s3,
        QueueConfigurations=[
            {
                "QueueArn": direct,
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "q/"}]}},
            }
        ],
        TopicConfigurations=[
            {
                "TopicArn": topic,
                "Events": ["s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "t/"}]}},
            }
        ],
    )

    def receive(where: str) -> Any:
        messages = queues.receive_message(QueueUrl=where, WaitTimeSeconds=5)["Messages"]
        queues.delete_message(QueueUrl=where, ReceiptHandle=messages[0]["ReceiptHandle"])
        return json.loads(messages[0]["Body"])

    assert receive(url)["Event"] == "s3:TestEvent"
    assert json.loads(receive(other)["Message"])["Event"] == "s3:TestEvent"
    s3.put_object(Bucket=BUCKET, Key="q/1", Body=b"1")
    s3.put_object(Bucket=BUCKET, Key="t/1", Body=b"1")
    assert receive(url)["Records"][0]["s3"]["object"]["key"] == "q/1"
    envelope = receive(other)
    assert envelope["Subject"] == "Amazon S3 Notification"
    assert json.loads(envelope["Message"])["Records"][0]["s3"]["object"]["key"] == "t/1"


def test_the_configuration_comes_back(s3: Any) -> None:
    rule = to_function("s3:ObjectCreated:Put", "s3:ObjectCreated:Copy", prefix="a&b/")
    configure(s3, {**rule, "Id": "one"})
    answer = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    (got,) = answer["LambdaFunctionConfigurations"]
    assert (got["Id"], got["LambdaFunctionArn"]) == ("one", FUNCTION)
    assert got["Events"] == ["s3:ObjectCreated:Put", "s3:ObjectCreated:Copy"]
    assert got["Filter"]["Key"]["FilterRules"] == [{"Name": "Prefix", "Value": "a&b/"}]
    configure(s3)
    answer = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    assert "LambdaFunctionConfigurations" not in answer


def refused(s3: Any, *functions: dict[str, Any], **others: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        configure(s3, *functions, **others)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_configurations_that_are_refused(s3: Any) -> None:
    configure(s3)
    code, message = refused(s3, to_function("s3:ObjectTagging:*"))
    assert (code, "s3:ObjectTagging:*" in message) == ("NotImplemented", True)
    code, message = refused(s3, EventBridgeConfiguration={})
    assert (code, "EventBridgeConfiguration" in message) == ("NotImplemented", True)
    overlapping = (
        to_function("s3:ObjectCreated:*", prefix="a/"),
        to_function("s3:ObjectCreated:Put", prefix="a/b", arn=f"{FUNCTION}-2"),
    )
    assert refused(s3, *overlapping)[0] == "InvalidArgument"
    assert refused(s3, to_function("s3:ObjectCreated:*", size="1"))[0] == "InvalidArgument"
    nowhere = {
        "QueueArn": "arn:aws:sqs:us-east-1:123456789012:no-such-queue",
        "Events": ["s3:ObjectCreated:*"],
    }
    code, message = refused(s3, QueueConfigurations=[nowhere])
    assert code == "InvalidArgument"
    assert "Unable to validate" in message
    answer = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    assert "QueueConfigurations" not in answer
    apart = (
        to_function("s3:ObjectCreated:*", prefix="a/", suffix=".csv"),
        to_function("s3:ObjectCreated:*", prefix="a/", suffix=".json", arn=f"{FUNCTION}-2"),
    )
    configure(s3, *apart)
    configure(s3)


def test_an_event_survives_the_death_of_the_process(tmp_path: Path) -> None:
    """What was written down and not delivered is delivered by the next process."""
    done = queue.Queue[Delivered]()
    with Server(Config(state=tmp_path), services=["s3"]) as server:
        s3 = boto3.client(
            "s3",
            endpoint_url=server.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        s3.create_bucket(Bucket=BUCKET)
        configure(s3, to_function("s3:ObjectCreated:*"))
        server.aws.background = lambda *_: None  # type: ignore[method-assign]
        s3.put_object(Bucket=BUCKET, Key="late", Body=os.urandom(10))
    again = Instance(Config(state=tmp_path), services=["s3"])
    assert isinstance(again.s3, S3)
    again.s3.on_object_created(lambda event, arn: done.put((event, arn)))
    again.start()
    try:
        assert next_object(done)[1]["key"] == "late"
    finally:
        again.stop()
