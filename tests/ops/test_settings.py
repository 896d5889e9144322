"""Which ports and which folder a checkout's stack has, and what it tells Airflow."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ops.settings import ROOT, OpsError, Settings


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MADRUGADA_STATE", str(tmp_path))
    return tmp_path


def test_the_defaults(state: Path) -> None:
    settings = Settings.load()
    assert settings.state == state
    assert settings.airflow_url == "http://127.0.0.1:8080"
    assert settings.aws_url == "http://127.0.0.1:4566"
    assert settings.bucket("gold") == "madrugada-local-gold"


def test_a_stack_s_state_is_in_its_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MADRUGADA_STATE")
    assert Settings.load().state == ROOT / ".state"


def test_commands_find_the_ports_of_the_running_stack(state: Path) -> None:
    (state / "stack.json").write_text(json.dumps({"airflow_port": 8081, "aws_port": 4567}))
    settings = Settings.load()
    assert (settings.airflow_port, settings.aws_port) == (8081, 4567)


def test_the_environment_goes_before_the_running_stack(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state / "stack.json").write_text(json.dumps({"airflow_port": 8081, "aws_port": 4567}))
    monkeypatch.setenv("PORT", "9090")
    settings = Settings.load()
    assert (settings.airflow_port, settings.aws_port) == (9090, 4567)


@pytest.mark.parametrize(("aws", "redshift"), [(4566, 5439), (4567, 5440), (65000, 64127)])
def test_a_second_stack_s_redshift_has_a_port_of_its_own(
    monkeypatch: pytest.MonkeyPatch, aws: int, redshift: int
) -> None:
    monkeypatch.setenv("AWS_PORT", str(aws))
    assert Settings.load().redshift_port == redshift
    monkeypatch.setenv("REDSHIFT_PORT", "6000")
    assert Settings.load().redshift_port == 6000


def test_the_running_stack_s_other_ports_are_found(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = {"airflow_port": 8081, "aws_port": 4567, "redshift_port": 6000, "tmdb_port": 6001}
    (state / "stack.json").write_text(json.dumps(ports))
    assert (Settings.load().redshift_port, Settings.load().tmdb_port) == (6000, 6001)
    monkeypatch.setenv("AWS_PORT", "4600")
    assert (Settings.load().redshift_port, Settings.load().tmdb_port) == (5473, 4604)


@pytest.mark.parametrize("variable", ["PORT", "AWS_PORT", "REDSHIFT_PORT", "TMDB_PORT"])
@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(OpsError, match=rf"^{variable}='{value}' is not a port: expected a number"):
        Settings.load()


def test_a_secret_is_made_once_and_readable_by_its_owner_alone(state: Path) -> None:
    settings = Settings.load()
    secret = settings.secret("api")
    assert len(secret) >= 32
    assert Settings.load().secret("api") == secret
    assert settings.secret("jwt") != secret
    assert stat.S_IMODE((state / "secrets" / "api").stat().st_mode) == 0o600


def test_everything_that_airflow_is_told_stays_on_this_machine(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "8081")
    environment = Settings.load().airflow_environment()
    addresses = {n: v for n, v in environment.items() if "://" in v and not n.endswith("CONN")}
    assert addresses
    assert all(v.startswith("http://127.0.0.1:") for v in addresses.values()), addresses
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8081"
    assert str(state) in environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


def test_a_cleared_task_runs_again() -> None:
    """Without it, clearing a succeeded Glue or Redshift task is a green no-op."""
    environment = Settings.load().airflow_environment()
    assert environment["AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS"] == "True"


def test_a_call_that_is_throttled_is_tried_again_before_its_task_is() -> None:
    environment = Settings.load().airflow_environment()
    assert environment["AWS_RETRY_MODE"] == "standard"
    # About a minute: botocore waits 1, 2, 4 ... and at most 20 seconds between its attempts.
    assert int(environment["AWS_MAX_ATTEMPTS"]) >= 8
