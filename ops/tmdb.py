"""The stand-in of TMDB's API in the local stack: where it answers, and the key that it takes."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

from ops import processes
from ops.settings import ROOT, Settings

NAME = "tmdb"


def base_url(settings: Settings) -> str:
    """What the template's TmdbBaseUrl is on this stack; TMDB_BASE_URL names the API itself."""
    return os.environ.get("TMDB_BASE_URL") or f"http://127.0.0.1:{settings.tmdb_port}/3"


def start(settings: Settings) -> int:
    """Start the stand-in as a process of the stack; gives its id."""
    port = str(settings.tmdb_port)
    command = [sys.executable, "-m", "include.sample_data.tmdb_api", "--port", port]
    environment = {"PYTHONPATH": str(ROOT), "TMDB_API_KEY": settings.secret("tmdb-api-key")}
    return processes.start(NAME, command, settings.state, environment)


def put_key(settings: Settings, secrets: Any) -> None:
    """Put the stand-in's key, or TMDB_API_KEY's, into the function's secret."""
    name = f"{settings.prefix}-tmdb-api-key"
    key = os.environ.get("TMDB_API_KEY") or settings.secret("tmdb-api-key")
    missing = secrets.exceptions.ResourceNotFoundException
    with contextlib.suppress(missing):
        if secrets.get_secret_value(SecretId=name).get("SecretString") == key:
            return
    try:
        secrets.put_secret_value(SecretId=name, SecretString=key)
    except missing:
        # Somebody has deleted it; the stack thinks that it is there, and would not make it again.
        secrets.create_secret(Name=name, SecretString=key)
