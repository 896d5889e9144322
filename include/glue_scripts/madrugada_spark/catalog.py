"""The Glue Data Catalog: what is published, and candidates for the audit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError
from pyspark.sql import DataFrame, SparkSession

from madrugada_spark.contract import JobError
from madrugada_spark.storage import read_version

VERSION = "madrugada.version"
BASE_VERSION = "madrugada.base_version"
DELIVERY_DATE = "madrugada.delivery_date"
DELIVERIES = "madrugada.deliveries"
KEY = "madrugada.key"
"""Parameters of a table: which version it is, what it was built on, by which delivery, the dates of
all deliveries that it was built from (comma list, oldest first), and its key columns."""


@dataclass(frozen=True)
class Published:
    """A published table: where its files are and which version they are."""

    name: str
    location: str
    version: str
    columns: tuple[tuple[str, str], ...]
    deliveries: tuple[str, ...] = ()

    def read(self, spark: SparkSession) -> DataFrame:
        """Its rows; the schema is the catalog's, so no file is opened to find it out."""
        return read_version(spark, self.location, self.columns)


class Catalog:
    """The databases that the jobs read from and register in."""

    def __init__(self) -> None:
        self.glue = boto3.client("glue")

    def published(self, database: str, table: str) -> Published | None:
        """The table as readers see it now, None when no night has published it yet.

        DDL may have made it before, empty: then it has no version.
        """
        try:
            answer = self.glue.get_table(DatabaseName=database, Name=table)["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "EntityNotFoundException":
                return None
            raise
        descriptor = answer["StorageDescriptor"]
        if answer.get("PartitionKeys"):
            raise JobError(f"{database}.{table}: expected a table without partitions")
        parameters = answer.get("Parameters", {})
        if VERSION not in parameters:
            return None
        return Published(
            name=table,
            location=descriptor["Location"],
            version=parameters[VERSION],
            columns=tuple((c["Name"], c["Type"]) for c in descriptor["Columns"]),
            deliveries=tuple(day for day in parameters.get(DELIVERIES, "").split(",") if day),
        )

    def register_candidate(
        self,
        database: str,
        name: str,
        location: str,
        columns: Iterable[tuple[str, str]],
        parameters: dict[str, str],
        description: str = "",
    ) -> None:
        """Makes the table, in place of an older one of the same name, as Athena would have it.

        https://docs.aws.amazon.com/athena/latest/ug/parquet-serde.html
        """
        try:
            self.glue.delete_table(DatabaseName=database, Name=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityNotFoundException":
                raise
        self.create_candidate(
            database, table_input(name, location, columns, parameters, description)
        )

    def create_candidate(self, database: str, given: dict[str, Any]) -> None:
        """CreateTable; a table that this very version has made is as good.

        boto3 asks again when an answer is lost, and the table is there by then.
        """
        try:
            self.glue.create_table(DatabaseName=database, TableInput=given)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AlreadyExistsException":
                raise
            there = self.glue.get_table(DatabaseName=database, Name=given["Name"])["Table"]
            if there.get("Parameters", {}).get(VERSION) != given["Parameters"][VERSION]:
                raise


def table_input(
    name: str,
    location: str,
    columns: Iterable[tuple[str, str]],
    parameters: dict[str, str],
    description: str = "",
) -> dict[str, Any]:
    """Glue's TableInput for the Parquet files under one location and in its subfolders."""
    package = "org.apache.hadoop.hive.ql.io.parquet"
    return {
        "Name": name,
        "Description": description,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [],
        "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE", **parameters},
        "StorageDescriptor": {
            "Columns": [{"Name": column, "Type": kind} for column, kind in columns],
            "Location": location,
            "InputFormat": f"{package}.MapredParquetInputFormat",
            "OutputFormat": f"{package}.MapredParquetOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": f"{package}.serde.ParquetHiveSerDe",
                "Parameters": {"serialization.format": "1"},
            },
            "Compressed": False,
            "NumberOfBuckets": -1,
            "StoredAsSubDirectories": False,
        },
    }


def candidate_name(layer: str, table: str, version: str) -> str:
    """`<layer>_<table>_<last 12 characters of the version>`, as Glue keeps names, in lower case."""
    return f"{layer}_{table}_{version[-12:]}".lower()
