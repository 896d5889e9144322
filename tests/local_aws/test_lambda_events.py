"""Objects that arrive in a bucket invoke a function, as far as its policy lets S3 in."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local_aws.instance import Config
from local_aws.server import Server

COPIES = """
import boto3, os
from urllib.parse import unquote_plus

def handler(event, context):
    s3 = boto3.client("s3")
    for record in event["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])
        body = s3.get_object(Bucket=record["s3"]["bucket"]["name"], Key=key)["Body"].read()
        s3.put_object(Bucket=os.environ["TARGET"], Key=key, Body=body.upper())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"))
    with Server(config, services=["s3", "logs", "lambda"]) as running:
        yield running


@pytest.fixture(scope="module")
def function(client: Callable[[str], Any]) -> str:
    """The ARN of a function that copies new objects in capitals to the bucket `target`."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = client("iam").create_role(RoleName="copies", AssumeRolePolicyDocument=json.dumps(trust))[
        "Role"
    ]["Arn"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", COPIES)
    client("s3").create_bucket(Bucket="target")
    return client("lambda").create_function(
        FunctionName="copies",
        Runtime="python3.11",
        Role=role,
        Handler="handler.handler",
        Code={"ZipFile": buffer.getvalue()},
        Timeout=30,
        MemorySize=256,
        Environment={"Variables": {"TARGET": "target"}},
    )["FunctionArn"]


def notify(client: Callable[[str], Any], bucket: str, function: str) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )


def target(client: Callable[[str], Any]) -> list[str]:
    listed = client("s3").list_objects_v2(Bucket="target").get("Contents", [])
    return [item["Key"] for item in listed]


def test_an_object_invokes_the_function(client: Callable[[str], Any], function: str) -> None:
    client("lambda").add_permission(
        FunctionName=function,
        StatementId="landing",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::landing",
        SourceAccount="123456789012",
    )
    notify(client, "landing", function)
    s3 = client("s3")
    keys = [f"stores/2026-01-05/ação {n}.csv" for n in range(10)]
    for key in keys:
        s3.put_object(Bucket="landing", Key=key, Body=b"id;nome")
    deadline = time.monotonic() + 20
    while target(client) != keys:
        assert time.monotonic() < deadline, target(client)
        time.sleep(0.1)
    assert s3.get_object(Bucket="target", Key=keys[0])["Body"].read() == b"ID;NOME"


def test_a_bucket_that_the_policy_does_not_name_invokes_nothing(
    server: Server, client: Callable[[str], Any], function: str
) -> None:
    event = {"Records": [{"s3": {"bucket": {"arn": "arn:aws:s3:::stranger"}}}]}
    engine: Any = server.aws.services["lambda"]
    with pytest.raises(Exception, match=r"does not let s3\.amazonaws\.com invoke it"):
        engine.on_event(event, function)
    assert not server.aws.store.list("lambda/event")
