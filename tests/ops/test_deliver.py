"""A delivery is taken in once, however long the function takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.deliver import take_in
from ops.settings import ROOT, Settings
from ops.sql import client

TEMPLATE = (ROOT / "infra" / "template.yaml").read_text()


class Refusing(BaseHTTPRequestHandler):
    """A Lambda that is out of order; botocore would by itself ask five times."""

    calls: list[str]

    def do_POST(self) -> None:
        self.calls.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    Refusing.calls = []
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Settings(tmp_path, 1, server.server_port, "p")
        server.shutdown()


def test_the_function_is_called_once(settings: Settings) -> None:
    with pytest.raises(ClientError):
        take_in(settings, date(2026, 1, 5), ["crm"])
    assert len(Refusing.calls) == 1


def test_it_is_waited_for_as_long_as_it_may_take(settings: Settings) -> None:
    found = re.findall(
        r"Type: AWS::Lambda::Function\n(?:    .*\n|\n)*?      Timeout: (\d+)", TEMPLATE
    )
    assert len(found) == 4
    assert client(settings, "lambda").meta.config.read_timeout > max(map(int, found))
