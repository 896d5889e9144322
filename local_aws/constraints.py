"""What AWS checks of every request before it looks at it: lengths, ranges, patterns, enums.

They stand in botocore's models; clients check only some of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from moto.core.utils import get_service_model

from local_aws.service import AwsError

_NOT_ASKED = frozenset({"sensitive", "contextParam"})


def check(service: str, operation: str, request: dict[str, Any]) -> None:
    """Compare a request with its operation's model.

    Raises:
        AwsError: ValidationException, naming every value that breaks a constraint.
    """
    faults = list(_faults(_input(service, operation), request, ""))
    if faults:
        errors = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected"
        raise AwsError("ValidationException", f"{errors}: {'; '.join(faults)}")


@cache
def _input(service: str, operation: str) -> Shape:
    return get_service_model(service).operation_model(operation).input_shape


def _faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                yield _fault(None, _join(path, name), "Member must not be null")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _faults(member, value[name], _join(path, name))
        return
    broken = _broken(shape, value)
    if broken:
        yield _fault(value, path, broken)
    if isinstance(shape, ListShape):
        for number, item in enumerate(value, 1):
            yield from _faults(shape.member, item, f"{path}.{number}.member")
    elif isinstance(shape, MapShape):
        for item in value.values():
            yield from _faults(shape.value, item, f"{path}.member")


def _broken(shape: Shape, value: Any) -> str:
    limits = shape.metadata
    if not limits or limits.keys() <= _NOT_ASKED:
        return ""
    if shape.type_name in ("integer", "long"):
        if value < limits.get("min", value):
            return f"Member must have value greater than or equal to {limits['min']}"
        if value > limits.get("max", value):
            return f"Member must have value less than or equal to {limits['max']}"
        return ""
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    if shape.type_name not in ("string", "blob", "list", "map"):
        return ""
    if len(value) < limits.get("min", 0):
        return f"Member must have length greater than or equal to {limits['min']}"
    if len(value) > limits.get("max", len(value)):
        return f"Member must have length less than or equal to {limits['max']}"
    if "pattern" in limits and not re.fullmatch(limits["pattern"], value, re.ASCII):
        return f"Member must satisfy regular expression pattern: {limits['pattern']}"
    return ""


def _fault(value: Any, path: str, broken: str) -> str:
    shown = "null" if value is None else f"'{_shown(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {broken}"


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value) if len(str(value)) <= 256 else f"{str(value)[:256]}..."


def _join(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name
