"""Amazon SQS: standard queues whose messages are on disk before they are acknowledged.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_aws import snapshots
from local_aws.service import AwsError, Feature, Request, Response, Service, Unsupported, operation
from local_aws.sqs.attributes import DEFAULTS, READ_ONLY, TEXTS, checked, redrive_of
from local_aws.sqs.carried_over import old_queues
from local_aws.sqs.contents import (
    answered,
    attributes_digest,
    attributes_of,
    check_body,
    digest,
    invalid_parameter,
    size_of,
)
from local_aws.sqs.messages import Message, Messages, Redrive, read_receipt

QUEUE = "sqs/queue"
LARGEST_BATCH = 1_048_576
LONGEST_HIDDEN = 43_200
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ENTRY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FORGET_MS = 60_000
log = logging.getLogger("local_aws.sqs")


class Sqs(Service):
    """Standard queues."""

    service_name = "sqs"
    features = (
        Feature(
            "durability",
            "queues and messages",
            "supported",
            "On disk before they are acknowledged; `<state>/sqs.sqlite`.",
        ),
        Feature("queues", "standard queues, dead-letter queues, delays", "supported"),
        Feature("queues", "FIFO queues, redrive allow policies", "refused"),
        Feature("queues", "policies, encryption", "different", "Kept and returned, not enforced."),
        Feature(
            "queues",
            "60 seconds between purges, or before a name can be used again",
            "different",
            "There is no need to wait.",
        ),
        Feature(
            "messages",
            "order",
            "different",
            "Oldest first, and once as long as they are hidden; AWS promises neither.",
        ),
        Feature(
            "messages",
            "a receipt handle of an earlier reception",
            "different",
            "Deletes nothing; on AWS it may.",
        ),
        Feature("messages", "moving back from a dead-letter queue by a task", "refused"),
        Feature(
            "messages",
            "long polling",
            "different",
            "Answered at once when too many calls wait already.",
        ),
    )

    def setup(self) -> None:
        self._messages = Messages(self.aws.config.state / "sqs.sqlite")
        self._changing = threading.RLock()
        self._arrived = threading.Condition()
        self._arrivals = 0
        self._forgotten: dict[str, int] = {}
        self._stopped = False
        snapshot = snapshots.newest(self.aws.config.state / "moto", "sqs")
        if snapshot:
            self._carry_over(snapshot)

    def expire(self) -> None:
        """Delete the messages whose retention is over, also where nobody receives."""
        for _, document in self.aws.store.list(QUEUE):
            self._forget_old(document, self._now())

    def stop(self) -> None:
        self._stopped = True
        self._announce()
        self._messages.close()

    # What other engines use

    def queue(self, name: str) -> dict[str, Any]:
        """A queue's document.

        Raises:
            AwsError: QueueDoesNotExist.
        """
        document = self.aws.store.get(QUEUE, name)
        if document is None:
            raise AwsError("QueueDoesNotExist", "The specified queue does not exist.")
        return document

    def arn(self, name: str) -> str:
        return self.aws.arn("sqs", name)

    def attribute(self, document: dict[str, Any], name: str) -> str:
        """A queue's attribute, or its default."""
        return document["attributes"].get(name) or DEFAULTS.get(name, "")

    def send(self, name: str, body: str, attributes: dict[str, Any] | None = None) -> str:
        """Put a message into a queue, as SendMessage does; its id.

        Raises:
            AwsError: QueueDoesNotExist, or what SendMessage raises.
        """
        document = self.queue(name)
        given = {"MessageBody": body, "MessageAttributes": attributes or {}}
        message, visible = self._message(document, given)
        self._add(document, [(message, visible)])
        return message.message_id

    def receive(
        self,
        document: dict[str, Any],
        most: int,
        hidden: int | None = None,
        wait: float = 0.0,
        over: Callable[[], bool] = lambda: False,
    ) -> list[Message]:
        """Give out up to ``most`` messages of a queue.

        Args:
            hidden: seconds until they are visible again; None is the queue's own.
            wait: seconds to wait for the first of them.
            over: ends the waiting when it holds (see :meth:`wake`).
        """
        if hidden is None:
            hidden = int(self.attribute(document, "VisibilityTimeout"))
        redrive = self._redrive(document)
        deadline = time.monotonic() + wait
        while True:
            arrivals = self._arrivals
            now = self._now()
            if self._stopped:
                return []
            self._forget_old(document, now)
            found, any_moved = self._messages.receive(
                document["id"], now, now + hidden * 1000, most, redrive
            )
            if any_moved:
                self._announce()
            left = deadline - time.monotonic()
            if found or left <= 0 or over():
                return found
            upcoming = self._messages.next_visible(document["id"], now)
            if upcoming is not None:
                left = min(left, max(0.001, (upcoming - self._now()) / 1000))
            with self._arrived:
                if self._arrivals == arrivals:
                    self._arrived.wait(left)

    def wake(self) -> None:
        """Have every waiting receiver look again."""
        self._announce()

    def delete(self, document: dict[str, Any], messages: list[Message]) -> None:
        """Delete messages that were given out."""
        receipts = [(message.id, message.received) for message in messages]
        self._messages.delete(document["id"], receipts)

    def hide(self, document: dict[str, Any], messages: list[Message], seconds: int) -> None:
        """Make messages that were given out visible again after some seconds."""
        now = self._now()
        for message in messages:
            receipt = (message.id, message.received)
            self._messages.hide(document["id"], receipt, now, now + seconds * 1000)
        self._announce()

    # Queues

    @operation("QueueName", "Attributes", "tags")
    def CreateQueue(self, request: Request) -> Response:
        """Create a standard queue, or find one with the same attributes."""
        name = request["QueueName"]
        if name.endswith(".fifo"):
            raise Unsupported("FIFO queues", "Use a standard queue.")
        if not _NAME.fullmatch(name):
            raise invalid_parameter(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in"
                " length"
            )
        given = self._checked(request.get("Attributes") or {})
        with self._changing:
            existing = self.aws.store.get(QUEUE, name)
            if existing:
                for key, value in given.items():
                    if self.attribute(existing, key) != value:
                        raise AwsError(
                            "QueueNameExists",
                            "A queue already exists with the same name and a different value for"
                            f" attribute {key}",
                        )
            else:
                now = self.aws.now()
                document = {
                    "id": uuid.uuid4().hex[:16],
                    "name": name,
                    "attributes": {key: value for key, value in given.items() if value},
                    "tags": request.get("tags") or {},
                    "created": now,
                    "modified": now,
                }
                self.aws.store.put(QUEUE, name, document)
        return {"QueueUrl": self._url(name)}

    @operation("QueueName", ignores={"QueueOwnerAWSAccountId": "one account owns every queue"})
    def GetQueueUrl(self, request: Request) -> Response:
        """A queue's address."""
        return {"QueueUrl": self._url(self.queue(request["QueueName"])["name"])}

    @operation("QueueNamePrefix", "NextToken", "MaxResults")
    def ListQueues(self, request: Request) -> Response:
        """The addresses of queues by name, up to 1,000 a page."""
        limit = request.get("MaxResults") or 1000
        names = [
            name
            for name in self.aws.store.keys(QUEUE, request.get("QueueNamePrefix") or "")
            if name > (request.get("NextToken") or "")
        ]
        answer: Response = {"QueueUrls": [self._url(name) for name in names[:limit]]}
        if len(names) > limit and request.get("MaxResults"):
            answer["NextToken"] = names[limit - 1]
        return answer

    @operation("QueueUrl", "AttributeNames")
    def GetQueueAttributes(self, request: Request) -> Response:
        """A queue's attributes, and how many messages it has."""
        document = self._at(request)
        names = request.get("AttributeNames") or []
        visible, hidden, delayed = self._messages.counts(document["id"], self._now())
        known = {
            **DEFAULTS,
            **document["attributes"],
            "QueueArn": self.arn(document["name"]),
            "CreatedTimestamp": str(int(document["created"].timestamp())),
            "LastModifiedTimestamp": str(int(document["modified"].timestamp())),
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
        }
        for name in names:
            if name != "All" and name not in (*DEFAULTS, *TEXTS, *READ_ONLY, *known):
                raise AwsError("InvalidAttributeName", f"Unknown Attribute {name}.")
        chosen = {k: v for k, v in known.items() if "All" in names or k in names}
        return {"Attributes": chosen} if chosen else {}

    @operation("QueueUrl", "Attributes")
    def SetQueueAttributes(self, request: Request) -> Response:
        """Change some of a queue's attributes."""
        given = self._checked(request["Attributes"])
        with self._changing:
            document = self._at(request)
            attributes = {
                key: value for key, value in (document["attributes"] | given).items() if value
            }
            self.aws.store.update(
                QUEUE, document["name"], attributes=attributes, modified=self.aws.now()
            )
        return {}

    @operation("QueueUrl")
    def DeleteQueue(self, request: Request) -> Response:
        """Delete a queue with its messages."""
        with self._changing:
            document = self._at(request)
            self.aws.store.delete(QUEUE, document["name"])
        self._messages.forget(document["id"])
        return {}

    @operation("QueueUrl")
    def PurgeQueue(self, request: Request) -> Response:
        """Delete a queue's messages."""
        self._messages.forget(self._at(request)["id"])
        return {}

    @operation("QueueUrl", "NextToken", "MaxResults")
    def ListDeadLetterSourceQueues(self, request: Request) -> Response:
        """The queues whose dead letters go to this one."""
        wanted = self.arn(self._at(request)["name"])
        names = [
            name
            for name, document in self.aws.store.list(QUEUE)
            if "RedrivePolicy" in document["attributes"]
            and redrive_of(document["attributes"]["RedrivePolicy"])[0] == wanted
            and name > (request.get("NextToken") or "")
        ]
        limit = request.get("MaxResults") or 1000
        answer: Response = {"queueUrls": [self._url(name) for name in names[:limit]]}
        if len(names) > limit:
            answer["NextToken"] = names[limit - 1]
        return answer

    @operation("QueueUrl", "Tags")
    def TagQueue(self, request: Request) -> Response:
        """Add tags to a queue."""
        with self._changing:
            document = self._at(request)
            self.aws.store.update(QUEUE, document["name"], tags=document["tags"] | request["Tags"])
        return {}

    @operation("QueueUrl", "TagKeys")
    def UntagQueue(self, request: Request) -> Response:
        """Take tags from a queue."""
        with self._changing:
            document = self._at(request)
            tags = {k: v for k, v in document["tags"].items() if k not in request["TagKeys"]}
            self.aws.store.update(QUEUE, document["name"], tags=tags)
        return {}

    @operation("QueueUrl")
    def ListQueueTags(self, request: Request) -> Response:
        """A queue's tags."""
        tags = self._at(request)["tags"]
        return {"Tags": tags} if tags else {}

    # Messages

    @operation(
        "QueueUrl",
        "MessageBody",
        "DelaySeconds",
        "MessageAttributes",
        "MessageSystemAttributes",
        "MessageGroupId",
    )
    def SendMessage(self, request: Request) -> Response:
        """Put a message into a queue; it is on disk when the call returns."""
        document = self._at(request)
        message, visible = self._message(document, request)
        self._add(document, [(message, visible)])
        return self._sent(message)

    @operation("QueueUrl", "Entries")
    def SendMessageBatch(self, request: Request) -> Response:
        """Put up to ten messages into a queue, each with its own result."""
        document = self._at(request)
        entries = self._entries(request)
        size = sum(
            size_of(entry["MessageBody"], attributes_of(entry.get("MessageAttributes") or {}))
            for entry in entries
        )
        if size > LARGEST_BATCH:
            raise AwsError(
                "BatchRequestTooLong",
                "Batch requests cannot be longer than"
                f" {LARGEST_BATCH} bytes. You have sent {size} bytes.",
            )
        good: list[tuple[Message, int]] = []
        answer: Response = {"Successful": [], "Failed": []}
        for entry in entries:
            try:
                message = self._message(document, entry)
            except AwsError as error:
                answer["Failed"].append(_failed(entry, error))
            else:
                good.append(message)
                answer["Successful"].append({"Id": entry["Id"], **self._sent(message[0])})
        self._add(document, good)
        return answer

    @operation(
        "QueueUrl",
        "AttributeNames",
        "MessageSystemAttributeNames",
        "MessageAttributeNames",
        "MaxNumberOfMessages",
        "VisibilityTimeout",
        "WaitTimeSeconds",
    )
    def ReceiveMessage(self, request: Request) -> Response:
        """Give out up to ten messages, waiting up to 20 seconds for the first."""
        document = self._at(request)
        most = _within(request, "MaxNumberOfMessages", 1, 10, "Must be between 1 and 10")
        wait = _within(request, "WaitTimeSeconds", 0, 20, "Must be >= 0 and <= 20")
        if wait is None:
            wait = int(self.attribute(document, "ReceiveMessageWaitTimeSeconds"))
        hidden = _within(
            request,
            "VisibilityTimeout",
            0,
            LONGEST_HIDDEN,
            f"Must be between 0 and {LONGEST_HIDDEN}",
        )
        if most is None:
            most = 1
        found = self.receive(document, most, hidden)
        if not found and wait:
            with self.aws.waiting() as may_wait:
                seconds = wait if may_wait else 0.0
                found = self.receive(document, most, hidden, seconds, self.aws.stopping)
        if not found:
            return {}
        return {"Messages": [self._received(message, request) for message in found]}

    @operation("QueueUrl", "ReceiptHandle")
    def DeleteMessage(self, request: Request) -> Response:
        """Delete a message that was given out."""
        document = self._at(request)
        self._messages.delete(document["id"], [_receipt(request)])
        return {}

    @operation("QueueUrl", "Entries")
    def DeleteMessageBatch(self, request: Request) -> Response:
        """Delete up to ten messages, each with its own result."""
        document = self._at(request)
        return self._each(
            request, lambda entry: self._messages.delete(document["id"], [_receipt(entry)])
        )

    @operation("QueueUrl", "ReceiptHandle", "VisibilityTimeout")
    def ChangeMessageVisibility(self, request: Request) -> Response:
        """Change when a message that was given out is visible again."""
        self._hide(self._at(request), request)
        self._announce()
        return {}

    @operation("QueueUrl", "Entries")
    def ChangeMessageVisibilityBatch(self, request: Request) -> Response:
        """Change the visibility of up to ten messages, each with its own result."""
        document = self._at(request)
        answer = self._each(request, lambda entry: self._hide(document, entry))
        self._announce()
        return answer

    # Shared

    def _carry_over(self, snapshot: Path) -> None:
        """Take over what moto kept, once; the file stays under another name."""
        queues = list(old_queues(snapshot, self.aws.config.region))
        for queue in queues:
            plain = {k: v for k, v in queue.attributes.items() if k != "RedrivePolicy"}
            self.CreateQueue({"QueueName": queue.name, "Attributes": plain, "tags": queue.tags})
            for body, attributes in queue.messages:
                self.send(queue.name, body, attributes)
        for queue in queues:
            if "RedrivePolicy" in queue.attributes:
                redrive = {"RedrivePolicy": queue.attributes["RedrivePolicy"]}
                self.SetQueueAttributes({"QueueUrl": queue.name, "Attributes": redrive})
        snapshots.set_aside(snapshot)
        log.info("took %d queues over from %s", len(queues), snapshot)

    def _now(self) -> int:
        return time.time_ns() // 1_000_000

    def _announce(self) -> None:
        with self._arrived:
            self._arrivals += 1
            self._arrived.notify_all()

    def _url(self, name: str) -> str:
        return f"{self.aws.endpoint_url}/{self.aws.config.account}/{name}"

    def _at(self, request: Request) -> dict[str, Any]:
        return self.queue(request["QueueUrl"].rstrip("/").rpartition("/")[2])

    def _checked(self, given: dict[str, str]) -> dict[str, str]:
        attributes = checked(given)
        if attributes.get("RedrivePolicy"):
            target, _ = redrive_of(attributes["RedrivePolicy"])
            name = target.rpartition(":")[2]
            if target != self.arn(name) or self.aws.store.get(QUEUE, name) is None:
                raise invalid_parameter(
                    f"Value {attributes['RedrivePolicy']} for parameter RedrivePolicy is invalid."
                    " Reason: Dead letter target does not exist."
                )
        return attributes

    def _redrive(self, document: dict[str, Any]) -> Redrive | None:
        policy = document["attributes"].get("RedrivePolicy")
        if not policy:
            return None
        target, most = redrive_of(policy)
        queue = self.aws.store.get(QUEUE, target.rpartition(":")[2])
        return Redrive(queue["id"], most, self.arn(document["name"])) if queue else None

    def _forget_old(self, document: dict[str, Any], now: int) -> None:
        if now - self._forgotten.get(document["id"], 0) > _FORGET_MS:
            self._forgotten[document["id"]] = now
            kept = int(self.attribute(document, "MessageRetentionPeriod")) * 1000
            self._messages.forget(document["id"], now - kept)

    def _message(self, document: dict[str, Any], given: Request) -> tuple[Message, int]:
        """A message from a request or an entry, and when it becomes visible.

        Raises:
            AwsError: InvalidParameterValue, InvalidMessageContents.
        """
        body = given.get("MessageBody") or ""
        check_body(body)
        attributes = attributes_of(given.get("MessageAttributes") or {})
        largest = int(self.attribute(document, "MaximumMessageSize"))
        if size_of(body, attributes) > largest:
            raise invalid_parameter(
                f"One or more parameters are invalid. Reason: Message must be shorter than"
                f" {largest} bytes."
            )
        if given.get("MessageDeduplicationId"):
            raise invalid_parameter(
                "The request include parameter that is not valid for this queue type."
                " Reason: MessageDeduplicationId is only valid for FIFO queues"
            )
        system = {}
        for name, value in (given.get("MessageSystemAttributes") or {}).items():
            if name != "AWSTraceHeader":
                raise invalid_parameter(f"Message system attribute name '{name}' is invalid.")
            system[name] = value["StringValue"]
        if given.get("MessageGroupId"):
            system["MessageGroupId"] = given["MessageGroupId"]
        delay = _within(given, "DelaySeconds", 0, 900, "DelaySeconds must be >= 0 and <= 900")
        if delay is None:
            delay = int(self.attribute(document, "DelaySeconds"))
        now = self._now()
        message = Message(str(uuid.uuid4()), body, attributes, system, now)
        return message, now + delay * 1000

    def _add(self, document: dict[str, Any], messages: list[tuple[Message, int]]) -> None:
        if messages:
            self._messages.add(document["id"], messages)
            self._announce()

    @staticmethod
    def _sent(message: Message) -> Response:
        answer = {
            "MessageId": message.message_id,
            "MD5OfMessageBody": digest(message.body),
        }
        if message.attributes:
            answer["MD5OfMessageAttributes"] = attributes_digest(message.attributes)
        if "AWSTraceHeader" in message.system:
            answer["MD5OfMessageSystemAttributes"] = attributes_digest(
                {
                    "AWSTraceHeader": {
                        "DataType": "String",
                        "StringValue": message.system["AWSTraceHeader"],
                    }
                }
            )
        return answer

    def system_attributes(self, message: Message) -> dict[str, str]:
        """What SQS says of a message that was given out."""
        return {
            "ApproximateReceiveCount": str(message.received),
            "SentTimestamp": str(message.sent),
            "SenderId": self.aws.config.account,
            "ApproximateFirstReceiveTimestamp": str(message.first),
            **message.system,
        }

    def _received(self, message: Message, request: Request) -> Response:
        answer: Response = {
            "MessageId": message.message_id,
            "ReceiptHandle": message.receipt,
            "MD5OfBody": digest(message.body),
            "Body": message.body,
        }
        names = {
            *(request.get("AttributeNames") or ()),
            *(request.get("MessageSystemAttributeNames") or ()),
        }
        system = {
            name: value
            for name, value in self.system_attributes(message).items()
            if "All" in names or name in names
        }
        if system:
            answer["Attributes"] = system
        chosen = {
            name: value
            for name, value in message.attributes.items()
            if _is_wanted(name, request.get("MessageAttributeNames") or ())
        }
        if chosen:
            answer["MessageAttributes"] = answered(chosen)
            answer["MD5OfMessageAttributes"] = attributes_digest(chosen)
        return answer

    def _hide(self, document: dict[str, Any], given: Request) -> None:
        seconds = given.get("VisibilityTimeout") or 0
        if not 0 <= seconds <= LONGEST_HIDDEN:
            raise invalid_parameter(
                f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be"
                f" between 0 and {LONGEST_HIDDEN}, if provided."
            )
        now = self._now()
        if not self._messages.hide(document["id"], _receipt(given), now, now + seconds * 1000):
            raise invalid_parameter(
                f"Value {given['ReceiptHandle']} for parameter ReceiptHandle is invalid. Reason:"
                " Message does not exist or is not available for visibility timeout change."
            )

    def _each(self, request: Request, work: Callable[[dict[str, Any]], None]) -> Response:
        answer: Response = {"Successful": [], "Failed": []}
        for entry in self._entries(request):
            try:
                work(entry)
            except AwsError as error:
                answer["Failed"].append(_failed(entry, error))
            else:
                answer["Successful"].append({"Id": entry["Id"]})
        return answer

    @staticmethod
    def _entries(request: Request) -> list[dict[str, Any]]:
        """A batch's entries.

        Raises:
            AwsError: EmptyBatchRequest, TooManyEntriesInBatchRequest, InvalidBatchEntryId,
                BatchEntryIdsNotDistinct.
        """
        entries = request["Entries"]
        if not entries:
            raise AwsError("EmptyBatchRequest", "There should be at least one entry in the batch.")
        if len(entries) > 10:
            raise AwsError(
                "TooManyEntriesInBatchRequest",
                f"Maximum number of entries per request are 10. You have sent {len(entries)}.",
            )
        seen: set[str] = set()
        for entry in entries:
            if not _ENTRY.fullmatch(entry["Id"]):
                raise AwsError(
                    "InvalidBatchEntryId",
                    "A batch entry id can only contain alphanumeric characters, hyphens and"
                    " underscores. It can be at most 80 letters long.",
                )
            if entry["Id"] in seen:
                raise AwsError("BatchEntryIdsNotDistinct", f"Id {entry['Id']} repeated.")
            seen.add(entry["Id"])
        return entries


def _receipt(given: Request) -> tuple[int, int]:
    found = read_receipt(given["ReceiptHandle"])
    if found is None:
        raise AwsError(
            "ReceiptHandleIsInvalid",
            f'The input receipt handle "{given["ReceiptHandle"]}" is not a valid receipt handle.',
        )
    return found


def _failed(entry: dict[str, Any], error: AwsError) -> dict[str, Any]:
    return {"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message}


def _is_wanted(name: str, patterns: Any) -> bool:
    return any(
        pattern in ("All", ".*", name) or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
        for pattern in patterns
    )


def _within(given: Request, name: str, least: int, most: int, rule: str) -> int | None:
    value = given.get(name)
    if value is not None and not least <= value <= most:
        raise invalid_parameter(
            f"Value {value} for parameter {name} is invalid. Reason: {rule}, if provided."
        )
    return value
