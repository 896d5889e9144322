"""Bringing a stack from what it is to what its template says, or back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.cloudformation.functions import Evaluator
from local_aws.cloudformation.resources import RESOURCE_TYPES
from local_aws.cloudformation.resources.base import Context, PropertyError
from local_aws.cloudformation.stacks import Document, StackRecord
from local_aws.cloudformation.template import Template, invalid, parse
from local_aws.instance import Instance
from local_aws.service import AwsError

log = logging.getLogger("local_aws.cloudformation")
GONE = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "EntityNotFoundException",
    "NoSuchBucket",
    "NoSuchEntity",
    "NotFound",
    "NotFoundException",
    "QueueDoesNotExist",
    "ResourceNotFound",
    "ResourceNotFoundException",
}
"""Error codes that say of a deleted resource that there is none."""


class ResourceFailure(Exception):
    """A resource could not be made, changed or deleted; the message says which and why."""

    def __init__(self, logical_id: str, reason: str) -> None:
        super().__init__(reason)
        self.logical_id = logical_id


@dataclass(frozen=True)
class Change:
    """What an update would do to one resource: Add, Modify or Remove."""

    action: str
    logical_id: str
    type: str
    physical_id: str
    replacement: bool


def pseudo_parameters(aws: Instance, stack: Document) -> dict[str, Any]:
    return {
        "AWS::AccountId": aws.config.account,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": aws.config.region,
        "AWS::StackId": stack["StackId"],
        "AWS::StackName": stack["StackName"],
        "AWS::URLSuffix": "amazonaws.com",
    }


def evaluator(
    aws: Instance,
    stack: Document,
    template: Template,
    parameters: dict[str, str],
    resources: dict[str, Document],
) -> Evaluator:
    """An evaluator that reads physical ids and attributes from ``resources``, as they come."""

    def found(name: str) -> Document:
        document = resources.get(name)
        if document is None or not document["physical"]:
            raise invalid(f"Template error: the resource {name} does not exist")
        return document

    def attribute(name: str, wanted: str) -> Any:
        document = found(name)
        if wanted not in document["attributes"]:
            raise invalid(
                f"Template error: resource {name} does not support attribute type {wanted} in"
                f" Fn::GetAtt; the embedded AWS knows {sorted(document['attributes'])} of"
                f" {document['type']}"
            )
        return document["attributes"][wanted]

    return Evaluator(
        template,
        parameters,
        pseudo_parameters(aws, stack),
        lambda name: found(name)["physical"],
        attribute,
    )


def outputs_of(values: Evaluator) -> list[dict[str, str]]:
    """The template's outputs whose condition holds."""
    outputs = []
    for name, declared in values.template.outputs.items():
        if "Condition" in declared and not values.condition(declared["Condition"]):
            continue
        output = {"OutputKey": name, "OutputValue": str(values.resolve(declared["Value"]))}
        if "Description" in declared:
            output["Description"] = declared["Description"]
        outputs.append(output)
    return outputs


def plan(
    aws: Instance, record: StackRecord | None, template: Template, parameters: dict[str, str]
) -> list[Change]:
    """What applying a template would change; an empty list when the stack is as it says.

    Raises:
        AwsError: the template cannot be applied (ValidationError, NotImplemented).
    """
    stack = record.document if record else {"StackId": "", "StackName": "", "outputs": []}
    existing = record.resources() if record else {}
    unknown: dict[str, str] = {}

    def reference(name: str) -> Any:
        if name in unknown or name not in existing:
            return unknown.get(name, f"(the new {name})")
        return existing[name]["physical"]

    def attribute(name: str, wanted: str) -> Any:
        if name in unknown or name not in existing:
            return f"(the new {name}.{wanted})"
        return existing[name]["attributes"].get(wanted)

    values = Evaluator(template, parameters, pseudo_parameters(aws, stack), reference, attribute)
    changes = []
    active = values.active()
    for name in active:
        resource = template.resources[name]
        handler = RESOURCE_TYPES[resource.type]
        properties = values.resolve(resource.properties)
        known = existing.get(name)
        if known is None or not known["physical"]:
            changes.append(Change("Add", name, resource.type, "", False))
            continue
        replaced = known["type"] != resource.type or handler.replaces(
            known["properties"], properties
        )
        if replaced:
            unknown[name] = f"(the new {name})"
        if replaced or known["properties"] != properties:
            changes.append(Change("Modify", name, resource.type, known["physical"], replaced))
        elif known["deletion_policy"] != resource.deletion_policy:
            changes.append(Change("Modify", name, resource.type, known["physical"], False))
    for name in existing.keys() - set(active):
        known = existing[name]
        changes.append(Change("Remove", name, known["type"], known["physical"], False))
    return changes


class Deployment:
    """Works on one stack, in a thread of its own; everything that it did is on disk.

    ``operation`` in the stack's document is what is to be done: ``kind`` (create, update,
    delete), ``template``, ``parameters``, and what has been done so far: ``undo`` and
    ``cleanup``. A server that starts again goes on from there.
    """

    def __init__(
        self,
        aws: Instance,
        client: Callable[[str], Any],
        record: StackRecord,
        stopping: threading.Event,
    ) -> None:
        self.aws = aws
        self.client = client
        self.record = record
        self._stopping = stopping
        self.stack = record.document
        self.operation: Document = self.stack["operation"]

    def run(self) -> None:
        """Do the operation to its end, whatever that is."""
        try:
            if self.operation["kind"] == "delete":
                self._delete()
            elif self.operation.get("rolling_back"):
                self._roll_back(self.stack["reason"])
            else:
                self._apply()
        except Exception as error:
            if self._stopping.is_set():
                return
            log.exception("the stack %s failed inside CloudFormation", self.stack["StackName"])
            failed = {"create": "CREATE_FAILED", "update": "UPDATE_FAILED"}
            self.record.status(
                failed.get(self.operation["kind"], "DELETE_FAILED"),
                f"{type(error).__name__}: {error}",
                operation=None,
            )

    # Forward

    def _apply(self) -> None:
        kind = self.operation["kind"]
        template = parse(self.operation["template"])
        resources = self.record.resources()
        values = evaluator(self.aws, self.stack, template, self.operation["parameters"], resources)
        try:
            active = values.active()
            for order, name in enumerate(active):
                self._bring(template, values, resources, name, order)
            outputs = outputs_of(values)
        except ResourceFailure as failure:
            verb = "create" if kind == "create" else "update"
            reason = (
                f"The following resource(s) failed to {verb}: [{failure.logical_id}]. {failure}"
            )
            self._failed(reason)
            return
        except AwsError as error:
            self._failed(error.message)
            return
        if kind == "update":
            self.record.status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            removed = [(name, resources[name]) for name in resources.keys() - set(active)]
            for name, document in sorted(removed, key=lambda item: -item[1]["order"]):
                if self._remove(name, document, document["deletion_policy"]):
                    self.record.drop_resource(name)
            for old in reversed(self.operation["cleanup"]):
                self._remove(old["logical"], old["document"], old["policy"])
        self.record.status(
            "CREATE_COMPLETE" if kind == "create" else "UPDATE_COMPLETE",
            template=self.operation["template"],
            parameters=self.operation["parameters"],
            description=template.description,
            outputs=outputs,
            operation=None,
        )

    def _bring(
        self,
        template: Template,
        values: Evaluator,
        resources: dict[str, Document],
        name: str,
        order: int,
    ) -> None:
        """Make or change one resource as the template says."""
        resource = template.resources[name]
        handler = RESOURCE_TYPES[resource.type]
        known = resources.get(name)
        # The server ended while it was being made: there may be half of it, or all.
        interrupted = known is not None and not known["physical"]
        if interrupted:
            known = None
        try:
            properties = values.resolve(resource.properties)
        except AwsError as error:
            raise ResourceFailure(name, error.message) from error
        same = known is not None and known["type"] == resource.type
        if known and same and known["properties"] == properties:
            policy = resource.deletion_policy
            if known["deletion_policy"] != policy or known["order"] != order:
                known = {**known, "deletion_policy": policy, "order": order}
                self.record.put_resource(name, known)
                resources[name] = known
            return
        base = {
            "type": resource.type,
            "properties": properties,
            "deletion_policy": resource.deletion_policy,
            "order": order,
        }
        if known and same and not handler.replaces(known["properties"], properties):
            self._remember({"action": "restore", "logical": name, "document": known})
            self._event(name, known["physical"], resource.type, "UPDATE_IN_PROGRESS")

            def change(context: Context) -> tuple[str, dict[str, Any]]:
                handler.check(properties)
                assert known is not None
                attributes = handler.update(
                    context, known["physical"], known["properties"], properties
                )
                return known["physical"], attributes

            physical, attributes = self._attempt(name, resource.type, "UPDATE", change)
        else:
            verb = "UPDATE" if known else "CREATE"
            reason = "Requested update requires the creation of a new physical resource"
            self._event(name, "", resource.type, f"{verb}_IN_PROGRESS", reason if known else "")
            if known:
                self._remember({"action": "swap", "logical": name, "document": known})
            else:
                self._remember({"action": "delete", "logical": name})
                waiting = {**base, "physical": "", "attributes": {}, "time": self.aws.now()}
                self.record.put_resource(
                    name, {**waiting, "status": "CREATE_IN_PROGRESS", "reason": ""}
                )

            def make(context: Context) -> tuple[str, dict[str, Any]]:
                handler.check(properties)
                if interrupted:
                    self._clear(context, resource.type, properties)
                return handler.create(context, properties)

            physical, attributes = self._attempt(name, resource.type, verb, make)
            if known:
                self.operation["cleanup"].append(
                    {"logical": name, "document": known, "policy": resource.replace_policy}
                )
                self.record.update(operation=self.operation)
        status = "UPDATE_COMPLETE" if known else "CREATE_COMPLETE"
        document = {
            **base,
            "physical": physical,
            "attributes": attributes,
            "status": status,
            "reason": "",
            "time": self.aws.now(),
        }
        resources[name] = document
        self.record.put_resource(name, document)
        self._event(name, physical, resource.type, status)

    @staticmethod
    def _clear(context: Context, kind: str, properties: dict[str, Any]) -> None:
        """Delete what an interrupted creation may have left, so that it can be made again."""
        handler = RESOURCE_TYPES[kind]
        physical = handler.physical_id(context, properties)
        if physical is None:
            return
        try:
            handler.delete(context, physical, properties)
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE:
                raise

    def _remember(self, undo: Document) -> None:
        self.operation["undo"].append(undo)
        self.record.update(operation=self.operation)

    def _attempt(
        self,
        name: str,
        kind: str,
        verb: str,
        work: Callable[[Context], tuple[str, dict[str, Any]]],
    ) -> tuple[str, dict[str, Any]]:
        try:
            return work(self._context(name))
        except Exception as error:
            if self._stopping.is_set():
                raise
            if not isinstance(error, ClientError | BotoCoreError | PropertyError | AwsError):
                log.exception("%s %s", kind, name)
            reason = f"{kind} {name}: {_message(error)}"
            self._event(name, "", kind, f"{verb}_FAILED", reason)
            raise ResourceFailure(name, reason) from error

    def _context(self, name: str) -> Context:
        return Context(
            client=self.client,
            region=self.aws.config.region,
            account=self.aws.config.account,
            stack_name=self.stack["StackName"],
            logical_id=name,
        )

    def _event(self, name: str, physical: str, kind: str, status: str, reason: str = "") -> None:
        self.record.event(name, physical, kind, status, reason)

    # Back

    def _failed(self, reason: str) -> None:
        kind = self.operation["kind"]
        on_failure = self.operation.get("on_failure", "ROLLBACK")
        if on_failure == "DO_NOTHING":
            failed = "CREATE_FAILED" if kind == "create" else "UPDATE_FAILED"
            self.record.status(failed, reason, operation=None)
            return
        self.operation["rolling_back"] = True
        self._roll_back(reason)

    def _roll_back(self, reason: str) -> None:
        creating = self.operation["kind"] == "create"
        status = "ROLLBACK" if creating else "UPDATE_ROLLBACK"
        self.record.status(f"{status}_IN_PROGRESS", reason, operation=self.operation)
        failures = []
        while self.operation["undo"]:
            undo = self.operation["undo"][-1]
            try:
                self._undo(undo)
            except ResourceFailure as failure:
                failures.append(str(failure))
            self.operation["undo"].pop()
            self.record.update(operation=self.operation)
        if failures:
            self.record.status(f"{status}_FAILED", "; ".join(failures), operation=None)
            return
        self.record.status(f"{status}_COMPLETE", reason, operation=None)
        if creating and self.operation.get("on_failure") == "DELETE":
            self.record.status("DELETE_COMPLETE", reason, deleted=self.aws.now())

    def _undo(self, undo: Document) -> None:
        name = undo["logical"]
        current = self.record.resource(name)
        if undo["action"] == "delete":
            if current and current["physical"]:
                policy = current["deletion_policy"]
                kept = "Retain" if policy == "Retain" else "Delete"
                if not self._remove(name, current, kept):
                    raise ResourceFailure(name, f"{name} could not be deleted")
            self.record.drop_resource(name)
            return
        before = undo["document"]
        changed = current is not None and current["physical"] != before["physical"]
        if undo["action"] == "swap" and changed:
            assert current is not None
            self._remove(name, current, "Delete")
        elif undo["action"] == "restore":
            after = current["properties"] if current else before["properties"]
            handler = RESOURCE_TYPES[before["type"]]
            self._event(name, before["physical"], before["type"], "UPDATE_IN_PROGRESS")

            def change(context: Context) -> tuple[str, dict[str, Any]]:
                attributes = handler.update(
                    context, before["physical"], after, before["properties"]
                )
                return before["physical"], attributes

            self._attempt(name, before["type"], "UPDATE", change)
        self.record.put_resource(name, before)
        self._event(name, before["physical"], before["type"], "UPDATE_COMPLETE")

    # Deletion

    def _delete(self) -> None:
        resources = self.record.resources()
        keep = set(self.operation.get("retain", []))
        failed = []
        for name, document in sorted(resources.items(), key=lambda item: -item[1]["order"]):
            policy = "Retain" if name in keep else document["deletion_policy"]
            if self._remove(name, document, policy):
                self.record.drop_resource(name)
            else:
                failed.append(name)
        if failed:
            self.record.status(
                "DELETE_FAILED",
                f"The following resource(s) failed to delete: [{', '.join(failed)}].",
                operation=None,
            )
            return
        self.record.status("DELETE_COMPLETE", operation=None, deleted=self.aws.now())

    def _remove(self, name: str, document: Document, policy: str) -> bool:
        """Delete a resource, or leave it alone as its policy says; False when that failed."""
        kind, physical = document["type"], document["physical"]
        if not physical:
            return True
        if policy != "Delete":
            self._event(name, physical, kind, "DELETE_SKIPPED")
            return True
        self._event(name, physical, kind, "DELETE_IN_PROGRESS")
        try:
            RESOURCE_TYPES[kind].delete(self._context(name), physical, document["properties"])
        except Exception as error:
            if self._stopping.is_set():
                raise
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            if code not in GONE:
                reason = f"{kind} {name}: {_message(error)}"
                self._event(name, physical, kind, "DELETE_FAILED", reason)
                if self.record.resource(name):
                    self.record.put_resource(
                        name, {**document, "status": "DELETE_FAILED", "reason": reason}
                    )
                return False
        self._event(name, physical, kind, "DELETE_COMPLETE")
        return True


def _message(error: Exception) -> str:
    if isinstance(error, ClientError):
        found = error.response["Error"]
        return f"{found['Code']}: {found['Message']} (in {error.operation_name})"
    if isinstance(error, AwsError):
        return error.message
    if isinstance(error, PropertyError | BotoCoreError):
        return str(error)
    return f"{type(error).__name__}: {error}"
