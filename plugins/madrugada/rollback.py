"""A layer's published tables back to an earlier version: checked whole first, then repointed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from madrugada.versions import (
    VERSION,
    History,
    Publication,
    State,
    as_of,
    bucket_and_prefix,
    history,
    job_figures,
    objects,
    states,
)

PREVIOUS = "previous"
KEY = "madrugada.key"
_INPUT = (
    "Name",
    "Description",
    "Owner",
    "Retention",
    "StorageDescriptor",
    "PartitionKeys",
    "TableType",
    "Parameters",
)
"""What a TableInput takes of a Table; the rest is Glue's own."""


class RollbackRefused(AirflowFailException):
    """Nothing was changed, and another try would be refused too; the message says what for."""


def plan_rollback(
    glue: Any,
    s3: Any,
    database: str,
    version: str,
    *,
    tables: Collection[str] | None = None,
    asked_at: datetime | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Check that every table of the layer can go back, and say what will be done.

    Args:
        tables: the pipeline's, which go back together; other pipelines' stay. None is all.
        version: a Glue job run id that was published, or ``previous``: the state before the one
            that was published when it was asked for.
        asked_at: that moment; now when it is None.

    Returns:
        ``version``; ``tables``, a list of ``table``, ``from`` (what is published now), ``to`` and
        ``number`` (Glue's number of the definition to go back to).

    Raises:
        RollbackRefused: the version is not known, or a table's files or definition of then are
            gone; all tables that stand in the way are named.
    """
    known = history(glue, database, tables)
    if not known:
        raise RollbackRefused(f"{database} has no published table; there is nothing to go back to.")
    found = states(known)
    state = _previous(known, found, database, asked_at) if version == PREVIOUS else None
    if state is None:
        state = next((one for one in found if one.version == version), None)
    if state is None:
        raise RollbackRefused(
            f"{database}: version {version!r} was never published, or is no longer known."
            f" It can go back to: {', '.join(one.version for one in found) or 'nothing'}."
        )
    problems = obstacles(s3, state)
    if problems:
        raise RollbackRefused(
            f"{database} cannot go back to {state.version}; nothing was changed. "
            + " ".join(problems)
        )
    planned = []
    for name, publication in sorted(state.tables.items()):
        assert publication is not None
        now = known[name][0]
        planned.append(
            {
                "table": name,
                "from": now.version,
                "to": publication.version,
                "number": publication.number,
            }
        )
        stays = "stays" if now.version == publication.version else f"instead of {now.version}"
        tell(f"{database}.{name}: {publication.version}, {stays}")
    for name in state.absent:
        tell(f"{database}.{name}: was first published later, and stays as it is")
    return {"version": state.version, "tables": planned}


def obstacles(s3: Any, state: State) -> list[str]:
    """Why a layer cannot go back to a state: a sentence for each table in the way."""
    said = []
    figures: dict[str, dict[str, Any]] = {}
    for name, publication in sorted(state.tables.items()):
        if publication is None:
            said.append(f"{name}: its version of {state.at:%Y-%m-%d %H:%M} is no longer known.")
            continue
        bucket, prefix = bucket_and_prefix(publication.location)
        version = publication.version
        if version not in figures:
            figures[version] = job_figures(s3, bucket, version)
        sizes = [one["Size"] for one in objects(s3, bucket, prefix)]
        written = figures[version].get(name, {})
        files, size = written.get("files"), written.get("bytes")
        if files is not None and (len(sizes), sum(sizes)) != (files, size):
            said.append(
                f"{name}: {publication.location} has {len(sizes)} files of {sum(sizes)} bytes,"
                f" and {files} of {size} were written."
            )
        elif files is None and not sizes:
            said.append(f"{name}: the files of {version} are gone ({publication.location}).")
    return said


def _previous(
    known: History, found: Sequence[State], database: str, asked_at: datetime | None
) -> State:
    """The state before the newest version of those published, with other rows.

    Before that version's *first* publication: going back twice goes back further, instead of
    forth again, and a night that followed a rollback goes back to what it was built on.
    """
    by_version = {state.version: state for state in found}
    tables = as_of(known, asked_at or max(p[0].at for p in known.values()))[0]
    rows = {name: p.rows_of for name, p in tables.items() if p is not None}
    while newest := _newest(tables, found):
        moment = min(p.at for entries in known.values() for p in entries if p.version == newest)
        tables = as_of(known, moment - timedelta(microseconds=1))[0]
        before = _newest(tables, found)
        # A compaction changes no row: there is nothing in going back behind it alone.
        if before and by_version[before].rows_of != rows:
            return by_version[before]
    raise RollbackRefused(f"{database}: no version is known that was published before this one.")


def _newest(tables: Mapping[str, Publication | None], found: Sequence[State]) -> str | None:
    """Of the versions of these tables the one that was published last for the first time."""
    there = {p.version for p in tables.values() if p is not None}
    return next((state.version for state in found if state.version in there), None)


def repoint(
    glue: Any,
    database: str,
    plan: Mapping[str, Any],
    *,
    tell: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Point every table of the plan at its version, one UpdateTable each; again changes nothing.

    Returns:
        For each table ``{"table", "upsert_keys"}``, as publishing gives them.

    Raises:
        RollbackRefused: something else was published since the plan was made; no table was
            touched.
    """
    work = []
    for item in plan["tables"]:
        name = item["table"]
        now = glue.get_table(DatabaseName=database, Name=name)["Table"]
        version = now["Parameters"].get(VERSION, "")
        if version not in (item["from"], item["to"]):
            raise RollbackRefused(
                f"{database}.{name}: {version} has been published since {item['from']} was to be"
                f" rolled back; nothing was changed. Look, and roll back again."
            )
        work.append((item, now, version))
    published = []
    for item, now, version in work:
        name = item["table"]
        definition = now
        if version != item["to"]:
            definition = glue.get_table_version(
                DatabaseName=database, TableName=name, VersionId=str(item["number"])
            )["TableVersion"]["Table"]
            glue.update_table(
                DatabaseName=database,
                TableInput={key: definition[key] for key in _INPUT if key in definition},
                VersionId=now["VersionId"],
            )
            tell(f"{database}.{name}: {item['to']} instead of {version}")
        keys = definition["Parameters"].get(KEY, "")
        published.append({"table": name, "upsert_keys": keys.split(",") if keys else []})
    return published
