"""Publish audited tables: point each published name at its new version, one call a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.exceptions import AirflowFailException

from madrugada.clients import client
from madrugada.settings import settings
from madrugada.staging import suffix

if TYPE_CHECKING:
    from airflow.sdk import Context

VERSION = "madrugada.version"
BASE = "madrugada.base_version"
KEY = "madrugada.key"


class PublishTablesOperator(AwsBaseOperator[GlueCatalogHook]):
    """Publish every candidate table of one version, in one Glue call for each table.

    A candidate is a table of the staging database named ``<layer>_<table>_<suffix>``. Its
    columns and location become those of ``<database>.<table>``: readers see the old version or
    the new one, never between.

    When a candidate was built on another version than the one now published, nothing is
    published: two nights ran at once, and publishing would lose the other's rows. Publishing the
    same version again changes nothing.

    Returns:
        For each published table ``{"table", "upsert_keys"}``: its name, and the columns that make
        a row one.

    :param layer: ``silver`` or ``gold``.
    :param database: the published tables' Glue database.
    :param staging_database: where the candidates are.
    :param version: the Glue job run id that wrote them.
    """

    aws_hook_class = GlueCatalogHook
    template_fields: Sequence[str] = aws_template_fields("version")

    def __init__(
        self, *, layer: str, database: str, staging_database: str, version: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.layer = layer
        self.database = database
        self.staging_database = staging_database
        self.version = version

    def execute(self, context: Context) -> list[dict[str, Any]]:
        candidates = self._candidates()
        if not candidates:
            raise AirflowFailException(
                f"Version {self.version} has no {self.layer} candidates in"
                f" {self.staging_database}; run the job again."
            )
        # All are looked at before any is published: some of one night and some of another is worse.
        for name, candidate in candidates.items():
            self._is_there(name, candidate, self._published(name))
        published = []
        for name, candidate in sorted(candidates.items()):
            self._publish(name, candidate)
            keys = candidate["Parameters"].get(KEY, "")
            published.append({"table": name, "upsert_keys": keys.split(",") if keys else []})
        return published

    def _candidates(self) -> dict[str, dict[str, Any]]:
        end = f"_{suffix(self.version)}"
        pages = self.hook.conn.get_paginator("get_tables").paginate(
            DatabaseName=self.staging_database, Expression=f"{self.layer}_.*{end}"
        )
        return {
            table["Name"].removeprefix(f"{self.layer}_").removesuffix(end): table
            for page in pages
            for table in page["TableList"]
        }

    def _published(self, name: str) -> dict[str, Any] | None:
        try:
            return self.hook.conn.get_table(DatabaseName=self.database, Name=name)["Table"]
        except self.hook.conn.exceptions.EntityNotFoundException:
            return None

    def _is_there(
        self, name: str, candidate: dict[str, Any], current: dict[str, Any] | None
    ) -> bool:
        """Whether the candidate is what is published already.

        Raises:
            AirflowFailException: something else has been published since it was built.
        """
        if current is None:
            return False
        now = current["Parameters"].get(VERSION, "")
        base = candidate["Parameters"].get(BASE, "")
        if now != self.version and now != base:
            raise AirflowFailException(
                f"{self.database}.{name}: version {self.version} was built on {base or 'nothing'},"
                f" but {now} has been published since by another night."
                f" Clear the build task of this run, so that it builds on what is there now."
            )
        return now == self.version

    def _publish(self, name: str, candidate: dict[str, Any]) -> None:
        wanted = _table_input(name, candidate)
        current = self._published(name)
        if self._is_there(name, candidate, current):
            self.log.info("%s.%s: this version is published already", self.database, name)
        elif current is None:
            self.hook.conn.create_table(DatabaseName=self.database, TableInput=wanted)
            self.log.info("%s.%s: published, its first version", self.database, name)
        else:
            self.hook.conn.update_table(
                DatabaseName=self.database,
                TableInput=wanted,
                VersionId=current.get("VersionId", "0"),
            )
            now = current["Parameters"].get(VERSION, "")
            self.log.info("%s.%s: %s replaces %s", self.database, name, self.version, now)


def published_key(layer: str, table: str) -> str:
    """Where a published table's files are in its layer's bucket, with a slash at the end."""
    database = settings().database(layer)
    found = client("glue").get_table(DatabaseName=database, Name=table)["Table"]
    return found["StorageDescriptor"]["Location"].split("/", 3)[3].rstrip("/") + "/"


def published_versions(layer: str) -> dict[str, str]:
    """Which version of each of a layer's tables readers see now."""
    paginator = client("glue").get_paginator("get_tables")
    pages = paginator.paginate(DatabaseName=settings().database(layer))
    return {
        table["Name"]: table["Parameters"][VERSION]
        for page in pages
        for table in page["TableList"]
        if VERSION in table.get("Parameters", {})
    }


def _table_input(name: str, candidate: dict[str, Any]) -> dict[str, Any]:
    return {
        "Name": name,
        "Description": candidate.get("Description", ""),
        "TableType": "EXTERNAL_TABLE",
        "Parameters": candidate["Parameters"],
        "PartitionKeys": candidate.get("PartitionKeys", []),
        "StorageDescriptor": candidate["StorageDescriptor"],
    }
