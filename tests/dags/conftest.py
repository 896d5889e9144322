"""The project's DAG files, parsed once without a database, a network or an AWS client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from airflow.dag_processing.dagbag import DagBag
from pytest_socket import disable_socket, enable_socket

from tests.conftest import ROOT

DAGS = ROOT / "dags"
SQL = ROOT / "include" / "sql"


class InputOrOutput(Exception):
    """A DAG file asked for something outside itself while it was parsed."""


def _refuse(what: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise InputOrOutput(f"{what} while a DAG file is parsed: {args[1:2] or kwargs}")

    return refuse


def parse(folder: Path) -> DagBag:
    """All DAG files of a folder, parsed with every way out refused.

    Raises:
        FileNotFoundError: no such folder; Airflow itself would give an empty bag.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of DAG files")
    from madrugada.defaults import POOLS

    disable_socket()
    try:
        with (
            patch("botocore.session.Session.create_client", _refuse("an AWS client")),
            patch("airflow.sdk.Variable.get", _refuse("a Variable")),
            patch("airflow.sdk.Connection.get", _refuse("a Connection")),
            patch("airflow.sdk.bases.hook.BaseHook.get_connection", _refuse("a connection")),
        ):
            return DagBag(folder, known_pools={"default_pool", *POOLS})
    finally:
        enable_socket()


@pytest.fixture(scope="session")
def bag() -> DagBag:
    return parse(DAGS)


@pytest.fixture(scope="session")
def dags(bag: DagBag) -> Iterator[dict[str, Any]]:
    assert bag.import_errors == {}
    return bag.dags
