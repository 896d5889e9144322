"""What a job reads and writes besides rows: manifests, headers, reports, file listings."""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError
from pyspark.sql import DataFrame, SparkSession

from madrugada_spark.contract import JSON_LINES, Dataset, JobError

LONGEST_HEADER = 1 << 16


# Lines of JSON, in which all keys repeat, are about this many times their size when compressed.
GZIP_RATIO = 8


@dataclass(frozen=True)
class DeliveredFile:
    """One file of a delivery in bronze, as its manifest has it."""

    file_name: str
    uri: str
    bytes: int
    etag: str
    rows: int | None = None
    """None where nobody has counted them yet: whoever reads the file does."""


@dataclass(frozen=True)
class Delivered:
    """All files of one dataset in one delivery."""

    dataset: str
    files: tuple[DeliveredFile, ...]
    compressed: bool = False
    header: tuple[str, ...] = ()
    """The columns in their order, by their names in the file; of JSON lines, the contract's."""

    @property
    def uri(self) -> str:
        """What a message names: the file, or what the addresses of several have in common."""
        first = self.files[0].uri
        if len(self.files) == 1:
            return first
        bucket = split_uri(first)[0]
        return f"s3://{bucket}/{common_folder(self.files)} ({len(self.files)} files)"

    @property
    def bytes(self) -> int:
        """About how many bytes its rows are when they are read."""
        return sum(file.bytes for file in self.files) * (GZIP_RATIO if self.compressed else 1)


class Storage:
    """The S3 side of a job, over boto3."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3")

    def read(self, uri: str, what: str, first_bytes: int | None = None) -> bytes:
        """An object's content, or its first bytes.

        :raises JobError: when it is not there, naming it and what it is.
        """
        bucket, key = split_uri(uri)
        extra = {} if first_bytes is None else {"Range": f"bytes=0-{first_bytes - 1}"}
        try:
            return self.s3.get_object(Bucket=bucket, Key=key, **extra)["Body"].read()
        except ClientError as error:
            raise JobError(f"{what} cannot be read from {uri}: {_said(error)}") from error

    def write_json(self, uri: str, document: Any) -> None:
        bucket, key = split_uri(uri)
        body = json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n"
        self.s3.put_object(
            Bucket=bucket, Key=key, Body=body.encode(), ContentType="application/json"
        )

    def delivery(
        self, bronze_bucket: str, source: str, delivery_date: str, datasets: list[Dataset]
    ) -> dict[str, Delivered]:
        """The files of a complete delivery by dataset, each there and with what must be in it.

        :raises JobError: for everything that keeps the night from being read, all in one message.
        """
        uri = f"s3://{bronze_bucket}/_manifests/{source}/{delivery_date}.json"
        manifest = json.loads(self.read(uri, f"the manifest of {source} of {delivery_date}"))
        if manifest["status"] != "complete":
            reasons = manifest["errors"] + [f"{name} is missing" for name in manifest["missing"]]
            raise JobError(
                f"{uri}: the delivery is {manifest['status']}, not complete: {'; '.join(reasons)}"
            )
        files: dict[str, list[DeliveredFile]] = {}
        for entry in manifest["files"]:
            files.setdefault(entry["dataset"], []).append(
                DeliveredFile(
                    entry["file_name"],
                    f"s3://{bronze_bucket}/{entry['key']}",
                    entry["bytes"],
                    entry["etag"],
                    entry["rows"],
                )
            )
        found, problems = {}, []
        for dataset in datasets:
            of_dataset = files.get(dataset.name, [])
            if not of_dataset:
                problems.append(f"{uri}: has no {dataset.file_name} for {dataset.name}")
                continue
            try:
                if dataset.file_format == JSON_LINES:
                    self._check_objects(bronze_bucket, of_dataset)
                    header = dataset.headers
                else:
                    header = self._header(of_dataset[0], dataset)
            except JobError as error:
                problems.append(str(error))
                continue
            found[dataset.name] = Delivered(
                dataset.name, tuple(of_dataset), dataset.file_name.endswith(".gz"), header
            )
        if problems:
            raise JobError("\n".join(problems))
        return found

    def _check_objects(self, bucket: str, files: list[DeliveredFile]) -> None:
        """Holds a listing of what is there against the manifest, in a request for 1,000 objects."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=common_folder(files)
        )
        there = {
            f"s3://{bucket}/{item['Key']}": item["ETag"].strip('"')
            for page in pages
            for item in page.get("Contents", ())
        }
        changed = [file.uri for file in files if there.get(file.uri) != file.etag]
        if changed:
            raise JobError(
                f"{len(changed)} of {len(files)} files are not there as their manifest describes "
                f"them, such as {changed[0]}; close the day's delivery again"
            )

    def _header(self, file: DeliveredFile, dataset: Dataset) -> tuple[str, ...]:
        bucket, key = split_uri(file.uri)
        try:
            answer = self.s3.get_object(
                Bucket=bucket, Key=key, Range=f"bytes=0-{LONGEST_HEADER - 1}"
            )
        except ClientError as error:
            raise JobError(
                f"{file.uri} is in the manifest and cannot be read: {_said(error)}"
            ) from error
        if answer["ETag"].strip('"') != file.etag:
            raise JobError(
                f"{file.uri} is not the file that its manifest describes (etag {file.etag}, found "
                f"{answer['ETag']}); ingest the delivery again"
            )
        line = answer["Body"].read().split(b"\n", 1)[0].decode("utf-8", "replace")
        line = line.removeprefix("\ufeff").removesuffix("\r")
        delimiter = str(dataset.delimiter)
        fields = next(csv.reader([line], delimiter=delimiter), [])
        header = tuple(field.strip() for field in fields)
        compared = f"expected {delimiter.join(dataset.headers)}, found {line[:200]}"
        if not set(header) & set(dataset.headers):
            raise JobError(f"{file.uri} has the wrong header: {compared}")
        if len(set(header)) < len(header):
            raise JobError(f"{file.uri} has a column twice in its header: {compared}")
        absent = [n for n in dataset.missing_columns(header) if n in dataset.required_headers]
        if absent:
            raise JobError(
                f"{file.uri} lacks the required column{'s' * (len(absent) > 1)} "
                f"{', '.join(absent)}: {compared}"
            )
        return header


def common_folder(files: Iterable[DeliveredFile]) -> str:
    """The key of the innermost folder that all the files are in, with a slash at its end."""
    return posixpath.commonpath([posixpath.dirname(split_uri(f.uri)[1]) for f in files]) + "/"


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise JobError(f"expected s3://bucket/key, found {uri!r}")
    return parts.netloc, parts.path.lstrip("/")


def write_parquet(
    table: DataFrame,
    uri: str,
    files: int,
    *,
    months_of: str | None = None,
    days_of: str | None = None,
    append: bool = False,
) -> None:
    """Writes Parquet files and nothing else: no `_SUCCESS`, which a COPY would stumble over.

    :param files: about how many; big months are cut (`size_for` says at which size).
    :param months_of: a date column. When there is to be more than one file, each of its months gets
        a folder of its own, `<column>_month=2026-01/`. The month is in no file: all columns still
        are. A table that fits into one file stays in one: dozens of files of a few rows each cost
        every reader more than they spare it.
    :param days_of: a date column, whose days get a folder each, `year=2026/month=01/day=05/`,
        however few files there are.
    """
    spark, schema = table.sparkSession, table.schema
    folders: dict[str, str] = {}
    if months_of is not None and files > 1:
        folders[f"{months_of}_month"] = f"left(cast(`{months_of}` as string), 7)"
    for part, place in (("year", "1, 4"), ("month", "6, 2"), ("day", "9, 2")):
        if days_of is not None:
            folders[part] = f"substring(cast(`{days_of}` as string), {place})"
    table = table.selectExpr("*", *(f"{value} as `{name}`" for name, value in folders.items()))
    if folders and files > 1:
        # Each folder to one task, so that no folder has as many files as there are tasks.
        # In SQL, where a hint takes columns; `DataFrame.hint` takes none in PySpark 3.5.
        names = ", ".join(f"`{name}`" for name in folders)
        by_folder = f"select /*+ rebalance({names}) */ * from {{table}}"  # noqa: S608
        table = spark.sql(by_folder, table=table)
    else:
        table = table.coalesce(files)
    writer = table.write.mode("append" if append else "errorifexists")
    writer = writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    if not folders:
        writer.parquet(uri)
        return
    writer.partitionBy(*folders).parquet(uri)
    if not append and files_and_bytes(spark, uri)[0] == 0:
        # No row, no month, no file: but there is no location in S3 without one.
        write_parquet(spark.createDataFrame([], schema), uri, 1, append=True)


def read_version(spark: SparkSession, uri: str, columns: Iterable[tuple[str, str]]) -> DataFrame:
    """What `write_parquet` wrote, by the columns (name, type) that it has: folders add none."""
    schema = ", ".join(f"`{name}` {kind}" for name, kind in columns)
    return spark.read.schema(schema).option("recursiveFileLookup", "true").parquet(uri)


def files_and_bytes(spark: SparkSession, uri: str) -> tuple[int, int]:
    """How many files are under a location, and their size; none where there is no such folder."""
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(uri)
    context: Any = spark._jsparkSession
    system = path.getFileSystem(context.sessionState().newHadoopConf())
    if not system.exists(path):
        return 0, 0
    summary = system.getContentSummary(path)
    return summary.getFileCount(), summary.getLength()


def _said(error: ClientError) -> str:
    return f"{error.response['Error']['Code']} {error.response['Error'].get('Message', '')}".strip()
