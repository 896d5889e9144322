"""What the commands behind `make` answer to a person who asked for something impossible."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from ops import deliver, events, logs, nightly, run, sql, stack
from ops.settings import OpsError, Settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def nothing_is_up(tmp_path: Path) -> Iterator[None]:
    """A stack that nobody started; commands may set variables of this process."""
    names = ("PORT", "AWS_PORT", "REDSHIFT_PORT", "TMDB_PORT")
    ports = {name: str(free_port()) for name in names}
    with patch.dict(os.environ, MADRUGADA_STATE=str(tmp_path), **ports):
        yield


class TestDates:
    def test_a_date(self) -> None:
        assert nightly.a_date("2026-01-05") == date(2026, 1, 5)

    @pytest.mark.parametrize("text", ["", "05/01/2026", "2026-02-30", "yesterday"])
    def test_no_date(self, text: str) -> None:
        with pytest.raises(OpsError, match="expected YYYY-MM-DD, for example 2026-01-05"):
            nightly.a_date(text)


class Airflow:
    """Airflow's API as `watch` and `backfill` see it: one run, whose tasks go on at each look."""

    def __init__(self, steps: list[tuple[str, list[dict[str, Any]]]]) -> None:
        self.steps = steps
        self.look = 0

    def get(self, path: str, **params: Any) -> Any:
        if "/logs/" in path:
            line = {"level": "error", "event": "it broke", "error_detail": None}
            return {"content": ["not a dict", {"level": "info", "event": "fine"}, line]}
        state, tasks = self.steps[min(self.look, len(self.steps) - 1)]
        if path.endswith("/taskInstances"):
            self.look += 1
            return {"task_instances": tasks}
        moments = {"queued_at": "2026-01-05T06:00:00Z", "end_date": "2026-01-05T06:00:42.5Z"}
        return {"state": state, **moments}


def task(name: str, state: str | None, map_index: int = -1) -> dict[str, Any]:
    return {
        "task_id": name,
        "state": state,
        "map_index": map_index,
        "rendered_map_index": "wide_vendas" if map_index >= 0 else None,
        "end_date": "2026-01-05T06:00:10Z" if state else None,
        "duration": 1.5,
        "try_number": 1,
    }


class TestWatching:
    def test_each_task_is_told_once_and_then_the_run(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(nightly.time, "sleep", lambda seconds: None)
        airflow = Airflow(
            [
                ("running", [task("plan_night", "success"), task("load_warehouse", None, 0)]),
                ("success", [task("plan_night", "success"), task("load_warehouse", "success", 0)]),
            ]
        )
        assert nightly.watch(airflow, "sales_nightly", "a_run")  # type: ignore[arg-type]
        said = capsys.readouterr().out
        assert said.count("plan_night") == 1
        assert "load_warehouse [wide_vendas]" in said
        assert "sales_nightly a_run: success in 42.5 s" in said

    def test_a_failed_task_says_why(self, capsys: pytest.CaptureFixture[str]) -> None:
        airflow = Airflow([("failed", [task("audit_silver", "failed")])])
        assert not nightly.watch(airflow, "sales_nightly", "a_run")  # type: ignore[arg-type]
        said = capsys.readouterr().out
        assert "FAILED   audit_silver" in said
        assert "it broke" in said
        assert "fine" not in said

    def test_a_run_that_does_not_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nightly.time, "sleep", lambda seconds: None)
        with pytest.raises(OpsError, match="d r has not ended within"):
            nightly.watch(Airflow([("running", [])]), "d", "r", timeout=-1)  # type: ignore[arg-type]

    def test_a_backfill_backwards(self) -> None:
        with pytest.raises(OpsError, match="END=2026-01-01 is before START=2026-01-05"):
            nightly.backfill(Airflow([]), "d", date(2026, 1, 5), date(2026, 1, 1))  # type: ignore[arg-type]


class TestNothingIsUp:
    @pytest.mark.parametrize(
        ("main", "arguments"),
        [
            (nightly.main, ["--date", "2026-01-05"]),
            (sql.main, ["--query", "select 1"]),
        ],
    )
    def test_it_says_how_to_start(
        self, main: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(arguments) == 1
        assert "Start it with: make up" in capsys.readouterr().err

    def test_a_delivery(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        from include.sample_data.generate import generate

        generate(tmp_path / "files", 10)
        assert deliver.main(["--from", str(tmp_path / "files"), "--date", "2026-01-05"]) == 1
        said = capsys.readouterr().err
        assert "Start it with: make up" in said
        assert Settings.load().aws_url in said

    def test_stopping_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert stack.main(["stop"]) == 0
        assert "Nothing was running" in capsys.readouterr().out

    def test_it_is_not_up(self) -> None:
        assert not stack.is_up(Settings.load())

    def test_its_logs(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert logs.main(["scheduler"]) == 1
        assert "Start the stack with: make up" in capsys.readouterr().err


class TestBadArguments:
    @pytest.mark.parametrize(
        ("main", "arguments", "expected"),
        [
            (sql.main, ["--engine", "presto", "--query", "select 1"], "athena or redshift"),
            (sql.main, ["--query", " "], 'make sql ENGINE=athena Q="select ..."'),
            (sql.main, ["--query", "select 1", "--format", "xml"], "table or csv"),
            (deliver.main, [], "make deliver FROM=<folder> DATE=2026-01-05"),
            (events.main, [], "make events COUNT=1000, or make events FROM=<file.jsonl>"),
            (events.main, ["--count", "5", "--from", "x"], "make events COUNT=1000, or make even"),
            (events.main, ["--count", "-5"], "COUNT: expected a number above 0, found '-5'"),
            (events.main, ["--count", "5", "--rate", "x"], "RATE: expected a number above 0"),
            (events.main, ["--count", "5", "--door", "sns"], "DOOR: expected kinesis or sqs"),
            (events.main, ["--from", "/nowhere.jsonl"], "/nowhere.jsonl cannot be read"),
            (deliver.main, ["--from", "/nowhere", "--date", "2026-01-05"], "/nowhere"),
            (deliver.main, ["--from", ".", "--date", "today"], "expected YYYY-MM-DD"),
            (run.main, ["--rows", "many"], "ROWS='many'"),
            (run.main, ["--rows", "0"], "ROWS='0'"),
            (run.main, ["--pipeline", "payroll"], "PIPELINE='payroll': expected one of sales, "),
        ],
    )
    def test_it_says_what_was_expected(
        self, main: Any, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(arguments) == 1
        captured = capsys.readouterr()
        assert expected in captured.err
        assert captured.out == ""

    def test_a_log_that_is_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "aws.log").write_text("listening\n")
        assert logs.main(["airflow"]) == 1
        assert "expected one of aws." in capsys.readouterr().err
        assert logs.main([""]) == 0
        assert "listening" in capsys.readouterr().out


class TestTheMachine:
    def test_a_port_that_another_program_has(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            settings = Settings(Settings.load().state, port, free_port(), "madrugada-local")
            with pytest.raises(OpsError, match=rf"Port {port} is in use.*make run PORT=8081"):
                stack.check_machine(settings)

    def test_too_little_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        little = SimpleNamespace(free=100 * 1024**2)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: little)
        with pytest.raises(OpsError, match=r"Too little disk: 0\.1 GB are free.*2 GB are needed"):
            stack.check_machine(Settings.load())

    def test_a_machine_that_will_do(self) -> None:
        stack.check_machine(Settings.load())

    def test_the_ports_are_remembered(self) -> None:
        settings = Settings.load()
        settings.state.mkdir(exist_ok=True)
        stack._remember(Settings(settings.state, 8099, 4599, settings.prefix))
        saved = (settings.state / "stack.json").read_text()
        assert "8099" in saved
        assert "4599" in saved

    def test_clean_leaves_nothing(self) -> None:
        settings = Settings.load()
        (settings.state / "aws").mkdir(parents=True)
        stack.clean(settings)
        assert not settings.state.exists()
