"""Names of AWS resources come from the environment alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from madrugada.settings import settings


def test_the_defaults_are_the_local_deployment() -> None:
    found = settings()
    assert found.bucket("query-results") == "madrugada-local-query-results"
    assert found.role("redshift") == "arn:aws:iam::123456789012:role/madrugada-local-redshift"
    assert found.topic("alarms") == "arn:aws:sns:us-east-1:123456789012:madrugada-alarms"
    assert found.contracts_uri == "s3://madrugada-local-artifacts/contracts/contracts.json"
    assert found.redshift == {
        "workgroup_name": "madrugada",
        "database": "dev",
        "statement_name": "{{ dag.dag_id }}/{{ run_id }}/{{ ti.task_id }}",
    }
    assert found.delivery_patience == timedelta(hours=2)
    assert found.delivery_deadline == timedelta(minutes=45)


def test_the_environment_names_another_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADRUGADA_PREFIX", "acme-prod")
    monkeypatch.setenv("MADRUGADA_AWS_ACCOUNT", "210987654321")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    monkeypatch.setenv("MADRUGADA_DELIVERY_PATIENCE_SECONDS", "60")
    found = settings()
    assert found.bucket("gold") == "acme-prod-gold"
    assert found.role("redshift") == "arn:aws:iam::210987654321:role/acme-prod-redshift"
    assert found.topic("reports") == "arn:aws:sns:sa-east-1:210987654321:madrugada-reports"
    assert found.delivery_patience == timedelta(minutes=1)


@pytest.mark.parametrize("value", ["two hours", "-1", "1.5", ""])
def test_a_patience_that_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MADRUGADA_DELIVERY_PATIENCE_SECONDS", value)
    with pytest.raises(ValueError, match="whole number of seconds"):
        settings()


def test_somebody_is_called_before_the_night_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADRUGADA_DELIVERY_PATIENCE_SECONDS", "3600")
    monkeypatch.setenv("MADRUGADA_DELIVERY_DEADLINE_SECONDS", "3600")
    with pytest.raises(ValueError, match="less than the patience"):
        settings()
    monkeypatch.setenv("MADRUGADA_DELIVERY_DEADLINE_SECONDS", "600")
    settings.cache_clear()
    assert settings().delivery_deadline == timedelta(minutes=10)


def test_what_is_kept_of_the_lake_has_a_least(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (settings().keep_versions, settings().retention) == (7, timedelta(days=7))
    assert settings().target_file_bytes == 96 << 20
    for name in ("KEEP_VERSIONS", "RETENTION_DAYS", "TARGET_FILE_BYTES"):
        for value in ("0", "-1", "many"):
            monkeypatch.setenv(f"MADRUGADA_{name}", value)
            settings.cache_clear()
            with pytest.raises(ValueError, match=f"MADRUGADA_{name}=.*at least 1"):
                settings()
        monkeypatch.setenv(f"MADRUGADA_{name}", "3")
    settings.cache_clear()
    found = settings()
    assert (found.keep_versions, found.retention) == (3, timedelta(days=3))
    assert found.target_file_bytes == 3
