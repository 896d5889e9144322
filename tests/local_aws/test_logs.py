"""CloudWatch Logs, as boto3 and the other engines see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.logs.events import DAY
from local_aws.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=["logs"]) as running:
        yield running


@pytest.fixture(scope="module")
def logs(client: Callable[[str], Any]) -> Any:
    return client("logs")


def code_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_written_lines_are_read_back_in_order(server: Server, logs: Any) -> None:
    server.aws.logs.write("/aws/written", "one", [f"line {n}\n" for n in range(25)])
    answer = logs.get_log_events(
        logGroupName="/aws/written", logStreamName="one", startFromHead=True
    )
    assert [event["message"] for event in answer["events"]] == [f"line {n}" for n in range(25)]


def test_forward_tokens_reach_the_end_and_stay_there(server: Server, logs: Any) -> None:
    server.aws.logs.write("/aws/paged", "one", [f"line {n}" for n in range(25)])
    where = {"logGroupName": "/aws/paged", "logStreamName": "one"}
    seen: list[str] = []
    answer = logs.get_log_events(**where, startFromHead=True, limit=10)
    while answer["events"]:
        seen += [event["message"] for event in answer["events"]]
        answer = logs.get_log_events(**where, nextToken=answer["nextForwardToken"], limit=10)
    assert seen == [f"line {n}" for n in range(25)]
    token = answer["nextForwardToken"]
    assert logs.get_log_events(**where, nextToken=token)["nextForwardToken"] == token
    server.aws.logs.write("/aws/paged", "one", ["later"])
    later = logs.get_log_events(**where, nextToken=token)["events"]
    assert [event["message"] for event in later] == ["later"]


def test_without_a_token_the_tail_comes_first(server: Server, logs: Any) -> None:
    server.aws.logs.write("/aws/tail", "one", [f"line {n}" for n in range(25)])
    where = {"logGroupName": "/aws/tail", "logStreamName": "one"}
    tail = logs.get_log_events(**where, limit=3)
    assert [event["message"] for event in tail["events"]] == ["line 22", "line 23", "line 24"]
    back = logs.get_log_events(**where, limit=3, nextToken=tail["nextBackwardToken"])
    assert [event["message"] for event in back["events"]] == ["line 19", "line 20", "line 21"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", [0, 1, 2, 3]),
        ("ERROR", [0, 1]),
        ("ERROR disk", [1]),
        ("ERROR -disk", [0]),
        ('"exit code 1"', [0]),
        ("?disk ?INFO", [1, 2]),
        ("error", []),
        ("code", [0]),
    ],
)
def test_filter_patterns(server: Server, logs: Any, pattern: str, expected: list[int]) -> None:
    lines = ["ERROR exit code 1", "ERROR disk full", "INFO fine", "ERRORS codes 17"]
    if "/aws/filtered" not in str(logs.describe_log_groups(logGroupNamePrefix="/aws/filtered")):
        server.aws.logs.write("/aws/filtered", "a", lines[:2])
        server.aws.logs.write("/aws/filtered", "b", lines[2:])
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/aws/filtered", filterPattern=pattern, PaginationConfig={"PageSize": 1}
    )
    assert [e["message"] for page in pages for e in page["events"]] == [lines[n] for n in expected]


def test_a_filter_goes_on_where_it_stopped(server: Server, logs: Any) -> None:
    server.aws.logs.write("/aws/follow", "run", ["one", "two"])
    where = {"logGroupName": "/aws/follow", "logStreamNames": ["run"]}
    first = logs.filter_log_events(**where)
    assert len(first["events"]) == 2
    server.aws.logs.write("/aws/follow", "run", ["three"])
    then = logs.filter_log_events(**where, nextToken=first["nextToken"])
    assert [event["message"] for event in then["events"]] == ["three"]


def test_json_patterns_are_refused_by_name(server: Server, logs: Any) -> None:
    server.aws.logs.write("/aws/json", "a", ["{}"])
    with pytest.raises(ClientError, match="JSON patterns in filterPattern") as caught:
        logs.filter_log_events(logGroupName="/aws/json", filterPattern="{ $.a = 1 }")
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert (
        code_of(logs.filter_log_events, logGroupName="/aws/json", filterPattern="a/b")
        == "InvalidParameterException"
    )


def test_groups_streams_and_events_through_the_api(logs: Any) -> None:
    name = "/made/by/client"
    logs.create_log_group(logGroupName=name, tags={"team": "sales"})
    assert code_of(logs.create_log_group, logGroupName=name) == "ResourceAlreadyExistsException"
    assert code_of(logs.create_log_group, logGroupName="no spaces") == "InvalidParameterException"
    logs.create_log_stream(logGroupName=name, logStreamName="s1")
    logs.create_log_stream(logGroupName=name, logStreamName="s2")
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=name,
        logStreamName="s2",
        logEvents=[{"timestamp": now - 1, "message": "a"}, {"timestamp": now, "message": "b"}],
    )
    streams = logs.describe_log_streams(
        logGroupName=name, orderBy="LastEventTime", descending=True
    )["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["s2", "s1"]
    assert streams[0]["firstEventTimestamp"] == now - 1
    assert "lastEventTimestamp" not in streams[1]
    (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert group["storedBytes"] == 2 * 27
    assert "retentionInDays" not in group
    logs.put_retention_policy(logGroupName=name, retentionInDays=7)
    (group,) = logs.describe_log_groups(logGroupNamePattern="BY/client")["logGroups"]
    assert group["retentionInDays"] == 7
    arn = group["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"night": "1"})
    logs.untag_resource(resourceArn=arn, tagKeys=["team"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"night": "1"}
    logs.delete_log_stream(logGroupName=name, logStreamName="s2")
    assert (
        code_of(logs.get_log_events, logGroupName=name, logStreamName="s2")
        == "ResourceNotFoundException"
    )
    logs.delete_log_group(logGroupName=name)
    assert code_of(logs.describe_log_streams, logGroupName=name) == "ResourceNotFoundException"


def test_put_log_events_refuses_what_aws_refuses(logs: Any) -> None:
    logs.create_log_group(logGroupName="/put")
    logs.create_log_stream(logGroupName="/put", logStreamName="s")
    now = int(time.time() * 1000)
    where = {"logGroupName": "/put", "logStreamName": "s"}
    backwards = [{"timestamp": now, "message": "b"}, {"timestamp": now - 1, "message": "a"}]
    assert code_of(logs.put_log_events, **where, logEvents=backwards) == "InvalidParameterException"
    large = [{"timestamp": now, "message": "x" * 600_000}] * 2
    assert code_of(logs.put_log_events, **where, logEvents=large) == "InvalidParameterException"
    old = [{"timestamp": now - 15 * 86_400_000, "message": "old"}]
    answer = logs.put_log_events(**where, logEvents=old)
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert logs.get_log_events(**where)["events"] == []
    assert (
        code_of(logs.put_log_events, logGroupName="/no", logStreamName="s", logEvents=old)
        == "ResourceNotFoundException"
    )


def test_group_listing_pages(server: Server, logs: Any) -> None:
    for n in range(7):
        server.aws.logs.write(f"/many/{n}", "s", [])
    pages = logs.get_paginator("describe_log_groups").paginate(
        logGroupNamePrefix="/many/", PaginationConfig={"PageSize": 3}
    )
    assert [len(page["logGroups"]) for page in pages] == [3, 3, 1]


def test_large_streams_page_by_size(server: Server, logs: Any) -> None:
    server.aws.logs.write("/large", "s", ["x" * 100_000 for _ in range(25)])
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/large")
    sizes = [len(page["events"]) for page in pages]
    assert sum(sizes) == 25
    assert max(sizes) == 10


def test_events_are_deleted_after_their_retention(server: Server, logs: Any) -> None:
    events = server.aws.logs.events
    now = int(time.time() * 1000)
    groups = ("/aws/expiring", "/aws/eternal")
    for group in groups:
        events.append(group, "s", [(now - 8 * DAY, "old"), (now - 6 * DAY, "new")], now)
    logs.put_retention_policy(logGroupName="/aws/expiring", retentionInDays=7)
    server.aws.logs.expire()
    left = {
        group: [event.message for event in events.read([stream["id"]], limit=9)]
        for group in groups
        for stream in events.streams(group)
    }
    assert left == {"/aws/expiring": ["new"], "/aws/eternal": ["old", "new"]}


def test_events_survive_a_restart(tmp_path: Path) -> None:
    with Server(Config(state=tmp_path), services=["logs"]) as first:
        first.aws.logs.write("/kept", "s", ["night"])
    with Server(Config(state=tmp_path), services=["logs"]) as second:
        logs = boto3.client(
            "logs",
            endpoint_url=second.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        (event,) = logs.filter_log_events(logGroupName="/kept")["events"]
        assert event["message"] == "night"


def test_the_provider_hook_reads_a_stream(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.aws.environment().items():
        monkeypatch.setenv(name, value)
    from airflow.providers.amazon.aws.hooks.logs import AwsLogsHook

    server.aws.logs.write("/hook", "run", [f"line {n}" for n in range(5)])
    events = AwsLogsHook(aws_conn_id=None, region_name="us-east-1").get_log_events("/hook", "run")
    assert [event["message"] for event in events] == [f"line {n}" for n in range(5)]
