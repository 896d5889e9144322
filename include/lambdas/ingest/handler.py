"""Lambda `ingest`: from landing to bronze, one delivery at a time.

A producer puts `s3://<landing>/<source>/<YYYY-MM-DD>/<file name>`. Each file is checked against
its contract and copied unchanged to
`s3://<bronze>/<source>/<dataset>/ingest_date=<YYYY-MM-DD>/<file name>`, or where else its contract
has it in bronze; when every file of the source is there, the delivery's manifest is written:

    s3://<bronze>/_manifests/<source>/<YYYY-MM-DD>.json
    {"format": 1, "source", "delivery_date", "status": "complete" | "rejected",
     "files":   [{"dataset", "file_name", "key", "bytes", "rows", "sha256", "etag",
                  "new_columns": ["<header>"], "missing_columns": ["<header>"]}],
     "missing": ["<file name>"], "ignored": ["<landing key>"], "errors": ["<sentence>"]}

`rows` are the lines after the header, blank ones among them.

Columns are found by their header, whatever their order. A column that the contract does not know
and an optional one that is not there do not reject a file; they are in its `new_columns` and
`missing_columns`, and in the log. A file that is not as its contract says is not copied, and
the manifest says `rejected` with the reasons, so that whoever waits for it wakes up. The same files
always give the same manifest.

Two kinds of event:

* S3 ObjectCreated (`Records`): never raises for what is in the files, S3 would only send it again.
* by hand, `{"delivery_date": "2026-01-05", "sources": ["orders", "stores"]}`: ingests what landing
  has for that date again, and raises DeliveryError naming each missing or bad file. `sources` may
  be left out and is then all of them.

Environment: LANDING_BUCKET, BRONZE_BUCKET, CONTRACTS_URI (s3://…/contracts.json).
"""

from __future__ import annotations

import codecs
import csv
import functools
import hashlib
import json
import logging
import os
import re
from datetime import date
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

logger = logging.getLogger("ingest")
logger.setLevel(logging.INFO)

CHUNK = 1 << 20
LONGEST_HEADER = 1 << 16  # bytes
MOST_COLUMNS = 1000
LONGEST_SHOWN = 200
SEPARATORS = ";,\t|"
BOM = "\ufeff"
# One CopyObject takes up to 5 GiB; only above that is the copy made in parts.
COPY = TransferConfig(multipart_threshold=5 << 30, multipart_chunksize=1 << 30)
LOOKS_AGAIN = 5


class DeliveryError(Exception):
    """A delivery cannot be ingested; the message names each file, and what was expected where."""


class RejectedFile(Exception):
    """One file is not as its contract says."""


@functools.cache
def s3_client() -> Any:
    return boto3.client("s3")


def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
    """Entry point; see the module for both kinds of event and for what is returned."""
    ingest = Ingest(
        s3_client(),
        landing=_setting("LANDING_BUCKET"),
        bronze=_setting("BRONZE_BUCKET"),
        contracts=_contracts(_setting("CONTRACTS_URI")),
    )
    if "Records" in event:
        return ingest.on_objects_created(event["Records"])
    return ingest.by_hand(event)


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"environment variable {name} is not set on the function")
    return value


def _contracts(uri: str) -> dict[str, Any]:
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise RuntimeError(f"CONTRACTS_URI: expected s3://bucket/key, found {uri!r}")
    try:
        answer = s3_client().get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
    except ClientError as error:
        raise RuntimeError(f"the compiled contracts cannot be read from {uri}: {error}") from error
    return json.loads(answer["Body"].read())


class Ingest:
    """Deliveries of one landing bucket into one bronze bucket, by the compiled contracts."""

    def __init__(self, s3: Any, *, landing: str, bronze: str, contracts: dict[str, Any]) -> None:
        self.s3 = s3
        self.landing = landing
        self.bronze = bronze
        self.sources: dict[str, list[str]] = contracts["sources"]
        self.datasets: dict[str, dict[str, Any]] = contracts["datasets"]

    def on_objects_created(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        deliveries: dict[tuple[str, str], None] = {}
        ignored: list[str] = []
        for record in records:
            key = unquote_plus(record["s3"]["object"]["key"])
            match = re.fullmatch(r"([^/]+)/(\d{4}-\d{2}-\d{2})/[^/]+", key)
            if match and match[1] in self.sources and _is_date(match[2]):
                deliveries[match[1], match[2]] = None
            else:
                logger.warning(
                    "s3://%s/%s is ignored: expected <source>/<YYYY-MM-DD>/<file name> with "
                    "source one of %s",
                    self.landing,
                    key,
                    ", ".join(self.sources),
                )
                ignored.append(key)
        results = [self.settle(source, day) for source, day in deliveries]
        for result in results:
            for sentence in result["errors"]:
                logger.error(sentence)
        return {"deliveries": results, "ignored": ignored}

    def by_hand(self, event: dict[str, Any]) -> dict[str, Any]:
        day = event.get("delivery_date")
        if not isinstance(day, str) or not _is_date(day):
            raise DeliveryError(f"delivery_date: expected YYYY-MM-DD, found {day!r}")
        sources = event.get("sources") or list(self.sources)
        if isinstance(sources, str):
            sources = sources.split(",")
        unknown = [source for source in sources if source not in self.sources]
        if unknown:
            raise DeliveryError(
                f"sources: unknown {', '.join(map(repr, unknown))}; "
                f"expected some of {', '.join(self.sources)}"
            )
        results = [self.settle(source, day) for source in sources]
        problems = [sentence for result in results for sentence in result["errors"]]
        for result in results:
            for name in result["missing"]:
                dataset = self._dataset_of(result["source"], name)
                problems.append(
                    f"{name} is missing from the {result['source']} delivery of {day}: expected a "
                    f"file with the header {self._header_text(dataset)} at "
                    f"s3://{self.landing}/{result['source']}/{day}/{name}"
                )
        if problems:
            raise DeliveryError("\n".join(problems))
        return {"delivery_date": day, "deliveries": results}

    def settle(self, source: str, day: str) -> dict[str, Any]:
        """Brings bronze and the manifest to what landing holds for one delivery.

        Another file may arrive while this one is checked, and its event may be answered at the same
        time; so landing is looked at again after the manifest is written.
        """
        seen = self._landed(source, day)
        for _ in range(LOOKS_AGAIN):
            result = self._settle(source, day, seen)
            now = self._landed(source, day)
            if now == seen:
                return result
            seen = now
        raise DeliveryError(
            f"s3://{self.landing}/{source}/{day}/ keeps changing while it is ingested; "
            "deliver again when the producer is done"
        )

    def _settle(self, source: str, day: str, landed: dict[str, str]) -> dict[str, Any]:
        files: list[dict[str, Any]] = []
        missing: list[str] = []
        errors: list[str] = []
        for name in self.sources[source]:
            dataset = self.datasets[name]
            file_name = dataset["file_name"]
            key = f"{source}/{day}/{file_name}"
            year, month, day_of_month = day.split("-")
            target = dataset["bronze_key"].format(
                delivery_date=day, year=year, month=month, day=day_of_month
            )
            etag = landed.get(file_name)
            try:
                entry = self._already_in_bronze(dataset, target, etag)
                if entry is None and etag is None:
                    missing.append(file_name)
                    continue
                if entry is None:
                    entry = self._check_and_copy(dataset, key, target)
            except RejectedFile as error:
                errors.append(str(error))
                continue
            self._tell_of_columns(entry)
            files.append(entry)
        expected = {self.datasets[name]["file_name"] for name in self.sources[source]}
        ignored = sorted(f"{source}/{day}/{name}" for name in set(landed) - expected)
        for key in ignored:
            logger.warning(
                "s3://%s/%s is ignored: the %s delivery is made of %s",
                self.landing,
                key,
                source,
                ", ".join(sorted(expected)),
            )
        status = "rejected" if errors else "incomplete" if missing else "complete"
        manifest_key = f"_manifests/{source}/{day}.json"
        manifest = {
            "format": 1,
            "source": source,
            "delivery_date": day,
            "status": status,
            "files": files,
            "missing": missing,
            "ignored": ignored,
            "errors": errors,
        }
        if status != "incomplete":
            self.s3.put_object(
                Bucket=self.bronze,
                Key=manifest_key,
                Body=(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode(),
                ContentType="application/json",
            )
        logger.info("%s %s: %s, %d files", source, day, status, len(files))
        return {**manifest, "manifest": f"s3://{self.bronze}/{manifest_key}"}

    def _landed(self, source: str, day: str) -> dict[str, str]:
        """File name to ETag of what landing holds for one delivery."""
        prefix = f"{source}/{day}/"
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.landing, Prefix=prefix
        )
        return {
            item["Key"].removeprefix(prefix): item["ETag"].strip('"')
            for page in pages
            for item in page.get("Contents", [])
            if item["Key"] != prefix
        }

    def _tell_of_columns(self, entry: dict[str, Any]) -> None:
        where = f"s3://{self.bronze}/{entry['key']}"
        if entry["new_columns"]:
            logger.warning(
                "%s has new columns, which are kept aside in rescued_data: %s",
                where,
                _shown(", ".join(entry["new_columns"])),
            )
        if entry["missing_columns"]:
            logger.warning(
                "%s lacks optional columns, which are null in every row: %s",
                where,
                ", ".join(entry["missing_columns"]),
            )

    def _already_in_bronze(
        self, dataset: dict[str, Any], target: str, landing_etag: str | None
    ) -> dict[str, Any] | None:
        """The manifest's entry of a copy made earlier, unless landing has another file by now.

        Landing may be emptied after a while: then the copy in bronze is the delivery. Its header is
        held against the contract again, which may be another one since the copy was made.

        :raises RejectedFile: the header is not as the contract says.
        """
        try:
            answer = self.s3.get_object(
                Bucket=self.bronze, Key=target, Range=f"bytes=0-{LONGEST_HEADER}"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound", "InvalidRange"):
                return None
            raise
        metadata = answer["Metadata"]
        if not {"sha256", "rows", "landing-etag"} <= set(metadata):
            return None
        if landing_etag is not None and metadata["landing-etag"] != landing_etag:
            return None
        line = answer["Body"].read().split(b"\n", 1)[0].decode("utf-8", "replace")
        found = header_columns(line, dataset, f"s3://{self.bronze}/{target}")
        wanted = [column["header"] for column in dataset["columns"]]
        return {
            "dataset": dataset["name"],
            "file_name": dataset["file_name"],
            "key": target,
            "bytes": int(answer["ContentRange"].rpartition("/")[2]),
            "rows": int(metadata["rows"]),
            "sha256": metadata["sha256"],
            "etag": answer["ETag"].strip('"'),
            "new_columns": [name for name in found if name not in wanted],
            "missing_columns": [name for name in wanted if name not in found],
        }

    def _check_and_copy(self, dataset: dict[str, Any], key: str, target: str) -> dict[str, Any]:
        answer = self.s3.get_object(Bucket=self.landing, Key=key)
        sha256, rows = check_file(
            answer["Body"].iter_chunks(CHUNK), dataset, f"s3://{self.landing}/{key}"
        )
        etag = answer["ETag"].strip('"')
        try:
            self.s3.copy(
                CopySource={"Bucket": self.landing, "Key": key},
                Bucket=self.bronze,
                Key=target,
                ExtraArgs={
                    "MetadataDirective": "REPLACE",
                    "Metadata": {"sha256": sha256, "rows": str(rows), "landing-etag": etag},
                    "ContentType": "text/csv",
                    "CopySourceIfMatch": answer["ETag"],
                },
                Config=COPY,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("412", "PreconditionFailed"):
                raise
            raise DeliveryError(
                f"s3://{self.landing}/{key} changed while it was checked; deliver it again"
            ) from error
        entry = self._already_in_bronze(dataset, target, etag)
        if entry is None or entry["bytes"] != answer["ContentLength"]:
            raise DeliveryError(
                f"s3://{self.landing}/{key} changed while it was copied; deliver it again"
            )
        return entry

    def _dataset_of(self, source: str, file_name: str) -> dict[str, Any]:
        return next(
            self.datasets[name]
            for name in self.sources[source]
            if self.datasets[name]["file_name"] == file_name
        )

    def _header_text(self, dataset: dict[str, Any]) -> str:
        return dataset["delimiter"].join(column["header"] for column in dataset["columns"])


def check_file(chunks: Any, dataset: dict[str, Any], where: str) -> tuple[str, int]:
    """Reads a file once, in pieces, against its contract.

    :param chunks: the file's bytes, in pieces of any size.
    :param where: the file's address for the messages.
    :returns: sha256 in hex and the number of lines after the header.
    :raises RejectedFile: empty, not UTF-8, too few rows, or a header as `header_columns` says.
    """
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = size = 0
    last = b""
    header: str | None = None
    start = ""
    for chunk in chunks:
        if not chunk:
            continue
        digest.update(chunk)
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as error:
            raise RejectedFile(
                f"{where} is not UTF-8: byte 0x{error.object[error.start]:02x} near position "
                f"{max(0, size - 3) + error.start}; expected the file saved as UTF-8"
            ) from error
        size += len(chunk)
        newlines += chunk.count(b"\n")
        last = chunk[-1:]
        if header is None:
            start += text
            if "\n" in start or len(start) > LONGEST_HEADER:
                header = start.split("\n", 1)[0]
                header_columns(header, dataset, where)
    expected = dataset["delimiter"].join(column["header"] for column in dataset["columns"])
    if size == 0:
        raise RejectedFile(f"{where} is empty: expected the header {expected} and rows")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise RejectedFile(
            f"{where} is not UTF-8: it ends inside a character; expected the whole file as UTF-8"
        ) from error
    if header is None:
        header_columns(start, dataset, where)
    rows = newlines + (last != b"\n") - 1
    if rows < dataset["min_rows"]:
        raise RejectedFile(
            f"{where} has {rows} rows after its header: expected at least {dataset['min_rows']}"
        )
    return digest.hexdigest(), rows


def header_columns(line: str, dataset: dict[str, Any], where: str) -> list[str]:
    """The columns of a file, in their order, from its header line.

    :raises RejectedFile: no column of the contract (a wrong separator is named), a required one
        missing, one that is there twice or has no name, or a header without an end.
    """
    line = line.removeprefix(BOM).removesuffix("\r")
    delimiter = dataset["delimiter"]
    wanted = [column["header"] for column in dataset["columns"]]
    found = _fields(line, delimiter)
    shown = _shown(line)
    compared = f"expected {delimiter.join(wanted)}, found {shown or 'none'}"
    if len(line.encode()) > LONGEST_HEADER or len(found) > MOST_COLUMNS:
        raise RejectedFile(
            f"{where} has too long a header: expected at most {MOST_COLUMNS} columns in "
            f"{LONGEST_HEADER} bytes, found {len(found)} columns in {len(line.encode())} or more"
        )
    required = _required_headers(dataset)
    if not set(found) & set(wanted):
        for other in SEPARATORS:
            if other != delimiter and required <= set(_fields(line, other)):
                raise RejectedFile(
                    f"{where} has the wrong separator: expected {delimiter!r}, found {other!r} in "
                    f"the header {shown}"
                )
        raise RejectedFile(f"{where} has the wrong header: {compared}")
    twice = sorted({name for name in found if name and found.count(name) > 1})
    if twice:
        raise RejectedFile(
            f"{where} has a column twice in its header, {_shown(', '.join(twice))}, so that "
            f"nobody can tell which counts: {compared}"
        )
    if "" in found:
        raise RejectedFile(
            f"{where} has a column without a name in its header, the {found.index('') + 1}. of "
            f"{len(found)}: {compared}"
        )
    absent = [name for name in wanted if name in required and name not in found]
    if absent:
        raise RejectedFile(
            f"{where} lacks the required column{'s' * (len(absent) > 1)} {', '.join(absent)}: "
            f"{compared}"
        )
    return found


def _required_headers(dataset: dict[str, Any]) -> set[str]:
    """Columns whose every row would be rejected if they were not there."""
    headers = {column["name"]: column["header"] for column in dataset["columns"]}
    return {
        headers[rule["column"]]
        for rule in dataset["rules"]
        if rule["kind"] == "required" and rule["severity"] == "error"
    }


def _shown(text: str) -> str:
    """The beginning of a file's own text for a message; what cannot be printed is escaped."""
    start = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in start)


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        fields = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [field.strip() for field in fields]


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
