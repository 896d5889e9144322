"""How long a small Glue job takes, cold and warm, and what Spark holds while it is idle.

Run it with ``python benchmarks/spark_warm_start.py``; it starts an embedded AWS of its own in a
temporary folder. The job reads a CSV of 1,000 rows and writes Parquet. The time is what a client
sees: from StartJobRun to the answer of GetJobRun that says SUCCEEDED.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from local_aws.instance import Config
from local_aws.server import Server

SCRIPT = """
import sys
from awsglue.context import GlueContext
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext
from pyspark.sql import functions as f

args = getResolvedOptions(sys.argv, ["source", "target"])
spark = GlueContext(SparkContext.getOrCreate()).spark_session
rows = spark.read.csv(args["source"], header=True)
typed = rows.select(f.col("id").cast("int"), f.col("price").cast("decimal(12,2)"), "product")
typed.write.mode("overwrite").parquet(args["target"] + args["JOB_RUN_ID"])
"""


def memory(process: psutil.Process) -> float:
    """Resident memory in MB."""
    return process.memory_info().rss / 2**20


def measure(warm: bool, repeat: int) -> None:
    with (
        tempfile.TemporaryDirectory() as state,
        Server(Config(state=Path(state)), services=["s3", "logs", "glue"]) as server,
    ):

        def client(service: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=server.endpoint_url,
                region_name="us-east-1",
                aws_access_key_id="local",
                aws_secret_access_key="local",  # noqa: S106
            )

        s3, glue = client("s3"), client("glue")
        s3.create_bucket(Bucket="data")
        lines = [f"{number},{number}.50,Mouse" for number in range(1000)]
        body = "\n".join(["id,price,product", *lines])
        s3.put_object(Bucket="data", Key="in/sales.csv", Body=body.encode())
        s3.put_object(Bucket="data", Key="job.py", Body=SCRIPT.encode())
        glue.create_job(
            Name="small",
            Role="glue",
            Command={"Name": "glueetl", "ScriptLocation": "s3://data/job.py"},
            GlueVersion="5.1",
            WorkerType="G.1X",
            NumberOfWorkers=2,
            DefaultArguments={"--source": "s3://data/in/", "--target": "s3://data/out/"},
        )
        if warm:
            began = time.perf_counter()
            server.aws.services["glue"]._spark().warm()  # type: ignore[attr-defined]
            print(f"{'warming up':<28}{time.perf_counter() - began:8.2f} s")
        for number in range(1, repeat + 1):
            began = time.perf_counter()
            run_id = glue.start_job_run(JobName="small")["JobRunId"]
            state_of_run = ""
            while state_of_run not in ("SUCCEEDED", "FAILED"):
                run = glue.get_job_run(JobName="small", RunId=run_id)["JobRun"]
                state_of_run = run["JobRunState"]
            seconds = time.perf_counter() - began
            label = f"run {number}, {'warmed up' if warm or number > 1 else 'cold'}"
            print(f"{label:<28}{seconds:8.2f} s  {state_of_run} {run.get('ErrorMessage', '')}")
        time.sleep(4)
        for child in psutil.Process().children():
            print(f"{'idle ' + child.name():<28}{memory(child):8.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=4, help="runs of the job")
    repeat = parser.parse_args().repeat
    print("Without warming up:")
    measure(False, repeat)
    print("Warmed up when the embedded AWS starts (LOCAL_AWS_WARM_SPARK=1):")
    measure(True, repeat)


if __name__ == "__main__":
    main()
