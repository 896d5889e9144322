"""One CloudFormation stack, applied and followed until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

NO_UPDATES = "No updates are to be performed"
MAX_TEMPLATE = 51_200
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.1, 5.0
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


class DeploymentError(Exception):
    """The stack is not as its template says; the message says why, and what to do."""


def without_comments(template: str) -> str:
    """The template as it is sent: what is for its readers alone counts towards no limit."""
    lines = template.splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith("#"))


class Stack:
    """The stack of that name; ``tell`` gets a line for each thing that happens to a resource."""

    def __init__(self, cloudformation: Any, name: str, tell: Callable[[str], None]) -> None:
        self._client = cloudformation
        self.name = name
        self._tell = tell

    def describe(self) -> dict[str, Any] | None:
        """As DescribeStacks says, or None when there is no such stack."""
        try:
            return self._client.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise

    def apply(self, template: str, parameters: Mapping[str, str]) -> bool:
        """Create or update the stack, and wait; False when there was nothing to change.

        Raises:
            DeploymentError: the template was refused, or rolled back, with the reasons.
        """
        template = without_comments(template)
        if len(template.encode()) > MAX_TEMPLATE:
            raise DeploymentError(
                f"the template has {len(template.encode())} bytes; CloudFormation takes at most"
                f" {MAX_TEMPLATE}: split it"
            )
        current = self._settled()
        if current and current["StackStatus"] == "ROLLBACK_COMPLETE":
            self._tell(f"{self.name} was rolled back when it was created; deleting what is left")
            self._client.delete_stack(StackName=current["StackId"])
            self._follow(current["StackId"], self._newest(current["StackId"]))
            current = None
        seen = self._newest(current["StackId"]) if current else None
        request = {
            "StackName": self.name,
            "TemplateBody": template,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            "Capabilities": ["CAPABILITY_NAMED_IAM"],
        }
        try:
            call = self._client.update_stack if current else self._client.create_stack
            stack_id = call(**request)["StackId"]
        except ClientError as error:
            message = error.response["Error"]["Message"]
            if NO_UPDATES in message:
                return False
            raise DeploymentError(f"{error.response['Error']['Code']}: {message}") from error
        status, reasons = self._follow(stack_id, seen)
        if status not in GOOD:
            why = "\n".join(f"  {reason}" for reason in reasons) or "  (no reason was given)"
            raise DeploymentError(f"the stack {self.name} ended as {status}:\n{why}")
        return True

    def _settled(self) -> dict[str, Any] | None:
        """The stack once nobody else is working on it."""
        pause = FIRST_POLL_SECONDS
        while True:
            current = self.describe()
            if current is None or not current["StackStatus"].endswith("_IN_PROGRESS"):
                return current
            self._tell(f"waiting: {self.name} is {current['StackStatus']}")
            time.sleep(pause)
            pause = min(pause * 2, LAST_POLL_SECONDS)

    def _events(self, stack_id: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
        for page in pages:
            yield from page["StackEvents"]

    def _newest(self, stack_id: str) -> str | None:
        return next((event["EventId"] for event in self._events(stack_id)), None)

    def _follow(self, stack_id: str, seen: str | None) -> tuple[str, list[str]]:
        """Tell events until the stack is done: its status, and why resources failed."""
        reasons: list[str] = []
        pause = FIRST_POLL_SECONDS
        while True:
            stack = self._client.describe_stacks(StackName=stack_id)["Stacks"][0]
            fresh = []
            for event in self._events(stack_id):
                if event["EventId"] == seen:
                    break
                fresh.append(event)
            if fresh:
                seen = fresh[0]["EventId"]
            for event in reversed(fresh):
                reason = event.get("ResourceStatusReason", "")
                status = event["ResourceStatus"]
                if status.endswith("_FAILED"):
                    reasons.append(f"{event['LogicalResourceId']}: {reason}")
                if status.endswith(("_COMPLETE", "_FAILED", "_SKIPPED")):
                    kind = event["ResourceType"].removeprefix("AWS::")
                    self._tell(f"{status:<20} {kind:<32} {event['LogicalResourceId']}")
            if not stack["StackStatus"].endswith("_IN_PROGRESS"):
                # An output that cannot be told is no resource that failed.
                said = stack.get("StackStatusReason")
                return stack["StackStatus"], reasons or ([said] if said else [])
            time.sleep(pause)
            pause = min(pause * 2, LAST_POLL_SECONDS)
