"""The functions of the clickstream: messages become objects, and a day's objects its delivery."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from tests.include.conftest import BRONZE, CONTRACTS_URI, ROOT, load_module

DAY = "2026-01-05"
HOUR = f"clickstream/events/ingest_date={DAY}/hour=07"


@pytest.fixture
def close(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("BRONZE_BUCKET", BRONZE)
    monkeypatch.setenv("CONTRACTS_URI", CONTRACTS_URI)
    monkeypatch.setenv("SETTLE_SECONDS", "900")
    yield load_module("close_day_handler", ROOT / "include/lambdas/close_day/handler.py")
    sys.modules.pop("close_day_handler", None)


@pytest.fixture
def collect(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("BRONZE_BUCKET", BRONZE)
    monkeypatch.setenv("TARGET", "clickstream/events")
    module = load_module("collect_handler", ROOT / "include/lambdas/collect/handler.py")
    monkeypatch.setattr(module, "now", lambda: datetime(2026, 1, 5, 7, 59, 59, tzinfo=UTC))
    yield module
    sys.modules.pop("collect_handler", None)


def at(close: ModuleType, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    when = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    monkeypatch.setattr(close, "now", lambda: when)


def asked(**more: Any) -> dict[str, Any]:
    return {"delivery_date": DAY, "source": "clickstream", **more}


def manifest(aws: Any) -> bytes:
    return aws.get_object(Bucket=BRONZE, Key=f"_manifests/clickstream/{DAY}.json")["Body"].read()


def test_a_day_is_closed_with_what_is_there_and_again_with_what_came_since(
    aws: Any, close: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(close, monkeypatch, "2026-01-06 00:15:00")
    others = [
        "clickstream/events/ingest_date=2026-01-06/hour=00/tomorrow.gz",
        f"clickstream/clicks/ingest_date={DAY}/hour=00/other.gz",
        "_errors/clickstream/processing-failed/ingest_date=2026-01-04/x",
    ]
    odd = [
        f"_errors/clickstream/processing-failed/ingest_date={DAY}/x",
        f"clickstream/events/ingest_date={DAY}/hour=24/a.gz",
        f"{HOUR}/a.json",
        f"{HOUR}/deeper/a.gz",
    ]
    for key in (f"{HOUR}/b.gz", f"{HOUR}/a.gz", *others, *odd):
        aws.put_object(Bucket=BRONZE, Key=key, Body=key.encode())
    aws.put_object(Bucket=BRONZE, Key=f"{HOUR}/", Body=b"")
    answer = close.handler(asked())
    assert answer["manifest"] == f"s3://{BRONZE}/_manifests/clickstream/{DAY}.json"
    assert (answer["objects"], answer["ignored"]) == (2, 4)
    first = manifest(aws)
    found = json.loads(first)
    assert sorted(found.pop("ignored")) == sorted(odd)
    etag = aws.head_object(Bucket=BRONZE, Key=f"{HOUR}/a.gz")["ETag"].strip('"')
    assert found.pop("files")[0] == {
        "dataset": "events",
        "file_name": "hour=07/a.gz",
        "key": f"{HOUR}/a.gz",
        "bytes": len(f"{HOUR}/a.gz"),
        "rows": None,
        "sha256": None,
        "etag": etag,
        "new_columns": [],
        "missing_columns": [],
    }
    assert found == {
        "format": 1,
        "source": "clickstream",
        "delivery_date": DAY,
        "status": "complete",
        "missing": [],
        "errors": [],
    }
    close.handler(asked())
    assert manifest(aws) == first
    aws.put_object(Bucket=BRONZE, Key=f"{HOUR}/c.gz", Body=b"late")
    assert close.handler(asked())["objects"] == 3


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2026-01-04 23:59:59", "all its hours are to come, until 2026-01-06 00:15:00 UTC"),
        ("2026-01-05 00:05:00", "hour=00 to hour=23 can still receive objects"),
        ("2026-01-05 13:10:00", "hour=12 to hour=23 can still receive objects"),
        ("2026-01-06 00:14:59", "hour=23 can still receive objects, until 2026-01-06 00:15:00"),
    ],
)
def test_a_day_is_not_closed_while_objects_can_arrive_unless_asked(
    aws: Any, close: ModuleType, monkeypatch: pytest.MonkeyPatch, moment: str, said: str
) -> None:
    aws.put_object(Bucket=BRONZE, Key=f"{HOUR}/a.gz", Body=b"a")
    at(close, monkeypatch, moment)
    with pytest.raises(close.DeliveryError, match=said):
        close.handler(asked(open_hours="refuse"))
    assert aws.list_objects_v2(Bucket=BRONZE, Prefix="_manifests/")["KeyCount"] == 0
    assert close.handler(asked(open_hours="take"))["objects"] == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"source": "stores"}, "source: expected one of clickstream, found 'stores'"),
        ({"delivery_date": "5/1/2026"}, "delivery_date: expected YYYY-MM-DD, found '5/1/2026'"),
        ({"delivery_date": None}, "delivery_date: expected YYYY-MM-DD, found None"),
        ({"open_hours": "yes"}, "open_hours: expected refuse or take, found 'yes'"),
        ({}, "has no object: expected at least 1 rows of events, at hour=<HH>/<name>.gz"),
    ],
)
def test_what_cannot_be_closed_is_said(
    close: ModuleType, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    at(close, monkeypatch, "2026-01-07 00:00:00")
    with pytest.raises(close.DeliveryError) as raised:
        close.handler(asked(**given))
    assert said in str(raised.value)


def batch(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}


def objects(aws: Any) -> dict[str, list[str]]:
    return {
        item["Key"]: gzip.decompress(aws.get_object(Bucket=BRONZE, Key=item["Key"])["Body"].read())
        .decode()
        .splitlines()
        for item in aws.list_objects_v2(Bucket=BRONZE).get("Contents", [])
    }


BAD_MESSAGES = [
    "",
    "{",
    "[]",
    '"event_id"',
    "null",
    "{}",
    '{"event_id": ""}',
    '{"event_id": 7}',
    '{"event_id": "a", "n": NaN}',
    '{"event_id": "a"} {"event_id": "b"}',
    '{"event_id": "two\nlines"}',
    "[" * 100_000,
]


def test_messages_become_one_object_and_bad_ones_are_reported_alone(
    aws: Any, collect: ModuleType
) -> None:
    good = ['{"event_id": "é", "n": 1.10}', '{\n "event_id": "b",\r\n "deep": {"a": []}\n}']
    answer = collect.handler(batch(*good, *BAD_MESSAGES))
    assert [item["itemIdentifier"] for item in answer["batchItemFailures"]] == [
        f"m{n}" for n in range(2, 2 + len(BAD_MESSAGES))
    ]
    ((key, lines),) = objects(aws).items()
    assert key.startswith(f"{HOUR}/collect-")
    assert lines[0] == good[0]
    assert json.loads(lines[1]) == json.loads(good[1])
    assert len(lines) == 2
    collect.handler(batch(*good, *BAD_MESSAGES))
    assert list(objects(aws)) == [key]


def test_a_batch_of_bad_messages_makes_no_object(aws: Any, collect: ModuleType) -> None:
    assert len(collect.handler(batch("{", "[]"))["batchItemFailures"]) == 2
    assert objects(aws) == {}


def test_when_the_object_cannot_be_written_the_batch_fails(
    collect: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRONZE_BUCKET", "nowhere")
    with pytest.raises(Exception, match="NoSuchBucket"):
        collect.handler(batch('{"event_id": "a"}'))
