"""Athena's API with a real client: executions, results, work groups, metadata, history."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_aws.instance import Config
from local_aws.server import Server

OUTPUT = {"OutputLocation": "s3://athena-results/q/"}


@pytest.fixture(scope="module")
def athena(client: Callable[[str], Any]) -> Any:
    client("s3").create_bucket(Bucket="athena-results")
    client("glue").create_database(DatabaseInput={"Name": "d", "Description": "a database"})
    return client("athena")


def start(athena: Any, sql: str, **options: Any) -> str:
    options.setdefault("ResultConfiguration", OUTPUT)
    options.setdefault("QueryExecutionContext", {"Database": "d"})
    key: str = athena.start_query_execution(QueryString=sql, **options)["QueryExecutionId"]
    return key


def done(athena: Any, sql: str, **options: Any) -> dict[str, Any]:
    key = start(athena, sql, **options)
    found: dict[str, Any] = athena.get_query_execution(QueryExecutionId=key)["QueryExecution"]
    return found


def failure(call: Callable[[], Any]) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value


def test_an_execution(athena: Any, client: Callable[[str], Any]) -> None:
    found = done(athena, "SELECT 1 AS x, '' AS y, cast(null as date) AS z")
    key = found["QueryExecutionId"]
    assert found["Status"]["State"] == "SUCCEEDED"
    assert found["Status"]["SubmissionDateTime"] <= found["Status"]["CompletionDateTime"]
    assert (found["StatementType"], found["SubstatementType"]) == ("DML", "SELECT")
    assert found["ResultConfiguration"]["OutputLocation"] == f"s3://athena-results/q/{key}.csv"
    assert found["WorkGroup"] == "primary"
    body = client("s3").get_object(Bucket="athena-results", Key=f"q/{key}.csv")["Body"].read()
    assert body == b'"x","y","z"\n"1","",\n'
    rows = athena.get_query_results(QueryExecutionId=key)["ResultSet"]["Rows"]
    assert rows[1]["Data"] == [{"VarCharValue": "1"}, {"VarCharValue": ""}, {}]


def test_pages_of_results(athena: Any) -> None:
    sql = "SELECT n, 'a\"b\nc' AS s FROM UNNEST(sequence(1, 2500)) AS t(n) ORDER BY n"
    key = done(athena, sql)["QueryExecutionId"]
    first = athena.get_query_results(QueryExecutionId=key)
    assert len(first["ResultSet"]["Rows"]) == 1000
    pages = athena.get_paginator("get_query_results").paginate(QueryExecutionId=key)
    rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert len(rows) == 2501
    assert rows[2500] == [{"VarCharValue": "2500"}, {"VarCharValue": 'a"b\nc'}]
    error = failure(lambda: athena.get_query_results(QueryExecutionId=key, NextToken="x:1"))
    assert "Invalid NextToken" in str(error)


def test_a_failure(athena: Any) -> None:
    found = done(athena, "SELECT nope")
    status = found["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith("COLUMN_NOT_FOUND: line 1:8")
    assert status["AthenaError"] == {
        "ErrorCategory": 2,
        "ErrorType": 1006,
        "Retryable": False,
        "ErrorMessage": status["StateChangeReason"],
    }
    key = found["QueryExecutionId"]
    error = failure(lambda: athena.get_query_results(QueryExecutionId=key))
    assert error.response["Error"]["Message"].endswith("Final query state: FAILED")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1; SELECT 2", "Only one sql statement is allowed. Got: SELECT 1; SELECT 2"),
        ("SELEC 1", "line 1:1: mismatched input 'selec'"),
        ("SELECT $1 FRM t", "mismatched input"),
        ("CREATE EXTERNAL TABLE t (a int) LOCATE 's3://b/'", "mismatched input 'LOCATE'"),
    ],
)
def test_what_is_refused_at_once(athena: Any, sql: str, message: str) -> None:
    error = failure(lambda: start(athena, sql))
    assert error.response["Error"]["Code"] == "InvalidRequestException"
    assert error.response["AthenaErrorCode"] == "MALFORMED_QUERY"
    assert message in error.response["Error"]["Message"]


def test_a_trailing_semicolon(athena: Any) -> None:
    assert done(athena, "SELECT 1;\n")["Status"]["State"] == "SUCCEEDED"


def test_no_output_location(athena: Any) -> None:
    error = failure(lambda: start(athena, "SELECT 1", ResultConfiguration={}))
    assert "No output location provided" in str(error)
    missing = {"OutputLocation": "s3://no-such-bucket-here/"}
    error = failure(lambda: start(athena, "SELECT 1", ResultConfiguration=missing))
    assert "Unable to verify/create output bucket no-such-bucket-here" in str(error)


def test_a_token_gives_the_same_execution(athena: Any) -> None:
    token = str(uuid.uuid4())
    first = start(athena, "SELECT 1", ClientRequestToken=token)
    assert start(athena, "SELECT 1", ClientRequestToken=token) == first
    error = failure(lambda: start(athena, "SELECT 2", ClientRequestToken=token))
    assert "Idempotent parameters do not match" in str(error)


def test_stop(athena: Any) -> None:
    sql = (
        "SELECT count(*) FROM UNNEST(sequence(1, 100000)) AS a(x)"
        " CROSS JOIN UNNEST(sequence(1, 100000)) AS b(y) WHERE x % 7 = y % 11"
    )
    key = start(athena, sql)
    time.sleep(0.3)
    athena.stop_query_execution(QueryExecutionId=key)
    status = athena.get_query_execution(QueryExecutionId=key)["QueryExecution"]["Status"]
    assert (status["State"], status["StateChangeReason"]) == (
        "CANCELLED",
        "Query cancelled by user",
    )
    athena.stop_query_execution(QueryExecutionId=key)


def test_lists_and_batches(athena: Any) -> None:
    keys = [done(athena, f"SELECT {i}")["QueryExecutionId"] for i in range(3)]
    listed = athena.list_query_executions(MaxResults=2)
    assert listed["QueryExecutionIds"] == [keys[2], keys[1]]
    more = athena.list_query_executions(MaxResults=2, NextToken=listed["NextToken"])
    assert more["QueryExecutionIds"][0] == keys[0]
    answer = athena.batch_get_query_execution(QueryExecutionIds=[keys[0], "missing"])
    assert [q["QueryExecutionId"] for q in answer["QueryExecutions"]] == [keys[0]]
    assert answer["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"] == "missing"
    assert "was not found" in str(failure(lambda: athena.get_query_execution(QueryExecutionId="x")))


def test_runtime_statistics(athena: Any) -> None:
    key = done(athena, "SELECT * FROM (VALUES 1, 2) t(x)")["QueryExecutionId"]
    found = athena.get_query_runtime_statistics(QueryExecutionId=key)["QueryRuntimeStatistics"]
    assert found["Rows"]["OutputRows"] == 2
    assert found["Timeline"]["TotalExecutionTimeInMillis"] >= 0


def test_parameters(athena: Any) -> None:
    sql = "SELECT ? AS a, x FROM (VALUES 1, 2) t(x) WHERE x = ? LIMIT ?"
    found = done(athena, sql, ExecutionParameters=["'it''s ?'", "1 + 1", "5"])
    rows = athena.get_query_results(QueryExecutionId=found["QueryExecutionId"])["ResultSet"]["Rows"]
    assert [d["VarCharValue"] for d in rows[1]["Data"]] == ["it's ?", "2"]
    found = done(athena, sql, ExecutionParameters=["1"])
    assert found["Status"]["StateChangeReason"] == (
        "INVALID_PARAMETER_USAGE: Incorrect number of parameters: expected 3 but found 1"
    )


def test_prepared_statements(athena: Any) -> None:
    group = {"WorkGroup": "primary"}
    athena.create_prepared_statement(
        StatementName="pick", QueryStatement="SELECT ? + ? AS x", **group
    )
    found = done(athena, "EXECUTE pick USING 1, (2 + 3)")
    rows = athena.get_query_results(QueryExecutionId=found["QueryExecutionId"])["ResultSet"]["Rows"]
    assert rows[1]["Data"] == [{"VarCharValue": "6"}]
    assert athena.list_prepared_statements(**group)["PreparedStatements"][0]["StatementName"] == (
        "pick"
    )
    athena.update_prepared_statement(StatementName="pick", QueryStatement="SELECT 9", **group)
    got = athena.get_prepared_statement(StatementName="pick", **group)["PreparedStatement"]
    assert got["QueryStatement"] == "SELECT 9"
    athena.delete_prepared_statement(StatementName="pick", **group)
    error = failure(lambda: athena.get_prepared_statement(StatementName="pick", **group))
    assert error.response["Error"]["Code"] == "ResourceNotFoundException"
    assert done(athena, "PREPARE p FROM SELECT ?")["Status"]["State"] == "SUCCEEDED"
    assert done(athena, "EXECUTE p USING 1")["Status"]["State"] == "SUCCEEDED"
    assert done(athena, "DEALLOCATE PREPARE p")["Status"]["State"] == "SUCCEEDED"
    assert "not found: p" in done(athena, "EXECUTE p USING 1")["Status"]["StateChangeReason"]


def test_named_queries(athena: Any) -> None:
    given = {"Name": "n", "Database": "d", "QueryString": "SELECT 1"}
    key = athena.create_named_query(**given)["NamedQueryId"]
    assert athena.get_named_query(NamedQueryId=key)["NamedQuery"] == {
        **given,
        "NamedQueryId": key,
        "WorkGroup": "primary",
    }
    assert key in athena.list_named_queries()["NamedQueryIds"]
    athena.update_named_query(NamedQueryId=key, Name="m", QueryString="SELECT 2")
    both = athena.batch_get_named_query(NamedQueryIds=[key, "x"])
    assert both["NamedQueries"][0]["QueryString"] == "SELECT 2"
    assert both["UnprocessedNamedQueryIds"][0]["NamedQueryId"] == "x"
    athena.delete_named_query(NamedQueryId=key)
    assert key not in athena.list_named_queries()["NamedQueryIds"]


class TestWorkGroups:
    def test_primary_is_there(self, athena: Any) -> None:
        group = athena.get_work_group(WorkGroup="primary")["WorkGroup"]
        assert group["State"] == "ENABLED"
        assert group["Configuration"]["EngineVersion"]["EffectiveEngineVersion"] == (
            "Athena engine version 3"
        )
        error = failure(lambda: athena.delete_work_group(WorkGroup="primary"))
        assert "primary" in str(error)

    def test_an_enforced_location(self, athena: Any, client: Callable[[str], Any]) -> None:
        athena.create_work_group(
            Name="own",
            Description="of its own",
            Configuration={
                "EnforceWorkGroupConfiguration": True,
                "ResultConfiguration": {"OutputLocation": "s3://athena-results/own/"},
            },
            Tags=[{"Key": "team", "Value": "data"}],
        )
        found = done(athena, "SELECT 1", WorkGroup="own")
        assert found["ResultConfiguration"]["OutputLocation"].startswith("s3://athena-results/own/")
        sql = "CREATE TABLE w WITH (external_location = 's3://athena-results/w/') AS SELECT 1 x"
        reason = done(athena, sql, WorkGroup="own")["Status"]["StateChangeReason"]
        assert "enforces a centralized output location" in reason
        found = done(athena, "CREATE TABLE w AS SELECT 1 x", WorkGroup="own")
        location = client("glue").get_table(DatabaseName="d", Name="w")["Table"][
            "StorageDescriptor"
        ]["Location"]
        assert location == f"s3://athena-results/own/tables/{found['QueryExecutionId']}"

    def test_update_disable_delete(self, athena: Any) -> None:
        athena.create_work_group(Name="later")
        athena.update_work_group(
            WorkGroup="later",
            Description="changed",
            State="DISABLED",
            ConfigurationUpdates={
                "EnforceWorkGroupConfiguration": False,
                "BytesScannedCutoffPerQuery": 10_000_000,
                "ResultConfigurationUpdates": {"OutputLocation": "s3://athena-results/l/"},
            },
        )
        group = athena.get_work_group(WorkGroup="later")["WorkGroup"]
        assert (group["Description"], group["State"]) == ("changed", "DISABLED")
        assert group["Configuration"]["ResultConfiguration"] == {
            "OutputLocation": "s3://athena-results/l/"
        }
        assert "is disabled" in str(failure(lambda: start(athena, "SELECT 1", WorkGroup="later")))
        athena.update_work_group(
            WorkGroup="later",
            State="ENABLED",
            ConfigurationUpdates={
                "RemoveBytesScannedCutoffPerQuery": True,
                "ResultConfigurationUpdates": {"RemoveOutputLocation": True},
            },
        )
        configuration = athena.get_work_group(WorkGroup="later")["WorkGroup"]["Configuration"]
        assert "BytesScannedCutoffPerQuery" not in configuration
        done(athena, "SELECT 1", WorkGroup="later")
        assert "not empty" in str(failure(lambda: athena.delete_work_group(WorkGroup="later")))
        athena.delete_work_group(WorkGroup="later", RecursiveDeleteOption=True)
        assert "is not found" in str(failure(lambda: athena.get_work_group(WorkGroup="later")))

    def test_a_cutoff(self, athena: Any, client: Callable[[str], Any]) -> None:
        client("s3").put_object(Bucket="athena-results", Key="big/a.txt", Body=b"x\n" * 5_500_000)
        assert (
            done(
                athena, "CREATE EXTERNAL TABLE big (x string) LOCATION 's3://athena-results/big/'"
            )["Status"]["State"]
            == "SUCCEEDED"
        )
        athena.create_work_group(
            Name="small", Configuration={"BytesScannedCutoffPerQuery": 10_000_000}
        )
        found = done(athena, "SELECT count(*) FROM big", WorkGroup="small")
        assert found["Status"]["State"] == "CANCELLED"
        assert "Bytes scanned limit was exceeded" in found["Status"]["StateChangeReason"]
        assert found["Statistics"]["DataScannedInBytes"] == 11_000_000

    def test_tags(self, athena: Any) -> None:
        arn = "arn:aws:athena:us-east-1:123456789012:workgroup/primary"
        athena.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}])
        assert athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == [
            {"Key": "a", "Value": "1"}
        ]
        athena.untag_resource(ResourceARN=arn, TagKeys=["a"])
        assert athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == []

    def test_options_that_are_not_there(self, athena: Any) -> None:
        kms = {"EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": "k"}}
        error = failure(lambda: start(athena, "SELECT 1", ResultConfiguration={**OUTPUT, **kms}))
        assert "SSE_KMS" in str(error)
        engine = {"EngineVersion": {"SelectedEngineVersion": "PySpark engine version 3"}}
        error = failure(lambda: athena.create_work_group(Name="spark", Configuration=engine))
        assert "PySpark engine version 3" in str(error)


def test_history_is_kept_for_45_days(server: Server, athena: Any) -> None:
    """With it goes the token of its start; what still runs is never old."""
    tokens = {name: str(uuid.uuid4()) for name in ("ended", "running", "recent")}
    keys = {name: start(athena, "select 1", ClientRequestToken=tokens[name]) for name in tokens}
    for name, days in (("ended", 46), ("running", 46), ("recent", 44)):
        athena.get_query_execution(QueryExecutionId=keys[name])
        document = server.aws.store.get("athena/execution", keys[name])
        assert document
        status = document["QueryExecution"]["Status"]
        status["SubmissionDateTime"] -= timedelta(days=days)
        if name == "running":
            status["State"] = "RUNNING"
        server.aws.store.put("athena/execution", keys[name], document)
    server.aws.services["athena"].expire()
    found = athena.batch_get_query_execution(QueryExecutionIds=list(keys.values()))
    assert [each["QueryExecutionId"] for each in found["UnprocessedQueryExecutionIds"]] == [
        keys["ended"]
    ]
    known = server.aws.store.keys("athena/token")
    assert [name for name, token in tokens.items() if token in known] == ["running", "recent"]
    server.aws.services["athena"]._end(keys["running"], "FAILED", "")  # type: ignore[attr-defined]


def test_metadata(athena: Any) -> None:
    done(
        athena,
        "CREATE EXTERNAL TABLE meta (a int COMMENT 'one') PARTITIONED BY (dt date)"
        " LOCATION 's3://athena-results/meta/'",
    )
    names = athena.list_data_catalogs()["DataCatalogsSummary"]
    assert names == [{"CatalogName": "AwsDataCatalog", "Type": "GLUE"}]
    catalog = {"CatalogName": "AwsDataCatalog"}
    assert athena.get_data_catalog(Name="AwsDataCatalog")["DataCatalog"]["Type"] == "GLUE"
    assert {"Name": "d", "Description": "a database"} in [
        {k: v for k, v in d.items() if k in ("Name", "Description")}
        for d in athena.list_databases(**catalog)["DatabaseList"]
    ]
    assert athena.get_database(DatabaseName="d", **catalog)["Database"]["Name"] == "d"
    table = athena.get_table_metadata(DatabaseName="d", TableName="meta", **catalog)[
        "TableMetadata"
    ]
    assert table["Columns"] == [{"Name": "a", "Type": "int", "Comment": "one"}]
    assert table["PartitionKeys"] == [{"Name": "dt", "Type": "date"}]
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["Parameters"]["location"] == "s3://athena-results/meta/"
    listed = athena.list_table_metadata(DatabaseName="d", Expression="me*", **catalog)
    assert [t["Name"] for t in listed["TableMetadataList"]] == ["meta"]
    error = failure(
        lambda: athena.get_table_metadata(DatabaseName="d", TableName="nope", **catalog)
    )
    assert error.response["Error"]["Code"] == "MetadataException"


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Each call starts the embedded AWS anew on the same state."""
    running: list[Server] = []

    def make() -> Any:
        for server in running:
            server.stop()
        running[:] = [Server(Config(state=tmp_path), services=["s3", "logs", "glue", "athena"])]
        running[0].start()
        return lambda service: boto3.client(
            service,
            endpoint_url=running[0].endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    yield make
    for server in running:
        server.stop()


def test_history_survives_a_restart(restarted: Callable[[], Any], tmp_path: Path) -> None:
    client = restarted()
    client("s3").create_bucket(Bucket="athena-results")
    athena = client("athena")
    kept = done(athena, "SELECT 42 AS answer")
    running = start(
        athena,
        "SELECT count(*) FROM UNNEST(sequence(1, 100000)) AS a(x)"
        " CROSS JOIN UNNEST(sequence(1, 100000)) AS b(y) WHERE x % 7 = y % 11",
    )
    athena = restarted()("athena")
    again = athena.get_query_execution(QueryExecutionId=kept["QueryExecutionId"])["QueryExecution"]
    assert again == kept
    rows = athena.get_query_results(QueryExecutionId=kept["QueryExecutionId"])["ResultSet"]["Rows"]
    assert rows[1]["Data"] == [{"VarCharValue": "42"}]
    status = athena.get_query_execution(QueryExecutionId=running)["QueryExecution"]["Status"]
    assert status["State"] in ("FAILED", "CANCELLED")
    assert status["StateChangeReason"]
