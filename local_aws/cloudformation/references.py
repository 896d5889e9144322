"""What a template's expressions may refer to, checked before anything is made.

CloudFormation looks at every branch of every condition, so that a name which is not in the
template is refused even where its value would never be asked for.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local_aws.cloudformation.functions import as_function, names_in_sub, unresolved
from local_aws.cloudformation.template import Template, invalid

PSEUDO_PARAMETERS = frozenset(
    f"AWS::{name}"
    for name in (
        "AccountId",
        "NoValue",
        "NotificationARNs",
        "Partition",
        "Region",
        "StackId",
        "StackName",
        "URLSuffix",
    )
)


def check_references(template: Template) -> None:
    """Every ``Ref``, ``Fn::GetAtt``, ``Fn::Sub`` and ``DependsOn`` names something there is.

    Raises:
        AwsError: ValidationError, with the names and the block that they stand in.
    """
    values = PSEUDO_PARAMETERS | template.parameters.keys()
    known = values | template.resources.keys()
    for resource in template.resources.values():
        _check_attributes(template, resource.properties)
    for output in template.outputs.values():
        _check_attributes(template, output["Value"])
    in_resources = {
        name
        for resource in template.resources.values()
        for name in (*_plain(resource.properties), *resource.depends_on)
        if name not in known or (name in resource.depends_on and name not in template.resources)
    }
    in_outputs = {
        name
        for output in template.outputs.values()
        for name in _plain(output["Value"])
        if name not in known
    }
    for block, names in (("Resources", in_resources), ("Outputs", in_outputs)):
        if names:
            raise unresolved(names, block)
    in_conditions = {name for name in _plain(template.conditions) if name not in values}
    if in_conditions:
        raise invalid(
            f"Template format error: Unresolved dependencies [{', '.join(sorted(in_conditions))}]."
            " Cannot reference resources in the Conditions block of the template"
        )


def _check_attributes(template: Template, value: Any) -> None:
    for function, name, attribute in _attributes(value):
        if name in template.resources:
            continue
        if function == "Fn::GetAtt":
            raise invalid(
                f"Template error: instance of Fn::GetAtt references undefined resource {name}"
            )
        raise invalid(
            "Template error: instance of Fn::Sub references invalid resource attribute"
            f" {name}.{attribute}"
        )


def _functions(value: Any) -> Iterator[tuple[str, Any]]:
    function = as_function(value)
    if function:
        yield function
    if isinstance(value, dict):
        for item in value.values():
            yield from _functions(item)
    elif isinstance(value, list):
        for item in value:
            yield from _functions(item)


def _plain(value: Any) -> Iterator[str]:
    """Names that ``Ref`` and ``Fn::Sub`` take by themselves."""
    for function, argument in _functions(value):
        if function == "Ref":
            yield str(argument)
        elif function == "Fn::Sub":
            yield from (name for name in _in_sub(argument) if "." not in name)


def _in_sub(argument: Any) -> list[str]:
    try:
        return names_in_sub(argument)
    except (TypeError, ValueError) as error:
        raise invalid(
            "Template error: One or more Fn::Sub intrinsic functions don't specify expected"
            " arguments. Specify a string as first argument, and an optional second argument to"
            f" specify a mapping of values to replace in the string, not {argument!r}"
        ) from error


def _attributes(value: Any) -> Iterator[tuple[str, str, str]]:
    """(function, resource, attribute) wherever an attribute is asked for."""
    for function, argument in _functions(value):
        if function == "Fn::GetAtt":
            parts = argument.split(".", 1) if isinstance(argument, str) else argument
            if not isinstance(parts, list) or len(parts) != 2 or not all(parts):
                raise invalid(
                    "Template error: every Fn::GetAtt object requires two non-empty parameters,"
                    f" the resource name and the resource attribute, not {argument!r}"
                )
            yield function, str(parts[0]), str(parts[1])
        elif function == "Fn::Sub":
            for inner in _in_sub(argument):
                name, dot, attribute = inner.partition(".")
                if dot:
                    yield function, name, attribute
