"""Who watches a night goes on watching while Airflow is away, or its token has expired."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from ops import airflow_api
from ops.airflow_api import Airflow
from ops.settings import OpsError, Settings

LOST = (0, "")
"""The answer of a server that dies after it has heard the question."""
LOCKED = (503, "Database is locked")
WELL = (200, "{}")


class Server(ThreadingHTTPServer):
    """An Airflow that gives these answers, one a call, and whose token is its newest one."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answers: list[tuple[int, str]] = []
        self.heard: list[str] = []
        self.issued = 0
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/auth/token":
            self.server.issued += 1
            return self.say(201, json.dumps({"access_token": str(self.server.issued)}))
        if self.headers["Authorization"] != f"Bearer {self.server.issued}":
            return self.say(401, "Token Expired")
        self.server.heard.append(f"{self.command} {self.path}")
        status, text = self.server.answers.pop(0) if self.server.answers else WELL
        return self.say(status, text) if status else None

    do_POST = do_PATCH = do_GET

    def say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(airflow_api, "PAUSE", 0.01)
    server = Server()
    yield server
    server.close()


@pytest.fixture
def airflow(server: Server, tmp_path: Path) -> Airflow:
    return Airflow(Settings(tmp_path, server.server_port, 1, "p"))


@pytest.mark.parametrize("trouble", [LOST, LOCKED, (500, "Internal Server Error")])
def test_a_look_is_taken_again(server: Server, airflow: Airflow, trouble: tuple[int, str]) -> None:
    server.answers = [trouble, trouble, (200, '{"state": "running"}')]
    assert airflow.get("/dags/d/dagRuns/r") == {"state": "running"}
    assert len(server.heard) == 3


def test_an_answer_that_takes_too_long_is_asked_for_again(
    server: Server, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Handler.say

    def slow_at_first(self: Handler, status: int, text: str) -> None:
        time.sleep(0.6 if len(server.heard) == 1 else 0)
        said(self, status, text)

    monkeypatch.setattr(Handler, "say", slow_at_first)
    airflow._http.timeout = httpx.Timeout(0.3)
    assert airflow.get("/pools") == {}
    assert len(server.heard) == 2


def test_an_api_server_that_starts_again_is_waited_for(server: Server, airflow: Airflow) -> None:
    port = server.server_port
    server.close()
    started: list[Server] = []

    def start() -> None:
        time.sleep(0.3)
        started.append(Server(port))
        started[0].issued = 1

    Thread(target=start).start()
    # Also what may be done once only: Airflow has not heard of it.
    assert airflow.post("/backfills", {}) == {}
    assert started[0].heard == ["POST /api/v2/backfills"]
    started[0].close()


def test_patience_ends(server: Server, airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_api, "PATIENCE", 0.1)
    server.answers = [LOCKED] * 1000
    with pytest.raises(OpsError, match="refused GET /pools: 503 Database is locked"):
        airflow.get("/pools")
    assert len(server.heard) > 1


def test_a_refusal_is_told_at_once(server: Server, airflow: Airflow) -> None:
    server.answers = [(404, "no such run"), WELL]
    with pytest.raises(OpsError, match="refused GET /dags/d/dagRuns/r: 404 no such run"):
        airflow.get("/dags/d/dagRuns/r")
    assert len(server.heard) == 1


@pytest.mark.parametrize("trouble", [LOST, LOCKED])
def test_what_could_be_made_twice_is_asked_for_once(
    server: Server, airflow: Airflow, trouble: tuple[int, str]
) -> None:
    server.answers = [trouble, WELL]
    with pytest.raises(OpsError, match="POST /backfills"):
        airflow.post("/backfills", {})
    assert server.heard == ["POST /api/v2/backfills"]


@pytest.mark.parametrize("trouble", [LOST, LOCKED])
def test_a_run_that_was_made_although_the_answer_was_lost(
    server: Server, airflow: Airflow, trouble: tuple[int, str]
) -> None:
    server.answers = [trouble, (409, '{"detail": "Unique constraint violation"}')]
    airflow.post("/dags/d/dagRuns", {"dag_run_id": "r"}, named=True)
    assert len(server.heard) == 2


def test_a_run_that_was_there_before_is_refused(server: Server, airflow: Airflow) -> None:
    server.answers = [(409, "Unique constraint violation")]
    with pytest.raises(OpsError, match="409 Unique constraint violation"):
        airflow.post("/dags/d/dagRuns", {"dag_run_id": "r"}, named=True)


def test_a_token_that_has_expired_is_taken_anew(server: Server, airflow: Airflow) -> None:
    server.issued = 7
    assert airflow.get("/pools") == {}
    assert airflow.post("/backfills", {}) == {}
    assert server.issued == 8
    assert server.heard == ["GET /api/v2/pools", "POST /api/v2/backfills"]
