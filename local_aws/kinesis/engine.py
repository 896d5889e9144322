"""Kinesis data streams: records on disk before they are acknowledged, kept for their retention.

https://docs.aws.amazon.com/kinesis/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import base64
import json
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

from local_aws import constraints
from local_aws.kinesis.records import Record, Records
from local_aws.kinesis.shards import (
    ITERATOR_SECONDS,
    Iterator,
    Throughput,
    hash_range,
    record_of,
    sequence_number,
    shard_id,
    shard_number,
    shard_of,
)
from local_aws.service import AwsError, Feature, Request, Response, Service, operation

STREAM = "kinesis/stream"
LARGEST_REQUEST = 10 << 20
ON_DEMAND_SHARDS = 4
SHARDS_PER_ACCOUNT = 20_000
_NAMED = ("StreamName", "StreamARN")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidArgumentException", message)


def _moment(value: datetime | float) -> int:
    """Milliseconds since 1970 of a request's time."""
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return round(value * 1000)


class Kinesis(Service):
    """Streams of shards whose number stays as it was made."""

    service_name = "kinesis"
    features = (
        Feature(
            "durability",
            "records and streams",
            "supported",
            "On disk before they are acknowledged; `<state>/kinesis.sqlite`.",
        ),
        Feature(
            "capacity",
            "1,000 records and 1 MiB a second for each shard",
            "supported",
            "Of provisioned streams; more is `ProvisionedThroughputExceededException`.",
        ),
        Feature("capacity", "on-demand streams", "different", "Four shards, never throttled."),
        Feature("capacity", "limits of reading and of calls", "different", "There are none."),
        Feature("streams", "states", "different", "ACTIVE, or gone, when the call returns."),
        Feature("streams", "splitting, merging, changing the number of shards", "refused"),
        Feature("streams", "server-side encryption, resource policies, shard metrics", "refused"),
        Feature("consumers", "enhanced fan-out (SubscribeToShard)", "refused"),
    )

    def setup(self) -> None:
        self.records = Records(self.aws.config.state / "kinesis.sqlite")
        self._throughput = Throughput()
        self._changing = threading.RLock()

    def expire(self) -> None:
        """Delete the records whose retention is over; nobody can read them any more."""
        for _, document in self.aws.store.list(STREAM):
            self.records.forget(document["id"], self._oldest(document))

    def stop(self) -> None:
        self.records.close()

    def call(self, name: str, request: Request) -> Response:
        if name in self._operations:
            constraints.check("kinesis", name, request)
        return super().call(name, request)

    # What Firehose uses

    def stream(self, name: str) -> dict[str, Any]:
        """A stream's document.

        Raises:
            AwsError: ResourceNotFoundException.
        """
        document = self.aws.store.get(STREAM, name)
        if document is None:
            raise AwsError(
                "ResourceNotFoundException",
                f"Stream {name} under account {self.aws.config.account} not found.",
            )
        return document

    def read(
        self, document: dict[str, Any], shard: int, after: int, limit: int
    ) -> tuple[list[Record], int]:
        """A shard's records after one; see :meth:`Records.read`."""
        return self.records.read(document["id"], shard, after, self._oldest(document), limit)

    # Streams

    @operation("StreamName", "ShardCount", "StreamModeDetails", "Tags", "MaxRecordSizeInKiB")
    def CreateStream(self, request: Request) -> Response:
        """Create a stream; it is ACTIVE at once."""
        name = request["StreamName"]
        mode = (request.get("StreamModeDetails") or {}).get("StreamMode", "PROVISIONED")
        count = request.get("ShardCount")
        if mode == "ON_DEMAND":
            if count is not None:
                raise AwsError(
                    "ValidationException",
                    f"Requested ShardCount {count} is not allowed when StreamMode is ON_DEMAND.",
                )
            count = ON_DEMAND_SHARDS
        elif count is None:
            raise AwsError("ValidationException", "ShardCount is required for PROVISIONED streams.")
        if count > SHARDS_PER_ACCOUNT:
            raise AwsError(
                "LimitExceededException",
                "This request would exceed the shard limit for the account"
                f" {self.aws.config.account} in {self.aws.config.region}.",
            )
        with self._changing:
            if self.aws.store.get(STREAM, name):
                raise AwsError(
                    "ResourceInUseException",
                    f"Stream {name} under account {self.aws.config.account} already exists.",
                )
            document = {
                "id": uuid.uuid4().hex[:16],
                "name": name,
                "shards": count,
                "mode": mode,
                "created": self.aws.now(),
                "first": self.records.last(),
                "retention": 24,
                "tags": request.get("Tags") or {},
                "largest": request.get("MaxRecordSizeInKiB") or 1024,
            }
            self.aws.store.put(STREAM, name, document)
        return {}

    @operation(
        *_NAMED, ignores={"EnforceConsumerDeletion": "there are no consumers to be deregistered"}
    )
    def DeleteStream(self, request: Request) -> Response:
        """Delete a stream with its records."""
        with self._changing:
            document = self._named(request)
            self.aws.store.delete(STREAM, document["name"])
        self.records.forget(document["id"])
        return {}

    @operation(*_NAMED, "Limit", "ExclusiveStartShardId")
    def DescribeStream(self, request: Request) -> Response:
        """A stream with a page of its shards."""
        document = self._named(request)
        limit = request.get("Limit") or 100
        start = self._after(document, request.get("ExclusiveStartShardId"))
        end = min(start + limit, document["shards"])
        return {
            "StreamDescription": {
                **self._summary(document),
                "RetentionPeriodHours": document["retention"],
                "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
                "EncryptionType": "NONE",
                "Shards": [self._shard(document, number) for number in range(start, end)],
                "HasMoreShards": end < document["shards"],
            }
        }

    @operation(*_NAMED)
    def DescribeStreamSummary(self, request: Request) -> Response:
        """A stream without its shards."""
        document = self._named(request)
        return {
            "StreamDescriptionSummary": {
                **self._summary(document),
                "RetentionPeriodHours": document["retention"],
                "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
                "EncryptionType": "NONE",
                "OpenShardCount": document["shards"],
                "ConsumerCount": 0,
                "MaxRecordSizeInKiB": document["largest"],
            }
        }

    @operation("Limit", "ExclusiveStartStreamName", "NextToken")
    def ListStreams(self, request: Request) -> Response:
        """Streams by name, 100 a page."""
        limit = request.get("Limit") or 100
        after = request.get("NextToken") or request.get("ExclusiveStartStreamName") or ""
        found = self.aws.store.list(STREAM, after=after, limit=limit + 1)
        page = [document for _, document in found[:limit]]
        answer: Response = {
            "StreamNames": [document["name"] for document in page],
            "StreamSummaries": [self._summary(document) for document in page],
            "HasMoreStreams": len(found) > limit,
        }
        if len(found) > limit:
            answer["NextToken"] = page[-1]["name"]
        return answer

    @operation(
        *_NAMED,
        "NextToken",
        "ExclusiveStartShardId",
        "MaxResults",
        "ShardFilter",
        ignores={"StreamCreationTimestamp": "a name stands for one stream at a time"},
    )
    def ListShards(self, request: Request) -> Response:
        """A stream's shards, all of them open."""
        limit = request.get("MaxResults") or 1000
        if request.get("NextToken"):
            if any(request.get(member) for member in (*_NAMED, "ExclusiveStartShardId")):
                raise _invalid("NextToken and StreamName cannot be provided together.")
            name, start = self._shards_token(request["NextToken"])
            document = self.stream(name)
        else:
            document = self._named(request)
            chosen = request.get("ShardFilter") or {}
            after = request.get("ExclusiveStartShardId")
            if chosen.get("Type") == "AFTER_SHARD_ID":
                after = chosen.get("ShardId")
            start = self._after(document, after)
        end = min(start + limit, document["shards"])
        answer: Response = {
            "Shards": [self._shard(document, number) for number in range(start, end)]
        }
        if end < document["shards"]:
            token = json.dumps([document["name"], end]).encode()
            answer["NextToken"] = base64.b64encode(token).decode()
        return answer

    @operation(*_NAMED, "RetentionPeriodHours")
    def IncreaseStreamRetentionPeriod(self, request: Request) -> Response:
        """Keep records longer, up to 8,760 hours."""
        return self._retain(request, longer=True)

    @operation(*_NAMED, "RetentionPeriodHours")
    def DecreaseStreamRetentionPeriod(self, request: Request) -> Response:
        """Keep records for less time, down to 24 hours."""
        return self._retain(request, longer=False)

    # Tags

    @operation(*_NAMED, "Tags")
    def AddTagsToStream(self, request: Request) -> Response:
        """Add tags to a stream."""
        with self._changing:
            document = self._named(request)
            tags = document["tags"] | request["Tags"]
            self.aws.store.update(STREAM, document["name"], tags=tags)
        return {}

    @operation(*_NAMED, "TagKeys")
    def RemoveTagsFromStream(self, request: Request) -> Response:
        """Take tags from a stream."""
        with self._changing:
            document = self._named(request)
            tags = {k: v for k, v in document["tags"].items() if k not in request["TagKeys"]}
            self.aws.store.update(STREAM, document["name"], tags=tags)
        return {}

    @operation(*_NAMED, "ExclusiveStartTagKey", "Limit")
    def ListTagsForStream(self, request: Request) -> Response:
        """A stream's tags by key."""
        tags = sorted(self._named(request)["tags"].items())
        after = request.get("ExclusiveStartTagKey") or ""
        limit = request.get("Limit") or 50
        left = [{"Key": key, "Value": value} for key, value in tags if key > after]
        return {"Tags": left[:limit], "HasMoreTags": len(left) > limit}

    # Records

    @operation(*_NAMED, "Data", "PartitionKey", "ExplicitHashKey", "SequenceNumberForOrdering")
    def PutRecord(self, request: Request) -> Response:
        """Write one record; it is on disk when the call returns."""
        document = self._named(request)
        shard, key, data = self._placed(document, request, "data")
        size = len(data) + len(key.encode())
        if not self._takes(document, shard, size):
            raise AwsError(
                "ProvisionedThroughputExceededException", self._exceeded(document, shard)
            )
        (number,) = self._append(document, [(shard, key, data)])
        return {
            "ShardId": shard_id(shard),
            "SequenceNumber": sequence_number(number),
            "EncryptionType": "NONE",
        }

    @operation(*_NAMED, "Records")
    def PutRecords(self, request: Request) -> Response:
        """Write up to 500 records; each is on disk or has its own error when the call returns."""
        document = self._named(request)
        placed = [
            self._placed(document, record, f"records.{number}.member.data")
            for number, record in enumerate(request["Records"], 1)
        ]
        sizes = [len(data) + len(key.encode()) for _, key, data in placed]
        if sum(sizes) > LARGEST_REQUEST:
            raise _invalid(f"Records size exceeds {LARGEST_REQUEST >> 20} MB limit")
        taken = [
            self._takes(document, shard, size)
            for (shard, _, _), size in zip(placed, sizes, strict=True)
        ]
        good = [record for record, fits in zip(placed, taken, strict=True) if fits]
        numbers = iter(self._append(document, good))
        answers = []
        for (shard, _, _), fits in zip(placed, taken, strict=True):
            if fits:
                answers.append(
                    {"ShardId": shard_id(shard), "SequenceNumber": sequence_number(next(numbers))}
                )
            else:
                answers.append(
                    {
                        "ErrorCode": "ProvisionedThroughputExceededException",
                        "ErrorMessage": self._exceeded(document, shard),
                    }
                )
        failed = len(placed) - len(good)
        return {"FailedRecordCount": failed, "Records": answers, "EncryptionType": "NONE"}

    @operation(*_NAMED, "ShardId", "ShardIteratorType", "StartingSequenceNumber", "Timestamp")
    def GetShardIterator(self, request: Request) -> Response:
        """A place to begin to read a shard; good for 5 minutes."""
        document = self._named(request)
        shard = shard_number(request["ShardId"], document["shards"])
        if shard is None:
            raise AwsError(
                "ResourceNotFoundException",
                f"Shard {request['ShardId']} in stream {document['name']} under account"
                f" {self.aws.config.account} does not exist",
            )
        kind = request["ShardIteratorType"]
        after = 0
        if kind.endswith("SEQUENCE_NUMBER"):
            if request.get("StartingSequenceNumber") is None:
                raise _invalid(f"Must specify StartingSequenceNumber for {kind}.")
            after = record_of(request["StartingSequenceNumber"]) - (kind[:2] == "AT")
        elif kind == "LATEST":
            after = self.records.last()
        elif kind == "AT_TIMESTAMP":
            if request.get("Timestamp") is None:
                raise _invalid("Must specify timestampInMillis for AT_TIMESTAMP.")
            after = self.records.before(document["id"], shard, _moment(request["Timestamp"]))
        iterator = Iterator(document["id"], shard, after, self._now())
        return {"ShardIterator": iterator.encode()}

    @operation("ShardIterator", "Limit", "StreamARN")
    def GetRecords(self, request: Request) -> Response:
        """Up to 10,000 records or 10 MiB, and where to go on."""
        iterator = Iterator.decode(request["ShardIterator"])
        now = self._now()
        if now - iterator.issued > ITERATOR_SECONDS * 1000:
            raise AwsError(
                "ExpiredIteratorException",
                f"Iterator expired. The iterator was created {(now - iterator.issued) // 1000} s"
                f" ago, which is more than the tolerated delay of {ITERATOR_SECONDS} s.",
            )
        document = self._by_id(iterator.stream)
        found, behind = self.read(
            document, iterator.shard, iterator.after, request.get("Limit") or 10_000
        )
        after = found[-1].id if found else iterator.after
        following = Iterator(iterator.stream, iterator.shard, after, now)
        return {
            "Records": [
                {
                    "SequenceNumber": sequence_number(record.id),
                    "ApproximateArrivalTimestamp": datetime.fromtimestamp(
                        record.arrived / 1000, UTC
                    ),
                    "Data": record.data,
                    "PartitionKey": record.key,
                    "EncryptionType": "NONE",
                }
                for record in found
            ],
            "NextShardIterator": following.encode(),
            "MillisBehindLatest": behind,
        }

    # Shared

    def _now(self) -> int:
        return _moment(self.aws.now())

    def _named(self, request: Request) -> dict[str, Any]:
        name, arn = request.get("StreamName"), request.get("StreamARN")
        if not name and not arn:
            raise _invalid("Must specify either StreamName or StreamARN.")
        if arn:
            in_arn = arn.partition(":stream/")[2]
            if name and name != in_arn:
                raise _invalid("StreamName does not match the stream in StreamARN.")
            name = in_arn
        return self.stream(str(name))

    def _by_id(self, stream: str) -> dict[str, Any]:
        for _, document in self.aws.store.list(STREAM):
            if document["id"] == stream:
                return document
        raise AwsError("ResourceNotFoundException", "The iterator's stream does not exist.")

    def _placed(
        self, document: dict[str, Any], record: dict[str, Any], path: str
    ) -> tuple[int, str, bytes]:
        """A record's shard, partition key and data.

        Raises:
            AwsError: ValidationException when it is too large.
        """
        key, data = record.get("PartitionKey"), record["Data"]
        if key is None:
            raise AwsError(
                "ValidationException",
                "1 validation error detected: Value null at"
                f" '{path.rpartition('data')[0]}partitionKey' failed to satisfy constraint: Member"
                " must not be null",
            )
        size, largest = len(data) + len(key.encode()), document["largest"] << 10
        if size > largest:
            raise AwsError(
                "ValidationException",
                "1 validation error detected: Value"
                f" 'java.nio.HeapByteBuffer[pos=0 lim={len(data)} cap={len(data)}]' at '{path}'"
                " failed to satisfy constraint: Member must have length less than or equal to"
                f" {largest}",
            )
        explicit = record.get("ExplicitHashKey")
        if explicit is not None and int(explicit) >= 1 << 128:
            raise _invalid(
                f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]."
                f" Specified value was {explicit}"
            )
        return shard_of(key, explicit, document["shards"]), key, data

    def _takes(self, document: dict[str, Any], shard: int, size: int) -> bool:
        return document["mode"] == "ON_DEMAND" or self._throughput.take(document["id"], shard, size)

    def _exceeded(self, document: dict[str, Any], shard: int) -> str:
        return (
            f"Rate exceeded for shard {shard_id(shard)} in stream {document['name']} under account"
            f" {self.aws.config.account}."
        )

    def _append(self, document: dict[str, Any], records: list[tuple[int, str, bytes]]) -> list[int]:
        return list(self.records.append(document["id"], self._now(), records)) if records else []

    def _oldest(self, document: dict[str, Any]) -> int:
        return self._now() - document["retention"] * 3_600_000

    def _summary(self, document: dict[str, Any]) -> dict[str, Any]:
        return {
            "StreamName": document["name"],
            "StreamARN": self.aws.arn("kinesis", f"stream/{document['name']}"),
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": document["mode"]},
            "StreamCreationTimestamp": document["created"],
        }

    @staticmethod
    def _shard(document: dict[str, Any], number: int) -> dict[str, Any]:
        first, last = hash_range(number, document["shards"])
        return {
            "ShardId": shard_id(number),
            "HashKeyRange": {"StartingHashKey": str(first), "EndingHashKey": str(last)},
            "SequenceNumberRange": {"StartingSequenceNumber": sequence_number(document["first"])},
        }

    @staticmethod
    def _after(document: dict[str, Any], shard: str | None) -> int:
        """The first shard of a page that begins after one; shards have their numbers' order."""
        if not shard:
            return 0
        names = (shard_id(number) for number in range(document["shards"]))
        return sum(name <= shard for name in names)

    @staticmethod
    def _shards_token(token: str) -> tuple[str, int]:
        try:
            name, start = json.loads(base64.b64decode(token, validate=True))
            return str(name), int(start)
        except (ValueError, TypeError) as error:
            raise _invalid("Invalid NextToken.") from error

    def _retain(self, request: Request, longer: bool) -> Response:
        hours = request["RetentionPeriodHours"]
        with self._changing:
            document = self._named(request)
            now = document["retention"]
            if not 24 <= hours <= 8760:
                raise _invalid(
                    "Retention period hours must be between 24 and 8760 hours. Requested retention"
                    f" period: {hours} hours"
                )
            if (hours < now) if longer else (hours > now):
                side = "shorter" if longer else "longer"
                raise _invalid(
                    f"Requested retention period ({hours} hours) for stream {document['name']} can"
                    f" not be {side} than existing retention period ({now} hours)."
                )
            self.aws.store.update(STREAM, document["name"], retention=hours)
        return {}
