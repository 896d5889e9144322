"""What the pipelines share is what the rest of the project has."""

from __future__ import annotations

import warnings
from pathlib import Path

from airflow.sdk import DAG

from madrugada import defaults
from madrugada.crawler import crawl
from madrugada.staging import candidate, suffix
from tests.conftest import ROOT


def test_the_sql_folder_is_the_project_s() -> None:
    assert Path(defaults.SQL_FOLDER) == ROOT / "include" / "sql"


def test_every_pool_has_slots_and_a_reason() -> None:
    assert set(defaults.POOLS) == {
        defaults.CRAWLER_POOL,
        defaults.GLUE_POOL,
        defaults.WAREHOUSE_POOL,
        defaults.REPROCESS_POOL,
        defaults.TURN_POOL,
    }
    for slots, reason in defaults.POOLS.values():
        assert slots >= 1
        assert reason


def test_the_defaults_are_new_for_every_pipeline() -> None:
    """A DAG that changes its own must not change another's."""
    first = defaults.default_args()
    first["retries"] = 99
    assert defaults.default_args()["retries"] != 99


def test_the_crawler_is_run_as_it_is_defined_without_a_warning() -> None:
    with warnings.catch_warnings(), DAG("a_dag", schedule=None):
        warnings.simplefilter("error")
        task = crawl("madrugada-bronze", task_id="crawl_bronze")
    assert task.config == {"Name": "madrugada-bronze"}
    assert task.wait_for_completion is True


def test_a_candidate_s_name_carries_the_end_of_its_version() -> None:
    version = "jr_" + "0" * 52 + "123456789abc"
    assert suffix(version) == "123456789abc"
    assert candidate("silver", "vendas", version) == "silver_vendas_123456789abc"
