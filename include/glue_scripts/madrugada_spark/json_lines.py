"""A delivery of JSON lines in many compressed objects: numbered lines, and their fields as text.

A line is a whole JSON object or it is malformed; Spark alone would read the first of two objects in
a line and drop the rest, and take single quotes for JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from madrugada_spark.contract import Dataset
from madrugada_spark.storage import DeliveredFile, split_uri

FILE, FILE_LINE = "_file", "_file_line"
NO_OBJECT = "the line is not one JSON object"
BLANK = "the line is blank"
_OPTIONS = {
    "mode": "PERMISSIVE",
    "allowSingleQuotes": "false",
    "allowNonNumericNumbers": "false",
}


def numbered_objects(
    spark: SparkSession, files: Sequence[DeliveredFile]
) -> tuple[DataFrame, dict[str, int]]:
    """The lines of all objects, and how many each has, by address.

    The objects are read once to count them: nobody else does, and it gives each line its number,
    however many objects a task reads one after the other.

    :param files: gzip objects, each read from its start to its end by one task, or plain ones,
        which Spark cuts into blocks when they are big.
    :returns: `_line` (bigint, unique in the delivery, in the order of `files`), `_raw` (string,
        what is no UTF-8 replaced), `_broken_text` (whether there was any), `_file` (string, its
        name), `_file_line` (bigint, from 1).
    """
    lines = (
        spark.read.option("lineSep", "\n")
        .text([file.uri for file in files])
        .selectExpr(
            "value",
            "monotonically_increasing_id() as position",
            "_metadata.file_path",
            "_metadata.file_block_start as block",
        )
    )
    # By the key alone: the address that Spark gives may be written in another way.
    found: dict[str, list[Row]] = {}
    for row in (
        lines.groupBy("file_path", "block")
        .agg(F.count("*").alias("lines"), F.min("position").alias("first"))
        .orderBy("block")
        .collect()
    ):
        found.setdefault(split_uri(unquote(row["file_path"]))[1], []).append(row)
    counts: dict[str, int] = {}
    shifts, before = [], 0
    for file in files:
        counts[file.uri] = 0
        for row in found.get(split_uri(file.uri)[1], ()):
            first = row["first"] - 1 - counts[file.uri]
            shifts.append((row["file_path"], row["block"], file.file_name, first, before))
            counts[file.uri] += row["lines"]
        before += counts[file.uri]
    schema = f"file_path string, block bigint, {FILE} string, first bigint, lines_before bigint"
    shift = spark.createDataFrame(shifts, schema)
    # Replaces bytes that are no UTF-8, which Parquet's readers would stumble over.
    text = "decode(cast(value as binary), 'UTF-8')"
    numbered = lines.join(F.broadcast(shift), ["file_path", "block"]).selectExpr(
        f"position - first + lines_before as {'_line'}",
        f"{text} as _raw",
        f"{text} <> value as _broken_text",
        FILE,
        f"position - first as {FILE_LINE}",
    )
    return numbered, counts


def field(name: str) -> str:
    """A field as it is in the line: text, nested values as JSON, null when it is not there."""
    return f"_fields['{name}']"


def split_json(
    lines: DataFrame, dataset: Dataset, keep: Sequence[str], texts: Mapping[str, str]
) -> DataFrame:
    """Takes each line apart.

    :param keep: columns of `lines` that stay.
    :param texts: expressions of fields' texts, made of `field`, by the columns that come of them.
    :returns: `keep`, `_empty`, `_malformed`, the texts, and `_rescued`: unknown fields that are
        not null as JSON text, null when there is none.
    """
    options = ", ".join(f"'{part}'" for pair in _OPTIONS.items() for part in pair)
    # An array with an end of its own: whatever follows the object is an element too many, or no
    # JSON at all.
    array = f"from_json(concat('[', _raw, ',null]'), 'array<map<string,string>>', map({options}))"
    known = ", ".join(f"'{name}'" for name in (*dataset.headers, *dataset.left_in_bronze))
    parsed = lines.selectExpr(*keep, "_broken_text", f"{array} as _parsed")
    unknown = parsed.selectExpr(
        *keep,
        "trim(both ' \t\r' from _raw) = '' as _empty",
        "_broken_text or not trim(both ' \t\r' from _raw) like '{%' or _parsed is null "
        "or size(_parsed) <> 2 or _parsed[0] is null or _parsed[1] is not null as _malformed",
        "_parsed[0] as _fields",
        f"array_except(map_keys(_parsed[0]), array({known})) as _unknown",
    )
    return unknown.selectExpr(
        *keep,
        "_empty",
        "_malformed",
        *(f"{expression} as {name}" for name, expression in texts.items()),
        "if(size(_unknown) > 0, nullif(to_json(map_filter(_fields, (k, v) -> "
        "array_contains(_unknown, k) and v is not null)), '{}'), null) as _rescued",
    )
