"""What Airflow keeps of its runs is removed when it is old, and only then."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops import history, stack
from ops.settings import OpsError, Settings

DAY = 86_400


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A stack's state, and an `airflow` that writes down what it is asked."""
    state = tmp_path / "state"
    (state / "airflow").mkdir(parents=True)
    (state / "airflow" / "airflow.db").touch()
    airflow = tmp_path / "airflow"
    airflow.write_text(f'#!/bin/sh\necho "$AIRFLOW_HOME $@" > {tmp_path}/asked\n')
    airflow.chmod(0o755)
    monkeypatch.setattr(stack, "AIRFLOW", str(airflow))
    monkeypatch.setenv("MADRUGADA_STATE", str(state))
    return Settings.load()


def write(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def test_airflow_cleans_its_database(settings: Settings, tmp_path: Path) -> None:
    history.clean(settings, 90)
    home, *asked = (tmp_path / "asked").read_text().split()
    assert home == str(settings.state / "airflow")
    assert asked[:3] == ["db", "clean", "--yes"]
    before = datetime.fromisoformat(asked[asked.index("--clean-before-timestamp") + 1])
    assert abs(datetime.now(UTC) - timedelta(days=90) - before) < timedelta(minutes=1)


def test_the_tables_are_airflow_s() -> None:
    from airflow.utils.db_cleanup import config_dict

    assert set(history.TABLES) < config_dict.keys()


def test_old_logs_go_and_the_others_stay(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks, parsed = settings.logs / "airflow", settings.state / "airflow" / "logs"
    one = "dag_id=sales_nightly/run_id={}/task_id=build_gold/attempt={}.log"
    old = [
        write(tasks / one.format("old", 1), 91),
        write(tasks / one.format("cleared", 1), 91),
        write(parsed / "dag_processor/2026-01-05/dags-folder/sales_nightly.py.log", 91),
    ]
    young = [
        write(tasks / one.format("cleared", 2), 89),
        write(tasks / one.format("young", 1), 89),
        write(settings.logs / "scheduler.log", 91),
    ]
    assert history.main([]) == 0
    assert "more than 90 days ago, 3 logs" in capsys.readouterr().out
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in young)
    runs = {path.name for path in (tasks / "dag_id=sales_nightly").iterdir()}
    assert runs == {"run_id=cleared", "run_id=young"}
    assert list(parsed.iterdir()) == []


def test_what_airflow_could_not_clean_is_told(settings: Settings) -> None:
    Path(stack.AIRFLOW).write_text("#!/bin/sh\necho database is locked; exit 1\n")
    log = write(settings.logs / "airflow" / "a.log", 91)
    with pytest.raises(OpsError, match=r"run make clean-history again(?s:.*)database is locked"):
        history.clean(settings, 90)
    assert log.exists()


@pytest.mark.parametrize("days", ["0", "-1", "many", ""])
def test_days_that_are_none(
    settings: Settings, days: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert history.main([f"--days={days}"]) == 1
    assert f"DAYS={days!r}: expected a whole number above 0" in capsys.readouterr().err


def test_a_stack_that_was_never_started(settings: Settings) -> None:
    (settings.state / "airflow" / "airflow.db").unlink()
    with pytest.raises(OpsError, match="no history"):
        history.clean(settings, 90)
