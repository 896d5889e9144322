"""Send events into the clickstream: made ones, or those of a file."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from include.sample_data import event_producer, events
from ops.command import command
from ops.settings import OpsError, Settings
from ops.sql import client
from ops.stack import answers

SOURCES = ("sample", "fake")
DAYS_OF_FAKES = 3650
FAKE_SESSIONS_PER_DAY = 100_000


def send(
    settings: Settings, lines: Iterator[str], total: int, door: str, rate: float | None
) -> int:
    """Send the lines with a progress bar, and say what became of them; gives how many were refused.

    Raises:
        OpsError: the embedded AWS is not there, or took nothing for long.
    """
    if door not in event_producer.DOORS:
        raise OpsError(f"DOOR: expected {' or '.join(event_producer.DOORS)}, found {door!r}")
    if not answers(f"{settings.aws_url}/_local/health"):
        raise OpsError(
            f"The embedded AWS does not answer at {settings.aws_url}. Start it with: make up"
        )
    service = client(settings, door)
    kinesis, sqs = event_producer.Kinesis, event_producer.Sqs
    opened = kinesis(service) if door == "kinesis" else sqs(service)
    started = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        task = progress.add_task(f"events by {door}", total=total, rate="")

        def tell(done: int) -> None:
            seconds = max(0.001, time.monotonic() - started)
            count = progress.tasks[0].completed + done
            progress.update(task, advance=done, rate=f"{count / seconds:,.0f}/s")

        try:
            sent = event_producer.Producer(opened, rate, tell).run(lines)
        except event_producer.ProducerError as error:
            raise OpsError(str(error)) from error
    print(event_producer.report(sent, time.monotonic() - started))
    return len(sent.refused)


@contextmanager
def lines_of(path: Path) -> Iterator[tuple[Iterator[str], int]]:
    """A file's lines, and how many there are."""
    try:
        with path.open("rb") as file:
            total = sum(1 for _ in file)
        text = path.open(encoding="utf-8")
    except OSError as error:
        raise OpsError(f"{path} cannot be read: {error}") from error
    with text:
        try:
            yield iter(text), total
        except UnicodeDecodeError as error:
            raise OpsError(f"{path} is not UTF-8: {error}") from error


def made(count: int, source: str, seed: int | None) -> Iterator[str]:
    """Events of the last day: the project's own, or those of the package fake-web-events."""
    if source == "sample":
        chosen = time.time_ns() if seed is None else seed
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        return events.lines(events.Options(count=count, first_day=yesterday, seed=chosen))
    try:
        from fake_web_events import Simulation
    except ImportError:
        raise OpsError("SOURCE=fake needs a package: pip install fake-web-events") from None
    return _fakes(Simulation, count)


def _fakes(simulation: type, count: int) -> Iterator[str]:
    """Events that begin now: the package's clock runs ahead, less than a day for any count."""
    import itertools
    import json

    made = simulation(
        user_pool_size=min(1000, 20 + count // 20),  # each takes the package much of a second
        sessions_per_day=max(FAKE_SESSIONS_PER_DAY, count),
        init_time=datetime.now(UTC).replace(tzinfo=None),
    )
    found = made.run(duration_seconds=DAYS_OF_FAKES * 86_400)
    for event in itertools.islice(found, count):
        yield json.dumps(event, ensure_ascii=False)


def _number(name: str, text: str, kind: type) -> float | None:
    if not text:
        return None
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if not value > 0:
        raise OpsError(f"{name}: expected a number above 0, found {text!r}")
    return value


@command
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.events", description=__doc__)
    parser.add_argument("--count", default="")
    parser.add_argument("--from", dest="file", default="")
    parser.add_argument("--rate", default="")
    parser.add_argument("--door", default="kinesis")
    parser.add_argument("--source", default="sample", choices=SOURCES)
    parser.add_argument("--seed", type=int)
    args = parser.parse_args(argv)
    settings = Settings.load()
    rate = _number("RATE", args.rate, float)
    count = _number("COUNT", args.count, int)
    if bool(count) == bool(args.file):
        raise OpsError("Say what to send: make events COUNT=1000, or make events FROM=<file.jsonl>")
    if args.file:
        with lines_of(Path(args.file).expanduser()) as (lines, total):
            refused = send(settings, lines, total, args.door, rate)
    else:
        assert count is not None
        lines = made(int(count), args.source, args.seed)
        refused = send(settings, lines, int(count), args.door, rate)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
