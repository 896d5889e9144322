"""Which tables are worth compacting."""

from __future__ import annotations

import pytest

from madrugada.compaction import uneven_files
from tests.plugins.lake.conftest import Lake

TARGET = 1000


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"": (100,)}, False),  # as few as can be
        ({"": (100, 100)}, True),
        ({"": (249, 249)}, True),
        ({"": (250, 250)}, False),
        ({"": (900, 900, 100)}, False),  # the rest of a big table
        ({"m=2026-01/": (100,), "m=2026-02/": (100,)}, False),  # months stay apart
        ({"m=2026-01/": (100,), "m=2026-02/": (100, 100)}, True),
        ({"": (2000,)}, False),
        ({"m=2026-01/": (900,), "m=2026-02/": (2001,)}, True),
    ],
)
def test_two_small_files_in_one_folder_or_a_large_one_are_worth_it(
    lake: Lake, files: dict[str, tuple[int, ...]], found: bool
) -> None:
    version = lake.night("silver", "vendas")
    lake.s3.delete_object(
        Bucket="madrugada-local-silver", Key=f"vendas/{version}/part-00000.parquet"
    )
    for folder, sizes in files.items():
        lake.write("silver", "vendas", version, *sizes, folder=folder)
    lake.write("silver", "vendas", lake.new_version(), 1, 1, 1)  # another version's
    assert uneven_files(lake.glue, lake.s3, "madrugada_silver", TARGET) == ["vendas"] * found


def test_it_says_how_each_table_stands(lake: Lake) -> None:
    version = lake.night("gold", "sales")
    lake.write("gold", "sales", version, 1, 1, folder="m=2026-01/")
    said: list[str] = []
    uneven_files(lake.glue, lake.s3, "madrugada_gold", TARGET, tell=said.append)
    assert said == [
        "madrugada_gold.sales: 3 files in 2 folders, 2 of them small ones together, 0 large"
    ]
