"""One crawl: read what is new, decide on tables, and write them to the catalog."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws.glue import s3_tree
from local_aws.glue.classify import classify
from local_aws.glue.crawl_options import Options
from local_aws.glue.metastore import Catalog
from local_aws.glue.s3_tree import File, Group, Leaf, Parts
from local_aws.glue.schema import Schema, hive
from local_aws.service import AwsError
from local_aws.store import Store

SEEN = "glue/crawled_folder"
"""What a crawler read in a folder, so that it reads each version of a file once."""

_SEPARATOR = "\x1f"
_FIGURES = ("recordCount", "averageRecordSize", "sizeKey", "objectCount")
_IDENTITY = ("classification", "compressionType", "delimiter")
_DEPRECATED = "DEPRECATED_BY_CRAWLER"


class Stopped(Exception):
    """The crawl was asked to stop."""


@dataclass
class Result:
    """What a crawl did: table names, and partitions as ``table values``."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    partitions_created: int = 0
    partitions_updated: int = 0
    partitions_deleted: int = 0


class Crawl:
    """One run of one crawler.

    Args:
        crawler: the crawler's definition (AWS's ``Crawler`` shape).
        classifiers: its custom classifiers in order (AWS's ``Classifier`` shapes).
        options: its parsed ``Configuration``.
        folder_of: from ``s3://bucket`` to the folder that holds its objects, or NoSuchBucket.
        log: takes one line of the crawl's log.
        stopped: whether the crawl was asked to stop.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        crawler: dict[str, Any],
        classifiers: list[dict[str, Any]],
        options: Options,
        folder_of: Callable[[str], Path],
        log: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self.store = store
        self.catalog = catalog
        self.name: str = crawler["Name"]
        self.database: str = (crawler.get("DatabaseName") or "").lower()
        self.prefix: str = crawler.get("TablePrefix") or ""
        self.targets = crawler["Targets"]["S3Targets"]
        self.catalog_targets = crawler["Targets"].get("CatalogTargets") or []
        self.updates = crawler["SchemaChangePolicy"]["UpdateBehavior"]
        self.deletes = crawler["SchemaChangePolicy"]["DeleteBehavior"]
        self.new_only = crawler["RecrawlPolicy"]["RecrawlBehavior"] == "CRAWL_NEW_FOLDERS_ONLY"
        self.classifiers = classifiers
        self.options = options
        self.folder_of = folder_of
        self.log = log
        self.stopped = stopped
        self.result = Result()
        # A changed classifier reads everything again.
        self.signature = hashlib.sha256(
            json.dumps(classifiers, sort_keys=True, default=str).encode()
        ).hexdigest()

    def run(self) -> Result:
        """Crawl every target; what was written before an error stays, as on AWS."""
        for target in self.catalog_targets:
            # Tables are where they are, whatever the crawler's own database.
            self.database = target["DatabaseName"].lower()
            for name in target["Tables"]:
                self._existing(self.catalog.existing_table(self.database, name.lower()))
        if self.catalog_targets:
            return self.result
        self.catalog.existing_database(self.database)
        found: set[str] = set()
        for target in self.targets:
            found |= self._target(target)
        if not self.new_only:
            self._remove_missing(found)
        return self.result

    # Reading

    def _target(self, target: dict[str, Any]) -> set[str]:
        bucket, _, path = target["Path"].removeprefix("s3://").partition("/")
        folder = self.folder_of(f"s3://{bucket}")
        exclusions = target.get("Exclusions") or []
        files = list(s3_tree.list_files(folder, path, s3_tree.exclusion(exclusions)))
        leaves = self._read(bucket, folder, files, target.get("SampleSize"))
        if not leaves:
            self.log(f"WARN : There are no files with content at {target['Path']}.")
            return set()
        root: Parts = tuple(part for part in path.split("/") if part)
        if not (folder / path).is_dir():
            root = root[:-1]
        leaves, strange = s3_tree.apart(leaves)
        if self.options.level is not None:
            groups = s3_tree.group_at_level(leaves, root, self.options.level)
        elif self.options.combines:
            groups = s3_tree.combined(leaves, root)
        else:
            groups = s3_tree.group(leaves, root)
        base = f"{target['Path'].rstrip('/')}/"
        absolute = [f"{base}{pattern}" for pattern in exclusions]
        return {self._write(bucket, group, absolute) for group in (*groups, *strange)}

    def _read(self, bucket: str, folder: Path, files: list[File], sample: int | None) -> list[Leaf]:
        by_folder: dict[Parts, list[File]] = {}
        for file in files:
            by_folder.setdefault(file.folder, []).append(file)
        leaves: list[Leaf] = []
        changed: dict[str, dict[str, Any]] = {}
        for parts, members in by_folder.items():
            if self.stopped():
                raise Stopped
            key = _SEPARATOR.join((self.name, bucket, *parts))
            seen = self.store.get(SEEN, key) or {}
            if seen.get("signature") != self.signature:
                seen = {}
            if seen and self.new_only:
                known = [
                    (name, Schema.from_json(entry["schema"]))
                    for name, entry in seen["files"].items()
                ]
                leaves.extend(s3_tree.leaves_of(parts, known))
                continue
            schemas, now = self._folder(folder, members, seen.get("files", {}), sample)
            document = {"signature": self.signature, "files": now}
            if document != seen:
                changed[key] = document
            leaves.extend(s3_tree.leaves_of(parts, schemas))
        with self.store.transaction():
            for key, document in changed.items():
                self.store.put(SEEN, key, document)
        return leaves

    def _folder(
        self, folder: Path, files: list[File], seen: dict[str, Any], sample: int | None
    ) -> tuple[list[tuple[str, Schema]], dict[str, Any]]:
        """The schemas of a folder's files, of ``sample`` of them at most, and what to remember."""
        schemas: list[tuple[str, Schema]] = []
        now: dict[str, Any] = {}
        for file in files[:sample]:
            stamp = [file.size, file.mtime_ns]
            entry = seen.get(file.name)
            if entry is None or entry["stamp"] != stamp:
                path = folder.joinpath(*file.folder, file.name)
                schema = classify(path, file.size, self.classifiers)
                for warning in schema.warnings:
                    self.log(f"WARN : {'/'.join((*file.folder, file.name))}: {warning}.")
                entry = {"stamp": stamp, "schema": schema.to_json()}
            now[file.name] = entry
            schemas.append((file.name, Schema.from_json(entry["schema"])))
        left = files[len(schemas) :]
        if left:
            # The figures of files outside the sample are estimated from those inside.
            _, schema = schemas[-1]
            average = schema.average_record
            size = sum(file.size for file in left)
            schema.objects += len(left)
            schema.size += size
            schema.records += size // average if average else 0
        return schemas, now

    # Tables that are there

    def _existing(self, table: dict[str, Any]) -> None:
        """Bring a table of a catalog target to what is at its location; no table is made.

        https://docs.aws.amazon.com/glue/latest/dg/tables-described.html#update-manual-tables
        """
        name = table["Name"]
        location = (table.get("StorageDescriptor") or {}).get("Location") or ""
        scheme, _, rest = location.partition("://")
        bucket, _, path = rest.partition("/")
        if scheme != "s3" or not bucket:
            raise AwsError(
                "InvalidInputException",
                f"The table {name} must lie at s3://bucket/prefix, but lies at {location!r}.",
            )
        root: Parts = tuple(part for part in path.split("/") if part)
        folder = self.folder_of(f"s3://{bucket}")
        files = list(s3_tree.list_files(folder, "/".join(root), s3_tree.exclusion([])))
        known, strange = s3_tree.apart(self._read(bucket, folder, files, None))
        known = [leaf for leaf in known if leaf.schema.known]
        if not known:
            self.log(f"WARN : There is nothing at {location} that a classifier recognises.")
            return
        keys = [column["Name"] for column in table.get("PartitionKeys") or []]
        deep = [leaf for leaf in known if len(leaf.folder) == len(root) + len(keys)] or known
        group, *others = s3_tree.combined(deep, root)
        misplaced = [Group(leaf.folder, [leaf], leaf.file) for leaf in known if leaf not in deep]
        for other in (*strange, *others, *misplaced):
            place = "/".join((*other.root, other.file)).rstrip("/")
            self.log(
                f"WARN : {place} is left out of the table {name}: it is of another format or depth."
            )
        with self.store.transaction():
            table, changed = self._update(table, self._redefined(table, group, location))
            names = group.partition_keys()
            if len(names) == len(keys) and any(
                found not in (key, f"partition_{level}")
                for level, (key, found) in enumerate(zip(keys, names, strict=True))
            ):
                self.log(
                    f"WARN : The table {name} has the partition keys {', '.join(keys)} and its"
                    f" folders {', '.join(names)}; its partitions are left as they are."
                )
            else:
                changed |= self._partitions(bucket, group, table, False)
        if changed:
            self.result.updated.append(name)
            self.log(f"INFO : Updated table {name} in database {self.database}")

    def _redefined(self, table: dict[str, Any], group: Group, location: str) -> dict[str, Any]:
        """The table with the columns, format and figures of its files, and the rest its own."""
        found = self._table_input(table["Name"], group, location, [])
        return {
            **_table_input_of(table),
            "Parameters": {**(table.get("Parameters") or {}), **found["Parameters"]},
            "StorageDescriptor": found["StorageDescriptor"],
        }

    # Writing

    def _write(self, bucket: str, group: Group, exclusions: list[str]) -> str:
        """Bring one table and its partitions to what was found; the table's name."""
        if self.stopped():
            raise Stopped
        location = f"s3://{'/'.join((bucket, *group.root))}/"
        if group.file:
            location += group.file
        with self.store.transaction():
            name = self._name(bucket, group, location)
            given = self._table_input(name, group, location, exclusions)
            current = self.catalog.table(self.database, name)
            if current is None:
                table = self.catalog.create_table(self.database, given)
                self.result.created.append(name)
                self.log(f"INFO : Created table {name} in database {self.database}")
                changed = False
            else:
                table, changed = self._update(current, given)
            changed |= self._partitions(bucket, group, table, current is None)
        if changed:
            self.result.updated.append(name)
            self.log(f"INFO : Updated table {name} in database {self.database}")
        return name

    def _name(self, bucket: str, group: Group, location: str) -> str:
        words = group.file or (group.root[-1] if group.root else bucket)
        name = self.prefix.lower() + re.sub(r"\W", "_", words.lower(), flags=re.ASCII)
        taken = self.catalog.table(self.database, name)
        if taken is None or _same_place(taken, location):
            return name
        # Another place's table has the name: Glue appends a hash, here of the location.
        return f"{name}_{hashlib.md5(location.encode(), usedforsecurity=False).hexdigest()}"

    def _table_input(
        self, name: str, group: Group, location: str, exclusions: list[str]
    ) -> dict[str, Any]:
        schema = group.schema
        keys = group.partition_keys()
        clashes = sorted({column for column, _ in schema.columns} & set(keys))
        if clashes:
            self.log(f"WARN : {', '.join(clashes)} is a column and a partition key of {name}.")
        parameters = {
            **self._parameters(schema),
            "CrawlerSchemaDeserializerVersion": "1.0",
            "CrawlerSchemaSerializerVersion": "1.0",
            "UPDATED_BY_CRAWLER": self.name,
        }
        if exclusions:
            parameters["exclusions"] = json.dumps(exclusions, separators=(",", ":"))
        return {
            "Name": name,
            "Owner": "owner",
            "Retention": 0,
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
            "Parameters": parameters,
            "StorageDescriptor": _storage(schema, location, parameters),
        }

    @staticmethod
    def _parameters(schema: Schema) -> dict[str, str]:
        return {
            **schema.parameters,
            "classification": schema.classification,
            "compressionType": schema.compression,
            "typeOfData": "file",
            "objectCount": str(schema.objects),
            "recordCount": str(schema.records),
            "averageRecordSize": str(schema.average_record),
            "sizeKey": str(schema.size),
        }

    def _update(
        self, current: dict[str, Any], found: dict[str, Any]
    ) -> tuple[dict[str, Any], bool]:
        """The table as it is afterwards, and whether its definition changed."""
        name = current["Name"]
        if self.updates == "LOG" and not self.options.merges_columns:
            if _definition(found) != _definition(current):
                self.log(f"INFO : Table {name} differs from its files; UpdateBehavior is LOG.")
            return current, False
        wanted = found
        if self.options.merges_columns:
            wanted = self._extended(current, found)
        old = _table_input_of(current)
        if wanted == old:
            return current, False
        same = _definition(wanted) == _definition(current)
        table = self.catalog.update_table(self.database, wanted, skip_archive=same)
        return table, not same

    def _extended(self, current: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        """MergeNewColumns: the table as it is, with the columns that it does not have yet."""
        wanted = _table_input_of(current)
        storage = dict(wanted.get("StorageDescriptor") or {})
        parameters = dict(wanted.get("Parameters") or {})
        for parameter in _IDENTITY:
            before = parameters.get(parameter)
            after = found["Parameters"].get(parameter)
            if before != after:
                self.log(
                    f"WARN : Cannot merge new columns into the table {current['Name']} as defined"
                    f" in the Data Catalog because the parameter '{parameter}' has changed. The"
                    f" existing value is '{before}', and the crawled value is '{after}'. Either"
                    " remove the table or resolve the inconsistent parameter value."
                )
                return {**wanted, "Parameters": {**parameters, _DEPRECATED: self.name}}
        known = {column["Name"].lower() for column in storage.get("Columns") or []}
        new = [
            column
            for column in found["StorageDescriptor"]["Columns"]
            if column["Name"] not in known
        ]
        parameters.pop(_DEPRECATED, None)
        figures = {
            key: value
            for key, value in found["Parameters"].items()
            if key in _FIGURES or key not in parameters
        }
        storage["Columns"] = [*(storage.get("Columns") or []), *new]
        storage["Parameters"] = {**(storage.get("Parameters") or {}), **figures}
        return {
            **wanted,
            "StorageDescriptor": storage,
            "Parameters": {**parameters, **figures, "UPDATED_BY_CRAWLER": self.name},
        }

    # Partitions

    def _partitions(self, bucket: str, group: Group, table: dict[str, Any], is_new: bool) -> bool:
        """Bring the table's partitions to what was found; whether any changed."""
        keys = [column["Name"] for column in table["PartitionKeys"]]
        if not keys and not group.depth:
            return False
        if len(keys) != group.depth:
            self.log(
                f"WARN : Table {table['Name']} has {len(keys)} partition keys and its folders"
                f" {group.depth} levels; its partitions are left as they are."
            )
            return False
        current = {} if is_new else self._known(table)
        created = updated = deleted = 0
        found = set()
        for values, leaf in group.partitions():
            found.add(tuple(values))
            wanted = self._partition_input(bucket, values, leaf, table)
            before = current.get(tuple(values))
            if before is None:
                self.catalog.create_partition(self.database, table["Name"], wanted)
                created += 1
            elif self._partition_changes(before, wanted):
                self.catalog.update_partition(self.database, table["Name"], values, wanted)
                updated += 1
        if not self.new_only:
            for gone in current.keys() - found:
                deleted += self._remove_partition(table["Name"], list(gone), current[gone])
        if created or updated or deleted:
            self.log(
                f"INFO : Table {table['Name']}: {created} partitions created, {updated} updated,"
                f" {deleted} deleted"
            )
        self.result.partitions_created += created
        self.result.partitions_updated += updated
        self.result.partitions_deleted += deleted
        return bool(created or updated or deleted) and not is_new

    def _known(self, table: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
        found = self.catalog.partitions(self.database, table["Name"])
        return {tuple(partition["Values"]): partition for partition in found}

    def _partition_input(
        self, bucket: str, values: list[str], leaf: Leaf, table: dict[str, Any]
    ) -> dict[str, Any]:
        location = f"s3://{'/'.join((bucket, *leaf.folder))}/"
        parameters = self._parameters(leaf.schema)
        storage = _storage(leaf.schema, location, parameters)
        if self.options.partitions_inherit:
            inherited = table.get("StorageDescriptor") or {}
            own = {key: value for key, value in parameters.items() if key in _FIGURES}
            storage = {
                **inherited,
                "Location": location,
                "Parameters": {**(inherited.get("Parameters") or {}), **own},
            }
        return {"Values": values, "StorageDescriptor": storage, "Parameters": {}}

    def _partition_changes(self, before: dict[str, Any], wanted: dict[str, Any]) -> bool:
        if self.new_only:
            return False
        old, new = before["StorageDescriptor"], wanted["StorageDescriptor"]
        if _DEPRECATED in (before.get("Parameters") or {}):
            return True
        if self.updates == "LOG" and not self.options.partitions_inherit:
            return False
        return bool(old != new)

    def _remove_partition(self, table: str, values: list[str], before: dict[str, Any]) -> int:
        if self.deletes == "DELETE_FROM_DATABASE":
            self.catalog.delete_partition(self.database, table, values)
            return 1
        if _DEPRECATED in (before.get("Parameters") or {}):
            return 0
        self.log(f"INFO : The files of partition {values} of table {table} are gone.")
        if self.deletes == "DEPRECATE_IN_DATABASE":
            given = {
                "StorageDescriptor": before["StorageDescriptor"],
                "Parameters": {_DEPRECATED: self.name},
            }
            self.catalog.update_partition(self.database, table, values, given)
        return 0

    def _remove_missing(self, found: set[str]) -> None:
        """Delete or mark the tables that this crawler made and whose files are gone."""
        for table in self.catalog.tables(self.database):
            parameters = table.get("Parameters") or {}
            if parameters.get("UPDATED_BY_CRAWLER") != self.name or table["Name"] in found:
                continue
            if not self._covers(table["StorageDescriptor"].get("Location") or ""):
                continue
            if self.deletes == "DELETE_FROM_DATABASE":
                self.catalog.delete_table(self.database, table["Name"])
                self.result.deleted.append(table["Name"])
                self.log(f"INFO : Deleted table {table['Name']} in database {self.database}")
            elif _DEPRECATED not in parameters:
                self.log(f"INFO : The files of table {table['Name']} are gone.")
                if self.deletes == "DEPRECATE_IN_DATABASE":
                    given = _table_input_of(table)
                    given["Parameters"] = {**parameters, _DEPRECATED: self.name}
                    self.catalog.update_table(self.database, given)
                    self.result.updated.append(table["Name"])

    def _covers(self, location: str) -> bool:
        return any(
            f"{location.rstrip('/')}/".startswith(f"{target['Path'].rstrip('/')}/")
            for target in self.targets
        )


def _same_place(table: dict[str, Any], location: str) -> bool:
    known = (table.get("StorageDescriptor") or {}).get("Location") or ""
    return bool(known.rstrip("/") == location.rstrip("/"))


def _storage(schema: Schema, location: str, parameters: dict[str, str]) -> dict[str, Any]:
    serde = schema.serde
    if not serde:
        return {"Columns": [], "Location": location, "Parameters": parameters}
    return {
        "Columns": [{"Name": name, "Type": hive(type_)} for name, type_ in schema.columns],
        "Location": location,
        "InputFormat": serde["InputFormat"],
        "OutputFormat": serde["OutputFormat"],
        "Compressed": schema.compression != "none",
        "NumberOfBuckets": -1,
        "SerdeInfo": {
            "SerializationLibrary": serde["SerializationLibrary"],
            "Parameters": serde["Parameters"],
        },
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": parameters,
        "StoredAsSubDirectories": False,
    }


def _table_input_of(table: dict[str, Any]) -> dict[str, Any]:
    """The ``TableInput`` that would give this ``Table``."""
    made = {
        "DatabaseName",
        "CreateTime",
        "UpdateTime",
        "CreatedBy",
        "IsRegisteredWithLakeFormation",
        "CatalogId",
        "VersionId",
    }
    return {member: value for member, value in table.items() if member not in made}


def _definition(table: dict[str, Any]) -> dict[str, Any]:
    """What makes two definitions of a table differ beside their figures."""

    def without(parameters: dict[str, str] | None) -> dict[str, str]:
        return {key: value for key, value in (parameters or {}).items() if key not in _FIGURES}

    storage = dict(table.get("StorageDescriptor") or {})
    storage["Parameters"] = without(storage.get("Parameters"))
    return {
        "StorageDescriptor": storage,
        "PartitionKeys": table.get("PartitionKeys") or [],
        "Parameters": without(table.get("Parameters")),
        "TableType": table.get("TableType"),
    }
