"""A late delivery calls somebody, a backfill of nights that are past does not.

Airflow itself sets and evaluates the deadlines here, on a database of its own: the DAG is
serialised, runs are made as the scheduler makes them, a deadline that has passed is handled as its
loop does, and the callback is run by the trigger that the triggerer would run.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.definitions.deadline import DeadlineReference
from pytest_socket import disable_socket, enable_socket

from madrugada.deadline import delivery_deadline, late_delivery
from madrugada.settings import Settings, settings

DAY = "2026-01-05"
DUE = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
LONG_AGO = datetime(2024, 3, 1, 6, 0, tzinfo=UTC)
SOURCES = ["orders", "stores"]


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """As for the other tests of plugins, but an event loop needs a pair of sockets of its own."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def inbox(aws: Any, names: Settings) -> Any:
    """A queue that is subscribed to the alarms topic; call it for what has arrived."""
    topic = aws("sns").create_topic(Name="madrugada-alarms")["TopicArn"]
    queue = aws("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    aws("s3").create_bucket(Bucket=names.bucket("bronze"))

    def read() -> list[dict[str, str]]:
        found = aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in found.get("Messages", [])]

    return read


@pytest.fixture(scope="module")
def database() -> None:
    """Airflow's tables, in the database of this process's own Airflow home."""
    from airflow import models
    from airflow import settings as airflow_settings
    from airflow.models.base import Base
    from airflow.utils.db import synchronize_log_template
    from airflow.utils.session import create_session

    airflow_settings.initialize()
    models.import_all_models()
    Base.metadata.create_all(airflow_settings.engine)
    with create_session() as session:
        synchronize_log_template(session=session)


@pytest.fixture
def make_run(database: None) -> Any:
    """``make_run("backfill", logical_date)``: a run of a DAG with the deadline, made as by Airflow.

    Gives until when it should be done, and when it was queued.
    """
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.deadline import Deadline
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.definitions.dag import SerializedDAG
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import delete, select

    dag = DAG(
        "late_night",
        schedule=None,
        deadline=delivery_deadline(SOURCES),
        params={"delivery_date": Param(None, type=["null", "string"])},
    )
    with create_session() as session:
        session.merge(DagBundleModel(name="test"))
        session.flush()
        lazy = LazyDeserializedDAG.from_dag(dag)
        SerializedDAG.bulk_write_to_db("test", None, [lazy], session=session)
        SerializedDagModel.write_dag(lazy, bundle_name="test", session=session)

    def make(
        kind: str, logical_date: datetime | None = None, **conf: Any
    ) -> tuple[datetime, datetime | None]:
        with create_session() as session:
            session.execute(delete(Deadline))
            session.execute(delete(DagRun))
            stored = session.scalars(
                select(SerializedDagModel).where(SerializedDagModel.dag_id == dag.dag_id)
            ).one()
            run = stored.dag.create_dagrun(
                run_id=f"{kind}__{datetime.now(UTC).isoformat()}",
                logical_date=logical_date,
                data_interval=(logical_date, logical_date) if logical_date else None,
                run_after=logical_date or datetime.now(UTC),
                run_type=DagRunType(kind),
                conf=conf,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.QUEUED,
                session=session,
            )
            session.flush()
            return session.scalars(select(Deadline)).one().deadline_time, run.queued_at

    return make


def after(moment: datetime) -> list[str]:
    """What the scheduler and the triggerer do about deadlines at a moment: the callbacks' words."""
    from airflow.models.deadline import Deadline
    from airflow.models.trigger import Trigger
    from airflow.triggers.callback import CallbackTrigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    said = []
    with create_session() as session:
        missed = select(Deadline).where(Deadline.deadline_time < moment).where(~Deadline.missed)
        for deadline in session.scalars(missed).all():
            deadline.handle_miss(session)
            session.flush()
            trigger: Trigger = deadline.callback.trigger
            assert trigger.classpath == f"{CallbackTrigger.__module__}.{CallbackTrigger.__name__}"
            events = asyncio.run(collect(CallbackTrigger(**trigger.kwargs)))
            assert events[-1]["state"] == "success", events[-1]
            said.append(events[-1]["body"])
    return said


async def collect(trigger: Any) -> list[dict[str, Any]]:
    return [event.payload async for event in trigger.run()]


def a_manifest(aws: Any, names: Settings, source: str, day: str = DAY) -> None:
    key = f"_manifests/{source}/{day}.json"
    aws("s3").put_object(Bucket=names.bucket("bronze"), Key=key, Body=b"{}")


def soon() -> datetime:
    """When the deadline of a run that is queued now has passed."""
    return datetime.now(UTC) + settings().delivery_deadline + timedelta(seconds=1)


def test_the_deadline_counts_from_the_moment_the_run_was_queued() -> None:
    alert = delivery_deadline(SOURCES)
    assert alert.reference == DeadlineReference.DAGRUN_QUEUED_AT
    assert alert.reference != DeadlineReference.DAGRUN_LOGICAL_DATE
    assert alert.interval == timedelta(minutes=45) == settings().delivery_deadline


def test_the_night_of_sales_has_it() -> None:
    from airflow.sdk.definitions.callback import AsyncCallback

    from dags.sales_nightly import DATASETS, dag

    (alert,) = dag.deadline
    assert alert == delivery_deadline(list(DATASETS))
    assert isinstance(alert.callback, AsyncCallback)
    assert alert.callback.path == "madrugada.deadline.late_delivery"


@pytest.mark.parametrize("kind", ["scheduled", "backfill", "manual"])
def test_a_night_of_long_ago_is_not_late_when_it_is_queued(
    make_run: Any, inbox: Any, kind: str
) -> None:
    until, queued = make_run(kind, LONG_AGO)
    assert until == queued + settings().delivery_deadline
    assert after(datetime.now(UTC)) == []
    assert inbox() == []


def test_a_delivery_that_is_late_calls_and_names_what_is_not_there(
    make_run: Any, inbox: Any, aws: Any, names: Settings
) -> None:
    a_manifest(aws, names, "orders")
    make_run("scheduled", DUE)
    (said,) = after(soon())
    assert said.endswith("called about _manifests/stores/2026-01-05.json")
    (message,) = inbox()
    assert message["Subject"] == "ALARM late_night: delivery of 2026-01-05 is late"
    assert "45 minutes after the run was queued" in message["Message"]
    assert f"s3://{names.bucket('bronze')}/_manifests/stores/2026-01-05.json" in message["Message"]
    assert "_manifests/orders" not in message["Message"]
    assert "for 120 minutes in all" in message["Message"]
    assert after(soon()) == []  # once


def test_a_delivery_that_is_there_calls_nobody_however_long_the_night_takes(
    make_run: Any, inbox: Any, aws: Any, names: Settings
) -> None:
    for source in SOURCES:
        a_manifest(aws, names, source)
    make_run("scheduled", DUE)
    (said,) = after(soon())
    assert "has arrived" in said
    assert inbox() == []


def test_a_backfill_calls_nobody_though_its_nights_wait_for_hours(
    make_run: Any, inbox: Any
) -> None:
    make_run("backfill", LONG_AGO)
    (said,) = after(soon() + timedelta(days=1))
    assert "a backfill" in said
    assert inbox() == []


def test_the_date_and_the_sources_of_the_form_are_those_looked_for(
    make_run: Any, inbox: Any
) -> None:
    make_run("manual", delivery_date="2026-02-03", sources=["orders"])
    (said,) = after(soon())
    assert said.endswith("called about _manifests/orders/2026-02-03.json")
    (message,) = inbox()
    assert message["Subject"] == "ALARM late_night: delivery of 2026-02-03 is late"


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_run_that_has_ended_calls_nobody_again(inbox: Any, state: str) -> None:
    dag_run = {
        "dag_id": "late_night",
        "dag_run_id": "scheduled__2026-01-05",
        "run_type": "scheduled",
        "state": state,
        "conf": {},
        "logical_date": DUE.isoformat(),
        "run_after": DUE.isoformat(),
    }
    said = asyncio.run(late_delivery(SOURCES, {"dag_run": dag_run}))
    assert f"has ended ({state})" in said
    assert inbox() == []


@pytest.mark.parametrize(("days_ago", "calls"), [(0, False), (2, True)])
def test_a_day_of_a_stream_is_late_when_it_is_over_and_nobody_has_closed_it(
    inbox: Any, days_ago: int, calls: bool
) -> None:
    day = (datetime.now(UTC) - timedelta(days=days_ago)).date().isoformat()
    dag_run = {
        "dag_id": "clickstream_nightly",
        "dag_run_id": "manual__1",
        "run_type": "manual",
        "state": "running",
        "run_after": datetime.now(UTC).isoformat(),
        "conf": {"delivery_date": day},
    }
    said = asyncio.run(late_delivery(["clickstream"], {"dag_run": dag_run}, streamed=True))
    messages = inbox()
    if calls:
        assert said.endswith(f"called about _manifests/clickstream/{day}.json")
        assert "nobody has closed it" in messages[0]["Message"]
    else:
        assert said.endswith("is not over yet; nothing is late")
        assert messages == []
