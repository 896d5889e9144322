"""What Athena's SQL can do here, for the fidelity list."""

from __future__ import annotations

from local_aws.athena.aggregates import AGGREGATES, WINDOWS
from local_aws.athena.functions import SCALARS
from local_aws.athena.signatures import ALIASES, SIGNATURES, UNSUPPORTED
from local_aws.service import Feature

_SCALARS = sorted({*SCALARS, *SIGNATURES, *ALIASES} - {"uuid", "from_base"})


def _supported(area: str, *names: str) -> list[Feature]:
    return [Feature(area, name, "supported") for name in names]


def _refused(area: str, note: str, *names: str) -> list[Feature]:
    return [Feature(area, name, "refused", note) for name in names]


FEATURES: tuple[Feature, ...] = (
    *_supported(
        "queries",
        "SELECT with joins, USING, subqueries (also correlated), CTEs, set operations, VALUES",
        "GROUP BY with GROUPING SETS, ROLLUP and CUBE; HAVING; windows; FILTER; DISTINCT",
        "UNNEST of arrays, maps and rows, WITH ORDINALITY; LATERAL",
        "ORDER BY (NULL last both ways), LIMIT, OFFSET, FETCH FIRST",
        "views of Athena; information_schema (schemata, tables, columns, views); $path",
        "partitions chosen by conditions on partition columns; only used columns are read",
        "PREPARE, EXECUTE ... USING, DEALLOCATE PREPARE, execution parameters",
    ),
    Feature("queries", "EXPLAIN", "different", "DuckDB's plan, as text"),
    *_refused(
        "queries",
        "the query fails, naming it",
        "WITH RECURSIVE",
        "NATURAL JOIN",
        "TABLESAMPLE",
        "MATCH_RECOGNIZE",
        "EXPLAIN ANALYZE",
        "GROUP BY ALL or DISTINCT",
        "FETCH ... WITH TIES",
        "USING EXTERNAL FUNCTION",
        "FOR TIMESTAMP AS OF",
        "other data catalogs (federated queries)",
    ),
    Feature(
        "types",
        "integers, decimal, real, double, varchar, char, varbinary, boolean, date, time,"
        " timestamp, array, map, row, json, intervals",
        "supported",
        "with Trino's coercions, result types, overflow and division errors",
    ),
    Feature(
        "types",
        "timestamp with time zone",
        "different",
        "the zone must be known from the query; reading the clock of another is refused",
    ),
    Feature("types", "timestamp beyond microseconds, uuid, ipaddress, hyperloglog", "refused"),
    Feature("types", "NaN", "different", "equals itself and is greater than every number"),
    Feature(
        "types",
        "json",
        "different",
        "object keys keep their order; numbers with decimals are shown in their shortest form",
    ),
    Feature("functions", ", ".join(_SCALARS), "supported"),
    Feature("aggregates", ", ".join(sorted({*AGGREGATES, "listagg"})), "supported"),
    Feature("window functions", ", ".join(sorted(WINDOWS)), "supported", "and every aggregate"),
    Feature("aggregates", "approx_distinct, approx_percentile", "different", "exact"),
    Feature("aggregates", "map_agg with a repeated key", "different", "is an error"),
    Feature("functions", "regular expressions", "different", "RE2: no lookaround or backreference"),
    Feature(
        "functions",
        ", ".join(sorted({*UNSUPPORTED, "uuid", "from_base"})),
        "refused",
        "the query fails with NOT_SUPPORTED, naming the function",
    ),
    *_supported(
        "statements",
        "CREATE, DROP and ALTER DATABASE",
        "CREATE EXTERNAL TABLE (Parquet, text, JSON; LazySimple, OpenCSV and JSON SerDes)",
        "CREATE TABLE AS (PARQUET, TEXTFILE, JSON; partitioned_by, external_location)",
        "INSERT INTO (at most 100 partitions)",
        "UNLOAD",
        "CREATE [OR REPLACE] VIEW, DROP VIEW, DROP TABLE",
        "ALTER TABLE: ADD, DROP and RENAME PARTITION, SET LOCATION, SET TBLPROPERTIES, ADD and"
        " REPLACE COLUMNS",
        "MSCK REPAIR TABLE",
        "SHOW DATABASES, TABLES, VIEWS, PARTITIONS, COLUMNS, CREATE TABLE, CREATE VIEW,"
        " TBLPROPERTIES; DESCRIBE",
    ),
    *_refused(
        "statements",
        "the query fails, naming it",
        "Iceberg tables; UPDATE, DELETE, MERGE, OPTIMIZE, VACUUM",
        "INSERT OVERWRITE",
        "bucketed tables (CLUSTERED BY, bucketed_by)",
        "ORC, Avro, ION; other SerDes",
        "partition projection",
        "CREATE TABLE LIKE; ALTER TABLE CHANGE COLUMN; DESCRIBE EXTENDED",
    ),
    Feature(
        "text tables",
        "arrays of maps or structs in delimited text",
        "refused",
        "Parquet and JSON hold them",
    ),
    Feature(
        "text tables",
        "lines of one compressed file that end now in LF and now in CR or both",
        "refused",
        "plain files hold them",
    ),
    Feature("text tables", "files compressed as .bz2, .lzo, .snappy, .lz4", "refused"),
    Feature("results", "CSV and text files in the output location", "supported"),
    Feature("results", "the .metadata file beside them", "different", "is not written"),
    Feature("results", "SSE_KMS and CSE_KMS, managed results", "refused"),
    Feature("results", "result reuse", "different", "every query runs anew"),
    Feature("results", "query history", "supported", "45 days"),
    Feature("work groups", "BytesScannedCutoffPerQuery", "different",
            "a query that would scan more is cancelled before it starts"),
    Feature("work groups", "PublishCloudWatchMetricsEnabled", "different", "no metrics are sent"),
)  # fmt: skip
