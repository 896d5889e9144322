"""Deliver a day's catalogue of films, made or of a folder, and say how bronze took it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import date
from pathlib import Path

from include.catalogue_uploader import upload
from include.sample_data.catalogue import generate
from ops.command import command
from ops.deliver import must_answer, take_in
from ops.nightly import a_date
from ops.settings import OpsError, Settings
from ops.sql import client


def deliver(settings: Settings, folder: Path, day: date) -> None:
    """Upload the folder's files with a bar for each, and let the ingest function take them in.

    Raises:
        OpsError: a file is missing or could not be sent, or what was sent is rejected.
    """
    must_answer(settings)
    bucket = settings.bucket("landing")
    try:
        sent = upload.deliver(folder, day, bucket, client(settings, "s3"))
    except upload.UploadError as error:
        raise OpsError(str(error)) from error
    for one in sent:
        said = f", {one.there:,} of them there already" if one.there else ""
        print(f"s3://{bucket}/{one.key}: {one.bytes:,} bytes{said}")
    take_in(settings, day, [upload.SOURCE])
    print(f"Bronze has the catalogue of {day}.")


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.catalogue", description=__doc__)
    parser.add_argument("--from", dest="folder", default="")
    parser.add_argument("--date", default="")
    parser.add_argument("--rows", default="")
    args = parser.parse_args(argv)
    if not args.date:
        raise OpsError("Say of which day: make catalogue DATE=2026-01-05")
    settings, day = Settings.load(), a_date(args.date)
    if args.folder:
        deliver(settings, Path(args.folder).expanduser(), day)
        return 0
    if not args.rows.isdigit() or int(args.rows) < 1:
        raise OpsError(f"ROWS: expected a number above 0, found {args.rows!r}")
    with tempfile.TemporaryDirectory() as folder:
        generate(folder, int(args.rows))
        deliver(settings, Path(folder), day)
    return 0


if __name__ == "__main__":
    sys.exit(main())
