from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from madrugada_spark.session import size_for
from madrugada_spark.storage import files_and_bytes, read_version, write_parquet

COLUMNS = (("id", "int"), ("sold", "date"))
SCHEMA = "id int, sold date"
URI = "s3://test-silver/layout/v1/"


@pytest.fixture
def folder(buckets_root: Path) -> Path:
    path = buckets_root / "test-silver" / "layout" / "v1"
    rmtree(path, ignore_errors=True)
    return path


def sales(spark: SparkSession) -> DataFrame:
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 31), None]
    return spark.createDataFrame([(n, days[n % 4]) for n in range(40)], SCHEMA)


def files_by_folder(folder: Path) -> Counter[str]:
    return Counter(p.parent.name for p in folder.rglob("*") if p.is_file())


def test_a_table_that_fits_into_one_file_is_in_one(spark: Any, folder: Path) -> None:
    write_parquet(sales(spark), URI, 1, months_of="sold")
    assert files_by_folder(folder) == {"v1": 1}
    assert sorted(read_version(spark, URI, COLUMNS).collect()) == sorted(sales(spark).collect())


@pytest.fixture
def big(spark: Any) -> Iterator[None]:
    """The settings of a big night."""
    names = ("adaptive.enabled", "codegen.wholeStage", "shuffle.partitions")
    before = {f"spark.sql.{name}": spark.conf.get(f"spark.sql.{name}") for name in names}
    size_for(spark, 200 << 20)
    yield
    for name, value in before.items():
        spark.conf.set(name, value)


@pytest.mark.usefixtures("big")
def test_each_month_is_one_file_in_a_folder_of_its_own(spark: Any, folder: Path) -> None:
    write_parquet(sales(spark), URI, 2, months_of="sold")
    assert files_by_folder(folder) == {
        "sold_month=2025-12": 1,
        "sold_month=2026-01": 1,
        "sold_month=__HIVE_DEFAULT_PARTITION__": 1,
    }
    read = read_version(spark, URI, COLUMNS)
    # Every value stands in the files; the folders add no column, to any reader.
    assert read.columns == ["id", "sold"]
    assert sorted(read.collect()) == sorted(sales(spark).collect())
    one = next((folder / "sold_month=2026-01").iterdir())
    assert spark.read.parquet(f"file://{one}").columns == ["id", "sold"]


@pytest.mark.usefixtures("big")
def test_a_big_table_has_one_file_for_each_small_month(spark: Any, folder: Path) -> None:
    write_parquet(sales(spark).repartition(4), URI, 10, months_of="sold")
    assert sorted(files_by_folder(folder).values()) == [1, 1, 1]


@pytest.mark.usefixtures("big")
def test_a_month_that_is_too_big_for_one_file_has_several(spark: Any, folder: Path) -> None:
    spark.conf.set("spark.sql.adaptive.advisoryPartitionSizeInBytes", "100")
    write_parquet(sales(spark).repartition(4), URI, 10, months_of="sold")
    assert min(files_by_folder(folder).values()) >= 2
    assert read_version(spark, URI, COLUMNS).count() == 40


def test_a_table_without_rows_still_has_a_file(spark: Any, folder: Path) -> None:
    assert files_and_bytes(spark, URI) == (0, 0)
    write_parquet(sales(spark).where("id < 0"), URI, 2, months_of="sold")
    assert files_and_bytes(spark, URI)[0] == 1
    assert read_version(spark, URI, COLUMNS).collect() == []
    assert spark.read.parquet(URI).columns == ["id", "sold"]
