"""AWS::S3::Bucket."""

from __future__ import annotations

from typing import Any

from local_aws.cloudformation.resources.base import (
    Attributes,
    Context,
    Properties,
    PropertyError,
    ResourceType,
    request_of,
)


def _encryption(value: Any) -> dict[str, Any]:
    rules = []
    for rule in value["ServerSideEncryptionConfiguration"]:
        renamed = dict(rule)
        if "ServerSideEncryptionByDefault" in renamed:
            renamed["ApplyServerSideEncryptionByDefault"] = renamed.pop(
                "ServerSideEncryptionByDefault"
            )
        rules.append(renamed)
    return {"Rules": rules}


def _lifecycle(value: Any) -> dict[str, Any]:
    rules = []
    for rule in value["Rules"]:
        renamed = {"ID" if key == "Id" else key: item for key, item in rule.items()}
        if "ExpirationInDays" in renamed:
            renamed["Expiration"] = {"Days": renamed.pop("ExpirationInDays")}
        renamed["Filter"] = {"Prefix": renamed.pop("Prefix", "")}
        rules.append(renamed)
    return {"Rules": rules}


def _notification(value: Any) -> dict[str, Any]:
    supported = {"LambdaConfigurations"}
    for name in value:
        if name not in supported:
            raise PropertyError(f"unsupported property NotificationConfiguration.{name}")
    functions = []
    for item in value["LambdaConfigurations"]:
        entry = {"LambdaFunctionArn": item["Function"], "Events": [item["Event"]]}
        for name in item:
            if name not in ("Function", "Event", "Filter"):
                raise PropertyError(
                    f"unsupported property NotificationConfiguration.LambdaConfigurations.{name}"
                )
        if "Filter" in item:
            entry["Filter"] = {"Key": {"FilterRules": item["Filter"]["S3Key"]["Rules"]}}
        functions.append(entry)
    return {"LambdaFunctionConfigurations": functions}


_SETTINGS = {
    "BucketEncryption": (
        "bucket_encryption", "ServerSideEncryptionConfiguration", _encryption),
    "PublicAccessBlockConfiguration": (
        "public_access_block", "PublicAccessBlockConfiguration", lambda value: value),
    "OwnershipControls": ("bucket_ownership_controls", "OwnershipControls", lambda value: value),
    "VersioningConfiguration": (
        "bucket_versioning", "VersioningConfiguration", lambda value: value),
    "LifecycleConfiguration": (
        "bucket_lifecycle_configuration", "LifecycleConfiguration", _lifecycle),
    "Tags": ("bucket_tagging", "Tagging", lambda value: {"TagSet": value}),
    "NotificationConfiguration": (
        "bucket_notification_configuration", "NotificationConfiguration", _notification),
}  # fmt: skip
"""Property to the end of its operations' names, their argument, and the API's form."""

_EMPTY = {
    "NotificationConfiguration": {},
    "VersioningConfiguration": {"Status": "Suspended"},
}
"""Settings that are put back by writing them, not by deleting."""
_DELETES = {"LifecycleConfiguration": "delete_bucket_lifecycle"}


class Bucket(ResourceType):
    type = "AWS::S3::Bucket"
    properties = ("BucketName", *_SETTINGS)
    immutable = ("BucketName",)
    name_property = "BucketName"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        name = properties.get("BucketName") or context.name(63).lower()
        s3 = context.client("s3")
        if any(item["Name"] == name for item in s3.list_buckets()["Buckets"]):
            raise PropertyError(f"the bucket {name} already exists")
        options: dict[str, Any] = {}
        if context.region != "us-east-1":
            options["CreateBucketConfiguration"] = {"LocationConstraint": context.region}
        s3.create_bucket(Bucket=name, **options)
        try:
            self._apply(s3, name, {}, properties)
        except Exception:
            s3.delete_bucket(Bucket=name)
            raise
        return name, self._attributes(context, name)

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        self._apply(context.client("s3"), physical_id, old, new)
        return self._attributes(context, physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("s3").delete_bucket(Bucket=physical_id)

    @staticmethod
    def _apply(s3: Any, name: str, old: Properties, new: Properties) -> None:
        for setting, (operation, argument, form) in _SETTINGS.items():
            if old.get(setting) == new.get(setting):
                continue
            if setting in new:
                call = f"put_{operation}"
                try:
                    value = form(new[setting])
                except (KeyError, TypeError) as error:
                    raise PropertyError(f"{setting} is not complete: {error}") from error
            elif setting in _EMPTY:
                call, value = f"put_{operation}", _EMPTY[setting]
            else:
                getattr(s3, _DELETES.get(setting, f"delete_{operation}"))(Bucket=name)
                continue
            request = request_of(s3, call, {"Bucket": name, argument: value})
            getattr(s3, call)(**request)

    @staticmethod
    def _attributes(context: Context, name: str) -> Attributes:
        return {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{context.region}.amazonaws.com",
        }
