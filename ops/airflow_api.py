"""Airflow's REST API, as the commands of `ops` use it."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import httpx

from ops.settings import OpsError, Settings

PATIENCE = 120
"""Seconds to ask again: the API server may be starting anew, or its database be locked."""
PAUSE = 2.0


class Token(httpx.Auth):
    """Airflow's token; a new one when it has expired, which it does after a day."""

    requires_response_body = True

    def __init__(self, url: str) -> None:
        self.url = f"{url}/auth/token"
        self.value = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self.value}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            issued = yield httpx.Request("GET", self.url)
            if issued.is_success:
                self.take(issued)
                request.headers["Authorization"] = f"Bearer {self.value}"
                yield request

    def take(self, issued: httpx.Response) -> None:
        self.value = issued.json()["access_token"]


class Airflow:
    """A signed-in client of the local Airflow.

    An Airflow that is away for a moment is asked again, for `PATIENCE` seconds, unless that could
    do something twice: what runs there goes on meanwhile, and who watches it should, too.

    Raises:
        OpsError: Airflow does not answer, or refuses; the message carries its own words.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = settings.airflow_url
        token = Token(self.url)
        # Local addresses only: a proxy of the machine must not see them.
        self._http = httpx.Client(base_url=self.url, timeout=60, trust_env=False, auth=token)
        try:
            token.take(self._http.get("/auth/token", auth=None))
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise OpsError(
                f"Airflow does not answer at {self.url} ({error}). Start it with: make up"
            ) from error

    def call(self, method: str, path: str, *, repeatable: bool, **options: Any) -> Any:
        """What Airflow answers.

        Args:
            repeatable: it does no harm to ask twice, when the first answer was lost.
        """
        deadline = time.monotonic() + PATIENCE
        lost = False
        while True:
            try:
                answer = self._http.request(method, f"/api/v2{path}", **options)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                again = True  # Airflow has not heard of it.
                why = (
                    f"Airflow does not answer at {self.url} ({error}). What is under way goes on"
                    " by itself. Start what is missing with: make up"
                )
            except httpx.HTTPError as error:
                again = repeatable
                lost = True
                why = (
                    f"Airflow did not answer {method} {path} ({error!r}). It may have heard it, and"
                    f" what is under way goes on: look at {self.url}"
                )
            else:
                if answer.is_success:
                    return answer.json() if answer.content else None
                if lost and answer.status_code == httpx.codes.CONFLICT:
                    return None  # It is there since the time before, whose answer was lost.
                again = repeatable and answer.is_server_error
                lost |= answer.is_server_error
                why = f"Airflow refused {method} {path}: {answer.status_code} {answer.text}"
            if not again or time.monotonic() > deadline:
                raise OpsError(why)
            time.sleep(PAUSE)

    def get(self, path: str, **params: Any) -> Any:
        return self.call("GET", path, repeatable=True, params=params)

    def post(self, path: str, body: dict[str, Any], *, named: bool = False) -> Any:
        """Post; what is to be made is `named` when Airflow refuses to make a second one."""
        return self.call("POST", path, repeatable=named, json=body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self.call("PATCH", path, repeatable=True, json=body)
