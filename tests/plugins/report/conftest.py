"""A night as the services, the jobs and the function tell of it, for its reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from madrugada import costs
from madrugada.report import Run, Used
from madrugada.settings import Settings

START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
NIGHT = {
    "delivery_date": "2026-01-05",
    "manifest_keys": ["_manifests/orders/2026-01-05.json", "_manifests/stores/2026-01-05.json"],
}
VERSIONS = {"silver": "jr_silver", "gold": "jr_gold"}
USED = Used(
    jobs={"silver": "to-silver", "gold": "to-gold"},
    crawler="madrugada-bronze",
    function="madrugada-ingest",
)
RUN = Run(
    "sales_nightly",
    "scheduled__2026-01-05",
    START,
    [
        {"task_id": "plan_night", "map_index": -1, "state": "success", "duration": 1.26},
        {"task_id": "load", "map_index": 1, "state": "success", "duration": 3.0},
        {"task_id": "skipped", "map_index": -1, "state": "skipped", "duration": None},
    ],
)


def silver(**changes: Any) -> dict[str, Any]:
    """The silver job's report of one dataset with two rejected rows and one without any."""
    return {
        "datasets": {
            "sales_data": {
                "delivered": 12,
                "kept": 10,
                "superseded": 1,
                "quarantined": {"price_required": 2},
                "warned": {},
                "inserted": 7,
                "updated": 2,
                "rows": 30,
                "files": 1,
                "bytes": 3000,
                "seconds": 1.5,
                **changes,
            },
            "produtos": {
                "delivered": 10,
                "kept": 10,
                "superseded": 0,
                "quarantined": {},
                "warned": {"valor_maximum": 1},
                "inserted": 10,
                "updated": 0,
                "restored": 1,
                "new_columns": ["cor"],
                "missing_columns": ["peso"],
                "rows": 10,
                "files": 1,
                "bytes": 1000,
                "seconds": 0.5,
            },
        }
    }


GOLD = {
    "tables": {
        "processed_sales": {"rows": 30, "files": 1, "bytes": 900, "seconds": 0.7, "location": "x"}
    }
}


def services() -> dict[str, dict[str, Any]]:
    """What Glue, Athena, Redshift and Lambda say of the run, as boto3 gives it."""
    run = {
        "JobRunState": "SUCCEEDED",
        "WorkerType": "G.1X",
        "NumberOfWorkers": 2,
        "StartedOn": START + timedelta(minutes=2),
        "Arguments": {costs.RUN_ARGUMENT: RUN.run_id},
    }
    runs = {
        "to-silver": [
            {**run, "JobName": "to-silver", "Id": "jr_silver", "ExecutionTime": 14},
            {**run, "JobName": "to-silver", "Id": "jr_failed", "ExecutionTime": 90,
             "JobRunState": "FAILED"},
            {**run, "JobName": "to-silver", "Id": "jr_other", "ExecutionTime": 5, "Arguments": {}},
        ],
        "to-gold": [{**run, "JobName": "to-gold", "Id": "jr_gold", "ExecutionTime": 20}],
    }  # fmt: skip
    crawl = {"StartTime": START, "EndTime": START + timedelta(seconds=8), "DPUHour": 0.004}
    statement = {"Duration": 2_000_000_000, "UpdatedAt": START + timedelta(minutes=5)}
    scanned = {"DataScannedInBytes": 2**20, "TotalExecutionTimeInMillis": 1500}
    return {
        "glue": {
            "get_job_run": lambda JobName, RunId: {"JobRun": runs[JobName][0]},
            "get_job_runs": lambda JobName: {"JobRuns": runs[JobName]},
            "list_crawls": lambda **_: {"Crawls": [crawl]},
        },
        "athena": {
            "get_query_execution": lambda QueryExecutionId: {
                "QueryExecution": {
                    "QueryExecutionId": QueryExecutionId,
                    "StatementType": "DML",
                    "Status": {"State": "SUCCEEDED"},
                    "Statistics": scanned,
                }
            }
        },
        "redshift-data": {
            "list_statements": lambda StatementName, Status: {
                "Statements": [{"Id": "st1", "StatementName": f"{StatementName}load"}]
            },
            "describe_statement": lambda Id: {"Id": Id, **statement},
        },
        "redshift-serverless": {
            "get_workgroup": lambda workgroupName: {"workgroup": {"baseCapacity": 8}}
        },
        "logs": {
            "filter_log_events": lambda **_: {
                "events": [
                    {"message": "REPORT RequestId: 1\tBilled Duration: 500 ms\tMemory Size: 512 MB"}
                ]
            }
        },
    }


class Client:
    """A client whose operations are functions; a paginator gives what the operation gives."""

    def __init__(self, operations: dict[str, Callable[..., Any]]) -> None:
        self.__dict__.update(operations)
        self.operations = operations

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **given: [self.operations[operation](**given)])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The services' answers; a test may change them before it reconciles."""
    answers = services()
    monkeypatch.setattr(costs, "client", lambda service: Client(answers[service]))
    return answers


@pytest.fixture
def buckets(aws: Any, names: Settings) -> Any:
    """Both jobs' reports and both sources' manifests, where the jobs and the function put them."""
    s3 = aws("s3")

    def put(layer: str, key: str, body: Any) -> None:
        s3.put_object(Bucket=names.bucket(layer), Key=key, Body=json.dumps(body).encode())

    for layer in ("bronze", "silver", "gold"):
        s3.create_bucket(Bucket=names.bucket(layer))
    put("silver", "_reports/jr_silver.json", silver())
    put("gold", "_reports/jr_gold.json", GOLD)
    for key, dataset, rows, size in (
        (NIGHT["manifest_keys"][0], "sales_data", 12, 480),
        (NIGHT["manifest_keys"][1], "produtos", 10, 300),
    ):
        put("bronze", key, {"files": [{"dataset": dataset, "rows": rows, "bytes": size}]})
    s3.put = put
    return s3
