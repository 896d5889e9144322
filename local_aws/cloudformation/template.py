"""CloudFormation templates: read from YAML or JSON, and checked for what is supported.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from local_aws.service import AwsError, Unsupported

MAX_BODY = 51_200
SECTIONS = (
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
)
UNSUPPORTED_SECTIONS = ("Transform", "Rules", "Hooks")
RESOURCE_MEMBERS = (
    "Type",
    "Properties",
    "Condition",
    "DependsOn",
    "Metadata",
    "DeletionPolicy",
    "UpdateReplacePolicy",
)
DELETION_POLICIES = ("Delete", "Retain", "RetainExceptOnCreate")
PARAMETER_TYPES = ("String", "Number", "CommaDelimitedList", "List<Number>")
NAMED_IAM = {
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
}
_LOGICAL_ID = re.compile(r"[a-zA-Z0-9]{1,255}")


def invalid(message: str) -> AwsError:
    """CloudFormation's ValidationError."""
    return AwsError("ValidationError", message)


class _Loader(yaml.SafeLoader):
    """YAML as CloudFormation reads it: short forms of functions, dates as text, no aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise invalid(
                "Template error: YAML aliases are not allowed in CloudFormation templates"
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise invalid(
                    f"Template format error: duplicate key {key_node.value} at line"
                    f" {key_node.start_mark.line + 1}"
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=True)


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@dataclass(frozen=True)
class Resource:
    """One resource of a template, its functions not yet resolved."""

    logical_id: str
    type: str
    properties: dict[str, Any]
    condition: str | None
    depends_on: tuple[str, ...]
    deletion_policy: str
    replace_policy: str


@dataclass(frozen=True)
class Template:
    """A template that is well formed; whether its types are supported is not yet known."""

    body: str
    description: str
    parameters: dict[str, dict[str, Any]]
    mappings: dict[str, Any]
    conditions: dict[str, Any]
    resources: dict[str, Resource]
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def capabilities(self) -> list[str]:
        """What the caller must acknowledge before this template is applied."""
        iam = [item for item in self.resources.values() if item.type.startswith("AWS::IAM::")]
        if any(NAMED_IAM.get(item.type) in item.properties for item in iam):
            return ["CAPABILITY_NAMED_IAM"]
        return ["CAPABILITY_IAM"] if iam else []


def parse(body: str) -> Template:
    """Read a template.

    Raises:
        AwsError: ValidationError, naming what is wrong and where.
        Unsupported: a section or member that is not implemented.
    """
    if len(body.encode()) > MAX_BODY:
        raise invalid(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint:"
            f" Member must have length less than or equal to {MAX_BODY}"
        )
    try:
        document = yaml.load(body, Loader=_Loader)  # noqa: S506 (a subclass of the safe loader)
    except yaml.YAMLError as error:
        raise invalid(f"Template format error: YAML not well-formed. {error}") from error
    if not isinstance(document, dict):
        raise invalid("Template format error: unsupported structure.")
    for section in document:
        if section in UNSUPPORTED_SECTIONS:
            raise Unsupported(f"the section {section} of templates")
        if section not in SECTIONS:
            raise invalid(f"Invalid template property or properties [{section}]")
    resources = document.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise invalid("Template format error: At least one Resources member must be defined.")
    template = Template(
        body=body,
        description=document.get("Description", ""),
        parameters=_section(document, "Parameters"),
        mappings=_section(document, "Mappings"),
        conditions=_section(document, "Conditions"),
        resources={name: _resource(name, item) for name, item in resources.items()},
        outputs=_section(document, "Outputs"),
    )
    for name, declared in template.parameters.items():
        if declared.get("Type") not in PARAMETER_TYPES:
            raise Unsupported(
                f"the type {declared.get('Type')} of parameter {name}",
                f"Supported types: {', '.join(PARAMETER_TYPES)}.",
            )
    for name, output in template.outputs.items():
        if "Export" in output:
            raise Unsupported(f"Export of the output {name}")
        if "Value" not in output:
            raise invalid(f"Template format error: Output {name} must have a Value.")
    return template


def _section(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = document.get(name) or {}
    if not isinstance(section, dict):
        raise invalid(f"Template format error: {name} must be a map.")
    return section


def _resource(name: str, item: Any) -> Resource:
    if not _LOGICAL_ID.fullmatch(str(name)):
        raise invalid(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(item, dict) or "Type" not in item:
        raise invalid(f"Template format error: [/Resources/{name}] Every Resources object must"
                      " contain a Type member.")  # fmt: skip
    for member in item:
        if member in ("CreationPolicy", "UpdatePolicy"):
            raise Unsupported(f"{member} of the resource {name}")
        if member not in RESOURCE_MEMBERS:
            raise invalid(f"Invalid template resource property '{member}' of {name}")
    for member in ("DeletionPolicy", "UpdateReplacePolicy"):
        policy = item.get(member, "Delete")
        if policy not in DELETION_POLICIES:
            raise Unsupported(f"the {member} {policy} of the resource {name}")
    depends = item.get("DependsOn") or []
    return Resource(
        logical_id=name,
        type=item["Type"],
        properties=item.get("Properties") or {},
        condition=item.get("Condition"),
        depends_on=(depends,) if isinstance(depends, str) else tuple(depends),
        deletion_policy=item.get("DeletionPolicy", "Delete"),
        replace_policy=item.get("UpdateReplacePolicy", "Delete"),
    )


def parameter_values(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Every parameter's value, checked against what the template declares.

    Raises:
        AwsError: ValidationError, naming the parameter.
    """
    unknown = [name for name in given if name not in template.parameters]
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {}
    missing = []
    for name, declared in template.parameters.items():
        value = given.get(name, declared.get("Default"))
        if value is None:
            missing.append(name)
            continue
        values[name] = _text(value)
        _check_parameter(name, values[name], declared)
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    return values


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _check_parameter(name: str, value: str, declared: Mapping[str, Any]) -> None:
    why = declared.get("ConstraintDescription")

    def fail(message: str) -> AwsError:
        if why:
            message = f"Parameter {name} failed to satisfy constraint: {why}"
        return invalid(message)

    kind = declared["Type"]
    if kind in ("Number", "List<Number>"):
        for item in value.split(",") if kind == "List<Number>" else [value]:
            try:
                number = float(item)
            except ValueError:
                raise invalid(f"Parameter '{name}' must be a number, not '{item}'.") from None
            if "MinValue" in declared and number < float(declared["MinValue"]):
                raise fail(f"Parameter '{name}' must be at least {declared['MinValue']}.")
            if "MaxValue" in declared and number > float(declared["MaxValue"]):
                raise fail(f"Parameter '{name}' must be at most {declared['MaxValue']}.")
    allowed = [_text(item) for item in declared.get("AllowedValues", [])]
    for item in value.split(",") if kind == "CommaDelimitedList" else [value]:
        if allowed and item not in allowed:
            raise invalid(f"Parameter '{name}' must be one of AllowedValues: {allowed}")
    if "AllowedPattern" in declared and not re.fullmatch(declared["AllowedPattern"], value):
        raise fail(f"Parameter '{name}' must match pattern {declared['AllowedPattern']}")
    if len(value) < int(declared.get("MinLength", 0)):
        raise fail(f"Parameter '{name}' must contain at least {declared['MinLength']} characters")
    if "MaxLength" in declared and len(value) > int(declared["MaxLength"]):
        raise fail(f"Parameter '{name}' must contain at most {declared['MaxLength']} characters")
