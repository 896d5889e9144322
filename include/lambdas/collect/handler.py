"""Lambda `collect`: a batch of messages becomes one object of JSON lines in bronze.

The second door of the clickstream: what sends its events to the queue, one JSON object a message,
finds them where the delivery stream puts those of the first door:

    s3://<bronze>/<source>/<dataset>/ingest_date=<YYYY-MM-DD>/hour=<HH>/collect-<hash>.gz

by the moment of the batch in UTC, so that a day whose end is long enough ago gets no object more.
The object is named by its messages: the same batch, delivered again after its answer was lost, is
the same object within its hour. Delivery is at least once all the same.

A message that is no JSON object, or has no event_id, is reported back alone
(ReportBatchItemFailures) and comes to the dead-letter queue after a few times; the others of its
batch are kept. When the object cannot be written, all of them come again.

Environment: BRONZE_BUCKET, TARGET (<source>/<dataset>).
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

import boto3

logger = logging.getLogger("collect")
logger.setLevel(logging.INFO)

# In JSON a line break stands between values alone: within a string it is written as \n.
_ONE_LINE = str.maketrans("\r\n", "  ")


class RejectedMessage(Exception):
    """One message is no event; the text says why."""


@functools.cache
def s3_client() -> Any:
    return boto3.client("s3")


def now() -> datetime:
    return datetime.now(UTC)


def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
    """Entry point; which messages of the batch have failed, as SQS wants to know.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    lines: list[str] = []
    kept: list[str] = []
    failed: list[str] = []
    for record in event["Records"]:
        try:
            lines.append(as_line(record["body"]))
            kept.append(record["messageId"])
        except RejectedMessage as error:
            logger.warning("message %s is refused: %s", record["messageId"], error)
            failed.append(record["messageId"])
    if lines:
        bucket, target = os.environ["BRONZE_BUCKET"], os.environ["TARGET"]
        moment = now()
        name = hashlib.sha256("\n".join(sorted(kept)).encode()).hexdigest()[:32]
        key = f"{target}/ingest_date={moment:%Y-%m-%d}/hour={moment:%H}/collect-{name}.gz"
        body = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
        s3_client().put_object(
            Bucket=bucket, Key=key, Body=body, ContentType="application/x-ndjson"
        )
        logger.info("%d messages are in s3://%s/%s", len(lines), bucket, key)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def as_line(body: str) -> str:
    """The message as it is, in one line.

    :raises RejectedMessage: no JSON object, or one without an event_id; nothing of it is shown,
        since there may be personal data in it.
    """
    try:
        event = json.loads(body, parse_constant=_no_constant)
    except ValueError as error:
        message = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise RejectedMessage(f"no JSON: {message}") from error
    except RecursionError as error:
        raise RejectedMessage("no JSON object: nested too deep") from error
    if not isinstance(event, dict):
        raise RejectedMessage(f"expected a JSON object, found a {type(event).__name__}")
    event_id = event.get("event_id")
    if not isinstance(event_id, str) or not event_id.strip():
        raise RejectedMessage("expected an event_id, found none")
    return body.translate(_ONE_LINE)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no value of JSON")
