"""A dbt project's models as tasks, and how each gets its login."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG

from madrugada import dbt
from madrugada.dbt import dbt_models, log_in


@pytest.fixture
def tasks() -> dict[str, Any]:
    with DAG("shop", schedule=None) as dag:
        dbt_models("clickstream", group_id="models", pool="redshift_loads")
    return dict(dag.task_dict)


def test_each_model_is_a_task_after_what_it_is_built_from(tasks: dict[str, Any]) -> None:
    assert {name: task.upstream_task_ids for name, task in tasks.items()} == {
        "build_stg_events": set(),
        "build_sessions": {"build_stg_events"},
        "build_conversions": {"build_sessions"},
        "build_funnel_by_day": {"build_sessions"},
    }


def test_a_task_builds_its_model_with_its_tests_and_logs_in_before(tasks: dict[str, Any]) -> None:
    task = tasks["build_sessions"]
    command, _ = task.build_cmd(context={}, cmd_flags=task.add_cmd_flags())
    said = " ".join(command)
    assert " build " in f" {said} "
    assert "fqn:clickstream.warehouse.sessions" in said
    assert "--exclude-resource-type unit_test" in said
    assert task._pre_execute_hook is log_in
    assert task.pool == "redshift_loads"


def test_no_statement_of_a_model_has_a_time_limit_of_the_driver_s() -> None:
    """The driver keeps `connect_timeout` for the whole connection: ten million events took more."""
    profile = yaml.safe_load((dbt.PROJECTS / "clickstream" / "profiles.yml").read_text())
    assert profile["clickstream"]["outputs"]["redshift"].get("connect_timeout") is None


def test_a_task_logs_in_as_whoever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    redshift = SimpleNamespace(
        get_workgroup=lambda workgroupName: {
            "workgroup": {"endpoint": {"address": "shop.example", "port": 5440}}
        },
        get_credentials=lambda **given: (
            asked.append(given) or {"dbUser": "IAM:airflow", "dbPassword": "for-an-hour"}
        ),
    )
    monkeypatch.setattr(dbt, "client", {"redshift-serverless": redshift}.__getitem__)
    hidden: list[str] = []
    monkeypatch.setattr(dbt, "mask_secret", hidden.append)
    for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE", "SSLMODE"):
        monkeypatch.setenv(f"REDSHIFT_{name}", "of before")
    log_in({})
    assert asked == [{"workgroupName": "madrugada", "dbName": "dev", "durationSeconds": 3600}]
    assert hidden == ["for-an-hour"]
    found = {name: os.environ[f"REDSHIFT_{name}"] for name in ("HOST", "PORT", "USER", "PASSWORD")}
    assert found == {
        "HOST": "shop.example",
        "PORT": "5440",
        "USER": "IAM:airflow",
        "PASSWORD": "for-an-hour",
    }
    # TLS, unless the deployment says that there is none.
    assert os.environ["REDSHIFT_SSLMODE"] == "verify-full"
