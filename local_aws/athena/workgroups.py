"""Athena's work groups, named queries, prepared statements and tags."""

from __future__ import annotations

import re
import uuid
from typing import Any

from local_aws.athena import statements
from local_aws.athena.base import (
    ENGINE,
    AthenaBase,
    check_cutoff,
    checked_configuration,
    checked_result_configuration,
    invalid,
    page,
)
from local_aws.athena.errors import QueryError
from local_aws.service import AwsError, Request, Response, Unsupported, operation

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_STATEMENT = re.compile(r"[a-zA-Z_][a-zA-Z0-9_@:]{0,255}")


class WorkGroupOperations(AthenaBase):
    """Operations on work groups and on what is kept in them."""

    def ensure_primary(self) -> None:
        if self.aws.store.get(self.WORKGROUP, "primary") is None:
            self._put(
                "primary", "", checked_configuration({"EnforceWorkGroupConfiguration": False})
            )

    def _put(self, name: str, description: str, configuration: dict[str, Any]) -> None:
        document = {
            "Name": name,
            "State": "ENABLED",
            "Description": description,
            "Configuration": configuration,
            "CreationTime": self.aws.now(),
        }
        self.aws.store.put(self.WORKGROUP, name, document)

    def _arn(self, name: str) -> str:
        return self.aws.arn("athena", f"workgroup/{name}")

    @operation("Name", "Configuration", "Description", "Tags")
    def CreateWorkGroup(self, request: Request) -> Response:
        """Create a work group."""
        name = request["Name"]
        if not _NAME.fullmatch(name):
            raise invalid(f"WorkGroup name {name!r} is not valid: letters, digits, . _ -")
        if self.aws.store.get(self.WORKGROUP, name) is not None:
            raise invalid("WorkGroup is already created")
        configuration = checked_configuration(request.get("Configuration"))
        self._put(name, request.get("Description") or "", configuration)
        self.tag(self._arn(name), request.get("Tags"))
        return {}

    @operation("WorkGroup")
    def GetWorkGroup(self, request: Request) -> Response:
        """Return a work group with its configuration."""
        return {"WorkGroup": self.workgroup(request["WorkGroup"])}

    @operation("NextToken", "MaxResults")
    def ListWorkGroups(self, request: Request) -> Response:
        """List the work groups."""
        items, more = page(self.aws.store.list(self.WORKGROUP), request, 50, 50)
        listed = [
            {
                **{k: group[k] for k in ("Name", "State", "Description", "CreationTime")},
                "EngineVersion": group["Configuration"]["EngineVersion"],
            }
            for _, group in items
        ]
        return {"WorkGroups": listed, **more}

    @operation("WorkGroup", "Description", "ConfigurationUpdates", "State")
    def UpdateWorkGroup(self, request: Request) -> Response:
        """Change a work group's configuration, description or state."""
        with self.aws.store.transaction():
            group = self.workgroup(request["WorkGroup"])
            updates = {
                k: v
                for k, v in (request.get("ConfigurationUpdates") or {}).items()
                if v is not None
            }
            configuration = group["Configuration"]
            results = updates.pop("ResultConfigurationUpdates", None)
            if results is not None:
                changed = {**configuration["ResultConfiguration"]}
                for key, value in results.items():
                    if key.startswith("Remove"):
                        if value:
                            changed.pop(key.removeprefix("Remove"), None)
                    elif value is not None:
                        changed[key] = value
                configuration["ResultConfiguration"] = checked_result_configuration(changed)
            if updates.pop("RemoveBytesScannedCutoffPerQuery", False):
                configuration.pop("BytesScannedCutoffPerQuery", None)
            for name in (
                "EnforceWorkGroupConfiguration",
                "PublishCloudWatchMetricsEnabled",
                "BytesScannedCutoffPerQuery",
            ):
                if name in updates:
                    configuration[name] = updates.pop(name)
            check_cutoff(configuration.get("BytesScannedCutoffPerQuery"))
            if "EngineVersion" in updates:
                changed = checked_configuration({"EngineVersion": updates.pop("EngineVersion")})
                configuration["EngineVersion"] = changed["EngineVersion"]
            if updates.pop("RequesterPaysEnabled", False):
                raise Unsupported("RequesterPaysEnabled of athena work groups")
            if updates:
                raise Unsupported(f"the option ConfigurationUpdates.{sorted(updates)[0]} of athena")
            if request.get("Description") is not None:
                group["Description"] = request["Description"]
            group["State"] = request.get("State") or group["State"]
            self.aws.store.put(self.WORKGROUP, group["Name"], group)
        return {}

    @operation("WorkGroup", "RecursiveDeleteOption")
    def DeleteWorkGroup(self, request: Request) -> Response:
        """Delete a work group; with RecursiveDeleteOption also what is kept in it."""
        name = request["WorkGroup"]
        if name == "primary":
            raise invalid("The primary WorkGroup cannot be deleted")
        with self.aws.store.transaction():
            if self.aws.store.get(self.WORKGROUP, name) is None:
                return {}
            kept = [
                (kind, key)
                for kind in (self.NAMED, self.PREPARED, self.EXECUTION)
                for key, document in self.aws.store.list(kind)
                if document.get("WorkGroup", document.get("WorkGroupName")) == name
                or (document.get("QueryExecution") or {}).get("WorkGroup") == name
            ]
            if kept and not request.get("RecursiveDeleteOption"):
                raise invalid(f"WorkGroup {name} is not empty")
            for kind, key in kept:
                self.aws.store.delete(kind, key)
            self.aws.store.delete(self.WORKGROUP, name)
            self.aws.store.delete(self.TAGS, self._arn(name))
        return {}

    @operation()
    def ListEngineVersions(self, request: Request) -> Response:
        """List the engine versions."""
        return {"EngineVersions": [{**ENGINE, "SelectedEngineVersion": "AUTO"}, ENGINE]}

    # Named queries

    @operation("Name", "Description", "Database", "QueryString", "ClientRequestToken", "WorkGroup")
    def CreateNamedQuery(self, request: Request) -> Response:
        """Keep a query under a name."""
        group = self.workgroup(request.get("WorkGroup"))["Name"]
        token = request.get("ClientRequestToken")
        with self.aws.store.transaction():
            for key, document in self.aws.store.list(self.NAMED):
                if token and document.get("Token") == token:
                    return {"NamedQueryId": key}
            key = str(uuid.uuid4())
            members = ("Name", "Description", "Database", "QueryString")
            document = {m: request[m] for m in members if request.get(m) is not None}
            self.aws.store.put(
                self.NAMED,
                key,
                {**document, "NamedQueryId": key, "WorkGroup": group, "Token": token},
            )
        return {"NamedQueryId": key}

    def _named(self, key: str) -> dict[str, Any]:
        found = self.aws.store.get(self.NAMED, key)
        if found is None:
            raise invalid(f"NamedQuery {key} was not found")
        found.pop("Token", None)
        return found

    @operation("NamedQueryId")
    def GetNamedQuery(self, request: Request) -> Response:
        """Return a named query."""
        return {"NamedQuery": self._named(request["NamedQueryId"])}

    @operation("NamedQueryIds")
    def BatchGetNamedQuery(self, request: Request) -> Response:
        """Return several named queries, and name those that are not there."""
        found, missing = [], []
        for key in request["NamedQueryIds"]:
            try:
                found.append(self._named(key))
            except AwsError as error:
                missing.append(
                    {"NamedQueryId": key, "ErrorCode": "INVALID_INPUT",
                     "ErrorMessage": error.message}
                )  # fmt: skip
        return {"NamedQueries": found, "UnprocessedNamedQueryIds": missing}

    @operation("NextToken", "MaxResults", "WorkGroup")
    def ListNamedQueries(self, request: Request) -> Response:
        """List the ids of a work group's named queries."""
        group = self.workgroup(request.get("WorkGroup"))["Name"]
        keys = [k for k, d in self.aws.store.list(self.NAMED) if d["WorkGroup"] == group]
        items, more = page(keys, request, 50, 50)
        return {"NamedQueryIds": items, **more}

    @operation("NamedQueryId", "Name", "Description", "QueryString")
    def UpdateNamedQuery(self, request: Request) -> Response:
        """Change a named query."""
        key = request["NamedQueryId"]
        self._named(key)
        changes = {
            m: request[m]
            for m in ("Name", "Description", "QueryString")
            if request.get(m) is not None
        }
        self.aws.store.update(self.NAMED, key, **changes)
        return {}

    @operation("NamedQueryId")
    def DeleteNamedQuery(self, request: Request) -> Response:
        """Delete a named query."""
        self._named(request["NamedQueryId"])
        self.aws.store.delete(self.NAMED, request["NamedQueryId"])
        return {}

    # Prepared statements

    def prepared(self, group: str, name: str) -> str | None:
        """The text of a prepared statement; None if there is none."""
        found = self.aws.store.get(self.PREPARED, f"{group}/{name.lower()}")
        return found["QueryStatement"] if found else None

    def save_prepared(self, group: str, name: str, sql: str, description: str = "") -> None:
        document = {
            "StatementName": name.lower(),
            "QueryStatement": sql,
            "WorkGroupName": group,
            "Description": description,
            "LastModifiedTime": self.aws.now(),
        }
        self.aws.store.put(self.PREPARED, f"{group}/{name.lower()}", document)

    def drop_prepared(self, group: str, name: str) -> bool:
        return self.aws.store.delete(self.PREPARED, f"{group}/{name.lower()}")

    @operation("StatementName", "WorkGroup", "QueryStatement", "Description")
    def CreatePreparedStatement(self, request: Request) -> Response:
        """Keep a statement with question marks under a name."""
        group = self.workgroup(request["WorkGroup"])["Name"]
        name = request["StatementName"]
        if not _STATEMENT.fullmatch(name):
            raise invalid(f"Prepared statement name {name!r} is not valid")
        if self.prepared(group, name) is not None:
            raise invalid(f"PreparedStatement {name} already exists in WorkGroup {group}")
        self._check_statement(request["QueryStatement"])
        self.save_prepared(group, name, request["QueryStatement"], request.get("Description") or "")
        return {}

    @staticmethod
    def _check_statement(sql: str) -> None:
        try:
            statements.route(sql)
        except QueryError as error:
            raise invalid(str(error), "MALFORMED_QUERY") from error

    def _prepared_document(self, request: Request) -> dict[str, Any]:
        group = self.workgroup(request["WorkGroup"])["Name"]
        name = request["StatementName"]
        found = self.aws.store.get(self.PREPARED, f"{group}/{name.lower()}")
        if found is None:
            raise AwsError(
                "ResourceNotFoundException",
                f"PreparedStatement {name} was not found in WorkGroup {group}",
                ResourceName=name,
            )
        return found

    @operation("StatementName", "WorkGroup")
    def GetPreparedStatement(self, request: Request) -> Response:
        """Return a prepared statement."""
        return {"PreparedStatement": self._prepared_document(request)}

    @operation("StatementName", "WorkGroup", "QueryStatement", "Description")
    def UpdatePreparedStatement(self, request: Request) -> Response:
        """Change a prepared statement."""
        found = self._prepared_document(request)
        self._check_statement(request["QueryStatement"])
        description = request.get("Description") or found.get("Description") or ""
        self.save_prepared(
            found["WorkGroupName"], found["StatementName"], request["QueryStatement"], description
        )
        return {}

    @operation("StatementName", "WorkGroup")
    def DeletePreparedStatement(self, request: Request) -> Response:
        """Delete a prepared statement."""
        found = self._prepared_document(request)
        self.drop_prepared(found["WorkGroupName"], found["StatementName"])
        return {}

    @operation("WorkGroup", "NextToken", "MaxResults")
    def ListPreparedStatements(self, request: Request) -> Response:
        """List a work group's prepared statements."""
        group = self.workgroup(request["WorkGroup"])["Name"]
        items, more = page(
            [d for _, d in self.aws.store.list(self.PREPARED, f"{group}/")], request, 50, 50
        )
        members = ("StatementName", "LastModifiedTime")
        return {"PreparedStatements": [{m: d[m] for m in members} for d in items], **more}

    # Tags

    @operation("ResourceARN", "Tags")
    def TagResource(self, request: Request) -> Response:
        """Add tags to a work group."""
        self._taggable(request["ResourceARN"])
        self.tag(request["ResourceARN"], request["Tags"])
        return {}

    @operation("ResourceARN", "TagKeys")
    def UntagResource(self, request: Request) -> Response:
        """Remove tags from a work group."""
        arn = request["ResourceARN"]
        self._taggable(arn)
        tags = self.aws.store.get(self.TAGS, arn) or {}
        kept = {k: v for k, v in tags.items() if k not in request["TagKeys"]}
        self.aws.store.put(self.TAGS, arn, kept)
        return {}

    @operation("ResourceARN", "NextToken", "MaxResults")
    def ListTagsForResource(self, request: Request) -> Response:
        """List the tags of a work group."""
        arn = request["ResourceARN"]
        self._taggable(arn)
        tags = self.aws.store.get(self.TAGS, arn) or {}
        items, more = page(sorted(tags.items()), request, 75, 1000)
        return {"Tags": [{"Key": k, "Value": v} for k, v in items], **more}

    def _taggable(self, arn: str) -> None:
        kind, _, name = arn.rpartition(":")[2].partition("/")
        if kind == "datacatalog":
            return
        if kind != "workgroup" or self.aws.store.get(self.WORKGROUP, name) is None:
            raise AwsError(
                "ResourceNotFoundException", f"Resource {arn} was not found", ResourceName=arn
            )
