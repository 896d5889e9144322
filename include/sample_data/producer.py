"""Delivers a folder of CSV files: puts them into landing, as the systems that own the data would.

    python -m include.sample_data.producer --from DIR --date YYYY-MM-DD [--landing BUCKET]

Which file belongs to which source is told by the contracts. A source is delivered when the folder
has all its files; a folder with some but not all files of a source, or with none at all, is refused
before anything is sent. Files that no contract knows are named and not sent.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from include.contracts.compile import Contract, load_contracts

DEFAULT_PREFIX = "madrugada-local"


class ProducerError(Exception):
    """The folder cannot be delivered; the message names the files and what was expected."""


@dataclass(frozen=True)
class Plan:
    """What will be sent: (source, file) pairs in sending order, and the files nobody knows."""

    files: tuple[tuple[str, Path], ...]
    unknown: tuple[Path, ...]


def plan_delivery(
    folder: Path | str,
    contracts: Iterable[Contract],
    sources: Iterable[str] | None = None,
) -> Plan:
    """Decides what of a folder is sent.

    :param sources: deliver these, and refuse the folder when one of them is not complete; by
        default every source that has a file in the folder.
    :raises ProducerError: no such folder, no known file, or a source that is not complete.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ProducerError(f"{folder}: expected a folder of CSV files, found none there")
    expected: dict[str, list[str]] = {}
    for contract in contracts:
        if contract.layer == "silver":
            expected.setdefault(str(contract.source), []).append(str(contract.file_name))
    found = sorted(path for path in folder.iterdir() if path.is_file())
    names = {path.name for path in found}
    if sources is None:
        wanted = [source for source, files in expected.items() if names & set(files)]
    else:
        wanted = list(sources)
        if unknown_sources := [source for source in wanted if source not in expected]:
            raise ProducerError(
                f"unknown source {', '.join(unknown_sources)}; expected some of "
                f"{', '.join(expected)}"
            )
    problems = []
    if not wanted:
        every = sorted(name for files in expected.values() for name in files)
        problems.append(f"{folder}: no file of any source; expected {', '.join(every)}")
    for source in wanted:
        if missing := [name for name in expected[source] if name not in names]:
            problems.append(
                f"{folder}: the {source} delivery is not complete, missing: {', '.join(missing)}"
            )
    for path in found:
        if any(path.name in expected[source] for source in wanted) and path.stat().st_size == 0:
            problems.append(f"{path}: is empty; expected a header and rows")
    if problems:
        raise ProducerError("\n".join(problems))
    known = {name for files in expected.values() for name in files}
    return Plan(
        files=tuple(
            (source, folder / name) for source in wanted for name in sorted(expected[source])
        ),
        unknown=tuple(path for path in found if path.name not in known),
    )


def deliver(plan: Plan, delivery_date: date, bucket: str, s3: Any) -> list[str]:
    """Uploads the planned files, big ones in parts; gives the keys in the order they were sent.

    :raises ProducerError: naming the file that could not be sent and why.
    """
    keys = []
    for source, path in plan.files:
        key = f"{source}/{delivery_date.isoformat()}/{path.name}"
        try:
            s3.upload_file(
                str(path),
                bucket,
                key,
                ExtraArgs={"ContentType": "text/csv"},
                Config=TransferConfig(multipart_threshold=64 << 20, multipart_chunksize=64 << 20),
            )
        except (ClientError, BotoCoreError, boto3.exceptions.Boto3Error, OSError) as error:
            raise ProducerError(
                f"{path}: could not be sent to s3://{bucket}/{key}: {error}"
            ) from error
        keys.append(key)
    return keys


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m include.sample_data.producer",
        description="Put a folder's CSV files into landing as one date's delivery.",
    )
    parser.add_argument("--from", dest="folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--date", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    parser.add_argument("--sources", help="comma list; by default all that have a file in DIR")
    parser.add_argument(
        "--landing",
        default=f"{os.environ.get('MADRUGADA_PREFIX', DEFAULT_PREFIX)}-landing",
        metavar="BUCKET",
    )
    arguments = parser.parse_args(argv)
    try:
        plan = plan_delivery(
            arguments.folder,
            load_contracts().values(),
            arguments.sources.split(",") if arguments.sources else None,
        )
        for path in plan.unknown:
            print(f"not sent, no contract knows it: {path}", file=sys.stderr)
        for key in deliver(plan, arguments.date, arguments.landing, boto3.client("s3")):
            print(f"s3://{arguments.landing}/{key}")
    except ProducerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
