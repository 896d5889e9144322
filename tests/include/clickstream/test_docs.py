from __future__ import annotations

from pathlib import Path

import pytest

from ops import dbt_docs


@pytest.mark.slow
def test_the_documentation_is_one_page_and_asks_no_warehouse(tmp_path: Path) -> None:
    page = dbt_docs.write(tmp_path / "docs")
    text = page.read_text()
    for told in ("stg_events", "sessions", "conversions", "funnel_by_day"):
        assert f"model.clickstream.{told}" in text
    assert "Sessions that began on the day." in text
    assert not (dbt_docs.PROJECT / "target").exists()
