"""AWS::IAM::Role and AWS::IAM::ManagedPolicy."""

from __future__ import annotations

import json
from typing import Any

from local_aws.cloudformation.resources.base import (
    Attributes,
    Context,
    Properties,
    ResourceType,
    tag_map,
)


def _tags(properties: Properties) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tag_map(properties.get("Tags")).items()]


class Role(ResourceType):
    type = "AWS::IAM::Role"
    properties = (
        "RoleName",
        "AssumeRolePolicyDocument",
        "Policies",
        "ManagedPolicyArns",
        "Path",
        "Description",
        "MaxSessionDuration",
        "Tags",
    )
    required = ("AssumeRolePolicyDocument",)
    immutable = ("RoleName", "Path")
    name_property = "RoleName"

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        iam = context.client("iam")
        name = properties.get("RoleName") or context.name()
        options: dict[str, Any] = {
            key: properties[key] for key in ("Path", "Description") if key in properties
        }
        if "MaxSessionDuration" in properties:
            options["MaxSessionDuration"] = int(properties["MaxSessionDuration"])
        if properties.get("Tags"):
            options["Tags"] = _tags(properties)
        iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(properties["AssumeRolePolicyDocument"]),
            **options,
        )
        try:
            self._policies(iam, name, {}, properties)
        except Exception:
            self.delete(context, name, properties)
            raise
        return name, self._attributes(iam, name)

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        iam = context.client("iam")
        iam.update_assume_role_policy(
            RoleName=physical_id, PolicyDocument=json.dumps(new["AssumeRolePolicyDocument"])
        )
        if any(old.get(key) != new.get(key) for key in ("Description", "MaxSessionDuration")):
            iam.update_role(
                RoleName=physical_id,
                Description=new.get("Description", ""),
                MaxSessionDuration=int(new.get("MaxSessionDuration", 3600)),
            )
        if old.get("Tags") != new.get("Tags"):
            gone = tag_map(old.get("Tags")).keys() - tag_map(new.get("Tags")).keys()
            if gone:
                iam.untag_role(RoleName=physical_id, TagKeys=sorted(gone))
            if new.get("Tags"):
                iam.tag_role(RoleName=physical_id, Tags=_tags(new))
        self._policies(iam, physical_id, old, new)
        return self._attributes(iam, physical_id)

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        iam = context.client("iam")
        for policy in iam.list_role_policies(RoleName=physical_id)["PolicyNames"]:
            iam.delete_role_policy(RoleName=physical_id, PolicyName=policy)
        attached = iam.list_attached_role_policies(RoleName=physical_id)["AttachedPolicies"]
        for policy in attached:
            iam.detach_role_policy(RoleName=physical_id, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=physical_id)

    @staticmethod
    def _policies(iam: Any, name: str, old: Properties, new: Properties) -> None:
        before = {item["PolicyName"]: item for item in old.get("Policies", [])}
        after = {item["PolicyName"]: item for item in new.get("Policies", [])}
        for policy in before.keys() - after.keys():
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for policy, item in after.items():
            if before.get(policy) != item:
                iam.put_role_policy(
                    RoleName=name,
                    PolicyName=policy,
                    PolicyDocument=json.dumps(item["PolicyDocument"]),
                )
        attached = set(old.get("ManagedPolicyArns", []))
        wanted = set(new.get("ManagedPolicyArns", []))
        for arn in sorted(attached - wanted):
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in sorted(wanted - attached):
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)

    @staticmethod
    def _attributes(iam: Any, name: str) -> Attributes:
        role = iam.get_role(RoleName=name)["Role"]
        return {"Arn": role["Arn"], "RoleId": role["RoleId"]}


class ManagedPolicy(ResourceType):
    type = "AWS::IAM::ManagedPolicy"
    properties = ("ManagedPolicyName", "PolicyDocument", "Description", "Path", "Roles")
    required = ("PolicyDocument",)
    immutable = ("ManagedPolicyName", "Path", "Description")

    def physical_id(self, context: Context, properties: Properties) -> str | None:
        name = properties.get("ManagedPolicyName")
        path = properties.get("Path", "/")
        return f"arn:aws:iam::{context.account}:policy{path}{name}" if name else None

    def create(self, context: Context, properties: Properties) -> tuple[str, Attributes]:
        iam = context.client("iam")
        options = {key: properties[key] for key in ("Description", "Path") if key in properties}
        policy = iam.create_policy(
            PolicyName=properties.get("ManagedPolicyName") or context.name(),
            PolicyDocument=json.dumps(properties["PolicyDocument"]),
            **options,
        )["Policy"]
        for role in properties.get("Roles", []):
            iam.attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
        return policy["Arn"], {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]}

    def update(
        self, context: Context, physical_id: str, old: Properties, new: Properties
    ) -> Attributes:
        iam = context.client("iam")
        if old["PolicyDocument"] != new["PolicyDocument"]:
            versions = iam.list_policy_versions(PolicyArn=physical_id)["Versions"]
            for version in versions:
                if not version["IsDefaultVersion"]:
                    iam.delete_policy_version(PolicyArn=physical_id, VersionId=version["VersionId"])
            iam.create_policy_version(
                PolicyArn=physical_id,
                PolicyDocument=json.dumps(new["PolicyDocument"]),
                SetAsDefault=True,
            )
        before, after = set(old.get("Roles", [])), set(new.get("Roles", []))
        for role in sorted(before - after):
            iam.detach_role_policy(RoleName=role, PolicyArn=physical_id)
        for role in sorted(after - before):
            iam.attach_role_policy(RoleName=role, PolicyArn=physical_id)
        policy = iam.get_policy(PolicyArn=physical_id)["Policy"]
        return {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]}

    def delete(self, context: Context, physical_id: str, properties: Properties) -> None:
        iam = context.client("iam")
        entities = iam.list_entities_for_policy(PolicyArn=physical_id)
        for role in entities["PolicyRoles"]:
            iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=physical_id)
        for version in iam.list_policy_versions(PolicyArn=physical_id)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=physical_id, VersionId=version["VersionId"])
        iam.delete_policy(PolicyArn=physical_id)
