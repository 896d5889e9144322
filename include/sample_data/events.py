"""Makes events of a web shop, always the same for the same size, seed and options.

    python -m include.sample_data.events --count 50000 --from 2026-01-05 --days 3 --out FILE.jsonl

One JSON object a line, of the shape that the package fake-web-events has; visitors come with a
campaign, look at products, and some of them buy. The traits of a real stream are options: copies of
events (at least once), lines that are broken in the middle, events that are delivered late, and
sessions that go on across midnight in UTC. A visitor comes again on other days, with the same
cookie. Events are written as they are made, so memory does not grow with their number.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any, TextIO

DEFAULT_COUNT = 1000
DEFAULT_SEED = 2026
TIMESTAMP = "%Y-%m-%d %H:%M:%S.%f"

START = (("home", 60), ("product_a", 25), ("product_b", 15))
NEXT = {
    "home": (("home", 25), ("product_a", 27), ("product_b", 18), (None, 30)),
    "product_a": (("product_a", 35), ("home", 20), ("cart", 22), (None, 23)),
    "product_b": (("product_b", 30), ("home", 24), ("cart", 20), (None, 26)),
    "cart": (("cart", 15), ("payment", 50), ("home", 15), (None, 20)),
    "payment": (("payment", 25), ("confirmation", 55), ("cart", 10), (None, 10)),
    "confirmation": (("confirmation", 20), (None, 80)),
}
CAMPAIGNS = (("campaign_1", 70), ("campaign_2", 20), ("campaign_3", 10))
ADS = ("ad_1", "ad_2", "ad_3", "ad_4")
REFERERS = (("google", 30), ("facebook", 25), ("instagram", 20), ("bing", 5), ("mailchimp", 20))
MEDIUMS = ("cpc", "affiliate", "organic", "social")
PLACES = (
    ("-23.547500", "-46.636110", "BR", "America/Sao_Paulo", "São Paulo"),
    ("-1.455830", "-48.504440", "BR", "America/Belem", "Belém"),
    ("40.714270", "-74.005970", "US", "America/New_York", "New York"),
    ("52.524370", "13.410530", "DE", "Europe/Berlin", "Berlin"),
    ("-33.867850", "151.207320", "AU", "Australia/Sydney", "New South Wales"),
)
DEVICES = (
    ("iOS", "iPhone; CPU iPhone OS 17_1 like Mac OS X", "Safari", "Mobile", True),
    ("Android", "Linux; Android 14", "Chrome", "Mobile", True),
    ("Windows", "Windows NT 10.0; Win64; x64", "Firefox", "Computer", False),
    ("MacOS", "Macintosh; Intel Mac OS X 10_15_7", "Safari", "Computer", False),
    ("Linux", "X11; Linux x86_64", "Chrome", "Computer", False),
)
NAMES = ("ana", "bia", "caio", "davi", "eva", "fabio", "gil", "iara", "joao", "lia", "nina", "rui")
LONGEST_PAUSE = 40 * 60
"""Seconds between two pages of a visitor; half an hour of silence ends a session."""
EVENTS_PER_VISIT = 6
LATE_LINES = 500
"""A line that is late comes up to so many lines after its place."""


@dataclass(frozen=True)
class Options:
    """What a stream of events is like.

    Attributes:
        count: events without their copies, at least 1.
        first_day: of the first event, in UTC.
        days: over how many days the visits begin, at least 1; some go on past the last midnight.
        duplicates, broken, late: shares of lines from 0 to 1, on top of `count` for the first.
    """

    count: int = DEFAULT_COUNT
    first_day: date = date(2026, 1, 5)
    days: int = 1
    seed: int = DEFAULT_SEED
    duplicates: float = 0.0
    broken: float = 0.0
    late: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1 or self.days < 1:
            raise ValueError(f"count and days: expected 1 or more, found {self.count}, {self.days}")
        for name in ("duplicates", "broken", "late"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, found {getattr(self, name)}")


def events(options: Options) -> Iterator[dict[str, Any]]:
    """The events by visit, visits by their beginning; nothing is copied, broken or late."""
    random = Random(f"{options.seed} events")  # noqa: S311
    visitors = max(1, options.count // (EVENTS_PER_VISIT * 2))
    begin = datetime.combine(options.first_day, time())
    left = options.count
    # Visits are spread evenly; those that make up the number come in the last seconds.
    step = timedelta(days=options.days) / (options.count // EVENTS_PER_VISIT + 1)
    moment = begin
    while left:
        moment = min(moment + step * random.random() * 2, begin + timedelta(days=options.days))
        for event in _visit(random, _visitor(options.seed, random.randrange(visitors)), moment):
            yield event
            left -= 1
            if not left:
                return


def _visitor(seed: int, number: int) -> dict[str, Any]:
    """Who it is: the same in all visits, so that nothing of visitors is kept in memory."""
    random = Random(f"{seed} visitor {number}")  # noqa: S311
    latitude, longitude, country, timezone, region = random.choice(PLACES)
    system, os, browser, device, mobile = random.choice(DEVICES)
    name = f"{random.choice(NAMES)}.{random.choice(NAMES)}{number}"
    return {
        "geo_latitude": latitude,
        "geo_longitude": longitude,
        "geo_country": country,
        "geo_timezone": timezone,
        "geo_region_name": region,
        "ip_address": f"198.51.{number // 250 % 250}.{number % 250 + 1}",
        "browser_name": browser,
        "browser_user_agent": f"Mozilla/5.0 ({os}) {browser}/120.0",
        "browser_language": "pt_BR" if country == "BR" else "en_US",
        "os": os,
        "os_name": system,
        "os_timezone": timezone,
        "device_type": device,
        "device_is_mobile": mobile,
        "user_custom_id": f"{name}@example.com",
        "user_domain_id": _uuid(random),
    }


def _visit(random: Random, visitor: dict[str, Any], begin: datetime) -> Iterator[dict[str, Any]]:
    source = _one_of(random, REFERERS)
    came_by = {
        "referer_url": f"www.{source}.com",
        "referer_url_scheme": "http",
        "referer_url_port": "80",
        "referer_medium": "search" if source in ("google", "bing") else "internal",
        "utm_medium": random.choice(MEDIUMS),
        "utm_source": source,
        "utm_content": random.choice(ADS),
        "utm_campaign": _one_of(random, CAMPAIGNS),
        "click_id": _uuid(random),
    }
    page: str | None = _one_of(random, START)
    moment = begin
    while page is not None:
        yield {
            "event_id": _uuid(random),
            "event_timestamp": moment.strftime(TIMESTAMP),
            "event_type": "pageview",
            "page_url": f"http://www.dummywebsite.com/{page}",
            "page_url_path": f"/{page}",
            **came_by,
            **visitor,
        }
        # Mostly seconds, now and then most of an hour.
        seconds = 5 + random.random() ** 6 * LONGEST_PAUSE
        moment += timedelta(seconds=seconds)
        page = _one_of(random, NEXT[page])


def lines(options: Options) -> Iterator[str]:
    """The events as they arrive: one line each, with what the options add, break and put off.

    A broken line is one that was cut off, a copy of an event that arrives whole as well, so that
    what is in the lines that can be read does not depend on `broken`.
    """
    random = Random(f"{options.seed} lines")  # noqa: S311
    waiting: list[tuple[int, int, str]] = []
    number = 0
    for number, event in enumerate(events(options)):
        line = json.dumps(event, ensure_ascii=False)
        put_off = number + random.randrange(1, LATE_LINES) if random.random() < options.late else 0
        if put_off:
            waiting.append((put_off, len(waiting), line))
        else:
            yield line
        if random.random() < options.duplicates:
            waiting.append((number + random.randrange(1, LATE_LINES), len(waiting), line))
        if random.random() < options.broken:
            yield line[: random.randrange(1, len(line))]
        due = [item for item in waiting if item[0] <= number]
        if due:
            waiting = [item for item in waiting if item[0] > number]
            yield from (line for _, _, line in sorted(due))
    yield from (line for _, _, line in sorted(waiting))


def write(options: Options, file: TextIO) -> int:
    """Writes all lines; gives their number."""
    count = 0
    for line in lines(options):
        file.write(f"{line}\n")
        count += 1
    return count


def _one_of(random: Random, choices: Any) -> Any:
    values, weights = zip(*choices, strict=True)
    return random.choices(values, weights)[0]


def _uuid(random: Random) -> str:
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m include.sample_data.events",
        description="Make events of a web shop, always the same for the same options.",
    )
    given = Options()
    parser.add_argument("--count", type=int, default=given.count, help="events (1000)")
    parser.add_argument("--from", dest="first_day", type=date.fromisoformat,
                        default=given.first_day, metavar="YYYY-MM-DD")  # fmt: skip
    parser.add_argument("--days", type=int, default=given.days)
    parser.add_argument("--seed", type=int, default=given.seed)
    for share in ("duplicates", "broken", "late"):
        parser.add_argument(f"--{share}", type=float, default=0.0, help="share of lines, 0 to 1")
    parser.add_argument("--out", type=Path, help="file to write; by default standard output")
    arguments = vars(parser.parse_args(argv))
    out = arguments.pop("out")
    try:
        options = Options(**arguments)
    except ValueError as error:
        parser.error(str(error))
    if out is None:
        write(options, sys.stdout)
        return 0
    with out.open("w", encoding="utf-8") as file:
        print(f"{write(options, file):,} lines  {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
