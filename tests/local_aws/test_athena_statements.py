"""Athena's DDL and writing statements with a real client, and what they leave in Glue and S3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Row = list[str | None]


class Failed(Exception):
    """A statement that did not succeed; the message is StateChangeReason."""


@pytest.fixture(scope="module")
def glue(client: Callable[[str], Any]) -> Any:
    return client("glue")


@pytest.fixture(scope="module")
def s3(client: Callable[[str], Any]) -> Any:
    made = client("s3")
    made.create_bucket(Bucket="lake")
    return made


@pytest.fixture(scope="module")
def run(client: Callable[[str], Any], s3: Any) -> Callable[..., list[Row]]:
    athena = client("athena")

    def run(sql: str, database: str = "d") -> list[Row]:
        key = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": database},
            ResultConfiguration={"OutputLocation": "s3://lake/results/"},
        )["QueryExecutionId"]
        found = athena.get_query_execution(QueryExecutionId=key)["QueryExecution"]
        if found["Status"]["State"] != "SUCCEEDED":
            raise Failed(found["Status"]["StateChangeReason"])
        answer = athena.get_query_results(QueryExecutionId=key)
        rows = [[d.get("VarCharValue") for d in r["Data"]] for r in answer["ResultSet"]["Rows"]]
        if found["SubstatementType"] in ("CREATE_TABLE_AS_SELECT", "INSERT", "UNLOAD"):
            return [[str(answer["UpdateCount"])]]
        return rows[1:] if found.get("SubstatementType") == "SELECT" else rows

    run("CREATE DATABASE d COMMENT 'the lake'")
    return run


def keys_under(s3: Any, prefix: str) -> list[str]:
    found = s3.list_objects_v2(Bucket="lake", Prefix=prefix).get("Contents", [])
    return [item["Key"] for item in found]


def test_databases(run: Callable[..., list[Row]], glue: Any) -> None:
    run("CREATE DATABASE IF NOT EXISTS d")
    with pytest.raises(Failed, match="AlreadyExistsException"):
        run("CREATE SCHEMA d")
    run("CREATE DATABASE `other` LOCATION 's3://lake/other/' WITH DBPROPERTIES ('a' = 'b')")
    assert glue.get_database(Name="other")["Database"]["Parameters"] == {"a": "b"}
    assert [row for row in run("SHOW DATABASES") if row != ["default"]] == [["d"], ["other"]]
    assert run("SHOW SCHEMAS LIKE 'oth*'") == [["other"]]
    run("CREATE TABLE other.t AS SELECT 1 x")
    with pytest.raises(Failed, match="not empty"):
        run("DROP DATABASE other")
    run("DROP DATABASE other CASCADE")
    run("DROP DATABASE IF EXISTS other")


@pytest.fixture(scope="module")
def table(run: Callable[..., list[Row]], s3: Any) -> str:
    for day, line in (("2024-01-01", "1;Ana;1.50"), ("2024-01-02", "2;Zé;")):
        body = f"\ufeffid;nome;valor\r\n{line}\r\n".encode()
        s3.put_object(Bucket="lake", Key=f"csv/dt={day}/a.csv", Body=body)
    run(
        """
        CREATE EXTERNAL TABLE IF NOT EXISTS `d`.`csv` (
            `id` int COMMENT 'the key', nome string, valor decimal(12, 2)
        )
        COMMENT 'sales'
        PARTITIONED BY (dt date)
        ROW FORMAT DELIMITED FIELDS TERMINATED BY ';' LINES TERMINATED BY '\\n'
        STORED AS TEXTFILE
        LOCATION 's3://lake/csv/'
        TBLPROPERTIES ('skip.header.line.count' = '1');
        """
    )
    return "csv"


class TestExternalTables:
    def test_what_glue_holds(self, table: str, glue: Any) -> None:
        found = glue.get_table(DatabaseName="d", Name=table)["Table"]
        assert found["StorageDescriptor"]["Columns"] == [
            {"Name": "id", "Type": "int", "Comment": "the key"},
            {"Name": "nome", "Type": "string"},
            {"Name": "valor", "Type": "decimal(12,2)"},
        ]
        assert found["PartitionKeys"] == [{"Name": "dt", "Type": "date"}]
        assert found["StorageDescriptor"]["SerdeInfo"]["Parameters"]["field.delim"] == ";"
        assert found["Parameters"]["skip.header.line.count"] == "1"

    def test_partitions(self, run: Callable[..., list[Row]], table: str) -> None:
        assert run("SELECT count(*) FROM csv") == [["0"]]
        assert run("MSCK REPAIR TABLE csv")[1] == [
            "Repair: Added partition to metastore csv:dt=2024-01-01"
        ]
        assert run("SHOW PARTITIONS csv") == [["dt=2024-01-01"], ["dt=2024-01-02"]]
        assert run("SELECT id, nome, valor, dt FROM csv ORDER BY id") == [
            ["1", "Ana", "1.50", "2024-01-01"],
            ["2", "Zé", None, "2024-01-02"],
        ]
        run(
            "ALTER TABLE csv ADD IF NOT EXISTS PARTITION (dt = '2024-01-01')"
            " PARTITION (dt = '2024-03-01') LOCATION 's3://lake/csv/dt=2024-01-01/'"
        )
        assert run("SELECT nome FROM csv WHERE dt > DATE '2024-02-01'") == [["Ana"]]
        run("ALTER TABLE csv PARTITION (dt='2024-03-01') RENAME TO PARTITION (dt='2024-04-01')")
        run("ALTER TABLE csv PARTITION (dt='2024-04-01') SET LOCATION 's3://lake/empty/'")
        assert run("SELECT nome FROM csv WHERE dt > DATE '2024-02-01'") == []
        run("ALTER TABLE csv DROP PARTITION (dt='2024-04-01')")
        with pytest.raises(Failed, match="Partition not found"):
            run("ALTER TABLE csv DROP PARTITION (dt='2024-04-01')")
        run("ALTER TABLE csv DROP IF EXISTS PARTITION (dt='2024-04-01')")
        with pytest.raises(Failed, match="already exists"):
            run("ALTER TABLE csv ADD PARTITION (dt = '2024-01-01')")

    def test_changes(self, run: Callable[..., list[Row]], table: str) -> None:
        run("ALTER TABLE csv SET TBLPROPERTIES ('note' = 'x')")
        assert run("SHOW TBLPROPERTIES csv('note')") == [["x"]]
        run("ALTER TABLE csv ADD COLUMNS (novo string)")
        assert [row[0].strip() for row in run("SHOW COLUMNS IN csv") if row[0]] == [
            "id", "nome", "valor", "novo", "dt",
        ]  # fmt: skip
        run("ALTER TABLE csv REPLACE COLUMNS (id bigint, nome string, valor decimal(12,2))")
        described = [[c.strip() for c in (row[0] or "").split("\t")] for row in run("DESCRIBE csv")]
        assert described[:4] == [
            ["id", "bigint", ""], ["nome", "string", ""], ["valor", "decimal(12,2)", ""],
            ["dt", "date", ""],
        ]  # fmt: skip
        shown = "\n".join(row[0] or "" for row in run("SHOW CREATE TABLE csv"))
        assert "CREATE EXTERNAL TABLE `d.csv`(" in shown
        assert "PARTITIONED BY ( \n  `dt` date)" in shown
        assert "'field.delim'=';'" in shown

    def test_tables_and_drop(self, run: Callable[..., list[Row]], table: str, s3: Any) -> None:
        assert ["csv"] in run("SHOW TABLES IN d 'c*'")
        run("DROP TABLE csv")
        run("DROP TABLE IF EXISTS csv")
        with pytest.raises(Failed, match=r"Table not found d\.csv"):
            run("DROP TABLE csv")
        assert len(keys_under(s3, "csv/")) == 2


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE TABLE t (a int) LOCATION 's3://lake/t/'", "CREATE EXTERNAL TABLE"),
        ("CREATE EXTERNAL TABLE t (a int)", "No location was specified"),
        ("CREATE EXTERNAL TABLE t (a uuid) LOCATION 's3://lake/t/'", "Unsupported Hive type: uuid"),
        ("CREATE EXTERNAL TABLE t (a int, A string) LOCATION 's3://lake/t/'", "Duplicate column"),
        ("CREATE EXTERNAL TABLE t (a int) STORED AS ORC LOCATION 's3://lake/t/'", "STORED AS ORC"),
        (
            "CREATE EXTERNAL TABLE t (a int) CLUSTERED BY (a) INTO 4 BUCKETS LOCATION 's3://l/'",
            "CLUSTERED BY",
        ),
        ("CREATE TABLE t TBLPROPERTIES ('table_type'='ICEBERG')", "Iceberg"),
        ("CREATE EXTERNAL TABLE no.t (a int) LOCATION 's3://lake/t/'", "Database does not exist"),
        ("SHOW PARTITIONS nope", "Table not found d.nope"),
    ],
)
def test_refused(run: Callable[..., list[Row]], sql: str, message: str) -> None:
    with pytest.raises(Failed) as caught:
        run(sql)
    assert message in str(caught.value)


class TestCreateTableAs:
    def test_partitioned_parquet(self, run: Callable[..., list[Row]], s3: Any, glue: Any) -> None:
        made = run(
            """
            CREATE TABLE ctas WITH (
                format = 'PARQUET', write_compression = 'SNAPPY', partitioned_by = ARRAY['dt', 'k'],
                external_location = 's3://lake/ctas/'
            ) AS
            SELECT id, CAST(id AS varchar) AS name, DATE '2024-01-01' AS dt, 'a/b' AS k
            FROM UNNEST(sequence(1, 3)) AS t(id)
            UNION ALL SELECT 9, NULL, NULL, 'c'
            """
        )
        assert made == [["4"]]
        assert run("SHOW PARTITIONS ctas") == [
            ["dt=2024-01-01/k=a%2Fb"],
            ["dt=__HIVE_DEFAULT_PARTITION__/k=c"],
        ]
        folders = {key.rsplit("/", 1)[0] for key in keys_under(s3, "ctas/")}
        assert folders == {"ctas/dt=2024-01-01/k=a%2Fb", "ctas/dt=__HIVE_DEFAULT_PARTITION__/k=c"}
        assert run("SELECT id, name, dt, k FROM ctas WHERE id IN (3, 9) ORDER BY id") == [
            ["3", "3", "2024-01-01", "a/b"],
            ["9", None, None, "c"],
        ]
        table = glue.get_table(DatabaseName="d", Name="ctas")["Table"]
        assert [c["Type"] for c in table["StorageDescriptor"]["Columns"]] == ["bigint", "string"]

    @pytest.mark.parametrize("format_", ["TEXTFILE", "JSON"])
    def test_other_formats(self, run: Callable[..., list[Row]], format_: str) -> None:
        run(
            f"CREATE TABLE as_{format_} WITH (format = '{format_}') AS SELECT 1 AS i, 'a' AS s,"
            " DECIMAL '1.50' AS d, 1e10 AS f, true AS b, DATE '2024-01-01' AS dt,"
            " TIMESTAMP '2024-01-01 10:00:00.5' AS ts, CAST(NULL AS varchar) AS n"
        )
        assert run(f"SELECT * FROM as_{format_}") == [
            ["1", "a", "1.50", "1.0E10", "true", "2024-01-01", "2024-01-01 10:00:00.500", None]
        ]

    def test_with_no_data(self, run: Callable[..., list[Row]]) -> None:
        run("CREATE TABLE empty AS SELECT 1 AS x, ARRAY['a'] AS l WITH NO DATA")
        assert run("SELECT * FROM empty") == []

    def test_if_not_exists(self, run: Callable[..., list[Row]]) -> None:
        run("CREATE TABLE once AS SELECT 1 x")
        with pytest.raises(Failed, match="TABLE_ALREADY_EXISTS"):
            run("CREATE TABLE once AS SELECT 2 x")
        run("CREATE TABLE IF NOT EXISTS once AS SELECT 2 x")
        assert run("SELECT x FROM once") == [["1"]]

    @pytest.mark.parametrize(
        ("sql", "message"),
        [
            ("SELECT 1", "MISSING_COLUMN_NAME: Column name not specified at position 1"),
            ("SELECT 1 a, 2 A", "DUPLICATE_COLUMN_NAME"),
            ("SELECT NULL a", "COLUMN_TYPE_UNKNOWN"),
            ("SELECT current_timestamp a", "NOT_SUPPORTED: Unsupported Hive type"),
            ("SELECT 1 / 0 a", "DIVISION_BY_ZERO"),
        ],
    )
    def test_failures_leave_nothing(
        self, run: Callable[..., list[Row]], s3: Any, sql: str, message: str
    ) -> None:
        with pytest.raises(Failed, match=message):
            run(f"CREATE TABLE bad WITH (external_location = 's3://lake/bad/') AS {sql}")
        assert keys_under(s3, "bad/") == []
        assert run("SHOW TABLES 'bad'") == []

    @pytest.mark.parametrize(
        ("properties", "message"),
        [
            ("external_location = 's3://lake/full/'", "HIVE_PATH_ALREADY_EXISTS"),
            ("partitioned_by = ARRAY['a']", "HIVE_COLUMN_ORDER_MISMATCH"),
            ("partitioned_by = ARRAY['z']", "not present in schema"),
            ("format = 'ORC'", "writing the format ORC"),
            ("bucketed_by = ARRAY['a'], bucket_count = 2", "bucketed"),
            ("table_type = 'ICEBERG'", "Iceberg"),
            ("colour = 'red'", "Table property 'colour' does not exist"),
        ],
    )
    def test_properties(
        self, run: Callable[..., list[Row]], s3: Any, properties: str, message: str
    ) -> None:
        s3.put_object(Bucket="lake", Key="full/x", Body=b"x")
        with pytest.raises(Failed) as caught:
            run(f"CREATE TABLE bad WITH ({properties}) AS SELECT 1 AS a, 2 AS b")
        assert message in str(caught.value)

    def test_more_than_100_partitions(self, run: Callable[..., list[Row]], s3: Any) -> None:
        query = "SELECT 1 AS x, n AS p FROM UNNEST(sequence(1, {})) AS t(n)"
        with_ = "WITH (partitioned_by = ARRAY['p'], external_location = 's3://lake/many/')"
        with pytest.raises(Failed, match="Exceeded limit of 100 open writers"):
            run(f"CREATE TABLE many {with_} AS {query.format(101)}")
        assert keys_under(s3, "many/") == []
        assert run(f"CREATE TABLE many {with_} AS {query.format(100)}") == [["100"]]


class TestInsert:
    def test_rows_and_new_partitions(self, run: Callable[..., list[Row]]) -> None:
        run("CREATE TABLE ins WITH (partitioned_by = ARRAY['dt']) AS SELECT 1 AS id,"
            " CAST('a' AS varchar) AS name, DATE '2024-01-01' AS dt")  # fmt: skip
        assert run("INSERT INTO ins SELECT 2, 'b', DATE '2024-01-01'") == [["1"]]
        assert run("INSERT INTO ins (dt, id) VALUES (DATE '2024-01-02', 3)") == [["1"]]
        assert run("SELECT id, name, dt FROM ins ORDER BY id") == [
            ["1", "a", "2024-01-01"],
            ["2", "b", "2024-01-01"],
            ["3", None, "2024-01-02"],
        ]
        assert run("SHOW PARTITIONS ins") == [["dt=2024-01-01"], ["dt=2024-01-02"]]

    @pytest.mark.parametrize(
        ("sql", "message"),
        [
            ("INSERT INTO ins SELECT 'x', 'b', DATE '2024-01-01'", "mismatched column types"),
            ("INSERT INTO ins SELECT 1", "mismatched column types: Table: \\[integer, varchar"),
            ("INSERT INTO ins (nope) SELECT 1", "does not exist in target table: nope"),
            ("INSERT INTO nope SELECT 1", "TABLE_NOT_FOUND"),
        ],
    )
    def test_refused(self, run: Callable[..., list[Row]], sql: str, message: str) -> None:
        with pytest.raises(Failed, match=message):
            run(sql)


def test_unload(run: Callable[..., list[Row]], s3: Any) -> None:
    sql = "UNLOAD (SELECT 1 AS a, 'x)' AS b) TO 's3://lake/unload/' WITH (format = 'JSON',{})"
    assert run(sql.format(" compression = 'NONE'")) == [["1"]]
    (key,) = keys_under(s3, "unload/")
    body = s3.get_object(Bucket="lake", Key=key)["Body"].read()
    assert body == b'{"a":1,"b":"x)"}\n'
    with pytest.raises(Failed, match="HIVE_PATH_ALREADY_EXISTS"):
        run(sql.format(" compression = 'NONE'"))


class TestViews:
    def test_a_view(self, run: Callable[..., list[Row]]) -> None:
        run("CREATE TABLE base AS SELECT 1 AS id, DECIMAL '1.50' AS price")
        run("CREATE VIEW v AS SELECT id, price * 2 AS twice FROM base")
        assert run("SELECT twice FROM d.v", database="default") == [["3.00"]]
        assert run("SELECT v.id FROM v JOIN base b ON b.id = v.id") == [["1"]]
        assert run("SHOW CREATE VIEW v") == [
            ["CREATE VIEW d.v AS"],
            ["SELECT id, price * 2 AS twice FROM base"],
        ]
        assert ["v"] in run("SHOW VIEWS")
        with pytest.raises(Failed, match="View already exists"):
            run("CREATE VIEW v AS SELECT 1 x")
        run("CREATE OR REPLACE VIEW v AS SELECT 'new' AS id")
        assert run("SELECT * FROM v") == [["new"]]
        with pytest.raises(Failed, match="use DROP VIEW"):
            run("DROP TABLE v")
        run("DROP VIEW v")
        run("DROP VIEW IF EXISTS v")

    def test_a_view_whose_table_changed(self, run: Callable[..., list[Row]]) -> None:
        run("CREATE TABLE gone AS SELECT 1 AS x")
        run("CREATE VIEW stale AS SELECT * FROM gone")
        run("DROP TABLE gone")
        with pytest.raises(Failed, match=r"INVALID_VIEW: .*d\.gone' does not exist"):
            run("SELECT * FROM stale")
        run("CREATE TABLE gone AS SELECT 1 AS x, 2 AS y")
        with pytest.raises(Failed, match="VIEW_IS_STALE"):
            run("SELECT * FROM stale")


def test_explain(run: Callable[..., list[Row]]) -> None:
    assert len(run("EXPLAIN SELECT 1")) > 1
    with pytest.raises(Failed, match="EXPLAIN ANALYZE"):
        run("EXPLAIN ANALYZE SELECT 1")
