"""The Glue context: Spark's session and a logger."""

from __future__ import annotations

import sys
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from awsglue.dynamicframe import Refused


class GlueLogger:
    """Writes to the run's error log, as the driver's logger does on AWS."""

    def _write(self, level: str, message: str) -> None:
        print(f"{level} GlueLogger: {message}", file=sys.stderr)

    def info(self, message: str) -> None:
        self._write("INFO", message)

    def warn(self, message: str) -> None:
        self._write("WARN", message)

    def error(self, message: str) -> None:
        self._write("ERROR", message)


class GlueContext:
    """``GlueContext(SparkContext.getOrCreate())``: the session is :attr:`spark_session`.

    What belongs to Spark's own SQLContext is answered by the session; everything about
    DynamicFrames, sources and sinks is refused by name.
    """

    def __init__(self, sparkContext: SparkContext, **options: Any) -> None:
        self._sc = sparkContext
        self.spark_session = SparkSession(sparkContext)
        self.create_dynamic_frame = Refused("GlueContext.create_dynamic_frame")
        self.write_dynamic_frame = Refused("GlueContext.write_dynamic_frame")

    @property
    def sparkSession(self) -> SparkSession:
        return self.spark_session

    def get_logger(self) -> GlueLogger:
        return GlueLogger()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if hasattr(SparkSession, name):
            return getattr(self.spark_session, name)
        return Refused(f"GlueContext.{name}")
