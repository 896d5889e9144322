"""What sessions, conversions and the funnel are, in plain Python: the models' answer, found anew.

No SQL, and nothing of the models. Each function gives rows as dictionaries, one for each row of the
model of the same name, with the model's columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

Row = dict[str, Any]
SILENCE = timedelta(minutes=30)
STEPS = {
    "/home": "home",
    "/cart": "cart",
    "/payment": "payment",
    "/confirmation": "confirmation",
}


def step(path: str | None) -> str | None:
    if path is not None and path.startswith("/product_"):
        return "product"
    return STEPS.get(path or "")


def said(text: str | None) -> str | None:
    """The text without blanks around it; None when nothing is left."""
    return (text or "").strip(" ") or None


def visits(events: Iterable[Row]) -> list[list[Row]]:
    """Silver's rows cut into sessions, each in the order in which it happened."""
    cookies: dict[str, list[Row]] = {}
    for event in events:
        if event["cookie_id"] is not None:
            cookies.setdefault(event["cookie_id"], []).append(event)
    found = []
    for history in cookies.values():
        last = None
        for event in sorted(history, key=lambda e: (e["event_timestamp"], e["event_id"])):
            if last is None or event["event_timestamp"] - last >= SILENCE:
                found.append([event])
            else:
                found[-1].append(event)
            last = event["event_timestamp"]
    return found


def sessions(events: Iterable[Row]) -> list[Row]:
    return [_session(visit) for visit in visits(events)]


def _session(visit: list[Row]) -> Row:
    first = visit[0]
    started, ended = first["event_timestamp"], visit[-1]["event_timestamp"]
    came_by = next((event for event in visit if said(event["utm_campaign"])), None)
    bought = [e["event_timestamp"] for e in visit if step(e["page_url_path"]) == "confirmation"]
    row = {
        "session_id": hashlib.md5(
            f"{first['cookie_id']}|{first['event_id']}".encode(), usedforsecurity=False
        ).hexdigest(),
        "cookie_id": first["cookie_id"],
        "started_at": started,
        "ended_at": ended,
        "session_date": started.date(),
        "duration_seconds": (
            ended.replace(microsecond=0) - started.replace(microsecond=0)
        ) // timedelta(seconds=1),
        "events": len(visit),
    }  # fmt: skip
    for name in ("home", "product", "cart", "payment", "confirmation"):
        row[f"{name}_views"] = len([e for e in visit if step(e["page_url_path"]) == name])
    return {
        **row,
        "purchased_at": bought[0] if bought else None,
        "landing_page": first["page_url_path"],
        "referer_medium": first["referer_medium"],
        "country": first["geo_country"],
        "device_type": first["device_type"],
        "campaign": said(came_by["utm_campaign"]) if came_by else None,
        "campaign_source": said(came_by["utm_source"]) if came_by else None,
        "campaign_medium": said(came_by["utm_medium"]) if came_by else None,
        "campaign_at": came_by["event_timestamp"] if came_by else None,
        "landing_days": sum((event["landing_date"] - date(2000, 1, 1)).days for event in visit),
    }


def conversions(of: Iterable[Row]) -> list[Row]:
    """From the rows that `sessions` gives."""
    cookies: dict[str, list[Row]] = {}
    for session in sorted(of, key=lambda s: s["started_at"]):
        cookies.setdefault(session["cookie_id"], []).append(session)
    found = []
    for history in cookies.values():
        for session in history:
            at = session["purchased_at"]
            if at is None:
                continue
            touches = [s for s in history if s["campaign_at"] and s["campaign_at"] <= at]
            first, last = history[0], touches[-1] if touches else None
            found.append(
                {
                    "session_id": session["session_id"],
                    "cookie_id": session["cookie_id"],
                    "started_at": session["started_at"],
                    "converted_at": at,
                    "conversion_date": at.date(),
                    "purchases": session["confirmation_views"],
                    "first_session_id": first["session_id"],
                    "first_touch_campaign": first["campaign"] if first in touches else None,
                    "last_touch_session_id": last["session_id"] if last else None,
                    "last_touch_campaign": last["campaign"] if last else None,
                }
            )
    return found


def funnel_by_day(of: Iterable[Row]) -> list[Row]:
    """From the rows that `sessions` gives."""
    days: dict[date, Row] = {}
    steps = ("home", "product", "cart", "payment", "confirmation")
    for session in of:
        day = session["session_date"]
        row = days.setdefault(
            day, {"session_date": day, "sessions": 0, **{f"{name}_sessions": 0 for name in steps}}
        )
        row["sessions"] += 1
        for name in steps:
            row[f"{name}_sessions"] += session[f"{name}_views"] > 0
    return list(days.values())
