from __future__ import annotations

from decimal import Decimal

import pytest

pytest.importorskip("pyspark")
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from night import Night


@pytest.fixture
def night(spark, aws, buckets_root, ingest) -> Night:
    return Night(spark, aws, buckets_root, ingest)


def test_the_sample(night, sample):
    import time

    for i in range(3):
        t = time.time()
        r = night.run(sample.folder, "2026-01-05")
        print(time.time() - t)
    night.table("gold", "vendas_por_produto").show()
    night.table("gold", "vendas_por_cidade_mes").show(3)
    night.table("gold", "wide_vendas").show(3)
    night.table("silver", "quarantine").show(3, False)
    night.table("silver", "produtos").show()
    import json

    print(json.dumps(r, indent=1))
