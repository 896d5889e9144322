"""A stand-in of TMDB's API for where there is no network: the same endpoints, generated films.

    TMDB_API_KEY=KEY python -m include.sample_data.tmdb_api --port 4570 [--films 400] [--seed 2026]

`GET /3/genre/movie/list` and `GET /3/discover/movie` (`with_genres=27`, `page`, 20 films a page),
as version 3 answers them: 401 without the key that it was started with, 400 for a page that is
none, 404 for what it does not have, 429 with Retry-After above a number of requests a second. The
same seed always gives the same films. Among them are some without a title or a date, and some that
come twice, as happens when the order changes between two pages.

https://developer.themoviedb.org/reference/discover-movie
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from include.sample_data.films import film

DEFAULT_FILMS = 400
DEFAULT_SEED = 2026
PAGE_SIZE = 20
LAST_PAGE = 500
PER_SECOND = 40
GENRES = {18: "Drama", 27: "Terror", 53: "Thriller", 878: "Ficção científica", 9648: "Mistério"}
HORROR = 27
WITHOUT_TITLE, WITHOUT_DATE, TWICE = 211, 50, 100
"""Every so many films there is one like that."""


@dataclass(frozen=True)
class Answer:
    """An answer; `sent` is how many of the body's bytes go out before the connection ends."""

    status: int
    document: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    delay: float = 0.0


def films(count: int, seed: int) -> list[dict[str, Any]]:
    """The films that /discover/movie tells of, the best known first."""
    found: list[dict[str, Any]] = []
    number = 0
    while len(found) < count:
        one = film(number, seed)
        number += 1
        if not one.horror:
            continue
        random = Random(f"{seed} tmdb {one.number}")  # noqa: S311
        plain = unicodedata.normalize("NFD", one.title).encode("ascii", "ignore").decode()
        title = random.choice((one.title, one.title.lower(), plain, f"{one.title}: Parte II"))
        at = len(found) + 1
        found.append(
            {
                "adult": False,
                "backdrop_path": None,
                "genre_ids": [HORROR, *random.sample((18, 53, 878, 9648, 99999), k=at % 3)],
                "id": 1000 + one.number,
                "original_language": "pt",
                "original_title": one.title,
                "overview": f"“{one.title}”: o que ficou na casa volta em {one.year}.\n…",
                "popularity": round(random.paretovariate(1.2), 3),
                "poster_path": f"/{one.number:07}.jpg",
                "release_date": ""
                if at % WITHOUT_DATE == 0
                else f"{one.year}-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
                "title": "" if at % WITHOUT_TITLE == 0 else title,
                "video": False,
                "vote_average": round(random.uniform(1, 10), 1),
                "vote_count": random.randint(0, 5000),
            }
        )
        if at % TWICE == 0 and len(found) < count:
            found.append(dict(found[-1]))
    return sorted(found, key=lambda one: (-one["popularity"], one["id"]))


class TmdbApi:
    """The server, from `with` on, at `url`.

    :param tamper: is given each answer with its path and query before it is sent, and gives what is
        sent instead; how a test has the API fail.
    """

    def __init__(
        self,
        key: str,
        told: list[dict[str, Any]] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        per_second: int = PER_SECOND,
        tamper: Callable[[str, dict[str, str], Answer], Answer] = lambda path, query, answer: (
            answer
        ),
    ) -> None:
        self.key = key
        self.films = films(DEFAULT_FILMS, DEFAULT_SEED) if told is None else told
        self.per_second = per_second
        self.tamper = tamper
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._moments: deque[float] = deque()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((host, port), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/3"

    def __enter__(self) -> TmdbApi:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve(self) -> None:
        """Answers until the process ends."""
        self._server.serve_forever()

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        with self._lock:
            self.asked.append((path, query))
            found = self._too_many() or self._answer(path, query)
        return self.tamper(path, query, found)

    def _too_many(self) -> Answer | None:
        now = time.monotonic()
        while self._moments and self._moments[0] <= now - 1:
            self._moments.popleft()
        if len(self._moments) >= self.per_second:
            said = "Your request count is over the allowed limit."
            return replace(_refusal(429, 25, said), headers={"Retry-After": "1"})
        self._moments.append(now)
        return None

    def _answer(self, path: str, query: dict[str, str]) -> Answer:
        if query.get("api_key") != self.key:
            return _refusal(401, 7, "Invalid API key: You must be granted a valid key.")
        if path == "/3/genre/movie/list":
            return Answer(200, {"genres": [{"id": i, "name": n} for i, n in GENRES.items()]})
        if path != "/3/discover/movie":
            return _refusal(404, 34, "The resource you requested could not be found.")
        number = query.get("page", "1")
        if not number.isdigit() or not 1 <= int(number) <= LAST_PAGE:
            return _refusal(
                400, 22, f"Invalid page: Pages start at 1 and max at {LAST_PAGE}."
                " They are expected to be an integer."
            )  # fmt: skip
        wanted = {int(genre) for genre in query.get("with_genres", "").split(",") if genre}
        chosen = [one for one in self.films if wanted <= set(one["genre_ids"])]
        first = (int(number) - 1) * PAGE_SIZE
        return Answer(
            200,
            {
                "page": int(number),
                "results": chosen[first : first + PAGE_SIZE],
                "total_pages": -(-len(chosen) // PAGE_SIZE),
                "total_results": len(chosen),
            },
        )


def _refusal(status: int, code: int, said: str) -> Answer:
    return Answer(status, {"success": False, "status_code": code, "status_message": said})


def _handler_of(api: TmdbApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            answer = api.answer(parts.path, query)
            time.sleep(answer.delay)
            body = json.dumps(answer.document, ensure_ascii=False).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json;charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: answer.sent])
            self.close_connection = self.close_connection or answer.sent is not None

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a request's line has the key in it."""

    return Handler


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m include.sample_data.tmdb_api",
        description="Answer as TMDB's API does, with generated films, until ended.",
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 is every address")
    parser.add_argument("--films", type=int, default=DEFAULT_FILMS)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    arguments = parser.parse_args(argv)
    key = os.environ.get("TMDB_API_KEY")
    if not key:
        parser.error("TMDB_API_KEY: expected the key that is taken, found none")
    made = films(arguments.films, arguments.seed)
    api = TmdbApi(key, made, host=arguments.host, port=arguments.port)
    print(f"TMDB's stand-in answers at {api.url}", flush=True)
    api.serve()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
