"""`make up` starts what is not running, and leaves alone what is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import processes, stack
from ops.settings import OpsError, Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A stack whose parts are real processes that do nothing and always answer."""
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    for name in ("PYTHON", "AIRFLOW"):
        monkeypatch.setattr(stack, name, str(sleeper))
    parts = {name: [str(sleeper)] for name in stack.AIRFLOW_PARTS}
    monkeypatch.setattr(stack, "AIRFLOW_PARTS", parts)
    monkeypatch.setattr(stack, "answers", lambda url, patience=0: True)
    monkeypatch.setattr(stack, "_deploy", lambda settings: None)
    monkeypatch.setattr(stack, "_make_pools", lambda settings: None)
    monkeypatch.setattr(stack, "_start_migration", lambda settings, environment: lambda: None)
    state = tmp_path / "state"
    yield Settings(state=state, airflow_port=1, aws_port=2, prefix="p")
    processes.stop(state, patience=0)


@pytest.fixture(autouse=True)
def free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "is_free", lambda port: True)


@pytest.mark.parametrize("part", ["aws", "scheduler", "api-server"])
def test_only_the_part_that_died_is_started_again(settings: Settings, part: str) -> None:
    stack.up(settings)
    before = processes.running(settings.state)
    assert before.keys() == stack.PARTS
    os.kill(before[part], signal.SIGKILL)
    while processes.is_alive(before[part]):
        time.sleep(0.01)
    assert not stack.is_up(settings)
    stack.up(settings)
    after = processes.running(settings.state)
    assert after.keys() == stack.PARTS
    assert {name for name, pid in after.items() if before[name] != pid} == {part}


def test_nothing_is_started_twice(settings: Settings) -> None:
    stack.up(settings)
    before = processes.running(settings.state)
    stack.up(settings)
    assert processes.running(settings.state) == before


def test_other_ports_are_another_stack(settings: Settings) -> None:
    stack.up(settings)
    before = processes.running(settings.state)
    moved = Settings(state=settings.state, airflow_port=3, aws_port=2, prefix="p")
    stack.up(moved)
    after = processes.running(settings.state)
    assert after.keys() == stack.PARTS
    assert not set(after.values()) & set(before.values())


def test_a_start_that_ended_before_the_pools_were_made_is_made_good(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Settings] = []

    def refuse(settings: Settings) -> None:
        raise OpsError("Airflow refused POST /pools: 503 Database is locked")

    monkeypatch.setattr(stack, "_make_pools", refuse)
    with pytest.raises(OpsError, match="POST /pools"):
        stack.up(settings)
    monkeypatch.setattr(stack, "_make_pools", made.append)
    stack.up(settings)
    assert made == [settings]
