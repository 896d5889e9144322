"""Redshift Serverless: namespaces and workgroups.

https://docs.aws.amazon.com/redshift-serverless/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import secrets
import string
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from local_aws.redshift import logins
from local_aws.redshift.compute import Compute
from local_aws.redshift.wire.listener import Listener
from local_aws.service import AwsError, Feature, Request, Response, Service, operation

NAMESPACE, WORKGROUP = logins.NAMESPACE, logins.WORKGROUP
TAGS = "redshift-serverless/tags"
_NAMESPACE_KEPT = (
    "adminUsername", "dbName", "defaultIamRoleArn", "iamRoles", "kmsKeyId", "logExports",
    "adminPasswordSecretKmsKeyId",
)  # fmt: skip
_WORKGROUP_KEPT = (
    "baseCapacity", "configParameters", "enhancedVpcRouting", "ipAddressType", "maxCapacity",
    "port", "pricePerformanceTarget", "publiclyAccessible", "securityGroupIds", "subnetIds",
    "trackName", "extraComputeForAutomaticOptimization",
)  # fmt: skip
_LETTERS = set(string.ascii_lowercase + string.digits + "-")
_PHYSICAL = "kept and shown; the embedded warehouse has no network, keys or capacity of its own"


def _check_name(name: str, what: str) -> None:
    if not 3 <= len(name) <= 64 or set(name) - _LETTERS:
        raise AwsError(
            "ValidationException",
            f"{what} {name!r} must be 3 to 64 lower-case letters, digits and hyphens.",
        )


class RedshiftServerless(Service):
    """Namespaces and workgroups as documents; :mod:`local_aws.redshift.data` runs SQL on them."""

    service_name: ClassVar[str] = "redshift-serverless"
    features: ClassVar[tuple[Feature, ...]] = (
        Feature("Redshift Serverless", "namespaces and workgroups", "supported"),
        Feature(
            "Redshift Serverless", "base capacity (RPU)", "different",
            "kept for the cost model; it limits nothing here",
        ),
        Feature(
            "Redshift Serverless", "network, encryption, log exports", "different", _PHYSICAL
        ),
        Feature(
            "Redshift Serverless", "snapshots, recovery points, usage limits, endpoint access",
            "refused",
        ),
        Feature(
            "Redshift Serverless", "connections by PostgreSQL's protocol", "different",
            "with --redshift-port: one address, that of --host, for every workgroup; user, password"
            " and database say which. The administrator's password (given, or in Secrets Manager)"
            " or GetCredentials; simple and extended queries, cancel; statements go the way of the"
            " Data API's. At most 100 connections",
        ),
        Feature(
            "Redshift Serverless", "TLS, and so IAM log-in inside Redshift's own drivers",
            "refused", "sslmode=disable; ask GetCredentials and give its user and password",
        ),
        Feature(
            "Redshift Serverless", "statements sent ahead without Sync", "different",
            "each commits by itself outside of BEGIN and COMMIT",
        ),
        Feature(
            "Redshift Serverless", "COPY FROM STDIN, PostgreSQL's binary NUMERIC, arrays",
            "refused", "",
        ),
    )  # fmt: skip

    def setup(self) -> None:
        port = self.aws.config.redshift_port
        self.listener = None if port is None else Listener(self.aws, port)

    def start(self) -> None:
        """Listen for PostgreSQL clients, where a port is given."""
        if self.listener is not None:
            self.listener.start()

    def stop(self) -> None:
        if self.listener is not None:
            self.listener.stop()

    # -- namespaces ------------------------------------------------------------------------

    @operation(
        "namespaceName", "adminUsername", "adminUserPassword", "dbName", "defaultIamRoleArn",
        "iamRoles", "kmsKeyId", "logExports", "manageAdminPassword", "adminPasswordSecretKmsKeyId",
        "tags", differs="AVAILABLE at once; encryption and log exports are kept and change nothing",
    )  # fmt: skip
    def CreateNamespace(self, request: Request) -> Response:
        """Create a namespace with its database (dev unless named)."""
        name = request["namespaceName"]
        _check_name(name, "The namespace name")
        self._check_password(request)
        self._check_role(request.get("defaultIamRoleArn"), request.get("iamRoles") or [])
        identifier = str(uuid.uuid4())
        namespace = {
            "adminUsername": "admin",
            "dbName": "dev",
            "kmsKeyId": "AWS_OWNED_KMS_KEY",
            "iamRoles": [],
            "logExports": [],
            **{key: request[key] for key in _NAMESPACE_KEPT if request.get(key) is not None},
            "namespaceName": name,
            "namespaceId": identifier,
            "namespaceArn": self.aws.arn("redshift-serverless", f"namespace/{identifier}"),
            "creationDate": self.aws.now(),
            "status": "AVAILABLE",
        }
        if request.get("manageAdminPassword"):
            namespace["adminPasswordSecretArn"] = self._secret(namespace)
        with self.aws.store.transaction():
            if self.aws.store.get(NAMESPACE, name):
                raise AwsError(
                    "ConflictException", f"A namespace with the name {name} already exists."
                )
            self.aws.store.put(NAMESPACE, name, namespace)
            self._tag(namespace["namespaceArn"], request.get("tags") or [])
        if request.get("adminUserPassword"):
            logins.set_password(self.aws, name, request["adminUserPassword"])
        return {"namespace": namespace}

    @staticmethod
    def _check_password(request: Request) -> None:
        if request.get("manageAdminPassword") and request.get("adminUserPassword"):
            raise AwsError(
                "ValidationException",
                "You can't use adminUserPassword if manageAdminPassword is true.",
            )

    def _secret(self, namespace: dict[str, Any]) -> str:
        """The admin password in Secrets Manager, as ManageAdminPassword does."""
        import json

        made = self.aws.client("secretsmanager").create_secret(
            Name=f"redshift!{namespace['namespaceName']}-{namespace['adminUsername']}",
            SecretString=json.dumps(
                {"username": namespace["adminUsername"], "password": secrets.token_urlsafe(24)}
            ),
        )
        return made["ARN"]

    @staticmethod
    def _check_role(default: str | None, roles: Sequence[str]) -> None:
        if default and default not in roles:
            raise AwsError(
                "ValidationException",
                f"The default IAM role {default} must be one of the namespace's IAM roles.",
            )

    def _namespace(self, name: str) -> dict[str, Any]:
        found = self.aws.store.get(NAMESPACE, name)
        if found is None:
            raise AwsError("ResourceNotFoundException", f"The namespace {name} does not exist.")
        return found

    @operation("namespaceName")
    def GetNamespace(self, request: Request) -> Response:
        """One namespace."""
        return {"namespace": self._namespace(request["namespaceName"])}

    @operation("maxResults", "nextToken")
    def ListNamespaces(self, request: Request) -> Response:
        """Namespaces by name."""
        return self._page(request, "namespaces", NAMESPACE)

    def _page(self, request: Request, member: str, kind: str) -> Response:
        items = [document for _, document in self.aws.store.list(kind)]
        token = request.get("nextToken") or "0"
        if not token.isdigit():
            raise AwsError("ValidationException", "The nextToken is not valid.")
        start, size = int(token), request.get("maxResults") or 100
        page = {member: items[start : start + size]}
        if start + size < len(items):
            page["nextToken"] = str(start + size)  # type: ignore[assignment]
        return page

    @operation(
        "namespaceName", "adminUsername", "adminUserPassword", "defaultIamRoleArn", "iamRoles",
        "kmsKeyId", "logExports", "manageAdminPassword", "adminPasswordSecretKmsKeyId",
        differs="takes effect at once",
    )  # fmt: skip
    def UpdateNamespace(self, request: Request) -> Response:
        """Change a namespace's roles, administrator or log exports."""
        self._check_password(request)
        namespace = self._namespace(request["namespaceName"])
        changes = {key: request[key] for key in _NAMESPACE_KEPT if request.get(key) is not None}
        merged = {**namespace, **changes}
        self._check_role(merged.get("defaultIamRoleArn"), merged.get("iamRoles") or [])
        if request.get("manageAdminPassword") and not namespace.get("adminPasswordSecretArn"):
            merged["adminPasswordSecretArn"] = self._secret(merged)
            logins.forget_password(self.aws, namespace["namespaceName"])
        if request.get("adminUserPassword"):
            logins.set_password(self.aws, namespace["namespaceName"], request["adminUserPassword"])
            self._drop_secret(merged)
        self.aws.store.put(NAMESPACE, request["namespaceName"], merged)
        return {"namespace": merged}

    def _drop_secret(self, namespace: dict[str, Any]) -> None:
        arn = namespace.pop("adminPasswordSecretArn", None)
        if arn:
            self.aws.client("secretsmanager").delete_secret(
                SecretId=arn, ForceDeleteWithoutRecovery=True
            )

    @operation("namespaceName")
    def DeleteNamespace(self, request: Request) -> Response:
        """Delete a namespace that no workgroup uses, with its databases."""
        namespace = self._namespace(request["namespaceName"])
        name = namespace["namespaceName"]
        used = [
            key
            for key, workgroup in self.aws.store.list(WORKGROUP)
            if workgroup["namespaceName"] == name
        ]
        if used:
            raise AwsError(
                "ConflictException",
                f"The namespace {name} is associated with the workgroup {used[0]}."
                " Delete the workgroup first.",
            )
        Compute.of(self.aws).drop(name)
        self.aws.store.delete(NAMESPACE, name)
        self.aws.store.delete(TAGS, namespace["namespaceArn"])
        logins.forget_password(self.aws, name)
        self._drop_secret(dict(namespace))
        return {"namespace": {**namespace, "status": "DELETING"}}

    # -- workgroups ------------------------------------------------------------------------

    @operation(
        "workgroupName", "namespaceName", "tags", *_WORKGROUP_KEPT,
        differs="AVAILABLE at once; capacity and network settings are kept and limit nothing",
    )  # fmt: skip
    def CreateWorkgroup(self, request: Request) -> Response:
        """Create a workgroup on a namespace."""
        name = request["workgroupName"]
        _check_name(name, "The workgroup name")
        self._namespace(request["namespaceName"])
        self._check_capacity(request)
        identifier = str(uuid.uuid4())
        port = request.get("port") or 5439
        host = f"{name}.{self.aws.config.account}.{self.aws.config.region}"
        workgroup = {
            "baseCapacity": 128,
            "configParameters": [],
            "enhancedVpcRouting": False,
            "publiclyAccessible": False,
            "securityGroupIds": [],
            "subnetIds": [],
            "port": port,
            **{key: request[key] for key in _WORKGROUP_KEPT if request.get(key) is not None},
            "workgroupName": name,
            "namespaceName": request["namespaceName"],
            "workgroupId": identifier,
            "workgroupArn": self.aws.arn("redshift-serverless", f"workgroup/{identifier}"),
            "creationDate": self.aws.now(),
            "status": "AVAILABLE",
            "endpoint": {
                "address": f"{host}.redshift-serverless.amazonaws.com",
                "port": port,
                "vpcEndpoints": [],
            },
        }
        with self.aws.store.transaction():
            if self.aws.store.get(WORKGROUP, name):
                raise AwsError(
                    "ConflictException", f"A workgroup with the name {name} already exists."
                )
            for _, other in self.aws.store.list(WORKGROUP):
                if other["namespaceName"] == request["namespaceName"]:
                    raise AwsError(
                        "ConflictException",
                        f"The namespace {request['namespaceName']} already has the workgroup"
                        f" {other['workgroupName']}.",
                    )
            self.aws.store.put(WORKGROUP, name, workgroup)
            self._tag(workgroup["workgroupArn"], request.get("tags") or [])
        return {"workgroup": self._shown(workgroup)}

    def _shown(self, workgroup: dict[str, Any]) -> dict[str, Any]:
        """A workgroup with the address that it can be reached at, where it can."""
        if self.listener is None:
            return workgroup
        at = {"address": self.listener.address, "port": self.listener.port}
        return {**workgroup, "endpoint": {**workgroup["endpoint"], **at}}

    @staticmethod
    def _check_capacity(request: Request) -> None:
        base, most = request.get("baseCapacity"), request.get("maxCapacity")
        if base is not None and (not 4 <= base <= 1024 or (base > 8 and base % 8)):
            raise AwsError(
                "ValidationException",
                f"baseCapacity {base} is not valid: 4, 8, and then multiples of 8 up to 1024.",
            )
        if base is not None and most is not None and most < base:
            raise AwsError("ValidationException", "maxCapacity must not be below baseCapacity.")

    def _workgroup(self, name: str) -> dict[str, Any]:
        found = self.aws.store.get(WORKGROUP, name)
        if found is None:
            raise AwsError("ResourceNotFoundException", f"The workgroup {name} does not exist.")
        return found

    @operation("workgroupName")
    def GetWorkgroup(self, request: Request) -> Response:
        """One workgroup, with its endpoint."""
        return {"workgroup": self._shown(self._workgroup(request["workgroupName"]))}

    @operation("maxResults", "nextToken", "ownerAccount")
    def ListWorkgroups(self, request: Request) -> Response:
        """Workgroups by name."""
        owner = request.get("ownerAccount")
        if owner and owner != self.aws.config.account:
            return {"workgroups": []}
        page = self._page(request, "workgroups", WORKGROUP)
        return {**page, "workgroups": [self._shown(each) for each in page["workgroups"]]}

    @operation("workgroupName", *_WORKGROUP_KEPT, differs="takes effect at once")
    def UpdateWorkgroup(self, request: Request) -> Response:
        """Change a workgroup's capacity, parameters or network settings."""
        workgroup = self._workgroup(request["workgroupName"])
        changes = {key: request[key] for key in _WORKGROUP_KEPT if request.get(key) is not None}
        self._check_capacity({**workgroup, **changes})
        if "port" in changes:
            changes["endpoint"] = {**workgroup["endpoint"], "port": changes["port"]}
        updated = {**workgroup, **changes}
        self.aws.store.put(WORKGROUP, request["workgroupName"], updated)
        return {"workgroup": self._shown(updated)}

    @operation("workgroupName")
    def DeleteWorkgroup(self, request: Request) -> Response:
        """Delete a workgroup; its namespace keeps the databases."""
        workgroup = self._workgroup(request["workgroupName"])
        Compute.of(self.aws).close(workgroup["namespaceName"])
        self.aws.store.delete(WORKGROUP, request["workgroupName"])
        self.aws.store.delete(TAGS, workgroup["workgroupArn"])
        return {"workgroup": {**self._shown(workgroup), "status": "DELETING"}}

    @operation("workgroupName", "dbName", "durationSeconds",
               differs="one user for every caller")  # fmt: skip
    def GetCredentials(self, request: Request) -> Response:
        """A temporary user name and password of a workgroup."""
        if not request.get("workgroupName"):
            raise AwsError("ValidationException", "workgroupName is required.")
        self._workgroup(request["workgroupName"])
        seconds = request.get("durationSeconds") or 900
        if not 900 <= seconds <= 3600:
            raise AwsError("ValidationException", "durationSeconds must be between 900 and 3600.")
        user, expires = "IAM:root", self.aws.now() + timedelta(seconds=seconds)
        password = logins.make_temporary(
            self.aws, request["workgroupName"], request.get("dbName"), user, expires
        )
        return {
            "dbUser": user,
            "dbPassword": password,
            "expiration": expires,
            "nextRefreshTime": expires,
        }

    # -- tags ------------------------------------------------------------------------------

    def _tag(self, arn: str, tags: Sequence[dict[str, str]]) -> None:
        known = (self.aws.store.get(TAGS, arn) or {}).get("tags", {})
        known.update({tag["key"]: tag["value"] for tag in tags})
        if len(known) > 200:
            raise AwsError("TooManyTagsException", "A resource can have at most 200 tags.")
        self.aws.store.put(TAGS, arn, {"tags": known})

    def _resource(self, arn: str) -> str:
        for kind, member in ((NAMESPACE, "namespaceArn"), (WORKGROUP, "workgroupArn")):
            if any(document[member] == arn for _, document in self.aws.store.list(kind)):
                return arn
        raise AwsError("ResourceNotFoundException", f"There is no resource {arn}.")

    @operation("resourceArn", "tags")
    def TagResource(self, request: Request) -> Response:
        """Add tags to a namespace or workgroup."""
        self._tag(self._resource(request["resourceArn"]), request["tags"])
        return {}

    @operation("resourceArn", "tagKeys")
    def UntagResource(self, request: Request) -> Response:
        """Remove tags from a namespace or workgroup."""
        arn = self._resource(request["resourceArn"])
        tags = (self.aws.store.get(TAGS, arn) or {}).get("tags", {})
        left = {key: value for key, value in tags.items() if key not in request["tagKeys"]}
        self.aws.store.put(TAGS, arn, {"tags": left})
        return {}

    @operation("resourceArn")
    def ListTagsForResource(self, request: Request) -> Response:
        """The tags of a namespace or workgroup."""
        arn = self._resource(request["resourceArn"])
        tags = (self.aws.store.get(TAGS, arn) or {}).get("tags", {})
        return {"tags": [{"key": key, "value": value} for key, value in sorted(tags.items())]}
