"""Make a folder of CSV files a date's delivery, and say how bronze took it."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from include.contracts.compile import load_contracts
from include.sample_data import producer
from ops.command import command
from ops.nightly import a_date
from ops.settings import OpsError, Settings
from ops.sql import client
from ops.stack import answers


def deliver(settings: Settings, folder: Path, day: date) -> None:
    """Send the folder to landing, let the ingest function take it in, and report.

    Raises:
        OpsError: the folder has nothing to send, or what was sent is rejected or incomplete; the
            message names each file and what was expected. What there was has been sent, so that
            the night of that date can show it too.
    """
    try:
        plan = producer.plan_delivery(folder, load_contracts().values())
        must_answer(settings)
        for hint in plan.hints():
            print(f"  {hint}")
        keys = producer.deliver(plan, day, settings.bucket("landing"), client(settings, "s3"))
    except producer.ProducerError as error:
        raise OpsError(str(error)) from error
    print(f"Sent {len(keys)} files to s3://{settings.bucket('landing')} as {day}")
    take_in(settings, day, plan.sources)
    if plan.lacks:
        raise OpsError(
            "\n".join(plan.lacks)
            + f"\nBronze keeps what an earlier delivery of {day} had in their place."
        )
    print(f"Bronze has the delivery of {day}: {', '.join(plan.sources)} complete.")


def must_answer(settings: Settings) -> None:
    """:raises OpsError: the embedded AWS is not there."""
    if not answers(f"{settings.aws_url}/_local/health"):
        raise OpsError(
            f"The embedded AWS does not answer at {settings.aws_url}. Start it with: make up"
        )


def take_in(settings: Settings, day: date, sources: list[str]) -> None:
    """Have the ingest function look at what landing has of a date.

    Raises:
        OpsError: with the function's words, what was sent is rejected or incomplete.
    """
    request = {"delivery_date": day.isoformat(), "sources": sources}
    answer = client(settings, "lambda").invoke(
        FunctionName="madrugada-ingest", Payload=json.dumps(request).encode()
    )
    said = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise OpsError(f"The delivery is not accepted: {said.get('errorMessage', said)}")


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.deliver", description=__doc__)
    parser.add_argument("--from", dest="folder", default="")
    parser.add_argument("--date", default="")
    args = parser.parse_args(argv)
    if not args.folder or not args.date:
        raise OpsError("Say what to deliver: make deliver FROM=<folder> DATE=2026-01-05")
    settings = Settings.load()
    deliver(settings, Path(args.folder).expanduser(), a_date(args.date))
    return 0


if __name__ == "__main__":
    sys.exit(main())
