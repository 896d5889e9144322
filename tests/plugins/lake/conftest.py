"""A lake on an embedded AWS: versions of tables, published one after the other as nights do."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_aws.instance import Config
from local_aws.server import Server
from madrugada.settings import settings
from madrugada.staging import candidate

VERSION, BASE = "madrugada.version", "madrugada.base_version"
STAGING = "madrugada_staging"


def run_id(number: int) -> str:
    """A version by its number, as long as a Glue job run's id."""
    return f"jr_{number:064x}"


class Lake:
    """Buckets and databases of its own names, of no other test."""

    _numbers = itertools.count(1)

    def __init__(self, server: Server, state: Path) -> None:
        self.state = state
        self.s3, self.glue = (self._client(server, name) for name in ("s3", "glue"))
        for bucket in self.s3.list_buckets()["Buckets"]:
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
                for item in page.get("Contents", []):
                    self.s3.delete_object(Bucket=bucket["Name"], Key=item["Key"])
            self.s3.delete_bucket(Bucket=bucket["Name"])
        for database in self.glue.get_databases()["DatabaseList"]:
            self.glue.delete_database(Name=database["Name"])
        for layer in ("silver", "gold"):
            self.s3.create_bucket(Bucket=settings().bucket(layer))
            self.glue.create_database(DatabaseInput={"Name": f"madrugada_{layer}"})
        self.glue.create_database(DatabaseInput={"Name": STAGING})

    @staticmethod
    def _client(server: Server, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=server.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def new_version(self) -> str:
        return run_id(next(self._numbers))

    def location(self, layer: str, table: str, version: str) -> str:
        return f"s3://{settings().bucket(layer)}/{table}/{version}/"

    def write(self, layer: str, table: str, version: str, *sizes: int, folder: str = "") -> None:
        """Files of so many bytes."""
        for number, size in enumerate(sizes):
            key = f"{table}/{version}/{folder}part-{number:05d}.parquet"
            self.s3.put_object(Bucket=settings().bucket(layer), Key=key, Body=b"x" * size)

    def report(self, layer: str, version: str, **tables: dict[str, int]) -> None:
        self.s3.put_object(
            Bucket=settings().bucket(layer),
            Key=f"_reports/{version}.json",
            Body=json.dumps({"version": version, "layer": layer, "tables": tables}).encode(),
        )

    def definition(
        self, name: str, location: str, version: str, **parameters: str
    ) -> dict[str, Any]:
        return {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {VERSION: version, "madrugada.key": "id", **parameters},
            "StorageDescriptor": {
                "Columns": [{"Name": "id", "Type": "int"}],
                "Location": location,
            },
        }

    def stage(self, layer: str, table: str, version: str, base: str = "", **parameters: str) -> str:
        """Register a candidate as the Glue jobs do; its name."""
        name = candidate(layer, table, version)
        self.glue.create_table(
            DatabaseName=STAGING,
            TableInput=self.definition(
                name, self.location(layer, table, version), version, **{BASE: base}, **parameters
            ),
        )
        return name

    def publish(self, layer: str, version: str, *tables: str, **parameters: str) -> str:
        """A night: each table written and published; the version."""
        time.sleep(0.01)  # nights are seconds apart, at least
        for table in tables:
            self.write(layer, table, version, 10)
            given = self.definition(
                table, self.location(layer, table, version), version, **parameters
            )
            there = {t["Name"] for t in self.tables(layer)}
            call = self.glue.update_table if table in there else self.glue.create_table
            call(DatabaseName=f"madrugada_{layer}", TableInput=given)
        return version

    def night(self, layer: str, *tables: str, **parameters: str) -> str:
        return self.publish(layer, self.new_version(), *tables, **parameters)

    def tables(self, layer: str) -> list[dict[str, Any]]:
        return self.glue.get_tables(DatabaseName=f"madrugada_{layer}")["TableList"]

    def published(self, layer: str) -> dict[str, str]:
        """Each table's version, after a look that its location is that version's."""
        found = {}
        for table in self.tables(layer):
            version = table["Parameters"][VERSION]
            location = self.location(layer, table["Name"], version)
            assert table["StorageDescriptor"]["Location"] == location
            found[table["Name"]] = version
        return found

    def versions(self, layer: str, table: str) -> set[str]:
        """The versions of a table that have files."""
        keys = self.keys(layer, f"{table}/")
        return {key.split("/")[1] for key in keys}

    def keys(self, layer: str, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=settings().bucket(layer), Prefix=prefix
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def definitions(self, layer: str, table: str) -> list[str]:
        """The versions of Glue's former and present definitions, the newest first."""
        found = self.glue.get_table_versions(DatabaseName=f"madrugada_{layer}", TableName=table)[
            "TableVersions"
        ]
        return [one["Table"]["Parameters"][VERSION] for one in found]


@pytest.fixture(autouse=True)
def no_network() -> None:
    """These tests talk to an embedded AWS of their own."""


@pytest.fixture(autouse=True, scope="module")
def models_read_once() -> None:
    """Nothing is shared: a model that moto's tests have used no longer fits a real endpoint."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aws")


@pytest.fixture(scope="module")
def server(state: Path) -> Iterator[Server]:
    with Server(Config(state=state), services=["s3", "glue"]) as running:
        yield running


@pytest.fixture
def lake(server: Server, state: Path) -> Lake:
    return Lake(server, state)
