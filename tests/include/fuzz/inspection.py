"""Many mangled files at once through the function and the job's own reading, and what was wrong.

The function's check, its copy to bronze and its manifest, and the job's opening of it, are done
file by file. Rows are then read by the job's functions as they are, of many files in one Spark job:
all are read from one folder, and those with the same header are checked in one DataFrame, in which
the case's number stands in the upper half of `_line`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from pyspark.sql import SparkSession

from madrugada_spark.contract import Dataset, read_contracts
from madrugada_spark.delivered import (
    DUPLICATE_KEY,
    EMPTY_ROW,
    MALFORMED_ROW,
    accepted,
    checked_rows,
    duplicates,
    numbered_lines,
    rejected,
)
from madrugada_spark.storage import Storage
from tests.include.fuzz.mangled import MangledFile
from tests.include.fuzz.plain_reader import Row, lines_of, rows_of

LANDING, BRONZE = "test-landing", "test-bronze"
FILES_AT_ONCE = 200
CASE = 1 << 33
LONGEST_SENTENCE = 3000


@dataclass
class Found:
    """What became of the files."""

    refused: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    delivered: int = 0
    kept: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    wrong: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        rules = ", ".join(f"{rule} {n}" for rule, n in self.quarantined.most_common())
        reasons = ", ".join(f"{why} {n}" for why, n in self.refused.most_common())
        return (
            f"{self.refused.total() + self.accepted} files: {self.refused.total()} refused "
            f"({reasons}), {self.accepted} accepted with {self.delivered} rows, {self.kept} kept, "
            f"{self.quarantined.total()} quarantined ({rules})"
        )


@dataclass
class _Taken:
    """A file that the function took."""

    number: int
    case: MangledFile
    rows: int
    header: tuple[str, ...]
    plain: list[Row]
    lines: list[tuple[int, str]] = field(default_factory=list)


class Inspection:
    def __init__(
        self, spark: SparkSession, s3: Any, root: Path, ingest: ModuleType, compiled: dict[str, Any]
    ) -> None:
        self.spark, self.s3, self.root, self.ingest = spark, s3, root, ingest
        self.compiled = compiled
        self.datasets = read_contracts(json.dumps(compiled)).datasets
        # Each dataset a delivery of its own, so that one bad file does not hide another.
        files = [name for names in compiled["sources"].values() for name in names]
        alone = {**compiled, "sources": {name: [name] for name in files}}
        self.function = ingest.Ingest(s3, landing=LANDING, bronze=BRONZE, contracts=alone)
        self.storage = Storage()

    def of(self, cases: Sequence[MangledFile]) -> Found:
        """What became of these files, with a sentence for each that was not treated as it must."""
        found = Found()
        taken = []
        for number, case in enumerate(cases):
            try:
                one = self._settle(number, case, found)
            except AssertionError as error:
                found.wrong[number] = str(error)
            else:
                taken += [one] if one else []
        for start in range(0, len(taken), FILES_AT_ONCE):
            self._number_lines(taken[start : start + FILES_AT_ONCE], found)
        groups: dict[tuple[str, tuple[str, ...]], list[_Taken]] = defaultdict(list)
        for one in taken:
            if one.number not in found.wrong:
                groups[one.case.dataset, one.header].append(one)
        for (name, header), group in groups.items():
            self._check_rows(self.datasets[name], header, group, found)
        return found

    def _settle(self, number: int, case: MangledFile, found: Found) -> _Taken | None:
        """One file through the function and the job's opening of its delivery."""
        name, content = case.dataset, case.content
        dataset = self.compiled["datasets"][name]
        day = str(date(2000, 1, 1) + timedelta(days=number))
        key = f"{name}/{day}/{dataset['file_name']}"
        self.s3.put_object(Bucket=LANDING, Key=key, Body=content)
        bronze_key = f"{name}/{name}/ingest_date={day}/{dataset['file_name']}"
        for bucket, old in ((BRONZE, bronze_key), (BRONZE, f"_manifests/{name}/{day}.json")):
            self.s3.delete_object(Bucket=bucket, Key=old)
        result = self.function.settle(name, day)
        piece = (7, 64, 1000)[number % 3]
        try:
            in_pieces = self.ingest.check_file(
                (content[n : n + piece] for n in range(0, len(content), piece)), dataset, "it"
            )[1]
        except self.ingest.RejectedFile:
            in_pieces = None
        if result["errors"]:
            assert in_pieces is None, "refused whole and taken in pieces"
            assert (result["status"], result["files"]) == ("rejected", []), result
            (sentence,) = result["errors"]
            where = f"s3://{LANDING}/{key}"
            assert sentence.startswith(f"{where} "), f"names no file: {sentence!r}"
            assert "expected " in sentence, f"does not say what was expected: {sentence!r}"
            assert len(sentence) <= LONGEST_SENTENCE, f"a sentence of {len(sentence)} characters"
            assert sentence.isprintable(), f"cannot be printed: {sentence!r}"
            found.refused[" ".join(sentence.removeprefix(where).split()[:3])] += 1
            return None
        (entry,) = result["files"]
        assert result["status"] == "complete", result
        assert entry["rows"] == in_pieces, f"{entry['rows']} rows whole, {in_pieces} in pieces"
        copied = self.s3.get_object(Bucket=BRONZE, Key=entry["key"])["Body"].read()
        assert copied == content, "the copy in bronze differs"
        job = self.datasets[name]
        try:
            file = self.storage.delivery(BRONZE, name, day, [job])[name]
        except Exception as error:
            raise AssertionError(
                f"the function took what the job cannot open: {error!r}"
            ) from error
        assert file.files[0].rows == entry["rows"]
        assert job.new_columns(file.header) == entry["new_columns"]
        assert job.missing_columns(file.header) == entry["missing_columns"]
        plain = rows_of(content, dataset)
        assert entry["rows"] == len(plain), f"{entry['rows']} rows counted, {len(plain)} there"
        found.accepted += 1
        found.delivered += entry["rows"]
        return _Taken(number, case, entry["rows"], file.header, plain)

    def _number_lines(self, taken: list[_Taken], found: Found) -> None:
        """The job's lines of each file against the file's own."""
        with self.folder_of(taken) as uri, self.settings(minPartitionNum=2 * len(taken) + 2):
            by_number = {one.number: one for one in taken}
            lines = numbered_lines(self.spark, uri, 1)
            for name, line, raw in lines.selectExpr("input_file_name()", "*").collect():
                # Each file is read in a task of its own, whose number stands above the line's.
                number = int(name.rpartition("/")[2].removesuffix(".csv"))
                by_number[number].lines.append((line % CASE, raw))
        for one in taken:
            expected = list(enumerate(lines_of(one.case.content), 1))
            if one.lines != expected:
                found.wrong[one.number] = f"lines {one.lines}, expected {expected}"

    @contextmanager
    def folder_of(self, taken: Iterable[_Taken]) -> Any:
        folder = self.root / BRONZE / "fuzzed"
        folder.mkdir()
        for one in taken:
            (folder / f"{one.number}.csv").write_bytes(one.case.content)
        try:
            yield f"s3://{BRONZE}/fuzzed/"
        finally:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()

    @contextmanager
    def settings(self, **values: int) -> Any:
        """Spark's settings on how files are cut, for a while."""
        names = {f"spark.sql.files.{name}": str(value) for name, value in values.items()}
        before = {name: self.spark.conf.get(name, None) for name in names}
        for name, value in names.items():
            self.spark.conf.set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    self.spark.conf.unset(name)
                else:
                    self.spark.conf.set(name, value)

    def _check_rows(
        self, dataset: Dataset, header: tuple[str, ...], group: list[_Taken], found: Found
    ) -> None:
        numbered = [
            (one.number * CASE + line if line > 1 else -one.number, raw)
            for one in group
            for line, raw in one.lines
        ]
        lines = self.spark.createDataFrame(numbered, "_line bigint, _raw string").coalesce(1)
        rows = checked_rows(lines, dataset, header)
        names = dataset.column_names
        kept: dict[int, dict[int, Any]] = defaultdict(dict)
        for row in accepted(rows).collect():
            number, line = divmod(row["_line"], CASE)
            assert line not in kept[number]
            kept[number][line] = row
        out: dict[int, dict[int, Any]] = defaultdict(dict)
        for row in rejected(rows, dataset, header).collect():
            number, line = divmod(row["_line"], CASE)
            assert line not in out[number]
            out[number][line] = row
        # The same key in two files is not the same key.
        apart = replace(dataset, key=("_case", *dataset.key))
        again: dict[int, list[Any]] = defaultdict(list)
        of_cases = rows.selectExpr("*", f"_line div {CASE} as _case")
        for row in duplicates(of_cases, apart).collect():
            again[row["_line"] // CASE].append(row)
        rules = {rule.id for rule in dataset.rules if rule.severity == "error"}
        rules |= {EMPTY_ROW, MALFORMED_ROW}
        key = names.index(dataset.key[0])
        for one in group:
            mine = (kept[one.number], out[one.number], again[one.number])
            try:
                self._compare(one, names, key, rules, *mine)
            except AssertionError as error:
                found.wrong[one.number] = str(error)
            found.kept += len(mine[0]) - len(mine[2])
            found.quarantined.update(row["_rule"] for row in (*mine[1].values(), *mine[2]))

    def _compare(
        self,
        one: _Taken,
        names: list[str],
        key: int,
        rules: set[str],
        kept: dict[int, Any],
        out: dict[int, Any],
        again: list[Any],
    ) -> None:
        """A file's rows as the job has them against the plain reader's."""
        last: dict[Any, int] = {}
        for plain in one.plain:
            place = f"line {plain.line} {plain.raw[:200]!r}"
            row, bad = kept.get(plain.line), out.get(plain.line)
            assert (row is None) != (bad is None), f"{place}: in neither or in both"
            if bad is not None:
                assert plain.values is None, f"{place}: {bad['_reason']!r}, though it is good"
                assert bad["_raw"] == plain.raw, f"{place}: raw is {bad['_raw']!r}"
                assert bad["_rule"] in rules, f"{place}: no such rule: {bad['_rule']}"
                assert bad["_reason"], f"{place}: {bad['_rule']} without a reason"
                continue
            values = tuple(row[name] for name in names)
            assert plain.values is not None, f"{place}: kept as {values}, though {plain.why}"
            assert values == plain.values, f"{place}: {values}, expected {plain.values}"
            warned = set((row["_warnings"] or "").split(";")) - {""}
            assert warned == plain.warnings, f"{place}: {warned}, expected {plain.warnings}"
            rescued = json.loads(row["_rescued"] or "{}")
            assert rescued == plain.rescued, f"{place}: {rescued}, expected {plain.rescued}"
            last[plain.values[key]] = plain.line
        assert one.rows == len(kept) + len(out)
        repeated = {row["_line"] % CASE: row for row in again}
        assert len(repeated) == len(again)
        assert set(repeated) == set(kept) - set(last.values())
        raws = {plain.line: plain.raw for plain in one.plain}
        for line, row in repeated.items():
            assert (row["_rule"], row["_raw"]) == (DUPLICATE_KEY, raws[line])
            assert row["_reason"].endswith("the last line counts")
        assert one.rows == len(last) + len(again) + len(out)
