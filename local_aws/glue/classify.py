"""What a file holds: custom classifiers first, then Parquet, JSON and CSV, as a crawler does.

https://docs.aws.amazon.com/glue/latest/dg/add-classifier.html and
https://docs.aws.amazon.com/glue/latest/dg/custom-classifier.html
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from local_aws.glue.json_records import json_schema
from local_aws.glue.schema import Schema, Type, widest
from local_aws.service import Unsupported

SAMPLE = 1 << 20
"""Bytes (after decompression) that are read to find a text file's schema, as on AWS."""

DELIMITERS = (",", "|", "\t", ";", "\x01")
_SAME_WIDTH = 0.8
"""The part of the rows that must have the header's width for a file to be CSV."""

_TEXT = {
    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
}
_PARQUET = {
    "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "Parameters": {"serialization.format": "1"},
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
}
_LAZY = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
_OPEN = "org.apache.hadoop.hive.serde2.OpenCSVSerde"
_JSON = "org.openx.data.jsonserde.JsonSerDe"
_UNREAD = {
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
    b"PK\x03\x04": "ZIP",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\xff\x06\x00\x00sNaPpY": "Snappy",
    b"<?xml": "XML",
}
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CUSTOM_TYPES = {
    "BINARY": "binary",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "DECIMAL": "decimal(38,18)",
    "DOUBLE": "double",
    "FLOAT": "float",
    "INT": "int",
    "LONG": "bigint",
    "SHORT": "smallint",
    "STRING": "string",
    "TIMESTAMP": "timestamp",
}
CUSTOM_TYPES = tuple(_CUSTOM_TYPES)


@dataclass(frozen=True)
class CsvRules:
    """A CSV classifier's settings; the built-in one leaves ``delimiter`` open."""

    delimiter: str | None = None
    quote: str = '"'
    header: str = "UNKNOWN"
    names: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    trims: bool = True
    single: bool = False
    serde: str = "None"
    custom: bool = False

    @classmethod
    def of(cls, classifier: dict[str, Any]) -> CsvRules:
        """From AWS's ``CsvClassifier`` shape."""
        configured = classifier.get("CustomDatatypeConfigured")
        return cls(
            classifier.get("Delimiter") or None,
            classifier.get("QuoteSymbol") or '"',
            classifier.get("ContainsHeader") or "UNKNOWN",
            tuple(classifier.get("Header") or ()),
            tuple(classifier.get("CustomDatatypes") or ()) if configured else (),
            classifier.get("DisableValueTrimming") is False,
            bool(classifier.get("AllowSingleColumn")),
            classifier.get("Serde") or "None",
            custom=True,
        )


@dataclass(frozen=True)
class _Sample:
    """The beginning of a text file. ``consumed``: how many of the file's bytes it took."""

    compression: str
    text: str | None
    whole: bool
    consumed: int


def classify(path: Path, size: int, classifiers: Sequence[dict[str, Any]]) -> Schema:
    """The schema of one file of ``size`` bytes (never 0).

    ``classifiers`` are AWS's ``Classifier`` shapes in the crawler's order. A file that nothing
    recognises, or that is damaged, is ``UNKNOWN``, without columns, as on AWS.

    Raises:
        Unsupported: for a format that AWS reads and the embedded AWS does not.
        OSError: the file is gone or may not be read.
    """
    with path.open("rb") as file:
        head = file.read(16)
    for magic, name in _UNREAD.items():
        if head.startswith(magic):
            raise Unsupported(
                f"crawling {name} files", f"{path.name} is one; exclude it or convert it."
            )
    if head.startswith(b"PAR1"):
        try:
            return _parquet(path, size)
        except duckdb.Error as error:
            return _unknown(size, "none", f"{path.name} is no sound Parquet file: {error}")
    try:
        sample = _read_text(path, head)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return _unknown(size, "gzip", f"{path.name} is damaged: {error}")
    if sample.text is None:
        return _unknown(size, sample.compression, f"{path.name} is neither UTF-8 text nor Parquet")
    for classifier in classifiers:
        if "CsvClassifier" in classifier:
            found = _csv(sample.text, sample.whole, CsvRules.of(classifier["CsvClassifier"]))
        else:
            found = _json(sample.text, sample.whole, classifier["JsonClassifier"]["JsonPath"])
        if found:
            return _counted(found, size, sample)
    found = _json(sample.text, sample.whole, "$") or _csv(sample.text, sample.whole, CsvRules())
    if found:
        return _counted(found, size, sample)
    return _unknown(size, sample.compression, f"no classifier recognises {path.name}")


def _read_text(path: Path, head: bytes) -> _Sample:
    """The beginning of a file as text, ``None`` if it is no UTF-8."""
    with path.open("rb") as raw:
        file: Any = raw
        compression = "none"
        if head.startswith(b"\x1f\x8b"):
            compression, file = "gzip", gzip.GzipFile(fileobj=raw)
        elif head.startswith(b"BZh"):
            compression, file = "bzip2", bz2.BZ2File(raw)
        data = file.read(SAMPLE + 1)
        consumed = raw.tell()
    whole = len(data) <= SAMPLE
    if not whole:
        data = data[: data.rfind(b"\n", 0, SAMPLE) + 1] or data[:SAMPLE]
        if compression == "none":
            consumed = len(data)
    text: str | None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut = not whole and error.start >= len(data) - 3
        text = data[: error.start].decode("utf-8-sig") if cut else None
    if text is not None and "\0" in text:
        text = None
    return _Sample(compression, text, whole, consumed)


def _unknown(size: int, compression: str, why: str) -> Schema:
    return Schema("UNKNOWN", compression, [], {}, {}, 1, size, 0, warnings=[why])


def _counted(schema: Schema, size: int, sample: _Sample) -> Schema:
    """The schema with its file's figures; the records of a large file are estimated."""
    schema.size, schema.compression = size, sample.compression
    if not sample.whole and sample.consumed:
        schema.records = max(schema.records, round(schema.records * size / sample.consumed))
    return schema


# Parquet

_FROM_DUCKDB = {
    "boolean": "boolean",
    "tinyint": "tinyint",
    "smallint": "smallint",
    "integer": "int",
    "bigint": "bigint",
    "utinyint": "smallint",
    "usmallint": "int",
    "uinteger": "bigint",
    "ubigint": "bigint",
    "float": "float",
    "double": "double",
    "varchar": "string",
    "blob": "binary",
    "date": "date",
    "uuid": "string",
    "enum": "string",
    "time": "string",
}


def _parquet(path: Path, size: int) -> Schema:
    with duckdb.connect() as connection:
        relation = connection.read_parquet(str(path), hive_partitioning=False)
        columns: list[tuple[str, Type]] = [
            (name.lower(), _parquet_type(type_, name, path))
            for name, type_ in zip(relation.columns, relation.types, strict=True)
        ]
        row = connection.execute(
            "SELECT sum(num_rows) FROM parquet_file_metadata(?)", [str(path)]
        ).fetchone()
    records = int(row[0]) if row and row[0] else 0
    return Schema("parquet", "none", columns, _PARQUET, {}, 1, size, records)


def _parquet_type(type_: Any, column: str, path: Path) -> Type:
    kind = type_.id
    if kind in _FROM_DUCKDB:
        return _FROM_DUCKDB[kind]
    if kind.startswith("timestamp"):
        return "timestamp"
    children = dict(type_.children) if kind in {"decimal", "struct", "list", "map"} else {}
    if kind == "decimal":
        return f"decimal({children['precision']},{children['scale']})"
    if kind == "struct":
        fields = {
            name.lower(): _parquet_type(part, column, path) for name, part in children.items()
        }
        return {"struct": fields}
    if kind == "list":
        return {"array": _parquet_type(children["child"], column, path)}
    if kind == "map":
        key, value = (_parquet_type(children[part], column, path) for part in ("key", "value"))
        if isinstance(key, str) and isinstance(value, str):
            return f"map<{key},{value}>"
    raise Unsupported(f"crawling the Parquet type {type_}", f"Column {column} of {path.name}.")


# JSON


def _json(text: str, whole: bool, path: str) -> Schema | None:
    found = json_schema(text, path, whole)
    if found is None:
        return None
    columns, records = found
    names = ",".join(name for name, _ in columns)
    serde = {"SerializationLibrary": _JSON, "Parameters": {"paths": names}, **_TEXT}
    parameters = {} if path == "$" else {"jsonPath": path}
    return Schema("json", "none", columns, serde, parameters, records=records)


# CSV


def _csv(text: str, whole: bool, rules: CsvRules) -> Schema | None:
    candidates = [rules.delimiter] if rules.delimiter else DELIMITERS
    best: tuple[float, int, str, list[list[str]]] | None = None
    for delimiter in candidates:
        rows = _rows(text, whole, delimiter, rules.quote)
        if not rows:
            return None
        width = len(rows[0])
        same = sum(len(row) == width for row in rows) / len(rows)
        wide_enough = width >= 2 or (rules.single and rules.delimiter is not None)
        # A header that the classifier promises says enough; bad rows are the reader's to find.
        if rules.custom and rules.header == "PRESENT":
            same = 1.0
        if wide_enough and same >= _SAME_WIDTH and (best is None or (same, width) > best[:2]):
            best = (same, width, delimiter, rows)
    if best is None or (not rules.custom and len(best[3]) < 2):
        return None
    return _csv_schema(text, best[2], best[3], rules)


def _rows(text: str, whole: bool, delimiter: str, quote: str) -> list[list[str]]:
    """The records that are not blank lines; one that the sample cuts in two is left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote)
    rows = []
    try:
        for row in reader:
            if row:
                rows.append(row)
    except csv.Error:
        return []
    return rows if whole else rows[:-1]


def _csv_schema(text: str, delimiter: str, rows: list[list[str]], rules: CsvRules) -> Schema | None:
    width = len(rows[0])
    if rules.names and len(rules.names) != width:
        return None
    if rules.header == "UNKNOWN":
        header = _looks_like_header(rows, rules)
    else:
        header = rules.header == "PRESENT"
    data = rows[1:] if header else rows
    types = [_column_type(data, index, rules.trims) for index in range(width)]
    if rules.types:
        if len(rules.types) != width:
            return None
        types = [_CUSTOM_TYPES[name.upper()] for name in rules.types]
    given = rules.names or (rows[0] if header else ())
    names = [
        (given[index].strip().lower() if index < len(given) else "") or f"col{index}"
        for index in range(width)
    ]
    quoted = f"{rules.quote}{delimiter}" in text or f"{delimiter}{rules.quote}" in text
    parameters = {
        "areColumnsQuoted": "true" if quoted else "false",
        "columnsOrdered": "true",
        "delimiter": delimiter,
    }
    if header:
        parameters["skip.header.line.count"] = "1"
    warnings = [
        f"two columns are named {name}" for name, count in Counter(names).items() if count > 1
    ]
    return Schema(
        "csv",
        "none",
        list(zip(names, types, strict=True)),
        _csv_serde(delimiter, rules, quoted),
        parameters,
        records=len(data),
        named=bool(given),
        warnings=warnings,
    )


def _csv_serde(delimiter: str, rules: CsvRules, quoted: bool) -> dict[str, Any]:
    if rules.serde == "OpenCSVSerDe" or (rules.custom and rules.serde == "None" and quoted):
        parameters = {"quoteChar": rules.quote, "separatorChar": delimiter}
        return {"SerializationLibrary": _OPEN, "Parameters": parameters, **_TEXT}
    return {"SerializationLibrary": _LAZY, "Parameters": {"field.delim": delimiter}, **_TEXT}


def _looks_like_header(rows: list[list[str]], rules: CsvRules) -> bool:
    """The built-in classifier's rules: all text, short, named, and unlike the rows below."""
    first = [value.strip() for value in rows[0]]
    if rules.names and [value.lower() for value in first] == [n.lower() for n in rules.names]:
        return True
    if any(_value_type(value, rules.trims) != "string" for value in first[:-1]):
        return False
    if any(len(value) >= 150 for value in first[:-1]):
        return False
    if first[-1] and _value_type(first[-1], rules.trims) != "string":
        return False
    types = [_column_type(rows[1:], index, rules.trims) for index in range(len(first))]
    return any(type_ not in (None, "string") for type_ in types)


def _column_type(rows: list[list[str]], index: int, trims: bool) -> Type:
    found: Type = None
    for row in rows:
        if index < len(row):
            found = widest(found, _value_type(row[index], trims))
            if found == "string":
                break
    return found


def _value_type(value: str, trims: bool) -> str | None:
    """``bigint``, ``double`` or ``string``; ``None`` of an empty value. Dates are strings."""
    if trims:
        value = value.strip()
    if not value:
        return None
    if _INTEGER.fullmatch(value) and -(2**63) <= int(value) < 2**63:
        return "bigint"
    return "double" if _NUMBER.fullmatch(value) else "string"
