"""What retention keeps, what it deletes, and that it says so first."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from madrugada.retention import Layer, RetentionError, remove_unreferenced
from madrugada.rollback import RollbackRefused, plan_rollback, repoint
from madrugada.settings import settings
from tests.plugins.lake.conftest import STAGING, Lake, run_id

WEEK = timedelta(days=7)
LATER = timedelta(days=30)


def layers() -> list[Layer]:
    return [
        Layer(name, settings().bucket(name), f"madrugada_{name}") for name in ("silver", "gold")
    ]


def clean(lake: Lake, keep: int = 2, now: datetime | None = None, **more: Any) -> dict[str, int]:
    """A month from now, so that all that is there is older than the retention."""
    return remove_unreferenced(
        lake.glue,
        lake.s3,
        layers(),
        STAGING,
        now=now or datetime.now(UTC) + LATER,
        keep_versions=keep,
        retention=WEEK,
        **{"dry_run": False, **more},
    )


def test_the_present_version_and_the_last_before_it_stay(lake: Lake) -> None:
    nights = [lake.night("gold", "sales") for _ in range(5)]
    said: list[str] = []
    figures = clean(lake, keep=2, tell=said.append)
    assert lake.versions("gold", "sales") == set(nights[2:])
    assert lake.published("gold") == {"sales": nights[4]}
    assert lake.definitions("gold", "sales") == nights[:1:-1]
    assert figures == {
        "versions": 2,
        "objects": 2,
        "bytes": 20,
        "candidates": 0,
        "definitions": 2,
        "reports": 0,
    }
    for gone in nights[:2]:
        (line,) = (line for line in said if gone in line)
        assert line.startswith(f"delete  s3://madrugada-local-gold/sales/{gone}/: 1 files, 10 byte")
    assert clean(lake, keep=2)["versions"] == 0


def test_every_kept_version_can_be_rolled_back_to_and_no_other(lake: Lake) -> None:
    nights = [lake.night("gold", "sales", "marts") for _ in range(4)]
    clean(lake, keep=2)
    for version in nights[1:3]:
        plan = plan_rollback(lake.glue, lake.s3, "madrugada_gold", version)
        repoint(lake.glue, "madrugada_gold", plan)
        assert lake.published("gold") == {"sales": version, "marts": version}
    with pytest.raises(RollbackRefused, match="no longer known"):
        plan_rollback(lake.glue, lake.s3, "madrugada_gold", nights[0])


def test_after_a_rollback_what_is_published_again_is_the_newest(lake: Lake) -> None:
    nights = [lake.night("gold", "sales") for _ in range(4)]
    plan = plan_rollback(lake.glue, lake.s3, "madrugada_gold", nights[0])
    repoint(lake.glue, "madrugada_gold", plan)
    clean(lake, keep=1)
    assert lake.versions("gold", "sales") == {nights[0], nights[3]}
    assert lake.published("gold") == {"sales": nights[0]}


def test_what_is_young_stays_published_or_not(lake: Lake) -> None:
    old = [lake.night("gold", "sales") for _ in range(2)]
    written, left = lake.new_version(), lake.new_version()
    lake.write("gold", "sales", left, 10)
    time.sleep(1.1)
    between = datetime.now(UTC)
    time.sleep(1.1)
    young = [lake.night("gold", "sales") for _ in range(3)]
    lake.write("gold", "sales", written, 10)  # a night that is going
    clean(lake, keep=1, now=between + WEEK)
    assert lake.versions("gold", "sales") == {written, *young}
    assert left not in lake.versions("gold", "sales")
    assert not set(old) & lake.versions("gold", "sales")


def test_what_any_table_points_at_stays(lake: Lake) -> None:
    nights = [lake.night("gold", "sales") for _ in range(6)]
    lake.glue.create_database(DatabaseInput={"Name": "analysts"})

    def point(name: str, location: str, keys: list[dict[str, str]] | None = None) -> None:
        lake.glue.create_table(
            DatabaseName="analysts",
            TableInput={
                "Name": name,
                "PartitionKeys": keys or [],
                "StorageDescriptor": {"Columns": [], "Location": location},
            },
        )

    bucket = settings().bucket("gold")
    point("whole", f"s3a://{bucket}/sales/{nights[0]}")
    point("a_month", f"s3://{bucket}/sales/{nights[1]}/dt_month=2026-01/")
    point("parts", "s3://elsewhere/", [{"Name": "night", "Type": "string"}])
    lake.glue.create_partition(
        DatabaseName="analysts",
        TableName="parts",
        PartitionInput={
            "Values": ["1"],
            "StorageDescriptor": {"Location": f"s3://{bucket}/sales/{nights[2]}/"},
        },
    )
    point("begins_alike", f"s3://{bucket}/sales/{nights[3]}x/")
    clean(lake, keep=1)
    assert lake.versions("gold", "sales") == {*nights[:3], *nights[4:]}


def test_old_candidates_go_and_young_ones_keep_their_files(lake: Lake) -> None:
    lake.night("silver", "vendas")
    old, young = lake.new_version(), lake.new_version()
    lake.write("silver", "vendas", old, 10)
    lake.write("silver", "vendas", young, 10)
    lake.stage("silver", "vendas", old)
    time.sleep(0.01)
    between = datetime.now(UTC)
    time.sleep(0.01)
    name = lake.stage("silver", "vendas", young)
    # The files are older than the retention; only the candidate that points at them is not.
    moved = between + WEEK
    lake.glue.create_table(
        DatabaseName=STAGING,
        TableInput={"Name": "by_hand", "StorageDescriptor": {"Columns": [], "Location": ""}},
    )
    clean(lake, now=moved)
    found = lake.glue.get_tables(DatabaseName=STAGING)["TableList"]
    assert {table["Name"] for table in found} == {name, "by_hand"}
    assert young in lake.versions("silver", "vendas")
    clean(lake)
    assert lake.versions("silver", "vendas") == set(lake.published("silver").values())


def test_reports_go_with_the_last_table_of_their_version(lake: Lake) -> None:
    nights = [lake.night("gold", "sales") for _ in range(3)]
    lone = lake.new_version()  # a run that failed before it wrote
    for version in (*nights, lone):
        lake.report("gold", version)
    lake.s3.put_object(
        Bucket=settings().bucket("gold"),
        Key=f"_reports/sales_nightly/2026-01-05/{nights[0]}.json",
        Body=b"{}",
    )
    lake.s3.put_object(Bucket=settings().bucket("gold"), Key="_reports/notes.json", Body=b"{}")
    clean(lake, keep=1)
    assert set(lake.keys("gold", "_reports/")) == {
        f"_reports/{nights[1]}.json",
        f"_reports/{nights[2]}.json",
        f"_reports/sales_nightly/2026-01-05/{nights[0]}.json",
        "_reports/notes.json",
    }


def test_what_is_no_version_of_a_published_table_is_left_alone(lake: Lake) -> None:
    lake.night("gold", "sales")
    bucket = settings().bucket("gold")
    for key in (
        f"other/{run_id(999)}/part.parquet",  # of no table of ours
        "sales/by_hand/part.parquet",
        "sales/readme.txt",
        "_turns/sales.json",
    ):
        lake.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    before = lake.keys("gold")
    clean(lake)
    assert lake.keys("gold") == before


def test_a_dry_run_says_the_same_and_deletes_nothing(lake: Lake) -> None:
    for _ in range(4):
        lake.stage("gold", "sales", lake.night("gold", "sales"))
    before, definitions = lake.keys("gold"), lake.definitions("gold", "sales")
    said: list[str] = []
    dry = clean(lake, keep=1, dry_run=True, tell=said.append)
    assert lake.keys("gold") == before
    assert lake.definitions("gold", "sales") == definitions
    assert len(lake.glue.get_tables(DatabaseName=STAGING)["TableList"]) == 4
    assert said[-1] == "A dry run: nothing was deleted."
    done: list[str] = []
    assert clean(lake, keep=1, tell=done.append) == dry
    assert done == said[:-1]


def test_more_files_than_one_request_takes(lake: Lake) -> None:
    gone = lake.new_version()
    lake.write("gold", "sales", gone, 1)
    folder = lake.state / "s3" / settings().bucket("gold") / "sales" / gone
    for number in range(1, 1005):
        (folder / f"part-{number:05d}.parquet").write_bytes(b"x")
    lake.night("gold", "sales")
    assert clean(lake)["objects"] == 1005
    assert gone not in lake.versions("gold", "sales")


def test_what_aws_refuses_to_delete_is_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = lake.new_version()
    lake.write("gold", "sales", gone, 1)
    lake.night("gold", "sales")
    error = {"Key": f"sales/{gone}/part-00000.parquet", "Code": "AccessDenied", "Message": "no"}
    monkeypatch.setattr(lake.s3, "delete_objects", lambda **_: {"Errors": [error]})
    with pytest.raises(RetentionError, match=f"{gone}.*AccessDenied no"):
        clean(lake)
