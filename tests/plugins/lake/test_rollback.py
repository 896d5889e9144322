"""A layer goes back to an earlier version whole, or not at all."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from local_aws.server import Server
from madrugada.publishing import PublishTablesOperator
from madrugada.rollback import RollbackRefused, obstacles, plan_rollback, repoint
from madrugada.settings import settings
from madrugada.versions import history, states
from tests.plugins.lake.conftest import BASE, VERSION, Lake

GOLD = "madrugada_gold"


def roll_back(lake: Lake, version: str, **more: Any) -> list[dict[str, Any]]:
    plan = plan_rollback(lake.glue, lake.s3, GOLD, version, **more)
    return repoint(lake.glue, GOLD, plan)


def test_every_table_goes_back_with_its_whole_definition(lake: Lake) -> None:
    first = lake.night("gold", "sales", "marts", **{"madrugada.deliveries": "2026-01-05"})
    before = {t["Name"]: t for t in lake.tables("gold")}
    lake.night("gold", "sales", "marts", **{"madrugada.deliveries": "2026-01-05,2026-01-06"})
    loads = roll_back(lake, first)
    assert loads == [
        {"table": "marts", "upsert_keys": ["id"]},
        {"table": "sales", "upsert_keys": ["id"]},
    ]
    assert lake.published("gold") == {"sales": first, "marts": first}
    for table in lake.tables("gold"):
        for member in ("StorageDescriptor", "Parameters", "TableType", "PartitionKeys"):
            assert table[member] == before[table["Name"]][member]


def test_a_table_that_the_night_did_not_publish_goes_back_to_what_it_was_then(lake: Lake) -> None:
    stores = lake.night("gold", "wide", "sales")
    orders = lake.night("gold", "sales")
    lake.night("gold", "wide", "sales")
    later = lake.night("gold", "new")
    roll_back(lake, orders)
    assert lake.published("gold") == {"wide": stores, "sales": orders, "new": later}


def test_previous_goes_one_back_and_again_one_further(lake: Lake) -> None:
    first, second, _third = (lake.night("gold", "sales") for _ in range(3))
    roll_back(lake, "previous")
    assert lake.published("gold") == {"sales": second}
    roll_back(lake, "previous")
    assert lake.published("gold") == {"sales": first}
    with pytest.raises(RollbackRefused, match="no version is known that was published before"):
        roll_back(lake, "previous")


def test_previous_of_a_night_after_a_rollback_is_what_that_night_was_built_on(lake: Lake) -> None:
    first, _bad = (lake.night("gold", "sales") for _ in range(2))
    roll_back(lake, "previous")
    lake.night("gold", "sales")
    roll_back(lake, "previous")
    assert lake.published("gold") == {"sales": first}


def test_previous_asked_for_before_is_the_same_when_it_is_done_again(lake: Lake) -> None:
    _first, second, _third = (lake.night("gold", "sales") for _ in range(3))
    time.sleep(0.01)
    asked_at = datetime.now(UTC)
    for _ in range(2):
        roll_back(lake, "previous", asked_at=asked_at)
        assert lake.published("gold") == {"sales": second}


def test_previous_is_not_the_same_rows_before_they_were_compacted(lake: Lake) -> None:
    first, second = (lake.night("gold", "sales", "marts") for _ in range(2))
    compacted = lake.new_version()
    lake.publish("gold", compacted, "sales", **{"madrugada.compacted_from": second})
    roll_back(lake, "previous")
    assert lake.published("gold") == {"sales": first, "marts": first}


def test_one_table_without_its_files_keeps_all_tables_where_they_are(lake: Lake) -> None:
    first, second = (lake.night("gold", "sales", "marts") for _ in range(2))
    key = f"marts/{first}/part-00000.parquet"
    lake.s3.delete_object(Bucket=settings().bucket("gold"), Key=key)
    with pytest.raises(RollbackRefused) as refused:
        roll_back(lake, first)
    assert f"marts: the files of {first} are gone" in str(refused.value)
    assert "sales:" not in str(refused.value)
    assert lake.published("gold") == {"sales": second, "marts": second}


def test_a_version_with_some_of_its_files_is_refused_by_its_report(lake: Lake) -> None:
    version = lake.new_version()
    lake.write("gold", "sales", version, 10, 10, 10)
    lake.publish("gold", version, "sales")
    lake.report("gold", version, sales={"files": 3, "bytes": 30, "rows": 3})
    lake.night("gold", "sales")
    (state,) = (s for s in states(history(lake.glue, GOLD)) if s.version == version)
    assert obstacles(lake.s3, state) == []
    bucket = settings().bucket("gold")
    lake.s3.delete_object(Bucket=bucket, Key=f"sales/{version}/part-00001.parquet")
    with pytest.raises(RollbackRefused, match="has 2 files of 20 bytes, and 3 of 30 were written"):
        roll_back(lake, version)


def test_a_definition_that_is_gone_is_not_guessed(lake: Lake) -> None:
    _early, _then = (lake.night("gold", "wide", "sales") for _ in range(2))
    orders = lake.night("gold", "sales")
    lake.night("gold", "wide", "sales")
    lake.glue.delete_table_version(DatabaseName=GOLD, TableName="wide", VersionId="1")
    with pytest.raises(RollbackRefused, match=r"wide: its version of .* is no longer known"):
        roll_back(lake, orders)


def test_another_pipeline_s_tables_neither_count_nor_move(lake: Lake) -> None:
    first = lake.night("gold", "sales")
    lake.night("gold", "films")
    lake.night("gold", "sales")
    films = lake.night("gold", "films")
    roll_back(lake, "previous", tables={"sales", "never_published"})
    assert lake.published("gold") == {"sales": first, "films": films}
    with pytest.raises(RollbackRefused, match="never published"):
        roll_back(lake, films, tables={"sales"})


def test_a_version_that_was_never_published_is_refused_and_the_known_are_named(lake: Lake) -> None:
    version = lake.night("gold", "sales")
    with pytest.raises(RollbackRefused, match=f"never published.*go back to: {version}"):
        roll_back(lake, "jr_0")


def test_what_is_published_between_plan_and_doing_is_not_undone(lake: Lake) -> None:
    first, _ = (lake.night("gold", "sales", "marts") for _ in range(2))
    plan = plan_rollback(lake.glue, lake.s3, GOLD, first)
    third = lake.night("gold", "sales")
    before = lake.published("gold")
    with pytest.raises(RollbackRefused, match=f"{third} has been published since"):
        repoint(lake.glue, GOLD, plan)
    assert lake.published("gold") == before


def test_half_a_rollback_is_finished_by_doing_it_again(lake: Lake) -> None:
    first, _ = (lake.night("gold", "sales", "marts") for _ in range(2))
    plan = plan_rollback(lake.glue, lake.s3, GOLD, first)
    repoint(lake.glue, GOLD, {**plan, "tables": plan["tables"][:1]})
    assert repoint(lake.glue, GOLD, plan)
    assert lake.published("gold") == {"sales": first, "marts": first}
    count = len(lake.definitions("gold", "sales"))
    repoint(lake.glue, GOLD, plan)
    assert len(lake.definitions("gold", "sales")) == count


def test_the_next_night_builds_on_what_was_rolled_back_to(
    lake: Lake, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
    first, bad = (lake.night("gold", "sales") for _ in range(2))
    roll_back(lake, "previous")

    def publish(base: str) -> str:
        version = lake.new_version()
        lake.write("gold", "sales", version, 10)
        lake.stage("gold", "sales", version, base=base)
        PublishTablesOperator(
            task_id="publish",
            layer="gold",
            database=GOLD,
            staging_database="madrugada_staging",
            version=version,
        ).execute({})  # type: ignore[typeddict-item]
        return version

    # A night that was going when it was rolled back was built on what is no longer published.
    with pytest.raises(AirflowFailException, match=f"was built on {bad}"):
        publish(base=bad)
    version = publish(base=first)
    (table,) = lake.tables("gold")
    assert (table["Parameters"][VERSION], table["Parameters"][BASE]) == (version, first)
