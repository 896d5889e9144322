"""Airflow's logs do not repeat what is always so, and keep what is wrong."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.settings import ROOT, TALKATIVE, Settings

LIBRARIES = ("botocore.credentials", "botocore.configprovider")

SPEAK = """
import logging, sys
import structlog
from airflow import settings
settings.initialize()
for name in sys.argv[1].split():
    log = structlog.get_logger(name)
    log.info("all is well with " + name)
    log.error("something is wrong with " + name)
for name in sys.argv[2].split():
    log = logging.getLogger(name)
    log.info("all is well with " + name)
    log.error("something is wrong with " + name)
"""


def test_what_is_talkative_says_only_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MADRUGADA_STATE", str(tmp_path))
    (tmp_path / "airflow").mkdir()
    found = subprocess.run(
        [sys.executable, "-c", SPEAK, " ".join((*TALKATIVE, "other")), " ".join(LIBRARIES)],
        env={
            **os.environ,
            **Settings.load().airflow_environment(),
            "PYTHONPATH": str(ROOT / "ops" / "airflow"),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    said = found.stdout + found.stderr
    assert "all is well with other" in said
    for name in (*TALKATIVE, *LIBRARIES):
        assert f"all is well with {name} " not in said
        assert f"something is wrong with {name} " in said


@pytest.mark.parametrize("name", TALKATIVE)
def test_a_talkative_module_is_still_there(name: str) -> None:
    assert importlib.util.find_spec(name)
