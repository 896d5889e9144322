"""AWS::SecretsManager::Secret."""

from __future__ import annotations

import json
from typing import Any

from local_aws.cloudformation.resources.base import (
    Attributes,
    Context,
    Properties,
    PropertyError,
    ResourceType,
    request_of,
    tag_map,
)


class Secret(ResourceType):
    type = "AWS::SecretsManager::Secret"
    properties = (
        "Name",
        "Description",
        "SecretString",
        "GenerateSecretString",
        "KmsKeyId",
        "Tags",
    )
    immutable = ("Name",)

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        client = context.client("secretsmanager")
        given: dict[str, Any] = {
            key: properties[key] for key in ("Description", "KmsKeyId") if key in properties
        }
        if (value := self._value(client, properties)) is not None:
            given["SecretString"] = value
        tags = [{"Key": k, "Value": v} for k, v in tag_map(properties.get("Tags")).items()]
        arn = client.create_secret(
            Name=properties.get("Name") or context.name(512),
            Tags=tags,
            **given,
        )["ARN"]
        return arn, {"Id": arn}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        client = context.client("secretsmanager")
        changed = {
            key: new.get(key, "")
            for key in ("Description", "KmsKeyId")
            if old.get(key) != new.get(key)
        }
        other = any(old.get(k) != new.get(k) for k in ("SecretString", "GenerateSecretString"))
        if other and (value := self._value(client, new)) is not None:
            changed["SecretString"] = value
        if changed:
            client.update_secret(SecretId=physical_id, **changed)
        before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
        if before.keys() - after.keys():
            client.untag_resource(
                SecretId=physical_id, TagKeys=sorted(before.keys() - after.keys())
            )
        if after and after != before:
            tags = [{"Key": key, "Value": value} for key, value in after.items()]
            client.tag_resource(SecretId=physical_id, Tags=tags)
        return {"Id": physical_id}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("secretsmanager").delete_secret(
            SecretId=physical_id, ForceDeleteWithoutRecovery=True
        )

    @staticmethod
    def _value(client: Any, properties: Properties) -> str | None:
        """The given text, or a password, alone or as a member of a JSON document.

        None where the template has neither: somebody puts the value there.
        """
        if "SecretString" in properties and "GenerateSecretString" in properties:
            raise PropertyError("a secret has either SecretString or GenerateSecretString")
        if "GenerateSecretString" not in properties:
            return str(properties["SecretString"]) if "SecretString" in properties else None
        given = dict(properties["GenerateSecretString"])
        template, key = given.pop("SecretStringTemplate", None), given.pop("GenerateStringKey", "")
        request = request_of(client, "get_random_password", given)
        password = client.get_random_password(**request)["RandomPassword"]
        if (template is None) != (not key):
            raise PropertyError("SecretStringTemplate and GenerateStringKey belong together")
        if template is None:
            return password
        try:
            document = json.loads(template)
        except ValueError as error:
            raise PropertyError(f"SecretStringTemplate is no JSON document: {error}") from error
        if not isinstance(document, dict):
            raise PropertyError("SecretStringTemplate must be a JSON object")
        return json.dumps({**document, key: password})
