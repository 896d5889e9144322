"""Lambda `tmdb`: one day's horror films of The Movie Database become that day's file in bronze.

Asks the API (https://developer.themoviedb.org/reference, version 3) for its genres and for films
of genre 27, in Portuguese, page after page, and writes one JSON object a line where the contract of
the source `tmdb` has its file, `s3://<bronze>/RAW/TMDB/JSON/<year>/<month>/<day>/movies.json`: the
API's own fields, with `genres`, names with a comma between them, instead of `genre_ids`. Then comes
the delivery's manifest, in the shape of a delivery of files (see the function `ingest`), with
`fetched_at` beside:

    s3://<bronze>/_manifests/tmdb/<YYYY-MM-DD>.json

Called with `{"delivery_date": "2026-01-05"}`. A day that has been delivered stays as it is, so that
its night can be run again; `"again": true` asks the API once more. The API tells of today alone, so
a day that is past gets what it says now.

Each page is kept under `_cursors/tmdb/<YYYY-MM-DD>/` as it comes, with a cursor: a call that ends
before the last page is gone on with by the next one. When a day is delivered, they are deleted.

| The API | What happens |
|---|---|
| takes longer, is away, answers 429 or 5xx, half an answer or another page | asked again after a \
pause, as long as it says itself (Retry-After); after `ATTEMPTS`, or when the time runs out, \
Unfinished: call again |
| refuses the key, or there is none | DeliveryError, at once: the same key would be refused again |
| refuses the request otherwise, or knows no film | DeliveryError |
| has a page that is not full before the last one | asked once more, then taken, with a warning |

Films are taken as they are: one without a title, or that comes twice, is silver's to judge.

Environment: BRONZE_BUCKET, CONTRACTS_URI (s3://…/contracts.json), BASE_URL (of the API, its version
included), KEY_SECRET (name of the secret that is the API key), REQUESTS_PER_SECOND.
"""

from __future__ import annotations

import email.utils
import functools
import hashlib
import json
import logging
import os
import time
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.exceptions import ClientError

logger = logging.getLogger("tmdb")
logger.setLevel(logging.INFO)

SOURCE = "tmdb"
LANGUAGE, HORROR = "pt-BR", 27
MOST_PAGES, PAGE_SIZE = 100, 20
ATTEMPTS = 6
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
TIMEOUT = urllib3.Timeout(connect=5, read=20)
# What is left for the file and its manifest once the last page is there.
SECONDS_TO_END = 15.0
NO_KEY = ("ResourceNotFoundException", "InvalidRequestException")

sleep = time.sleep


class DeliveryError(Exception):
    """The day cannot be delivered, and another try would end the same; the message says why."""


class Unfinished(Exception):
    """Not all pages are there yet; the next call goes on with what is missing."""


class BadAnswer(Exception):
    """What came is no answer to what was asked; it may be the next time."""


@functools.cache
def s3_client() -> Any:
    return boto3.client("s3")


@functools.cache
def secrets_client() -> Any:
    return boto3.client("secretsmanager")


@functools.cache
def http() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=1, retries=False, timeout=TIMEOUT)


def handler(event: dict[str, Any], context: Any = None) -> dict[str, Any]:
    """Entry point; the manifest's address and what is in it, in short."""
    day = _day(event.get("delivery_date"))
    delivery = Delivery(_setting("BRONZE_BUCKET"), _dataset(), day)
    manifest = None if event.get("again") else delivery.there()
    if manifest is None:
        if day < datetime.now(UTC).date():
            logger.warning("%s is past: its file gets what TMDB says now", day)
        api = Api(
            _setting("BASE_URL"),
            _key(),
            float(_setting("REQUESTS_PER_SECOND")),
            _time_left(context),
        )
        manifest = delivery.fetch(api)
    (file,) = manifest["files"]
    return {
        "manifest": f"s3://{delivery.bucket}/{delivery.manifest_key}",
        "source": SOURCE,
        "delivery_date": str(day),
        "films": file["rows"],
        "bytes": file["bytes"],
        "fetched_at": manifest["fetched_at"],
    }


class Api:
    """The API, asked politely: never more often than it was agreed, and again after a pause."""

    def __init__(self, base_url: str, key: str, per_second: float, time_left: Any) -> None:
        self.base_url = base_url.rstrip("/")
        self.key = key
        self.interval = 1 / per_second
        self.time_left = time_left
        self.next_at = 0.0

    def genres(self) -> dict[str, str]:
        """Names by number."""
        answer = self.ask("/genre/movie/list", {"language": LANGUAGE}, check=_has_genres)
        return {str(genre["id"]): genre["name"] for genre in answer["genres"]}

    def page(self, number: int) -> dict[str, Any]:
        """`results` and `total_pages` of a page of films, the best known first."""
        fields = {
            "language": LANGUAGE,
            "with_genres": str(HORROR),
            "sort_by": "popularity.desc",
            "include_adult": "false",
            "page": str(number),
        }
        return self.ask("/discover/movie", fields, check=lambda found: _has_page(found, number))

    def ask(self, path: str, fields: dict[str, str], check: Any) -> dict[str, Any]:
        """
        :raises DeliveryError: the API refuses what is asked.
        :raises Unfinished: it gave no answer that can be used.
        """
        pause = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            self._wait(max(0.0, self.next_at - time.monotonic()), f"before {path}")
            self.next_at = time.monotonic() + self.interval
            wait: float | None = None
            try:
                answer = http().request(
                    "GET", self.base_url + path, fields={**fields, "api_key": self.key}
                )
                if answer.status == 200:
                    found = _json(answer.data)
                    check(found)
                    return found
                said = f"{answer.status} {_message(answer.data)}"
                self._judge(answer.status, said)
                wait = _retry_after(answer.headers.get("Retry-After"))
            except (urllib3.exceptions.HTTPError, BadAnswer) as error:
                said = f"{type(error).__name__}: {error}".replace(self.key, "***")
            logger.warning("%s, attempt %d of %d: %s", path, attempt, ATTEMPTS, said)
            if attempt < ATTEMPTS:
                self._wait(pause if wait is None else wait, f"after {said}")
                pause = min(2 * pause, LONGEST_PAUSE)
        raise Unfinished(f"{self.base_url}{path} gave no answer in {ATTEMPTS} attempts: {said}")

    def _judge(self, status: int, said: str) -> None:
        if status == 401:
            raise DeliveryError(
                f"TMDB refuses the key: {said}; put a valid one into the secret "
                f"{_setting('KEY_SECRET')}, as its text"
            )
        if status != 429 and status < 500:
            raise DeliveryError(f"TMDB refuses the request to {self.base_url}: {said}")

    def _wait(self, seconds: float, why: str) -> None:
        if seconds + SECONDS_TO_END > self.time_left():
            raise Unfinished(
                f"the function's time runs out: {self.time_left():.0f} s are left, and "
                f"{seconds:.1f} s are to be waited {why}"
            )
        if seconds > 0:
            sleep(seconds)


class Delivery:
    """One day's file, its manifest, and what is there of it before it is whole."""

    def __init__(self, bucket: str, dataset: dict[str, Any], day: date) -> None:
        self.bucket, self.dataset, self.day = bucket, dataset, day
        self.key = dataset["bronze_key"].format(
            delivery_date=day, year=f"{day:%Y}", month=f"{day:%m}", day=f"{day:%d}"
        )
        self.manifest_key = f"_manifests/{SOURCE}/{day}.json"
        self.cursor_folder = f"_cursors/{SOURCE}/{day}/"
        self.cursor_key = f"{self.cursor_folder}cursor.json"

    def there(self) -> dict[str, Any] | None:
        """The manifest of a day that is delivered, and whose file is the one it describes."""
        manifest = self._read(self.manifest_key)
        if manifest is None:
            return None
        found = json.loads(manifest)
        try:
            etag = s3_client().head_object(Bucket=self.bucket, Key=self.key)["ETag"].strip('"')
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
                raise
            return None
        return found if [file["etag"] for file in found["files"]] == [etag] else None

    def fetch(self, api: Api) -> dict[str, Any]:
        """Asks for the pages that are not there, then writes the file and its manifest."""
        saved = self._read(self.cursor_key)
        cursor: dict[str, Any] = json.loads(saved) if saved else {"next": 1, "last": None}
        if "genres" not in cursor:
            cursor["genres"] = api.genres()
        try:
            while cursor["last"] is None or cursor["next"] <= cursor["last"]:
                self._keep(api, cursor)
        except Unfinished as error:
            done = f"{cursor['next'] - 1} of {cursor['last'] or 'nobody knows how many'} pages"
            raise Unfinished(f"{SOURCE} {self.day}: {done} are there: {error}") from error
        return self._deliver(cursor["next"] - 1)

    def _keep(self, api: Api, cursor: dict[str, Any]) -> None:
        number = cursor["next"]
        page = api.page(number)
        last = min(page["total_pages"], MOST_PAGES)
        if number < last and len(page["results"]) < PAGE_SIZE:
            page = api.page(number)
            last = min(page["total_pages"], MOST_PAGES)
            if number < last and len(page["results"]) < PAGE_SIZE:
                logger.warning(
                    "page %d of %d has %d films, not %d, and is taken as it is",
                    number,
                    last,
                    len(page["results"]),
                    PAGE_SIZE,
                )
        lines = [_line(film, cursor["genres"]) for film in page["results"]]
        self._put(self._page_key(number), "".join(f"{line}\n" for line in lines).encode())
        # Written after the page: whoever goes on has every page that the cursor counts.
        cursor |= {"next": number + 1, "last": last}
        self._put(self.cursor_key, json.dumps(cursor, ensure_ascii=False).encode())

    def _deliver(self, pages: int) -> dict[str, Any]:
        keys = [self._page_key(number) for number in range(1, pages + 1)]
        body = b"".join(
            s3_client().get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys
        )
        rows = body.count(b"\n")
        if rows < self.dataset["min_rows"]:
            self._forget()
            raise DeliveryError(
                f"TMDB has {rows} films of genre {HORROR}: expected at least "
                f"{self.dataset['min_rows']}"
            )
        etag = self._put(self.key, body)
        manifest = {
            "format": 1,
            "source": SOURCE,
            "delivery_date": str(self.day),
            "status": "complete",
            "fetched_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "files": [
                {
                    "dataset": self.dataset["name"],
                    "file_name": self.dataset["file_name"],
                    "key": self.key,
                    "bytes": len(body),
                    "rows": rows,
                    "sha256": hashlib.sha256(body).hexdigest(),
                    "etag": etag,
                    "new_columns": [],
                    "missing_columns": [],
                }
            ],
            "missing": [],
            "ignored": [],
            "errors": [],
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        self._put(self.manifest_key, text.encode(), "application/json")
        self._forget()
        logger.info("%s %s: %d films of %d pages", SOURCE, self.day, rows, pages)
        return manifest

    def _page_key(self, number: int) -> str:
        return f"{self.cursor_folder}page-{number:04}.jsonl"

    def _read(self, key: str) -> bytes | None:
        try:
            return s3_client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
                raise
            return None

    def _put(self, key: str, body: bytes, kind: str = "application/x-ndjson") -> str:
        answer = s3_client().put_object(
            Bucket=self.bucket, Key=key, Body=body, ContentType=kind, ChecksumAlgorithm="SHA256"
        )
        return answer["ETag"].strip('"')

    def _forget(self) -> None:
        found = s3_client().list_objects_v2(Bucket=self.bucket, Prefix=self.cursor_folder)
        keys = [{"Key": item["Key"]} for item in found.get("Contents", [])]
        # The cursor first: pages that are left behind without it are nobody's.
        keys.sort(key=lambda item: item["Key"] != self.cursor_key)
        for item in keys:
            s3_client().delete_object(Bucket=self.bucket, **item)


def _line(film: dict[str, Any], genres: dict[str, str]) -> str:
    """A film as the API has it, its genres as names; a number that has no name stays one."""
    kept = {name: value for name, value in film.items() if name != "genre_ids"}
    numbers = [str(number) for number in film.get("genre_ids") or []]
    kept["genres"] = ", ".join(genres.get(number, number) for number in numbers)
    return json.dumps(kept, ensure_ascii=False)


def _has_genres(found: dict[str, Any]) -> None:
    genres = found.get("genres")
    if not isinstance(genres, list) or not all(
        isinstance(genre, dict) and {"id", "name"} <= genre.keys() for genre in genres
    ):
        raise BadAnswer("expected genres with id and name")


def _has_page(found: dict[str, Any], number: int) -> None:
    films = found.get("results")
    if found.get("page") != number or not isinstance(found.get("total_pages"), int):
        raise BadAnswer(f"expected page {number} of total_pages, found page {found.get('page')!r}")
    if not isinstance(films, list) or not all(isinstance(film, dict) for film in films):
        raise BadAnswer(f"page {number} has no list of films")


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise BadAnswer(f"no JSON, {len(body)} bytes: {error}") from error
    if not isinstance(found, dict):
        raise BadAnswer(f"expected a JSON object, found a {type(found).__name__}")
    return found


def _message(body: bytes) -> str:
    """The API's own words for what is wrong, if it has some."""
    try:
        return str(_json(body).get("status_message", ""))[:200]
    except BadAnswer:
        return ""


def _retry_after(text: str | None) -> float | None:
    """Seconds, from a number of them or from a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _time_left(context: Any) -> Any:
    """Seconds until the function is stopped, as a function."""
    if context is None:
        return lambda: float("inf")
    return lambda: context.get_remaining_time_in_millis() / 1000


def _key() -> str:
    name = _setting("KEY_SECRET")
    try:
        key = secrets_client().get_secret_value(SecretId=name).get("SecretString", "").strip()
    except ClientError as error:
        if error.response["Error"]["Code"] not in NO_KEY:
            raise
        key = ""
    if not key:
        raise DeliveryError(f"the secret {name} has no API key: put TMDB's into it, as its text")
    return key


def _dataset() -> dict[str, Any]:
    uri = _setting("CONTRACTS_URI")
    parts = urlsplit(uri)
    try:
        answer = s3_client().get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
    except ClientError as error:
        raise RuntimeError(f"the compiled contracts cannot be read from {uri}: {error}") from error
    contracts = json.loads(answer["Body"].read())
    (name,) = contracts["fetched"][SOURCE]
    return contracts["datasets"][name]


def _day(text: Any) -> date:
    try:
        if isinstance(text, str) and date.fromisoformat(text).isoformat() == text:
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise DeliveryError(f"delivery_date: expected YYYY-MM-DD, found {text!r}")


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"environment variable {name} is not set on the function")
    return value
