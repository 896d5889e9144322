"""moto as AWS for each test, with the project's names, and no way out of the process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.loaders import JSONFileLoader
from moto import mock_aws
from pytest_socket import disable_socket, enable_socket

from madrugada.clients import client
from madrugada.settings import Settings, settings

_read_once = cache(JSONFileLoader().load_file)


@pytest.fixture(autouse=True, scope="module")
def models_read_once() -> Iterator[None]:
    """Every hook makes a session of its own, and each would parse botocore's models again.

    For these modules alone: a model that is shared keeps what is written into it.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(JSONFileLoader, "load_file", staticmethod(_read_once))
        yield


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    disable_socket()
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    settings.cache_clear()
    client.cache_clear()
    yield
    settings.cache_clear()
    client.cache_clear()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``aws("glue")``: a client of this test's own moto; Airflow's hooks reach the same."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
    with mock_aws():
        yield boto3.client


@pytest.fixture
def names() -> Settings:
    return settings()


@pytest.fixture
def subscribed(aws: Any, names: Settings) -> Callable[[str], Callable[[], list[dict[str, str]]]]:
    """Subscribes a queue to a topic of the project; gives what reads the messages in it."""

    def subscribe(name: str) -> Callable[[], list[dict[str, str]]]:
        topic = aws("sns").create_topic(Name=f"madrugada-{name}")["TopicArn"]
        assert topic == names.topic(name)
        queue = aws("sqs").create_queue(QueueName="inbox")["QueueUrl"]
        arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])

        def read() -> list[dict[str, str]]:
            found = aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
            return [json.loads(message["Body"]) for message in found.get("Messages", [])]

        return read

    return subscribe
