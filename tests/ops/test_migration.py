"""Airflow's database counts as migrated when this migration has ended, and ended well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import processes, stack
from ops.settings import OpsError, Settings

WELL = "echo Database migration done!"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    state = tmp_path / "state"
    (state / "airflow").mkdir(parents=True)
    yield Settings(state=state, airflow_port=1, aws_port=2, prefix="p")
    processes.stop(state, patience=0)


@pytest.fixture(autouse=True)
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command that migrates as its script says."""
    command = tmp_path / "airflow"
    command.touch(mode=0o755)
    monkeypatch.setattr(stack, "AIRFLOW", str(command))
    return command


def migrate(settings: Settings, airflow: Path, script: str) -> None:
    airflow.write_text(f"#!/bin/sh\n{script}\n")
    stack._start_migration(settings, {})()


def migrated(settings: Settings) -> Path:
    return settings.state / "airflow" / "migrated"


def test_one_that_ends_well_is_done_once(settings: Settings, airflow: Path) -> None:
    migrate(settings, airflow, WELL)
    migrate(settings, airflow, "exit 1")
    assert migrated(settings).exists()


def test_one_that_fails_after_one_that_ended_well(settings: Settings, airflow: Path) -> None:
    migrate(settings, airflow, WELL)
    migrated(settings).write_text("by other requirements")
    with pytest.raises(OpsError, match=r"ended with 1\. Mend.*run make up again") as told:
        migrate(settings, airflow, "echo no such revision; exit 1")
    assert str(told.value).endswith(f"Last lines of {settings.logs}/migrate.log:\nno such revision")
    assert migrated(settings).read_text() == "by other requirements"


def test_one_that_is_not_over_in_time(
    settings: Settings, airflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(settings, airflow, WELL)
    migrated(settings).write_text("by other requirements")
    monkeypatch.setattr(stack, "PATIENCE", 0.5)
    with pytest.raises(OpsError, match=r"still being migrated after 0\.5 s.*LOG=migrate"):
        migrate(settings, airflow, "echo working; exec sleep 60")
    assert migrated(settings).read_text() == "by other requirements"
    assert processes.running(settings.state).keys() == {"migrate"}
