"""The Spark session of a job and the settings that its results depend on."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import SparkSession

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # A date or number that does not parse is null, and the contract's rules say what becomes of it.
    "spark.sql.ansi.enabled": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    # A Parquet file is several times smaller than its rows in memory; without this a join would
    # broadcast millions of keys because their file is small.
    "spark.sql.sources.fileCompressionFactor": "4.0",
    "spark.sql.autoBroadcastJoinThreshold": str(8 << 20),
    "spark.sql.parquet.mergeSchema": "false",
    # Keys are nearly unique: to drop rows before they are handed on would sort all of them twice.
    "spark.sql.optimizer.windowGroupLimitThreshold": "-1",
    # A run compiles over 200 small classes; in a JVM that is kept warm the next run finds them.
    "spark.sql.codegen.cache.maxEntries": "2000",
}
SMALL = 32 << 20
BYTES_PER_SHUFFLE_PARTITION = 24 << 20
# A month's rows are cut into files at this size. It counts rows as Spark hands them from task to
# task; as Parquet they are about a third of it.
BYTES_PER_PART_OF_A_MONTH = 320 << 20


def spark_session(name: str, extra: Mapping[str, str] | None = None) -> SparkSession:
    """The session, new or the one that is already there, with the settings above."""
    builder = SparkSession.builder.appName(name)
    for key, value in {**SETTINGS, **(extra or {})}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def size_for(spark: SparkSession, input_bytes: int) -> None:
    """Sets how finely shuffles are cut, from the bytes that the job reads.

    Small nights take few tasks, no adaptive planning, which costs a Spark job for each stage, and
    no whole-stage code, which takes longer to compile than the rows take to be read. Big ones take
    partitions that fit in memory beside each other.
    """
    small = input_bytes <= SMALL
    partitions = 1 if small else max(8, input_bytes // BYTES_PER_SHUFFLE_PARTITION)
    adaptive = "spark.sql.adaptive"
    spark.conf.set(f"{adaptive}.enabled", "false" if small else "true")
    spark.conf.set(f"{adaptive}.advisoryPartitionSizeInBytes", str(BYTES_PER_PART_OF_A_MONTH))
    # Joins keep their partitions as they are cut here, and do not grow to that size.
    spark.conf.set(f"{adaptive}.coalescePartitions.minPartitionNum", str(partitions))
    spark.conf.set(f"{adaptive}.coalescePartitions.minPartitionSize", str(4 << 20))
    # Listing a folder takes less than a Spark job, until there are very many.
    spark.conf.set(
        "spark.sql.sources.parallelPartitionDiscovery.threshold", "1000" if small else "32"
    )
    spark.conf.set("spark.sql.codegen.wholeStage", "false" if small else "true")
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))


def output_files(input_bytes: int, target_bytes: int = 96 << 20) -> int:
    """How many files to write so that each is near the target size."""
    return 1 if input_bytes <= SMALL else max(2, -(-input_bytes // target_bytes))
