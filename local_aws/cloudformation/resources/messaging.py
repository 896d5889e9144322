"""Amazon SNS topics and subscriptions, Amazon SQS queues, and their policies."""

from __future__ import annotations

import json
from typing import Any

from local_aws.cloudformation.resources.base import (
    Attributes,
    Context,
    Properties,
    PropertyError,
    ResourceType,
    tag_map,
)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


class Topic(ResourceType):
    type = "AWS::SNS::Topic"
    properties = ("TopicName", "DisplayName", "KmsMasterKeyId", "Tags")
    immutable = ("TopicName",)

    def physical_id(self, context: Context, properties: Properties) -> str | None:
        name = properties.get("TopicName")
        return context.arn("sns", name) if name else None

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        sns = context.client("sns")
        name = properties.get("TopicName") or context.name(256)
        arn = context.arn("sns", name)
        if any(item["TopicArn"] == arn for item in sns.list_topics()["Topics"]):
            raise PropertyError(f"the topic {name} already exists")
        tags = [{"Key": k, "Value": v} for k, v in tag_map(properties.get("Tags")).items()]
        attributes = {
            key: _text(properties[key])
            for key in ("DisplayName", "KmsMasterKeyId")
            if key in properties
        }
        created = sns.create_topic(Name=name, Attributes=attributes, Tags=tags)
        return created["TopicArn"], self._attributes(created["TopicArn"])

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        sns = context.client("sns")
        for key in ("DisplayName", "KmsMasterKeyId"):
            if old.get(key) != new.get(key):
                sns.set_topic_attributes(
                    TopicArn=physical_id,
                    AttributeName=key,
                    AttributeValue=_text(new.get(key, "")),
                )
        before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
        if before.keys() - after.keys():
            sns.untag_resource(
                ResourceArn=physical_id, TagKeys=sorted(before.keys() - after.keys())
            )
        if after:
            tags = [{"Key": key, "Value": value} for key, value in after.items()]
            sns.tag_resource(ResourceArn=physical_id, Tags=tags)
        return self._attributes(physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("sns").delete_topic(TopicArn=physical_id)

    @staticmethod
    def _attributes(arn: str) -> Attributes:
        return {"TopicArn": arn, "TopicName": arn.rpartition(":")[2]}


class Subscription(ResourceType):
    type = "AWS::SNS::Subscription"
    properties = (
        "TopicArn",
        "Protocol",
        "Endpoint",
        "RawMessageDelivery",
        "FilterPolicy",
        "FilterPolicyScope",
    )
    required = ("TopicArn", "Protocol", "Endpoint")
    immutable = ("TopicArn", "Protocol", "Endpoint")
    _mutable = ("RawMessageDelivery", "FilterPolicy", "FilterPolicyScope")

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        attributes = {key: _text(properties[key]) for key in self._mutable if key in properties}
        arn = context.client("sns").subscribe(
            TopicArn=properties["TopicArn"],
            Protocol=properties["Protocol"],
            Endpoint=properties["Endpoint"],
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return arn, {"Arn": arn}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        for key in self._mutable:
            if old.get(key) != new.get(key):
                empty = "false" if key == "RawMessageDelivery" else "{}"
                context.client("sns").set_subscription_attributes(
                    SubscriptionArn=physical_id,
                    AttributeName=key,
                    AttributeValue=_text(new[key]) if key in new else empty,
                )
        return {"Arn": physical_id}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("sns").unsubscribe(SubscriptionArn=physical_id)


class TopicPolicy(ResourceType):
    type = "AWS::SNS::TopicPolicy"
    properties = ("Topics", "PolicyDocument")
    required = ("Topics", "PolicyDocument")
    immutable = ("Topics",)

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        self._put(context, properties)
        return context.name(), {}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        self._put(context, new)
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        nothing = {"Version": "2012-10-17", "Statement": []}
        self._put(context, {**properties, "PolicyDocument": nothing})

    @staticmethod
    def _put(context: Context, properties: Properties) -> None:
        for topic in properties["Topics"]:
            context.client("sns").set_topic_attributes(
                TopicArn=topic,
                AttributeName="Policy",
                AttributeValue=json.dumps(properties["PolicyDocument"]),
            )


_QUEUE_ATTRIBUTES = (
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "VisibilityTimeout",
    "SqsManagedSseEnabled",
    "KmsMasterKeyId",
    "RedrivePolicy",
)
_QUEUE_DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "SqsManagedSseEnabled": "true",
}


def _queue_url(sqs: Any, url: str) -> str:
    """The queue's address now: the port of the embedded AWS may have changed."""
    return sqs.get_queue_url(QueueName=url.rpartition("/")[2])["QueueUrl"]


class Queue(ResourceType):
    type = "AWS::SQS::Queue"
    properties = ("QueueName", "Tags", *_QUEUE_ATTRIBUTES)
    immutable = ("QueueName",)
    name_property = "QueueName"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        sqs = context.client("sqs")
        name = properties.get("QueueName") or context.name(80)
        if any(url.endswith(f"/{name}") for url in sqs.list_queues().get("QueueUrls", [])):
            raise PropertyError(f"the queue {name} already exists")
        attributes = {key: _text(properties[key]) for key in _QUEUE_ATTRIBUTES if key in properties}
        url = sqs.create_queue(
            QueueName=name, Attributes=attributes, tags=tag_map(properties.get("Tags"))
        )["QueueUrl"]
        return url, self._attributes(context, url)

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        sqs = context.client("sqs")
        url = _queue_url(sqs, physical_id)
        changed = {
            key: _text(new[key]) if key in new else _QUEUE_DEFAULTS.get(key, "")
            for key in _QUEUE_ATTRIBUTES
            if old.get(key) != new.get(key)
        }
        if changed:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)
        before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
        if before.keys() - after.keys():
            sqs.untag_queue(QueueUrl=url, TagKeys=sorted(before.keys() - after.keys()))
        if after != before and after:
            sqs.tag_queue(QueueUrl=url, Tags=after)
        return self._attributes(context, physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        sqs = context.client("sqs")
        sqs.delete_queue(QueueUrl=_queue_url(sqs, physical_id))

    @staticmethod
    def _attributes(context: Context, url: str) -> Attributes:
        name = url.rpartition("/")[2]
        return {"Arn": context.arn("sqs", name), "QueueName": name, "QueueUrl": url}


class QueuePolicy(ResourceType):
    type = "AWS::SQS::QueuePolicy"
    properties = ("Queues", "PolicyDocument")
    required = ("Queues", "PolicyDocument")
    immutable = ("Queues",)

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        self._put(context, properties, json.dumps(properties["PolicyDocument"]))
        return context.name(), {}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        self._put(context, new, json.dumps(new["PolicyDocument"]))
        return {}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        self._put(context, properties, "")

    @staticmethod
    def _put(context: Context, properties: Properties, policy: str) -> None:
        sqs = context.client("sqs")
        for url in properties["Queues"]:
            sqs.set_queue_attributes(QueueUrl=_queue_url(sqs, url), Attributes={"Policy": policy})
