"""CloudWatch Logs: groups, streams and events, as handlers, jobs and clients write them.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import itertools
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any

from local_aws.logs.events import DAY, Event, Events
from local_aws.logs.patterns import compile_pattern
from local_aws.service import AwsError, Feature, Request, Response, Service, Unsupported, operation

PAGE_BYTES = 1_048_576
PAGE_EVENTS = 10_000
EVENT_OVERHEAD = 26
BATCH_EVENTS = 10_000
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
)  # fmt: skip
_GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_STREAM = re.compile(r"[^:*]{1,512}")
_FORWARD = re.compile(r"([fb])/(\d{20})(\d{36})/s")
_NO_MASKING = {"unmask": "there are no data protection policies, so nothing is masked"}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


def _missing(thing: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"The specified {thing} does not exist.")


def _event_id(position: tuple[int, int]) -> str:
    return f"{position[0]:020d}{position[1]:036d}"


class Logs(Service):
    """Log events in ``<state>/logs``; :meth:`write` is how the other engines log."""

    service_name = "logs"
    features = (
        Feature("filter patterns", 'terms, "phrases", -exclusions, ?alternatives', "supported"),
        Feature("filter patterns", "JSON, space-delimited, regular expressions", "refused"),
        Feature("log groups", "classes other than STANDARD", "refused"),
        Feature("log groups", "retention", "supported", "Old events go within the hour."),
    )

    def setup(self) -> None:
        self.events = Events(self.aws.config.state / "logs")

    def expire(self) -> None:
        """Delete the events that are older than their group's retention."""
        self.events.expire(self._now())

    def stop(self) -> None:
        self.events.close()

    @staticmethod
    def _now() -> int:
        return time.time_ns() // 1_000_000

    def write(self, group: str, stream: str, lines: Iterable[str]) -> None:
        """Append lines, one event each, at the current time; group and stream appear as needed."""
        now = self._now()
        self.events.append(group, stream, ((now, line.rstrip("\r\n")) for line in lines), now)

    # Groups

    @operation(
        "logGroupName",
        "tags",
        "logGroupClass",
        "deletionProtectionEnabled",
    )
    def CreateLogGroup(self, request: Request) -> Response:
        """Create a log group."""
        name = request["logGroupName"]
        if not _GROUP.fullmatch(name):
            raise _invalid(
                f"1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy"
                r" constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+"
            )
        if request.get("logGroupClass", "STANDARD") != "STANDARD":
            raise Unsupported(f"the log group class {request['logGroupClass']}", "Use STANDARD.")
        if request.get("deletionProtectionEnabled"):
            raise Unsupported("deletion protection of log groups")
        if not self.events.create_group(name, self._now(), request.get("tags")):
            raise AwsError(
                "ResourceAlreadyExistsException", "The specified log group already exists"
            )
        return {}

    @operation("logGroupName")
    def DeleteLogGroup(self, request: Request) -> Response:
        """Delete a log group with its streams and events."""
        if not self.events.delete_group(request["logGroupName"]):
            raise _missing("log group")
        return {}

    @operation(
        "logGroupNamePrefix",
        "logGroupNamePattern",
        "logGroupIdentifiers",
        "logGroupClass",
        "limit",
        "nextToken",
    )
    def DescribeLogGroups(self, request: Request) -> Response:
        """List log groups by name, 50 a page."""
        if "logGroupNamePrefix" in request and "logGroupNamePattern" in request:
            raise _invalid(
                "logGroupNamePrefix and logGroupNamePattern are mutually exclusive parameters."
            )
        prefix = request.get("logGroupNamePrefix", "")
        pattern = request.get("logGroupNamePattern", "").lower()
        wanted = {self._named(name) for name in request.get("logGroupIdentifiers", [])}
        groups = [
            {
                "logGroupName": group["name"],
                "creationTime": group["created"],
                "metricFilterCount": 0,
                "arn": f"{self._arn(group['name'])}:*",
                "logGroupArn": self._arn(group["name"]),
                "storedBytes": group["bytes"],
                "logGroupClass": "STANDARD",
                **({"retentionInDays": group["retention"]} if group["retention"] else {}),
            }
            for group in self.events.groups()
            if group["name"].startswith(prefix)
            and pattern in group["name"].lower()
            and (not wanted or group["name"] in wanted)
            and request.get("logGroupClass", "STANDARD") == "STANDARD"
        ]
        return self._page("logGroups", "logGroupName", groups, request)

    @operation("logGroupName", "retentionInDays")
    def PutRetentionPolicy(self, request: Request) -> Response:
        """Let the group's events expire after a number of days."""
        self._group(request)
        if request["retentionInDays"] not in RETENTION_DAYS:
            raise _invalid(f"retentionInDays must be one of {list(RETENTION_DAYS)}.")
        self.events.set_retention(request["logGroupName"], request["retentionInDays"])
        return {}

    @operation("logGroupName")
    def DeleteRetentionPolicy(self, request: Request) -> Response:
        """Keep the group's events for ever."""
        self._group(request)
        self.events.set_retention(request["logGroupName"], None)
        return {}

    @operation("resourceArn", "tags")
    def TagResource(self, request: Request) -> Response:
        """Add tags to a log group."""
        group = self._group({"logGroupIdentifier": request["resourceArn"]})
        self.events.set_tags(group["name"], {**group["tags"], **request["tags"]})
        return {}

    @operation("resourceArn", "tagKeys")
    def UntagResource(self, request: Request) -> Response:
        """Take tags from a log group."""
        group = self._group({"logGroupIdentifier": request["resourceArn"]})
        gone = set(request["tagKeys"])
        kept = {key: value for key, value in group["tags"].items() if key not in gone}
        self.events.set_tags(group["name"], kept)
        return {}

    @operation("resourceArn")
    def ListTagsForResource(self, request: Request) -> Response:
        """The tags of a log group."""
        return {"tags": self._group({"logGroupIdentifier": request["resourceArn"]})["tags"]}

    # Streams

    @operation("logGroupName", "logStreamName")
    def CreateLogStream(self, request: Request) -> Response:
        """Create a log stream in a group."""
        self._group(request)
        name = request["logStreamName"]
        if not _STREAM.fullmatch(name):
            raise _invalid(
                f"1 validation error detected: Value '{name}' at 'logStreamName' failed to satisfy"
                " constraint: Member must satisfy regular expression pattern: [^:*]*"
            )
        if not self.events.create_stream(request["logGroupName"], name, self._now()):
            raise AwsError(
                "ResourceAlreadyExistsException", "The specified log stream already exists"
            )
        return {}

    @operation("logGroupName", "logStreamName")
    def DeleteLogStream(self, request: Request) -> Response:
        """Delete a log stream with its events."""
        self._group(request)
        if not self.events.delete_stream(request["logGroupName"], request["logStreamName"]):
            raise _missing("log stream")
        return {}

    @operation(
        "logGroupName",
        "logGroupIdentifier",
        "logStreamNamePrefix",
        "orderBy",
        "descending",
        "limit",
        "nextToken",
    )
    def DescribeLogStreams(self, request: Request) -> Response:
        """List a group's streams by name or by their last event, 50 a page."""
        group = self._group(request)["name"]
        by_time = request.get("orderBy", "LogStreamName") == "LastEventTime"
        prefix = request.get("logStreamNamePrefix", "")
        if by_time and prefix:
            raise _invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
        found = [row for row in self.events.streams(group) if row["name"].startswith(prefix)]
        found.sort(
            key=lambda row: (row["last"] or 0, row["name"]) if by_time else (0, row["name"]),
            reverse=bool(request.get("descending")),
        )
        streams = []
        for row in found:
            stream = {
                "logStreamName": row["name"],
                "creationTime": row["created"],
                "arn": f"{self._arn(group)}:log-stream:{row['name']}",
                "storedBytes": 0,
            }
            if row["last"] is not None:
                stream |= {
                    "firstEventTimestamp": row["first"],
                    "lastEventTimestamp": row["last"],
                    "lastIngestionTime": row["ingested"],
                    "uploadSequenceToken": f"{row['id']:056d}",
                }
            streams.append(stream)
        return self._page("logStreams", "logStreamName", streams, request)

    # Events

    @operation(
        "logGroupName",
        "logStreamName",
        "logEvents",
        ignores={"sequenceToken": "AWS accepts any since 2023"},
    )
    def PutLogEvents(self, request: Request) -> Response:
        """Append a batch of events, in time order, to a stream."""
        group = self._group(request)
        stream = self._stream(request["logGroupName"], request["logStreamName"])
        events = [(event["timestamp"], event["message"]) for event in request["logEvents"]]
        times = [at for at, _ in events]
        if not 1 <= len(events) <= BATCH_EVENTS:
            raise _invalid(f"logEvents must hold 1 to {BATCH_EVENTS} events, not {len(events)}.")
        if any(later < earlier for earlier, later in itertools.pairwise(times)):
            raise _invalid(
                "Log events in a single PutLogEvents request must be in chronological order."
            )
        if times[-1] - times[0] > DAY:
            raise _invalid(
                "The batch of log events in a single PutLogEvents request cannot span more than"
                " 24 hours."
            )
        if not all(message for _, message in events):
            raise _invalid("Member 'message' must have length greater than or equal to 1")
        size = sum(len(message.encode()) + EVENT_OVERHEAD for _, message in events)
        if size > PAGE_BYTES:
            raise _invalid(f"Upload too large: {size} bytes exceeds limit of {PAGE_BYTES}")
        now = self._now()
        kept = group["retention"] or 10**6
        rejected = {}
        old = sum(at < now - 14 * DAY for at in times)
        expired = sum(at < now - kept * DAY for at in times)
        new = sum(at > now + 2 * DAY // 24 for at in times)
        if old:
            rejected["tooOldLogEventEndIndex"] = old
        if expired:
            rejected["expiredLogEventEndIndex"] = expired
        if new:
            rejected["tooNewLogEventStartIndex"] = len(times) - new
        accepted = events[max(old, expired) : len(events) - new]
        self.events.append(request["logGroupName"], stream["name"], accepted, now)
        answer: Response = {"nextSequenceToken": f"{uuid.uuid4().int:056d}"[-56:]}
        if rejected:
            answer["rejectedLogEventsInfo"] = rejected
        return answer

    @operation(
        "logGroupName",
        "logGroupIdentifier",
        "logStreamName",
        "startTime",
        "endTime",
        "nextToken",
        "limit",
        "startFromHead",
        ignores=_NO_MASKING,
    )
    def GetLogEvents(self, request: Request) -> Response:
        """Read a stream from its head or its tail; the end answers the token it was given."""
        group = self._group(request)
        stream = self._stream(group["name"], request["logStreamName"])
        token = request.get("nextToken")
        position = None
        backwards = not request.get("startFromHead")
        if token:
            parsed = _FORWARD.fullmatch(token)
            if not parsed:
                raise _invalid("The specified nextToken is invalid.")
            backwards = parsed[1] == "b"
            position = (int(parsed[2]), int(parsed[3]))
        events = self.events.read(
            [stream["id"]],
            since=self._since(group, request),
            before=request.get("endTime"),
            after=None if backwards else position,
            until=position if backwards else None,
            backwards=backwards,
            limit=self._limit(request, PAGE_EVENTS),
        )
        events = _fit(events, backwards)
        if events:
            first, last = events[0].position, events[-1].position
        else:
            first = last = position or (self._since(group, request), 0)
        return {
            "events": [
                {"timestamp": event.at, "message": event.message, "ingestionTime": event.ingested}
                for event in events
            ],
            "nextForwardToken": f"f/{_event_id(last)}/s",
            "nextBackwardToken": f"b/{_event_id(first)}/s",
        }

    @operation(
        "logGroupName",
        "logGroupIdentifier",
        "logStreamNames",
        "logStreamNamePrefix",
        "startTime",
        "endTime",
        "filterPattern",
        "nextToken",
        "limit",
        ignores={"interleaved": "always true on AWS since 2019", **_NO_MASKING},
        differs="A page that has events always has a nextToken; the page after the last is empty.",
    )
    def FilterLogEvents(self, request: Request) -> Response:
        """Search a group's streams, by time, with a filter pattern."""
        group = self._group(request)
        names = request.get("logStreamNames")
        prefix = request.get("logStreamNamePrefix")
        if names and prefix:
            raise _invalid("logStreamNames and logStreamNamePrefix cannot both be given.")
        if names:
            streams = [self._stream(group["name"], name)["id"] for name in names]
        else:
            streams = [
                row["id"]
                for row in self.events.streams(group["name"])
                if row["name"].startswith(prefix or "")
            ]
        matches = compile_pattern(request.get("filterPattern") or "")
        limit = self._limit(request, PAGE_EVENTS)
        token = request.get("nextToken")
        if token and not re.fullmatch(r"\d{56}", token):
            raise _invalid("The specified nextToken is invalid.")
        after = (int(token[:20]), int(token[20:])) if token else None
        end = request.get("endTime")
        found: list[Event] = []
        while len(found) < limit:
            page = self.events.read(
                streams,
                since=self._since(group, request),
                before=None if end is None else end + 1,
                after=after,
                limit=PAGE_EVENTS,
            )
            found.extend(event for event in page if matches(event.message))
            if len(page) < PAGE_EVENTS:
                break
            after = page[-1].position
        found = _fit(found[:limit], backwards=False)
        answer: Response = {
            "events": [
                {
                    "logStreamName": event.stream,
                    "timestamp": event.at,
                    "message": event.message,
                    "ingestionTime": event.ingested,
                    "eventId": _event_id(event.position),
                }
                for event in found
            ],
            "searchedLogStreams": [],
        }
        if found:
            answer["nextToken"] = _event_id(found[-1].position)
        return answer

    # Shared

    def _arn(self, group: str) -> str:
        return self.aws.arn("logs", f"log-group:{group}")

    @staticmethod
    def _named(identifier: str) -> str:
        if identifier.startswith("arn:"):
            return identifier.split(":log-group:", 1)[-1].removesuffix(":*")
        return identifier

    def _group(self, request: Request) -> dict[str, Any]:
        name = request.get("logGroupName") or request.get("logGroupIdentifier")
        if not name:
            raise _invalid("Either logGroupName or logGroupIdentifier must be given.")
        group = self.events.group(self._named(name))
        if group is None:
            raise _missing("log group")
        return group

    def _stream(self, group: str, name: str) -> dict[str, Any]:
        for row in self.events.streams(group):
            if row["name"] == name:
                return row
        raise _missing("log stream")

    def _since(self, group: dict[str, Any], request: Request) -> int:
        oldest = self._now() - group["retention"] * DAY if group["retention"] else 0
        return max(oldest, request.get("startTime") or 0)

    @staticmethod
    def _limit(request: Request, most: int) -> int:
        limit = request.get("limit") or most
        if not 1 <= limit <= most:
            raise _invalid(f"limit must be between 1 and {most}, not {limit}.")
        return limit

    def _page(self, member: str, key: str, items: list[Any], request: Request) -> Response:
        limit = self._limit(request, 50)
        start = 0
        if token := request.get("nextToken"):
            names = [item[key] for item in items]
            if token not in names:
                raise _invalid("The specified nextToken is invalid.")
            start = names.index(token)
        answer: Response = {member: items[start : start + limit]}
        if start + limit < len(items):
            answer["nextToken"] = items[start + limit][key]
        return answer


def _fit(events: list[Event], backwards: bool) -> list[Event]:
    """As many events as go into one answer, from the side that is read."""
    size = 0
    kept: list[Event] = []
    for event in reversed(events) if backwards else events:
        size += len(event.message.encode(errors="replace")) + EVENT_OVERHEAD
        if kept and size > PAGE_BYTES:
            break
        kept.append(event)
    return kept[::-1] if backwards else kept
