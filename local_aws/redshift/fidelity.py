"""What of Redshift's SQL is supported, different and refused, for the fidelity list."""

from __future__ import annotations

from local_aws.redshift.functions import FUNCTIONS
from local_aws.redshift.system import names
from local_aws.service import Feature

_AREA = "Redshift SQL"

_SUPPORTED = {
    "SELECT": "joins, subqueries (correlated too), WITH [RECURSIVE], set operations, TOP, LIMIT,"
    " QUALIFY, GROUP BY with ROLLUP, CUBE and GROUPING SETS, window functions, lateral aliases",
    "types": "SMALLINT, INTEGER, BIGINT, DECIMAL(p,s), REAL, DOUBLE PRECISION, BOOLEAN, CHAR(n),"
    " VARCHAR(n) (lengths in bytes, enforced on writes, cut by CAST), DATE, TIMESTAMP,"
    " TIMESTAMPTZ, TIME",
    "arithmetic": "integer division, result types and the precision and scale of DECIMAL results"
    " as documented; division by zero and overflow are errors; quotients and averages are cut,"
    " not rounded, at their scale",
    "NULL ordering": "NULLs sort as the highest values",
    "INSERT, UPDATE ... FROM, DELETE ... USING, TRUNCATE": "TRUNCATE commits",
    "MERGE": "both WHEN branches, or REMOVE DUPLICATES; several matching source rows are an error",
    "CREATE TABLE": "columns, DEFAULT, IDENTITY, NOT NULL (enforced), LIKE [INCLUDING DEFAULTS],"
    " AS, TEMP and #names, SELECT INTO",
    "ALTER TABLE": "ADD and DROP COLUMN, RENAME, VARCHAR sizes, keys, distribution and sort keys",
    "views": "bound to their tables, and WITH NO SCHEMA BINDING",
    "schemas": "CREATE and DROP SCHEMA [CASCADE], search_path",
    "transactions": "BEGIN, COMMIT, ROLLBACK; writers of one table wait for each other; a write"
    " conflict is error 1023",
    "COMMENT": "on tables, views and columns",
    "COPY FORMAT PARQUET": "by position, counts and types checked in every file, all or nothing",
    "COPY CSV, delimited text, JSON 'auto'": "DELIMITER, QUOTE, IGNOREHEADER, DATEFORMAT,"
    " TIMEFORMAT, NULL AS, BLANKSASNULL, EMPTYASNULL, ACCEPTINVCHARS, ACCEPTANYDATE, ENCODING"
    " UTF8 and UTF16, MAXERROR, TRUNCATECOLUMNS, TRIMBLANKS, IGNOREBLANKLINES, FILLRECORD, GZIP;"
    " errors in SYS_LOAD_ERROR_DETAIL and STL_LOAD_ERRORS",
    "COPY from a prefix or a MANIFEST, with a column list": "",
    "UNLOAD": "PARQUET, CSV and delimited text; HEADER, DELIMITER, NULL AS, ADDQUOTES, GZIP,"
    " PARALLEL OFF, MANIFEST, PARTITION BY [INCLUDE], ALLOWOVERWRITE, CLEANPATH",
    "external schemas": "CREATE EXTERNAL SCHEMA FROM DATA CATALOG; tables of the Glue catalog join"
    " with local ones, partitions are pruned; external DDL is refused in transactions and batches",
    "CREATE EXTERNAL TABLE, ALTER TABLE ADD and DROP PARTITION": "Parquet and delimited text",
    "functions": ", ".join(sorted(FUNCTIONS)),
    "system views": ", ".join(names()),
}

_DIFFERENT = {
    "DISTSTYLE, DISTKEY, SORTKEY, ENCODE": "kept and shown in the catalog; data lie as DuckDB"
    " lays them, results are the same",
    "PRIMARY KEY, UNIQUE, FOREIGN KEY": "informational, as in Redshift; the planner ignores them",
    "GRANT, REVOKE, owners": "there is one database user: objects are checked to exist, privileges"
    " are not kept",
    "VACUUM, ANALYZE": "nothing to do: DuckDB keeps its files and statistics itself; the table is"
    " checked to exist",
    "EXPLAIN": "DuckDB's plan",
    "authorisation of COPY, UNLOAD, external schemas": "IAM_ROLE or CREDENTIALS must be given and"
    " well formed; rights are not checked",
    "trailing blanks": "insignificant in CHAR; significant when VARCHAR values are compared",
    "regular expressions": "DuckDB's RE2: no back references and no look-around",
    "APPROXIMATE COUNT(DISTINCT)": "exact",
    "implicit conversions": "between text columns and numbers or dates: refused; write a CAST",
    "float to integer": "a half is rounded to the even neighbour",
    "IDENTITY": "numbers follow each other without gaps for the slices of a cluster",
    "COPY of Parquet": "objects whose names begin with _ or . are skipped",
    "UNLOAD": "one file for each partition, whatever the size",
    "renamed tables under views": "views stay bound to them; PG_VIEWS and INFORMATION_SCHEMA.VIEWS"
    " show a view's text as it was written",
    "SVV_TABLE_INFO": "NULL for size, skew and unsorted rows, which are a cluster's",
    "PG_CANCEL_BACKEND, PG_TERMINATE_BACKEND": "of a number that is written out",
    "SET": "search_path, query_group and cache settings; others take their default value alone",
    "sort order of text": "by bytes, as Redshift's",
    "error texts": "Redshift's words where they are known, DuckDB's elsewhere",
}

_REFUSED = {
    "stored procedures, user-defined functions, CALL": "",
    "SUPER, PartiQL, VARBYTE, GEOMETRY, INTERVAL columns, nested external columns": "",
    "materialized views": "use a view or CREATE TABLE AS",
    "datashares, federated queries, other databases, CREATE DATABASE": "",
    "cursors, PREPARE": "use the Data API's pages and parameters",
    "ALTER TABLE APPEND": "",
    "CREATE USER, GROUP and ROLE; row-level security; data masking": "",
    "PIVOT, UNPIVOT, LATERAL, CONNECT BY": "",
    "COPY from DynamoDB, EMR and SSH; AVRO, ORC, SHAPEFILE, FIXEDWIDTH, ESCAPE, jsonpaths,"
    " BZIP2, LZOP, ZSTD, ENCRYPTED": "",
    "UNLOAD FORMAT JSON, FIXEDWIDTH, ESCAPE, MAXFILESIZE, ENCRYPTED": "",
    "TO_CHAR of numbers": "use CAST, ROUND and LPAD",
    "SHOW TABLES, SCHEMAS, COLUMNS and GRANTS": "query SVV_TABLES and SVV_COLUMNS; dbt asks them"
    " with datasharing: true alone",
    "SYS_QUERY_DETAIL": "dbt's freshness by metadata: give a loaded_at_field",
    "functions and system views that are not listed": "refused by name",
    "statement_timeout, time zones other than UTC": "",
}

_API = (
    Feature("Redshift Data API", "batches", "supported", "at most 40 statements, one transaction"
            " or AUTO_COMMIT; BEGIN, COMMIT and ROLLBACK inside them work as in psql"),
    Feature("Redshift Data API", "sessions", "supported", "SessionKeepAliveSeconds: temporary"
            " tables and open transactions live in them; a restart closes them"),
    Feature("Redshift Data API", "results", "supported", "typed fields or CSV, 24 hours, 500 MB,"
            " also after a restart"),
    Feature("Redshift Data API", "parameters", "supported", ":name, text that takes the type of"
            " its use"),
    Feature("Redshift Data API", "statements that a restart interrupts", "different", "FAILED"),
    Feature("Redshift Data API", "provisioned clusters", "refused", "as clusters that do not"
            " exist; use a workgroup"),
    Feature("Redshift Data API", "WithEvent", "refused", "there is no EventBridge"),
)  # fmt: skip

FEATURES: tuple[Feature, ...] = _API + tuple(
    Feature(_AREA, name, status, note)
    for status, table in (
        ("supported", _SUPPORTED),
        ("different", _DIFFERENT),
        ("refused", _REFUSED),
    )
    for name, note in table.items()
)
