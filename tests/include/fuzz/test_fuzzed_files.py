"""Mangled files through the function's check and the job's: refused in words, or every row told.

The files are the same at every run. `make test-fuzz` does FUZZ_FILES=2000, `make test-nights` the
first of them; the ordinary suite takes what was once wrong.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from madrugada_spark.delivered import ONE_BLOCK, numbered_lines
from tests.include.fuzz.inspection import Inspection
from tests.include.fuzz.mangled import MangledFile, examples, mangled_files, smaller
from tests.include.fuzz.plain_reader import lines_of

FILES = int(os.environ.get("FUZZ_FILES", "40"))
AT_ONCE = 250
SEED = 20260105


@pytest.fixture
def inspection(spark: Any, aws: Any, buckets_root: Path, ingest: Any, contracts: Any) -> Inspection:
    return Inspection(spark, aws, buckets_root, ingest, contracts)


def smallest(inspection: Inspection, case: MangledFile, tries: int = 300) -> MangledFile:
    """A file that still goes wrong, with as much taken out as can be in so many tries."""
    again = True
    while again:
        again = False
        for content in smaller(case.content):
            tries -= 1
            if tries < 0:
                return case
            less = MangledFile(case.dataset, content, case.done)
            if inspection.of([less]).wrong:
                case, again = less, True
                break
    return case


def explained(
    inspection: Inspection, files: Sequence[MangledFile], wrong: dict[int, str], shown: int = 8
) -> str:
    lines = [f"{len(wrong)} of {len(files)} files"]
    for number, sentence in list(wrong.items())[:shown]:
        lines.append(f"#{number} {files[number]}\n    {sentence[:1000]}")
    if wrong and os.environ.get("FUZZ_SHRINK"):
        case = smallest(inspection, files[next(iter(wrong))])
        lines.append(f"smallest: {case}\n    {inspection.of([case]).wrong}")
    return "\n".join(lines)


STORES = "id;cidade\n"
ORDERS = "id,product,quantity,price,date\n"
ONCE_WRONG = {
    "a line break in a quoted field": ("lojas", STORES + '1;"São\nPaulo"\n2;Natal\n'),
    "a separator behind an open quote": ("lojas", STORES + '1;"São;Paulo\n2;Natal\n'),
    "text beside quotes": ("lojas", STORES + '1;"a"b"\n2;"a"\x00\n3;"a" \n4;"a"\t\n5;"a\\"b"\n'),
    "quotes as they should be": ("lojas", STORES + '1;"a;""b"""\n2;a"b\n3;"""a"\n4; "a"\n"5";b\n'),
    "control characters around an integer": (
        "lojas",
        STORES
        + "".join(f"{c}{n};x\n{n}1{c};x\n" for n, c in enumerate("\t\r\x00\x0b\x1f\x7f\x85", 1)),
    ),
    "a line end after a price": ("sales_data", ORDERS + "1,a,1,1.5\r,2024-01-01\n"),
    "a line end after a birth date": ("clientes", "id;dt_nasc;nome;sexo\n1;5/2/1975\r;a;F\n"),
    "half a megabyte of quotes": (
        "lojas",
        STORES + '1;"' + '""' * 250_000 + '"\n2;' + '"' * 500_001,
    ),
    "a header that clears the screen": ("lojas", "id;\x1b[2Jcidade\n1;Natal\n"),
    "a header of one line with its rows": ("lojas", "id;cidade\r1;Natal\r2;Recife\r"),
}


@pytest.mark.slow
def test_lines_are_the_same_whoever_reads_them(inspection) -> None:
    """A file cut into tasks of a few bytes, in a character or in a CR LF, has the same lines."""
    text = "\ufeffid;cidade\r\n1;São\u2028Paulo\r\n\r\n\n2;a\rb\x85\r\r\n;;\n3;𐍈𐍈𐍈𐍈\n\r"
    path = inspection.root / "test-bronze" / "cut.csv"
    uri = "s3://test-bronze/cut.csv"
    for content, cut in ((text.encode(), 5), (text.encode() + b"x", 16)):
        path.write_bytes(content)
        with inspection.settings(maxPartitionBytes=cut):
            lines = numbered_lines(inspection.spark, uri, ONE_BLOCK + 1)
            assert sorted(map(tuple, lines.collect())) == list(enumerate(lines_of(content), 1))
    path.unlink()


@pytest.mark.slow
def test_what_was_once_wrong(inspection) -> None:
    cases = [MangledFile(name, text.encode(), (what,)) for what, (name, text) in ONCE_WRONG.items()]
    found = inspection.of(cases)
    assert not found.wrong, explained(inspection, cases, found.wrong)
    assert found.refused.total() == 2
    assert found.kept == 7


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, FILES, AT_ONCE))
def test_a_mangled_file_is_refused_in_words_or_every_row_of_it_is_told(
    inspection, contracts, first
) -> None:
    count = min(AT_ONCE, FILES - first)
    datasets = [d for d in contracts["datasets"].values() if d["file_format"] == "csv"]
    strategy = mangled_files(datasets)
    files = examples(strategy, count, SEED + first)
    found = inspection.of(files)
    print(found)
    assert not found.wrong, explained(inspection, files, found.wrong)
    assert found.refused.total() + found.accepted == len(files)
    assert found.delivered == found.kept + found.quarantined.total()
    # The sample is worth its time only while it has of everything.
    assert found.refused.total() > len(files) // 20
    assert found.accepted > len(files) // 2
    assert min(found.kept, found.quarantined.total()) > len(files) // 2
