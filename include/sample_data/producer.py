"""Delivers a folder of CSV files: puts them into landing, as the systems that own the data would.

    python -m include.sample_data.producer --from DIR --date YYYY-MM-DD [--landing BUCKET]

Which file belongs to which source is told by the contracts. What is in the folder is sent as it is:
judging it is the night's work. A source of which the folder has some files but not all, or an empty
one, is sent too, each lack is said on stderr with the header that was expected, and the exit code
is 1. A source of which the folder has nothing is only hinted at. A folder with nothing to send is
refused. Files that no contract knows are named and not sent.
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
    """What will be sent, and what is not as it should be.

    Attributes:
        files: (source, file) in sending order.
        unknown: files that no contract knows.
        lacks: a sentence for each file that is missing or empty, with the header expected.
        absent: sources of the same pipeline of which the folder has no file.
    """

    files: tuple[tuple[str, Path], ...]
    unknown: tuple[Path, ...]
    lacks: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def sources(self) -> list[str]:
        """The sources of which something is sent."""
        return sorted({source for source, _ in self.files})

    def hints(self) -> list[str]:
        """What may be as it is meant, and is worth a look."""
        return [
            *(f"not sent, no contract knows it: {path}" for path in self.unknown),
            *(f"nothing of the source {source} is in this folder" for source in self.absent),
        ]


def plan_delivery(
    folder: Path | str,
    contracts: Iterable[Contract],
    sources: Iterable[str] | None = None,
) -> Plan:
    """Decides what of a folder is sent.

    :param sources: deliver these, and say of each file of theirs that is not there; by default
        every source that has a file in the folder.
    :raises ProducerError: no such folder, an unknown source, or nothing to send.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ProducerError(f"{folder}: expected a folder of CSV files, found none there")
    expected: dict[str, dict[str, Contract]] = {}
    products: dict[str, str] = {}
    for contract in contracts:
        if contract.layer == "silver" and contract.file_format == "csv":
            expected.setdefault(str(contract.source), {})[str(contract.file_name)] = contract
            products[str(contract.source)] = contract.data_product
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    present = [source for source, files in expected.items() if found.keys() & files.keys()]
    wanted = present if sources is None else list(sources)
    if unknown_sources := [source for source in wanted if source not in expected]:
        raise ProducerError(
            f"unknown source {', '.join(unknown_sources)}; expected some of {', '.join(expected)}"
        )
    files, lacks = [], []
    for source in wanted:
        for name in sorted(expected[source]):
            header = _header(expected[source][name])
            if name not in found:
                lacks.append(
                    f"{folder / name}: is missing, so that the {source} delivery is not complete;"
                    f" expected a file with the header {header}"
                )
                continue
            files.append((source, found[name]))
            if found[name].stat().st_size == 0:
                lacks.append(f"{found[name]}: is empty; expected the header {header} and rows")
    if not files:
        names = sorted(name for source in wanted or expected for name in expected[source])
        raise ProducerError(f"{folder}: no file of any source; expected {', '.join(names)}")
    theirs = {products[source] for source in wanted}
    known = {name for named in expected.values() for name in named}
    return Plan(
        files=tuple(files),
        unknown=tuple(path for name, path in found.items() if name not in known),
        lacks=tuple(lacks),
        absent=tuple(s for s in expected if s not in wanted and products[s] in theirs)
        if sources is None
        else (),
    )


def _header(contract: Contract) -> str:
    return str(contract.delimiter).join(str(column.header) for column in contract.columns)


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
        for hint in plan.hints():
            print(hint, file=sys.stderr)
        for key in deliver(plan, arguments.date, arguments.landing, boto3.client("s3")):
            print(f"s3://{arguments.landing}/{key}")
    except ProducerError as error:
        print(error, file=sys.stderr)
        return 1
    for lack in plan.lacks:
        print(lack, file=sys.stderr)
    return 1 if plan.lacks else 0


if __name__ == "__main__":
    raise SystemExit(main())
