"""Stacks on disk: their resources, events and what is being done to them."""

from __future__ import annotations

import uuid
from typing import Any

from local_aws.instance import Instance

STACK = "cloudformation/stack"
RESOURCE = "cloudformation/resource"
EVENT = "cloudformation/event"
Document = dict[str, Any]


class StackRecord:
    """One stack's documents; every write is durable at once."""

    def __init__(self, aws: Instance, stack_id: str) -> None:
        self.aws = aws
        self.stack_id = stack_id

    @property
    def document(self) -> Document:
        found = self.aws.store.get(STACK, self.stack_id)
        assert found is not None
        return found

    def update(self, **changes: Any) -> Document:
        return self.aws.store.update(STACK, self.stack_id, **changes)

    def resources(self) -> dict[str, Document]:
        """The resources that exist, by logical id."""
        prefix = f"{self.stack_id}\n"
        found = self.aws.store.list(RESOURCE, prefix)
        return {key.removeprefix(prefix): document for key, document in found}

    def resource(self, logical_id: str) -> Document | None:
        return self.aws.store.get(RESOURCE, f"{self.stack_id}\n{logical_id}")

    def put_resource(self, logical_id: str, document: Document) -> None:
        self.aws.store.put(RESOURCE, f"{self.stack_id}\n{logical_id}", document)

    def drop_resource(self, logical_id: str) -> None:
        self.aws.store.delete(RESOURCE, f"{self.stack_id}\n{logical_id}")

    def status(self, status: str, reason: str = "", **changes: Any) -> None:
        """Set the stack's status, and tell it as an event."""
        with self.aws.store.transaction():
            document = self.update(status=status, reason=reason, **changes)
            self.event(
                document["StackName"], self.stack_id, "AWS::CloudFormation::Stack", status, reason
            )

    def event(
        self, logical_id: str, physical_id: str, kind: str, status: str, reason: str = ""
    ) -> None:
        """Append to the stack's events."""
        with self.aws.store.transaction():
            document = self.document
            number = document["events"] + 1
            self.update(events=number)
            event = {
                "StackId": self.stack_id,
                "EventId": f"{logical_id}-{uuid.uuid4()}",
                "StackName": document["StackName"],
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": physical_id,
                "ResourceType": kind,
                "Timestamp": self.aws.now(),
                "ResourceStatus": status,
            }
            if reason:
                event["ResourceStatusReason"] = reason
            self.aws.store.put(EVENT, f"{self.stack_id}\n{number:08d}", event)

    def events(self) -> list[Document]:
        """Newest first."""
        found = self.aws.store.list(EVENT, f"{self.stack_id}\n")
        return [document for _, document in reversed(found)]
