"""Event notifications: what a bucket tells Lambda functions, queues and topics.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote_plus
from xml.etree import ElementTree

from botocore.exceptions import ClientError

from local_aws.s3.base import OWNER_ID, S3Base, bucket_operation, compact
from local_aws.s3.errors import S3Error, invalid_argument, no_such_key
from local_aws.s3.objects import Stored
from local_aws.s3.protocol import Call, Reply, element, malformed_xml, xml_reply
from local_aws.service import AwsError, Unsupported

log = logging.getLogger("local_aws.s3.notifications")

Callback = Callable[[dict[str, Any], str], None]
PENDING = "s3/event"
EVENTS = (
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
)
_TARGETS = {
    "TopicConfiguration": "Topic",
    "QueueConfiguration": "Queue",
    "CloudFunctionConfiguration": "CloudFunction",
}
_TRIES = 3


class NotificationOperations(S3Base):
    """Bucket notifications, and their delivery in the background, at least once.

    An event is written down before it is delivered, and delivered again after a restart if the
    process died in between.
    """

    _callbacks: list[Callback]
    _sequence: int
    _sequence_lock: threading.Lock
    _clients: dict[str, Any]

    def setup_notifications(self) -> None:
        self._callbacks = []
        self._sequence = 0
        self._sequence_lock = threading.Lock()
        self._clients = {}

    def resume_notifications(self) -> None:
        """Deliver what was written down and not delivered when the process ended."""
        for name, _ in self.aws.store.list(PENDING):
            self.aws.background(self._deliver, name)

    def on_object_created(self, callback: Callback) -> None:
        """Register what invokes Lambda functions: ``callback(event, function_arn)``.

        ``event`` is the dictionary that S3 gives to the function. Called in a worker thread; an
        exception is a failed delivery: an AwsError is final, others are tried again twice. To be
        registered in ``setup``, since events that a restart left over are delivered at ``start``.
        """
        self._callbacks.append(callback)

    def notify(self, bucket: str, key: str) -> None:
        """Tell listeners of a file that an engine wrote without the API.

        Raises:
            AwsError: NoSuchBucket, NoSuchKey.
        """
        stored = self.objects.find(bucket, key)
        if stored is None:
            raise no_such_key(key)
        self._announce(bucket, key, "ObjectCreated:Put", stored, uuid.uuid4().hex[:16].upper())

    def created(self, call: Call, stored: Stored, how: str) -> None:
        self._announce(call.bucket, call.key, f"ObjectCreated:{how}", stored, call.request_id)

    def removed(self, call: Call, key: str) -> None:
        self._announce(call.bucket, key, "ObjectRemoved:Delete", None, call.request_id)

    @bucket_operation(
        "NotificationConfiguration",
        "SkipDestinationValidation",
        differs="Files that Spark or another program writes into the folder make no event.",
    )
    def PutBucketNotificationConfiguration(self, call: Call) -> Reply:
        """Replace a bucket's notifications to Lambda functions, queues and topics."""
        self.objects.folder(call.bucket)
        rules = [_parse_rule(each) for each in call.xml()]
        _check_overlaps(rules)
        if call.header("x-amz-skip-destination-validation") != "true":
            for rule in rules:
                self._check_target(call, rule)
        self.change_settings(call.bucket, notifications=rules or None)
        return Reply()

    @bucket_operation()
    def GetBucketNotificationConfiguration(self, call: Call) -> Reply:
        """Give a bucket's notifications."""
        rules = self.settings(call.bucket).get("notifications", [])
        return xml_reply("NotificationConfiguration", "".join(map(_rule_xml, rules)))

    def _check_target(self, call: Call, rule: dict[str, Any]) -> None:
        arn = rule["arn"]
        try:
            if rule["target"] == "CloudFunctionConfiguration":
                self._check_function(call.bucket, arn)
            else:
                self._send(rule["target"], arn, self._test_event(call))
        except (ClientError, ValueError) as error:
            raise invalid_argument(
                "Unable to validate the following destination configurations", arn, str(error)
            ) from error

    def _check_function(self, bucket: str, arn: str) -> None:
        functions: Any = self.aws.services.get("lambda")
        if functions and not functions.may_be_invoked(
            arn, "s3.amazonaws.com", f"arn:aws:s3:::{bucket}", self.aws.config.account
        ):
            raise ValueError(
                "there is no such function, or its policy does not let s3.amazonaws.com invoke it"
            )

    def _test_event(self, call: Call) -> dict[str, Any]:
        return {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": _event_time(self.aws.now()),
            "Bucket": call.bucket,
            "RequestId": call.request_id,
            "HostId": "local",
        }

    def _announce(
        self, bucket: str, key: str, name: str, stored: Stored | None, request_id: str
    ) -> None:
        rules = (self.aws.store.get("s3/bucket", bucket) or {}).get("notifications")
        for rule in rules or ():
            if not _applies(rule, name, key):
                continue
            record = self._record(bucket, key, name, stored, request_id)
            record["s3"]["configurationId"] = rule["id"]
            pending = f"{record['s3']['object']['sequencer']}-{uuid.uuid4().hex[:8]}"
            event = {"Records": [record]}
            self.aws.store.put(
                PENDING, pending, {"target": rule["target"], "arn": rule["arn"], "event": event}
            )
            # When the server is stopping, the next start delivers what is written down.
            with suppress(RuntimeError):
                self.aws.background(self._deliver, pending)

    def _record(
        self, bucket: str, key: str, name: str, stored: Stored | None, request_id: str
    ) -> dict[str, Any]:
        described: dict[str, Any] = {"key": encoded_key(key)}
        if stored:
            described |= {"size": stored.size, "eTag": stored.etag}
        return {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self.aws.config.region,
            "eventTime": _event_time(self.aws.now()),
            "eventName": name,
            "userIdentity": {"principalId": f"AWS:{self.aws.config.account}"},
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": "local"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "",
                "bucket": {
                    "name": bucket,
                    "ownerIdentity": {"principalId": OWNER_ID},
                    "arn": f"arn:aws:s3:::{bucket}",
                },
                "object": {**described, "sequencer": self._next_sequence()},
            },
        }

    def _next_sequence(self) -> str:
        """Hexadecimal, of one length, and larger for each later event."""
        with self._sequence_lock:
            self._sequence = max(self._sequence + 1, time.time_ns())
            return f"{self._sequence:018X}"

    def _deliver(self, name: str) -> None:
        pending = self.aws.store.get(PENDING, name)
        if pending is None:
            return
        for attempt in range(1, _TRIES + 1):
            try:
                self._send(pending["target"], pending["arn"], pending["event"])
                break
            except AwsError as error:
                log.warning("event for %s is lost: %s", pending["arn"], error)
                break
            except Exception:
                log.exception("event for %s, try %d of %d", pending["arn"], attempt, _TRIES)
                time.sleep(attempt * 0.5)
        self.aws.store.delete(PENDING, name)

    def _send(self, target: str, arn: str, event: dict[str, Any]) -> None:
        if target == "CloudFunctionConfiguration":
            for callback in self._callbacks:
                callback(event, arn)
        elif target == "QueueConfiguration":
            queues = self._client("sqs")
            url = queues.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            queues.send_message(QueueUrl=url, MessageBody=compact(event))
        else:
            self._client("sns").publish(
                TopicArn=arn, Subject="Amazon S3 Notification", Message=compact(event)
            )

    def _client(self, service: str) -> Any:
        client = self._clients.get(service)
        if client is None:
            client = self._clients[service] = self.aws.client(service)
        return client


def encoded_key(key: str) -> str:
    """A key as events carry it: as in a form, a space is ``+`` and slashes stay."""
    return quote_plus(key, safe="/*").replace("~", "%7E")


def _event_time(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def _parse_rule(each: ElementTree.Element) -> dict[str, Any]:
    target = _TARGETS.get(each.tag)
    if target is None:
        raise Unsupported(
            f"{each.tag} in s3:PutBucketNotificationConfiguration",
            "Notify Lambda functions, SQS queues or SNS topics.",
        )
    arn = (each.findtext(target) or "").strip()
    events = [(event.text or "").strip() for event in each.findall("Event")]
    if not arn or not events:
        raise malformed_xml(f"{each.tag} needs {target} and Event")
    for event in events:
        if event not in EVENTS:
            raise Unsupported(
                f"the notification event {event}", f"Supported events: {', '.join(EVENTS)}."
            )
    rule = {
        "id": (each.findtext("Id") or "").strip() or str(uuid.uuid4()),
        "target": each.tag,
        "arn": arn,
        "events": events,
    }
    for condition in each.iterfind("Filter/S3Key/FilterRule"):
        name = (condition.findtext("Name") or "").strip().lower()
        if name not in ("prefix", "suffix"):
            raise invalid_argument("filter rule name must be either prefix or suffix", name, "")
        if name in rule:
            raise invalid_argument(
                "Cannot specify more than one prefix rule in a filter.", name, ""
            )
        rule[name] = condition.findtext("Value") or ""
    return rule


def _covered(events: list[str]) -> Iterator[str]:
    for event in events:
        if event.endswith("*"):
            yield from (e for e in EVENTS if e.startswith(event[:-1]) and not e.endswith("*"))
        else:
            yield event


def _check_overlaps(rules: list[dict[str, Any]]) -> None:
    for at, one in enumerate(rules):
        for other in rules[:at]:
            prefixes = sorted((one.get("prefix", ""), other.get("prefix", "")), key=len)
            suffixes = sorted((one.get("suffix", ""), other.get("suffix", "")), key=len)
            if (
                set(_covered(one["events"])) & set(_covered(other["events"]))
                and prefixes[1].startswith(prefixes[0])
                and suffixes[1].endswith(suffixes[0])
            ):
                raise S3Error(
                    "InvalidArgument",
                    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two"
                    " rules if the prefixes are overlapping for the same event type.",
                )


def _applies(rule: dict[str, Any], name: str, key: str) -> bool:
    return (
        f"s3:{name}" in _covered(rule["events"])
        and key.startswith(rule.get("prefix", ""))
        and key.endswith(rule.get("suffix", ""))
    )


def _rule_xml(rule: dict[str, Any]) -> str:
    conditions = "".join(
        f"<FilterRule>{element('Name', name.capitalize())}{element('Value', rule[name])}"
        "</FilterRule>"
        for name in ("prefix", "suffix")
        if name in rule
    )
    content = (
        element("Id", rule["id"])
        + element(_TARGETS[rule["target"]], rule["arn"])
        + "".join(element("Event", event) for event in rule["events"])
        + (f"<Filter><S3Key>{conditions}</S3Key></Filter>" if conditions else "")
    )
    return f"<{rule['target']}>{content}</{rule['target']}>"
