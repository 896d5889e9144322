"""AWS::Lambda::Function, AWS::Lambda::Permission and AWS::Logs::LogGroup."""

from __future__ import annotations

import io
import zipfile
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

_CONFIGURATION = (
    "Runtime",
    "Handler",
    "Role",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "DeadLetterConfig",
    "EphemeralStorage",
    "LoggingConfig",
    "TracingConfig",
    "VpcConfig",
    "Layers",
)
_DEFAULTS: dict[str, Any] = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "Environment": {"Variables": {}},
    "DeadLetterConfig": {"TargetArn": ""},
    "EphemeralStorage": {"Size": 512},
}


def _code(properties: Properties) -> dict[str, Any]:
    code = properties["Code"]
    if "ZipFile" in code:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            entry = zipfile.ZipInfo("index.py", (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, code["ZipFile"])
        return {"ZipFile": buffer.getvalue()}
    for name in code:
        if name not in ("S3Bucket", "S3Key", "S3ObjectVersion"):
            raise PropertyError(f"unsupported property Code.{name}")
    return dict(code)


class Function(ResourceType):
    type = "AWS::Lambda::Function"
    properties = (
        "FunctionName",
        "Code",
        "PackageType",
        "Architectures",
        "ReservedConcurrentExecutions",
        "Tags",
        *_CONFIGURATION,
    )
    required = ("Code", "Role")
    immutable = ("FunctionName", "PackageType")
    name_property = "FunctionName"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        functions = context.client("lambda")
        given = (*_CONFIGURATION, "PackageType", "Architectures")
        request = request_of(
            functions,
            "create_function",
            {key: properties[key] for key in given if key in properties},
        )
        name = properties.get("FunctionName") or context.name()
        created = functions.create_function(
            FunctionName=name,
            Code=_code(properties),
            Tags=tag_map(properties.get("Tags")),
            **request,
        )
        self._concurrency(functions, name, {}, properties)
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        return name, {"Arn": created["FunctionArn"]}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        functions = context.client("lambda")
        changed = {
            key: new[key] if key in new else _DEFAULTS[key]
            for key in _CONFIGURATION
            if old.get(key) != new.get(key) and (key in new or key in _DEFAULTS)
        }
        if changed:
            request = request_of(functions, "update_function_configuration", changed)
            functions.update_function_configuration(FunctionName=physical_id, **request)
            functions.get_waiter("function_updated_v2").wait(FunctionName=physical_id)
        if old["Code"] != new["Code"] or old.get("Architectures") != new.get("Architectures"):
            functions.update_function_code(
                FunctionName=physical_id,
                Architectures=new.get("Architectures", ["x86_64"]),
                **_code(new),
            )
            functions.get_waiter("function_updated_v2").wait(FunctionName=physical_id)
        self._concurrency(functions, physical_id, old, new)
        arn = context.arn("lambda", f"function:{physical_id}")
        before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
        if before.keys() - after.keys():
            functions.untag_resource(Resource=arn, TagKeys=sorted(before.keys() - after.keys()))
        if after and after != before:
            functions.tag_resource(Resource=arn, Tags=after)
        return {"Arn": arn}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("lambda").delete_function(FunctionName=physical_id)

    @staticmethod
    def _concurrency(functions: Any, name: str, old: Properties, new: Properties) -> None:
        member = "ReservedConcurrentExecutions"
        if old.get(member) == new.get(member):
            return
        if member in new:
            functions.put_function_concurrency(FunctionName=name, **{member: int(new[member])})
        else:
            functions.delete_function_concurrency(FunctionName=name)


class Permission(ResourceType):
    type = "AWS::Lambda::Permission"
    properties = ("FunctionName", "Action", "Principal", "SourceArn", "SourceAccount")
    required = ("FunctionName", "Action", "Principal")
    immutable = properties

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        statement = context.name(100)
        context.client("lambda").add_permission(StatementId=statement, **properties)
        return statement, {"Id": statement}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("lambda").remove_permission(
            FunctionName=properties["FunctionName"], StatementId=physical_id
        )


class LogGroup(ResourceType):
    type = "AWS::Logs::LogGroup"
    properties = ("LogGroupName", "RetentionInDays", "LogGroupClass", "Tags")
    immutable = ("LogGroupName", "LogGroupClass")
    name_property = "LogGroupName"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        logs = context.client("logs")
        name = properties.get("LogGroupName") or context.name(512)
        options: dict[str, Any] = {}
        if "LogGroupClass" in properties:
            options["logGroupClass"] = properties["LogGroupClass"]
        if properties.get("Tags"):
            options["tags"] = tag_map(properties["Tags"])
        logs.create_log_group(logGroupName=name, **options)
        self._retain(logs, name, properties)
        return name, {"Arn": f"{context.arn('logs', f'log-group:{name}')}:*"}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        logs = context.client("logs")
        self._retain(logs, physical_id, new)
        arn = context.arn("logs", f"log-group:{physical_id}")
        before, after = tag_map(old.get("Tags")), tag_map(new.get("Tags"))
        if before.keys() - after.keys():
            logs.untag_resource(resourceArn=arn, tagKeys=sorted(before.keys() - after.keys()))
        if after and after != before:
            logs.tag_resource(resourceArn=arn, tags=after)
        return {"Arn": f"{arn}:*"}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        context.client("logs").delete_log_group(logGroupName=physical_id)

    @staticmethod
    def _retain(logs: Any, name: str, properties: Properties) -> None:
        if "RetentionInDays" in properties:
            logs.put_retention_policy(
                logGroupName=name, retentionInDays=int(properties["RetentionInDays"])
            )
        else:
            logs.delete_retention_policy(logGroupName=name)
