"""The Data Catalog's documents, for every engine of this process: plain dicts in AWS's shapes.

Database and table names are folded to lower case, as Glue does. Every method is one transaction
of the store, so a reader sees a table before or after a change and never in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from local_aws.glue.partition_filter import PartitionFilter
from local_aws.service import AwsError, Unsupported

if TYPE_CHECKING:
    from local_aws.instance import Instance

Document = dict[str, Any]

DATABASE = "glue/database"
TABLE = "glue/table"
VERSION = "glue/table_version"
PARTITION = "glue/partition"
TAGS = "glue/tags"

_SEPARATOR = "\x1f"
_TABLE_MEMBERS = (
    "Name",
    "Description",
    "Owner",
    "LastAccessTime",
    "LastAnalyzedTime",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "ViewOriginalText",
    "ViewExpandedText",
    "TableType",
    "Parameters",
)
_DATABASE_MEMBERS = (
    "Name",
    "Description",
    "LocationUri",
    "Parameters",
    "CreateTableDefaultPermissions",
)
_PARTITION_MEMBERS = (
    "Values",
    "LastAccessTime",
    "StorageDescriptor",
    "Parameters",
    "LastAnalyzedTime",
)
_EVERYONE = {
    "Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"},
    "Permissions": ["ALL"],
}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)


def _missing(message: str) -> AwsError:
    return AwsError("EntityNotFoundException", message)


def folded(name: Any, what: str) -> str:
    """A database's or table's name as Glue keeps it.

    Raises:
        AwsError: InvalidInputException when it is no text of 1 to 255 printable characters.
    """
    if not isinstance(name, str) or not 1 <= len(name) <= 255 or _SEPARATOR in name:
        raise _invalid(f"{what} must be text of 1 to 255 characters, but is {name!r}.")
    return name.lower()


def _members(given: Document, known: Sequence[str], what: str) -> Document:
    for member, value in given.items():
        if value is not None and member not in known:
            raise Unsupported(
                f"the member {member} of {what}", f"Supported members: {', '.join(known)}."
            )
    return {member: given[member] for member in known if given.get(member) is not None}


def _storage(given: Document | None) -> Document | None:
    if given is None:
        return None
    for number, column in enumerate(given.get("Columns") or [], 1):
        if not column.get("Name"):
            raise _invalid(f"Column {number} of StorageDescriptor.Columns has no Name.")
    return {
        "Columns": [],
        "Compressed": False,
        "NumberOfBuckets": 0,
        "SortColumns": [],
        "StoredAsSubDirectories": False,
        **{member: value for member, value in given.items() if value is not None},
    }


class Catalog:
    """Databases, tables, versions and partitions."""

    def __init__(self, aws: Instance) -> None:
        self.aws = aws
        self.store = aws.store

    def check_own(self, catalog_id: str | None) -> None:
        """Refuse any catalog but the account's own."""
        if catalog_id and catalog_id != self.aws.config.account:
            raise Unsupported(
                f"the catalog {catalog_id}",
                f"The only catalog is the account's own: {self.aws.config.account}.",
            )

    @staticmethod
    def _key(*parts: str) -> str:
        return _SEPARATOR.join(parts)

    # Databases

    def databases(self) -> list[Document]:
        """Every database, by name (AWS's ``Database`` shape)."""
        return [document for _, document in self.store.list(DATABASE)]

    def database(self, name: str) -> Document | None:
        return self.store.get(DATABASE, name.lower())

    def existing_database(self, name: str) -> Document:
        """The database, or EntityNotFoundException."""
        found = self.store.get(DATABASE, folded(name, "DatabaseName"))
        if found is None:
            raise _missing(f"Database {name.lower()} not found.")
        return found

    def create_database(self, given: Document) -> Document:
        """Add a database from a ``DatabaseInput``; AlreadyExistsException if it is there."""
        document = self._database(given)
        with self.store.transaction():
            if self.store.get(DATABASE, document["Name"]):
                raise AwsError("AlreadyExistsException", "Database already exists.")
            self.store.put(DATABASE, document["Name"], document)
        return document

    def update_database(self, name: str, given: Document) -> Document:
        document = self._database(given)
        with self.store.transaction():
            current = self.existing_database(name)
            if document["Name"] != current["Name"]:
                raise _invalid(
                    f"A database cannot be renamed: {current['Name']} to {document['Name']}."
                )
            document["CreateTime"] = current["CreateTime"]
            self.store.put(DATABASE, document["Name"], document)
        return document

    def delete_database(self, name: str) -> None:
        """Delete a database with its tables, their versions and partitions."""
        with self.store.transaction():
            database = self.existing_database(name)["Name"]
            self.store.delete(DATABASE, database)
            for kind in (TABLE, VERSION, PARTITION):
                self.store.clear(kind, self._key(database, ""))
            self.forget_tags(f"database/{database}")
            self.forget_tags(f"table/{database}/", below=True)

    def _database(self, given: Document) -> Document:
        document = _members(given, _DATABASE_MEMBERS, "DatabaseInput")
        document["Name"] = folded(given.get("Name"), "DatabaseInput.Name")
        document.setdefault("CreateTableDefaultPermissions", [_EVERYONE])
        document["CreateTime"] = self.aws.now()
        document["CatalogId"] = self.aws.config.account
        return document

    # Tables

    def tables(self, database: str) -> list[Document]:
        """Every table of a database, by name; EntityNotFoundException for no such database."""
        name = self.existing_database(database)["Name"]
        return [document for _, document in self.store.list(TABLE, self._key(name, ""))]

    def table_names(self, database: str) -> list[str]:
        """The names alone, without reading the tables."""
        name = self.existing_database(database)["Name"]
        prefix = self._key(name, "")
        return [key[len(prefix) :] for key in self.store.keys(TABLE, prefix)]

    def table(self, database: str, name: str) -> Document | None:
        """One table (AWS's ``Table`` shape), or ``None``."""
        return self.store.get(TABLE, self._key(database.lower(), name.lower()))

    def existing_table(self, database: str, name: str) -> Document:
        """The table, or EntityNotFoundException naming what is missing."""
        key = self._key(folded(database, "DatabaseName"), folded(name, "the table's name"))
        found = self.store.get(TABLE, key)
        if found is None:
            self.existing_database(database)
            raise _missing(f"Table {name.lower()} not found in database {database.lower()}.")
        return found

    def create_table(self, database: str, given: Document) -> Document:
        """Add a table from a ``TableInput``; AlreadyExistsException if it is there."""
        with self.store.transaction():
            home = self.existing_database(database)["Name"]
            document = self._table(home, given)
            key = self._key(home, document["Name"])
            if self.store.get(TABLE, key):
                raise AwsError("AlreadyExistsException", "Table already exists.")
            self.store.put(TABLE, key, document)
        return document

    def update_table(
        self,
        database: str,
        given: Document,
        *,
        version: str | None = None,
        skip_archive: bool = False,
    ) -> Document:
        """Replace a table by a ``TableInput`` and count its version up.

        ``version`` is the version that the caller read: ConcurrentModificationException if the
        table has another by now. The old version is kept unless ``skip_archive``.
        """
        with self.store.transaction():
            current = self.existing_table(database, given.get("Name", ""))
            if version is not None and version != current["VersionId"]:
                raise AwsError(
                    "ConcurrentModificationException",
                    f"Update table failed due to concurrent modifications: the table"
                    f" {current['Name']} is at version {current['VersionId']}, not {version}.",
                )
            document = self._table(current["DatabaseName"], given)
            document["CreateTime"] = current["CreateTime"]
            document["CreatedBy"] = current["CreatedBy"]
            document["VersionId"] = str(int(current["VersionId"]) + 1)
            key = self._key(current["DatabaseName"], current["Name"])
            if not skip_archive:
                number = int(current["VersionId"])
                self.store.put(VERSION, self._key(key, f"{number:012d}"), current)
            self.store.put(TABLE, key, document)
        return document

    def put_table(self, database: str, given: Document) -> Document:
        """Create the table, or replace it when it is there."""
        with self.store.transaction():
            if self.table(database, folded(given.get("Name"), "TableInput.Name")):
                return self.update_table(database, given)
            return self.create_table(database, given)

    def delete_table(self, database: str, name: str) -> None:
        """Delete a table with its versions and partitions."""
        with self.store.transaction():
            table = self.existing_table(database, name)
            key = self._key(table["DatabaseName"], table["Name"])
            self.store.delete(TABLE, key)
            for kind in (VERSION, PARTITION):
                self.store.clear(kind, self._key(key, ""))
            self.forget_tags(f"table/{table['DatabaseName']}/{table['Name']}")

    def _table(self, database: str, given: Document) -> Document:
        document = _members(given, _TABLE_MEMBERS, "TableInput")
        document["Name"] = folded(given.get("Name"), "TableInput.Name")
        storage = _storage(document.get("StorageDescriptor"))
        if storage is not None:
            document["StorageDescriptor"] = storage
        keys = document.setdefault("PartitionKeys", [])
        for number, column in enumerate(keys, 1):
            if not column.get("Name"):
                raise _invalid(f"Column {number} of PartitionKeys has no Name.")
        document.setdefault("Retention", 0)
        now = self.aws.now()
        return {
            **document,
            "DatabaseName": database,
            "CreateTime": now,
            "UpdateTime": now,
            "CreatedBy": f"arn:aws:iam::{self.aws.config.account}:root",
            "IsRegisteredWithLakeFormation": False,
            "CatalogId": self.aws.config.account,
            "VersionId": "0",
        }

    # Versions

    def versions(self, database: str, name: str) -> list[Document]:
        """The table's versions as tables, the current one first, then newest to oldest."""
        with self.store.transaction():
            table = self.existing_table(database, name)
            prefix = self._key(table["DatabaseName"], table["Name"], "")
            archived = [document for _, document in self.store.list(VERSION, prefix)]
        return [table, *reversed(archived)]

    def delete_version(self, database: str, name: str, version: str) -> None:
        with self.store.transaction():
            table = self.existing_table(database, name)
            if version == table["VersionId"]:
                raise _invalid(f"Version {version} is the table's current version.")
            key = self._key(table["DatabaseName"], table["Name"], f"{version:0>12}")
            if not self.store.delete(VERSION, key):
                raise _missing(f"Version {version} of table {table['Name']} not found.")

    # Partitions

    def partitions(self, database: str, name: str, expression: str | None = None) -> list[Document]:
        """The table's partitions (AWS's ``Partition`` shape), in order of their values.

        ``expression`` is a GetPartitions filter; InvalidInputException when it is wrong.
        """
        with self.store.transaction():
            if not expression:
                table = self.existing_table(database, name)
                prefix = self._key(table["DatabaseName"], table["Name"], "")
                return [document for _, document in self.store.list(PARTITION, prefix)]
            return self.partitions_at(self.partition_keys(database, name, expression))

    def partition_keys(self, database: str, name: str, expression: str | None = None) -> list[str]:
        """The store's keys of the partitions that pass, in order, without reading them."""
        table = self.existing_table(database, name)
        prefix = self._key(table["DatabaseName"], table["Name"], "")
        keys = self.store.keys(PARTITION, prefix)
        if not expression or not expression.strip():
            return list(keys)
        columns = [(key["Name"], key.get("Type") or "string") for key in table["PartitionKeys"]]
        passes = PartitionFilter(expression, columns).matches
        return [key for key in keys if passes(key[len(prefix) :].split(_SEPARATOR))]

    def partitions_at(self, keys: Iterable[str]) -> list[Document]:
        """The partitions of these store keys that are still there."""
        found = (self.store.get(PARTITION, key) for key in keys)
        return [document for document in found if document is not None]

    def partition(self, database: str, name: str, values: Sequence[str]) -> Document | None:
        key = self._key(database.lower(), name.lower(), *values)
        return self.store.get(PARTITION, key)

    def existing_partition(self, database: str, name: str, values: Sequence[str]) -> Document:
        """The partition, or EntityNotFoundException."""
        table = self.existing_table(database, name)
        found = self.partition(table["DatabaseName"], table["Name"], self._values(table, values))
        if found is None:
            raise _missing("Cannot find partition.")
        return found

    def create_partition(self, database: str, name: str, given: Document) -> Document:
        """Add a partition from a ``PartitionInput``; AlreadyExistsException if it is there."""
        with self.store.transaction():
            table = self.existing_table(database, name)
            document = self._partition(table, given)
            key = self._key(table["DatabaseName"], table["Name"], *document["Values"])
            if self.store.get(PARTITION, key):
                raise AwsError("AlreadyExistsException", "Partition already exists.")
            self.store.put(PARTITION, key, document)
        return document

    def update_partition(
        self, database: str, name: str, values: Sequence[str], given: Document
    ) -> Document:
        """Replace the partition at ``values``; other ``Values`` in the input move it there."""
        with self.store.transaction():
            current = self.existing_partition(database, name, values)
            table = self.existing_table(database, name)
            document = self._partition(table, {"Values": list(values), **given})
            document["CreationTime"] = current["CreationTime"]
            home = (table["DatabaseName"], table["Name"])
            if document["Values"] != current["Values"]:
                if self.partition(*home, document["Values"]):
                    raise _invalid(
                        f"A partition with the values {document['Values']} is already there."
                    )
                self.store.delete(PARTITION, self._key(*home, *current["Values"]))
            self.store.put(PARTITION, self._key(*home, *document["Values"]), document)
        return document

    def put_partition(self, database: str, name: str, given: Document) -> Document:
        """Create the partition, or replace it when it is there."""
        with self.store.transaction():
            if self.partition(database, name, given.get("Values") or []):
                return self.update_partition(database, name, given["Values"], given)
            return self.create_partition(database, name, given)

    def delete_partition(self, database: str, name: str, values: Sequence[str]) -> None:
        with self.store.transaction():
            found = self.existing_partition(database, name, values)
            key = self._key(found["DatabaseName"], found["TableName"], *found["Values"])
            self.store.delete(PARTITION, key)

    def _values(self, table: Document, values: Sequence[str] | None) -> list[str]:
        given = list(values or [])
        if len(given) != len(table["PartitionKeys"]):
            raise _invalid(
                f"The number of partition keys do not match the number of partition values:"
                f" table {table['Name']} has {len(table['PartitionKeys'])} keys,"
                f" given {len(given)} values."
            )
        for value in given:
            if not value or _SEPARATOR in value:
                raise _invalid(f"A partition value must not be empty, but is {value!r}.")
        return given

    def _partition(self, table: Document, given: Document) -> Document:
        document = _members(given, _PARTITION_MEMBERS, "PartitionInput")
        document["Values"] = self._values(table, given.get("Values"))
        storage = _storage(document.get("StorageDescriptor"))
        if storage is not None:
            document["StorageDescriptor"] = storage
        return {
            **document,
            "DatabaseName": table["DatabaseName"],
            "TableName": table["Name"],
            "CreationTime": self.aws.now(),
            "CatalogId": self.aws.config.account,
        }

    # Tags, kept for every resource of the service by the part of its ARN after the account

    def tags(self, resource: str) -> dict[str, str]:
        """The tags of a resource such as ``crawler/madrugada-bronze``."""
        return self.store.get(TAGS, resource) or {}

    def tag(self, resource: str, tags: dict[str, str] | None) -> None:
        if tags:
            with self.store.transaction():
                self.store.put(TAGS, resource, {**self.tags(resource), **tags})

    def untag(self, resource: str, keys: Iterable[str]) -> None:
        with self.store.transaction():
            left = {key: value for key, value in self.tags(resource).items() if key not in keys}
            self.store.put(TAGS, resource, left)

    def forget_tags(self, resource: str, *, below: bool = False) -> None:
        """Called when a resource is deleted (``below``: with everything under it)."""
        if below:
            self.store.clear(TAGS, resource)
        else:
            self.store.delete(TAGS, resource)


def name_pattern(expression: str) -> re.Pattern[str]:
    """The ``Expression`` of GetTables: a regular expression in which a lone ``*`` is a wildcard.

    Clients write both ``.*sales.*`` and ``sales*``, and Glue understands both.

    Raises:
        AwsError: InvalidInputException when it is no regular expression.
    """
    parts = []
    for index, char in enumerate(expression):
        alone = char == "*" and (index == 0 or expression[index - 1] not in ".])}\\")
        parts.append(".*" if alone else char)
    try:
        return re.compile("".join(parts), re.IGNORECASE)
    except re.error as error:
        raise _invalid(
            f"Expression '{expression}' is not a regular expression: {error}."
        ) from error
