"""CloudFormation: stacks made of the other services' own calls.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Any

from local_aws.cloudformation.deployment import Deployment, evaluator, outputs_of, plan
from local_aws.cloudformation.references import check_references
from local_aws.cloudformation.resources import RESOURCE_TYPES
from local_aws.cloudformation.stacks import STACK, StackRecord
from local_aws.cloudformation.template import Template, invalid, parameter_values, parse
from local_aws.service import AwsError, Feature, Request, Response, Service, Unsupported, operation

CHANGE_SET = "cloudformation/change-set"
NO_UPDATES = "No updates are to be performed."
_NOT_UPDATABLE = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")


class CloudFormation(Service):
    """Templates applied through this AWS's own endpoint, with rollback; idempotent."""

    service_name = "cloudformation"
    features = (
        *(
            Feature("resource types", kind, "supported", ", ".join(item.properties))
            for kind, item in RESOURCE_TYPES.items()
        ),
        Feature("resource types", "any other", "refused"),
        Feature(
            "templates",
            "Ref, Fn::Base64, FindInMap, GetAtt, If, Join, Select, Split, Sub; conditions",
            "supported",
        ),
        Feature("templates", "Transform, Rules, Hooks, Export, dynamic references", "refused"),
        Feature("templates", "parameters of AWS-specific and SSM types", "refused"),
        Feature("stacks", "rollback, replacement, DeletionPolicy", "supported"),
        Feature("stacks", "nested stacks, stack sets, imports, drift, tags", "refused"),
        Feature("stacks", "resources side by side", "different", "One after the other."),
        Feature(
            "stacks",
            "a server that ends in the middle",
            "different",
            "The operation goes on when it starts again.",
        ),
    )

    def setup(self) -> None:
        self._lock = threading.RLock()
        self._stopping = threading.Event()

    def start(self) -> None:
        for stack_id, stack in self.aws.store.list(STACK):
            if stack.get("operation"):
                self._run(StackRecord(self.aws, stack_id))

    def stop(self) -> None:
        self._stopping.set()

    # Stacks

    @operation(
        "StackName",
        "TemplateBody",
        "Parameters",
        "Capabilities",
        "DisableRollback",
        "OnFailure",
        ignores={
            "TimeoutInMinutes": "no resource here takes a minute",
            "ClientRequestToken": "a stack's name is already taken the second time",
            "EnableTerminationProtection": "false is the default; true is refused",
        },
    )
    def CreateStack(self, request: Request) -> Response:
        """Create a stack from a template."""
        if request.get("EnableTerminationProtection"):
            raise Unsupported("termination protection of stacks")
        template = self._template(request)
        parameters = parameter_values(template, _given(request, {}))
        self._check(template, request)
        if request.get("DisableRollback") and request.get("OnFailure"):
            raise invalid("You cannot specify both OnFailure and DisableRollback")
        on_failure = request.get("OnFailure", "ROLLBACK")
        if request.get("DisableRollback"):
            on_failure = "DO_NOTHING"
        plan(self.aws, None, template, parameters)
        with self._lock:
            if self._live(request["StackName"]):
                raise AwsError(
                    "AlreadyExistsException", f"Stack [{request['StackName']}] already exists"
                )
            record = self._new(request["StackName"], template, parameters)
            self._begin(record, "create", template, parameters, request, on_failure)
        return {"StackId": record.stack_id}

    @operation(
        "StackName",
        "TemplateBody",
        "UsePreviousTemplate",
        "Parameters",
        "Capabilities",
        "DisableRollback",
        ignores={"ClientRequestToken": "an update that changes nothing is refused anyway"},
    )
    def UpdateStack(self, request: Request) -> Response:
        """Bring a stack to another template or other parameters."""
        with self._lock:
            record = self._updatable(request["StackName"])
            stack = record.document
            template = self._template(request, stack)
            parameters = parameter_values(template, _given(request, stack["parameters"]))
            self._check(template, request)
            if not self._differs(record, template, parameters):
                raise invalid(NO_UPDATES)
            on_failure = "DO_NOTHING" if request.get("DisableRollback") else "ROLLBACK"
            self._begin(record, "update", template, parameters, request, on_failure)
        return {"StackId": record.stack_id}

    @operation(
        "StackName",
        "RetainResources",
        ignores={"ClientRequestToken": "deleting twice is deleting once"},
    )
    def DeleteStack(self, request: Request) -> Response:
        """Delete a stack and its resources, as their deletion policies say."""
        with self._lock:
            record = self._find(request["StackName"])
            if record is None or record.document["status"] == "DELETE_COMPLETE":
                return {}
            if record.document.get("operation"):
                raise invalid(f"Stack [{record.stack_id}] is being worked on; wait for its end.")
            operation = {"kind": "delete", "retain": request.get("RetainResources", [])}
            record.status("DELETE_IN_PROGRESS", "User Initiated", operation=operation)
            self._run(record)
        return {}

    @operation("StackName", "NextToken")
    def DescribeStacks(self, request: Request) -> Response:
        """Stacks with parameters, outputs and status."""
        name = request.get("StackName")
        if name:
            record = self._existing(name)
            self.aws.wait_for(lambda: not record.document.get("operation"))
            return {"Stacks": [self._describe(record)]}
        records = [
            StackRecord(self.aws, stack_id)
            for stack_id, stack in self.aws.store.list(STACK)
            if stack["status"] != "DELETE_COMPLETE"
        ]
        return {"Stacks": [self._describe(record) for record in records]}

    @operation("StackStatusFilter", "NextToken")
    def ListStacks(self, request: Request) -> Response:
        """Stacks, deleted ones too, newest first."""
        wanted = request.get("StackStatusFilter")
        summaries = []
        for _, stack in self.aws.store.list(STACK):
            if wanted and stack["status"] not in wanted:
                continue
            summary = {
                "StackId": stack["StackId"],
                "StackName": stack["StackName"],
                "TemplateDescription": stack["description"],
                "CreationTime": stack["created"],
                "StackStatus": stack["status"],
                "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            }
            for member, key in (("LastUpdatedTime", "updated"), ("DeletionTime", "deleted")):
                if stack.get(key):
                    summary[member] = stack[key]
            if stack["reason"]:
                summary["StackStatusReason"] = stack["reason"]
            summaries.append(summary)
        summaries.sort(key=lambda item: item["CreationTime"], reverse=True)
        return {"StackSummaries": summaries}

    @operation("StackName", "NextToken")
    def DescribeStackEvents(self, request: Request) -> Response:
        """A stack's events, newest first, 100 a page."""
        events = self._existing(request["StackName"]).events()
        start = int(request.get("NextToken") or 0)
        answer: Response = {"StackEvents": events[start : start + 100]}
        if start + 100 < len(events):
            answer["NextToken"] = str(start + 100)
        return answer

    @operation("StackName", "LogicalResourceId", "PhysicalResourceId")
    def DescribeStackResources(self, request: Request) -> Response:
        """A stack's resources."""
        if "StackName" in request:
            record = self._existing(request["StackName"])
        elif "PhysicalResourceId" in request:
            record = self._holding(request["PhysicalResourceId"])
        else:
            raise invalid("Either StackName or PhysicalResourceId must be given")
        wanted = request.get("LogicalResourceId")
        stack = record.document
        found = [
            {"StackName": stack["StackName"], "StackId": record.stack_id, **item}
            for item in self._resources(record, "Timestamp")
            if wanted in (None, item["LogicalResourceId"])
        ]
        return {"StackResources": found}

    @operation("StackName", "LogicalResourceId")
    def DescribeStackResource(self, request: Request) -> Response:
        """One resource of a stack."""
        record = self._existing(request["StackName"])
        stack = record.document
        for item in self._resources(record, "LastUpdatedTimestamp"):
            if item["LogicalResourceId"] == request["LogicalResourceId"]:
                return {
                    "StackResourceDetail": {
                        "StackName": stack["StackName"],
                        "StackId": record.stack_id,
                        **item,
                    }
                }
        raise invalid(
            f"Resource {request['LogicalResourceId']} does not exist for stack {stack['StackName']}"
        )

    @operation("StackName", "NextToken")
    def ListStackResources(self, request: Request) -> Response:
        """A stack's resources, in short."""
        record = self._existing(request["StackName"])
        return {"StackResourceSummaries": self._resources(record, "LastUpdatedTimestamp")}

    # Templates

    @operation("StackName", "TemplateStage", "ChangeSetName")
    def GetTemplate(self, request: Request) -> Response:
        """A stack's or a change set's template."""
        if "ChangeSetName" in request:
            document = self._change_set(request)
            body = document["operation"]["template"]
        else:
            body = self._existing(request["StackName"]).document["template"]
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    @operation("TemplateBody")
    def ValidateTemplate(self, request: Request) -> Response:
        """Whether a template is well formed; its parameters and capabilities."""
        template = self._template(request)
        return {
            "Description": template.description,
            "Parameters": [
                _without_none(
                    {
                        "ParameterKey": name,
                        "DefaultValue": _text(declared.get("Default")),
                        "NoEcho": bool(declared.get("NoEcho")),
                        "Description": declared.get("Description"),
                    }
                )
                for name, declared in template.parameters.items()
            ],
            **_capabilities(template),
        }

    @operation("TemplateBody", "StackName")
    def GetTemplateSummary(self, request: Request) -> Response:
        """A template's parameters, capabilities and resource types."""
        stack = None
        if "StackName" in request:
            stack = self._existing(request["StackName"]).document
            request = {**request, "UsePreviousTemplate": True}
        template = self._template(request, stack)
        return {
            "Description": template.description,
            "Parameters": [
                _without_none(
                    {
                        "ParameterKey": name,
                        "DefaultValue": _text(declared.get("Default")),
                        "ParameterType": declared["Type"],
                        "NoEcho": bool(declared.get("NoEcho")),
                        "Description": declared.get("Description"),
                        "ParameterConstraints": {
                            "AllowedValues": [
                                str(value) for value in declared.get("AllowedValues", [])
                            ]
                        },
                    }
                )
                for name, declared in template.parameters.items()
            ],
            "ResourceTypes": sorted({item.type for item in template.resources.values()}),
            **_capabilities(template),
        }

    # Change sets

    @operation(
        "StackName",
        "ChangeSetName",
        "ChangeSetType",
        "TemplateBody",
        "UsePreviousTemplate",
        "Parameters",
        "Capabilities",
        "Description",
        "OnStackFailure",
        ignores={
            "ClientToken": "a change set's name is already taken the second time",
            "IncludeNestedStacks": "there are no nested stacks",
        },
    )
    def CreateChangeSet(self, request: Request) -> Response:
        """Work out what a template would change, to be executed later."""
        name, kind = request["StackName"], request.get("ChangeSetType", "UPDATE")
        if kind not in ("CREATE", "UPDATE"):
            raise Unsupported(f"change sets of the type {kind}")
        with self._lock:
            record = self._live(name)
            reviewing = record is not None and record.document["status"] == "REVIEW_IN_PROGRESS"
            if kind == "CREATE" and record and not reviewing:
                raise invalid(f"Stack [{name}] already exists and cannot be created again with the"
                              f" changeSet [{request['ChangeSetName']}].")  # fmt: skip
            if kind == "UPDATE":
                record = self._updatable(name)
            stack = record.document if record else None
            template = self._template(request, stack)
            previous = stack["parameters"] if stack and kind == "UPDATE" else {}
            parameters = parameter_values(template, _given(request, previous))
            self._check(template, request)
            changes = plan(self.aws, record, template, parameters)
            empty = kind == "UPDATE" and not self._differs(record, template, parameters)
            if record is None:
                record = self._new(name, template, parameters)
                record.status("REVIEW_IN_PROGRESS", "User Initiated")
            key = f"{record.stack_id}\n{request['ChangeSetName']}"
            if self.aws.store.get(CHANGE_SET, key):
                raise AwsError(
                    "AlreadyExistsException",
                    f"ChangeSet {request['ChangeSetName']} already exists for stack {name}",
                )
            change_set_id = self.aws.arn(
                "cloudformation", f"changeSet/{request['ChangeSetName']}/{uuid.uuid4()}"
            )
            self.aws.store.put(
                CHANGE_SET,
                key,
                {
                    "ChangeSetId": change_set_id,
                    "ChangeSetName": request["ChangeSetName"],
                    "StackId": record.stack_id,
                    "StackName": name,
                    "Description": request.get("Description", ""),
                    "CreationTime": self.aws.now(),
                    "Capabilities": request.get("Capabilities", []),
                    "Status": "FAILED" if empty else "CREATE_COMPLETE",
                    "StatusReason": "The submitted information didn't contain changes. Submit"
                    " different information to create a change set."
                    if empty
                    else "",
                    "ExecutionStatus": "UNAVAILABLE" if empty else "AVAILABLE",
                    "changes": [change.__dict__ for change in changes],
                    "operation": {
                        "kind": kind.lower(),
                        "template": template.body,
                        "parameters": parameters,
                        "on_failure": request.get("OnStackFailure", "ROLLBACK"),
                    },
                },
            )
        return {"Id": change_set_id, "StackId": record.stack_id}

    @operation("ChangeSetName", "StackName", "NextToken", "IncludePropertyValues")
    def DescribeChangeSet(self, request: Request) -> Response:
        """What a change set would do, and its state."""
        document = self._change_set(request)
        hidden = {"changes", "operation"}
        template = parse(document["operation"]["template"])
        return {
            **{key: value for key, value in document.items() if key not in hidden},
            "Parameters": _shown(template, document["operation"]["parameters"]),
            "Changes": [
                {
                    "Type": "Resource",
                    "ResourceChange": _without_none(
                        {
                            "Action": change["action"],
                            "LogicalResourceId": change["logical_id"],
                            "PhysicalResourceId": change["physical_id"] or None,
                            "ResourceType": change["type"],
                            "Replacement": str(change["replacement"])
                            if change["action"] == "Modify"
                            else None,
                            "Scope": ["Properties"] if change["action"] == "Modify" else [],
                            "Details": [],
                        }
                    ),
                }
                for change in document["changes"]
            ],
        }

    @operation(
        "ChangeSetName",
        "StackName",
        "DisableRollback",
        ignores={"ClientRequestToken": "a change set is executed once"},
    )
    def ExecuteChangeSet(self, request: Request) -> Response:
        """Do what a change set says."""
        with self._lock:
            document = self._change_set(request)
            if document["ExecutionStatus"] != "AVAILABLE":
                raise AwsError(
                    "InvalidChangeSetStatus",
                    f"ChangeSet [{document['ChangeSetId']}] cannot be executed in its current"
                    f" status of [{document['Status']}]",
                )
            record = StackRecord(self.aws, document["StackId"])
            operation = document["operation"]
            on_failure = "DO_NOTHING" if request.get("DisableRollback") else None
            self._begin(
                record,
                operation["kind"],
                parse(operation["template"]),
                operation["parameters"],
                {"Capabilities": document["Capabilities"]},
                on_failure or operation["on_failure"],
            )
            for key, _ in self.aws.store.list(CHANGE_SET, f"{record.stack_id}\n"):
                self.aws.store.delete(CHANGE_SET, key)
        return {}

    @operation("ChangeSetName", "StackName")
    def DeleteChangeSet(self, request: Request) -> Response:
        """Forget a change set."""
        document = self._change_set(request)
        self.aws.store.delete(CHANGE_SET, f"{document['StackId']}\n{document['ChangeSetName']}")
        return {}

    @operation("StackName", "NextToken")
    def ListChangeSets(self, request: Request) -> Response:
        """A stack's change sets."""
        record = self._existing(request["StackName"])
        members = (
            "StackId", "StackName", "ChangeSetId", "ChangeSetName", "ExecutionStatus", "Status",
            "StatusReason", "CreationTime", "Description",
        )  # fmt: skip
        found = self.aws.store.list(CHANGE_SET, f"{record.stack_id}\n")
        return {"Summaries": [{key: doc[key] for key in members} for _, doc in found]}

    # Shared

    def _template(self, request: Request, stack: Mapping[str, Any] | None = None) -> Template:
        if request.get("UsePreviousTemplate"):
            if stack is None:
                raise invalid("UsePreviousTemplate needs a stack that exists")
            body = stack["template"]
        elif request.get("TemplateBody"):
            body = request["TemplateBody"]
        else:
            raise invalid("Either Template URL or Template Body must be specified.")
        template = parse(body)
        check_references(template)
        kinds = {item.type for item in template.resources.values()}
        unknown = sorted(kinds - RESOURCE_TYPES.keys())
        if unknown:
            raise Unsupported(
                f"the resource types [{', '.join(unknown)}] of templates",
                f"Supported types: {', '.join(sorted(RESOURCE_TYPES))}.",
            )
        return template

    @staticmethod
    def _check(template: Template, request: Request) -> None:
        given = set(request.get("Capabilities", []))
        if "CAPABILITY_NAMED_IAM" in given:
            given.add("CAPABILITY_IAM")
        missing = [name for name in template.capabilities if name not in given]
        if missing:
            raise AwsError(
                "InsufficientCapabilitiesException",
                f"Requires capabilities : [{', '.join(missing)}]",
            )

    def _differs(
        self, record: StackRecord | None, template: Template, parameters: dict[str, str]
    ) -> bool:
        assert record is not None
        if plan(self.aws, record, template, parameters):
            return True
        stack = record.document
        values = evaluator(self.aws, stack, template, parameters, record.resources())
        return outputs_of(values) != stack["outputs"]

    def _new(self, name: str, template: Template, parameters: dict[str, str]) -> StackRecord:
        stack_id = self.aws.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}")
        self.aws.store.put(
            STACK,
            stack_id,
            {
                "StackId": stack_id,
                "StackName": name,
                "status": "",
                "reason": "",
                "created": self.aws.now(),
                "updated": None,
                "deleted": None,
                "template": template.body,
                "description": template.description,
                "parameters": parameters,
                "capabilities": [],
                "outputs": [],
                "events": 0,
                "operation": None,
            },
        )
        return StackRecord(self.aws, stack_id)

    def _begin(
        self,
        record: StackRecord,
        kind: str,
        template: Template,
        parameters: dict[str, str],
        request: Request,
        on_failure: str,
    ) -> None:
        operation = {
            "kind": kind,
            "template": template.body,
            "parameters": parameters,
            "on_failure": on_failure,
            "undo": [],
            "cleanup": [],
        }
        changes: dict[str, Any] = {"capabilities": request.get("Capabilities", [])}
        if kind == "update":
            changes["updated"] = self.aws.now()
        record.status(
            f"{kind.upper()}_IN_PROGRESS", "User Initiated", operation=operation, **changes
        )
        self._run(record)

    def _run(self, record: StackRecord) -> None:
        self.aws.background(Deployment(self.aws, self.aws.client, record, self._stopping).run)

    def _find(self, name: str) -> StackRecord | None:
        if name.startswith("arn:"):
            return StackRecord(self.aws, name) if self.aws.store.get(STACK, name) else None
        return self._live(name)

    def _live(self, name: str) -> StackRecord | None:
        """The stack of that name which is not deleted."""
        prefix = self.aws.arn("cloudformation", f"stack/{name}/")
        for stack_id, stack in self.aws.store.list(STACK, prefix):
            if stack["status"] != "DELETE_COMPLETE":
                return StackRecord(self.aws, stack_id)
        return None

    def _existing(self, name: str) -> StackRecord:
        record = self._find(name)
        if record is None:
            raise invalid(f"Stack with id {name} does not exist")
        return record

    def _updatable(self, name: str) -> StackRecord:
        record = self._existing(name)
        stack = record.document
        status = stack["status"]
        if stack.get("operation") or status in _NOT_UPDATABLE or status == "REVIEW_IN_PROGRESS":
            raise invalid(f"Stack:{record.stack_id} is in {status} state and can not be updated.")
        return record

    def _holding(self, physical_id: str) -> StackRecord:
        for stack_id, _ in self.aws.store.list(STACK):
            record = StackRecord(self.aws, stack_id)
            if any(item["physical"] == physical_id for item in record.resources().values()):
                return record
        raise invalid(f"Stack for {physical_id} does not exist")

    def _change_set(self, request: Request) -> dict[str, Any]:
        name = request["ChangeSetName"]
        record = self._find(request["StackName"]) if "StackName" in request else None
        for _, document in self.aws.store.list(CHANGE_SET):
            if name == document["ChangeSetId"]:
                return document
            of_stack = record is not None and document["StackId"] == record.stack_id
            if of_stack and name == document["ChangeSetName"]:
                return document
        raise AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")

    def _resources(self, record: StackRecord, time_member: str) -> list[dict[str, Any]]:
        return [
            _without_none(
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": item["physical"] or None,
                    "ResourceType": item["type"],
                    time_member: item["time"],
                    "ResourceStatus": item["status"],
                    "ResourceStatusReason": item["reason"] or None,
                    "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
                }
            )
            for name, item in record.resources().items()
        ]

    def _describe(self, record: StackRecord) -> dict[str, Any]:
        stack = record.document
        return _without_none(
            {
                "StackId": stack["StackId"],
                "StackName": stack["StackName"],
                "Description": stack["description"] or None,
                "Parameters": _shown(parse(stack["template"]), stack["parameters"]),
                "CreationTime": stack["created"],
                "LastUpdatedTime": stack["updated"],
                "DeletionTime": stack["deleted"],
                "StackStatus": stack["status"],
                "StackStatusReason": stack["reason"] or None,
                "DisableRollback": False,
                "NotificationARNs": [],
                "Capabilities": stack["capabilities"],
                "Outputs": stack["outputs"],
                "Tags": [],
                "EnableTerminationProtection": False,
                "RollbackConfiguration": {},
                "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
            }
        )


def _given(request: Request, previous: Mapping[str, str]) -> dict[str, str]:
    """Parameters of the request by name, with those of before where it says so."""
    given = {}
    for item in request.get("Parameters", []):
        name = item["ParameterKey"]
        if item.get("UsePreviousValue"):
            if name not in previous:
                raise invalid(f"Parameter {name} has no previous value")
            given[name] = previous[name]
        else:
            given[name] = item.get("ParameterValue", "")
    return given


def _shown(template: Template, parameters: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {
            "ParameterKey": name,
            "ParameterValue": "****" if template.parameters[name].get("NoEcho") else value,
        }
        for name, value in parameters.items()
        if name in template.parameters
    ]


def _capabilities(template: Template) -> dict[str, Any]:
    if not template.capabilities:
        return {"Capabilities": []}
    kinds = sorted(
        {item.type for item in template.resources.values() if item.type.startswith("AWS::IAM")}
    )
    return {
        "Capabilities": template.capabilities,
        "CapabilitiesReason": "The following resource(s) require capabilities:"
        f" [{', '.join(kinds)}]",
    }


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _without_none(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value is not None}
