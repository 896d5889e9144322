"""The compaction job: the same rows in the same folders, in fewer files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

import compact_table
from madrugada_spark.contract import JobError
from tests.include.night import GOLD, SILVER, Night

VERSION = "jr_c0000000000000000000000000"
BIG = 96 << 20


@pytest.fixture
def night(spark: Any, aws: Any, buckets_root: Path, ingest: Any) -> Iterator[Night]:
    yield Night(spark, aws, buckets_root, ingest)
    for name in ("maxPartitionBytes", "openCostInBytes"):  # the session is other tests' too
        spark.conf.unset(f"spark.sql.files.{name}")


def publish(night: Night, name: str, location: str, columns: str, **parameters: str) -> None:
    pairs = [column.strip().split(" ") for column in columns.split(";")]
    night.glue.create_table(
        DatabaseName="madrugada_silver",
        TableInput={
            "Name": name,
            "Description": "in words",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"classification": "parquet", **parameters},
            "StorageDescriptor": {
                "Columns": [{"Name": n, "Type": t, "Comment": f"the {n}"} for n, t in pairs],
                "Location": location,
                "SerdeInfo": {"SerializationLibrary": "a.b.C", "Parameters": {"x": "1"}},
            },
        },
    )


def compact(night: Night, *tables: str, target: int = BIG, **more: Any) -> dict[str, Any]:
    options = compact_table.Options(
        **{
            "version": VERSION,
            "layer": "silver",
            "tables": tables,
            "target_bytes": target,
            "silver_database": "madrugada_silver",
            "gold_database": "madrugada_gold",
            "staging_database": "madrugada_staging",
            **more,
        }
    )
    return compact_table.CompactRun(night.spark, options).run()


def files(night: Night, table: str, version: str) -> dict[str, int]:
    """How many files each folder of a version has."""
    root = night.root / SILVER / table / version
    found = [p for p in root.rglob("*") if p.is_file()]
    return dict(Counter(p.parent.relative_to(root).as_posix() for p in found))


@pytest.fixture
def vendas(night: Night) -> str:
    """A table of 3 months and 18 files, with rows that are there twice, and nulls."""
    version = "jr_a1"
    rows = night.spark.range(300).select(
        F.col("id").cast("int").alias("id"),
        F.when(F.col("id") % 7 > 0, F.col("id").cast("decimal(12,2)")).alias("valor"),
        F.expr("add_months(date'2026-01-15', cast(id % 3 as int))").alias("dt_venda"),
    )
    rows = rows.union(rows.where("id < 5"))
    location = f"s3://{SILVER}/vendas/{version}/"
    # The folder's month is not in the files, as the catalog's columns have none.
    rows.withColumn("dt_venda_month", F.date_format("dt_venda", "yyyy-MM")).repartition(
        6
    ).write.partitionBy("dt_venda_month").parquet(location)
    (night.root / SILVER / "vendas" / version / "_SUCCESS").unlink(missing_ok=True)
    columns = "id int; valor decimal(12,2); dt_venda date"
    publish(
        night,
        "vendas",
        location,
        columns,
        **{"madrugada.version": version, "madrugada.deliveries": "2026-01-05,2026-01-06"},
    )
    return version


def read(night: Night, table: str, version: str) -> Any:
    """Every row of a version, without what folders' names would add."""
    location = f"s3://{SILVER}/{table}/{version}"
    return night.spark.read.option("recursiveFileLookup", "true").parquet(location)


def test_the_same_rows_in_the_same_folders_in_fewer_files(night: Night, vendas: str) -> None:
    assert set(files(night, "vendas", vendas).values()) == {6}
    report = compact(night, "vendas")
    assert files(night, "vendas", VERSION) == {
        "dt_venda_month=2026-01": 1,
        "dt_venda_month=2026-02": 1,
        "dt_venda_month=2026-03": 1,
    }
    old, new = read(night, "vendas", vendas), read(night, "vendas", VERSION)
    assert new.count() == 305
    assert old.exceptAll(new).count() == new.exceptAll(old).count() == 0
    assert new.dtypes == old.dtypes
    root = f"s3://{SILVER}/vendas/{VERSION}"
    january = night.spark.read.parquet(f"{root}/dt_venda_month=2026-01")
    assert january.where("date_format(dt_venda, 'yyyy-MM') <> '2026-01'").count() == 0
    said = report["tables"]["vendas"]
    assert (said["rows"], said["files_before"], said["files"]) == (305, 18, 3)
    stored = night.s3.get_object(Bucket=SILVER, Key=f"_reports/{VERSION}.json")["Body"].read()
    assert json.loads(stored) == report


def test_the_candidate_is_the_published_table_elsewhere(night: Night, vendas: str) -> None:
    compact(night, "vendas")
    published = night.glue.get_table(DatabaseName="madrugada_silver", Name="vendas")["Table"]
    name = f"silver_vendas_{VERSION[-12:]}"
    found = night.glue.get_table(DatabaseName="madrugada_staging", Name=name)["Table"]
    assert found["StorageDescriptor"] == {
        **published["StorageDescriptor"],
        "Location": f"s3://{SILVER}/vendas/{VERSION}/",
    }
    assert found["Description"] == "in words"
    assert found["Parameters"] == {
        "classification": "parquet",
        "madrugada.deliveries": "2026-01-05,2026-01-06",
        "madrugada.version": VERSION,
        "madrugada.base_version": vendas,
        "madrugada.compacted_from": vendas,
    }
    assert published["Parameters"]["madrugada.version"] == vendas


@pytest.mark.slow
def test_files_are_near_the_target_and_not_one_for_all(night: Night) -> None:
    location = f"s3://{SILVER}/big/jr_b1/"
    rows = night.spark.range(0, 20000, 1, 40).selectExpr("id", "md5(cast(id as string)) as text")
    rows.write.parquet(location)
    publish(night, "big", location, "id bigint; text string", **{"madrugada.version": "jr_b1"})
    report = compact(night, "big", target=200_000)
    said = report["tables"]["big"]
    assert said["files_before"] == 40
    assert 3 <= said["files"] <= 6
    sizes = [p.stat().st_size for p in (night.root / SILVER / "big" / VERSION).glob("*.parquet")]
    assert all(100_000 < size < 300_000 for size in sizes), sizes


@pytest.mark.slow
def test_a_large_file_is_cut(night: Night) -> None:
    location = f"s3://{SILVER}/big/jr_b1/"
    rows = night.spark.range(0, 20000, 1, 1).selectExpr("id", "md5(cast(id as string)) as text")
    rows.write.parquet(location)
    publish(night, "big", location, "id bigint; text string", **{"madrugada.version": "jr_b1"})
    said = compact(night, "big", target=200_000)["tables"]["big"]
    assert said["files_before"] == 1
    assert 3 <= said["files"] <= 6
    old, new = read(night, "big", "jr_b1"), read(night, "big", VERSION)
    assert old.exceptAll(new).count() == new.exceptAll(old).count() == 0


@pytest.mark.slow
def test_a_column_that_older_files_lack_and_another_order_are_the_catalog_s(night: Night) -> None:
    location = f"s3://{SILVER}/t/jr_d1/"
    night.spark.createDataFrame([(1, "a")], "id int, name string").write.parquet(location)
    night.spark.createDataFrame([(True, "b", 2)], "new boolean, name string, id int").write.mode(
        "append"
    ).parquet(location)
    columns = "id int; name string; new boolean"
    publish(night, "t", location, columns, **{"madrugada.version": "jr_d1"})
    compact(night, "t")
    rows = read(night, "t", VERSION)
    assert rows.dtypes == [("id", "int"), ("name", "string"), ("new", "boolean")]
    assert sorted(map(tuple, rows.collect())) == [(1, "a", None), (2, "b", True)]


@pytest.mark.slow
def test_a_second_compaction_still_says_whose_rows_these_are(night: Night, vendas: str) -> None:
    parameters = {"madrugada.version": "jr_a1", "madrugada.compacted_from": "jr_a0"}
    table = night.glue.get_table(DatabaseName="madrugada_silver", Name="vendas")["Table"]
    night.glue.update_table(
        DatabaseName="madrugada_silver",
        TableInput={
            "Name": "vendas",
            "StorageDescriptor": table["StorageDescriptor"],
            "Parameters": parameters,
        },
    )
    compact(night, "vendas")
    (candidate,) = night.glue.get_tables(DatabaseName="madrugada_staging")["TableList"]
    assert candidate["Parameters"]["madrugada.compacted_from"] == "jr_a0"
    assert candidate["Parameters"]["madrugada.base_version"] == "jr_a1"


def test_an_empty_table_stays_empty(night: Night) -> None:
    (night.root / SILVER / "nothing" / "jr_e1").mkdir(parents=True)
    location = f"s3://{SILVER}/nothing/jr_e1/"
    publish(night, "nothing", location, "id int", **{"madrugada.version": "jr_e1"})
    said = compact(night, "nothing")["tables"]["nothing"]
    assert (said["rows"], said["files"]) == (0, 0)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"layer": "bronze"}, "--layer 'bronze': expected one of silver, gold"),
        ({"tables": ("unknown",)}, "madrugada_silver.unknown is not there"),
        ({"tables": ()}, "--tables is empty"),
        ({"target_bytes": 0}, "--target_bytes 0"),
    ],
)
def test_what_it_cannot_do_it_says(night: Night, more: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message):
        compact(night, "vendas", **more)
    assert night.glue.get_tables(DatabaseName="madrugada_staging")["TableList"] == []


@pytest.mark.slow
def test_rows_that_are_lost_stop_the_job(
    night: Night, vendas: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(table: Any, uri: str, count: int) -> None:
        table.limit(3).coalesce(count).write.parquet(uri)

    monkeypatch.setattr(compact_table, "write_parquet", lossy)
    with pytest.raises(JobError, match=r"vendas: 305 rows in .*, but 9 in"):
        compact(night, "vendas")
    assert night.glue.get_tables(DatabaseName="madrugada_staging")["TableList"] == []


@pytest.mark.slow
def test_gold_is_compacted_in_its_own_bucket(night: Night) -> None:
    location = f"s3://{GOLD}/sales/jr_f1/"
    night.spark.range(10).repartition(5).write.parquet(location)
    night.glue.create_table(
        DatabaseName="madrugada_gold",
        TableInput={
            "Name": "sales",
            "Parameters": {"madrugada.version": "jr_f1", "madrugada.key": "id"},
            "StorageDescriptor": {
                "Columns": [{"Name": "id", "Type": "bigint"}],
                "Location": location,
            },
        },
    )
    said = compact(night, "sales", layer="gold")["tables"]["sales"]
    assert said["location"] == f"s3://{GOLD}/sales/{VERSION}/"
    assert (said["files_before"], said["files"]) == (5, 1)
