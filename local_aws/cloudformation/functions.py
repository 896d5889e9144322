"""Intrinsic functions: their values, and which resources an expression needs.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from local_aws.cloudformation.template import Template, invalid
from local_aws.service import AwsError, Unsupported

NO_VALUE = object()
_SUB = re.compile(r"\$\{(!?)([^}]+)\}")
_FUNCTIONS = ("Ref", "Condition")


def as_function(value: Any) -> tuple[str, Any] | None:
    """(name, argument) of an expression that is a function's call."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        if name in _FUNCTIONS or str(name).startswith("Fn::"):
            return name, argument
    return None


def names_in_sub(argument: Any) -> list[str]:
    """The names in an ``Fn::Sub`` that the template must have; ``${!literal}`` is none."""
    pattern, extra = (argument, {}) if isinstance(argument, str) else argument
    return [name for literal, name in _SUB.findall(pattern) if not literal and name not in extra]


def unresolved(names: Iterable[str], block: str) -> AwsError:
    """What CloudFormation says of names that the template, or what is made of it, lacks."""
    return invalid(
        "Template format error: Unresolved resource dependencies"
        f" [{', '.join(sorted(names))}] in the {block} block of the template"
    )


def text(value: Any) -> str:
    """A scalar as CloudFormation writes it into text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class Evaluator:
    """Resolves a template's expressions for one set of parameters.

    Args:
        pseudo: values of ``AWS::Region`` and its like.
        reference: the ``Ref`` of a resource; ``attribute``: its ``Fn::GetAtt``.
    """

    def __init__(
        self,
        template: Template,
        parameters: Mapping[str, str],
        pseudo: Mapping[str, str],
        reference: Callable[[str], Any],
        attribute: Callable[[str, str], Any],
    ) -> None:
        self.template = template
        self.parameters = parameters
        self.pseudo = pseudo
        self._reference = reference
        self._attribute = attribute
        self._conditions: dict[str, bool] = {}

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        if name not in self._conditions:
            if name not in self.template.conditions:
                raise invalid(f"Template error: unresolved condition {name}")
            self._conditions[name] = self._boolean(self.template.conditions[name])
        return self._conditions[name]

    def _boolean(self, expression: Any) -> bool:
        function = as_function(expression)
        if function is None:
            raise invalid(f"Template error: {expression!r} is no condition")
        name, argument = function
        if name == "Condition":
            return self.condition(argument)
        if name == "Fn::Equals":
            left, right = (self.resolve(item) for item in argument)
            return text(left) == text(right)
        if name == "Fn::Not":
            return not self._boolean(argument[0])
        if name in ("Fn::And", "Fn::Or"):
            return (all if name == "Fn::And" else any)(self._boolean(item) for item in argument)
        raise invalid(f"Template error: {name} is not allowed in a condition")

    def resolve(self, value: Any) -> Any:
        """The value with every function replaced; members that are AWS::NoValue are left out."""
        function = as_function(value)
        if function:
            return self._call(*function)
        if isinstance(value, dict):
            resolved = {key: self.resolve(item) for key, item in value.items()}
            return {key: item for key, item in resolved.items() if item is not NO_VALUE}
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if isinstance(value, str) and "{{resolve:" in value:
            raise Unsupported(f"the dynamic reference {value}")
        return value

    def _call(self, name: str, argument: Any) -> Any:
        method = getattr(self, "_fn_" + name.removeprefix("Fn::").lower(), None)
        if method is None:
            raise Unsupported(f"the function {name} of templates")
        try:
            return method(argument)
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise invalid(f"Template error: {name} has a wrong argument: {argument!r}") from error

    def _fn_ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            value = self.parameters[name]
            kind = self.template.parameters[name]["Type"]
            return value.split(",") if kind in ("CommaDelimitedList", "List<Number>") else value
        self._known(name)
        return self._reference(name)

    def _fn_getatt(self, argument: Any) -> Any:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        self._known(name)
        return self._attribute(name, self.resolve(attribute))

    def _known(self, name: str) -> None:
        if name not in self.template.resources:
            raise unresolved({name}, "Resources")

    def _fn_sub(self, argument: Any) -> str:
        pattern, extra = (argument, {}) if isinstance(argument, str) else argument

        def replace(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in extra:
                return text(self.resolve(extra[name]))
            if "." in name:
                return text(self._fn_getatt(name))
            return text(self._fn_ref(name))

        return _SUB.sub(replace, pattern)

    def _fn_join(self, argument: Any) -> str:
        delimiter, items = argument
        return delimiter.join(text(item) for item in self.resolve(items))

    def _fn_split(self, argument: Any) -> list[str]:
        delimiter, value = argument
        return self.resolve(value).split(delimiter)

    def _fn_select(self, argument: Any) -> Any:
        index, items = argument
        resolved = self.resolve(items)
        position = int(self.resolve(index))
        if position < 0:
            raise IndexError(position)
        return resolved[position]

    def _fn_if(self, argument: Any) -> Any:
        name, then, otherwise = argument
        return self.resolve(then if self.condition(name) else otherwise)

    def _fn_findinmap(self, argument: Any) -> Any:
        mapping, first, second = (self.resolve(item) for item in argument)
        return self.template.mappings[mapping][first][second]

    def _fn_base64(self, argument: Any) -> str:
        return base64.b64encode(self.resolve(argument).encode()).decode()

    # Which resources are made, and in which order

    def active(self) -> list[str]:
        """Logical ids of the resources whose condition holds, each after what it needs.

        Raises:
            AwsError: ValidationError, for a circle or a name that is not in the template.
        """
        resources = self.template.resources
        wanted = {
            name
            for name, item in resources.items()
            if item.condition is None or self.condition(item.condition)
        }
        graph = {}
        for name in resources:
            if name not in wanted:
                continue
            item = resources[name]
            needed = set(self.needs(item.properties))
            for other in item.depends_on:
                self._known(other)
            if absent := needed - wanted:
                raise unresolved(absent, "Resources")
            graph[name] = (needed | set(item.depends_on)) & wanted
        for output in self.template.outputs.values():
            if "Condition" in output and not self.condition(output["Condition"]):
                continue
            if absent := set(self.needs(output["Value"])) - wanted:
                raise unresolved(absent, "Outputs")
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise invalid(
                f"Circular dependency between resources: [{', '.join(error.args[1][:-1])}]"
            ) from error

    def needs(self, value: Any) -> Iterator[str]:
        """Logical ids that an expression refers to, in the branches that its conditions take."""
        function = as_function(value)
        if function:
            name, argument = function
            if name == "Ref":
                if argument not in (*self.pseudo, *self.parameters, "AWS::NoValue"):
                    self._known(argument)
                    yield argument
            elif name == "Fn::GetAtt":
                target = argument.split(".", 1)[0] if isinstance(argument, str) else argument[0]
                self._known(target)
                yield target
            elif name == "Fn::Sub":
                for inner in names_in_sub(argument):
                    yield from self.needs({"Ref": inner.split(".", 1)[0]})
                yield from self.needs([] if isinstance(argument, str) else argument[1])
            elif name == "Fn::If":
                condition, then, otherwise = argument
                yield from self.needs(then if self.condition(condition) else otherwise)
            else:
                yield from self.needs(argument)
        elif isinstance(value, dict):
            for item in value.values():
                yield from self.needs(item)
        elif isinstance(value, list):
            for item in value:
                yield from self.needs(item)
