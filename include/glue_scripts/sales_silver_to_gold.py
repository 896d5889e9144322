"""Glue job: the published silver tables become the gold tables of sales.

Builds what the named sources allow: `orders` gives processed_sales; `stores` gives wide_vendas,
vendas_por_produto and vendas_por_cidade_mes. Each is written aside whole, under the run's own
version, with the columns of its contract in their order (COPY from Parquet goes by position), and
registered as a candidate for the audit.

Arguments: contracts_uri, gold_bucket, delivery_date, sources (comma list), silver_database,
gold_database, staging_database; Glue gives JOB_RUN_ID, which is the version.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from madrugada_spark.catalog import (
    BASE_VERSION,
    DELIVERY_DATE,
    KEY,
    VERSION,
    Catalog,
    Published,
    candidate_name,
)
from madrugada_spark.contract import Dataset, JobError, read_contracts
from madrugada_spark.printed import print_table
from madrugada_spark.session import output_files, size_for, spark_session
from madrugada_spark.storage import Storage, files_and_bytes, read_version, write_parquet

OPTIONS = (
    "contracts_uri",
    "gold_bucket",
    "delivery_date",
    "sources",
    "silver_database",
    "gold_database",
    "staging_database",
)
UNKNOWN_CITY = "(desconhecida)"
MONEY = "decimal(18,2)"


@dataclass(frozen=True)
class Options:
    version: str
    contracts_uri: str
    gold_bucket: str
    delivery_date: str
    sources: tuple[str, ...]
    silver_database: str
    gold_database: str
    staging_database: str


def wide_vendas(
    vendas: DataFrame,
    clientes: DataFrame,
    lojas: DataFrame,
    produtos: DataFrame,
    promocao: DataFrame,
    pagamentos: DataFrame,
) -> DataFrame:
    """One row for each sale, with what is known of it; of several payments the earliest.

    A sale whose customer, store or product is not known keeps its ids, with nulls beside them.
    """
    first_payment = pagamentos.groupBy(F.col("id_venda").alias("id")).agg(
        F.min("dt_pgto").alias("dt_pgto")
    )
    return (
        vendas.select("id", "id_cliente", "id_loja", "id_produto", "dt_venda")
        .join(
            clientes.select(
                F.col("id").alias("id_cliente"),
                F.col("nome").alias("nome_cliente"),
                F.col("sexo").alias("sexo_cliente"),
                "dt_nasc",
            ),
            "id_cliente",
            "left",
        )
        .join(lojas.select(F.col("id").alias("id_loja"), "cidade"), "id_loja", "left")
        .join(
            produtos.select(F.col("id").alias("id_produto"), "produto", "valor"),
            "id_produto",
            "left",
        )
        .join(promocao.select(F.col("id_venda").alias("id"), "promocao"), "id", "left")
        .join(first_payment, "id", "left")
        .select(
            F.col("id").alias("id_venda"),
            "id_cliente",
            "nome_cliente",
            "sexo_cliente",
            "dt_nasc",
            "id_loja",
            "cidade",
            "id_produto",
            "dt_venda",
            "produto",
            "valor",
            "promocao",
            "dt_pgto",
            F.col("dt_pgto").isNotNull().alias("pago"),
        )
    )


def processed_sales(sales_data: DataFrame) -> DataFrame:
    """Orders with `total_value`, quantity times price."""
    return sales_data.select(
        "id",
        "product",
        "quantity",
        "price",
        "date",
        (F.col("quantity") * F.col("price")).cast("decimal(12,2)").alias("total_value"),
    )


def vendas_por_produto(wide: DataFrame, produtos: DataFrame) -> DataFrame:
    """One row for each product sold; `sinalizado` when silver carries a warning on the product."""
    flagged = produtos.select(
        F.col("id").alias("id_produto"), F.col("warnings").isNotNull().alias("sinalizado")
    )
    return (
        wide.groupBy("id_produto", "produto", "valor")
        .agg(*_figures(), _count(F.col("promocao")).alias("em_promocao"))
        .join(flagged, "id_produto", "left")
        .select(
            "id_produto",
            "produto",
            "valor",
            "vendas",
            "pagas",
            "em_promocao",
            "valor_total",
            "valor_pago",
            # A product that is not known is worth a look too.
            F.coalesce("sinalizado", F.lit(True)).alias("sinalizado"),
        )
    )


def vendas_por_cidade_mes(wide: DataFrame) -> DataFrame:
    """One row for each city and month with a sale."""
    return wide.groupBy(
        F.coalesce("cidade", F.lit(UNKNOWN_CITY)).alias("cidade"),
        F.trunc("dt_venda", "month").alias("mes"),
    ).agg(*_figures())


def _figures() -> list[Any]:
    value = F.coalesce("valor", F.lit(0).cast("decimal(12,2)"))
    paid = F.when(F.col("pago"), value).otherwise(F.lit(0).cast("decimal(12,2)"))
    return [
        F.count("*").cast("int").alias("vendas"),
        _count(F.col("pago")).alias("pagas"),
        F.sum(value).cast(MONEY).alias("valor_total"),
        F.sum(paid).cast(MONEY).alias("valor_pago"),
    ]


def _count(test: Any) -> Any:
    return F.count(F.when(test, F.lit(1))).cast("int")


class GoldRun:
    """One run of the job; `run` does it all and gives the report."""

    def __init__(self, spark: SparkSession, options: Options) -> None:
        self.spark = spark
        self.options = options
        self.storage = Storage()
        self.catalog = Catalog()
        self.contracts = read_contracts(
            self.storage.read(options.contracts_uri, "the compiled contracts")
        )
        self.datasets = self.contracts.datasets_of(options.sources)
        self.tables = self.contracts.gold_of(options.sources)
        self.silver: dict[str, DataFrame] = {}
        self.read_versions: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        started = time.time()
        size = self._open_silver()
        size_for(self.spark, size)
        published = {
            table.name: self.catalog.published(self.options.gold_database, table.name)
            for table in self.tables
        }
        reports = self._write_all(size)
        for table in self.tables:
            base = published[table.name]
            reports[table.name]["base_version"] = base.version if base is not None else ""
            self._register(table, base)
        report = {
            "version": self.options.version,
            "layer": "gold",
            "delivery_date": self.options.delivery_date,
            "sources": list(self.options.sources),
            "seconds": round(time.time() - started, 3),
            "silver_versions": self.read_versions,
            "tables": reports,
        }
        uri = f"s3://{self.options.gold_bucket}/_reports/{self.options.version}.json"
        self.storage.write_json(uri, report)
        print_table(
            ("table", "rows", "files", "bytes", "seconds"),
            [
                (name, r["rows"], r["files"], r["bytes"], r["seconds"])
                for name, r in reports.items()
            ],
        )
        print(f"gold of {report['delivery_date']} in {report['seconds']} s; report: {uri}")
        return report

    def location(self, table: str) -> str:
        return f"s3://{self.options.gold_bucket}/{table}/{self.options.version}/"

    def _open_silver(self) -> int:
        """Opens the published silver tables; gives about how many bytes their rows are."""
        missing, size = [], 0
        for dataset in self.datasets:
            published = self.catalog.published(self.options.silver_database, dataset.name)
            if published is None:
                missing.append(f"{self.options.silver_database}.{dataset.name}")
                continue
            self.silver[dataset.name] = published.read(self.spark)
            self.read_versions[dataset.name] = published.version
            size += files_and_bytes(self.spark, published.location)[1] * 4
        if missing:
            raise JobError(f"not published yet: {', '.join(missing)}; publish silver first")
        return size

    def _write_all(self, size: int) -> dict[str, Any]:
        builders: dict[str, Callable[[], DataFrame]] = {
            "processed_sales": lambda: processed_sales(self.silver["sales_data"]),
            "wide_vendas": lambda: wide_vendas(
                *(
                    self.silver[name]
                    for name in (
                        "vendas",
                        "clientes",
                        "lojas",
                        "produtos",
                        "promocao",
                        "pagamentos",
                    )
                )
            ),
            "vendas_por_produto": lambda: vendas_por_produto(
                self._read("wide_vendas"), self.silver["produtos"]
            ),
            "vendas_por_cidade_mes": lambda: vendas_por_cidade_mes(self._read("wide_vendas")),
        }
        counted_from = {"processed_sales": "sales_data", "wide_vendas": "vendas"}
        unknown = [table.name for table in self.tables if table.name not in builders]
        if unknown:
            raise JobError(f"no builder for {', '.join(unknown)}; add it to this job")
        marts = [t for t in self.tables if t.name.startswith("vendas_por_")]
        first = [t for t in self.tables if t not in marts]
        reports: dict[str, Any] = {}
        with ThreadPoolExecutor(max_workers=4) as pool:
            # The marts are made from wide_vendas as it was written, not from its joins again.
            for group in (first, marts):
                futures = {
                    table.name: pool.submit(
                        self._write,
                        table,
                        builders[table.name],
                        counted_from.get(table.name),
                        size if table in first else 0,
                    )
                    for table in group
                }
                reports |= {name: future.result() for name, future in futures.items()}
        return {table.name: reports[table.name] for table in self.tables}

    def _write(
        self, table: Dataset, build: Callable[[], DataFrame], counted_from: str | None, size: int
    ) -> dict[str, Any]:
        started = time.time()
        built = build()
        typed = built.select(*(F.col(c.name).cast(c.type).alias(c.name) for c in table.columns))
        location = self.location(table.name)
        write_parquet(typed, location, output_files(size), months_of=table.partition_column)
        empty = [
            F.count(F.when(F.col(c.name).isNull(), F.lit(1))).alias(c.name)
            for c in table.columns
            if c.required
        ]
        counts = self._read(table.name).agg(F.count("*").alias("_rows"), *empty).collect()[0]
        nulls = {name: n for name, n in counts.asDict().items() if name != "_rows" and n}
        if nulls:
            raise JobError(
                f"{table.name}: required columns are empty: "
                + ", ".join(f"{name} in {n} rows" for name, n in nulls.items())
            )
        rows = counts["_rows"]
        if counted_from is not None:
            expected = self.silver[counted_from].count()
            if rows != expected:
                raise JobError(
                    f"{table.name}: {rows} rows from {expected} of {counted_from}; expected as many"
                )
        files, written = files_and_bytes(self.spark, location)
        return {
            "rows": rows,
            "files": files,
            "bytes": written,
            "location": location,
            "seconds": round(time.time() - started, 3),
        }

    def _read(self, table: str) -> DataFrame:
        """This run's own table, from the files just written."""
        columns = self.contracts.gold[table].glue_columns
        return read_version(self.spark, self.location(table), columns)

    def _register(self, table: Dataset, base: Published | None) -> None:
        self.catalog.register_candidate(
            self.options.staging_database,
            candidate_name("gold", table.name, self.options.version),
            self.location(table.name),
            table.glue_columns,
            {
                VERSION: self.options.version,
                BASE_VERSION: base.version if base is not None else "",
                DELIVERY_DATE: self.options.delivery_date,
                KEY: ",".join(table.key),
            },
        )


def main(argv: list[str]) -> None:
    from awsglue.utils import getResolvedOptions

    arguments = getResolvedOptions(argv, list(OPTIONS))
    options = Options(
        version=arguments["JOB_RUN_ID"],
        sources=tuple(s.strip() for s in arguments["sources"].split(",") if s.strip()),
        **{name: arguments[name] for name in OPTIONS if name != "sources"},
    )
    GoldRun(spark_session("sales_silver_to_gold"), options).run()


if __name__ == "__main__":
    main(sys.argv)
