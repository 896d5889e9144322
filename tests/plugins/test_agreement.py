"""The Glue jobs and the DAGs speak of candidates with the same words."""

from __future__ import annotations

from madrugada import publishing, staging
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
