"""The function `tmdb` on moto, and the API's stand-in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest

from include.sample_data.tmdb_api import Answer, TmdbApi, films
from tests.include.conftest import BRONZE, CONTRACTS_URI, ROOT, load_module

DAY = "2026-01-05"
KEY, SECRET = "a key that is valid", "test-tmdb-api-key"
Tamper = Callable[[str, dict[str, str], Answer], Answer]


class Api(TmdbApi):
    """105 films, six pages, with what a test has it do."""

    def __init__(self) -> None:
        super().__init__(KEY, films(105, 2026), per_second=1000)

    @property
    def pages_asked(self) -> list[int]:
        return [int(query["page"]) for path, query in self.asked if path.endswith("discover/movie")]

    def once(self, page: int, change: Callable[[Answer], Answer], times: int = 1) -> None:
        """Changes the answers for a page, the first so many times."""

        def tamper(path: str, query: dict[str, str], answer: Answer) -> Answer:
            asked = self.pages_asked.count(page)
            wanted = query.get("page") == str(page) and asked <= times
            return change(answer) if wanted else answer

        self.tamper = tamper


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as running:
        yield running


@pytest.fixture
def tmdb(aws: Any, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The handler's module; it waits for nothing, and says in `slept` how long it would have."""
    for name, value in {
        "BRONZE_BUCKET": BRONZE,
        "CONTRACTS_URI": CONTRACTS_URI,
        "BASE_URL": api.url,
        "KEY_SECRET": SECRET,
        "REQUESTS_PER_SECOND": "1000",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString=f"{KEY}\n")
    module: Any = load_module("tmdb_handler", ROOT / "include/lambdas/tmdb/handler.py")
    module.slept = []
    module.sleep = module.slept.append
    yield module
    sys.modules.pop("tmdb_handler", None)
