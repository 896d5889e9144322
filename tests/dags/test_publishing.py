"""What stands between a Glue job and the people who read its tables, in every DAG."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from airflow.providers.amazon.aws.hooks.redshift_data import RedshiftDataHook

from madrugada.audit import AthenaAuditOperator
from madrugada.jobs import ReattachingGlueJobOperator
from madrugada.publishing import PublishTablesOperator
from madrugada.sales import SALES

PUBLISHERS = {
    "clickstream_nightly": {"publish_silver"},
    "movies_nightly": {"publish_silver", "publish_gold"},
    "sales_nightly": {"publish_silver", "publish_gold"},
    "lake_maintenance": {"publish_compacted_silver", "publish_compacted_gold"},
}


def test_nothing_is_published_before_an_audit_of_it_has_held(dags: dict[str, Any]) -> None:
    """Publish runs after its audit succeeded, the audit after the job whose version both are of."""
    found: dict[str, set[str]] = {}
    for dag in dags.values():
        for task in dag.tasks:
            if not isinstance(task, PublishTablesOperator):
                continue
            found.setdefault(dag.dag_id, set()).add(task.task_id)
            (audit,) = (t for t in task.upstream_list if isinstance(t, AthenaAuditOperator))
            (job,) = (t for t in audit.upstream_list if isinstance(t, ReattachingGlueJobOperator))
            assert task.version.operator.task_id == job.task_id
            assert audit.params.get("layer", task.layer) == task.layer
            for one in (task, audit):
                assert one.trigger_rule == "all_success", one.task_id
    assert found == PUBLISHERS


@pytest.mark.parametrize("table", ["wide_vendas", "vendas_por_produto"])
def test_a_table_is_loaded_in_one_transaction(
    dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """One batch, in which nothing but a temporary table is written before BEGIN."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws"}))
    role = {"conn_type": "aws", "extra": {"role_arn": "arn:aws:iam::123456789012:role/copy"}}
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_COPY_ROLE", json.dumps(role))
    mapped = dags["sales_nightly"].task_dict["load_warehouse"]
    published = {"table": table, "upsert_keys": ["id"]}
    load = mapped.unmap(SALES.by_key_or_whole(published))
    with patch.object(RedshiftDataHook, "execute_query") as asked:
        load.execute({})
    (call,) = asked.call_args_list
    statements = [" ".join(text.split()) for text in call.kwargs["sql"]]
    kinds = [text.split(" ")[0].rstrip(";").upper() for text in statements]
    if table in SALES.facts:
        assert kinds == ["CREATE", "COPY", "BEGIN", "DELETE", "INSERT", "COMMIT"]
        assert statements[0].startswith(f"CREATE TABLE #{table} ")
        assert statements[1].startswith(f"COPY #{table} ")
    else:
        assert kinds == ["BEGIN", "DELETE", "COPY", "COMMIT"]
    assert "auto_commit" not in call.kwargs
