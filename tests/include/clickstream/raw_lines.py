"""Generated lines as they reach bronze, and what they say in plain Python."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from include.sample_data.events import TIMESTAMP, Options, lines

Row = dict[str, Any]


@dataclass(frozen=True)
class Arrived:
    """One line in bronze, and the hour in UTC in which it arrived."""

    day: date
    hour: int
    line: str


def arrivals(options: Options, *, days_late: float = 0.0) -> list[Arrived]:
    """The generator's lines, each when it came: with the events before it, or days later.

    Lines are in the order of their sending, so that one arrives no earlier than any event before
    it; so a line that the generator puts off can arrive after midnight. The share `days_late` waits
    for one of the later days.
    """
    rng = random.Random(options.seed)  # noqa: S311
    found: list[Arrived] = []
    clock = datetime.combine(options.first_day, datetime.min.time())
    for line in lines(options):
        if (event := parsed(line)) is not None:
            clock = max(clock, datetime.strptime(event["event_timestamp"], TIMESTAMP))
        found.append(Arrived(clock.date(), clock.hour, line))
    days = sorted({one.day for one in found})
    for number, one in enumerate(found):
        later = [day for day in days if day > one.day]
        if later and rng.random() < days_late:
            found[number] = Arrived(rng.choice(later), rng.randrange(24), one.line)
    return found


def parsed(line: str) -> Row | None:
    """The line's object; None when it was broken."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def objects(arrived: Iterable[Arrived], *, most_lines: int) -> dict[str, bytes]:
    """Bronze's objects by key: each hour's lines in several, shuffled, as two doors leave them."""
    rng = random.Random(1)  # noqa: S311
    hours: dict[str, list[str]] = {}
    for one in arrived:
        hours.setdefault(f"ingest_date={one.day}/hour={one.hour:02}", []).append(one.line)
    found = {}
    for hour, of_hour in hours.items():
        rng.shuffle(of_hour)
        for begin in range(0, len(of_hour), most_lines):
            text = "".join(f"{line}\n" for line in of_hour[begin : begin + most_lines])
            key = f"clickstream/events/{hour}/part-{begin:06}.gz"
            found[key] = gzip.compress(text.encode(), mtime=0)
    return found


def silver(arrived: Iterable[Arrived]) -> list[Row]:
    """Each event once, by the newest day on which it arrived; broken lines are none."""
    newest: dict[str, Row] = {}
    for one in arrived:
        event = parsed(one.line)
        if event is None:
            continue
        before = newest.get(event["event_id"])
        if before is None or before["landing_date"] < one.day:
            newest[event["event_id"]] = {
                **event,
                "event_timestamp": datetime.strptime(event["event_timestamp"], TIMESTAMP),
                "cookie_id": event["user_domain_id"],
                "landing_date": one.day,
            }
    return list(newest.values())


def counts(arrived: Iterable[Arrived], day: date) -> dict[str, int]:
    """What a day's delivery has: lines, broken ones, and those that repeat one of the same day."""
    of_day = [one.line for one in arrived if one.day == day]
    events = [event for line in of_day if (event := parsed(line)) is not None]
    ids = Counter(event["event_id"] for event in events)
    return {
        "delivered": len(of_day),
        "broken": len(of_day) - len(events),
        "duplicates": len(events) - len(ids),
    }
