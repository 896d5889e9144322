"""Athena's view of data catalogs: there is one, AwsDataCatalog, which is Glue's."""

from __future__ import annotations

import re
from typing import Any

from local_aws.athena.base import AthenaBase, invalid, page
from local_aws.service import AwsError, Request, Response, operation

NAME = "AwsDataCatalog"
_WORKGROUP = {"WorkGroup": "It is needed for IAM Identity Center only."}


class MetadataOperations(AthenaBase):
    """Operations on catalogs, databases and tables."""

    def _own(self, name: str) -> None:
        if name.lower() != NAME.lower():
            raise invalid(f"Data catalog {name} was not found")

    def _glue(self, operation_name: str, **request: Any) -> dict[str, Any]:
        try:
            return self.aws.services["glue"].call(operation_name, request)
        except AwsError as error:
            if error.code != "EntityNotFoundException":
                raise
            raise AwsError("MetadataException", f"{error.code}: {error.message}") from error

    def _pages(self, operation_name: str, member: str, **request: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            answer = self._glue(operation_name, **request)
            found += answer[member]
            if not answer.get("NextToken"):
                return found
            request["NextToken"] = answer["NextToken"]

    @operation("Name", ignores=_WORKGROUP)
    def GetDataCatalog(self, request: Request) -> Response:
        """Return the data catalog AwsDataCatalog."""
        self._own(request["Name"])
        parameters = {"catalog-id": self.aws.config.account}
        return {"DataCatalog": {"Name": NAME, "Type": "GLUE", "Parameters": parameters}}

    @operation("NextToken", "MaxResults", ignores=_WORKGROUP)
    def ListDataCatalogs(self, request: Request) -> Response:
        """List the data catalogs."""
        return {"DataCatalogsSummary": [{"CatalogName": NAME, "Type": "GLUE"}]}

    @operation("CatalogName", "DatabaseName", ignores=_WORKGROUP)
    def GetDatabase(self, request: Request) -> Response:
        """Return a database."""
        self._own(request["CatalogName"])
        found = self._glue("GetDatabase", Name=request["DatabaseName"])["Database"]
        return {"Database": _database(found)}

    @operation("CatalogName", "NextToken", "MaxResults", "AttributesToGet", ignores=_WORKGROUP)
    def ListDatabases(self, request: Request) -> Response:
        """List the databases."""
        self._own(request["CatalogName"])
        items, more = page(self._pages("GetDatabases", "DatabaseList"), request, 50, 50)
        found = [_database(d) for d in items]
        if request.get("AttributesToGet"):
            found = [{"Name": d["Name"]} for d in found]
        return {"DatabaseList": found, **more}

    @operation("CatalogName", "DatabaseName", "TableName", ignores=_WORKGROUP)
    def GetTableMetadata(self, request: Request) -> Response:
        """Return a table's columns, partition keys and parameters."""
        self._own(request["CatalogName"])
        found = self._glue(
            "GetTable", DatabaseName=request["DatabaseName"], Name=request["TableName"]
        )
        return {"TableMetadata": _table(found["Table"])}

    @operation(
        "CatalogName",
        "DatabaseName",
        "Expression",
        "NextToken",
        "MaxResults",
        "AttributesToGet",
        ignores=_WORKGROUP,
    )
    def ListTableMetadata(self, request: Request) -> Response:
        """List the tables of a database, all or those whose name matches a pattern."""
        self._own(request["CatalogName"])
        tables = self._pages("GetTables", "TableList", DatabaseName=request["DatabaseName"])
        expression = request.get("Expression")
        if expression:
            pattern = re.compile(expression.replace("*", ".*").replace("..*", ".*"))
            tables = [table for table in tables if pattern.fullmatch(table["Name"])]
        items, more = page(tables, request, 50, 50)
        found = [_table(table) for table in items]
        wanted = request.get("AttributesToGet")
        if wanted:
            names = {"NAME": "Name", "TABLE_TYPE": "TableType"}
            keep = {"Name", *(names[w] for w in wanted)}
            found = [{k: v for k, v in table.items() if k in keep} for table in found]
        return {"TableMetadataList": found, **more}


def _database(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: found[key]
        for key in ("Name", "Description", "Parameters")
        if found.get(key) is not None
    }


def _table(found: dict[str, Any]) -> dict[str, Any]:
    storage = found.get("StorageDescriptor") or {}
    serde = storage.get("SerdeInfo") or {}
    parameters = {
        **(found.get("Parameters") or {}),
        "location": storage.get("Location") or "",
        "inputformat": storage.get("InputFormat") or "",
        "outputformat": storage.get("OutputFormat") or "",
        "serde.serialization.lib": serde.get("SerializationLibrary") or "",
        **{f"serde.param.{k}": v for k, v in (serde.get("Parameters") or {}).items()},
    }
    made: dict[str, Any] = {
        "Name": found["Name"],
        "CreateTime": found.get("CreateTime"),
        "LastAccessTime": found.get("LastAccessTime") or found.get("CreateTime"),
        "TableType": found.get("TableType") or "",
        "Columns": [_column(c) for c in storage.get("Columns") or []],
        "PartitionKeys": [_column(c) for c in found.get("PartitionKeys") or []],
        "Parameters": parameters,
    }
    return {k: v for k, v in made.items() if v is not None}


def _column(found: dict[str, Any]) -> dict[str, str]:
    return {k: found[k] for k in ("Name", "Type", "Comment") if found.get(k) is not None}
