"""The documents that are made from the code are what the code says now."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from local_aws import fidelity
from local_aws.instance import ENGINES
from local_aws.service import Feature, Service, operation
from ops import documents
from tests.conftest import ROOT


@pytest.mark.parametrize("name", documents.DOCUMENTS)
def test_it_is_what_the_code_says(name: str) -> None:
    written = (ROOT / name).read_text("utf-8") if (ROOT / name).exists() else ""
    assert written == documents.DOCUMENTS[name](), f"{name} is stale. Write it with: make docs"


def test_a_stale_document_is_named_and_then_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    monkeypatch.setattr(
        documents, "DOCUMENTS", {"docs/one.md": lambda: "one\n", "docs/two.md": lambda: "two\n"}
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one.md").write_text("one\n")
    (tmp_path / "docs" / "two.md").write_text("another\n")
    with patch.dict(os.environ):
        assert documents.stale() == ["docs/two.md"]
        assert documents.main(["--check"]) == 1
        assert capsys.readouterr().out.startswith("docs/two.md is not what the code says")
        assert (tmp_path / "docs" / "two.md").read_text() == "another\n"
        assert documents.main([]) == 0
        assert documents.main(["--check"]) == 0


def test_the_star_is_drawn_with_every_column_and_both_ids() -> None:
    drawn = documents.star().split("```")[1]
    for dimension in ("dim_nome_filme", "dim_tempo"):
        assert f'{dimension} ||--|| fact_popularidade : "id, id_tmdb"' in drawn
    assert drawn.count("string id PK") == drawn.count("int id_tmdb PK") == 3


def test_every_engine_is_in_the_fidelity_list() -> None:
    assert set(fidelity.engines()) == set(ENGINES)


class Sample(Service):
    """A service with one good operation."""

    service_name = "sns"
    features = (Feature("area", "a <tag> | `<code>`", "different", "see :class:`~x.Y`"),)

    @operation("Name", ignores={"Tags": "nobody reads them"}, differs="at once")
    def CreateTopic(self, request: dict[str, str]) -> dict[str, str]:
        """Create a topic."""
        return {}


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> type[Service]:
    monkeypatch.setattr(fidelity, "ENGINES", {"sns": "a:Sample"})
    monkeypatch.setattr(fidelity, "engines", lambda: {"sns": Sample})
    return Sample


@pytest.mark.usefixtures("sample")
def test_an_operation_tells_what_it_refuses_ignores_and_does_differently() -> None:
    lines = fidelity.render().splitlines()
    assert "| [SNS](#sns) | 1 of 42 | 0 | 1 | 0 |" in lines
    assert (
        "| `CreateTopic` | different | Create a topic. at once. | `Attributes`,"
        " `DataProtectionPolicy` | `Tags`: nobody reads them |"
    ) in lines
    assert "| area | a &lt;tag> \\| `<code>` | different | see `x.Y` |" in lines


class Wrong(Service):
    """A service whose operation takes an option that AWS does not have."""

    service_name = "sns"

    @operation("Nam")
    def CreateTopic(self, request: dict[str, str]) -> dict[str, str]:
        """Create a topic."""
        return {}


@pytest.mark.usefixtures("sample")
def test_an_option_that_aws_does_not_have_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "engines", lambda: {"sns": Wrong})
    with pytest.raises(ValueError, match="CreateTopic: AWS has no options Nam"):
        fidelity.render()


def test_a_status_that_is_none_is_a_mistake(
    sample: type[Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "features", (Feature("area", "name", "planned"),))
    with pytest.raises(ValueError, match="the status is 'planned'"):
        fidelity.render()
