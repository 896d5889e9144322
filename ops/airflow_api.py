"""Airflow's REST API, as the commands of `ops` use it."""

from __future__ import annotations

from typing import Any

import httpx

from ops.settings import OpsError, Settings


class Airflow:
    """A signed-in client of the local Airflow.

    Raises:
        OpsError: Airflow does not answer, or refuses; the message carries its own words.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = settings.airflow_url
        # Local addresses only: a proxy of the machine must not see them.
        self._http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        try:
            token = self._http.get("/auth/token").json()["access_token"]
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise OpsError(
                f"Airflow does not answer at {self.url} ({error}). Start it with: make up"
            ) from error
        self._http.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, f"/api/v2{path}", **options)
        except httpx.HTTPError as error:
            raise OpsError(f"Airflow does not answer at {self.url} ({error})") from error
        if answer.is_error:
            raise OpsError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def get(self, path: str, **params: Any) -> Any:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.call("POST", path, json=body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self.call("PATCH", path, json=body)
