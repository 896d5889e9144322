"""A delivery merged into what is published: one row for each key, from its newest delivery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from madrugada_spark.contract import Dataset
from madrugada_spark.delivered import LINE, WARNINGS, null_if_empty

INGEST_DATE = "ingest_date"


def merged(
    rows: DataFrame,
    published: DataFrame | None,
    dataset: Dataset,
    delivery_date: date,
) -> DataFrame:
    """The silver table after this delivery, warnings of references left out.

    :param rows: accepted rows of the delivery: the contract's columns, `_line`, `_warnings`. Of a
        key that is there twice the last line counts.
    :param published: the silver table as it is, or None on the first night. Its rows of the same
        `ingest_date` are of an earlier run of this delivery and are replaced.
    :returns: the contract's columns, `ingest_date`, `warnings`; each key once.
    """
    names = dataset.column_names
    delivered = rows.select(
        *names,
        F.lit(delivery_date).cast("date").alias(INGEST_DATE),
        F.col(WARNINGS).alias("warnings"),
        LINE,
    )
    if published is not None:
        earlier = _with_contract_columns(published, dataset).where(
            F.col(INGEST_DATE) != F.lit(delivery_date).cast("date")
        )
        delivered = delivered.unionByName(
            earlier.select(
                *names,
                INGEST_DATE,
                _without_references(dataset).alias("warnings"),
                F.lit(0).cast("bigint").alias(LINE),
            )
        )
    newest = Window.partitionBy(*dataset.key).orderBy(F.desc(INGEST_DATE), F.desc(LINE))
    return (
        delivered.withColumn("_newest", F.row_number().over(newest))
        .where(F.col("_newest") == 1)
        .select(*names, INGEST_DATE, "warnings")
    )


def with_reference_warnings(
    table: DataFrame, dataset: Dataset, targets: Mapping[str, DataFrame]
) -> DataFrame:
    """Flags rows whose reference finds no row, in the whole table.

    Every night looks again at every row, so a flag goes when the other row arrives, and the result
    does not depend on the order in which nights are run.

    :param targets: silver tables by name, each with its key once; a table that is not there yet is
        left out, and every reference to it is flagged.
    """
    flags = []
    for number, rule in enumerate(dataset.references):
        dataset_name, to = rule.parameters["dataset"], rule.parameters["to"]
        own = F.col(str(rule.column))
        target = targets.get(dataset_name)
        if target is None:
            flags.append(F.when(own.isNotNull(), F.lit(rule.id)))
            continue
        found = f"_found_{number}"
        keys = target.select(F.col(to).alias(found))
        table = table.join(keys, own == F.col(found), "left")
        flags.append(F.when(own.isNotNull() & F.col(found).isNull(), F.lit(rule.id)))
    warnings = null_if_empty(F.concat_ws(";", F.col("warnings"), *flags))
    return table.select(*dataset.column_names, INGEST_DATE, warnings.alias("warnings"))


def _with_contract_columns(published: DataFrame, dataset: Dataset) -> DataFrame:
    """A table written under an older contract, with the columns it lacks as null."""
    there = set(published.columns)
    return published.select(
        *(
            (F.col(c.name) if c.name in there else F.lit(None)).cast(c.type).alias(c.name)
            for c in dataset.columns
        ),
        INGEST_DATE,
        "warnings",
    )


def _without_references(dataset: Dataset) -> SparkColumn:
    ids = [rule.id for rule in dataset.references]
    if not ids:
        return F.col("warnings")
    kept = F.array_except(F.split("warnings", ";"), F.array(*(F.lit(i) for i in ids)))
    return null_if_empty(F.array_join(kept, ";"))
