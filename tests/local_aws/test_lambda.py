"""Lambda, as boto3 and the provider's operator see it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.lambda_ import asynchronous, pool
from local_aws.server import Server

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
HANDLER = """
import json, logging, os, sys, time
logger = logging.getLogger()
logger.setLevel(logging.INFO)
calls = 0

def handler(event, context):
    global calls
    calls += 1
    what = event.get("do")
    if what == "raise":
        raise ValueError("price is missing")
    if what == "sleep":
        time.sleep(event["seconds"])
    if what == "exit":
        os._exit(3)
    if what == "print":
        print("to stdout")
        print("to stderr", file=sys.stderr)
        logger.info("two\\nlines")
        sys.stdout.write("no newline")
    if what == "context":
        return {
            "arn": context.invoked_function_arn, "name": context.function_name,
            "left": context.get_remaining_time_in_millis(), "memory": context.memory_limit_in_mb,
            "id": context.aws_request_id, "stream": context.log_stream_name,
            "custom": context.client_context and context.client_context.custom,
        }
    if what == "environment":
        return {**os.environ, "path": sys.path}
    if what == "set":
        return {1, 2}
    if what == "import":
        __import__(event["module"])
    if what == "eat":
        block = bytearray(400 << 20)
        time.sleep(5)
    if what == "large":
        return "x" * 6_300_000
    return {"calls": calls, "event": event, "pid": os.getpid()}
"""


def zipped(source: str = HANDLER, name: str = "handler.py") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, source)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = Config(state=tmp_path_factory.mktemp("aws"))
    with Server(config, services=["logs", "sqs", "lambda"]) as running:
        yield running


@pytest.fixture(scope="module")
def role(client: Callable[[str], Any]) -> str:
    created = client("iam").create_role(
        RoleName="handler", AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    return created["Role"]["Arn"]


@pytest.fixture(scope="module")
def functions(client: Callable[[str], Any]) -> Any:
    return client("lambda")


@pytest.fixture
def make(functions: Any, role: str) -> Iterator[Callable[..., str]]:
    made: list[str] = []

    def create(name: str, source: str = HANDLER, **options: Any) -> str:
        functions.create_function(
            **{
                "FunctionName": name,
                "Runtime": "python3.11",
                "Role": role,
                "Handler": "handler.handler",
                "Code": {"ZipFile": zipped(source)},
                "MemorySize": 256,
                **options,
            }
        )
        made.append(name)
        return name

    yield create
    for name in made:
        functions.delete_function(FunctionName=name)


def call(functions: Any, name: str, event: Any = None, **options: Any) -> tuple[Any, Any]:
    """The parsed payload, and the whole answer."""
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event or {}), **options)
    return json.loads(answer["Payload"].read()), answer


def error_of(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def wait_until(done: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def messages(client: Callable[[str], Any], group: str) -> list[str]:
    try:
        answer = client("logs").filter_log_events(logGroupName=group)
    except client("logs").exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in answer["events"]]


def test_a_handler_runs_and_stays_warm(functions: Any, make: Callable[..., str]) -> None:
    name = make("warm")
    first, answer = call(functions, name, {"a": 1})
    second, _ = call(functions, name)
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    assert first["event"] == {"a": 1}
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"]


def test_new_code_and_configuration_make_new_environments(
    functions: Any, make: Callable[..., str]
) -> None:
    name = make("replaced")
    before, _ = call(functions, name)
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"AB": "b"}}
    )
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    seen, _ = call(functions, name, {"do": "environment"})
    assert seen["AB"] == "b"
    functions.update_function_code(
        FunctionName=name, ZipFile=zipped("handler = lambda e, c: 'new'")
    )
    assert call(functions, name)[0] == "new"
    with pytest.raises(ProcessLookupError):
        os.kill(before["pid"], 0)


def test_what_a_handler_sees(server: Server, functions: Any, make: Callable[..., str]) -> None:
    name = make("seen", Timeout=30, Environment={"Variables": {"MADRUGADA_PREFIX": "p"}})
    custom = base64.b64encode(b'{"custom": {"k": "v"}}').decode()
    context, _ = call(functions, name, {"do": "context"}, ClientContext=custom)
    assert context["arn"] == f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    assert context["name"] == name
    assert 25_000 < context["left"] <= 30_000
    assert context["memory"] == "256"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", context["stream"])
    assert context["custom"] == {"k": "v"}
    environment, _ = call(functions, name, {"do": "environment"})
    assert environment["AWS_ENDPOINT_URL"] == server.endpoint_url
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert environment["MADRUGADA_PREFIX"] == "p"
    root = str(Path(__file__).resolve().parents[2])
    assert not [path for path in environment["path"] if path == root or "site-packages" in path]


def test_only_the_runtime_packages_can_be_imported(
    functions: Any, make: Callable[..., str]
) -> None:
    name = make("imports", Timeout=20)
    assert "FunctionError" not in call(functions, name, {"do": "import", "module": "boto3"})[1]
    for module in ("duckdb", "airflow", "local_aws"):
        payload, answer = call(functions, name, {"do": "import", "module": module})
        assert answer["FunctionError"] == "Unhandled"
        assert payload["errorMessage"] == f"No module named '{module}'"


def test_an_error_has_the_shape_of_aws(functions: Any, make: Callable[..., str]) -> None:
    payload, answer = call(functions, make("raises"), {"do": "raise"}, LogType="Tail")
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "ValueError"
    assert payload["errorMessage"] == "price is missing"
    assert len(payload["stackTrace"]) == 1
    assert 'File "/var/task/handler.py", line 12, in handler' in payload["stackTrace"][0]
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert "[ERROR] ValueError: price is missing" in tail
    assert payload["requestId"] in tail


def test_a_timeout_kills_the_environment(
    functions: Any, client: Callable[[str], Any], make: Callable[..., str]
) -> None:
    name = make("slow", Timeout=1)
    call(functions, name)
    payload, answer = call(functions, name, {"do": "sleep", "seconds": 30})
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert call(functions, name)[0]["calls"] == 1
    log = messages(client, f"/aws/lambda/{name}")
    assert any(line.endswith("Task timed out after 1.00 seconds") for line in log)
    assert any(line.endswith("Status: timeout") for line in log)


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        ({"do": "exit"}, "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ({"do": "eat"}, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
        ({"do": "set"}, "Runtime.MarshalError", "Object of type set is not JSON serializable"),
        ({"do": "large"}, "Function.ResponseSizeTooLarge", "Response payload size exceeded"),
    ],
)
def test_ends_that_are_no_answer(
    functions: Any, make: Callable[..., str], event: dict[str, str], kind: str, text: str
) -> None:
    name = make(f"ends-{event['do']}", Timeout=20)
    payload, answer = call(functions, name, event)
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == kind
    assert text in payload["errorMessage"]
    assert call(functions, name)[0]["event"] == {}


@pytest.mark.parametrize(
    ("source", "handler", "kind", "text"),
    [
        ("import nothing_like_it", "handler.handler", "Runtime.ImportModuleError",
         "Unable to import module 'handler': No module named 'nothing_like_it'"),
        (HANDLER, "handler.other", "Runtime.HandlerNotFound",
         "Handler 'other' missing on module 'handler'"),
        (HANDLER, "absent.handler", "Runtime.ImportModuleError",
         "Unable to import module 'absent': No module named 'absent'"),
        ("def handler(:", "handler.handler", "Runtime.UserCodeSyntaxError",
         "Syntax error in module 'handler': invalid syntax (handler.py, line 1)"),
        ("1 / 0", "handler.handler", "ZeroDivisionError", "division by zero"),
    ],
)  # fmt: skip
def test_code_that_does_not_load(
    functions: Any, make: Callable[..., str], source: str, handler: str, kind: str, text: str
) -> None:
    payload, answer = call(functions, make("broken", source, Handler=handler))
    assert answer["FunctionError"] == "Unhandled"
    assert (payload["errorType"], payload["errorMessage"]) == (kind, text)


def test_logs_are_in_cloudwatch(
    functions: Any, client: Callable[[str], Any], make: Callable[..., str]
) -> None:
    name = make("talks")
    call(functions, name, {"do": "print"})
    log = messages(client, f"/aws/lambda/{name}")
    assert log[0].startswith("INIT_START")
    assert log[1].startswith("START RequestId: ")
    assert log[2:4] == ["to stdout", "to stderr"]
    assert re.fullmatch(r"\[INFO\]\t[-\dT:.]+Z\t[-0-9a-f]{36}\ttwo\nlines", log[4])
    assert log[5] == "no newline"
    assert log[6].startswith("END RequestId: ")
    assert re.fullmatch(
        r"REPORT RequestId: \S+\tDuration: \S+ ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB"
        r"\tMax Memory Used: \d+ MB\tInit Duration: \S+ ms",
        log[7],
    )


def test_a_log_that_cannot_be_written_stops_no_handler(
    server: Server, functions: Any, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes more than a pipe holds, which somebody must read all the same."""
    name = make(
        "noisy", "def handler(e, c):\n    print('line\\n' * 50_000)\n    return 1", Timeout=5
    )

    def append(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr(server.aws.logs.events, "append", append)
        payload, answer = call(functions, name)
    assert (payload, answer.get("FunctionError")) == (1, None)
    assert call(functions, name)[0] == 1


def test_calls_at_the_same_time_have_environments_of_their_own(
    functions: Any, make: Callable[..., str]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    name = make("parallel", Timeout=20)
    event = {"do": "sleep", "seconds": 1}
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: call(functions, name, event)[0], range(3)))
    assert len({answer["pid"] for answer in answers}) == 3


def test_an_environment_that_does_not_start_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who waits for its place gets it."""
    failing, tries = threading.Event(), []

    def environment(*_: Any) -> None:
        tries.append(1)
        failing.wait(5)
        raise OSError("No space left on device")

    monkeypatch.setattr(pool, "MOST_ENVIRONMENTS", 1)
    monkeypatch.setattr(pool, "Environment", environment)
    shared = pool.Pool(lambda *_: None)
    settings: Any = SimpleNamespace(log_group="f")

    def start() -> None:
        with suppress(OSError), shared.environment("f", settings, "1", None, True):
            pass

    threads = [threading.Thread(target=start, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: bool(tries))
    time.sleep(0.2)  # the other one waits
    failing.set()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)


def test_reserved_concurrency_throttles(functions: Any, make: Callable[..., str]) -> None:
    name = make("reserved")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    code, _ = error_of(functions.invoke, FunctionName=name)
    assert code == "TooManyRequestsException"
    functions.delete_function_concurrency(FunctionName=name)
    assert call(functions, name)[0]["calls"] == 1


def test_dry_run_and_limits(functions: Any, make: Callable[..., str]) -> None:
    name = make("limits")
    assert functions.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
    code, _ = error_of(functions.invoke, FunctionName=name, Payload=b"{not json")
    assert code == "InvalidRequestContentException"
    large = json.dumps("x" * 1_048_576).encode()
    code, _ = error_of(functions.invoke, FunctionName=name, InvocationType="Event", Payload=large)
    assert code == "RequestTooLargeException"
    assert call(functions, name, {"x": "x" * 2_000_000})[1]["StatusCode"] == 200


def test_an_unknown_function_is_not_found(functions: Any, make: Callable[..., str]) -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:nobody"
    for operation in (functions.invoke, functions.get_function, functions.delete_function):
        assert error_of(operation, FunctionName="nobody") == (
            "ResourceNotFoundException",
            f"Function not found: {arn}",
        )
    name = make("known")
    assert error_of(functions.invoke, FunctionName=name, Qualifier="7")[0] == (
        "ResourceNotFoundException"
    )
    assert call(functions, f"123456789012:function:{name}:$LATEST")[0]["calls"] == 1


def test_descriptions_and_listing(functions: Any, make: Callable[..., str], role: str) -> None:
    name = make("described", Description="what", Tags={"team": "sales"}, Timeout=7)
    functions.get_waiter("function_active_v2").wait(FunctionName=name)
    answer = functions.get_function(FunctionName=name)
    configuration = answer["Configuration"]
    assert configuration["State"] == "Active"
    assert configuration["Timeout"] == 7
    assert configuration["Role"] == role
    assert configuration["CodeSize"] == len(zipped())
    assert answer["Tags"] == {"team": "sales"}
    arn = configuration["FunctionArn"]
    functions.tag_resource(Resource=arn, Tags={"night": "1"})
    functions.untag_resource(Resource=arn, TagKeys=["team"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"night": "1"}
    make("described-too")
    pages = functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    names = [item["FunctionName"] for page in pages for item in page["Functions"]]
    assert names == ["described", "described-too"]


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"Runtime": "python3.12"}, "NotImplemented", "the runtime python3.12"),
        ({"Layers": ["arn:aws:lambda:us-east-1:1:layer:x:1"]}, "NotImplemented", "Layers"),
        ({"Publish": True}, "NotImplemented", "published versions"),
        ({"PackageType": "Image"}, "NotImplemented", "container images"),
        ({"KMSKeyArn": "arn:aws:kms:us-east-1:1:key/x"}, "NotImplemented", "KMSKeyArn"),
        ({"TracingConfig": {"Mode": "Active"}}, "NotImplemented", "tracing"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException", "Could not unzip"),
        ({"Role": "arn:aws:iam::123456789012:role/nobody"}, "InvalidParameterValueException",
         "cannot be assumed by Lambda"),
        ({"Timeout": 901}, "InvalidParameterValueException", "Timeout"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException",
         "Reserved keys used in this request: AWS_REGION"),
    ],
)  # fmt: skip
def test_what_cannot_be_created(
    make: Callable[..., str], options: dict[str, Any], code: str, text: str
) -> None:
    found, message = error_of(lambda: make("refused", **options))
    assert found == code
    assert text in message


def test_a_name_is_taken_once(make: Callable[..., str]) -> None:
    make("taken")
    assert error_of(lambda: make("taken"))[0] == "ResourceConflictException"


def test_permissions(server: Server, functions: Any, make: Callable[..., str]) -> None:
    name = make("permitted")
    assert error_of(functions.get_policy, FunctionName=name)[0] == "ResourceNotFoundException"
    grant = {
        "FunctionName": name,
        "StatementId": "s3",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::landing",
        "SourceAccount": "123456789012",
    }
    functions.add_permission(**grant)
    assert error_of(functions.add_permission, **grant)[0] == "ResourceConflictException"
    (statement,) = json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    engine = server.aws.services["lambda"]
    arn = statement["Resource"]

    def allowed(*source: str) -> bool:
        return engine.may_be_invoked(arn, *source)  # type: ignore[attr-defined]

    assert allowed("s3.amazonaws.com", "arn:aws:s3:::landing", "123456789012")
    assert not allowed("s3.amazonaws.com", "arn:aws:s3:::other", "123456789012")
    assert not allowed("sns.amazonaws.com", "arn:aws:s3:::landing", "123456789012")
    functions.remove_permission(FunctionName=name, StatementId="s3")
    assert not allowed("s3.amazonaws.com", "arn:aws:s3:::landing", "123456789012")


def test_an_event_is_tried_three_times(
    server: Server,
    functions: Any,
    client: Callable[[str], Any],
    make: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asynchronous, "RETRY_SECONDS", (0.05, 0.05))
    name = make("retried")
    answer = functions.invoke(
        FunctionName=name, InvocationType="Event", Payload=b'{"do": "raise", "n": 17}'
    )
    assert answer["StatusCode"] == 202
    group = f"/aws/lambda/{name}"
    wait_until(lambda: any("dropped after 3 attempts" in line for line in messages(client, group)))
    log = messages(client, group)
    starts = [line for line in log if line.startswith("START")]
    assert len(starts) == 3
    assert len(set(starts)) == 1
    (dropped,) = [line for line in log if "dropped" in line]
    assert "price is missing" in dropped
    assert '"n": 17' in dropped
    wait_until(lambda: not server.aws.store.list(asynchronous.EVENT))


def test_a_dead_letter_queue_receives_the_event(
    functions: Any,
    client: Callable[[str], Any],
    make: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asynchronous, "RETRY_SECONDS", ())
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    target = {"TargetArn": "arn:aws:sqs:us-east-1:123456789012:dead"}
    name = make("dead-letters", DeadLetterConfig=target)
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"do": "raise"}')
    received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"])[
        "Messages"
    ][0]
    assert received["Body"] == '{"do": "raise"}'
    assert received["MessageAttributes"]["ErrorMessage"]["StringValue"] == "price is missing"


SERVE = """
import sys, time
from pathlib import Path
from local_aws.instance import Config
from local_aws.server import Server
server = Server(Config(state=Path(sys.argv[1])), services=["logs", "lambda"])
server.start()
print(server.endpoint_url, flush=True)
time.sleep(600)
"""
WRITES_THEN_SLEEPS = """
import os, time
from pathlib import Path

def handler(event, context):
    folder = Path(os.environ["FOLDER"])
    (folder / f"{os.getpid()}").touch()
    if not (folder / "quick").exists():
        time.sleep(60)
    (folder / "done").touch()
"""


@pytest.mark.slow
def test_a_killed_server_leaves_no_process_and_loses_no_event(tmp_path: Path) -> None:
    """The event is in flight when the server is killed; the next server runs it again."""
    seen = tmp_path / "seen"
    seen.mkdir()

    def serve() -> tuple[subprocess.Popen[str], Any]:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path / "state")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        assert process.stdout
        url = process.stdout.readline().strip()
        return process, lambda name: boto3.client(
            name,
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    first, client = serve()
    try:
        role = client("iam").create_role(
            RoleName="handler", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        client("lambda").create_function(
            FunctionName="survives",
            Runtime="python3.11",
            Role=role,
            Handler="handler.handler",
            Timeout=120,
            Code={"ZipFile": zipped(WRITES_THEN_SLEEPS)},
            Environment={"Variables": {"FOLDER": str(seen)}},
        )
        client("lambda").invoke(FunctionName="survives", InvocationType="Event", Payload=b"{}")
        wait_until(lambda: any(seen.iterdir()))
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    (pid,) = (int(path.name) for path in seen.iterdir())
    wait_until(lambda: not Path(f"/proc/{pid}/environ").exists() or _is_dead(pid))
    (seen / "quick").touch()
    second, _ = serve()
    try:
        wait_until(lambda: (seen / "done").exists())
    finally:
        second.terminate()
        second.wait()


def _is_dead(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_the_provider_operator_works(
    server: Server, make: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in server.aws.environment().items():
        monkeypatch.setenv(key, value)
    from airflow.providers.amazon.aws.operators.lambda_function import (
        LambdaInvokeFunctionOperator,
    )

    invoke = LambdaInvokeFunctionOperator(
        task_id="invoke",
        function_name=make("operated"),
        payload=json.dumps({"a": 1}),
        log_type="Tail",
        aws_conn_id=None,
        region_name="us-east-1",
    )
    assert json.loads(invoke.execute({}))["event"] == {"a": 1}
    fail = LambdaInvokeFunctionOperator(
        task_id="fail",
        function_name="operated",
        payload=json.dumps({"do": "raise"}),
        aws_conn_id=None,
        region_name="us-east-1",
    )
    with pytest.raises(ValueError, match="resulted in error"):
        fail.execute({})
