"""What every resource type shares: its lifecycle, and how properties become API requests."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from botocore.model import ListShape, MapShape, Shape, StructureShape

Properties = dict[str, Any]
Attributes = dict[str, Any]


class PropertyError(Exception):
    """A property that is missing, or not supported; the message names it."""


@dataclass(frozen=True)
class Context:
    """Where a resource is made.

    ``client`` gives boto3 clients of this AWS by service.
    """

    client: Callable[[str], Any]
    region: str
    account: str
    stack_name: str
    logical_id: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def name(self, longest: int = 64) -> str:
        """A name for a resource whose template gives none."""
        suffix = secrets.token_hex(6).upper()
        return f"{self.stack_name}-{self.logical_id}"[: longest - 13] + f"-{suffix}"


class ResourceType:
    """One resource type; subclasses create, update and delete through the service's own API.

    Attributes:
        type: such as ``AWS::S3::Bucket``.
        properties: those that are implemented; ``required`` those that must be given.
        immutable: those whose change needs a new resource.
        name_property: the one that becomes the physical id, if one does.
    """

    type: ClassVar[str] = ""
    properties: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    immutable: ClassVar[tuple[str, ...]] = ()
    name_property: ClassVar[str] = ""

    def check(self, properties: Properties) -> None:
        """Refuse what is not implemented.

        Raises:
            PropertyError: naming the first such property.
        """
        for name in properties:
            if name not in self.properties:
                raise PropertyError(
                    f"the embedded AWS does not support the property {name} of {self.type};"
                    f" supported: {', '.join(self.properties)}"
                )
        for name in self.required:
            if name not in properties:
                raise PropertyError(f"the property {name} of {self.type} is required")

    def replaces(self, old: Properties, new: Properties) -> bool:
        """Whether this change needs a new resource."""
        return any(old.get(name) != new.get(name) for name in self.immutable)

    def physical_id(self, context: Context, properties: Properties) -> str | None:
        """The id that a resource with these properties will have, where they determine it."""
        return properties.get(self.name_property)

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        """Make the resource; its physical id (what Ref gives) and its attributes."""
        raise NotImplementedError

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        """Change the resource in place; its attributes."""
        raise NotImplementedError

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        """Delete the resource; an error that says that it is gone counts as deleted."""
        raise NotImplementedError


def request_of(client: Any, operation: str, properties: Properties) -> dict[str, Any]:
    """Properties as the arguments of a boto3 call.

    Names are matched without regard to the first letter's case, and text becomes the number or
    truth value that the API wants, as CloudFormation does it.

    Raises:
        PropertyError: naming a member that the API does not know.
    """
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    return _convert(model.input_shape, properties, "")


def _convert(shape: Shape, value: Any, path: str) -> Any:
    if isinstance(shape, StructureShape):
        if not isinstance(value, dict):
            raise PropertyError(f"{path or 'properties'} must be a map, not {value!r}")
        members = {name.lower(): name for name in shape.members}
        converted = {}
        for key, item in value.items():
            name = members.get(str(key).lower())
            if name is None or name[1:] != str(key)[1:]:
                raise PropertyError(f"unsupported property {path}{key}")
            converted[name] = _convert(shape.members[name], item, f"{path}{key}.")
        return converted
    where = path.rstrip(".")
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise PropertyError(f"{where} must be a list, not {value!r}")
        return [_convert(shape.member, item, path) for item in value]
    if isinstance(shape, MapShape):
        if not isinstance(value, dict):
            raise PropertyError(f"{where} must be a map, not {value!r}")
        return {str(key): _convert(shape.value, item, path) for key, item in value.items()}
    return _scalar(shape.type_name, value, where)


def _scalar(kind: str, value: Any, where: str) -> Any:
    try:
        if kind in ("integer", "long"):
            return int(value)
        if kind in ("float", "double"):
            return float(value)
    except (TypeError, ValueError):
        raise PropertyError(f"{where} must be a number, not {value!r}") from None
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        raise PropertyError(f"{where} must be true or false, not {value!r}")
    if kind == "string":
        if isinstance(value, (dict, list)):
            return json.dumps(value)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)
    return value


def tag_map(tags: Any) -> dict[str, str]:
    """Tags as a map, from CloudFormation's list of Key and Value or from a map."""
    if isinstance(tags, dict):
        return {str(key): str(value) for key, value in tags.items()}
    return {item["Key"]: str(item["Value"]) for item in tags or []}
