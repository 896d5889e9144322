"""The night's report, in short for people and whole in the gold bucket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from madrugada import report as module
from madrugada.reconciliation import Answer, normalised
from madrugada.report import job_report, reconcile_night, short_text
from madrugada.settings import Settings

NIGHT = {"delivery_date": "2026-01-05"}
VERSIONS = {"silver": "jr_silver", "gold": "jr_gold"}
SILVER = {
    "datasets": {
        "sales_data": {
            "delivered": 12,
            "kept": 10,
            "rows": 10,
            "superseded": 0,
            "quarantined": {"price_required": 2},
            "warned": {},
        },
        "produtos": {
            "delivered": 10,
            "kept": 10,
            "rows": 10,
            "superseded": 0,
            "quarantined": {},
            "warned": {"valor_maximum": 1},
        },
    }
}
GOLD = {"tables": {"processed_sales": {"rows": 10}, "wide_vendas": {"rows": 1000}}}
QUESTIONS = ["rows_by_table", "total_by_product"]


def a_report(differences: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "pipeline": "sales_nightly",
        "delivery_date": "2026-01-05",
        "layers": {"silver": SILVER, "gold": GOLD},
        "answers": {question: {"Athena": [], "Redshift": []} for question in QUESTIONS},
        "differences": list(differences),
    }


def test_the_short_text_counts_each_dataset_with_the_reasons() -> None:
    lines = short_text(a_report()).splitlines()
    assert lines[0] == "sales_nightly 2026-01-05"
    (orders,) = [line for line in lines if line.startswith("sales_data")]
    assert orders.split() == ["sales_data", "12", "10", "2", "price_required", "2"]
    (products,) = [line for line in lines if line.startswith("produtos")]
    assert products.split() == ["produtos", "10", "10", "0", "flagged:", "valor_maximum", "1"]
    assert [line.split() for line in lines if line.startswith("wide")] == [["wide_vendas", "1000"]]
    assert lines[-1] == "Athena, Redshift agree on rows_by_table, total_by_product."


def test_the_short_text_tells_of_differences() -> None:
    text = short_text(a_report(["totals: Athena and Redshift differ; ..."]))
    assert "Athena, Redshift DIFFER on" in text
    assert text.endswith("totals: Athena and Redshift differ; ...")


@pytest.fixture
def buckets(aws: Any, names: Settings) -> Any:
    s3 = aws("s3")
    for layer, said in (("silver", SILVER), ("gold", GOLD)):
        s3.create_bucket(Bucket=names.bucket(layer))
        s3.put_object(
            Bucket=names.bucket(layer),
            Key=f"_reports/{VERSIONS[layer]}.json",
            Body=json.dumps(said).encode(),
        )
    return s3


def test_a_job_s_report_is_read_from_its_layer(buckets: Any) -> None:
    assert job_report("silver", "jr_silver") == SILVER
    assert job_report("gold", "jr_gold") == GOLD


def reconcile(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[str]], rows: dict[str, list[Any]]
) -> str:
    """Reconcile a night whose engines give `rows` for each query id."""
    monkeypatch.setattr(module, "athena_answer", lambda i: Answer("Athena", normalised(rows[i])))
    monkeypatch.setattr(module, "redshift_answer", lambda e, i: Answer(e, normalised(rows[i])))
    return reconcile_night("sales_nightly", NIGHT, VERSIONS, QUESTIONS, answers)


ANSWERS = {"Athena": ["a1", "a2"], "Redshift": ["r1", "r2"], "Spectrum": ["s1", "s2"]}
ROWS = {i: [("wide_vendas", 1000)] for i in ("a1", "r1", "s1")} | {
    i: [("Mouse", "110.00")] for i in ("a2", "r2", "s2")
}


def written(buckets: Any, names: Settings) -> dict[str, Any]:
    key = "_reports/sales_nightly/2026-01-05/jr_gold.json"
    return json.loads(buckets.get_object(Bucket=names.bucket("gold"), Key=key)["Body"].read())


def test_a_night_on_which_all_agree(
    buckets: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = reconcile(monkeypatch, ANSWERS, ROWS)
    assert "Athena, Redshift, Spectrum agree on" in text
    whole = written(buckets, names)
    assert whole["differences"] == []
    assert whole["versions"] == VERSIONS
    assert whole["answers"]["total_by_product"]["Spectrum"] == [["Mouse", "110"]]
    assert text.endswith(
        f"s3://{names.bucket('gold')}/_reports/sales_nightly/2026-01-05/jr_gold.json"
    )


def test_a_night_on_which_one_differs_fails_and_is_written_all_the_same(
    buckets: Any, names: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match=r"total_by_product: Athena and Spectrum differ"):
        reconcile(monkeypatch, ANSWERS, {**ROWS, "s2": [("Mouse", "111.00")]})
    assert len(written(buckets, names)["differences"]) == 1


def test_an_engine_that_was_not_asked_everything_fails_the_night(
    buckets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match="Redshift was asked 1 questions"):
        reconcile(monkeypatch, {**ANSWERS, "Redshift": ["r1"]}, ROWS)
