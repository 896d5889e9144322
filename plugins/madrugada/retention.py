"""What of the lake is no longer needed: planned and said first, deleted then.

Kept of each published table are the version that readers see, the last few that were published
before it (what a rollback can go back to), everything young (what a night is just writing, or what
somebody is looking into), and whatever any table of the catalog points at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from madrugada.versions import VERSION, History, bucket_and_prefix, history, objects

RUN_ID = re.compile(r"jr_[0-9a-f]+(_attempt_\d+)?")
"""A Glue job run's id: nothing else in a bucket is a version."""

NOT_THERE = "EntityNotFoundException"


class RetentionError(RuntimeError):
    """Something could not be deleted; the message names it and AWS's reason."""


@dataclass(frozen=True)
class Layer:
    """Where a layer is: its name, bucket and Glue database."""

    name: str
    bucket: str
    database: str


@dataclass
class Folder:
    """One version of one table."""

    bucket: str
    table: str
    version: str
    keys: list[str] = field(default_factory=list)
    bytes: int = 0
    newest: datetime | None = None

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.table}/{self.version}/"


@dataclass
class Plan:
    """What is to go, in the order in which it goes: definitions first, then what they name."""

    candidates: list[str] = field(default_factory=list)
    definitions: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    folders: list[Folder] = field(default_factory=list)
    reports: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[Folder, str]] = field(default_factory=list)

    @property
    def figures(self) -> dict[str, int]:
        return {
            "versions": len(self.folders),
            "objects": sum(len(folder.keys) for folder in self.folders),
            "bytes": sum(folder.bytes for folder in self.folders),
            "candidates": len(self.candidates),
            "definitions": sum(len(numbers) for numbers in self.definitions.values()),
            "reports": len(self.reports),
        }

    def lines(self) -> Iterator[str]:
        """The plan for people: what, why, how much."""
        for folder, why in self.kept:
            yield f"keep    {folder.uri}: {why}"
        for folder in self.folders:
            yield (
                f"delete  {folder.uri}: {len(folder.keys)} files, {folder.bytes:,} bytes, last"
                f" written {folder.newest:%Y-%m-%d %H:%M}; nothing points at it"
            )
        for name in self.candidates:
            yield f"delete  the candidate {name}: older than the retention"
        for (database, table), numbers in self.definitions.items():
            yield (
                f"delete  {len(numbers)} former definitions of {database}.{table}, up to number"
                f" {numbers[0]}: their files are gone or go now"
            )
        for bucket, key in self.reports:
            yield f"delete  s3://{bucket}/{key}: no table of that version is left"
        said = self.figures
        yield (
            f"{said['versions']} versions of tables ({said['objects']} files,"
            f" {said['bytes']:,} bytes), {said['candidates']} candidates,"
            f" {said['definitions']} former definitions and {said['reports']} reports to delete"
        )


def plan_retention(
    glue: Any,
    s3: Any,
    layers: Sequence[Layer],
    staging_database: str,
    *,
    now: datetime,
    keep_versions: int,
    retention: timedelta,
) -> Plan:
    """Find what can go. Reads only; the caller sees to it that nobody publishes meanwhile.

    Args:
        keep_versions: how many published versions are kept before the present one.
        retention: what was written or published later than so long ago is kept in any case.
    """
    young = now - retention
    plan = Plan()
    known = {layer.name: history(glue, layer.database) for layer in layers}
    pointed = list(_locations(glue, staging_database, young, plan))
    for layer in layers:
        kept = _kept_publications(known[layer.name], keep_versions, young)
        left: set[str] = set()
        for table, entries in known[layer.name].items():
            published = entries[0].location
            for folder in _folders(s3, layer.bucket, table):
                why = _reason_to_keep(folder, published, kept[table], pointed, young)
                if why is None:
                    plan.folders.append(folder)
                    continue
                left.add(folder.version)
                if why:
                    plan.kept.append((folder, why))
        _doom_definitions(plan, layer, known[layer.name], kept)
        for item in s3.get_paginator("list_objects_v2").paginate(
            Bucket=layer.bucket, Prefix="_reports/", Delimiter="/"
        ):
            for one in item.get("Contents", []):
                version = one["Key"].removeprefix("_reports/").removesuffix(".json")
                if (
                    RUN_ID.fullmatch(version)
                    and version not in left
                    and not any(version in versions for versions in kept.values())
                    and one["LastModified"] < young
                ):
                    plan.reports.append((layer.bucket, one["Key"]))
    return plan


def carry_out(glue: Any, s3: Any, plan: Plan, staging_database: str) -> None:
    """Delete what the plan says; again after a crash, a new plan finds what is left.

    Definitions go before the files that they name, so that no rollback finds half a version.

    Raises:
        RetentionError: AWS refused to delete something; the rest of that batch is gone.
    """
    for names in _batches(plan.candidates, 100):
        answer = glue.batch_delete_table(DatabaseName=staging_database, TablesToDelete=list(names))
        _check(answer, "TableName", staging_database)
    for (database, table), numbers in plan.definitions.items():
        for ids in _batches(numbers, 100):
            answer = glue.batch_delete_table_version(
                DatabaseName=database, TableName=table, VersionIds=list(ids)
            )
            _check(answer, "VersionId", f"{database}.{table}")
    by_bucket: dict[str, list[str]] = {}
    for folder in plan.folders:
        by_bucket.setdefault(folder.bucket, []).extend(folder.keys)
    for bucket, key in plan.reports:
        by_bucket.setdefault(bucket, []).append(key)
    for bucket, keys in by_bucket.items():
        for batch in _batches(keys, 1000):
            answer = s3.delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
            )
            if errors := answer.get("Errors"):
                first = errors[0]
                raise RetentionError(
                    f"s3://{bucket}/{first['Key']} and {len(errors) - 1} others cannot be deleted:"
                    f" {first['Code']} {first.get('Message', '')}"
                )


def remove_unreferenced(
    glue: Any,
    s3: Any,
    layers: Sequence[Layer],
    staging_database: str,
    *,
    keep_versions: int,
    retention: timedelta,
    dry_run: bool,
    now: datetime | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, int]:
    """Plan, say the plan, and carry it out unless it is a dry run; the plan's figures."""
    plan = plan_retention(
        glue,
        s3,
        layers,
        staging_database,
        now=now or datetime.now(UTC),
        keep_versions=keep_versions,
        retention=retention,
    )
    for line in plan.lines():
        tell(line)
    if dry_run:
        tell("A dry run: nothing was deleted.")
    else:
        carry_out(glue, s3, plan, staging_database)
    return plan.figures


def _locations(glue: Any, staging: str, young: datetime, plan: Plan) -> Iterator[str]:
    """Where every table and partition of the catalog points, old candidates left out."""
    for page in glue.get_paginator("get_databases").paginate():
        for database in page["DatabaseList"]:
            pages = glue.get_paginator("get_tables").paginate(DatabaseName=database["Name"])
            for table in (table for page in pages for table in page["TableList"]):
                ours = database["Name"] == staging and VERSION in table.get("Parameters", {})
                if ours and table["CreateTime"] < young:
                    plan.candidates.append(table["Name"])
                    continue
                yield from _location(table)
                if table.get("PartitionKeys"):
                    parts = glue.get_paginator("get_partitions").paginate(
                        DatabaseName=database["Name"],
                        TableName=table["Name"],
                        ExcludeColumnSchema=True,
                    )
                    for part in (part for page in parts for part in page["Partitions"]):
                        yield from _location(part)


def _location(item: Mapping[str, Any]) -> Iterator[str]:
    location = (item.get("StorageDescriptor") or {}).get("Location")
    if location:
        yield _place(location)


def _place(location: str) -> str:
    """A location without its scheme, which may be s3, s3a or s3n, and with a slash at the end."""
    return "/".join(bucket_and_prefix(location))


def _kept_publications(known: History, keep_versions: int, young: datetime) -> dict[str, list[str]]:
    """Each table's versions that stay, the newest first: the present one and those before it."""
    kept = {}
    for table, entries in known.items():
        versions: list[str] = []
        for one in entries:
            if one.version in versions:
                continue
            if len(versions) <= keep_versions or one.at >= young:
                versions.append(one.version)
        kept[table] = versions
    return kept


def _folders(s3: Any, bucket: str, table: str) -> Iterable[Folder]:
    found: dict[str, Folder] = {}
    for one in objects(s3, bucket, f"{table}/"):
        version, slash, _ = one["Key"].removeprefix(f"{table}/").partition("/")
        if not slash or not RUN_ID.fullmatch(version):
            continue
        folder = found.setdefault(version, Folder(bucket, table, version))
        folder.keys.append(one["Key"])
        folder.bytes += one["Size"]
        folder.newest = max(folder.newest or one["LastModified"], one["LastModified"])
    return found.values()


def _reason_to_keep(
    folder: Folder, published: str, kept: Sequence[str], pointed: Sequence[str], young: datetime
) -> str | None:
    """Why a version stays, None when it can go; nothing to say of the version readers see."""
    if _place(folder.uri) == _place(published):
        return ""
    if folder.version in kept:
        return f"published {kept.index(folder.version)} versions before the present one"
    if folder.newest is not None and folder.newest >= young:
        return "younger than the retention"
    place = _place(folder.uri)
    if any(one.startswith(place) or place.startswith(one) for one in pointed):
        return "a table of the catalog points at it"
    return None


def _doom_definitions(
    plan: Plan, layer: Layer, known: History, kept: Mapping[str, Sequence[str]]
) -> None:
    """Former definitions older than the oldest one whose version stays: no gaps are made."""
    for table, entries in known.items():
        last = max(n for n, one in enumerate(entries) if one.version in kept[table])
        if old := [str(one.number) for one in entries[last + 1 :]]:
            plan.definitions[layer.database, table] = old


def _check(answer: Mapping[str, Any], name: str, where: str) -> None:
    errors = [e for e in answer.get("Errors", []) if e["ErrorDetail"]["ErrorCode"] != NOT_THERE]
    if errors:
        detail = errors[0]["ErrorDetail"]
        raise RetentionError(
            f"{where}: {errors[0].get(name)} and {len(errors) - 1} others cannot be deleted:"
            f" {detail['ErrorCode']} {detail.get('ErrorMessage', '')}"
        )


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
