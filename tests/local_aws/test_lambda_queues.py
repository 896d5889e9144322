"""Queues as event sources: batches reach the handler; failures come back, or are dead letters."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.server import Server

SERVICES = ["s3", "logs", "sqs", "lambda"]
HANDLER = """
import json, os, time

def handler(event, context):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(json.dumps(event) + "\\n")
    bodies = [record["body"] for record in event["Records"]]
    if "crash" in bodies:
        raise RuntimeError("no")
    if "nonsense" in bodies:
        return {"batchItemFailures": [{"itemIdentifier": "of-nobody"}]}
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "poison"]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=SERVICES) as running:
        yield running


def make_function(client: Callable[[str], Any], name: str, seen: Path) -> str:
    """The name of a function that writes every event to a file."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = client("iam")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="queues", AssumeRolePolicyDocument=document)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", HANDLER)
    client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role="arn:aws:iam::123456789012:role/queues",
        Handler="code.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
        Environment={"Variables": {"SEEN": str(seen)}},
    )
    return name


def make_queue(client: Callable[[str], Any], name: str, tries: int = 3) -> tuple[str, str, str]:
    """The addresses of a queue and of its dead-letter queue, and the queue's ARN."""
    sqs = client("sqs")
    arn = "arn:aws:sqs:us-east-1:123456789012:"
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    policy = {"deadLetterTargetArn": f"{arn}{name}-dead", "maxReceiveCount": tries}
    attributes = {"VisibilityTimeout": "30", "RedrivePolicy": json.dumps(policy)}
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, dead, f"{arn}{name}"


def send(client: Callable[[str], Any], url: str, *bodies: str) -> None:
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    answer = client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
    assert len(answer["Successful"]) == len(bodies)


def left(client: Callable[[str], Any], url: str) -> int:
    """How many messages a queue has, visible or not."""
    found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    start = "ApproximateNumberOfMessages"
    return sum(int(found[start + end]) for end in ("", "NotVisible", "Delayed"))


def events(seen: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in seen.read_text().splitlines()] if seen.exists() else []


def bodies(seen: Path) -> list[str]:
    return [record["body"] for event in events(seen) for record in event["Records"]]


def hurry(client: Callable[[str], Any], server: Server, name: str, url: str, seen: Path) -> None:
    """Make what a function failed on visible again, without waiting for the timeout."""
    functions: Any = server.aws.services["lambda"]
    until(lambda: not functions.pool._busy.get(name))
    time.sleep(0.3)  # what succeeded is being deleted
    for event in events(seen):
        for record in event["Records"]:
            with suppress(ClientError):
                client("sqs").change_message_visibility(
                    QueueUrl=url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
                )


def until(done: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_messages_reach_the_handler_and_are_gone(
    client: Callable[[str], Any], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    name = make_function(client, "takes", seen)
    url, _, arn = make_queue(client, "taken")
    created = client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=name)
    assert created["State"] == "Creating"
    attributes = {"kind": {"DataType": "String", "StringValue": "click"}}
    sent = client("sqs").send_message(
        QueueUrl=url, MessageBody='{"a": 1}', MessageAttributes=attributes
    )
    until(lambda: left(client, url) == 0)
    (event,) = events(seen)
    (record,) = event["Records"]
    assert record.pop("receiptHandle")
    stated = record.pop("attributes")
    assert stated["ApproximateReceiveCount"] == "1"
    assert record == {
        "messageId": sent["MessageId"],
        "body": '{"a": 1}',
        "messageAttributes": {
            "kind": {
                "stringValue": "click",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            }
        },
        "md5OfBody": sent["MD5OfMessageBody"],
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": "us-east-1",
    }


def test_what_fails_comes_back_and_is_a_dead_letter_at_last(
    server: Server, client: Callable[[str], Any], tmp_path: Path
) -> None:
    """With ReportBatchItemFailures only the failed message comes back; the others are done with."""
    seen = tmp_path / "seen"
    name = make_function(client, "partly", seen)
    url, dead, arn = make_queue(client, "partly", tries=2)
    client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=name,
        BatchSize=4,
        MaximumBatchingWindowInSeconds=5,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        Enabled=False,
    )
    send(client, url, "a", "poison", "b", "c")
    (mapping,) = client("lambda").list_event_source_mappings(FunctionName=name)[
        "EventSourceMappings"
    ]
    assert mapping["State"] == "Disabled"
    time.sleep(0.2)
    assert events(seen) == []
    client("lambda").update_event_source_mapping(
        UUID=mapping["UUID"], Enabled=True, MaximumBatchingWindowInSeconds=0
    )
    until(lambda: left(client, url) == 1)
    hurry(client, server, name, url, seen)
    until(lambda: bodies(seen).count("poison") == 2)
    hurry(client, server, name, url, seen)
    until(lambda: left(client, dead) == 1)
    assert sorted(bodies(seen)) == ["a", "b", "c", "poison", "poison"]
    assert left(client, url) == 0
    (message,) = client("sqs").receive_message(QueueUrl=dead)["Messages"]
    assert message["Body"] == "poison"


def test_a_batch_that_fails_comes_back_whole(
    server: Server, client: Callable[[str], Any], tmp_path: Path
) -> None:
    """An exception, and a response that names a message of nobody."""
    seen = tmp_path / "seen"
    name = make_function(client, "wholly", seen)
    url, dead, arn = make_queue(client, "wholly", tries=1)
    client("lambda").create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=name,
        BatchSize=2,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    send(client, url, "crash")
    send(client, url, "nonsense")
    until(lambda: len(bodies(seen)) == 2)
    hurry(client, server, name, url, seen)
    until(lambda: left(client, dead) == 2)
    assert left(client, url) == 0


def test_a_batching_window_gathers(client: Callable[[str], Any], tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    name = make_function(client, "gathers", seen)
    url, _, arn = make_queue(client, "gathered")
    send(client, url, *map(str, range(10)))
    client("lambda").create_event_source_mapping(
        EventSourceArn=arn, FunctionName=name, BatchSize=100, MaximumBatchingWindowInSeconds=1
    )
    until(lambda: left(client, url) == 0)
    assert max(len(event["Records"]) for event in events(seen)) > 1
    assert sorted(map(int, bodies(seen))) == list(range(10))


def test_what_a_mapping_may_not_be(client: Callable[[str], Any], tmp_path: Path) -> None:
    name = make_function(client, "strict", tmp_path / "seen")
    _, _, arn = make_queue(client, "strict")

    def error_of(**arguments: Any) -> tuple[str, str]:
        given = {"EventSourceArn": arn, "FunctionName": name, **arguments}
        with pytest.raises(ClientError) as caught:
            client("lambda").create_event_source_mapping(**given)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    kinesis = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks"
    code, message = error_of(EventSourceArn=kinesis, StartingPosition="LATEST")
    assert (code, "kinesis" in message or "StartingPosition" in message) == ("NotImplemented", True)
    code, message = error_of(EventSourceArn=kinesis)
    assert (code, "from kinesis" in message) == ("NotImplemented", True)
    code, message = error_of(FilterCriteria={"Filters": []})
    assert (code, "FilterCriteria" in message) == ("NotImplemented", True)
    code, message = error_of(EventSourceArn=f"{arn}-none")
    assert code == "InvalidParameterValueException"
    assert "AWS.SimpleQueueService.NonExistentQueue" in message
    assert error_of(FunctionName="none")[0] == "ResourceNotFoundException"
    code, message = error_of(BatchSize=11)
    assert (code, "batch window" in message) == ("InvalidParameterValueException", True)
    assert error_of(BatchSize=10_001)[0] == "ValidationException"
    functions = client("lambda")
    functions.update_function_configuration(FunctionName=name, Timeout=31)
    code, message = error_of()
    assert (
        message == "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds"
    )
    functions.update_function_configuration(FunctionName=name, Timeout=20)
    mapping = functions.create_event_source_mapping(EventSourceArn=arn, FunctionName=name)
    assert error_of()[0] == "ResourceConflictException"
    assert functions.get_event_source_mapping(UUID=mapping["UUID"])["State"] == "Enabled"
    functions.delete_event_source_mapping(UUID=mapping["UUID"])
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_event_source_mapping(UUID=mapping["UUID"])


def test_a_mapping_survives_a_restart(tmp_path: Path) -> None:
    config = Config(state=tmp_path / "aws")
    seen = tmp_path / "seen"

    def client_of(server: Server) -> Callable[[str], Any]:
        return server.aws.client

    with Server(config, services=SERVICES) as server:
        client = client_of(server)
        name = make_function(client, "again", seen)
        url, _, arn = make_queue(client, "again")
        client("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=name)
        server.aws.services["lambda"].end_mappings()  # type: ignore[attr-defined]
        send(client, url, "before", "the", "end")
    with Server(config, services=SERVICES) as server:
        client = client_of(server)
        until(lambda: left(client, url) == 0)
    assert sorted(bodies(seen)) == ["before", "end", "the"]
