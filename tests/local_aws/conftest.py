"""An embedded AWS of its own for each test module, on a free port, with its own state folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest

from local_aws.instance import Config
from local_aws.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws"))) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Callable[[str], Any]:
    """``client("glue")``: a real boto3 client of this module's server, each made once."""

    @cache
    def make(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=server.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    return make
