"""What every service shares: the gateway, durable state, waiting calls, moto's services."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
import moto
import pytest
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError
from moto.backends import get_backend

from local_aws.control_plane import MOTO_SERVICES
from local_aws.database import Database
from local_aws.instance import ENGINES, Config
from local_aws.server import Server
from local_aws.service import AwsError, Request, Response, Service, Unsupported, operation
from local_aws.sqs.messages import Message
from local_aws.store import Store
from local_aws.sweep import Sweep

ROOT = Path(__file__).resolve().parents[2]


class Queries(Service):
    """An Athena of three operations."""

    service_name = "athena"

    @operation("QueryString", ignores={"ClientRequestToken": "every start is a new query"})
    def StartQueryExecution(self, request: Request) -> Response:
        """Start a query that never ends by itself."""
        name = request["QueryString"]
        self.aws.store.put("test/query", name, {"state": "RUNNING"})
        return {"QueryExecutionId": name}

    @operation("QueryExecutionId")
    def GetQueryExecution(self, request: Request) -> Response:
        """Give a query's state, waiting while it runs."""
        name = request["QueryExecutionId"]
        if name == "broken":
            raise ZeroDivisionError("a mistake of the engine")
        if name == "missing":
            raise AwsError(
                "InvalidRequestException", "no such query", AthenaErrorCode="INVALID_INPUT"
            )
        self.aws.wait_for(lambda: self.state(name) != "RUNNING")
        return {
            "QueryExecution": {
                "QueryExecutionId": name,
                "Status": {"State": self.state(name), "SubmissionDateTime": self.aws.now()},
            }
        }

    @operation("QueryExecutionId")
    def StopQueryExecution(self, request: Request) -> Response:
        """End a query."""
        self.aws.store.update("test/query", request["QueryExecutionId"], state="CANCELLED")
        return {}

    def state(self, name: str) -> str:
        document = self.aws.store.get("test/query", name)
        return document["state"] if document else "FAILED"


@cache
def client_of(endpoint_url: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@contextmanager
def serving(state: Path, **settings: Any) -> Iterator[Server]:
    server = Server(Config(state=state, **settings), services=["s3", "sqs"])
    server.aws.services["athena"] = Queries(server.aws)
    with server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("core"), wait_seconds=8, max_waiting=2) as running:
        yield running


@pytest.fixture
def athena(server: Server) -> Any:
    return client_of(server.endpoint_url, "athena")


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    error = response["Error"]
    return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error["Message"]


# The gateway


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("dynamodb", "list_tables"),
        ("ec2", "describe_instances"),
        ("batch", "list_jobs"),
        ("route53", "list_hosted_zones"),
        ("emr", "list_clusters"),
    ],
)
def test_a_service_that_is_not_there_is_refused_by_name(
    server: Server, service: str, call: str
) -> None:
    """In the service's own protocol: JSON, EC2's, REST with JSON, REST with XML."""
    client = client_of(server.endpoint_url, service)
    code, status, message = error_of(getattr(client, call))
    assert (code, status) == ("NotImplemented", 501)
    signing_name = client.meta.service_model.signing_name
    assert f"does not support the service {signing_name}." in message
    assert "Supported services:" in message


def test_a_service_that_nobody_knows(server: Server) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.endpoint_url).netloc, timeout=10)
    scope = "Credential=AKID/20260105/us-east-1/made-up/aws4_request"
    connection.request("POST", "/", b"{}", {"Authorization": f"AWS4-HMAC-SHA256 {scope}, x"})
    answer = connection.getresponse()
    assert answer.status == 501
    assert "the service made-up" in json.loads(answer.read())["message"]


def test_every_service_is_served_once() -> None:
    assert not set(ENGINES) & set(MOTO_SERVICES)


def test_an_operation_that_is_not_there_is_refused_by_name(athena: Any) -> None:
    code, status, message = error_of(athena.list_data_catalogs)
    assert (code, status) == ("NotImplemented", 501)
    assert "athena:ListDataCatalogs" in message


def test_an_option_that_is_not_there_is_refused_by_name(athena: Any) -> None:
    code, status, message = error_of(
        athena.start_query_execution, QueryString="select 1", WorkGroup="primary"
    )
    assert (code, status) == ("NotImplemented", 501)
    assert "the option WorkGroup of athena:StartQueryExecution" in message
    assert "Supported options: QueryString" in message


def test_an_option_that_is_ignored_is_accepted(athena: Any) -> None:
    answer = athena.start_query_execution(QueryString="ignored", ClientRequestToken="x" * 32)
    assert answer["QueryExecutionId"] == "ignored"
    athena.stop_query_execution(QueryExecutionId="ignored")


def test_an_error_has_the_shape_of_its_service(athena: Any) -> None:
    with pytest.raises(athena.exceptions.InvalidRequestException) as caught:
        athena.get_query_execution(QueryExecutionId="missing")
    response = caught.value.response
    assert response["Error"]["Message"] == "no such query"
    assert response["AthenaErrorCode"] == "INVALID_INPUT"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_mistake_of_an_engine_is_a_server_error(server: Server) -> None:
    once = boto3.session.Session().client(
        "athena",
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=BotoConfig(retries={"total_max_attempts": 1}),
    )
    code, status, message = error_of(once.get_query_execution, QueryExecutionId="broken")
    assert (code, status) == ("InternalServerException", 500)
    assert "ZeroDivisionError: a mistake of the engine" in message


def test_times_arrive_as_times(athena: Any) -> None:
    answer = athena.get_query_execution(QueryExecutionId="not started")["QueryExecution"]
    submitted = answer["Status"]["SubmissionDateTime"]
    assert abs((submitted - datetime.now(UTC)).total_seconds()) < 60


def test_unsupported_names_the_remedy() -> None:
    error = Unsupported("the statement GRANT", "Everybody may do everything.")
    assert error.code == "NotImplemented"
    assert error.message == (
        "The embedded AWS does not support the statement GRANT. Everybody may do everything."
        " See local_aws/FIDELITY.md."
    )


# Waiting calls


def test_a_waiting_call_wakes_when_the_state_changes(server: Server, athena: Any) -> None:
    athena.start_query_execution(QueryString="waited for")
    answered: list[tuple[str, float]] = []

    def wait() -> None:
        status = athena.get_query_execution(QueryExecutionId="waited for")["QueryExecution"]
        answered.append((status["Status"]["State"], time.monotonic()))

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.7)
    assert answered == []
    changed = time.monotonic()
    server.aws.store.update("test/query", "waited for", state="SUCCEEDED")
    waiter.join()
    ((state, moment),) = answered
    assert state == "SUCCEEDED"
    assert moment - changed < 2


def test_a_waiting_call_gives_up_in_time(tmp_path: Path) -> None:
    with serving(tmp_path, wait_seconds=0.5) as server:
        athena = client_of(server.endpoint_url, "athena")
        athena.start_query_execution(QueryString="endless")
        start = time.monotonic()
        answer = athena.get_query_execution(QueryExecutionId="endless")["QueryExecution"]
        assert answer["Status"]["State"] == "RUNNING"
        assert 0.5 <= time.monotonic() - start < 5


def test_waiting_calls_are_capped(server: Server, athena: Any) -> None:
    """With two calls waiting, a third is answered at once, and so is everything else."""
    athena.start_query_execution(QueryString="crowded")
    waiters = [
        threading.Thread(target=athena.get_query_execution, kwargs={"QueryExecutionId": "crowded"})
        for _ in range(2)
    ]
    for waiter in waiters:
        waiter.start()
    time.sleep(0.7)
    start = time.monotonic()
    answer = athena.get_query_execution(QueryExecutionId="crowded")["QueryExecution"]
    client_of(server.endpoint_url, "s3").list_buckets()
    took = time.monotonic() - start
    assert answer["Status"]["State"] == "RUNNING"
    assert all(waiter.is_alive() for waiter in waiters)
    assert took < 4
    athena.stop_query_execution(QueryExecutionId="crowded")
    for waiter in waiters:
        waiter.join(5)
        assert not waiter.is_alive()


def test_health_answers_while_as_many_calls_wait_as_may(tmp_path: Path) -> None:
    """With the limits that everybody has, and each waiting call on a connection of its own."""
    config = Config(state=tmp_path)
    with Server(config, services=["s3", "sqs"]) as server:
        queues = client_of(server.endpoint_url, "sqs")
        url = queues.create_queue(QueueName="awaited")["QueueUrl"]
        polls = [
            http.client.HTTPConnection(urlsplit(server.endpoint_url).netloc, timeout=30)
            for _ in range(config.max_waiting)
        ]
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKID/20260105/us-east-1/sqs/aws4_request",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "AmazonSQS.ReceiveMessage",
        }
        for poll in polls:
            poll.request("POST", "/", json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}), headers)
        deadline = time.monotonic() + 10
        while server.aws._waiting._value and time.monotonic() < deadline:
            time.sleep(0.02)
        health = http.client.HTTPConnection(urlsplit(server.endpoint_url).netloc, timeout=2)
        health.request("GET", "/_local/health")
        assert health.getresponse().status == 200
        for _ in polls:
            queues.send_message(QueueUrl=url, MessageBody="x")
        assert {poll.getresponse().status for poll in polls} == {200}


def test_calls_that_wait_do_not_hold_up_the_stop(tmp_path: Path) -> None:
    """They are answered; whoever stops the server may have no patience before it kills."""
    answers: list[Any] = []
    with serving(tmp_path) as server:
        queues, athena = (client_of(server.endpoint_url, name) for name in ("sqs", "athena"))
        url = queues.create_queue(QueueName="awaited")["QueueUrl"]
        athena.start_query_execution(QueryString="endless")
        calls: list[Callable[[], Any]] = [
            lambda: queues.receive_message(QueueUrl=url, WaitTimeSeconds=20),
            lambda: athena.get_query_execution(QueryExecutionId="endless"),
        ]
        waiting = [
            threading.Thread(target=lambda call=call: answers.append(call())) for call in calls
        ]
        for each in waiting:
            each.start()
        most = server.aws.config.max_waiting
        deadline = time.monotonic() + 10
        while server.aws._waiting._value > most - 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        started = time.monotonic()
    assert time.monotonic() - started < 8
    for each in waiting:
        each.join(5)
    assert len(answers) == 2


# The store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.sqlite")
    yield made
    made.close()


def test_a_document_comes_back_as_it_was(store: Store) -> None:
    document = {
        "time": datetime(2026, 1, 5, 3, 0, 0, 123000, tzinfo=UTC),
        "nested": [{"bytes": b"\x00\xff", "text": "ação"}],
        "none": None,
        "number": Decimal("1.5"),
    }
    store.put("a/b", "k", document)
    assert store.get("a/b", "k") == document
    assert store.get("a/b", "other") is None
    assert store.get("a/c", "k") is None
    document["none"] = 1
    assert store.get("a/b", "k") != document
    with pytest.raises(TypeError):
        store.put("a/b", "k", {"set": {1}})
    assert store.delete("a/b", "k") is True
    assert store.delete("a/b", "k") is False
    with pytest.raises(KeyError):
        store.update("a/b", "k", x=1)


def test_lists_are_in_order_and_narrowed(store: Store) -> None:
    for key in ("b", "a/2", "a/10", "a", "a0", "a/ç", "ab"):
        store.put("k", key, {"is": key})
    store.put("other", "a/x", {})
    assert [key for key, _ in store.list("k")] == ["a", "a/10", "a/2", "a/ç", "a0", "ab", "b"]
    assert store.list("k", "a/1") == [("a/10", {"is": "a/10"})]
    assert [key for key, _ in store.list("k", "a/")] == ["a/10", "a/2", "a/ç"]
    assert store.keys("k", "a/") == ("a/10", "a/2", "a/ç")
    assert [key for key, _ in store.list("k", after="a/2", limit=2)] == ["a/ç", "a0"]
    assert store.clear("k", "a/") == 3
    assert store.keys("k") == ("a", "a0", "ab", "b")


def test_a_transaction_is_written_whole_or_not_at_all(store: Store) -> None:
    store.put("k", "kept", {"n": 1})

    def fail() -> None:
        with store.transaction():
            store.put("k", "new", {})
            store.update("k", "kept", n=2)
            with store.transaction():
                store.delete("k", "kept")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        fail()
    assert store.list("k") == [("kept", {"n": 1})]


def test_a_full_disk_is_named_and_leaves_what_was(tmp_path: Path) -> None:
    """SQLite undoes such a transaction itself: there is nothing left to roll back."""
    database = Database(tmp_path / "full.sqlite", "CREATE TABLE line (text TEXT)")
    database.rows("PRAGMA max_page_count = 20")

    def write(text: str) -> None:
        with database.transaction() as db:
            db.execute("INSERT INTO line VALUES (?)", (text,))

    write("kept")
    with pytest.raises(sqlite3.OperationalError, match="database or disk is full"):
        write("x" * 1_000_000)
    write("kept too")
    assert [row["text"] for row in database.rows("SELECT text FROM line")] == ["kept", "kept too"]
    database.close()


def test_counting_from_many_threads_loses_nothing(store: Store) -> None:
    store.put("k", "counter", {"n": 0})

    def count() -> None:
        for _ in range(50):
            with store.transaction():
                document = store.get("k", "counter")
                assert document
                store.update("k", "counter", n=document["n"] + 1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("k", "counter") == {"n": 400}


DYING = """
import os, sys
from pathlib import Path
from local_aws.store import Store
store = Store(Path(sys.argv[1]))
store.put("k", "written", {"n": 1})
with store.transaction():
    store.put("k", "unfinished", {})
    os._exit(9)
"""


def test_what_was_written_survives_the_death_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    process = subprocess.run([sys.executable, "-c", DYING, str(path)], cwd=ROOT, check=False)
    assert process.returncode == 9
    store = Store(path)
    assert store.list("k") == [("written", {"n": 1})]
    store.close()


# moto's services


SERVE = """
import sys, time
from pathlib import Path
from local_aws.instance import Config
from local_aws.server import Server
server = Server(Config(state=Path(sys.argv[1])), services=["s3", "sqs", "kinesis"])
server.start()
print(server.endpoint_url, flush=True)
time.sleep(300)
"""


@contextmanager
def process_serving(state: Path) -> Iterator[str]:
    """The URL of a server in a process of its own, which is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(state)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_motos_services_survive_the_death_of_the_process(tmp_path: Path) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    with process_serving(tmp_path) as url:
        role = client_of(url, "iam").create_role(RoleName="night", AssumeRolePolicyDocument=trust)
        topic = client_of(url, "sns").create_topic(Name="reports")["TopicArn"]
        queues = client_of(url, "sqs")
        queue = queues.create_queue(QueueName="reports")["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        client_of(url, "sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )
        queues.send_message(QueueUrl=queue, MessageBody="before")
        client_of(url, "secretsmanager").create_secret(Name="password", SecretString="s3cret")
        client_of(url, "ssm").put_parameter(Name="/a", Value="1", Type="String")
        keys = client_of(url, "kms")
        key = keys.create_key()["KeyMetadata"]["KeyId"]
        cipher = keys.encrypt(KeyId=key, Plaintext=b"hidden")["CiphertextBlob"]
        signing = keys.create_key(KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048")["KeyMetadata"]
        public = keys.get_public_key(KeyId=signing["KeyId"])["PublicKey"]
        client_of(url, "kinesis").create_stream(StreamName="clicks", ShardCount=1)
        client_of(url, "cloudwatch").put_dashboard(DashboardName="d", DashboardBody="{}")
        client_of(url, "sns").publish(TopicArn=topic, Message="published last")
    with process_serving(tmp_path) as url:
        found = client_of(url, "iam").get_role(RoleName="night")["Role"]
        assert found["Arn"] == role["Role"]["Arn"] == "arn:aws:iam::123456789012:role/night"
        assert found["CreateDate"] == role["Role"]["CreateDate"]
        secret = client_of(url, "secretsmanager").get_secret_value(SecretId="password")
        assert secret["SecretString"] == "s3cret"
        parameter = client_of(url, "ssm").get_parameter(Name="/a")["Parameter"]
        assert parameter["Value"] == "1"
        keys = client_of(url, "kms")
        assert keys.decrypt(CiphertextBlob=cipher)["Plaintext"] == b"hidden"
        assert keys.get_public_key(KeyId=signing["KeyId"])["PublicKey"] == public
        assert client_of(url, "kinesis").list_streams()["StreamNames"] == ["clicks"]
        dashboards = client_of(url, "cloudwatch").list_dashboards()["DashboardEntries"]
        assert [each["DashboardName"] for each in dashboards] == ["d"]
        queues = client_of(url, "sqs")
        queue = queues.get_queue_url(QueueName="reports")["QueueUrl"]

        def receive() -> str:
            (message,) = queues.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
            queues.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return message["Body"]

        assert receive() == "before"
        assert json.loads(receive())["Message"] == "published last"
        assert "Messages" not in queues.receive_message(QueueUrl=queue)
        client_of(url, "sns").publish(TopicArn=topic, Message="published again")
        assert json.loads(receive())["Message"] == "published again"


@pytest.mark.parametrize("version", ["5.0.1", "99.0.0"])
def test_another_version_of_moto_goes_on_with_the_state(tmp_path: Path, version: str) -> None:
    """It is carried over once: what is changed from then on counts."""
    in_memory = get_backend("ssm")
    in_memory.clear()
    with serving(tmp_path) as server:
        client_of(server.endpoint_url, "ssm").put_parameter(Name="/a", Value="1", Type="String")
    folder = tmp_path / "moto"
    (folder / moto.__version__).rename(folder / version)
    for value in ("1", "2", "3"):
        in_memory.clear()
        with serving(tmp_path) as server:
            parameters = client_of(server.endpoint_url, "ssm")
            assert parameters.get_parameter(Name="/a")["Parameter"]["Value"] == value
            following = str(int(value) + 1)
            parameters.put_parameter(Name="/a", Value=following, Type="String", Overwrite=True)
    assert (folder / version / "ssm.carried-over").exists()


def test_a_state_that_moto_cannot_read_stops_the_start(tmp_path: Path) -> None:
    """Better than to begin empty, and to be surprised by what is missing."""
    snapshot = tmp_path / "moto" / "4.0.0" / "iam.pickle"
    snapshot.parent.mkdir(parents=True)
    snapshot.write_bytes(b"cmoto.iam.models\nOfAnOlderTime\n.")
    done = subprocess.run(
        [sys.executable, "-m", "local_aws", "--state", str(tmp_path), "--port", "0"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "does not start" in line]
    assert f"moto {moto.__version__} cannot read {snapshot}, which moto 4.0.0 wrote" in line
    assert "OfAnOlderTime" in line
    assert "Install moto==4.0.0" in line
    assert "Traceback" not in done.stderr
    assert snapshot.exists()


def test_motos_services_take_many_callers(server: Server) -> None:
    """State is written down while other calls change it."""
    faults: list[str] = []

    def work(worker: int) -> None:
        queues, roles = (client_of(server.endpoint_url, name) for name in ("sqs", "iam"))
        try:
            for number in range(8):
                name = f"many-{worker}-{number}"
                url = queues.create_queue(QueueName=name)["QueueUrl"]
                queues.send_message(QueueUrl=url, MessageBody=name)
                roles.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
        except ClientError as error:
            faults.append(str(error))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    listed = client_of(server.endpoint_url, "sqs").list_queues(QueueNamePrefix="many-")
    assert len(listed["QueueUrls"]) == 40


def test_what_is_published_is_not_kept_twice(server: Server, tmp_path: Path) -> None:
    """Messages are in the queues; moto's own list of them would grow with every night."""
    topics = client_of(server.endpoint_url, "sns")
    topic = topics.create_topic(Name="kept-once")["TopicArn"]
    snapshot = server.aws.config.state / "moto" / moto.__version__ / "sns.pickle"
    size = snapshot.stat().st_size
    for _ in range(3):
        topics.publish(TopicArn=topic, Message="a long story " * 1000)
    assert snapshot.stat().st_size == size
    kept: Any = get_backend("sns")["123456789012"]["us-east-1"].topics[topic]
    assert len(kept.sent_notifications) == 3
    server._sweep.once()
    assert kept.sent_notifications == []
    assert snapshot.stat().st_size <= size


# The sweep


def test_old_things_go_while_the_server_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a queue that nobody reads."""
    monkeypatch.setattr("local_aws.sweep.INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr("local_aws.sqs.engine._FORGET_MS", 0)
    with serving(tmp_path) as server:
        queues = client_of(server.endpoint_url, "sqs")
        short = {"MessageRetentionPeriod": "60"}
        url = queues.create_queue(QueueName="unread", Attributes=short)["QueueUrl"]
        engine: Any = server.aws.services["sqs"]
        queue = engine.queue("unread")["id"]
        sent = time.time_ns() // 1_000_000
        for age in (61_000, 0):
            engine._messages.add(queue, [(Message(str(age), "x", sent=sent - age), sent - age)])
        count = "ApproximateNumberOfMessages"

        def left() -> str:
            answer = queues.get_queue_attributes(QueueUrl=url, AttributeNames=[count])
            return answer["Attributes"][count]

        deadline = time.monotonic() + 5
        while left() != "1":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_one_failure_does_not_end_the_sweep() -> None:
    swept: list[str] = []

    def failing() -> None:
        swept.append("failing")
        raise OSError("No space left on device")

    sweep = Sweep(
        {
            "one": SimpleNamespace(expire=failing),
            "two": SimpleNamespace(expire=lambda: swept.append("two")),
        }
    )
    sweep.once()
    sweep.once()
    assert swept == ["failing", "two"] * 2
    sweep.stop()
    sweep.once()
    assert len(swept) == 4


# The server


def test_health(server: Server) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.endpoint_url).netloc, timeout=10)
    connection.request("GET", "/_local/health")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (200, {"status": "ok"})


def test_a_port_in_use_is_an_error(server: Server, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="use"):
        Server(Config(state=tmp_path, port=server.aws.port), services=["s3"]).start()


def test_two_servers_have_their_own_state(server: Server, tmp_path: Path) -> None:
    with serving(tmp_path) as other:
        client_of(other.endpoint_url, "s3").create_bucket(Bucket="of-the-other")
        buckets = client_of(server.endpoint_url, "s3").list_buckets()["Buckets"]
        assert "of-the-other" not in [bucket["Name"] for bucket in buckets]
    assert os.listdir(tmp_path / "s3") == ["of-the-other"]
