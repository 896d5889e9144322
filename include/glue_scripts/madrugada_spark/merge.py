"""A delivery merged into what is published: one row for each key, from its newest delivery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from madrugada_spark.contract import Dataset
from madrugada_spark.delivered import LINE, RESCUED, WARNINGS

INGEST_DATE = "ingest_date"
RESCUED_DATA = "rescued_data"


def merged(
    rows: DataFrame,
    published: DataFrame | None,
    dataset: Dataset,
    delivery_date: date,
    duplicates: Observation | None = None,
) -> DataFrame:
    """The silver table after this delivery, warnings of references left out.

    :param rows: accepted rows of the delivery: the contract's columns, `_line`, `_warnings`,
        `_rescued`. Of a key that is there twice the last line counts.
    :param published: the silver table as it is, or None on the first night. Its rows of the same
        `ingest_date` are of an earlier run of this delivery and are replaced.
    :param duplicates: is told, once the table is written, how many accepted rows of the delivery
        have a key that comes again further down, as `duplicates`.
    :returns: the contract's columns, `ingest_date`, `warnings`, `rescued_data`; each key once.
    """
    columns = [f"`{name}`" for name in dataset.column_names]
    delivered = rows.selectExpr(
        *columns,
        f"date'{delivery_date}' as {INGEST_DATE}",
        f"{WARNINGS} as warnings",
        f"{RESCUED} as {RESCUED_DATA}",
        LINE,
    )
    if published is not None:
        there = set(published.columns)
        rescued = RESCUED_DATA if RESCUED_DATA in there else "null"
        earlier = published.where(f"{INGEST_DATE} <> date'{delivery_date}'").selectExpr(
            # A table written under an older contract may lack a column.
            *(
                f"cast({f'`{c.name}`' if c.name in there else 'null'} as {c.type}) as `{c.name}`"
                for c in dataset.columns
            ),
            INGEST_DATE,
            f"{_own_warnings(dataset)} as warnings",
            f"cast({rescued} as string) as {RESCUED_DATA}",
            f"0L as {LINE}",
        )
        delivered = delivered.union(earlier)
    keys = ", ".join(f"`{name}`" for name in dataset.key)
    newest_first = f"over (partition by {keys} order by {INGEST_DATE} desc, {LINE} desc)"
    ranked = delivered.selectExpr("*", f"row_number() {newest_first} as _newest")
    if duplicates is not None:
        again = f"{INGEST_DATE} = date'{delivery_date}' and _before = {INGEST_DATE}"
        ranked = ranked.selectExpr("*", f"lag({INGEST_DATE}) {newest_first} as _before")
        ranked = ranked.observe(duplicates, F.expr(f"count_if({again})").alias("duplicates"))
    return ranked.where("_newest = 1").selectExpr(*columns, INGEST_DATE, "warnings", RESCUED_DATA)


def with_reference_warnings(
    table: DataFrame, dataset: Dataset, targets: Mapping[str, DataFrame]
) -> DataFrame:
    """Flags rows whose reference finds no row, in the whole table.

    Every night looks again at every row, so a flag goes when the other row arrives, and the result
    does not depend on the order in which nights are run.

    :param targets: silver tables by name, each with its key once; a table that is not there yet is
        left out, and every reference to it is flagged.
    """
    if not dataset.references:
        return table
    flags = []
    for number, rule in enumerate(dataset.references):
        test = f"`{rule.column}` is not null"
        target = targets.get(rule.parameters["dataset"])
        if target is not None:
            found = f"_found_{number}"
            keys = target.selectExpr(f"`{rule.parameters['to']}` as {found}")
            table = table.join(keys, table[str(rule.column)] == keys[found], "left")
            test += f" and {found} is null"
        flags.append(f"if({test}, '{rule.id}', null)")
    return table.selectExpr(
        *(f"`{name}`" for name in dataset.column_names),
        INGEST_DATE,
        f"nullif(concat_ws(';', warnings, {', '.join(flags)}), '') as warnings",
        RESCUED_DATA,
    )


def _own_warnings(dataset: Dataset) -> str:
    """The warnings of a row by itself, those of references taken out."""
    if not dataset.references:
        return "warnings"
    ids = ", ".join(f"'{rule.id}'" for rule in dataset.references)
    return f"nullif(array_join(array_except(split(warnings, ';'), array({ids})), ';'), '')"
