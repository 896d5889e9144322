"""What validation costs: the silver job by the contracts, and by the same contracts without rules.

    .venv/bin/python benchmarks/validation_cost.py --rows 100000 --rounds 5

One delivery of the sample's shape is taken in by the job again and again in one warm JVM, each
round once with every rule, once without references (those are joins, not checks of a row), and once
without rules but that a key is there, where rows are split, typed, merged and written all the same.
Each run is a first night: nothing is published. Prints medians, rows per second over all files, and
how much longer validation takes; CPU seconds of the JVM and of Python stand beside, for machines
that have other work. Asserts nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "include" / "glue_scripts")]

import boto3  # noqa: E402
from moto import mock_aws  # noqa: E402

from include.contracts.compile import compile_contracts, load_contracts  # noqa: E402
from include.sample_data.generate import generate  # noqa: E402
from include.sample_data.producer import deliver, plan_delivery  # noqa: E402
from tests.include.conftest import _java_home, load_module  # noqa: E402

DAY = "2026-01-05"
BUCKETS = ("bench-landing", "bench-bronze", "bench-silver", "bench-artifacts")
LANDING, BRONZE, SILVER, ARTIFACTS = BUCKETS
VARIANTS = ("all rules", "no references", "no rules")
CONTRACTS = f"s3://{ARTIFACTS}/{{}}.json"


def contracts(variant: str) -> dict[str, Any]:
    document = compile_contracts()
    for dataset in document["datasets"].values():
        if variant == "no rules":
            # But that a key is there, without which a row cannot be merged.
            dataset["rules"] = [
                r
                for r in dataset["rules"]
                if r["kind"] == "required" and r["column"] in dataset["key"]
            ]
        elif variant == "no references":
            dataset["rules"] = [r for r in dataset["rules"] if r["kind"] != "reference"]
    return document


def session(root: Path) -> Any:
    home = _java_home()
    if home is not None:
        os.environ["JAVA_HOME"] = home
    from madrugada_spark.session import spark_session

    mount = "spark.hadoop.fs.viewfs.mounttable"
    return spark_session(
        "validation_cost",
        {
            "spark.master": "local[2]",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": "2g",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
            "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
            **{f"{mount}.{bucket}.linkFallback": f"file://{root}/{bucket}" for bucket in BUCKETS},
        },
    )


def cpu_seconds(spark: Any) -> float:
    """Of the JVM and of this process together."""
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + time.process_time()


def take_in(root: Path, rows: int) -> int:
    """Puts a delivery into bronze; gives how many rows it has."""
    s3 = boto3.client("s3")
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
        (root / bucket).mkdir()
    for variant in VARIANTS:
        body = json.dumps(contracts(variant)).encode()
        s3.put_object(Bucket=ARTIFACTS, Key=f"{variant}.json", Body=body)
    os.environ |= {
        "LANDING_BUCKET": LANDING,
        "BRONZE_BUCKET": BRONZE,
        "CONTRACTS_URI": CONTRACTS.format(VARIANTS[0]),
    }
    made = generate(root / "delivery", rows)
    plan = plan_delivery(made.folder, load_contracts().values(), ["orders", "stores"])
    deliver(plan, date.fromisoformat(DAY), LANDING, s3)
    ingest = load_module("ingest_handler", ROOT / "include/lambdas/ingest/handler.py")
    ingest.handler({"delivery_date": DAY, "sources": ["orders", "stores"]})
    for item in s3.list_objects_v2(Bucket=BRONZE)["Contents"]:
        path = root / BRONZE / item["Key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(BRONZE, item["Key"], os.fspath(path))
    glue = boto3.client("glue")
    for database in ("silver", "staging"):
        glue.create_database(DatabaseInput={"Name": database})
    return sum(made.rows.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="sales in the delivery")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, after a first one")
    options = parser.parse_args()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CONFIG_FILE"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as folder, mock_aws():
        root = Path(folder)
        delivered = take_in(root, options.rows)
        spark = session(root)
        spark.sparkContext.setLogLevel("ERROR")
        import bronze_to_silver as job

        numbers = itertools.count(1)

        def run(variant: str) -> tuple[float, float]:
            started, cpu = time.perf_counter(), cpu_seconds(spark)
            job.SilverRun(
                spark,
                job.Options(
                    version=f"jr_{next(numbers):012x}",
                    contracts_uri=CONTRACTS.format(variant),
                    bronze_bucket=BRONZE,
                    silver_bucket=SILVER,
                    delivery_date=DAY,
                    sources=("orders", "stores"),
                    silver_database="silver",
                    staging_database="staging",
                ),
            ).run()
            return time.perf_counter() - started, cpu_seconds(spark) - cpu

        figures: dict[str, list[tuple[float, float]]] = {variant: [] for variant in VARIANTS}
        for number in range(options.rounds + 1):
            # Each comes first as often as the others: the first finds a JVM with more to clear up.
            turned = number % len(VARIANTS)
            for variant in (*VARIANTS[turned:], *VARIANTS[:turned]):
                figure = run(variant)
                if number:
                    figures[variant].append(figure)
        spark.stop()
    print(f"\n{delivered:,} rows delivered; medians of {options.rounds} rounds")
    print(f"{'':<15}{'seconds':>9}{'rows/s':>12}{'CPU s':>8}{'longer':>9}{'more CPU':>10}")
    medians = {
        variant: tuple(statistics.median(column) for column in zip(*runs, strict=True))
        for variant, runs in figures.items()
    }
    plain = medians["no rules"]
    for variant, (seconds, cpu) in medians.items():
        print(
            f"{variant:<15}{seconds:>9.2f}{delivered / seconds:>12,.0f}{cpu:>8.2f}"
            f"{seconds / plain[0] - 1:>9.1%}{cpu / plain[1] - 1:>10.1%}"
        )


if __name__ == "__main__":
    main()
