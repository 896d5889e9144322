"""The Glue jobs, the audits and the DAGs speak of candidates and checks with the same words."""

from __future__ import annotations

from pathlib import Path

from madrugada import defaults, publishing, reconciliation, staging
from madrugada_spark import catalog

VERSION = "jr_" + "0123456789abcdef" * 4


def test_a_candidate_has_one_name() -> None:
    for layer, table in (("silver", "vendas"), ("gold", "wide_vendas")):
        name = staging.candidate(layer, table, VERSION)
        assert catalog.candidate_name(layer, table, VERSION) == name


def test_a_candidate_says_its_version_and_what_it_was_built_on() -> None:
    assert catalog.VERSION == publishing.VERSION
    assert catalog.BASE_VERSION == publishing.BASE
    assert catalog.KEY == publishing.KEY


def test_the_audit_of_silver_has_the_counts_that_the_reconciliation_reads() -> None:
    audit = Path(defaults.SQL_FOLDER, "athena/audit/silver.sql").read_text()
    for check in (reconciliation.IN_BRONZE, reconciliation.IN_SILVER):
        assert f"'{check.format(dataset='{{ dataset }}')}' as name" in audit
