"""AWS::Kinesis::Stream, AWS::KinesisFirehose::DeliveryStream, AWS::Lambda::EventSourceMapping."""

from __future__ import annotations

from typing import Any

from local_aws.cloudformation.resources.base import (
    Attributes,
    Context,
    Properties,
    PropertyError,
    ResourceType,
    request_of,
    tag_map,
)


class Stream(ResourceType):
    type = "AWS::Kinesis::Stream"
    properties = (
        "Name",
        "ShardCount",
        "StreamModeDetails",
        "RetentionPeriodHours",
        "MaxRecordSizeInKiB",
        "Tags",
    )
    immutable = ("Name",)
    name_property = "Name"
    _fixed = ("ShardCount", "StreamModeDetails", "MaxRecordSizeInKiB")

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        kinesis = context.client("kinesis")
        name = properties.get("Name") or context.name(128)
        given = {key: properties[key] for key in self._fixed if key in properties}
        if (given.get("StreamModeDetails") or {}).get("StreamMode") != "ON_DEMAND":
            given.setdefault("ShardCount", 1)
        if properties.get("Tags"):
            given["Tags"] = tag_map(properties["Tags"])
        request = request_of(kinesis, "create_stream", given)
        kinesis.create_stream(StreamName=name, **request)
        self._retain(kinesis, name, properties)
        return name, self._attributes(context, name)

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        for key in self._fixed:
            if old.get(key) != new.get(key):
                raise PropertyError(
                    f"the embedded AWS does not support a change of {key} of {self.type}"
                )
        kinesis = context.client("kinesis")
        self._retain(kinesis, physical_id, new)
        before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
        if before.keys() - after.keys():
            kinesis.remove_tags_from_stream(
                StreamName=physical_id, TagKeys=sorted(before.keys() - after.keys())
            )
        if after and after != before:
            kinesis.add_tags_to_stream(StreamName=physical_id, Tags=after)
        return self._attributes(context, physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("kinesis").delete_stream(StreamName=physical_id)

    @staticmethod
    def _retain(kinesis: Any, name: str, properties: Properties) -> None:
        wanted = int(properties.get("RetentionPeriodHours", 24))
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        now = summary["RetentionPeriodHours"]
        if wanted > now:
            kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=wanted)
        elif wanted < now:
            kinesis.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=wanted)

    @staticmethod
    def _attributes(context: Context, name: str) -> Attributes:
        return {"Arn": context.arn("kinesis", f"stream/{name}")}


class DeliveryStream(ResourceType):
    type = "AWS::KinesisFirehose::DeliveryStream"
    properties = (
        "DeliveryStreamName",
        "DeliveryStreamType",
        "KinesisStreamSourceConfiguration",
        "ExtendedS3DestinationConfiguration",
        "Tags",
    )
    required = ("ExtendedS3DestinationConfiguration",)
    immutable = ("DeliveryStreamName", "DeliveryStreamType", "KinesisStreamSourceConfiguration")
    name_property = "DeliveryStreamName"
    _defaults = {
        "Prefix": "",
        "ErrorOutputPrefix": "",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "CloudWatchLoggingOptions": {"Enabled": False},
        "ProcessingConfiguration": {"Enabled": False},
        "FileExtension": "",
        "CustomTimeZone": "UTC",
    }

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        firehose = context.client("firehose")
        name = properties.get("DeliveryStreamName") or context.name(64)
        tags = [{"Key": k, "Value": v} for k, v in tag_map(properties.get("Tags")).items()]
        given = {key: value for key, value in properties.items() if key != "Tags"}
        if tags:
            given["Tags"] = tags
        request = request_of(
            firehose, "create_delivery_stream", {**given, "DeliveryStreamName": name}
        )
        firehose.create_delivery_stream(**request)
        return name, self._attributes(context, name)

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        firehose = context.client("firehose")
        member = "ExtendedS3DestinationConfiguration"
        if old[member] != new[member]:
            described = firehose.describe_delivery_stream(DeliveryStreamName=physical_id)
            stream = described["DeliveryStreamDescription"]
            request = request_of(
                firehose,
                "update_destination",
                {"ExtendedS3DestinationUpdate": {**self._defaults, **new[member]}},
            )
            firehose.update_destination(
                DeliveryStreamName=physical_id,
                CurrentDeliveryStreamVersionId=stream["VersionId"],
                DestinationId=stream["Destinations"][0]["DestinationId"],
                **request,
            )
        before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
        if before.keys() - after.keys():
            firehose.untag_delivery_stream(
                DeliveryStreamName=physical_id, TagKeys=sorted(before.keys() - after.keys())
            )
        if after and after != before:
            tags = [{"Key": key, "Value": value} for key, value in after.items()]
            firehose.tag_delivery_stream(DeliveryStreamName=physical_id, Tags=tags)
        return self._attributes(context, physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("firehose").delete_delivery_stream(DeliveryStreamName=physical_id)

    @staticmethod
    def _attributes(context: Context, name: str) -> Attributes:
        return {"Arn": context.arn("firehose", f"deliverystream/{name}")}


class EventSourceMapping(ResourceType):
    type = "AWS::Lambda::EventSourceMapping"
    properties = (
        "EventSourceArn",
        "FunctionName",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "FunctionResponseTypes",
        "ScalingConfig",
        "Enabled",
    )
    required = ("EventSourceArn", "FunctionName")
    immutable = ("EventSourceArn",)
    _defaults = {
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "Enabled": True,
    }

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        functions = context.client("lambda")
        request = request_of(functions, "create_event_source_mapping", properties)
        identity = functions.create_event_source_mapping(**request)["UUID"]
        return identity, self._attributes(context, identity)

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        functions = context.client("lambda")
        given = {key: value for key, value in new.items() if key != "EventSourceArn"}
        request = request_of(functions, "update_event_source_mapping", {**self._defaults, **given})
        functions.update_event_source_mapping(UUID=physical_id, **request)
        return self._attributes(context, physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("lambda").delete_event_source_mapping(UUID=physical_id)

    @staticmethod
    def _attributes(context: Context, identity: str) -> Attributes:
        arn = context.arn("lambda", f"event-source-mapping:{identity}")
        return {"Id": identity, "EventSourceMappingArn": arn}
