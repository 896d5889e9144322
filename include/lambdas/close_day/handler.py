"""Lambda `close_day`: says which objects are one day's delivery of a stream.

A stream's objects arrive in bronze all day long, under
`<source>/<dataset>/ingest_date=<YYYY-MM-DD>/hour=<HH>/`, by the hour of their arrival in UTC.
Closing a day writes its manifest, in the shape of a delivery of files (see the function `ingest`):

    s3://<bronze>/_manifests/<source>/<YYYY-MM-DD>.json
    {"format": 1, "source", "delivery_date", "status": "complete",
     "files":   [{"dataset", "file_name", "key", "bytes", "rows": null, "sha256": null, "etag",
                  "new_columns": [], "missing_columns": []}],
     "missing": [], "ignored": ["<bronze key>"], "errors": []}

`rows` is null: nobody has read the objects yet, and whoever reads them counts them; a function has
neither the memory nor the time for a day's events. `file_name` is the key within the day.
`ignored` are objects of the day that are no events: what has another name, and what the delivery
stream could not deliver. The same objects always give the same manifest, and closing a day again
takes in what has arrived since.

Called with `{"delivery_date": "2026-01-05", "source": "clickstream", "open_hours": "refuse"}`;
raises DeliveryError, naming what and until when, while objects can still arrive in the day's hours:
until SETTLE_SECONDS after its end, as long as an accepted record may wait in a buffer.
`open_hours` "take" takes what is there all the same. A day without an object is refused too, when
the contract says that there must be rows.

Environment: BRONZE_BUCKET, CONTRACTS_URI (s3://…/contracts.json), SETTLE_SECONDS.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

logger = logging.getLogger("close_day")
logger.setLevel(logging.INFO)

OPEN_HOURS = ("refuse", "take")
_OBJECT = re.compile(r"hour=([01]\d|2[0-3])/[^/]+\.gz")
SHOWN = 5


class DeliveryError(Exception):
    """The day cannot be closed; the message says why, and what to do."""


@functools.cache
def s3_client() -> Any:
    return boto3.client("s3")


def now() -> datetime:
    return datetime.now(UTC)


def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
    """Entry point; gives the manifest's address and what is in it, in short."""
    contracts = _contracts(_setting("CONTRACTS_URI"))
    bronze = _setting("BRONZE_BUCKET")
    day = _day(event.get("delivery_date"))
    source = event.get("source")
    if source not in contracts["streams"]:
        raise DeliveryError(
            f"source: expected one of {', '.join(contracts['streams'])}, found {source!r}"
        )
    open_hours = event.get("open_hours", "refuse")
    if open_hours not in OPEN_HOURS:
        raise DeliveryError(f"open_hours: expected {' or '.join(OPEN_HOURS)}, found {open_hours!r}")
    settle = timedelta(seconds=float(_setting("SETTLE_SECONDS")))
    closes = datetime.combine(day + timedelta(days=1), time(), UTC) + settle
    if now() < closes:
        _judge_open_hours(source, day, closes, settle, open_hours)
    datasets = [contracts["datasets"][name] for name in contracts["streams"][source]]
    manifest = _manifest(bronze, source, day, datasets)
    key = f"_manifests/{source}/{day}.json"
    s3_client().put_object(
        Bucket=bronze,
        Key=key,
        Body=(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode(),
        ContentType="application/json",
    )
    size = sum(file["bytes"] for file in manifest["files"])
    logger.info("%s %s: %d objects, %d bytes", source, day, len(manifest["files"]), size)
    return {
        "manifest": f"s3://{bronze}/{key}",
        "source": source,
        "delivery_date": str(day),
        "objects": len(manifest["files"]),
        "bytes": size,
        "ignored": len(manifest["ignored"]),
    }


def _judge_open_hours(
    source: str, day: date, closes: datetime, settle: timedelta, open_hours: str
) -> None:
    """:raises DeliveryError: hours of the day are open, and are to be waited for."""
    moment = now()
    begins = datetime.combine(day, time(), UTC)
    if moment < begins:
        hours = "all its hours are to come"
    elif moment.date() == day:
        hours = f"hour={(moment - settle).hour if moment - settle > begins else 0:02}"
        hours += " to hour=23 can still receive objects"
    else:
        hours = "hour=23 can still receive objects"
    said = f"{source} {day} is not over: {hours}, until {closes:%Y-%m-%d %H:%M:%S} UTC"
    if open_hours == "refuse":
        raise DeliveryError(f'{said}; close it then, or take what is there: open_hours "take"')
    logger.warning("%s; what is there is taken", said)


def _manifest(
    bronze: str, source: str, day: date, datasets: list[dict[str, Any]]
) -> dict[str, Any]:
    files: list[dict[str, Any]] = []
    ignored = [
        item["Key"]
        for item in _objects(bronze, f"_errors/{source}/")
        if f"/ingest_date={day}/" in item["Key"]
    ]
    for dataset in datasets:
        prefix = f"{source}/{dataset['name']}/ingest_date={day}/"
        found = 0
        for item in _objects(bronze, prefix):
            name = item["Key"].removeprefix(prefix)
            if not _OBJECT.fullmatch(name):
                ignored.append(item["Key"])
                continue
            found += 1
            files.append(
                {
                    "dataset": dataset["name"],
                    "file_name": name,
                    "key": item["Key"],
                    "bytes": item["Size"],
                    "rows": None,
                    "sha256": None,
                    "etag": item["ETag"].strip('"'),
                    "new_columns": [],
                    "missing_columns": [],
                }
            )
        if not found and dataset["min_rows"] > 0:
            raise DeliveryError(
                f"s3://{bronze}/{prefix} has no object: expected at least {dataset['min_rows']} "
                f"rows of {dataset['name']}, at hour=<HH>/<name>.gz"
            )
    if ignored:
        logger.warning(
            "%d objects of the day are ignored, such as %s",
            len(ignored),
            ", ".join(ignored[:SHOWN]),
        )
    return {
        "format": 1,
        "source": source,
        "delivery_date": str(day),
        "status": "complete",
        "files": files,
        "missing": [],
        "ignored": ignored,
        "errors": [],
    }


def _objects(bucket: str, prefix: str) -> list[dict[str, Any]]:
    """What is under a prefix, by key; markers of folders left out."""
    pages = s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [
        item for page in pages for item in page.get("Contents", []) if not item["Key"].endswith("/")
    ]


def _day(text: Any) -> date:
    try:
        if isinstance(text, str) and date.fromisoformat(text).isoformat() == text:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise DeliveryError(f"delivery_date: expected YYYY-MM-DD, found {text!r}")


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"environment variable {name} is not set on the function")
    return value


def _contracts(uri: str) -> dict[str, Any]:
    parts = urlsplit(uri)
    try:
        answer = s3_client().get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
    except ClientError as error:
        raise RuntimeError(f"the compiled contracts cannot be read from {uri}: {error}") from error
    return json.loads(answer["Body"].read())
