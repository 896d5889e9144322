"""Mangled deliveries through whole nights: the function, both jobs, what is published.

Delivered is kept and quarantined, row by row; or the night stops with a sentence, nothing is
registered and what was published stays. `make test-fuzz` does FUZZ_NIGHTS=20.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from madrugada_spark.contract import JobError
from tests.include.fuzz.mangled import MangledFile, examples, mangled_files, sound_file
from tests.include.fuzz.plain_reader import Row, kept, rows_of
from tests.include.night import BRONZE, LANDING, SILVER, Night

NIGHTS = int(os.environ.get("FUZZ_NIGHTS", "1"))
AT_ONCE = 10
SEED = 20260106
MONDAY, TUESDAY = "2026-01-05", "2026-01-06"
ROWS = 30
DATABASES = ("madrugada_silver", "madrugada_gold")


class FuzzedNights(Night):
    """Tuesdays with one mangled file each, every one after the same sound Monday."""

    def __init__(self, *parts: Any, contracts: dict[str, Any]) -> None:
        super().__init__(*parts)
        self.compiled = contracts
        self.outcomes: Counter[str] = Counter()
        self.rows = 0

    def monday(self, sources: list[str]) -> None:
        for source in sources:
            self.hand_over(source, MONDAY, {})
        names = ",".join(sources)
        self.publish(self.silver(MONDAY, names))
        self.publish(self.gold(MONDAY, names))
        self.forget_candidates()
        self.after_monday = self.published()

    def hand_over(self, source: str, day: str, mangled: dict[str, bytes]) -> dict[str, Any]:
        """Puts a delivery into landing as a producer would; gives its manifest."""
        records = []
        for name in self.compiled["sources"][source]:
            dataset = self.compiled["datasets"][name]
            key = f"{source}/{day}/{dataset['file_name']}"
            body = mangled.get(name, sound_file(dataset, ROWS))
            self.s3.put_object(Bucket=LANDING, Key=key, Body=body)
            records.append({"s3": {"object": {"key": quote_plus(key, safe="/")}}})
        self.ingest.handler({"Records": records})
        manifest_key = f"_manifests/{source}/{day}.json"
        manifest = json.loads(self.s3.get_object(Bucket=BRONZE, Key=manifest_key)["Body"].read())
        for file in manifest["files"]:
            path = self.root / BRONZE / file["key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(BRONZE, file["key"], os.fspath(path))
        return manifest

    def published(self) -> dict[str, Any]:
        """Every published table's definition, and the files that it points at."""
        found = {}
        for database in DATABASES:
            for table in self.glue.get_tables(DatabaseName=database)["TableList"]:
                descriptor = table["StorageDescriptor"]
                bucket, _, folder = descriptor["Location"].removeprefix("s3://").partition("/")
                there = (self.root / bucket / folder).rglob("*")
                files = sorted((str(p), p.stat().st_mtime_ns) for p in there if p.is_file())
                found[database, table["Name"]] = (descriptor, table["Parameters"], files)
        return found

    def candidates(self) -> list[str]:
        tables = self.glue.get_tables(DatabaseName="madrugada_staging")["TableList"]
        return [table["Name"] for table in tables]

    def forget_candidates(self) -> None:
        for name in self.candidates():
            self.glue.delete_table(DatabaseName="madrugada_staging", Name=name)

    def back_to_monday(self) -> None:
        self.forget_candidates()
        for (database, name), (descriptor, parameters, _) in self.after_monday.items():
            table = {"Name": name, "StorageDescriptor": descriptor, "Parameters": parameters}
            self.glue.update_table(
                DatabaseName=database, TableInput={**table, "TableType": "EXTERNAL_TABLE"}
            )
        for bucket in (LANDING, BRONZE):
            for item in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                if TUESDAY in item["Key"]:
                    self.s3.delete_object(Bucket=bucket, Key=item["Key"])

    def tuesday(self, case: MangledFile) -> None:
        """One night on one mangled file; raises AssertionError for what must not be."""
        dataset = self.compiled["datasets"][case.dataset]
        source = next(s for s, names in self.compiled["sources"].items() if case.dataset in names)
        manifest = self.hand_over(source, TUESDAY, {case.dataset: case.content})
        try:
            report = self.silver(TUESDAY, source)
        except JobError as error:
            assert self.candidates() == []
            assert self.published() == self.after_monday
            self._stopped_for_a_reason(str(error), dataset, manifest, case.content)
            return
        assert manifest["status"] == "complete"
        self._every_row_is_told(report, dataset, manifest, case.content)
        self.publish(report)
        gold = self.gold(TUESDAY, source)
        self.publish(gold)
        for table, figures in gold["tables"].items():
            assert self.table("gold", table).count() == figures["rows"]
        for gold_table, silver_table, key in (
            ("processed_sales", "sales_data", "id"),
            ("wide_vendas", "vendas", "id_venda"),
        ):
            if gold_table in gold["tables"]:
                sold = [row[0] for row in self.table("gold", gold_table).select(key).collect()]
                ids = [row[0] for row in self.table("silver", silver_table).select("id").collect()]
                assert sorted(sold) == sorted(ids)
        self.outcomes["published"] += 1

    def _stopped_for_a_reason(
        self, said: str, dataset: dict[str, Any], manifest: dict[str, Any], content: bytes
    ) -> None:
        assert dataset["file_name"] in said, f"names no file: {said!r}"
        if manifest["status"] == "rejected":
            assert f"the delivery is rejected, not complete: {manifest['errors'][0]}" in said
            self.outcomes["refused"] += 1
            return
        rows = rows_of(content, dataset)
        good = kept(rows, self._key(dataset))
        if 100 * (len(rows) - len(good)) / len(rows) > dataset["max_quarantined_percent"]:
            assert f"{len(rows) - len(good)} of {len(rows)} rows rejected" in said, said
            self.outcomes["too much in quarantine"] += 1
        else:
            assert "no longer looks like" in said, said
            self.outcomes["changed type"] += 1

    def _every_row_is_told(
        self,
        report: dict[str, Any],
        dataset: dict[str, Any],
        manifest: dict[str, Any],
        content: bytes,
    ) -> None:
        name = dataset["name"]
        for file in manifest["files"]:
            figures = report["datasets"][file["dataset"]]
            told = figures["kept"] + sum(figures["quarantined"].values())
            assert file["rows"] == figures["delivered"] == told, figures
        rows = rows_of(content, dataset)
        good = kept(rows, self._key(dataset))
        columns = [column["name"] for column in dataset["columns"]]
        candidate = self.spark.read.parquet(report["datasets"][name]["location"])
        mine = candidate.where(f"ingest_date = '{TUESDAY}'")
        table = {
            tuple(row[c] for c in columns): row["rescued_data"]
            for row in mine.select(*columns, "rescued_data").collect()
        }
        assert set(table) == {row.values for row in good.values()}
        for row in good.values():
            assert json.loads(table[row.values] or "{}") == row.rescued
        wanted = self._not_kept(rows, good)
        quarantine = self.spark.read.parquet(f"s3://{SILVER}/quarantine/{report['version']}/")
        found = quarantine.where(f"dataset = '{name}' and ingest_date = '{TUESDAY}'").collect()
        assert {row["line_number"]: row["raw"] for row in found} == wanted
        assert len(found) == len(wanted)
        for row in found:
            assert row["source_file"] == dataset["file_name"]
            assert row["rule"]
            assert row["reason"]
        self.rows += len(rows)

    @staticmethod
    def _not_kept(rows: list[Row], good: dict[Any, Row]) -> dict[int, str]:
        lines = {row.line for row in good.values()}
        return {row.line: row.raw for row in rows if row.line not in lines}

    @staticmethod
    def _key(dataset: dict[str, Any]) -> int:
        return [column["name"] for column in dataset["columns"]].index(dataset["key"][0])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, NIGHTS, AT_ONCE))
def test_a_night_on_a_mangled_file_publishes_every_row_or_nothing(
    spark: Any, aws: Any, buckets_root: Path, ingest: Any, contracts: dict[str, Any], first: int
) -> None:
    nights = FuzzedNights(spark, aws, buckets_root, ingest, contracts=contracts)
    datasets = contracts["datasets"]
    count = min(AT_ONCE, NIGHTS - first)
    stores = [datasets[name] for name in contracts["sources"]["stores"]]
    orders = [datasets[name] for name in contracts["sources"]["orders"]]
    cases = []
    for choice, share in ((orders, count // 2), (stores, count - count // 2)):
        # The first that hypothesis gives is of the most extreme values, and always refused.
        cases += examples(mangled_files(choice, ROWS), share + 1, SEED + first)[1:]
    with redirect_stdout(StringIO()):
        nights.monday(["orders", "stores"])
    wrong = []
    for case in cases:
        try:
            with redirect_stdout(StringIO()):
                nights.tuesday(case)
        except AssertionError as error:
            wrong.append(f"{case}\n    {str(error)[:1500]}")
        nights.back_to_monday()
        assert nights.published() == nights.after_monday
    print(f"{len(cases)} nights, {nights.rows} rows published or quarantined: {nights.outcomes}")
    assert not wrong, "\n".join(wrong)
    assert nights.outcomes.total() == len(cases)
    assert nights.outcomes["published"] > 0
