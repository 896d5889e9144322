"""Which delivery a run is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.contracts.compile import contracts_json
from madrugada.night import delivery_date, plan, plan_day
from madrugada.settings import Settings

DATASETS = {"orders": ["sales_data"], "stores": ["clientes", "vendas"]}


@dataclass
class Run:
    """What the plan reads of Airflow's dag run."""

    logical_date: datetime | None
    run_after: datetime


# 03:00 in São Paulo (UTC-3) on the 5th.
SCHEDULED = Run(datetime(2026, 1, 5, 6, tzinfo=UTC), datetime(2026, 1, 5, 6, tzinfo=UTC))
# Triggered at 22:30 in São Paulo on the 4th, when it is the 5th in UTC.
BY_HAND = Run(None, datetime(2026, 1, 5, 1, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("params", "run", "expected"),
    [
        ({"delivery_date": None}, SCHEDULED, "2026-01-05"),
        ({}, SCHEDULED, "2026-01-05"),
        ({"delivery_date": None}, BY_HAND, "2026-01-04"),
        ({"delivery_date": "2024-02-29"}, SCHEDULED, "2024-02-29"),
        ({"delivery_date": "2024-02-29T00:00:00"}, BY_HAND, "2024-02-29"),
    ],
)
def test_the_form_s_date_goes_before_the_run_s(
    params: dict[str, Any], run: Run, expected: str
) -> None:
    assert delivery_date(params, run) == expected


@pytest.mark.parametrize("given", ["2026-13-01", "tomorrow", "2026-02-30"])
def test_a_date_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"is not a date like 2026-01-05"):
        delivery_date({"delivery_date": given}, SCHEDULED)


@pytest.fixture
def deployed(aws: Any, names: Settings) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket=names.bucket("artifacts"))
    s3.put_object(
        Bucket=names.bucket("artifacts"),
        Key="contracts/contracts.json",
        Body=contracts_json().encode(),
    )


def test_where_a_cleared_task_would_do_nothing_no_night_is_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS", "False")
    with pytest.raises(AirflowFailException, match="AIRFLOW__STATE_STORE__CLEAR_ON_SUCCESS=True"):
        plan({"sources": ["orders"]}, SCHEDULED, DATASETS)


@pytest.mark.usefixtures("deployed")
def test_a_plan_names_the_delivery_its_datasets_and_manifests() -> None:
    params = {"delivery_date": None, "sources": ["orders", "stores"]}
    assert plan(params, SCHEDULED, DATASETS) == {
        "delivery_date": "2026-01-05",
        "sources": "orders,stores",
        "datasets": {"sales_data": ["id"], "clientes": ["id"], "vendas": ["id"]},
        "manifest_keys": [
            "_manifests/orders/2026-01-05.json",
            "_manifests/stores/2026-01-05.json",
        ],
        "delivery": {"delivery_date": "2026-01-05", "sources": ["orders", "stores"]},
        "open": False,
    }


@pytest.mark.parametrize(
    ("params", "run", "expected"),
    [
        ({}, SCHEDULED, "2026-01-04"),
        ({}, BY_HAND, "2026-01-04"),
        ({"delivery_date": "2026-01-05"}, SCHEDULED, "2026-01-05"),
    ],
)
def test_a_stream_s_night_takes_the_day_in_utc_that_was_over(
    params: dict[str, Any], run: Run, expected: str
) -> None:
    assert delivery_date(params, run, streamed=True) == expected


@pytest.mark.usefixtures("deployed")
def test_a_day_of_a_stream_is_waited_for_unless_the_form_takes_it_open() -> None:
    planned = plan_day({"take_open_day": False}, SCHEDULED, "clickstream", ["events"])
    assert planned["datasets"] == {"events": ["event_id"]}
    assert planned["manifest_keys"] == ["_manifests/clickstream/2026-01-04.json"]
    assert planned["over_at"] == "2026-01-05T00:15:00+00:00"
    assert planned["open"] is False
    asked = {"delivery_date": "2026-01-04", "source": "clickstream", "open_hours": "refuse"}
    assert planned["delivery"] == asked

    taken = plan_day({"take_open_day": True}, SCHEDULED, "clickstream", ["events"])
    assert taken["over_at"] == "2026-01-04T00:00:00+00:00"
    assert taken["open"] is True
    assert taken["delivery"] == {**asked, "open_hours": "take"}


@pytest.mark.usefixtures("deployed")
def test_a_plan_of_one_source_leaves_the_other_out() -> None:
    found = plan({"sources": ["orders"]}, SCHEDULED, DATASETS)
    assert found["datasets"] == {"sales_data": ["id"]}
    assert found["manifest_keys"] == ["_manifests/orders/2026-01-05.json"]


@pytest.mark.usefixtures("deployed")
def test_a_source_that_the_dag_does_not_list_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown sources \['payroll'\].*'orders', 'stores'"):
        plan({"sources": ["orders", "payroll"]}, SCHEDULED, DATASETS)


@pytest.mark.usefixtures("deployed")
def test_a_dataset_without_a_contract_is_refused() -> None:
    with pytest.raises(ValueError, match=r"include/contracts/refunds\.yaml"):
        plan({"sources": ["orders"]}, SCHEDULED, {"orders": ["refunds"]})
