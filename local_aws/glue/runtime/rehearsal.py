"""A small job that makes the JVM load what most jobs need: CSV, joins, windows, Parquet."""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as f

folder = Path(sys.argv[1])
(folder / "in.csv").write_text("id,name,day\n1,a,2026-01-01\n2,b,\n")
spark = SparkSession.builder.getOrCreate()
rows = spark.read.csv((folder / "in.csv").as_uri(), header=True)
typed = rows.select(
    f.col("id").cast("int"),
    "name",
    f.to_date("day").alias("day"),
    f.row_number().over(Window.partitionBy("name").orderBy("id")).alias("n"),
).filter("n = 1")
out = (folder / "out").as_uri()
typed.join(rows.select("id", f.lit(1).cast("decimal(12,2)").alias("one")), "id", "left").write.mode(
    "overwrite"
).parquet(out)
spark.read.parquet(out).groupBy("name").agg(f.sum("one"), f.count("*")).collect()
