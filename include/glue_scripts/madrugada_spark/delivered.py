"""A delivered CSV file as rows: numbered lines, split by the contract, typed, checked.

A row of the file is a line; a quoted field cannot hold a line break. Nothing is dropped: a row that
breaks a rule of severity `error` comes out with `_rule` set, and goes to quarantine.
"""

from __future__ import annotations

import re
from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from madrugada_spark.contract import Column, Dataset, Rule

EMPTY_ROW = "empty_row"
MALFORMED_ROW = "malformed_row"
DUPLICATE_KEY = "duplicate_key"
MOST_FIELDS = 2000
SHOWN = 100

# Columns beside the contract's own, until rows are written.
LINE, RAW, RULE, COLUMN, REASON, WARNINGS = (
    "_line",
    "_raw",
    "_rule",
    "_column",
    "_reason",
    "_warnings",
)
_CORRUPT = "_corrupt"
_FIELDS = "_fields"
_DATE_SHAPES = {"yyyy": "[0-9]{4}", "MM": "[0-9]{2}", "dd": "[0-9]{2}", "M": "[0-9]{1,2}"}
_DATE_SHAPES["d"] = _DATE_SHAPES["M"]


def numbered_lines(spark: SparkSession, uri: str) -> DataFrame:
    """The lines of one file: `_line` (bigint, from 1) and `_raw` (string, without CR).

    Line numbers are exact however many tasks read the file: lines are numbered within each block,
    and for a file of more than one block the lines of each block are counted first.
    """
    lines = (
        spark.read.option("lineSep", "\n")
        .text(uri)
        .select(
            F.col("value"),
            F.monotonically_increasing_id().alias("position"),
            F.col("_metadata.file_block_start").alias("block"),
        )
    )
    raw = F.expr("trim(trailing '\r' from value)").alias(RAW)
    if lines.rdd.getNumPartitions() <= 1:
        return lines.select((F.col("position") + 1).alias(LINE), raw)
    blocks = (
        lines.groupBy("block")
        .agg(F.count("*").alias("lines"), F.min("position").alias("first"))
        .orderBy("block")
        .collect()
    )
    offsets, before = [], 0
    for block in blocks:
        offsets.append((block["block"], before - block["first"] + 1))
        before += block["lines"]
    shift = spark.createDataFrame(offsets, "block bigint, shift bigint")
    return lines.join(F.broadcast(shift), "block").select(
        (F.col("position") + F.col("shift")).alias(LINE), raw
    )


def checked_rows(lines: DataFrame, dataset: Dataset) -> DataFrame:
    """Parses and checks numbered lines, the header among them.

    :param lines: `_line`, `_raw`.
    :returns: the contract's columns, typed; `_line`, `_raw`; `_rule`, `_column`, `_reason` of a row
        that must go to quarantine, else null; `_warnings`, ids of broken `warn` rules joined with
        `;`, else null. One row for each line after the header.
    """
    names = [f"_f{i}" for i in range(len(dataset.columns))]
    schema = ", ".join(f"`{name}` string" for name in (*names, _CORRUPT))
    separators = F.length("_raw") - F.length(F.translate("_raw", dataset.delimiter, ""))
    fields = F.from_csv(
        F.when(separators <= MOST_FIELDS, F.col(RAW)),
        schema,
        {
            "sep": dataset.delimiter,
            "mode": "PERMISSIVE",
            "columnNameOfCorruptRecord": _CORRUPT,
            "escape": '"',
            "maxCharsPerColumn": "-1",
        },
    )
    split = lines.where(F.col(LINE) > 1).select(LINE, RAW, fields.alias(_FIELDS))
    texts = {
        column.name: _text(F.col(f"{_FIELDS}.{name}"), column)
        for name, column in zip(names, dataset.columns, strict=True)
    }
    # Two steps, so that each text is taken from the line once and not for every rule again.
    split = split.select(
        LINE,
        RAW,
        (F.trim(F.translate(RAW, dataset.delimiter, "")) == "").alias("_empty"),
        (F.col(_FIELDS).isNull() | F.col(f"{_FIELDS}.{_CORRUPT}").isNotNull()).alias("_malformed"),
        *(text.alias(f"_text_{name}") for name, text in texts.items()),
    )
    typed = split.select(
        "*", *(_typed(F.col(f"_text_{c.name}"), c).alias(c.name) for c in dataset.columns)
    )
    failures: list[tuple[str, str | None, SparkColumn, SparkColumn]] = [
        (EMPTY_ROW, None, F.col("_empty"), F.lit("the line holds separators alone")),
        (
            MALFORMED_ROW,
            None,
            F.col("_malformed"),
            F.concat(
                F.lit(f"expected {len(names)} fields separated by {dataset.delimiter!r}, found "),
                F.size(F.split(RAW, re.escape(dataset.delimiter), MOST_FIELDS)).cast("string"),
            ),
        ),
    ]
    whole = ~F.col("_empty") & ~F.col("_malformed")
    for rule in dataset.rules:
        if rule.severity == "error":
            broken, reason = _broken(rule, dataset)
            failures.append((rule.id, rule.column, whole & broken, reason))
    warned = [
        F.when(_broken(rule, dataset)[0], F.lit(rule.id))
        for rule in dataset.rules
        if rule.severity == "warn" and rule.kind != "reference"
    ]
    # Whoever filters by `_rule` must not have the filter pushed below the projections, where Spark
    # would parse the line again for each column that a rule looks at; it never pushes a filter
    # through an expression that is not deterministic.
    never = F.when(F.spark_partition_id() < 0, F.lit(""))
    broken_rule = F.coalesce(*(F.when(test, F.lit(rule)) for rule, _, test, _ in failures), never)
    return typed.select(
        *dataset.column_names,
        LINE,
        RAW,
        broken_rule.alias(RULE),
        F.coalesce(*(F.when(test, F.lit(column or "")) for _, column, test, _ in failures)).alias(
            COLUMN
        ),
        null_if_empty(
            F.concat_ws("; ", *(F.when(test, reason) for _, _, test, reason in failures))
        ).alias(REASON),
        null_if_empty(F.concat_ws(";", *warned)).alias(WARNINGS),
    )


def accepted(rows: DataFrame) -> DataFrame:
    """The rows that broke no `error` rule; keys may still be there twice."""
    return rows.where(F.col(RULE).isNull())


def rejected(rows: DataFrame) -> DataFrame:
    """The rows that broke an `error` rule: `_line`, `_raw`, `_rule`, `_column`, `_reason`."""
    return rows.where(F.col(RULE).isNotNull()).select(LINE, RAW, RULE, COLUMN, REASON)


def duplicates(rows: DataFrame, dataset: Dataset) -> DataFrame:
    """Accepted rows whose key comes again further down, in the shape of `rejected`."""
    key = ", ".join(dataset.key)
    last = F.max(LINE).over(Window.partitionBy(*dataset.key))
    return (
        accepted(rows)
        .select(LINE, RAW, *dataset.key, last.alias("_last"))
        .where(F.col(LINE) < F.col("_last"))
        .select(
            LINE,
            RAW,
            F.lit(DUPLICATE_KEY).alias(RULE),
            F.lit(",".join(dataset.key)).alias(COLUMN),
            F.concat(
                F.lit(f"{key} "),
                F.concat_ws(", ", *(F.col(name).cast("string") for name in dataset.key)),
                F.lit(" is also in line "),
                F.col("_last").cast("string"),
                F.lit("; the last line counts"),
            ).alias(REASON),
        )
    )


def null_if_empty(text: SparkColumn) -> SparkColumn:
    return F.when(text != "", text)


def _text(field: SparkColumn, column: Column) -> SparkColumn:
    """A field's text, null when blank; blanks around it stay only in strings."""
    trimmed = F.trim(field)
    return F.when(trimmed != "", field if column.type == "string" else trimmed)


def _typed(text: SparkColumn, column: Column) -> SparkColumn:
    """The value, null where the text is not exactly of the contract's type."""
    kind = column.type
    if kind == "string":
        return text
    if kind in ("int", "bigint"):
        digits = 10 if kind == "int" else 19
        return F.when(text.rlike(f"^[+-]?[0-9]{{1,{digits}}}$"), text.cast(kind))
    if kind.startswith("decimal"):
        precision, scale = (int(n) for n in re.findall(r"\d+", kind))
        decimals = rf"(\.[0-9]{{1,{scale}}})?" if scale else ""
        whole = f"[0-9]{{1,{max(1, precision - scale)}}}"
        return F.when(text.rlike(f"^[+-]?{whole}{decimals}$"), text.cast(kind))
    if kind == "date":
        pattern = str(column.format)
        shape = re.sub("yyyy|MM|dd|M|d", lambda part: _DATE_SHAPES[part[0]], pattern)
        return F.when(text.rlike(f"^{shape}$"), F.to_date(text, pattern))
    if kind == "boolean":
        true, false = F.lit(column.true_value), F.lit(column.false_value)
        return F.when(text.eqNullSafe(true), F.lit(True)).when(text.eqNullSafe(false), F.lit(False))
    raise AssertionError(f"no rule to type {kind}")


def _wanted(column: Column) -> str:
    if column.type == "date":
        return f"a date as {column.format}"
    if column.type == "boolean":
        return f"{column.true_value} or {column.false_value}"
    return column.type


def _broken(rule: Rule, dataset: Dataset) -> tuple[SparkColumn, SparkColumn]:
    """When a rule is broken (never null), and the sentence that says so."""
    if rule.kind == "product_maximum":
        product = reduce(lambda a, b: a * b, (F.col(name) for name in rule.parameters["columns"]))
        test = product > F.lit(rule.parameters["value"]).cast("decimal(38,2)")
        names = " * ".join(rule.parameters["columns"])
        reason = F.lit(f"{names} is more than {rule.parameters['value']}")
        return F.coalesce(test, F.lit(False)), reason
    column = dataset.column(str(rule.column))
    text, value = F.col(f"_text_{column.name}"), F.col(column.name)
    shown = F.concat(F.lit(f"{column.name} is '"), F.substring(text, 1, SHOWN), F.lit("'"))
    if rule.kind == "required":
        return text.isNull(), F.lit(f"{column.name} is empty, expected {_wanted(column)}")
    if rule.kind == "type":
        expected = F.lit(f", expected {_wanted(column)}")
        return text.isNotNull() & value.isNull(), F.concat(shown, expected)
    if rule.kind == "max_bytes":
        size = F.octet_length(text)
        most = rule.parameters["value"]
        return F.coalesce(size > most, F.lit(False)), F.concat(
            F.lit(f"{column.name} has "),
            size.cast("string"),
            F.lit(f" bytes in UTF-8, expected at most {most}"),
        )
    if rule.kind in ("minimum", "maximum"):
        limit = F.lit(rule.parameters["value"]).cast(
            "decimal(38,6)" if column.type != "date" else "date"
        )
        test = value < limit if rule.kind == "minimum" else value > limit
        bound = "at least" if rule.kind == "minimum" else "at most"
        expected = F.lit(f", expected {bound} {rule.parameters['value']}")
        return F.coalesce(test, F.lit(False)), F.concat(shown, expected)
    if rule.kind == "allowed":
        values = rule.parameters["values"]
        expected = F.lit(f", expected one of {', '.join(values)}")
        return F.coalesce(~text.isin(values), F.lit(False)), F.concat(shown, expected)
    raise AssertionError(f"rule {rule.id}: no such kind: {rule.kind}")
