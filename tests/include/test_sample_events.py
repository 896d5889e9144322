"""The sample of events, and sending events through both doors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import boto3
import pytest

from include.contracts.compile import load_contracts
from include.sample_data.event_producer import (
    Kinesis,
    Line,
    Producer,
    ProducerError,
    Sqs,
    open_door,
    report,
)
from include.sample_data.events import TIMESTAMP, Options, events, lines, main

MONDAY = date(2026, 1, 5)
MANY = Options(count=4000, days=3, duplicates=0.02, broken=0.005, late=0.05)


def parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except ValueError:
        return None


def test_the_sample_is_always_the_same_and_of_the_size_that_was_asked_for() -> None:
    one = list(lines(MANY))
    assert one == list(lines(MANY))
    assert one != list(lines(Options(**{**MANY.__dict__, "seed": 1})))
    found = Counter(event["event_id"] for line in one if (event := parsed(line)))
    assert len(found) == MANY.count
    assert set(found) == {event["event_id"] for event in events(MANY)}
    broken = [line for line in one if parsed(line) is None]
    assert len(one) == MANY.count + found.total() - len(found) + len(broken)
    assert 40 < found.total() - len(found) < 120
    assert 8 < len(broken) < 40


def test_the_sample_has_what_a_stream_has() -> None:
    made = list(events(MANY))
    keys = {str(c.header) for c in load_contracts()["events"].columns if c.header is not None}
    assert {frozenset(event) for event in made} == {frozenset(keys)}
    moments = [datetime.strptime(event["event_timestamp"], TIMESTAMP) for event in made]
    assert {moment.date() - MONDAY for moment in moments} >= {timedelta(n) for n in range(3)}
    arrived = [e["event_timestamp"] for line in lines(MANY) if (e := parsed(line))]
    assert sum(a > b for a, b in pairwise(arrived)) > 100
    by_cookie: dict[str, list[datetime]] = {}
    for event, moment in zip(made, moments, strict=True):
        by_cookie.setdefault(event["user_domain_id"], []).append(moment)
    pauses = [b - a for found in by_cookie.values() for a, b in pairwise(sorted(found))]
    midnight = [
        (a, b)
        for found in by_cookie.values()
        for a, b in pairwise(sorted(found))
        if a.date() < b.date() and b - a < timedelta(minutes=30)
    ]
    assert midnight
    assert {timedelta(minutes=30) <= pause for pause in pauses} == {True, False}
    assert Counter(event["page_url_path"] for event in made)["/confirmation"] > 50


def test_the_command_writes_a_file_and_refuses_nonsense(tmp_path: Any, capsys: Any) -> None:
    out = tmp_path / "events.jsonl"
    assert main(["--count", "20", "--from", "2026-02-01", "--out", str(out)]) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 20
    with pytest.raises(SystemExit):
        main(["--count", "0"])
    assert "expected 1 or more" in capsys.readouterr().err


@pytest.fixture
def doors(aws: Any) -> dict[str, Any]:
    boto3.client("kinesis").create_stream(StreamName="madrugada-clickstream", ShardCount=1)
    boto3.client("sqs").create_queue(QueueName="madrugada-clickstream")
    return {"kinesis": open_door("kinesis"), "sqs": open_door("sqs")}


def arrived(name: str) -> list[str]:
    if name == "kinesis":
        kinesis = boto3.client("kinesis")
        (shard,) = kinesis.list_shards(StreamName="madrugada-clickstream")["Shards"]
        iterator = kinesis.get_shard_iterator(
            StreamName="madrugada-clickstream",
            ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        return [r["Data"].decode() for r in kinesis.get_records(ShardIterator=iterator)["Records"]]
    sqs, found = boto3.client("sqs"), []
    url = sqs.get_queue_url(QueueName="madrugada-clickstream")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in messages]
    return found


@pytest.mark.parametrize("name", ["kinesis", "sqs"])
def test_every_line_arrives_once_through_each_door(doors: dict[str, Any], name: str) -> None:
    made = list(lines(Options(count=25)))
    told: list[int] = []
    sent = Producer(doors[name], progress=told.append).run([*(f"{x}\r\n" for x in made), "\n"])
    assert (sent.accepted, sent.blank, sent.again, sent.refused) == (25, 1, 0, [])
    assert sum(told) == 25
    assert sorted(arrived(name)) == sorted(made)


class Flaky:
    """A door that takes a third of each batch, and refuses lines with `bad` in them."""

    most_records, most_bytes, at_once = 9, 1 << 20, 1

    def __init__(self, door: Any, name: str) -> None:
        self.door, self.name, self.client = door, name, door.client
        door.client = self

    def put_records(self, Records: Sequence[Any], **given: Any) -> Any:
        taken = self.client.put_records(Records=Records[: len(Records) // 3 + 1], **given)
        left = len(Records) - len(taken["Records"])
        failed = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow"}
        return {"FailedRecordCount": left, "Records": [*taken["Records"], *[failed] * left]}

    def send_message_batch(self, Entries: Sequence[Any], **given: Any) -> Any:
        bad = [entry for entry in Entries if "bad" in entry["MessageBody"]]
        good = [entry for entry in Entries if entry not in bad]
        if good:
            self.client.send_message_batch(Entries=good[: len(good) // 3 + 1], **given)
        return {
            "Failed": [
                {"Id": entry["Id"], "Code": code, "SenderFault": fault}
                for part, code, fault in (
                    (bad, "InvalidMessageContents", True),
                    (good[len(good) // 3 + 1 :], "InternalError", False),
                )
                for entry in part
            ]
        }

    def send(self, batch: Sequence[Line]) -> Any:
        return self.door.send(batch)


@pytest.mark.parametrize("name", ["kinesis", "sqs"])
def test_what_failed_is_sent_again_alone(doors: dict[str, Any], name: str) -> None:
    made = [f'{{"event_id": "{n}"}}' for n in range(20)]
    sent = Producer(Flaky(doors[name], name), sleep=lambda _: None).run(made)  # type: ignore[arg-type]
    assert sent.accepted == 20
    assert sent.again > 10
    assert sorted(arrived(name)) == sorted(made)


def test_a_refused_message_is_told_with_its_line_and_the_others_go(doors: dict[str, Any]) -> None:
    sent = Producer(Flaky(doors["sqs"], "sqs"), sleep=lambda _: None).run(["a", "bad", "c"])  # type: ignore[arg-type]
    assert (sent.accepted, sent.refused) == (2, [(2, "InvalidMessageContents: ")])
    assert "line 2 was refused: InvalidMessageContents" in report(sent, 1.0)


def test_a_record_over_the_limit_is_refused_with_the_service_s_words(
    doors: dict[str, Any],
) -> None:
    huge = json.dumps({"event_id": "huge", "page_url": "x" * (12 << 20)})
    sent = Producer(doors["kinesis"]).run(["a", huge, "b"])
    assert sent.accepted == 2
    ((number, said),) = sent.refused
    assert number == 2
    assert "Exception" in said
    assert sorted(arrived("kinesis")) == ["a", "b"]


def test_a_service_that_takes_nothing_is_given_up(doors: dict[str, Any]) -> None:
    class Full(Flaky):
        def put_records(self, Records: Sequence[Any], **given: Any) -> Any:
            failed = {"ErrorCode": "ProvisionedThroughputExceededException"}
            return {"FailedRecordCount": len(Records), "Records": [failed] * len(Records)}

    with pytest.raises(ProducerError, match="3 events were not accepted in 10 attempts: Provis"):
        Producer(Full(doors["kinesis"], "kinesis"), sleep=lambda _: None).run("abc")  # type: ignore[arg-type]


def test_the_rate_is_kept(doors: dict[str, Any]) -> None:
    slept: list[float] = []
    Producer(doors["kinesis"], rate=100, sleep=slept.append).run([str(n) for n in range(50)])
    # Nobody waited: the last batch is due half a second after the first line.
    assert 0.2 < max(slept) <= 0.5
    assert len(slept) == 5


def test_doors_are_those_that_there_are(aws: Any) -> None:
    with pytest.raises(ProducerError, match="expected kinesis or sqs, found 'sns'"):
        open_door("sns")
    with pytest.raises(ProducerError, match="the queue madrugada-clickstream cannot be found"):
        open_door("sqs")
    assert Sqs.most_records == 10
    assert Kinesis.most_records == 500
