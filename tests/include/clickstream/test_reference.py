"""The computation that the models are held against, held against what can be seen with the eye."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.include.clickstream import reference
from tests.include.clickstream.shop_events import COLUMNS, FIRST_DAY, deliveries, silver

NOON = datetime(2026, 2, 1, 12)


def event(minutes: float, page: str = "/home", **more: Any) -> dict[str, Any]:
    at = NOON + timedelta(minutes=minutes)
    known = {"event_id": f"e{minutes}", "event_timestamp": at, "cookie_id": "a",
             "page_url_path": page, "landing_date": date(2000, 1, 2)}  # fmt: skip
    return {**dict.fromkeys(COLUMNS), **known, **more}


def test_half_an_hour_of_silence_ends_a_session() -> None:
    almost = 30 - 1 / 60
    found = reference.sessions(
        [event(almost), event(0), event(almost + 30), event(0, cookie_id=None)]
    )
    assert [(s["started_at"], s["events"], s["duration_seconds"]) for s in found] == [
        (NOON, 2, 1799), (NOON + timedelta(minutes=almost + 30), 1, 0),
    ]  # fmt: skip


def test_midnight_does_not_and_a_late_event_joins() -> None:
    before, after = event(11 * 60 + 50), event(12 * 60 + 10, "/confirmation")
    (one,) = reference.sessions([after, before])
    assert (one["session_date"], one["events"], one["landing_days"]) == (date(2026, 2, 1), 2, 2)
    apart = [event(0), event(40)]
    assert len(reference.sessions(apart)) == 2
    assert len(reference.sessions([*apart, event(20)])) == 1


def test_touches() -> None:
    events = [
        event(0, utm_campaign=" spring "),
        event(100, utm_campaign="summer"),
        event(200, "/confirmation"),
        event(201, utm_campaign="winter"),
    ]
    (one,) = reference.conversions(reference.sessions(events))
    assert (one["first_touch_campaign"], one["last_touch_campaign"]) == ("spring", "summer")
    (two,) = reference.conversions(reference.sessions(events[2:]))
    assert (two["first_touch_campaign"], two["last_touch_campaign"]) == (None, None)


def test_funnel() -> None:
    events = [event(0), event(1, "/product_b"), event(2, "/cart"), event(100), event(101)]
    (day,) = reference.funnel_by_day(reference.sessions(events))
    assert list(day.values()) == [date(2026, 2, 1), 2, 2, 1, 1, 0, 0]


def test_the_events_have_what_is_hard() -> None:
    rows = deliveries(5000)
    assert rows == deliveries(5000)
    assert len(rows) == 5100
    everything = silver(rows, {FIRST_DAY + timedelta(days=n) for n in range(10)})
    assert len(everything) == 5000
    visits = reference.visits(everything)
    times = [[event["event_timestamp"] for event in visit] for visit in visits]
    assert sum(visit[0].date() < visit[-1].date() for visit in times) > 50
    gaps = {b - a for visit in times for a, b in pairwise(visit)}
    assert {timedelta(0), reference.SILENCE - timedelta(microseconds=1)} <= gaps
    late = [e for e in everything if (e["landing_date"] - e["event_timestamp"].date()).days > 1]
    assert len(late) > 50
    assert len({event["landing_date"] for event in everything}) == 10
    found = reference.conversions(reference.sessions(everything))
    assert sum(c["first_touch_campaign"] != c["last_touch_campaign"] for c in found) > 50
