"""Conditional requests and ranges.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

import re

from local_aws.s3.base import http_time, parse_http_time, quote_etag
from local_aws.s3.errors import S3Error, invalid_argument, no_such_key, precondition_failed
from local_aws.s3.objects import Condition, Stored
from local_aws.s3.protocol import Call, Reply

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def matches(header: str, etag: str) -> bool:
    """Whether one of the header's entity tags, quoted or not, or ``*`` is the object's."""
    return any(each.strip().strip('"') in ("*", etag) for each in header.split(","))


def check_read(call: Call, stored: Stored) -> Reply | None:
    """The 304 answer to a conditional GET or HEAD; None when the object is to be sent.

    Raises:
        S3Error: PreconditionFailed.
    """
    seconds = stored.mtime_ns // 1_000_000_000
    wanted, unwanted = call.header("if-match"), call.header("if-none-match")
    if wanted is not None:
        if not matches(wanted, stored.etag):
            raise precondition_failed("If-Match")
    else:
        limit = parse_http_time(call.header("if-unmodified-since"))
        if limit is not None and seconds > limit:
            raise precondition_failed("If-Unmodified-Since")
    if unwanted is not None:
        unchanged = matches(unwanted, stored.etag)
    else:
        limit = parse_http_time(call.header("if-modified-since"))
        unchanged = limit is not None and seconds <= limit
    if not unchanged:
        return None
    headers = {"ETag": quote_etag(stored.etag), "Last-Modified": http_time(stored.mtime_ns)}
    return Reply(304, headers)


def check_source(call: Call, stored: Stored) -> None:
    """Check the conditions on a copy's source.

    Raises:
        S3Error: PreconditionFailed.
    """
    seconds = stored.mtime_ns // 1_000_000_000
    prefix = "x-amz-copy-source-if-"
    wanted, unwanted = call.header(prefix + "match"), call.header(prefix + "none-match")
    since = parse_http_time(call.header(prefix + "modified-since"))
    until = parse_http_time(call.header(prefix + "unmodified-since"))
    if wanted is not None:
        if not matches(wanted, stored.etag):
            raise precondition_failed(prefix + "match")
    elif until is not None and seconds > until:
        raise precondition_failed(prefix + "unmodified-since")
    if unwanted is not None:
        if matches(unwanted, stored.etag):
            raise precondition_failed(prefix + "none-match")
    elif since is not None and seconds <= since:
        raise precondition_failed(prefix + "modified-since")


def write_condition(call: Call) -> Condition | None:
    """The condition of a write (If-Match, If-None-Match: *) on what is there.

    Raises:
        S3Error: NotImplemented, for an If-None-Match other than ``*``, as on AWS.
    """
    wanted, unwanted = call.header("if-match"), call.header("if-none-match")
    if wanted is None and unwanted is None:
        return None
    if unwanted is not None and unwanted.strip() != "*":
        raise S3Error(
            "NotImplemented",
            "A header you provided implies functionality that is not implemented",
            Header="If-None-Match",
        )

    def check(stored: Stored | None) -> None:
        if unwanted is not None and stored is not None:
            raise precondition_failed("If-None-Match")
        if wanted is not None:
            if stored is None:
                raise no_such_key(call.key)
            if not matches(wanted, stored.etag):
                raise precondition_failed("If-Match")

    return check


def delete_condition(call: Call) -> Condition | None:
    """The condition of a delete (If-Match)."""
    return write_condition(call) if call.header("if-match") is not None else None


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and length of a Range header; None when there is none or S3 ignores it.

    Raises:
        S3Error: InvalidRange, nothing of the object is in it.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        length = min(int(last), size)
        start = size - length
    else:
        start = int(first)
        if last and int(last) < start:
            return None
        length = min(int(last) + 1 if last else size, size) - start
    if length <= 0:
        raise S3Error(
            "InvalidRange",
            "The requested range is not satisfiable",
            RangeRequested=str(header),
            ActualObjectSize=str(size),
        )
    return start, length


def parse_source_range(header: str, size: int) -> tuple[int, int]:
    """First byte and length of x-amz-copy-source-range, which must lie within the source.

    Raises:
        S3Error: InvalidArgument, InvalidRange.
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or "" in match.groups() or int(match[2]) < int(match[1]):
        raise invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first"
            " and last are the zero-based offsets of the first and last bytes to copy",
            "x-amz-copy-source-range",
            header,
        )
    first, last = int(match[1]), int(match[2])
    if last >= size:
        raise invalid_argument(
            f"Range specified is not valid for source object of size: {size}",
            "x-amz-copy-source-range",
            header,
        )
    return first, last - first + 1
