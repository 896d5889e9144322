"""Faults on purpose have the shape of each service's own, are retried by real clients, and end."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError, ConnectionClosedError

from local_aws.__main__ import main
from local_aws.faults import ERROR, KINDS, LOST, THROTTLE, BadPlan, Faults, Plan
from local_aws.instance import Config
from local_aws.server import Server

FUNCTION = "def handler(event, context):\n    return event\n"
TOPIC = "arn:aws:sns:us-east-1:123456789012:reports"
WHERE = {"WorkgroupName": "work-group", "Database": "dev"}

CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "s3": ("s3", lambda api: api.put_object(Bucket="bucket", Key="key", Body=b"content")),
    "glue": ("glue", lambda api: api.get_databases()),
    "athena": ("athena", lambda api: api.start_query_execution(QueryString="select 1")),
    "redshift-data": ("redshift-data", lambda api: api.execute_statement(Sql="select 1", **WHERE)),
    "sns": ("sns", lambda api: api.publish(TopicArn=TOPIC, Message="the report")),
    "lambda": ("lambda", lambda api: api.invoke(FunctionName="echo", Payload=b"{}")),
    "sqs": ("sqs", lambda api: api.list_queues()),
    "monitoring": ("cloudwatch", lambda api: api.describe_alarms()),
    "cloudformation": ("cloudformation", lambda api: api.list_stacks()),
    "redshift-serverless": ("redshift-serverless", lambda api: api.list_workgroups()),
    "logs": ("logs", lambda api: api.describe_log_groups()),
    "iam": ("iam", lambda api: api.list_roles()),
}
"""By signing name: the client's name, and a call that works."""

SHAPES = {
    ("s3", THROTTLE): ("SlowDown", 503),
    ("s3", ERROR): ("InternalError", 500),
    ("glue", THROTTLE): ("ThrottlingException", 400),
    ("glue", ERROR): ("InternalServiceException", 500),
    ("athena", THROTTLE): ("ThrottlingException", 400),
    ("athena", ERROR): ("InternalServerException", 500),
    ("redshift-data", THROTTLE): ("ThrottlingException", 400),
    ("redshift-data", ERROR): ("InternalServerException", 500),
    ("sns", THROTTLE): ("Throttled", 429),
    ("sns", ERROR): ("InternalError", 500),
    ("lambda", THROTTLE): ("TooManyRequestsException", 429),
    ("lambda", ERROR): ("ServiceException", 500),
    ("sqs", THROTTLE): ("RequestThrottled", 403),
    ("monitoring", THROTTLE): ("Throttling", 400),
    ("cloudformation", THROTTLE): ("Throttling", 400),
    ("cloudformation", ERROR): ("InternalFailure", 500),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws"))) as running:
        client_of(running, "s3").create_bucket(Bucket="bucket")
        serverless = client_of(running, "redshift-serverless")
        serverless.create_namespace(namespaceName="name-space", dbName="dev")
        serverless.create_workgroup(workgroupName="work-group", namespaceName="name-space")
        client_of(running, "athena").update_work_group(
            WorkGroup="primary",
            ConfigurationUpdates={
                "ResultConfigurationUpdates": {"OutputLocation": "s3://bucket/results/"}
            },
        )
        client_of(running, "sns").create_topic(Name="reports")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("code.py", FUNCTION)
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = client_of(running, "iam").create_role(
            RoleName="function",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        client_of(running, "lambda").create_function(
            FunctionName="echo",
            Runtime="python3.11",
            Role=role["Role"]["Arn"],
            Handler="code.handler",
            Code={"ZipFile": archive.getvalue()},
        )
        yield running


def client_of(server: Server, service: str, attempts: int = 5) -> Any:
    """A boto3 client as it is by default, or with fewer attempts; each is made once."""
    return _client(server.endpoint_url, service, attempts)


@cache
def _client(endpoint: str, service: str, attempts: int) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=None if attempts == 5 else BotoConfig(retries={"total_max_attempts": attempts}),
    )


def control(server: Server, method: str, **plan: Any) -> httpx.Response:
    return httpx.request(
        method,
        f"{server.endpoint_url}/_local/faults",
        content=json.dumps(plan) if plan else None,
        trust_env=False,
    )


@contextmanager
def faults(server: Server, **plan: Any) -> Iterator[None]:
    assert control(server, "PUT", **plan).status_code == 200
    try:
        yield
    finally:
        control(server, "DELETE")


def one_then_none(kind: str) -> int:
    """A seed with which the first request is hit, and the next ones are not."""
    for seed in range(1000):
        plan = Plan(seed=seed, rate=0.5, kinds=(kind,))
        if [plan.fault(number) for number in (1, 2, 3)] == [kind, None, None]:
            return seed
    raise AssertionError("no such seed")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients do not wait before they try again."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.mark.parametrize(("service", "kind"), SHAPES)
def test_an_error_has_the_services_own_shape(server: Server, service: str, kind: str) -> None:
    name, call = CALLS[service]
    api = client_of(server, name, attempts=1)
    with faults(server, rate=1, kinds=[kind], services=[service]):
        with pytest.raises(ClientError) as caught:
            call(api)
        report = control(server, "GET").json()
    error = caught.value.response
    status = error["ResponseMetadata"]["HTTPStatusCode"]
    assert (error["Error"]["Code"], status) == SHAPES[service, kind]
    assert error["Error"]["Message"]
    assert report["injected"] == {f"{service}:{kind}": 1}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("service", CALLS)
def test_a_real_client_tries_again(server: Server, service: str, kind: str, at_once: None) -> None:
    name, call = CALLS[service]
    api = client_of(server, name)
    with faults(server, seed=one_then_none(kind), rate=0.5, kinds=[kind], services=[service]):
        answer = call(api)
        report = control(server, "GET").json()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1
    assert report["injected"] == {f"{service}:{kind}": 1}
    assert report["requests"] == 2


def test_what_is_refused_is_not_done(server: Server) -> None:
    s3 = client_of(server, "s3", attempts=1)
    for kind in (THROTTLE, ERROR):
        with faults(server, rate=1, kinds=[kind]), pytest.raises(ClientError):
            s3.put_object(Bucket="bucket", Key=f"refused/{kind}", Body=b"x" * 100_000)
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket", Prefix="refused/")


def test_what_lost_its_answer_is_done(server: Server) -> None:
    s3, glue = client_of(server, "s3", attempts=1), client_of(server, "glue", attempts=1)
    with faults(server, rate=1, kinds=[LOST]):
        with pytest.raises(ConnectionClosedError):
            s3.put_object(Bucket="bucket", Key="lost", Body=b"content")
        with pytest.raises(ConnectionClosedError):
            s3.get_object(Bucket="bucket", Key="lost")
        with pytest.raises(ConnectionClosedError):
            glue.create_database(DatabaseInput={"Name": "lost"})
    assert s3.get_object(Bucket="bucket", Key="lost")["Body"].read() == b"content"
    assert glue.get_database(Name="lost")["Database"]["Name"] == "lost"


def test_only_the_services_that_are_named(server: Server) -> None:
    with faults(server, rate=1, services=["glue"]):
        client_of(server, "s3", attempts=1).list_buckets()
        with pytest.raises((ClientError, ConnectionClosedError)):
            client_of(server, "glue", attempts=1).get_databases()


def test_off_by_default(server: Server, tmp_path: Path) -> None:
    assert control(server, "GET").json() == {"plan": None, "requests": 0, "injected": {}}
    assert Faults().next("s3") is None


def test_from_the_start(tmp_path: Path) -> None:
    plan = Plan.parse("seed=3 rate=1 kinds=throttle")
    with Server(Config(state=tmp_path, faults=plan), services=["s3"]) as server:
        with pytest.raises(ClientError, match="SlowDown"):
            client_of(server, "s3", attempts=1).list_buckets()
        assert httpx.get(f"{server.endpoint_url}/_local/health", trust_env=False).is_success


def test_the_same_seed_gives_the_same_faults() -> None:
    def sequence(seed: int) -> list[str | None]:
        found = Faults(Plan(seed=seed, rate=0.05))
        return [found.next("s3") for _ in range(2000)]

    assert sequence(7) == sequence(7)
    assert sequence(7) != sequence(8)
    hit = [kind for kind in sequence(7) if kind]
    assert 60 <= len(hit) <= 140
    assert set(hit) == set(KINDS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate=2", "expected a share from 0 to 1"),
        ("rate=often", "rate='often': expected a number"),
        ("kinds=crash", "kinds=crash: expected some of throttle, error, lost"),
        ("speed=3", "speed: expected seed, rate, kinds, services"),
        ("throttle", "'throttle': expected name=value"),
    ],
)
def test_a_plan_that_is_none_is_refused(
    server: Server, text: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(BadPlan, match=said.split(":")[0]):
        Plan.parse(text)
    assert main(["--state", str(tmp_path), "--faults", text]) == 2
    assert said in capsys.readouterr().err


def test_a_plan_at_run_time_that_is_none_is_refused(server: Server) -> None:
    answer = control(server, "PUT", rate=3)
    assert answer.status_code == 400
    assert "expected a share" in answer.json()["message"]
    assert control(server, "POST", rate=1).status_code == 405
    assert control(server, "GET").json()["plan"] is None
