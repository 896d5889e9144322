"""AWS Glue: databases, tables, versions and partitions.

Other engines of the process use :attr:`CatalogOperations.catalog` (see ``metastore``).
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from local_aws.glue.metastore import Catalog, name_pattern
from local_aws.service import (
    AwsError,
    Feature,
    Request,
    Response,
    Service,
    Unsupported,
    operation,
)

Item = TypeVar("Item")
_AUDIT = {"AuditContext": "it is written to Lake Formation's audit log alone"}
_STATUS = {"IncludeStatusDetails": "only views of several dialects have a status"}


def _token(position: int) -> str:
    return base64.urlsafe_b64encode(f"after:{position}".encode()).decode()


def page(items: Sequence[Item], request: Request, most: int) -> tuple[Sequence[Item], Response]:
    """One page of ``items`` by MaxResults and NextToken, and ``{"NextToken": ...}`` or ``{}``.

    Raises:
        AwsError: InvalidInputException for a size out of bounds or a token not given by us.
    """
    size = request.get("MaxResults") or most
    if not 1 <= size <= most:
        raise AwsError("InvalidInputException", f"MaxResults must be 1 to {most}, but is {size}.")
    start = 0
    if request.get("NextToken"):
        try:
            word, _, number = base64.urlsafe_b64decode(request["NextToken"]).decode().partition(":")
            start = int(number)
        except (binascii.Error, ValueError):
            word = ""
        if word != "after":
            raise AwsError("InvalidInputException", "NextToken was not given by this operation.")
    more = {"NextToken": _token(start + size)} if start + size < len(items) else {}
    return items[start : start + size], more


def _at_most(items: Sequence[Any], most: int, what: str) -> None:
    if len(items) > most:
        raise AwsError(
            "InvalidInputException", f"{what} takes at most {most} entries, but has {len(items)}."
        )


class CatalogOperations(Service):
    """Operations on databases, tables, versions and partitions."""

    catalog: Catalog

    features: ClassVar[tuple[Feature, ...]] = (
        Feature("Data Catalog", "tables, versions, partitions and their filters", "supported"),
        Feature("Data Catalog", "resource links, federated databases", "refused"),
        Feature("Data Catalog", "multi-dialect and materialized views", "refused"),
        Feature("Data Catalog", "creating Iceberg tables by CreateTable", "refused"),
        Feature("Data Catalog", "column statistics, partition indexes", "refused"),
        Feature("Data Catalog", "other catalogs than the account's own", "refused"),
    )

    def setup(self) -> None:
        self.catalog = Catalog(self.aws)

    # Databases

    @operation("CatalogId", "DatabaseInput", "Tags")
    def CreateDatabase(self, request: Request) -> Response:
        """Create a database."""
        self.catalog.check_own(request.get("CatalogId"))
        with self.aws.store.transaction():
            created = self.catalog.create_database(request["DatabaseInput"])
            self.catalog.tag(f"database/{created['Name']}", request.get("Tags"))
        return {}

    @operation("CatalogId", "Name")
    def GetDatabase(self, request: Request) -> Response:
        """Return a database."""
        self.catalog.check_own(request.get("CatalogId"))
        return {"Database": self.catalog.existing_database(request["Name"])}

    @operation("CatalogId", "NextToken", "MaxResults", "AttributesToGet", "ResourceShareType")
    def GetDatabases(self, request: Request) -> Response:
        """List the databases."""
        self.catalog.check_own(request.get("CatalogId"))
        databases = [] if _foreign(request) else self.catalog.databases()
        items, more = page(databases, request, 100)
        if request.get("AttributesToGet"):
            items = [{"Name": item["Name"]} for item in items]
        return {"DatabaseList": items, **more}

    @operation("CatalogId", "Name", "DatabaseInput")
    def UpdateDatabase(self, request: Request) -> Response:
        """Replace a database's description, location and parameters."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.update_database(request["Name"], request["DatabaseInput"])
        return {}

    @operation("CatalogId", "Name", differs="Its tables are gone at once, not a while later.")
    def DeleteDatabase(self, request: Request) -> Response:
        """Delete a database with its tables."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.delete_database(request["Name"])
        return {}

    # Tables

    @operation("CatalogId", "DatabaseName", "TableInput")
    def CreateTable(self, request: Request) -> Response:
        """Create a table."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.create_table(request["DatabaseName"], request["TableInput"])
        return {}

    @operation("CatalogId", "DatabaseName", "Name", "AttributesToGet", ignores=_AUDIT | _STATUS)
    def GetTable(self, request: Request) -> Response:
        """Return a table."""
        self.catalog.check_own(request.get("CatalogId"))
        table = self.catalog.existing_table(request["DatabaseName"], request["Name"])
        return {"Table": _attributes(table, request.get("AttributesToGet"))}

    @operation(
        "CatalogId",
        "DatabaseName",
        "Expression",
        "NextToken",
        "MaxResults",
        "AttributesToGet",
        ignores=_AUDIT | _STATUS,
    )
    def GetTables(self, request: Request) -> Response:
        """List a database's tables, all or those whose name matches a pattern."""
        self.catalog.check_own(request.get("CatalogId"))
        database = request["DatabaseName"]
        names = self.catalog.table_names(database)
        if request.get("Expression"):
            matches = name_pattern(request["Expression"]).fullmatch
            names = [name for name in names if matches(name)]
        chosen, more = page(names, request, 100)
        tables = [table for name in chosen if (table := self.catalog.table(database, name))]
        asked = request.get("AttributesToGet")
        return {"TableList": [_attributes(table, asked) for table in tables], **more}

    @operation("CatalogId", "DatabaseName", "TableInput", "SkipArchive", "VersionId")
    def UpdateTable(self, request: Request) -> Response:
        """Replace a table's definition in one step."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.update_table(
            request["DatabaseName"],
            request["TableInput"],
            version=request.get("VersionId"),
            skip_archive=bool(request.get("SkipArchive")),
        )
        return {}

    @operation(
        "CatalogId",
        "DatabaseName",
        "Name",
        differs="Its versions and partitions are gone at once, not a while later.",
    )
    def DeleteTable(self, request: Request) -> Response:
        """Delete a table with its versions and partitions."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.delete_table(request["DatabaseName"], request["Name"])
        return {}

    @operation("CatalogId", "DatabaseName", "TablesToDelete")
    def BatchDeleteTable(self, request: Request) -> Response:
        """Delete up to 100 tables, and report those that could not be."""
        self.catalog.check_own(request.get("CatalogId"))
        names = request["TablesToDelete"]
        _at_most(names, 100, "TablesToDelete")
        self.catalog.existing_database(request["DatabaseName"])
        return self._each(
            names,
            lambda name: self.catalog.delete_table(request["DatabaseName"], name),
            lambda name: {"TableName": name},
        )

    @operation(
        "CatalogId",
        "Filters",
        "SearchText",
        "SortCriteria",
        "MaxResults",
        "NextToken",
        "ResourceShareType",
        ignores=_STATUS,
        differs="SearchText matches whole substrings without ranking.",
    )
    def SearchTables(self, request: Request) -> Response:
        """Search tables of every database by text and by their properties."""
        self.catalog.check_own(request.get("CatalogId"))
        tables = [
            table
            for database in ([] if _foreign(request) else self.catalog.databases())
            for table in self.catalog.tables(database["Name"])
        ]
        text = (request.get("SearchText") or "").strip('"').lower()
        if text:
            tables = [table for table in tables if text in _searched(table)]
        for predicate in request.get("Filters") or []:
            comparator = predicate.get("Comparator") or "EQUALS"
            if comparator != "EQUALS":
                raise Unsupported(f"the comparator {comparator} of SearchTables")
            key, value = predicate.get("Key", ""), predicate.get("Value", "")
            tables = [table for table in tables if _property(table, key) == value]
        for criterion in request.get("SortCriteria") or []:
            tables.sort(
                key=lambda table: str(_property(table, criterion["FieldName"])),
                reverse=criterion.get("Sort") == "DESC",
            )
        items, more = page(tables, request, 1000)
        return {"TableList": items, **more}

    # Versions

    @operation("CatalogId", "DatabaseName", "TableName", "VersionId", ignores=_AUDIT)
    def GetTableVersion(self, request: Request) -> Response:
        """Return one version of a table, the current one by default."""
        self.catalog.check_own(request.get("CatalogId"))
        versions = self.catalog.versions(request["DatabaseName"], request["TableName"])
        wanted = request.get("VersionId") or versions[0]["VersionId"]
        for table in versions:
            if table["VersionId"] == wanted:
                return {"TableVersion": {"Table": table, "VersionId": wanted}}
        raise AwsError(
            "EntityNotFoundException",
            f"Version {wanted} of table {request['TableName'].lower()} not found.",
        )

    @operation("CatalogId", "DatabaseName", "TableName", "NextToken", "MaxResults", ignores=_AUDIT)
    def GetTableVersions(self, request: Request) -> Response:
        """List a table's versions, the newest first."""
        self.catalog.check_own(request.get("CatalogId"))
        versions = self.catalog.versions(request["DatabaseName"], request["TableName"])
        items, more = page(versions, request, 100)
        return {
            "TableVersions": [{"Table": item, "VersionId": item["VersionId"]} for item in items],
            **more,
        }

    @operation("CatalogId", "DatabaseName", "TableName", "VersionId")
    def DeleteTableVersion(self, request: Request) -> Response:
        """Delete an old version of a table."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.delete_version(
            request["DatabaseName"], request["TableName"], request["VersionId"]
        )
        return {}

    @operation("CatalogId", "DatabaseName", "TableName", "VersionIds")
    def BatchDeleteTableVersion(self, request: Request) -> Response:
        """Delete up to 100 old versions of a table, and report those that could not be."""
        self.catalog.check_own(request.get("CatalogId"))
        database, name = request["DatabaseName"], request["TableName"]
        _at_most(request["VersionIds"], 100, "VersionIds")
        self.catalog.existing_table(database, name)
        return self._each(
            request["VersionIds"],
            lambda version: self.catalog.delete_version(database, name, version),
            lambda version: {"TableName": name, "VersionId": version},
        )

    # Partitions

    @operation("CatalogId", "DatabaseName", "TableName", "PartitionInput")
    def CreatePartition(self, request: Request) -> Response:
        """Create a partition."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.create_partition(
            request["DatabaseName"], request["TableName"], request["PartitionInput"]
        )
        return {}

    @operation("CatalogId", "DatabaseName", "TableName", "PartitionInputList")
    def BatchCreatePartition(self, request: Request) -> Response:
        """Create up to 100 partitions, and report those that could not be."""
        self.catalog.check_own(request.get("CatalogId"))
        database, name = request["DatabaseName"], request["TableName"]
        _at_most(request["PartitionInputList"], 100, "PartitionInputList")
        self.catalog.existing_table(database, name)
        return self._each(
            request["PartitionInputList"],
            lambda given: self.catalog.create_partition(database, name, given),
            lambda given: {"PartitionValues": given.get("Values") or []},
        )

    @operation("CatalogId", "DatabaseName", "TableName", "PartitionValues", ignores=_AUDIT)
    def GetPartition(self, request: Request) -> Response:
        """Return a partition."""
        self.catalog.check_own(request.get("CatalogId"))
        found = self.catalog.existing_partition(
            request["DatabaseName"], request["TableName"], request["PartitionValues"]
        )
        return {"Partition": found}

    @operation(
        "CatalogId",
        "DatabaseName",
        "TableName",
        "Expression",
        "NextToken",
        "Segment",
        "MaxResults",
        "ExcludeColumnSchema",
        ignores=_AUDIT,
    )
    def GetPartitions(self, request: Request) -> Response:
        """List a table's partitions, all or those that pass a filter."""
        self.catalog.check_own(request.get("CatalogId"))
        keys = self.catalog.partition_keys(
            request["DatabaseName"], request["TableName"], request.get("Expression")
        )
        segment = request.get("Segment")
        if segment:
            number, total = segment["SegmentNumber"], segment["TotalSegments"]
            if not (1 <= total <= 10 and 0 <= number < total):
                raise AwsError(
                    "InvalidInputException",
                    f"Segment {number} of {total}: TotalSegments is 1 to 10, SegmentNumber below.",
                )
            keys = [key for key in keys if zlib.crc32(key.encode()) % total == number]
        chosen, more = page(keys, request, 1000)
        partitions = self.catalog.partitions_at(chosen)
        if request.get("ExcludeColumnSchema"):
            for partition in partitions:
                partition.get("StorageDescriptor", {}).pop("Columns", None)
        return {"Partitions": partitions, **more}

    @operation("CatalogId", "DatabaseName", "TableName", "PartitionsToGet", ignores=_AUDIT)
    def BatchGetPartition(self, request: Request) -> Response:
        """Return up to 1,000 partitions by their values; those that are missing are left out."""
        self.catalog.check_own(request.get("CatalogId"))
        wanted = request["PartitionsToGet"]
        _at_most(wanted, 1000, "PartitionsToGet")
        table = self.catalog.existing_table(request["DatabaseName"], request["TableName"])
        found = (
            self.catalog.partition(table["DatabaseName"], table["Name"], entry["Values"])
            for entry in wanted
        )
        return {"Partitions": [item for item in found if item], "UnprocessedKeys": []}

    @operation("CatalogId", "DatabaseName", "TableName", "PartitionValueList", "PartitionInput")
    def UpdatePartition(self, request: Request) -> Response:
        """Replace a partition."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.update_partition(
            request["DatabaseName"],
            request["TableName"],
            request["PartitionValueList"],
            request["PartitionInput"],
        )
        return {}

    @operation("CatalogId", "DatabaseName", "TableName", "Entries")
    def BatchUpdatePartition(self, request: Request) -> Response:
        """Replace up to 100 partitions, and report those that could not be."""
        self.catalog.check_own(request.get("CatalogId"))
        database, name = request["DatabaseName"], request["TableName"]
        _at_most(request["Entries"], 100, "Entries")
        self.catalog.existing_table(database, name)
        return self._each(
            request["Entries"],
            lambda entry: self.catalog.update_partition(
                database, name, entry["PartitionValueList"], entry["PartitionInput"]
            ),
            lambda entry: {"PartitionValueList": entry["PartitionValueList"]},
        )

    @operation("CatalogId", "DatabaseName", "TableName", "PartitionValues")
    def DeletePartition(self, request: Request) -> Response:
        """Delete a partition; the files stay."""
        self.catalog.check_own(request.get("CatalogId"))
        self.catalog.delete_partition(
            request["DatabaseName"], request["TableName"], request["PartitionValues"]
        )
        return {}

    @operation("CatalogId", "DatabaseName", "TableName", "PartitionsToDelete")
    def BatchDeletePartition(self, request: Request) -> Response:
        """Delete up to 25 partitions, and report those that could not be."""
        self.catalog.check_own(request.get("CatalogId"))
        database, name = request["DatabaseName"], request["TableName"]
        _at_most(request["PartitionsToDelete"], 25, "PartitionsToDelete")
        self.catalog.existing_table(database, name)
        return self._each(
            request["PartitionsToDelete"],
            lambda entry: self.catalog.delete_partition(database, name, entry["Values"]),
            lambda entry: {"PartitionValues": entry["Values"]},
        )

    def _each(
        self,
        entries: Sequence[Any],
        work: Callable[[Any], Any],
        label: Callable[[Any], Response],
    ) -> Response:
        """Work on each entry in one transaction; an AwsError of one becomes its ErrorDetail."""
        errors = []
        with self.aws.store.transaction():
            for entry in entries:
                try:
                    work(entry)
                except Unsupported:
                    raise
                except AwsError as error:
                    detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
                    errors.append({**label(entry), "ErrorDetail": detail})
        return {"Errors": errors}

    # Functions, tags and what else a catalog is asked

    @operation("CatalogId", "DatabaseName", "Pattern", "NextToken", "MaxResults", "FunctionType")
    def GetUserDefinedFunctions(self, request: Request) -> Response:
        """List the user-defined functions: there are none, since none can be created."""
        self.catalog.check_own(request.get("CatalogId"))
        if request.get("DatabaseName"):
            self.catalog.existing_database(request["DatabaseName"])
        return {"UserDefinedFunctions": []}

    @operation("CatalogId")
    def GetCatalogImportStatus(self, request: Request) -> Response:
        """Say that Athena's old catalog was migrated: there never was one."""
        self.catalog.check_own(request.get("CatalogId"))
        return {"ImportStatus": {"ImportCompleted": True}}

    @operation("ResourceArn")
    def GetTags(self, request: Request) -> Response:
        """Return a resource's tags."""
        return {"Tags": self.catalog.tags(self._resource(request["ResourceArn"]))}

    @operation("ResourceArn", "TagsToAdd")
    def TagResource(self, request: Request) -> Response:
        """Add tags to a resource."""
        self.catalog.tag(self._resource(request["ResourceArn"]), request["TagsToAdd"])
        return {}

    @operation("ResourceArn", "TagsToRemove")
    def UntagResource(self, request: Request) -> Response:
        """Remove tags from a resource."""
        self.catalog.untag(self._resource(request["ResourceArn"]), request["TagsToRemove"])
        return {}

    def _resource(self, arn: str) -> str:
        """``crawler/name`` of an ARN, or EntityNotFoundException."""
        resource = arn.partition(self.aws.arn("glue", ""))[2]
        kind, _, name = resource.partition("/")
        key = name.lower().replace("/", "\x1f") if kind in {"database", "table"} else name
        if not key or self.aws.store.get(f"glue/{kind}", key) is None:
            raise AwsError("EntityNotFoundException", f"Entity not found for ARN {arn}.")
        return f"{kind}/{name.lower()}" if kind in {"database", "table"} else resource


def _foreign(request: Request) -> bool:
    """Whether only what other accounts share is asked for: there is none of it here."""
    return request.get("ResourceShareType") in ("FOREIGN", "FEDERATED")


def _attributes(table: dict[str, Any], asked: Sequence[str] | None) -> dict[str, Any]:
    if not asked:
        return table
    members = {"Name", "DatabaseName", *(["TableType"] if "TABLE_TYPE" in asked else [])}
    return {member: value for member, value in table.items() if member in members}


def _searched(table: dict[str, Any]) -> str:
    columns = (table.get("StorageDescriptor") or {}).get("Columns") or []
    words = [table["Name"], table["DatabaseName"], table.get("Description") or ""]
    words += [str(value) for value in (table.get("Parameters") or {}).values()]
    words += [f"{column['Name']} {column.get('Comment') or ''}" for column in columns]
    return "\n".join(words).lower()


def _property(table: dict[str, Any], key: str) -> Any:
    known = {name.lower(): value for name, value in table.items()}
    return known.get(key.lower(), (table.get("Parameters") or {}).get(key))
