"""What was published when: each layer's history, as Glue's table versions tell it.

Publishing is one UpdateTable, and Glue archives the definition that was there before
(https://docs.aws.amazon.com/glue/latest/webapi/API_GetTableVersions.html). So the catalog itself
knows which versions were published, in which order, and where their files are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

VERSION = "madrugada.version"
DELIVERY_DATE = "madrugada.delivery_date"
COMPACTED_FROM = "madrugada.compacted_from"


@dataclass(frozen=True)
class Publication:
    """One definition that a published table had.

    Attributes:
        number: Glue's own count of the table's definitions, 0 for its first.
        version: the Glue job run that wrote the files.
        rows_of: the version whose rows these are: another one's after a compaction.
        at: when it was published.
        definition: Glue's ``Table``.
    """

    table: str
    number: int
    version: str
    rows_of: str
    at: datetime
    created: datetime
    location: str
    definition: Mapping[str, Any]


History = dict[str, list[Publication]]
"""Each table's publications, the newest (what is published now) first."""


@dataclass(frozen=True)
class State:
    """A layer as it was when a version had just been published.

    Attributes:
        tables: each table's publication of then; None when Glue no longer knows it.
        absent: tables that were first published later.
    """

    version: str
    at: datetime
    delivery_date: str
    tables: dict[str, Publication | None]
    absent: tuple[str, ...]

    @property
    def rows_of(self) -> dict[str, str]:
        return {name: p.rows_of for name, p in self.tables.items() if p is not None}


def history(glue: Any, database: str, tables: Collection[str] | None = None) -> History:
    """The history of every table of a database that our pipelines published.

    Args:
        tables: those of one pipeline; None is all.
    """
    found: History = {}
    for page in glue.get_paginator("get_tables").paginate(DatabaseName=database):
        for table in page["TableList"]:
            if VERSION not in table.get("Parameters", {}):
                continue
            if tables is not None and table["Name"] not in tables:
                continue
            pages = glue.get_paginator("get_table_versions").paginate(
                DatabaseName=database, TableName=table["Name"]
            )
            entries = [_publication(v) for page in pages for v in page["TableVersions"]]
            found[table["Name"]] = sorted(entries, key=lambda p: -p.number)
    return found


def _publication(entry: Mapping[str, Any]) -> Publication:
    table = entry["Table"]
    parameters = table.get("Parameters", {})
    version = parameters.get(VERSION, "")
    return Publication(
        table=table["Name"],
        number=int(entry["VersionId"]),
        version=version,
        rows_of=parameters.get(COMPACTED_FROM) or version,
        at=table["UpdateTime"],
        created=table["CreateTime"],
        location=table["StorageDescriptor"]["Location"].rstrip("/") + "/",
        definition=table,
    )


def states(known: History) -> list[State]:
    """Every state that the layer has been in, the newest first.

    A night does not publish every table (it may be of one source alone), so a state is a moment:
    each table as it was then.
    """
    first: dict[str, dict[str, datetime]] = {}
    dates: dict[str, str] = {}
    for entries in known.values():
        for one in reversed(entries):
            if one.version:
                first.setdefault(one.version, {}).setdefault(one.table, one.at)
                dates[one.version] = one.definition["Parameters"].get(DELIVERY_DATE, "")
    found = []
    for version, moments in first.items():
        at = max(moments.values())
        tables, absent = as_of(known, at)
        found.append(State(version, at, dates[version], tables, tuple(absent)))
    return sorted(found, key=lambda state: state.at, reverse=True)


def as_of(known: History, at: datetime) -> tuple[dict[str, Publication | None], list[str]]:
    """Each table's publication at a moment (None: no longer known), and tables not there yet."""
    tables: dict[str, Publication | None] = {}
    absent = []
    for name, entries in known.items():
        if entries[0].created > at:
            absent.append(name)
            continue
        tables[name] = None
        later: Publication | None = None
        for one in entries:
            if one.at <= at:
                # A definition between the two may have been deleted, and been the one of then.
                if later is None or later.number == one.number + 1:
                    tables[name] = one
                break
            later = one
    return tables, absent


def bucket_and_prefix(location: str) -> tuple[str, str]:
    """Bucket and key prefix of ``s3://bucket/prefix``; the prefix ends in a slash, or is empty."""
    bucket, _, prefix = location.partition("://")[2].partition("/")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


def objects(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Every object under a prefix: ``Key``, ``Size``, ``LastModified``."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def job_figures(s3: Any, bucket: str, version: str) -> dict[str, dict[str, Any]]:
    """What the job that wrote a version said of each table; empty when its report is gone."""
    try:
        body = s3.get_object(Bucket=bucket, Key=f"_reports/{version}.json")["Body"].read()
    except s3.exceptions.NoSuchKey:
        return {}
    report = json.loads(body)
    return report.get("datasets") or report.get("tables") or {}
