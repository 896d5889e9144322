"""Airflow imports every file of the plugins folder in every process, unless it is told not to."""

from __future__ import annotations

from airflow.sdk._shared.module_loading import find_path_from_directory

from tests.conftest import ROOT


def test_what_dags_share_is_not_loaded_as_plugins() -> None:
    found = find_path_from_directory(str(ROOT / "plugins"), ".airflowignore", "glob")
    assert [path for path in found if "madrugada" in path] == []
