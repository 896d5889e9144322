"""Glue jobs: definitions, runs on a warm JVM, and what becomes of runs that end badly."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import duckdb
import psutil
import pytest
from botocore.exceptions import ClientError

from local_aws.glue import job_run, spark_jvm
from local_aws.glue.script_process import start_pump
from local_aws.glue.spark_host import SparkHost
from local_aws.glue.spark_jvm import SparkSettings
from local_aws.instance import Config
from local_aws.server import Server

SERVICES = ["s3", "logs", "glue"]
ENDED = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"}


def make_client(server: Server | At | Account, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@dataclass
class At:
    """A server in another process, as far as clients need it."""

    port: int

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Account:
    """The clients of one server, and short ways to what the tests do often."""

    def __init__(self, server: Server | At) -> None:
        self.endpoint_url = server.endpoint_url
        self.state = Path()
        self.s3 = make_client(server, "s3")
        self.glue = make_client(server, "glue")
        self.logs = make_client(server, "logs")

    def job(self, name: str, script: str, **definition: Any) -> None:
        key = f"scripts/{name}.py"
        self.s3.put_object(Bucket="artifacts", Key=key, Body=textwrap.dedent(script).encode())
        self.glue.create_job(**self.definition(name, f"s3://artifacts/{key}", **definition))

    @staticmethod
    def definition(name: str, location: str, **more: Any) -> dict[str, Any]:
        return {
            "Name": name,
            "Role": "arn:aws:iam::123456789012:role/glue",
            "Command": {"Name": "glueetl", "ScriptLocation": location},
            "GlueVersion": "5.1",
            "WorkerType": "G.1X",
            "NumberOfWorkers": 2,
            **more,
        }

    def start(self, name: str, **more: Any) -> str:
        return self.glue.start_job_run(JobName=name, **more)["JobRunId"]

    def get(self, name: str, run_id: str) -> dict[str, Any]:
        return self.glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]

    def wait(self, name: str, run_id: str, seconds: float = 90) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (run := self.get(name, run_id))["JobRunState"] not in ENDED:
            assert time.monotonic() < deadline, run
        return run

    def run(self, name: str, script: str, /, *, start: Any = None, **definition: Any) -> Any:
        self.job(name, script, **definition)
        return self.wait(name, self.start(name, **(start or {})))

    def log(self, run: dict[str, Any], channel: str) -> list[str]:
        group = f"{run['LogGroupName']}/{channel}"
        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, logStreamNames=[run["Id"]]
        )
        return [event["message"] for page in pages for event in page["events"]]

    def wait_for_log(self, run: dict[str, Any], text: str) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if any(text in line for line in self.log(run, "output")):
                    return
            except self.logs.exceptions.ResourceNotFoundException:
                pass
            assert time.monotonic() < deadline, f"{text} was not logged"
            time.sleep(0.1)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]


@pytest.fixture(scope="module", autouse=True)
def quick_compiler() -> Iterator[None]:
    """Small frames: what the JVM compiles better than at once never pays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_jvm, "_PATIENT_COMPILER", ("-XX:TieredStopAtLevel=1",))
        yield


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    config = Config(state=tmp_path_factory.mktemp("aws"))
    with Server(config, services=SERVICES) as server:
        found = Account(server)
        found.state = config.state
        found.s3.create_bucket(Bucket="artifacts")
        found.s3.create_bucket(Bucket="data")
        yield found


def lives(pid: int) -> bool:
    """Whether the process still runs (a zombie that nobody waits for does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def refusal(call: Callable[..., Any], **request: Any) -> dict[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]


class TestDefinitions:
    def test_a_job_is_completed_with_the_defaults_of_aws(self, account: Account) -> None:
        given = account.definition("defaults", "s3://artifacts/x.py", Tags={"team": "data"})
        account.glue.create_job(**given)
        job = account.glue.get_job(JobName="defaults")["Job"]
        assert job["Timeout"] == 480
        assert job["MaxRetries"] == 0
        assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
        assert job["Command"]["PythonVersion"] == "3"
        assert (job["MaxCapacity"], job["AllocatedCapacity"]) == (2.0, 2)
        assert "Tags" not in job
        arn = "arn:aws:glue:us-east-1:123456789012:job/defaults"
        assert account.glue.get_tags(ResourceArn=arn)["Tags"] == {"team": "data"}
        assert account.glue.list_jobs(Tags={"team": "data"})["JobNames"] == ["defaults"]
        assert account.glue.list_jobs(Tags={"team": "other"})["JobNames"] == []

    def test_creating_twice_needs_the_same_definition(self, account: Account) -> None:
        given = account.definition("twice", "s3://artifacts/x.py")
        account.glue.create_job(**given)
        assert account.glue.create_job(**given)["Name"] == "twice"
        error = refusal(account.glue.create_job, **{**given, "MaxRetries": 1})
        assert error["Code"] == "IdempotentParameterMismatchException"

    def test_an_update_replaces_the_definition(self, account: Account) -> None:
        given = account.definition(
            "updated", "s3://artifacts/x.py", Description="old", MaxRetries=2
        )
        account.glue.create_job(**given)
        del given["Name"], given["Description"]
        account.glue.update_job(JobName="updated", JobUpdate={**given, "WorkerType": "G.2X"})
        job = account.glue.get_job(JobName="updated")["Job"]
        assert (job["WorkerType"], job["MaxCapacity"]) == ("G.2X", 4.0)
        assert "Description" not in job

    def test_jobs_are_listed_by_page(self, account: Account) -> None:
        for number in range(3):
            account.glue.create_job(**account.definition(f"paged-{number}", "s3://artifacts/x.py"))
        pages = account.glue.get_paginator("get_jobs").paginate(PaginationConfig={"PageSize": 2})
        names = [job["Name"] for page in pages for job in page["Jobs"]]
        assert names == sorted(names)
        assert {"paged-0", "paged-1", "paged-2"} <= set(names)
        batch = account.glue.batch_get_jobs(JobNames=["paged-1", "nobody"])
        assert [job["Name"] for job in batch["Jobs"]] == ["paged-1"]
        assert batch["JobsNotFound"] == ["nobody"]

    def test_a_deleted_job_is_gone_and_deleting_again_is_no_error(self, account: Account) -> None:
        account.glue.create_job(**account.definition("deleted", "s3://artifacts/x.py"))
        account.glue.delete_job(JobName="deleted")
        assert account.glue.delete_job(JobName="deleted")["JobName"] == "deleted"
        error = refusal(account.glue.get_job, JobName="deleted")
        assert error["Code"] == "EntityNotFoundException"

    @pytest.mark.parametrize(
        ("change", "code", "names"),
        [
            ({"GlueVersion": None}, "NotImplemented", "6.0"),
            ({"GlueVersion": "4.0"}, "NotImplemented", "GlueVersion 4.0"),
            ({"Command": {"Name": "gluestreaming"}}, "NotImplemented", "gluestreaming"),
            ({"Command": {"Name": "glueray"}}, "NotImplemented", "glueray"),
            ({"Command": {"PythonVersion": "2"}}, "NotImplemented", "PythonVersion 2"),
            ({"Connections": {"Connections": ["db"]}}, "NotImplemented", "Connections"),
            ({"SecurityConfiguration": "kms"}, "NotImplemented", "SecurityConfiguration"),
            ({"JobMode": "VISUAL"}, "NotImplemented", "VISUAL"),
            ({"MaxCapacity": 10.0}, "InvalidInputException", "Worker Type"),
            ({"NumberOfWorkers": 1}, "InvalidInputException", "NumberOfWorkers"),
            ({"NumberOfWorkers": None}, "InvalidInputException", "Number of Workers"),
            ({"MaxRetries": 11}, "InvalidInputException", "MaxRetries 11"),
        ],
    )
    def test_what_is_refused_is_named(
        self, account: Account, change: dict[str, Any], code: str, names: str
    ) -> None:
        given = account.definition("refused", "s3://artifacts/x.py")
        for member, value in change.items():
            if member == "Command":
                given["Command"] = {**given["Command"], **value}
            elif value is None:
                del given[member]
            else:
                given[member] = value
        error = refusal(account.glue.create_job, **given)
        assert error["Code"] == code
        assert names in error["Message"]

    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            ({"--enable-glue-datacatalog": "true"}, "--enable-glue-datacatalog"),
            ({"--job-bookmark-option": "job-bookmark-enable"}, "job-bookmark-enable"),
            ({"--additional-python-modules": "no-such-module==1"}, "no-such-module"),
            ({"--additional-python-modules": "boto3==0.1"}, "version 1."),
            ({"--extra-jars": "s3://artifacts/x.jar"}, "--extra-jars"),
            ({"--datalake-formats": "iceberg"}, "--datalake-formats"),
            ({"--conf": "spark.driver.memory=8g"}, "LOCAL_AWS_SPARK_MEMORY"),
            ({"--conf": "nonsense"}, "name=value"),
            ({"--extra-py-files": "s3://artifacts/folder/"}, "folder/"),
            ({"--job-language": "scala"}, "scala"),
        ],
    )
    def test_arguments_that_cannot_be_honoured_are_refused(
        self, account: Account, arguments: dict[str, str], names: str
    ) -> None:
        given = account.definition("arguments", "s3://artifacts/x.py")
        error = refusal(account.glue.create_job, **given, DefaultArguments=arguments)
        assert names in error["Message"]

    def test_bookmarks_are_refused_by_name(self, account: Account) -> None:
        error = refusal(account.glue.get_job_bookmark, JobName="any")
        assert error["Code"] == "NotImplemented"
        assert "GetJobBookmark" in error["Message"]

    def test_starting_an_unknown_job(self, account: Account) -> None:
        error = refusal(account.glue.start_job_run, JobName="nobody")
        assert error["Code"] == "EntityNotFoundException"


def package() -> bytes:
    """A zip with a module, as ``--extra-py-files`` takes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("shipped/__init__.py", "def double(x):\n    return 2 * int(x)\n")
    return buffer.getvalue()


class TestRuns:
    def test_a_run_reads_csv_and_writes_parquet(self, account: Account, tmp_path: Path) -> None:
        account.s3.put_object(Bucket="data", Key="in/a.csv", Body=b"id,v\n1,a\n2,b\n3,b\n")
        account.s3.put_object(Bucket="artifacts", Key="lib/shipped.zip", Body=package())
        account.s3.put_object(Bucket="artifacts", Key="lib/single.py", Body=b"NAME = 'single'\n")
        account.s3.put_object(Bucket="artifacts", Key="lib/limits.json", Body=b'{"most": 7}')
        run = account.run(
            "etl",
            """
            import json, os, sys
            from awsglue.context import GlueContext
            from awsglue.job import Job
            from awsglue.utils import getResolvedOptions
            from pyspark.context import SparkContext
            from pyspark.sql import functions as f
            import shipped, single

            args = getResolvedOptions(sys.argv, ["JOB_NAME", "source", "target"])
            context = GlueContext(SparkContext.getOrCreate())
            spark = context.spark_session
            job = Job(context)
            job.init(args["JOB_NAME"], args)
            double = f.udf(shipped.double, "int")
            frame = spark.read.csv(args["source"], header=True).select(
                "v", double("id").alias("twice"), f.input_file_name().alias("file"))
            frame.write.mode("overwrite").parquet(args["target"])
            print("run", args["JOB_NAME"], args["JOB_RUN_ID"], args["TempDir"])
            print("conf", spark.conf.get("spark.sql.shuffle.partitions"),
                  spark.conf.get("spark.sql.session.timeZone"))
            print("files", single.NAME, json.load(open("limits.json")))
            print("leaked", sorted(n for n in os.environ if n.startswith("AIRFLOW")))
            print("endpoint", os.environ["AWS_ENDPOINT_URL"], os.environ.get("PYTHONPATH"))
            context.get_logger().warn("careful")
            job.commit()
            """,
            DefaultArguments={
                "--source": "s3://data/nowhere/",
                "--target": "s3a://data/out/",
                "--TempDir": "s3://data/tmp/",
                "--extra-py-files": "s3://artifacts/lib/shipped.zip,s3://artifacts/lib/single.py",
                "--extra-files": "s3://artifacts/lib/limits.json",
                "--conf": "spark.sql.shuffle.partitions=3 --conf spark.executor.memory=9g",
                "--enable-metrics": "true",
                "--job-bookmark-option": "job-bookmark-disable",
            },
            start={"Arguments": {"--source": "s3://data/in/", "--airflow_task_uuid": "d:t:r:-1"}},
        )
        assert run["JobRunState"] == "SUCCEEDED", run
        assert run["Id"].startswith("jr_")
        assert len(run["Id"]) == 67
        assert run["Arguments"]["--source"] == "s3://data/in/"
        assert "--target" not in run["Arguments"]
        assert (run["MaxCapacity"], run["Timeout"], run["Attempt"]) == (2.0, 480, 0)
        assert run["StartedOn"] <= run["CompletedOn"]
        assert "ErrorMessage" not in run
        output = account.log(run, "output")
        assert f"run etl {run['Id']} s3://data/tmp/" in output
        assert "conf 3 UTC" in output
        assert "files single {'most': 7}" in output
        assert "leaked []" in output
        assert f"endpoint {account.endpoint_url} None" in output
        errors = account.log(run, "error")
        assert any("careful" in line for line in errors)
        assert any("spark.executor.memory" in line for line in errors)
        keys = account.keys("data", "out/")
        assert "out/_SUCCESS" in keys
        assert not [key for key in keys if ".crc" in key or "_temporary" in key]
        parts = [key for key in keys if key.endswith(".parquet")]
        local = tmp_path / "part.parquet"
        account.s3.download_file("data", parts[0], str(local))
        rows = duckdb.execute(f"select v, twice, file from '{local}' order by 2").fetchall()
        file = "s3://data/in/a.csv"
        assert rows == [("a", 2, file), ("b", 4, file), ("b", 6, file)]
        folder = account.state / "glue" / "runs" / run["Id"]
        assert f"run etl {run['Id']}" in (folder / "stdout.log").read_text()

    @pytest.mark.slow
    def test_a_bucket_made_during_the_run_works_and_an_unknown_one_is_named(
        self, account: Account
    ) -> None:
        run = account.run(
            "buckets",
            """
            import boto3
            from pyspark.sql import SparkSession
            spark = SparkSession.builder.getOrCreate()
            boto3.client("s3").put_object(Bucket="data", Key="of-its-own/a.csv", Body=b"id\\n1\\n")
            spark.read.csv("s3://data/of-its-own/", header=True).count()
            boto3.client("s3").create_bucket(Bucket="made-later")
            spark.range(2).coalesce(1).write.json("s3://made-later/out")
            print("read", spark.read.json("s3://made-later/out").count())
            spark.range(1).write.parquet("s3://never-made/out")
            """,
        )
        assert run["JobRunState"] == "FAILED"
        assert "NoSuchBucket" in run["ErrorMessage"]
        assert "read 2" in account.log(run, "output")
        assert "s3://never-made" in run["ErrorMessage"]
        assert "never-made" not in {each["Name"] for each in account.s3.list_buckets()["Buckets"]}

    @pytest.mark.slow
    def test_dynamic_overwrite_replaces_only_the_partitions_written(self, account: Account) -> None:
        run = account.run(
            "partitions",
            """
            from pyspark.sql import SparkSession
            spark = SparkSession.builder.getOrCreate()
            spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
            def write(rows):
                frame = spark.createDataFrame(rows, "id int, day string")
                frame.write.mode("overwrite").partitionBy("day").parquet("s3://data/days")
            write([(1, "2026-01-01"), (2, "2026-01-02 03:04")])
            write([(3, "2026-01-01")])
            print(sorted(tuple(row) for row in spark.read.parquet("s3://data/days").collect()))
            """,
        )
        assert run["JobRunState"] == "SUCCEEDED", run
        assert "[(2, '2026-01-02 03:04'), (3, '2026-01-01')]" in account.log(run, "output")
        folders = {key.split("/")[1] for key in account.keys("data", "days/day")}
        assert folders == {"day=2026-01-01", "day=2026-01-02 03%3A04"}

    def test_a_run_finds_nothing_of_the_run_before(self, account: Account) -> None:
        script = """
            from pyspark.sql import SparkSession
            spark = SparkSession.builder.getOrCreate()
            system = spark.sparkContext._jvm.java.lang.System
            print("before", spark.catalog.listTables(), spark.conf.get("spark.sql.ansi.enabled"),
                  spark.conf.get("spark.mark", "none"), system.getProperty("mark"),
                  spark.sparkContext._jsc.getPersistentRDDs().size(),
                  len(spark.catalog.listDatabases()))
            spark.sql("create database other")
            spark.range(3).cache().createOrReplaceTempView("seen")
            spark.table("seen").count()
            system.setProperty("mark", "set")
            """
        account.job("isolated", script)
        first = account.wait(
            "isolated",
            account.start(
                "isolated",
                Arguments={"--conf": "spark.sql.ansi.enabled=true --conf spark.mark=set"},
            ),
        )
        second = account.wait("isolated", account.start("isolated"))
        assert account.log(first, "output") == ["before [] true set None 0 1"]
        assert account.log(second, "output") == ["before [] false none None 0 1"]

    @pytest.mark.parametrize(
        ("name", "script", "state", "message"),
        [
            ("raises", "raise ValueError('no price in row 7')", "FAILED",
             "ValueError: no price in row 7"),
            ("exits-3", "import sys; sys.exit(3)", "FAILED", "SystemExit: 3"),
            ("exits-text", "import sys; sys.exit('bad input')", "FAILED", "SystemExit: bad input"),
            ("exits-0", "import sys; sys.exit(0)", "SUCCEEDED", None),
            ("leaves", "import os; os._exit(5)", "FAILED", "Command failed with exit code 5"),
            ("killed", "import os; os.kill(os.getpid(), 9)", "FAILED", "killed by signal 9"),
            ("syntax", "def broken(:", "FAILED", "SyntaxError"),
            ("dynamic", "from awsglue.transforms import *\nApplyMapping.apply(frame=None)",
             "FAILED", "Use Spark DataFrames"),
            ("missing-path",
             "from pyspark.sql import SparkSession\n"
             "SparkSession.builder.getOrCreate().read.csv('s3://data/none')",
             "FAILED", "AnalysisException: [PATH_NOT_FOUND] Path does not exist: s3://data/none"),
            ("missing-argument",
             "import sys\nfrom awsglue.utils import getResolvedOptions\n"
             "getResolvedOptions(sys.argv, ['date'])",
             "FAILED", "GlueArgumentError: the following arguments are required: --date"),
        ],
    )  # fmt: skip
    def test_how_a_script_ends_is_how_the_run_ends(
        self, account: Account, name: str, script: str, state: str, message: str | None
    ) -> None:
        run = account.run(name, script)
        assert run["JobRunState"] == state
        if message is None:
            assert "ErrorMessage" not in run
        else:
            assert message in run["ErrorMessage"]

    def test_a_missing_script_fails_the_run_with_its_path(self, account: Account) -> None:
        account.glue.create_job(**account.definition("unscripted", "s3://artifacts/none.py"))
        run = account.wait("unscripted", account.start("unscripted"))
        assert run["JobRunState"] == "FAILED"
        assert "s3://artifacts/none.py" in run["ErrorMessage"]

    def test_a_failed_run_is_tried_again(self, account: Account) -> None:
        script = """
            import boto3, sys
            from awsglue.utils import getResolvedOptions
            run = getResolvedOptions(sys.argv, [])["JOB_RUN_ID"]
            if "_attempt_" not in run:
                raise RuntimeError("first time")
            """
        account.job("retried", script, MaxRetries=1)
        first = account.wait("retried", account.start("retried"))
        assert (first["JobRunState"], first["ErrorMessage"]) == (
            "FAILED",
            "RuntimeError: first time",
        )
        second = account.wait("retried", f"{first['Id']}_attempt_1")
        assert (second["JobRunState"], second["Attempt"]) == ("SUCCEEDED", 1)
        assert second["PreviousRunId"] == first["Id"]
        runs = account.glue.get_job_runs(JobName="retried")["JobRuns"]
        assert [run["Id"] for run in runs] == [second["Id"], first["Id"]]

    def test_a_python_shell_job_runs_without_spark(self, account: Account) -> None:
        account.s3.put_object(
            Bucket="artifacts", Key="shell.py", Body=b"import sys; print(sys.argv[1:3])"
        )
        account.glue.create_job(
            Name="shell",
            Role="glue",
            Command={
                "Name": "pythonshell",
                "PythonVersion": "3.9",
                "ScriptLocation": "s3://artifacts/shell.py",
            },
            MaxCapacity=0.0625,
        )
        run = account.wait("shell", account.start("shell"))
        assert run["JobRunState"] == "SUCCEEDED"
        assert run["LogGroupName"] == "/aws-glue/python-jobs"
        assert account.log(run, "output")[0].startswith("['--JOB_ID', 'j_")


ENDLESS = """
    import subprocess, sys, threading, time
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("children", child.pid, flush=True)
    rows = spark.range(0, 10**15, 1, 4)
    rows.selectExpr("sum(hash(id))").write.mode("overwrite").json("s3://data/endless")
    """


class TestEndings:
    def test_runs_at_once_are_limited_and_a_stopped_run_leaves_nothing(
        self, account: Account
    ) -> None:
        account.job("endless", ENDLESS)
        run_id = account.start("endless")
        error = refusal(account.glue.start_job_run, JobName="endless")
        assert error["Code"] == "ConcurrentRunsExceededException"
        queued = account.start("endless", JobRunQueuingEnabled=True)
        account.wait_for_log({"Id": run_id, "LogGroupName": "/aws-glue/jobs"}, "children")
        runs = {run["Id"]: run for run in account.glue.get_job_runs(JobName="endless")["JobRuns"]}
        assert runs[run_id]["JobRunState"] == "RUNNING"
        assert runs[queued]["JobRunState"] == "WAITING"
        account.glue.batch_stop_job_run(JobName="endless", JobRunIds=[queued])
        answer = account.glue.batch_stop_job_run(JobName="endless", JobRunIds=[run_id, "jr_0"])
        assert [each["JobRunId"] for each in answer["SuccessfulSubmissions"]] == [run_id]
        assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
        run = account.wait("endless", run_id)
        assert run["JobRunState"] == "STOPPED"
        (line,) = (each for each in account.log(run, "output") if "children" in each)
        assert not lives(int(line.split()[1]))
        assert account.get("endless", queued)["JobRunState"] == "STOPPED"
        again = account.glue.batch_stop_job_run(JobName="endless", JobRunIds=[run_id])
        code = again["Errors"][0]["ErrorDetail"]["ErrorCode"]
        assert code == "JobRunInTerminalStateException"
        after = account.run("after-stop", "print('works')")
        assert after["JobRunState"] == "SUCCEEDED"
        assert account.keys("data", "endless/part") == []

    def test_a_queued_run_starts_when_its_turn_comes(self, account: Account) -> None:
        account.job("queued", "print('mine')", JobRunQueuingEnabled=True)
        started = [account.start("queued") for _ in range(3)]
        states = {account.wait("queued", run_id)["JobRunState"] for run_id in started}
        assert states == {"SUCCEEDED"}

    def test_a_run_that_takes_too_long_times_out(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job_run, "MINUTE", 0.5)
        run = account.run("slow", "import time; time.sleep(600)", Timeout=1, MaxRetries=1)
        assert (run["JobRunState"], run["ErrorMessage"]) == ("TIMEOUT", "Job run timed out")
        assert len(account.glue.get_job_runs(JobName="slow")["JobRuns"]) == 1

    @pytest.mark.slow
    def test_a_run_whose_jvm_dies_fails_and_the_next_one_gets_another(
        self, account: Account, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = account.run(
            "jvmless",
            """
            import os
            from pyspark.sql import SparkSession
            spark = SparkSession.builder.getOrCreate()
            handle = spark.sparkContext._jvm.java.lang.ProcessHandle
            os.kill(handle.current().pid(), 9)
            spark.range(1).count()
            """,
        )
        assert run["JobRunState"] == "FAILED"
        assert "Spark's JVM ended" in run["ErrorMessage"]
        account.job("revived", "from pyspark.sql import SparkSession\n"
                    "print(SparkSession.builder.getOrCreate().range(4).count())")  # fmt: skip
        after = account.wait("revived", account.start("revived"))
        assert after["JobRunState"] == "SUCCEEDED"
        assert account.log(after, "output") == ["4"]
        assert "rehearsal" not in caplog.text


SERVER = """
import sys, time
from pathlib import Path
from local_aws.instance import Config
from local_aws.server import Server

server = Server(Config(state=Path(sys.argv[1])), services=["s3", "logs", "glue"])
server.start()
print(server.aws.port, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_a_killed_server_leaves_no_process_and_its_run_failed(tmp_path: Path) -> None:
    repository = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, cwd=repository
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        remote = Account(At(port))
        remote.s3.create_bucket(Bucket="artifacts")
        remote.s3.create_bucket(Bucket="data")
        remote.job("endless", ENDLESS)
        run_id = remote.start("endless")
        remote.wait_for_log({"Id": run_id, "LogGroupName": "/aws-glue/jobs"}, "children")
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 3
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 10
    while (left := [each.pid for each in family if lives(each.pid)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert left == []
    with Server(Config(state=tmp_path), services=SERVICES) as server:
        run = Account(server).get("endless", run_id)
        assert run["JobRunState"] == "FAILED"
        assert "stopped while the job was running" in run["ErrorMessage"]


def test_the_official_hook_with_default_options(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "AIRFLOW_HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": account.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    from airflow.providers.amazon.aws.hooks.glue import GlueJobHook

    account.s3.put_object(Bucket="artifacts", Key="hook.py", Body=b"print('from the hook')")
    iam = make_client(account, "iam")
    iam.create_role(RoleName="glue-hook", AssumeRolePolicyDocument="{}")
    hook = GlueJobHook(
        job_name="hooked",
        desc="A job of the hook",
        script_location="s3://artifacts/hook.py",
        iam_role_name="glue-hook",
        s3_bucket="artifacts",
        create_job_kwargs={"GlueVersion": "5.1", "WorkerType": "G.1X", "NumberOfWorkers": 2},
        aws_conn_id=None,
        update_config=True,
    )
    for _ in range(2):
        run_id = hook.initialize_job({"--date": "2026-01-05"})["JobRunId"]
        ended = hook.job_completion("hooked", run_id, verbose=True)
        assert ended == {"JobRunState": "SUCCEEDED", "JobRunId": run_id}
        hook.get_waiter("job_complete").wait(JobName="hooked", RunId=run_id)
    assert account.glue.get_job(JobName="hooked")["Job"]["Role"].endswith("role/glue-hook")


def test_runs_are_kept_for_365_days(tmp_path: Path) -> None:
    """And so is what they printed; what still runs is never old."""
    with Server(Config(state=tmp_path), services=SERVICES) as server:
        store, now = server.aws.store, server.aws.now()
        states = {"old": "SUCCEEDED", "endless": "RUNNING", "recent": "FAILED"}
        for name, state in states.items():
            changed = now - timedelta(days=364 if name == "recent" else 366)
            run = {"Id": f"jr_{name}", "JobRunState": state, "LastModifiedOn": changed}
            store.put("glue/job_run", f"night\x1fjr_{name}", run)
        runs = tmp_path / "glue" / "runs"
        for name in ("jr_old", "jr_endless", "jr_recent", "jr_forgotten"):
            (runs / name).mkdir(parents=True)
            (runs / name / "stdout.log").write_text("said\n")
        server.aws.services["glue"].expire()
        left = ("jr_endless", "jr_recent")
        assert store.keys("glue/job_run") == tuple(f"night\x1f{name}" for name in left)
        assert sorted(folder.name for folder in runs.iterdir()) == [*left]


def test_output_that_cannot_be_kept_does_not_hold_up_who_writes_it() -> None:
    """More than a pipe holds, so that a writer that nobody reads would wait for ever."""
    command = [sys.executable, "-c", "for n in range(40_000): print(f'{n:09}')"]
    heard: list[str] = []
    failures = iter([True, True])

    def deliver(lines: list[str]) -> None:
        if next(failures, False):
            raise OSError("No space left on device")
        heard.extend(lines)

    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            pump = start_pump(process.stdout, deliver)
            assert process.wait(20) == 0
            pump.join(5)
        finally:
            process.kill()
    assert heard[-1] == "000039999"


def test_a_rehearsal_that_fails_gives_the_jvm_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the next run would wait for it in STARTING for ever."""
    host = SparkHost(tmp_path, tmp_path, {}, SparkSettings())
    jvm = SimpleNamespace(alive=True, runs=0, clean=lambda: True, shrink=lambda: None)

    def start() -> Any:
        host._starting -= 1
        host._busy.append(jvm)  # type: ignore[arg-type]
        return jvm

    def rehearse(_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(host, "_start_jvm", start)
    monkeypatch.setattr(host, "_rehearse", rehearse)
    monkeypatch.setattr(host, "keep_process_ready", lambda: None)
    host.warm()
    assert (host._idle, host._busy) == ([jvm], [])


def test_options_are_resolved_as_on_aws() -> None:
    runtime = Path(job_run.__file__).parent / "runtime"
    script = """
        import json, sys
        from awsglue.utils import GlueArgumentError, getResolvedOptions
        argv = ["x.py", "--JOB_RUN_ID", "jr_1", "--day-of", "monday", "--more", "1"]
        print(json.dumps(getResolvedOptions(argv, ["day-of"])))
        for wanted in (["JOB_RUN_ID"], ["absent"]):
            try:
                getResolvedOptions(argv, wanted)
            except (RuntimeError, GlueArgumentError) as error:
                print(type(error).__name__, error)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(runtime)},
        capture_output=True,
        text=True,
        check=True,
    )
    found, reserved, absent = done.stdout.splitlines()
    assert '"day_of": "monday"' in found
    assert '"JOB_RUN_ID": "jr_1"' in found
    assert '"job_bookmark_option": "job-bookmark-disable"' in found
    assert reserved == "RuntimeError Using reserved arguments --JOB_RUN_ID"
    assert absent == "GlueArgumentError the following arguments are required: --absent"
