"""Amazon Data Firehose: records buffered on disk by size and time, delivered to S3.

https://docs.aws.amazon.com/firehose/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local_aws import constraints
from local_aws.firehose.buffer import Buffer
from local_aws.firehose.delivery import Delivery
from local_aws.firehose.destination import destination_of
from local_aws.service import AwsError, Feature, Request, Response, Service, Unsupported, operation

if TYPE_CHECKING:
    from local_aws.kinesis.engine import Kinesis

STREAM = "firehose/stream"
DESTINATION_ID = "destinationId-000000000001"
LARGEST_BATCH = 4 << 20
_PLAIN = (
    "RoleARN",
    "BucketARN",
    "Prefix",
    "ErrorOutputPrefix",
    "BufferingHints",
    "CompressionFormat",
    "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidArgumentException", message)


class Firehose(Service):
    """Delivery streams to S3, from clients or from a Kinesis data stream."""

    service_name = "firehose"
    features = (
        Feature(
            "delivery",
            "buffering by size and by time, prefixes by arrival, GZIP",
            "supported",
            "Buffered on disk before it is acknowledged (`<state>/firehose.sqlite`); delivered at"
            " an orderly stop too.",
        ),
        Feature(
            "delivery",
            "at least once",
            "different",
            "A delivery that the end of the process interrupts is repeated under the same key.",
        ),
        Feature(
            "delivery",
            "a destination that fails",
            "different",
            "Is tried until it works, not for 24 hours; named in CloudWatch Logs if so configured.",
        ),
        Feature("destinations", "Amazon S3 (ExtendedS3DestinationConfiguration)", "supported"),
        Feature(
            "destinations", "Redshift, OpenSearch, Splunk, HTTP, Iceberg, Snowflake", "refused"
        ),
        Feature("sources", "direct PUT, Kinesis data streams", "supported"),
        Feature("sources", "Amazon MSK, databases", "refused"),
        Feature(
            "sources", "records aggregated by the KPL", "different", "Delivered as they are put."
        ),
        Feature(
            "processing",
            "Lambda transformation",
            "different",
            "Real; invoked when the buffer is delivered, not by a buffer of its own. What failed"
            " goes under the error prefix. Not at an orderly stop: at the next start.",
        ),
        Feature("processing", "AppendDelimiterToRecord", "supported"),
        Feature(
            "processing",
            "format conversion, dynamic partitioning, decompression, de-aggregation",
            "refused",
        ),
        Feature(
            "prefixes",
            "timestamp, random-string, error-output-type, CustomTimeZone",
            "supported",
            "Of Java's pattern letters: y u M L d D E a H k K h m s S x X.",
        ),
        Feature("encryption", "of delivery streams, with KMS keys", "refused"),
    )

    def setup(self) -> None:
        self._buffer = Buffer(self.aws.config.state / "firehose.sqlite")
        self._changing = threading.RLock()
        # Before the first request: what is put while others start has its buffer already.
        self._deliveries = {
            name: Delivery(self, self._buffer, document)
            for name, document in self.aws.store.list(STREAM)
        }

    def start(self) -> None:
        with self._changing:
            for delivery in self._deliveries.values():
                delivery.start()

    def stop(self) -> None:
        for delivery in list(self._deliveries.values()):
            delivery.stop()
        self._buffer.close()

    def call(self, name: str, request: Request) -> Response:
        if name in self._operations:
            constraints.check("firehose", name, request)
        return super().call(name, request)

    @property
    def kinesis(self) -> Kinesis:
        return self.aws.services["kinesis"]  # type: ignore[return-value]

    def log_error(
        self, options: dict[str, Any], document: dict[str, Any], code: str, message: str
    ) -> None:
        """Name a delivery's error in the log that its destination asks for."""
        line = {
            "deliveryStreamARN": document["arn"],
            "destination": document["destination"]["BucketARN"],
            "deliveryStreamVersionId": document["version"],
            "message": message,
            "errorCode": code,
        }
        self.aws.logs.write(options["LogGroupName"], options["LogStreamName"], [json.dumps(line)])

    # Delivery streams

    @operation(
        "DeliveryStreamName",
        "DeliveryStreamType",
        "KinesisStreamSourceConfiguration",
        "ExtendedS3DestinationConfiguration",
        "Tags",
    )
    def CreateDeliveryStream(self, request: Request) -> Response:
        """Create a delivery stream to S3; it is ACTIVE at once."""
        name = request["DeliveryStreamName"]
        kind = request.get("DeliveryStreamType", "DirectPut")
        given = request.get("ExtendedS3DestinationConfiguration")
        if kind not in ("DirectPut", "KinesisStreamAsSource"):
            raise Unsupported(f"the source {kind}", "Use DirectPut or KinesisStreamAsSource.")
        source = request.get("KinesisStreamSourceConfiguration")
        if (kind == "KinesisStreamAsSource") != bool(source):
            raise _invalid(
                "KinesisStreamSourceConfiguration is required for, and only allowed with, the"
                " delivery stream type KinesisStreamAsSource."
            )
        if not given:
            raise _invalid("Exactly one destination configuration is supported for a Firehose")
        destination = destination_of(given)
        for role in {destination["RoleARN"], *([source["RoleARN"]] if source else ())}:
            self._check_role(role)
        with self._changing:
            if self.aws.store.get(STREAM, name):
                raise AwsError(
                    "ResourceInUseException",
                    f"Firehose {name} under accountId {self.aws.config.account} already exists",
                )
            if source:
                source = self._source(source)
            arn = self.aws.arn("firehose", f"deliverystream/{name}")
            document = {
                "id": uuid.uuid4().hex[:16],
                "name": name,
                "arn": arn,
                "type": kind,
                "version": 1,
                "created": self.aws.now(),
                "source": source,
                "destination": destination,
                "tags": {tag["Key"]: tag.get("Value", "") for tag in request.get("Tags") or ()},
            }
            self.aws.store.put(STREAM, name, document)
            delivery = self._deliveries[name] = Delivery(self, self._buffer, document)
            delivery.start()
        return {"DeliveryStreamARN": arn}

    @operation(
        "DeliveryStreamName",
        ignores={
            "Limit": "there is one destination",
            "ExclusiveStartDestinationId": "there is one destination",
        },
    )
    def DescribeDeliveryStream(self, request: Request) -> Response:
        """A delivery stream with its source and destination."""
        document = self._named(request)
        destination = document["destination"]
        plain = {key: destination[key] for key in _PLAIN if key in destination}
        described: dict[str, Any] = {
            "DeliveryStreamName": document["name"],
            "DeliveryStreamARN": document["arn"],
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamEncryptionConfiguration": {"Status": "DISABLED"},
            "DeliveryStreamType": document["type"],
            "VersionId": str(document["version"]),
            "CreateTimestamp": document["created"],
            "Destinations": [
                {
                    "DestinationId": DESTINATION_ID,
                    "S3DestinationDescription": plain,
                    "ExtendedS3DestinationDescription": destination,
                }
            ],
            "HasMoreDestinations": False,
        }
        if "updated" in document:
            described["LastUpdateTimestamp"] = document["updated"]
        if document["source"]:
            described["Source"] = {
                "KinesisStreamSourceDescription": {
                    "KinesisStreamARN": document["source"]["KinesisStreamARN"],
                    "RoleARN": document["source"]["RoleARN"],
                    "DeliveryStartTimestamp": document["created"],
                }
            }
        return {"DeliveryStreamDescription": described}

    @operation("Limit", "DeliveryStreamType", "ExclusiveStartDeliveryStreamName")
    def ListDeliveryStreams(self, request: Request) -> Response:
        """Delivery streams by name, 10 a page."""
        limit = request.get("Limit") or 10
        kind = request.get("DeliveryStreamType")
        after = request.get("ExclusiveStartDeliveryStreamName") or ""
        names = [
            name
            for name, document in self.aws.store.list(STREAM, after=after)
            if kind in (None, document["type"])
        ]
        return {
            "DeliveryStreamNames": names[:limit],
            "HasMoreDeliveryStreams": len(names) > limit,
        }

    @operation(
        "DeliveryStreamName",
        ignores={"AllowForceDelete": "there are no grants of KMS keys to be retired"},
        differs="What is buffered is delivered first, if that is possible at once.",
    )
    def DeleteDeliveryStream(self, request: Request) -> Response:
        """Delete a delivery stream."""
        with self._changing:
            document = self._named(request)
            self.aws.store.delete(STREAM, document["name"])
            delivery = self._deliveries.pop(document["name"], None)
        if delivery:
            delivery.flush()
            delivery.stop()
        self._buffer.forget(document["id"])
        return {}

    @operation(
        "DeliveryStreamName",
        "CurrentDeliveryStreamVersionId",
        "DestinationId",
        "ExtendedS3DestinationUpdate",
    )
    def UpdateDestination(self, request: Request) -> Response:
        """Change the destination's settings; those that are not given stay."""
        with self._changing:
            document = self._named(request)
            given = request["CurrentDeliveryStreamVersionId"]
            if given != str(document["version"]):
                raise AwsError(
                    "ConcurrentModificationException",
                    f"Cannot update firehose: {document['name']} since the current version id:"
                    f" {document['version']} and specified version id: {given} do not match",
                )
            if request["DestinationId"] != DESTINATION_ID:
                raise _invalid(f"Destination Id {request['DestinationId']} not found")
            update = request.get("ExtendedS3DestinationUpdate")
            if not update:
                raise _invalid("ExtendedS3DestinationUpdate is required for this destination.")
            destination = destination_of(update, document["destination"])
            if "RoleARN" in update:
                self._check_role(update["RoleARN"])
            document = self.aws.store.update(
                STREAM,
                document["name"],
                destination=destination,
                version=document["version"] + 1,
                updated=self.aws.now(),
            )
            self._deliveries[document["name"]].change(document)
        return {}

    # Records

    @operation("DeliveryStreamName", "Record")
    def PutRecord(self, request: Request) -> Response:
        """Accept a record; it is on disk when the call returns."""
        self._accept(request, [request["Record"]["Data"]])
        return {"RecordId": _record_id(), "Encrypted": False}

    @operation("DeliveryStreamName", "Records")
    def PutRecordBatch(self, request: Request) -> Response:
        """Accept up to 500 records, all of them; they are on disk when the call returns."""
        records = [record["Data"] for record in request["Records"]]
        if sum(map(len, records)) > LARGEST_BATCH:
            raise _invalid("Records size exceeds 4 MB limit")
        self._accept(request, records)
        return {
            "FailedPutCount": 0,
            "Encrypted": False,
            "RequestResponses": [{"RecordId": _record_id()} for _ in records],
        }

    def _accept(self, request: Request, records: list[bytes]) -> None:
        document = self._named(request)
        if document["type"] != "DirectPut":
            raise _invalid(
                f"This operation is not permitted on {document['type']} delivery stream type."
            )
        with self._changing:
            delivery = self._deliveries.get(document["name"])
        if delivery is None:
            raise self._not_found(document["name"])
        delivery.put(records)

    # Tags

    @operation("DeliveryStreamName", "Tags")
    def TagDeliveryStream(self, request: Request) -> Response:
        """Add tags to a delivery stream."""
        with self._changing:
            document = self._named(request)
            given = {tag["Key"]: tag.get("Value", "") for tag in request["Tags"]}
            self.aws.store.update(STREAM, document["name"], tags=document["tags"] | given)
        return {}

    @operation("DeliveryStreamName", "TagKeys")
    def UntagDeliveryStream(self, request: Request) -> Response:
        """Take tags from a delivery stream."""
        with self._changing:
            document = self._named(request)
            tags = {k: v for k, v in document["tags"].items() if k not in request["TagKeys"]}
            self.aws.store.update(STREAM, document["name"], tags=tags)
        return {}

    @operation("DeliveryStreamName", "ExclusiveStartTagKey", "Limit")
    def ListTagsForDeliveryStream(self, request: Request) -> Response:
        """A delivery stream's tags by key."""
        after = request.get("ExclusiveStartTagKey") or ""
        limit = request.get("Limit") or 50
        tags = sorted(self._named(request)["tags"].items())
        left = [{"Key": key, "Value": value} for key, value in tags if key > after]
        return {"Tags": left[:limit], "HasMoreTags": len(left) > limit}

    # Shared

    def _not_found(self, name: str) -> AwsError:
        return AwsError(
            "ResourceNotFoundException",
            f"Firehose {name} under account {self.aws.config.account} not found.",
        )

    def _named(self, request: Request) -> dict[str, Any]:
        name = request["DeliveryStreamName"]
        document = self.aws.store.get(STREAM, name)
        if document is None:
            raise self._not_found(name)
        return document

    def _source(self, given: dict[str, Any]) -> dict[str, Any]:
        """The source, from its newest record on."""
        name = given["KinesisStreamARN"].partition(":stream/")[2]
        try:
            self.kinesis.stream(name)
        except AwsError as error:
            raise _invalid(f"Kinesis stream {name} not found: {error.message}") from error
        return {**given, "start": self.kinesis.records.last()}

    def _check_role(self, role: str) -> None:
        refused = _invalid(
            f"Firehose is unable to assume role {role}. Please check the role provided."
        )
        try:
            found = self.aws.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]
        except ClientError as error:
            raise refused from error
        if "firehose.amazonaws.com" not in json.dumps(found["AssumeRolePolicyDocument"]):
            raise refused


def _record_id() -> str:
    return f"{uuid.uuid4().int:039d}{uuid.uuid4().int:039d}"
