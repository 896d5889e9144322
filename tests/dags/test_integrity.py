"""Every DAG file, with exactly the DAGs and tasks that it must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from tests.dags.conftest import DAGS, parse

EXPECTED = {
    "campaign_days.py": {
        "campaign_days": {"build_campaign_days", "ask_redshift", "audit_campaign_days"}
    },
    "clickstream_nightly.py": {
        "clickstream_nightly": {
            "plan_night",
            "wait_for_the_day",
            "close_day",
            "crawl_bronze",
            "take_turn",
            "build_silver",
            "audit_silver",
            "publish_silver",
            "create_external_schema",
            "build_stg_events",
            "build_sessions",
            "build_conversions",
            "build_funnel_by_day",
            "ask_athena",
            "ask_redshift",
            "ask_spectrum",
            "reconcile",
            "report_stopped",
            "pass_turn",
            "send_report",
        }
    },
    "lake_maintenance.py": {
        "lake_maintenance": {
            "take_turn",
            "remove_unreferenced",
            "find_uneven_silver",
            "compact_silver",
            "audit_compacted_silver",
            "publish_compacted_silver",
            "find_uneven_gold",
            "compact_gold",
            "audit_compacted_gold",
            "publish_compacted_gold",
            "pass_turn",
        }
    },
    "movies_nightly.py": {
        "movies_nightly": {
            "plan_night",
            "fetch_films",
            "wait_for_catalogue",
            "check_catalogue",
            "take_turn",
            "create_tables",
            "add_day",
            "build_silver",
            "audit_silver",
            "publish_silver",
            "create_views",
            "build_gold",
            "audit_gold",
            "publish_gold",
            "create_external_schema",
            "ask_athena",
            "ask_spectrum",
            "reconcile",
            "report_stopped",
            "pass_turn",
            "send_report",
        }
    },
    "sales_rollback.py": {
        "sales_rollback": {
            "take_turn",
            "plan_rollback",
            "repoint_tables",
            "load_warehouse",
            "prune_warehouse",
            "pass_turn",
        }
    },
    "sales_reprocess.py": {"sales_reprocess": {"say_what_will_happen", "run_night"}},
    "sales_nightly.py": {
        "sales_nightly": {
            "plan_night",
            "wait_for_delivery",
            "check_delivery",
            "crawl_bronze",
            "take_turn",
            "build_silver",
            "audit_silver",
            "publish_silver",
            "build_gold",
            "audit_gold",
            "publish_gold",
            "create_tables",
            "create_external_schema",
            "load_warehouse",
            "prune_warehouse",
            "ask_athena",
            "ask_redshift",
            "ask_spectrum",
            "reconcile",
            "report_stopped",
            "pass_turn",
            "send_report",
        }
    },
}


def test_the_files_are_those_listed_here() -> None:
    found = {str(path.relative_to(DAGS)) for path in DAGS.rglob("*.py")}
    assert found == set(EXPECTED)


def test_no_file_fails_to_import(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert bag.captured_warnings == {}


def test_each_file_holds_exactly_its_dags_and_tasks(dags: dict[str, Any]) -> None:
    found: dict[str, dict[str, set[str]]] = {}
    for dag in dags.values():
        file = str(Path(dag.fileloc).relative_to(DAGS))
        found.setdefault(file, {})[dag.dag_id] = set(dag.task_ids)
    assert found == EXPECTED


def test_every_pool_is_one_that_the_stack_makes(bag: DagBag) -> None:
    assert [warning.message for warning in bag.dag_warnings] == []


def test_a_missing_folder_is_no_empty_bag(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a folder of DAG files"):
        parse(tmp_path / "dag")


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("import boto3\nboto3.client('s3', region_name='us-east-1')\n", "an AWS client"),
        ("from airflow.sdk import Variable\nVariable.get('x')\n", "a Variable"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))\n", "socket"),
    ],
)
def test_a_file_that_does_io_is_caught(tmp_path: Path, body: str, what: str) -> None:
    file = tmp_path / "reads_while_parsed.py"
    file.write_text(f"from airflow.sdk import DAG\n{body}dag = DAG('reads')\n")
    bag = parse(tmp_path)
    assert not bag.dags
    (error,) = bag.import_errors.values()
    assert what in error


def test_a_reprocessing_knows_the_sources_of_the_night(dags: dict[str, Any]) -> None:
    night = dags["sales_nightly"].params.get_param("sources").schema["items"]["enum"]
    plan = dags["sales_reprocess"].task_dict["say_what_will_happen"].python_callable
    assert plan.__globals__["SOURCES"] == night
