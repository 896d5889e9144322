"""What the fidelity list says is refused, is refused by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_aws.redshift.data import RedshiftData

if TYPE_CHECKING:
    from tests.local_aws.redshift.conftest import Warehouse


@pytest.mark.parametrize(
    "sql",
    [
        "call p()",
        "create procedure p() as $$ begin end $$ language plpgsql",
        "create database other",
        "create user u password 'x'",
        "create role r",
        "create datashare d",
        "create model m from t target x function f iam_role default settings (s3_bucket 'b')",
        "refresh materialized view m",
        "declare c cursor for select 1",
        "prepare p as select 1",
        "drop function f(int)",
        "select * from other.public.t",
        "select * from t pivot (sum(a) for b in ('x'))",
        "create table t (a super)",
        "create table t (a geometry)",
        "select to_char(1.5, '999D9')",
        "select json_parse('{}')",
        "select * from svl_query_summary",
        "copy t from 's3://b/x' iam_role default avro 'auto'",
        "copy t from 'dynamodb://t' iam_role default readratio 50",
        "unload ('select 1') to 's3://b/x' iam_role default format json",
        "set timezone to 'America/Sao_Paulo'",
        "set statement_timeout to 5",
        "show tables from schema dev.public",
    ],
)
def test_refused_by_name(redshift: Warehouse, sql: str) -> None:
    assert redshift.error(sql).startswith("ERROR: The embedded AWS does not support ")


def test_the_list_names_each_feature_once() -> None:
    features = [(feature.status, feature.name) for feature in RedshiftData.features]
    assert len(features) == len(set(features))
    assert {status for status, _ in features} == {"supported", "different", "refused"}
