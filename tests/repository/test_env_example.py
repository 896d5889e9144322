""".env.example names every setting once, with a comment, and with the defaults of the code."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local_aws.glue.spark_host import SparkSettings
from madrugada.settings import settings as pipeline_settings
from ops.settings import AIRFLOW_PORT, AWS_PORT, REDSHIFT_PORT, TMDB_PORT, Settings
from tests.conftest import ROOT
from tests.repository.dotenv import EXAMPLE, read


def test_every_setting_has_a_comment_of_its_own() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line


def test_the_values_are_the_code_s_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MADRUGADA_STATE", str(tmp_path))
    settings = Settings.load()
    environment = settings.airflow_environment()
    spark = SparkSettings()
    pipeline = pipeline_settings.__wrapped__()
    assert {name: value for name, value in read(EXAMPLE).items() if value} == {
        "PORT": str(AIRFLOW_PORT),
        "AWS_PORT": str(AWS_PORT),
        "REDSHIFT_PORT": str(REDSHIFT_PORT),
        "TMDB_PORT": str(TMDB_PORT),
        "MADRUGADA_PREFIX": settings.prefix,
        "MADRUGADA_DELIVERY_PATIENCE_SECONDS": environment["MADRUGADA_DELIVERY_PATIENCE_SECONDS"],
        "MADRUGADA_KEEP_VERSIONS": str(pipeline.keep_versions),
        "MADRUGADA_RETENTION_DAYS": str(pipeline.retention.days),
        "MADRUGADA_TARGET_FILE_BYTES": str(pipeline.target_file_bytes),
        "LOCAL_AWS_SPARK_MEMORY": spark.memory,
        "LOCAL_AWS_SPARK_JVMS": str(spark.jvms),
    }


def test_nothing_that_compose_takes_from_the_environment_is_missing() -> None:
    taken = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yaml").read_text()))
    # What a single command is given: docker compose run -e ROWS=5000 producer
    assert taken - read(EXAMPLE).keys() == {"ROWS", "DELIVERY_DATE"}


@pytest.mark.parametrize("line", ["A B=1", "A=1 2", "A='1'", "A=$B", "lower=1", "A", "A=1\nA=2"])
def test_a_line_that_its_readers_would_take_differently_is_refused(
    tmp_path: Path, line: str
) -> None:
    path = tmp_path / ".env"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"\.env:"):
        read(path)


def test_make_reads_it_as_it_stands(tmp_path: Path) -> None:
    """Copied to .env, every value reaches the commands that make runs."""
    shutil.copy(EXAMPLE, tmp_path / ".env")
    (tmp_path / "Makefile").write_text("-include .env\nexport\nshow:\n\t@env\n")
    shown = subprocess.run(
        ["make", "-s", "show"], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin"},
    ).stdout.splitlines()  # fmt: skip
    for name, value in read(EXAMPLE).items():
        assert f"{name}={value}" in shown
    assert "-include .env\nexport\n" in (ROOT / "Makefile").read_text()
