"""SQS: what is sent is received until it is deleted; dead letters; limits; SNS's messages."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.sqs.models import SQSBackend

from local_aws.control_plane import _Pickler
from local_aws.instance import Config, Instance
from local_aws.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"), max_waiting=2)
    with Server(config, services=["sqs"]) as running:
        yield running


@pytest.fixture(scope="module")
def sqs(client: Callable[[str], Any]) -> Any:
    return client("sqs")


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def receive(sqs: Any, url: str, **more: Any) -> list[dict[str, Any]]:
    return sqs.receive_message(QueueUrl=url, **more).get("Messages", [])


def counts(sqs: Any, url: str) -> tuple[int, int, int]:
    """Visible, in flight, delayed."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    start = "ApproximateNumberOfMessages"
    visible, hidden, delayed = (attributes[start + end] for end in ("", "NotVisible", "Delayed"))
    return int(visible), int(hidden), int(delayed)


def test_a_message_is_there_until_it_is_deleted(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="plain", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    given = {
        "text": {"DataType": "String", "StringValue": "ação"},
        "bytes": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
        "number": {"DataType": "Number", "StringValue": "1.5"},
    }
    sent = sqs.send_message(QueueUrl=url, MessageBody='{"ação": 1}', MessageAttributes=given)
    (message,) = receive(sqs, url, MessageAttributeNames=["All"], AttributeNames=["All"])
    assert message["Body"] == '{"ação": 1}'
    assert message["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"] == given
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(message["Attributes"]["SentTimestamp"]) / 1000 - time.time()) < 10
    assert receive(sqs, url) == []
    assert counts(sqs, url) == (0, 1, 0)
    (again,) = receive(sqs, url, WaitTimeSeconds=5, AttributeNames=["All"])
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert counts(sqs, url) == (0, 1, 0)  # that reception is over
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    assert counts(sqs, url) == (0, 0, 0)


def test_the_digest_of_attributes_is_aws_own(sqs: Any) -> None:
    """The value that Amazon SQS gives for these attributes, by its documented algorithm."""
    url = sqs.create_queue(QueueName="digests")["QueueUrl"]
    attributes = {"timestamp": {"DataType": "Number", "StringValue": "1493147359900"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="derp", MessageAttributes=attributes)
    assert sent["MD5OfMessageBody"] == "58fd9edd83341c29f1aebba81c31e257"
    assert sent["MD5OfMessageAttributes"] == "235c5c510d26fb653d073faed50ae77c"


def test_a_waiting_call_gets_a_message_at_once(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="waited-for")["QueueUrl"]
    got: list[tuple[str, float]] = []

    def wait() -> None:
        (message,) = receive(sqs, url, WaitTimeSeconds=20)
        got.append((message["Body"], time.monotonic()))

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.3)
    assert got == []
    sent = time.monotonic()
    sqs.send_message(QueueUrl=url, MessageBody="now")
    waiter.join(5)
    assert got[0][0] == "now"
    assert got[0][1] - sent < 1


def test_delayed_and_hidden_messages_wake_a_waiting_call(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="delayed")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=1)
    assert counts(sqs, url) == (0, 0, 1)
    start = time.monotonic()
    (message,) = receive(sqs, url, WaitTimeSeconds=10)
    assert 0.5 < time.monotonic() - start < 3
    sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    (message,) = receive(sqs, url)
    code, _ = error_of(
        sqs.change_message_visibility,
        QueueUrl=url,
        ReceiptHandle=message["ReceiptHandle"],
        VisibilityTimeout=43_201,
    )
    assert code == "InvalidParameterValue"


def test_waiting_calls_do_not_starve_the_server(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="crowded")["QueueUrl"]
    waiters = [
        threading.Thread(target=receive, args=(sqs, url), kwargs={"WaitTimeSeconds": 20})
        for _ in range(2)
    ]
    for waiter in waiters:
        waiter.start()
    time.sleep(0.3)
    start = time.monotonic()
    assert receive(sqs, url, WaitTimeSeconds=20) == []
    assert time.monotonic() - start < 2
    for _ in waiters:
        sqs.send_message(QueueUrl=url, MessageBody="enough")
    for waiter in waiters:
        waiter.join(5)
        assert not waiter.is_alive()


def test_many_receivers_get_each_message_once(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="shared")["QueueUrl"]
    for start in range(0, 100, 10):
        entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(start, start + 10)]
        assert sqs.send_message_batch(QueueUrl=url, Entries=entries)["Failed"] == []
    got: list[str] = []

    def work() -> None:
        while batch := receive(sqs, url, MaxNumberOfMessages=10):
            got.extend(message["Body"] for message in batch)
            entries = [
                {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]}
                for n, message in enumerate(batch)
            ]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, got)) == list(range(100))
    assert counts(sqs, url) == (0, 0, 0)


def test_dead_letters(sqs: Any) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = {
        "deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead",
        "maxReceiveCount": "2",
    }
    url = sqs.create_queue(
        QueueName="tried",
        Attributes={"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(policy)},
    )["QueueUrl"]
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert [len(receive(sqs, url)) for _ in range(3)] == [1, 1, 0]
    (message,) = receive(sqs, dead, AttributeNames=["All"])
    assert (message["Body"], message["MessageId"]) == ("poison", sent["MessageId"])
    source = message["Attributes"]["DeadLetterQueueSourceArn"]
    assert source == "arn:aws:sqs:us-east-1:123456789012:tried"
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    code, message = error_of(
        sqs.set_queue_attributes,
        QueueUrl=url,
        Attributes={"RedrivePolicy": json.dumps({**policy, "deadLetterTargetArn": "arn:no"})},
    )
    assert (code, "Dead letter target does not exist" in message) == ("InvalidParameterValue", True)


def test_a_batch_says_which_of_its_messages_failed(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="batches", Attributes={"MaximumMessageSize": "1024"})[
        "QueueUrl"
    ]
    answer = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "good", "MessageBody": "x"},
            {"Id": "long", "MessageBody": "x" * 1025},
            {"Id": "bad", "MessageBody": "\x00"},
        ],
    )
    assert [item["Id"] for item in answer["Successful"]] == ["good"]
    failed = {item["Id"]: (item["Code"], item["SenderFault"]) for item in answer["Failed"]}
    assert failed == {
        "long": ("InvalidParameterValue", True),
        "bad": ("InvalidMessageContents", True),
    }
    entry = {"Id": "a", "MessageBody": "x"}
    send = sqs.send_message_batch
    assert error_of(send, QueueUrl=url, Entries=[])[0].endswith("EmptyBatchRequest")
    assert error_of(send, QueueUrl=url, Entries=[entry, entry])[0].endswith(
        "BatchEntryIdsNotDistinct"
    )
    many = [{**entry, "Id": str(number)} for number in range(11)]
    assert error_of(send, QueueUrl=url, Entries=many)[0].endswith("TooManyEntriesInBatchRequest")
    large = [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)]
    assert error_of(send, QueueUrl=url, Entries=large)[0].endswith("BatchRequestTooLong")


def test_what_is_refused(sqs: Any) -> None:
    missing = "http://127.0.0.1/123456789012/none"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.send_message(QueueUrl=missing, MessageBody="x")
    assert error_of(sqs.get_queue_url, QueueName="none")[0] == (
        "AWS.SimpleQueueService.NonExistentQueue"
    )
    url = sqs.create_queue(QueueName="strict", Attributes={"DelaySeconds": "1"})["QueueUrl"]
    code, _ = error_of(sqs.create_queue, QueueName="strict", Attributes={"DelaySeconds": "2"})
    assert code == "QueueAlreadyExists"
    assert sqs.create_queue(QueueName="strict", Attributes={"DelaySeconds": "1"})["QueueUrl"] == url
    refused: list[tuple[dict[str, str], str]] = [
        ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue"),
        ({"Nonsense": "1"}, "InvalidAttributeName"),
        ({"FifoQueue": "true"}, "NotImplemented"),
    ]
    for attributes, code in refused:
        assert error_of(sqs.create_queue, QueueName="bad", Attributes=attributes)[0] == code
    code, message = error_of(receive, sqs=sqs, url=url, MaxNumberOfMessages=11)
    assert (code, "Must be between 1 and 10" in message) == ("InvalidParameterValue", True)
    code, _ = error_of(sqs.delete_message, QueueUrl=url, ReceiptHandle="nonsense")
    assert code == "ReceiptHandleIsInvalid"
    code, message = error_of(sqs.send_message, QueueUrl=url, MessageBody="x" * 1_048_577)
    assert (code, "shorter than 1048576 bytes" in message) == ("InvalidParameterValue", True)


def test_queues_are_listed_tagged_purged_and_deleted(sqs: Any) -> None:
    for name in ("list-b", "list-a"):
        sqs.create_queue(QueueName=name, tags={"room": name})
    urls = sqs.list_queues(QueueNamePrefix="list-")["QueueUrls"]
    assert [url.rpartition("/")[2] for url in urls] == ["list-a", "list-b"]
    sqs.untag_queue(QueueUrl=urls[0], TagKeys=["room"])
    sqs.tag_queue(QueueUrl=urls[0], Tags={"x": "y"})
    assert sqs.list_queue_tags(QueueUrl=urls[0])["Tags"] == {"x": "y"}
    sqs.send_message(QueueUrl=urls[0], MessageBody="x")
    sqs.purge_queue(QueueUrl=urls[0])
    assert counts(sqs, urls[0]) == (0, 0, 0)
    sqs.send_message(QueueUrl=urls[0], MessageBody="x")
    sqs.delete_queue(QueueUrl=urls[0])
    assert "NonExistentQueue" in error_of(receive, sqs=sqs, url=urls[0])[0]
    sqs.create_queue(QueueName="list-a")
    assert receive(sqs, urls[0]) == []


def test_messages_are_kept_for_their_retention(server: Server, sqs: Any) -> None:
    from local_aws.sqs.messages import Message

    url = sqs.create_queue(QueueName="kept", Attributes={"MessageRetentionPeriod": "60"})[
        "QueueUrl"
    ]
    engine: Any = server.aws.services["sqs"]
    now = time.time_ns() // 1_000_000
    old, new = (Message(body, body, sent=now - age) for body, age in (("old", 61_000), ("new", 0)))
    engine._messages.add(engine.queue("kept")["id"], [(old, old.sent), (new, new.sent)])
    assert [message["Body"] for message in receive(sqs, url, MaxNumberOfMessages=10)] == ["new"]
    assert counts(sqs, url) == (0, 1, 0)


def test_queues_that_moto_kept_are_taken_over(tmp_path: Path) -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:"
    backend = SQSBackend("us-east-1", "123456789012")
    backend.create_queue("letters", tags={})
    old: Any = backend.create_queue("old", tags={"a": "1"}, VisibilityTimeout=7)
    old.redrive_policy = {"deadLetterTargetArn": f"{arn}letters", "maxReceiveCount": 3}
    backend.send_message("old", "kept")
    folder = tmp_path / "moto" / "5.0.1"
    folder.mkdir(parents=True)
    with (folder / "sqs.pickle").open("wb") as file:
        _Pickler(file).dump({"us-east-1": backend})
    for _ in range(2):
        aws = Instance(Config(state=tmp_path), services=["sqs"])
        engine: Any = aws.services["sqs"]
        attributes = engine.GetQueueAttributes({"QueueUrl": "old", "AttributeNames": ["All"]})
        found = attributes["Attributes"]
        assert (found["VisibilityTimeout"], found["ApproximateNumberOfMessages"]) == ("7", "1")
        assert json.loads(found["RedrivePolicy"])["deadLetterTargetArn"] == f"{arn}letters"
        assert engine.queue("old")["tags"] == {"a": "1"}
        aws.stop()


def test_a_topic_delivers_to_its_queues(client: Callable[[str], Any], sqs: Any) -> None:
    sns = client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    url = sqs.create_queue(QueueName="by-topic")["QueueUrl"]
    for name, raw in (("by-topic", "false"), ("by-topic-raw", "true"), ("not-there", "false")):
        if name == "by-topic-raw":
            sqs.create_queue(QueueName=name)
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:123456789012:{name}",
            Attributes={"RawMessageDelivery": raw},
        )
    attributes = {"kind": {"DataType": "String", "StringValue": "report"}}
    sns.publish(TopicArn=topic, Message="night", Subject="s", MessageAttributes=attributes)
    (message,) = receive(sqs, url)
    body = json.loads(message["Body"])
    assert (body["Type"], body["Message"], body["TopicArn"]) == ("Notification", "night", topic)
    raw_url = sqs.get_queue_url(QueueName="by-topic-raw")["QueueUrl"]
    (message,) = receive(sqs, raw_url, MessageAttributeNames=["All"])
    assert (message["Body"], message["MessageAttributes"]) == ("night", attributes)
