"""The deployment, from nothing and again, on a whole embedded AWS."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.sample_data.event_producer import Kinesis, Producer, Sqs
from include.sample_data.events import Options, lines
from include.sample_data.tmdb_api import TmdbApi, films
from infra import deploy as command
from infra.artifacts import Artifact
from infra.deploy import deploy, read_parameters
from infra.stack import DeploymentError, Stack
from local_aws.instance import Config
from local_aws.server import Server

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = (ROOT / "infra" / "template.yaml").read_text()
PARAMETERS = {"Prefix": "madrugada-test", "BufferSeconds": "1", "CollectSeconds": "1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws"))) as running:
        yield running


class Session:
    """A boto3 session whose clients speak to the embedded AWS."""

    def __init__(self, server: Server) -> None:
        self.client: Callable[[str], Any] = server.aws.client


@pytest.fixture(scope="module")
def session(server: Server) -> Session:
    return Session(server)


@pytest.fixture(scope="module")
def films_api() -> Iterator[TmdbApi]:
    """TMDB's stand-in, which the parameters name."""
    with TmdbApi("a valid key", films(45, 2026)) as running:
        PARAMETERS["TmdbBaseUrl"] = running.url
        yield running


@pytest.fixture(scope="module")
def deployed(session: Session, films_api: TmdbApi) -> tuple[dict[str, str], list[str]]:
    """The stack's outputs, and what the first deployment told."""
    told: list[str] = []
    return deploy(session, "madrugada", PARAMETERS, TEMPLATE, told.append), told


def test_the_first_deployment_makes_everything(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    outputs, told = deployed
    assert outputs["LandingBucket"] == "madrugada-test-landing"
    assert outputs["IngestFunction"] == "madrugada-ingest"
    uploaded = [line.rpartition("/")[2] for line in told if line.startswith("uploaded")]
    assert {"bronze_to_silver.py", "madrugada_spark.zip", "contracts.json"} <= set(uploaded)
    glue = session.client("glue")
    job = glue.get_job(JobName="madrugada-bronze-to-silver")["Job"]
    assert job["Role"] == outputs["GlueRoleArn"]
    assert job["NumberOfWorkers"] == 2
    location = re.fullmatch(r"s3://([^/]+)/(.+)", job["Command"]["ScriptLocation"])
    assert location
    session.client("s3").head_object(Bucket=location[1], Key=location[2])
    assert glue.get_crawler(Name="madrugada-bronze")["Crawler"]["State"] == "READY"
    group = session.client("athena").get_work_group(WorkGroup="madrugada")["WorkGroup"]
    results = group["Configuration"]["ResultConfiguration"]["OutputLocation"]
    assert results == "s3://madrugada-test-query-results/athena/"
    redshift = session.client("redshift-serverless")
    namespace = redshift.get_namespace(namespaceName="madrugada")["namespace"]
    assert namespace["dbName"] == "dev"


def test_deploying_again_changes_nothing(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    told: list[str] = []
    before = session.client("s3").list_objects_v2(Bucket="madrugada-test-artifacts")["Contents"]
    assert deploy(session, "madrugada", PARAMETERS, TEMPLATE, told.append) == deployed[0]
    assert told == ["madrugada is up to date"]
    after = session.client("s3").list_objects_v2(Bucket="madrugada-test-artifacts")["Contents"]
    assert after == before


def test_a_delivered_file_is_ingested(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    s3 = session.client("s3")
    s3.put_object(
        Bucket="madrugada-test-landing",
        Key="orders/2026-01-05/sales_data.csv",
        Body=b"id,product,quantity,price,date\n1,Laptop,1,1200.00,2024-01-01\n",
    )
    s3.get_waiter("object_exists").wait(
        Bucket="madrugada-test-bronze",
        Key="_manifests/orders/2026-01-05.json",
        WaiterConfig={"Delay": 1, "MaxAttempts": 15},
    )
    manifest = s3.get_object(
        Bucket="madrugada-test-bronze", Key="_manifests/orders/2026-01-05.json"
    )
    assert json.loads(manifest["Body"].read())["status"] == "complete"


def test_events_come_to_bronze_through_both_doors_and_their_day_is_closed(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    """Ten events through each; one message is no event, and waits where it can be looked at."""
    s3 = session.client("s3")
    made = list(lines(Options(count=20)))
    today = datetime.now(UTC).date()
    assert Producer(Kinesis(session.client("kinesis"))).run(made[:10]).accepted == 10
    assert Producer(Sqs(session.client("sqs"))).run([*made[10:], "{broken"]).accepted == 11

    def arrived() -> list[str]:
        found = []
        for item in s3.list_objects_v2(Bucket="madrugada-test-bronze", Prefix="clickstream/")[
            "Contents"
        ]:
            shape = r"clickstream/events/ingest_date=\d{4}-\d\d-\d\d/hour=\d\d/[^/]+\.gz"
            assert re.fullmatch(shape, item["Key"])
            body = s3.get_object(Bucket="madrugada-test-bronze", Key=item["Key"])["Body"].read()
            found += gzip.decompress(body).decode().splitlines()
        return found

    deadline = time.monotonic() + 120
    while True:
        try:
            found = arrived()
        except KeyError:
            found = []
        if len(found) >= 20 or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert sorted(found) == sorted(made)

    def close(open_hours: str) -> dict[str, Any]:
        request = {
            "delivery_date": str(today),
            "source": "clickstream",
            "open_hours": open_hours,
        }
        answer = session.client("lambda").invoke(
            FunctionName="madrugada-close-day", Payload=json.dumps(request).encode()
        )
        return json.loads(answer["Payload"].read())

    assert close("refuse")["errorType"] == "DeliveryError"
    if datetime.now(UTC).date() == today:
        assert close("take")["objects"] >= 2
    salt = session.client("secretsmanager").get_secret_value(
        SecretId="madrugada-test-clickstream-salt"
    )
    assert re.fullmatch("[A-Za-z0-9]{64}", salt["SecretString"])


def test_what_is_too_large_is_refused_at_each_door_in_the_service_s_words(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    """More than 1 MiB, with the partition key where there is one, which has 32 bytes."""

    def event(size: int) -> str:
        return json.dumps({"event_id": "large", "page_url": ""}).replace('""', f'"{"x" * size}"')

    length = len(event(0))
    doors = {
        Kinesis: ((1 << 20) - 31, "Member must have length less than or equal to 1048576"),
        Sqs: ((1 << 20) + 1, "BatchRequestTooLong: Batch requests cannot be longer than 1048576"),
    }
    for door, (size, said) in doors.items():
        opened = door(session.client(door.__name__.lower()))
        sent = Producer(opened).run([event(size - length)])
        assert sent.accepted == 0
        ((line, reason),) = sent.refused
        assert line == 1
        assert said in reason


def test_a_message_that_is_no_event_ends_with_the_dead_letters(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    """After it was refused three times."""
    sqs = session.client("sqs")
    url = sqs.get_queue_url(QueueName="madrugada-clickstream")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName="madrugada-clickstream-dead-letters")["QueueUrl"]
    usual = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    bad = ['{"no": "event"}', "[]"]
    try:
        assert Producer(Sqs(sqs)).run(bad).accepted == 2
        found: set[str] = set()
        deadline = time.monotonic() + 60
        while found < set(bad) and time.monotonic() < deadline:
            answer = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10, WaitTimeSeconds=5)
            found |= {message["Body"] for message in answer.get("Messages", [])}
        assert set(bad) <= found
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=usual["Attributes"])


def test_every_line_of_a_day_is_a_row_of_the_table_of_events(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    """Broken lines in every file: the crawler finds the hours, and they are rows of nulls."""
    s3, glue, athena = (session.client(name) for name in ("s3", "glue", "athena"))
    day, bucket = "2026-01-05", "madrugada-test-bronze"

    def arrive(hour: str, *body: str) -> None:
        key = f"clickstream/events/ingest_date={day}/hour={hour}/part.gz"
        s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress("\n".join(body).encode()))

    def lines_of_the_manifest() -> int:
        session.client("lambda").invoke(
            FunctionName="madrugada-close-day",
            Payload=json.dumps({"delivery_date": day, "source": "clickstream"}).encode(),
        )
        manifest = s3.get_object(Bucket=bucket, Key=f"_manifests/clickstream/{day}.json")
        keys = [file["key"] for file in json.loads(manifest["Body"].read())["files"]]
        bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
        return sum(len(gzip.decompress(body).splitlines()) for body in bodies)

    def crawl() -> None:
        glue.start_crawler(Name="madrugada-clickstream")
        while (found := glue.get_crawler(Name="madrugada-clickstream")["Crawler"])[
            "State"
        ] != "READY":
            pass
        assert found["LastCrawl"]["Status"] == "SUCCEEDED", found["LastCrawl"]

    def rows() -> list[tuple[str, ...]]:
        query = f"""
            select hour, count(*), count(event_id), count(distinct device_is_mobile)
            from madrugada_bronze.events where ingest_date = '{day}' group by hour order by hour
        """
        started = athena.start_query_execution(QueryString=query, WorkGroup="madrugada")
        identifier = started["QueryExecutionId"]
        while (
            status := athena.get_query_execution(QueryExecutionId=identifier)["QueryExecution"][
                "Status"
            ]
        )["State"] in ("QUEUED", "RUNNING"):
            pass
        assert status["State"] == "SUCCEEDED", status
        found = athena.get_query_results(QueryExecutionId=identifier)["ResultSet"]["Rows"][1:]
        return [tuple(cell.get("VarCharValue", "") for cell in row["Data"]) for row in found]

    made = list(lines(Options(count=60)))
    arrive("00", *made[:20], made[0][:40], "not JSON at all")
    arrive("13", "{broken", *made[20:50])
    crawl()
    assert rows() == [("00", "22", "20", "2"), ("13", "31", "30", "2")]
    assert lines_of_the_manifest() == 22 + 31
    arrive("23", '"a"', *made[50:])
    crawl()
    assert [row[:3] for row in rows()] == [
        ("00", "22", "20"),
        ("13", "31", "30"),
        ("23", "11", "10"),
    ]
    assert lines_of_the_manifest() == 22 + 31 + 11
    table = glue.get_table(DatabaseName="madrugada_bronze", Name="events")["Table"]
    assert table["VersionId"] == "0"


def test_films_come_to_bronze_once_the_secret_has_the_key(
    session: Session, deployed: tuple[dict[str, str], list[str]], films_api: TmdbApi
) -> None:
    def fetch() -> dict[str, Any]:
        answer = session.client("lambda").invoke(
            FunctionName="madrugada-tmdb", Payload=b'{"delivery_date": "2026-01-05"}'
        )
        return json.loads(answer["Payload"].read())

    refused = fetch()
    assert refused["errorType"] == "DeliveryError"
    assert "the secret madrugada-test-tmdb-api-key has no API key" in refused["errorMessage"]
    secret = {"SecretId": "madrugada-test-tmdb-api-key", "SecretString": films_api.key}
    session.client("secretsmanager").put_secret_value(**secret)
    assert fetch()["films"] == 45
    s3, bucket = session.client("s3"), "madrugada-test-bronze"
    manifest = s3.get_object(Bucket=bucket, Key="_manifests/tmdb/2026-01-05.json")["Body"].read()
    (file,) = json.loads(manifest)["files"]
    assert file["key"] == "RAW/TMDB/JSON/2026/01/05/movies.json"
    found = s3.get_object(Bucket=bucket, Key=file["key"])
    assert len(found["Body"].read().splitlines()) == 45
    assert found["ETag"] == f'"{file["etag"]}"'
    assert s3.list_objects_v2(Bucket=bucket, Prefix="_cursors/")["KeyCount"] == 0


def test_new_code_is_deployed_alone(
    session: Session,
    deployed: tuple[dict[str, str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = command.lambda_artifact
    changed = Artifact("lambdas/ingest-changed.zip", real("ingest").data)
    monkeypatch.setattr(
        command, "lambda_artifact", lambda name: changed if name == "ingest" else real(name)
    )
    told: list[str] = []
    deploy(session, "madrugada", PARAMETERS, TEMPLATE, told.append)
    assert [" ".join(line.split()) for line in told] == [
        "uploaded s3://madrugada-test-artifacts/lambdas/ingest-changed.zip",
        "UPDATE_COMPLETE Lambda::Function IngestFunction",
        "UPDATE_COMPLETE CloudFormation::Stack madrugada",
    ]


def test_reports_and_alarms_can_be_read_from_the_queue(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    outputs, _ = deployed
    sns, sqs = session.client("sns"), session.client("sqs")
    sns.publish(TopicArn=outputs["ReportsTopicArn"], Subject="the night", Message="went well")
    url = sqs.get_queue_url(QueueName=outputs["MessagesQueueName"])["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    body = json.loads(message["Body"])
    assert body["TopicArn"] == outputs["ReportsTopicArn"]
    assert (body["Subject"], body["Message"]) == ("the night", "went well")


def test_a_lost_event_raises_an_alarm(
    session: Session, deployed: tuple[dict[str, str], list[str]]
) -> None:
    configuration = session.client("lambda").get_function_configuration(
        FunctionName="madrugada-ingest"
    )
    assert configuration["DeadLetterConfig"]["TargetArn"] == deployed[0]["AlarmsTopicArn"]


def test_a_failed_deployment_says_why_and_the_next_one_works(session: Session) -> None:
    told: list[str] = []
    stack = Stack(session.client("cloudformation"), "small", told.append)
    bad = """
Resources:
  Good: {Type: AWS::SQS::Queue, Properties: {QueueName: small-good}}
  Bad: {Type: AWS::SQS::Queue, DependsOn: Good, Properties: {QueueName: "no spaces"}}
"""
    with pytest.raises(DeploymentError, match=r"ROLLBACK_COMPLETE:\n  Bad: AWS::SQS::Queue Bad"):
        stack.apply(bad, {})
    assert stack.apply(bad.replace("no spaces", "small-bad"), {})
    assert not stack.apply(bad.replace("no spaces", "small-bad"), {})


def test_an_output_that_cannot_be_told_says_why(session: Session) -> None:
    stack = Stack(session.client("cloudformation"), "untold", print)
    template = """
Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: untold}}}
Outputs: {Colour: {Value: !GetAtt Queue.Colour}}
"""
    with pytest.raises(DeploymentError, match=r"COMPLETE:\n.*attribute type Colour in Fn::GetAtt"):
        stack.apply(template, {})


def test_a_template_that_is_refused_says_why(session: Session) -> None:
    stack = Stack(session.client("cloudformation"), "refused", print)
    with pytest.raises(DeploymentError, match=r"AWS::EC2::Instance"):
        stack.apply("Resources: {A: {Type: AWS::EC2::Instance}}", {})
    with pytest.raises(DeploymentError, match="52000 bytes; CloudFormation takes at most 51200"):
        stack.apply("x" * 52_000, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no parameters file"),
        ("{", "is no JSON"),
        ("[]", "expected an object of text values"),
        ('{"Prefix": 1}', "expected an object of text values"),
        ("{}", "the parameter Prefix is missing"),
        ('{"Prefix": "p", "LambdaCodeKey": "k"}', "LambdaCodeKey is found by the deployment"),
    ],
)
def test_bad_parameter_files(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "parameters.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DeploymentError, match=message) as caught:
        read_parameters(path)
    assert str(path) in str(caught.value)


def test_no_server_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    started = time.monotonic()
    assert command.main([]) == 1
    error = capsys.readouterr().err
    assert error.startswith("deployment failed: Could not connect to the endpoint URL")
    assert "Is it running" in error
    assert time.monotonic() - started < 30
