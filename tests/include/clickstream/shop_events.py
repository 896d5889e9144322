"""Events of a web shop for these tests, the same at every run, and the lake's table of them."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

Row = dict[str, Any]

COLUMNS = {
    "event_id": "varchar",
    "event_timestamp": "timestamp",
    "landing_date": "date",
    "event_type": "varchar",
    "page_url": "varchar",
    "page_url_path": "varchar",
    "cookie_id": "varchar",
    "user_custom_id": "varchar",
    "ip_address": "varchar",
    "referer_url": "varchar",
    "referer_url_scheme": "varchar",
    "referer_url_port": "integer",
    "referer_medium": "varchar",
    "utm_medium": "varchar",
    "utm_source": "varchar",
    "utm_content": "varchar",
    "utm_campaign": "varchar",
    "click_id": "varchar",
    "geo_latitude": "decimal(9,6)",
    "geo_longitude": "decimal(9,6)",
    "geo_country": "varchar",
    "geo_timezone": "varchar",
    "geo_region_name": "varchar",
    "browser_name": "varchar",
    "browser_user_agent": "varchar",
    "browser_language": "varchar",
    "os": "varchar",
    "os_name": "varchar",
    "os_timezone": "varchar",
    "device_type": "varchar",
    "device_is_mobile": "boolean",
    "ingest_date": "date",
    "warnings": "varchar",
    "rescued_data": "varchar",
}
"""Silver's columns, in DuckDB's types."""

FIRST_DAY = date(2026, 1, 30)
PAGES = (
    "/home", "/home", "/home", "/product_a", "/product_a", "/product_b", "/cart", "/payment",
    "/confirmation", "/help", "/products", None,
)  # fmt: skip
CAMPAIGNS = ("spring", "summer", " autumn ", "winter", "", "  ")
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
HALF_AN_HOUR = timedelta(minutes=30)
GAPS = (
    timedelta(0), SECOND / 2, HALF_AN_HOUR - SECOND, HALF_AN_HOUR - TICK, HALF_AN_HOUR,
    HALF_AN_HOUR + TICK, timedelta(minutes=31), timedelta(hours=26),
)  # fmt: skip
LATENESS = [0] * 90 + [1] * 5 + [2, 3, 6, -1]
"""Days from the day it happened to the day it arrived; a clock can be wrong by one."""


def deliveries(count: int, *, days: int = 10, seed: int = 1) -> list[Row]:
    """`count` events, out of order, and one of fifty delivered a second time.

    A second delivery is of the same day or later, and may have been corrected: another page,
    campaign or time. There are gaps on both sides of half an hour, sessions over midnight, events
    with the same time, events without a cookie, and cookies that came back after days.
    """
    rng = random.Random(seed)  # noqa: S311
    cookies = [f"cookie-{number}" for number in range(max(3, count // 20))]
    begin = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day)
    rows: list[Row] = []
    while len(rows) < count:
        cookie = None if rng.random() < 0.01 else rng.choice(cookies)
        at = begin + timedelta(seconds=rng.randrange((days - 1) * 86400), microseconds=rng.choice(
            (0, 0, 1, 999999)))  # fmt: skip
        if rng.random() < 0.2:  # about to be midnight
            at = at.replace(hour=23, minute=rng.randrange(45, 60))
        campaign = rng.choice(CAMPAIGNS) if rng.random() < 0.4 else None
        for _ in range(rng.randint(1, 8)):
            rows.append(_event(rng, len(rows), cookie, at, campaign, days))
            if rng.random() < 0.3:
                campaign = rng.choice((None, *CAMPAIGNS))
            at += rng.choice(GAPS) if rng.random() < 0.2 else timedelta(seconds=rng.randrange(600))
    rows = rows[:count]
    for row in rng.sample(rows, count // 50):
        again = dict(row, landing_date=row["landing_date"] + timedelta(days=rng.randint(0, 3)))
        if again["landing_date"] > row["landing_date"]:
            match rng.randrange(4):
                case 0:
                    again["page_url_path"] = "/confirmation"
                case 1:
                    again["utm_campaign"] = "corrected"
                case 2:
                    again["event_timestamp"] += timedelta(minutes=40)
        rows.append(again)
    rng.shuffle(rows)
    return rows


def _event(
    rng: random.Random, number: int, cookie: str | None, at: datetime, campaign: str | None,
    days: int,
) -> Row:  # fmt: skip
    landing = at.date() + timedelta(days=rng.choice(LATENESS))
    landing = min(max(landing, FIRST_DAY), FIRST_DAY + timedelta(days=days - 1))
    known: Row = {
        "event_id": f"{rng.getrandbits(64):016x}-{number}",
        "event_timestamp": at,
        "landing_date": landing,
        "event_type": "pageview",
        "page_url_path": rng.choice(PAGES),
        "cookie_id": cookie,
        "referer_medium": rng.choice(("search", "internal", None)),
        "utm_campaign": campaign,
        "utm_source": rng.choice(("google", "mail", None)),
        "utm_medium": rng.choice(("cpc", "", None)),
        "geo_country": rng.choice(("PT", "São Tomé", None)),
        "device_type": rng.choice(("Mobile", "Desktop")),
        "device_is_mobile": rng.random() < 0.5,
    }
    return {**dict.fromkeys(COLUMNS), **known}


def silver(rows: Iterable[Row], nights: Collection[date]) -> list[Row]:
    """The lake's table when these nights have run: each event once, by its newest delivery."""
    kept: dict[str, Row] = {}
    for row in rows:
        before = kept.get(row["event_id"])
        if row["landing_date"] in nights and (
            before is None or before["landing_date"] < row["landing_date"]
        ):
            kept[row["event_id"]] = row
    return list(kept.values())


def write_parquet(rows: Iterable[Row], path: Path) -> None:
    lines = path.with_suffix(".jsonl")
    lines.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    duckdb.sql(
        f"copy (select * from read_json('{lines}', format='newline_delimited', columns={COLUMNS}))"
        f" to '{path}' (format parquet)"
    )
    lines.unlink()
