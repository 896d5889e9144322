"""What the containers' init service does, as far as that can be seen without containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from madrugada.defaults import POOLS
from tests.conftest import ROOT

SCRIPT = ROOT / "docker" / "initialise.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The script's names; its commands are noted in ``ran`` with the files that they read."""
    monkeypatch.setenv("MADRUGADA_PREFIX", "acme-test")
    monkeypatch.setenv("AIRFLOW__CORE__PLUGINS_FOLDER", str(ROOT / "plugins"))
    names: dict[str, Any] = {"__file__": str(SCRIPT), "__name__": "initialise"}
    exec(compile(SCRIPT.read_text(), SCRIPT, "exec"), names)  # noqa: S102
    names["ran"] = []

    def note(*command: str) -> None:
        last = Path(command[-1])
        names["ran"].append((command, json.loads(last.read_text()) if last.is_file() else None))

    names["run"] = note
    names["put_secret"] = lambda name, value: names["ran"].append((name, value))
    return names


def test_it_migrates_deploys_and_makes_the_pools(script: dict[str, Any]) -> None:
    script["main"]()
    (migrate, _), (deploy, parameters), secret, (pools, document) = script["ran"]
    assert migrate == ("airflow", "db", "migrate")
    assert deploy[1:5] == ("-m", "infra.deploy", "--stack", "madrugada")
    local = json.loads((ROOT / "infra" / "parameters" / "local.json").read_text())
    assert parameters == {
        **local, "Prefix": "acme-test", "TmdbBaseUrl": script["TMDB_BASE_URL"],
    }  # fmt: skip
    assert secret == ("acme-test-tmdb-api-key", script["TMDB_API_KEY"])
    assert pools[:3] == ("airflow", "pools", "import")
    assert {name: pool["slots"] for name, pool in document.items()} == {
        name: slots for name, (slots, _) in POOLS.items()
    }
