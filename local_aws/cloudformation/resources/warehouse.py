"""AWS::RedshiftServerless::Namespace and AWS::RedshiftServerless::Workgroup."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from local_aws.cloudformation.resources.base import (
    Attributes,
    Context,
    Properties,
    PropertyError,
    ResourceType,
    request_of,
)

WAIT_SECONDS = 120.0


def _await(state: Callable[[], str], wanted: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := state()) != wanted:
        if time.monotonic() > deadline:
            raise PropertyError(f"it is still {found} after {WAIT_SECONDS:.0f} s")
        time.sleep(0.05)


def _lower_tags(properties: Properties) -> Properties:
    given = dict(properties)
    if "Tags" in given:
        given["Tags"] = [{"key": t["Key"], "value": t["Value"]} for t in given["Tags"]]
    return given


class Namespace(ResourceType):
    type = "AWS::RedshiftServerless::Namespace"
    properties = (
        "NamespaceName",
        "DbName",
        "AdminUsername",
        "AdminUserPassword",
        "ManageAdminPassword",
        "DefaultIamRoleArn",
        "IamRoles",
        "LogExports",
        "Tags",
    )
    required = ("NamespaceName",)
    immutable = ("NamespaceName",)
    name_property = "NamespaceName"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        redshift = context.client("redshift-serverless")
        given = request_of(redshift, "create_namespace", _lower_tags(properties))
        redshift.create_namespace(**given)
        name = properties["NamespaceName"]
        return name, self._attributes(redshift, name)

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        redshift = context.client("redshift-serverless")
        if old.get("DbName") != new.get("DbName"):
            raise PropertyError("DbName of a namespace cannot be changed")
        changed = {
            key: value
            for key, value in new.items()
            if key not in ("DbName", "Tags") and old.get(key) != value
        }
        for key in ("IamRoles", "LogExports"):
            if key in old and key not in new:
                changed[key] = []
        if changed:
            given = {**changed, "NamespaceName": physical_id}
            redshift.update_namespace(**request_of(redshift, "update_namespace", given))
        return self._attributes(redshift, physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        redshift = context.client("redshift-serverless")
        redshift.delete_namespace(namespaceName=physical_id)
        _await_gone(redshift, lambda: redshift.get_namespace(namespaceName=physical_id))

    @staticmethod
    def _attributes(redshift: Any, name: str) -> Attributes:
        def status() -> str:
            return redshift.get_namespace(namespaceName=name)["namespace"]["status"]

        _await(status, "AVAILABLE")
        found = redshift.get_namespace(namespaceName=name)["namespace"]
        return {
            "Namespace.NamespaceArn": found["namespaceArn"],
            "Namespace.NamespaceId": found["namespaceId"],
            "Namespace.NamespaceName": found["namespaceName"],
            "Namespace.AdminPasswordSecretArn": found.get("adminPasswordSecretArn", ""),
        }


class Workgroup(ResourceType):
    type = "AWS::RedshiftServerless::Workgroup"
    properties = (
        "WorkgroupName",
        "NamespaceName",
        "BaseCapacity",
        "MaxCapacity",
        "ConfigParameters",
        "EnhancedVpcRouting",
        "Port",
        "PubliclyAccessible",
        "SecurityGroupIds",
        "SubnetIds",
        "Tags",
    )
    required = ("WorkgroupName", "NamespaceName")
    immutable = ("WorkgroupName", "NamespaceName")
    name_property = "WorkgroupName"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        redshift = context.client("redshift-serverless")
        given = request_of(redshift, "create_workgroup", _lower_tags(properties))
        redshift.create_workgroup(**given)
        name = properties["WorkgroupName"]
        return name, self._attributes(redshift, name)

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        redshift = context.client("redshift-serverless")
        fixed = ("WorkgroupName", "NamespaceName", "Tags")
        changed = {
            key: value for key, value in new.items() if key not in fixed and old.get(key) != value
        }
        if changed:
            given = {**changed, "WorkgroupName": physical_id}
            redshift.update_workgroup(**request_of(redshift, "update_workgroup", given))
        return self._attributes(redshift, physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        redshift = context.client("redshift-serverless")
        redshift.delete_workgroup(workgroupName=physical_id)
        _await_gone(redshift, lambda: redshift.get_workgroup(workgroupName=physical_id))

    @staticmethod
    def _attributes(redshift: Any, name: str) -> Attributes:
        def status() -> str:
            return redshift.get_workgroup(workgroupName=name)["workgroup"]["status"]

        _await(status, "AVAILABLE")
        found = redshift.get_workgroup(workgroupName=name)["workgroup"]
        endpoint = found.get("endpoint", {})
        return {
            "Workgroup.WorkgroupArn": found["workgroupArn"],
            "Workgroup.WorkgroupId": found["workgroupId"],
            "Workgroup.WorkgroupName": found["workgroupName"],
            "Workgroup.NamespaceName": found["namespaceName"],
            "Workgroup.Endpoint.Address": endpoint.get("address", ""),
            "Workgroup.Endpoint.Port": str(endpoint.get("port", "")),
        }


def _await_gone(redshift: Any, get: Callable[[], Any]) -> None:
    def state() -> str:
        try:
            get()
        except redshift.exceptions.ResourceNotFoundException:
            return "gone"
        return "there"

    _await(state, "gone")
