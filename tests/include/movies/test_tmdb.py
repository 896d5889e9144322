"""The function that brings a day's films from the API, and everything that an API can do to it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest

from include.sample_data.tmdb_api import Answer
from tests.include.movies.conftest import BRONZE, DAY, KEY, SECRET, Api

FILE = "RAW/TMDB/JSON/2026/01/05/movies.json"
MANIFEST = f"_manifests/tmdb/{DAY}.json"
CURSORS = f"_cursors/tmdb/{DAY}/"


def body(aws: Any, key: str = FILE) -> bytes:
    return aws.get_object(Bucket=BRONZE, Key=key)["Body"].read()


def films(aws: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body(aws).decode().splitlines()]


def keys(aws: Any) -> set[str]:
    return {item["Key"] for item in aws.list_objects_v2(Bucket=BRONZE).get("Contents", [])}


def ask(tmdb: ModuleType, **more: Any) -> dict[str, Any]:
    return tmdb.handler({"delivery_date": DAY, **more})


def test_a_day_becomes_one_file_and_its_manifest(aws: Any, api: Api, tmdb: ModuleType) -> None:
    answer = ask(tmdb)
    assert answer["films"] == 105
    assert answer["manifest"] == f"s3://{BRONZE}/{MANIFEST}"
    assert keys(aws) == {FILE, MANIFEST}
    assert api.pages_asked == [1, 2, 3, 4, 5, 6]
    found = films(aws)
    for film, told in zip(found, api.films, strict=True):
        genres = film.pop("genres").split(", ")
        assert genres[0] == "Terror"
        assert len(genres) == len(told["genre_ids"])
        assert film == {name: value for name, value in told.items() if name != "genre_ids"}
    # A number that the list of genres does not have stays one.
    assert any(
        "99999" in json.dumps(one) for one in (json.loads(x) for x in body(aws).split(b"\n") if x)
    )
    manifest = json.loads(body(aws, MANIFEST))
    etag = aws.head_object(Bucket=BRONZE, Key=FILE)["ETag"].strip('"')
    (file,) = manifest["files"]
    assert (file["dataset"], file["key"], file["rows"]) == ("tmdb_movies", FILE, 105)
    assert (file["etag"], file["bytes"]) == (etag, len(body(aws)))
    assert (manifest["status"], manifest["delivery_date"]) == ("complete", DAY)


def test_a_day_that_is_delivered_stays_as_it_is_unless_it_is_asked_for_again(
    aws: Any, api: Api, tmdb: ModuleType
) -> None:
    first = ask(tmdb)
    api.films = api.films[:30]
    asked = len(api.asked)
    assert ask(tmdb) == first
    assert len(api.asked) == asked
    assert ask(tmdb, again=True)["films"] == 30
    aws.delete_object(Bucket=BRONZE, Key=FILE)
    api.films = api.films[:21]
    assert ask(tmdb)["films"] == 21


def broken(kind: str) -> Any:
    return {
        "too many requests": lambda a: Answer(429, {"status_message": "x"}, {"Retry-After": "7"}),
        "an error of its own": lambda a: Answer(503, {}),
        "half a page": lambda a: replace(a, sent=700),
        "no JSON": lambda a: replace(a, document={}, sent=1),
        "another page": lambda a: replace(a, document={**a.document, "page": 1}),
        "no films": lambda a: replace(a, document={**a.document, "results": None}),
        "nothing at all": lambda a: replace(a, sent=0),
    }[kind]


KINDS = [
    "too many requests",
    "an error of its own",
    "half a page",
    "no JSON",
    "another page",
    "no films",
    "nothing at all",
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_may_pass_is_asked_for_again_after_a_pause(
    aws: Any, api: Api, tmdb: ModuleType, kind: str
) -> None:
    api.once(3, broken(kind), times=2)
    ask(tmdb)
    assert api.pages_asked == [1, 2, 3, 3, 3, 4, 5, 6]
    assert [film["id"] for film in films(aws)] == [film["id"] for film in api.films]
    pauses = [seconds for seconds in tmdb.slept if seconds > 0.1]
    assert pauses == ([7.0, 7.0] if kind == "too many requests" else [0.5, 1.0])


def test_an_api_that_stays_away_leaves_pages_to_go_on_with(
    aws: Any, api: Api, tmdb: ModuleType
) -> None:
    api.once(4, broken("an error of its own"), times=6)
    with pytest.raises(tmdb.Unfinished, match=r"3 of 6 pages are there: .* in 6 attempts: 503"):
        ask(tmdb)
    assert keys(aws) == {f"{CURSORS}cursor.json"} | {
        f"{CURSORS}page-000{n}.jsonl" for n in (1, 2, 3)
    }
    api.asked.clear()
    api.tamper = lambda path, query, answer: answer
    ask(tmdb)
    assert api.pages_asked == [4, 5, 6]
    assert len(api.asked) == 3
    assert keys(aws) == {FILE, MANIFEST}
    assert [film["id"] for film in films(aws)] == [film["id"] for film in api.films]


def test_an_api_that_is_down_or_slow_is_told_from_a_bad_one(
    aws: Any, api: Api, tmdb: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import urllib3

    tmdb.http.cache_clear()
    monkeypatch.setattr(tmdb, "TIMEOUT", urllib3.Timeout(connect=0.2, read=0.2))
    monkeypatch.setattr(tmdb, "ATTEMPTS", 2)
    api.once(2, lambda answer: replace(answer, delay=0.5), times=1)
    assert ask(tmdb)["films"] == 105
    monkeypatch.setenv("BASE_URL", "http://127.0.0.1:9/3")
    with pytest.raises(tmdb.Unfinished, match=r"127\.0\.0\.1:9/3/genre/movie/list gave no answer"):
        ask(tmdb, again=True)


def test_a_call_whose_time_runs_out_is_gone_on_with(aws: Any, api: Api, tmdb: ModuleType) -> None:
    context = SimpleNamespace(
        get_remaining_time_in_millis=lambda: 60_000 if len(api.pages_asked) < 4 else 14_000
    )
    with pytest.raises(tmdb.Unfinished, match=r"4 of 6 pages are there: the function's time runs"):
        tmdb.handler({"delivery_date": DAY}, context)
    assert api.pages_asked == [1, 2, 3, 4]
    ask(tmdb)
    assert api.pages_asked == [1, 2, 3, 4, 5, 6]
    assert len(films(aws)) == 105


def test_a_pause_that_does_not_fit_is_not_waited_for(api: Api, tmdb: ModuleType) -> None:
    api.once(2, lambda a: Answer(429, {}, {"Retry-After": "3600"}))
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 300_000)
    with pytest.raises(tmdb.Unfinished, match=r"3600\.0 s are to be waited after 429"):
        tmdb.handler({"delivery_date": DAY}, context)
    assert max(tmdb.slept, default=0) < 1


@pytest.mark.parametrize("key", ["a wrong one", " ", None])
def test_a_key_that_is_wrong_or_missing_is_not_tried_twice(
    aws: Any, api: Api, tmdb: ModuleType, key: str | None
) -> None:
    secrets = boto3.client("secretsmanager")
    if key is None:
        secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)
    else:
        secrets.put_secret_value(SecretId=SECRET, SecretString=key)
    wrong = key == "a wrong one"
    said = "401 Invalid API key" if wrong else f"the secret {SECRET} has no API key"
    with pytest.raises(tmdb.DeliveryError, match=said) as raised:
        ask(tmdb)
    assert SECRET in str(raised.value)
    assert len(api.asked) == wrong
    assert keys(aws) == set()


def test_what_the_api_refuses_is_not_tried_twice(api: Api, tmdb: ModuleType) -> None:
    api.tamper = lambda path, query, answer: Answer(400, {"status_message": "Invalid page"})
    with pytest.raises(tmdb.DeliveryError, match="400 Invalid page"):
        ask(tmdb)
    assert len(api.asked) == 1


def test_a_page_that_is_not_full_is_asked_for_once_more_and_taken(
    aws: Any, api: Api, tmdb: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    def short(answer: Answer) -> Answer:
        return replace(
            answer, document={**answer.document, "results": answer.document["results"][:9]}
        )

    api.once(2, short, times=1)
    assert ask(tmdb)["films"] == 105
    api.asked.clear()
    api.once(2, short, times=9)
    with caplog.at_level(logging.WARNING):
        assert ask(tmdb, again=True)["films"] == 94
    assert api.pages_asked == [1, 2, 2, 3, 4, 5, 6]
    assert "page 2 of 6 has 9 films, not 20, and is taken as it is" in caplog.text


def test_pages_that_come_twice_are_kept_for_silver_to_count(
    aws: Any, api: Api, tmdb: ModuleType
) -> None:
    first = api.films[:20]
    api.once(2, lambda a: replace(a, document={**a.document, "results": first}))
    assert ask(tmdb)["films"] == 105
    assert [film["id"] for film in films(aws)[20:40]] == [film["id"] for film in first]


def test_no_more_than_a_hundred_pages_are_asked_for(
    aws: Any, api: Api, tmdb: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tmdb.MOST_PAGES == 100
    monkeypatch.setattr(tmdb, "MOST_PAGES", 3)
    assert ask(tmdb)["films"] == 60
    assert api.pages_asked == [1, 2, 3]


def test_requests_are_no_more_often_than_agreed(
    api: Api, tmdb: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_PER_SECOND", "2")
    ask(tmdb)
    assert len(tmdb.slept) == 6
    assert all(0.3 < seconds <= 0.5 for seconds in tmdb.slept)


def test_an_api_without_films_is_refused_and_leaves_nothing(
    aws: Any, api: Api, tmdb: ModuleType
) -> None:
    api.films = []
    with pytest.raises(tmdb.DeliveryError, match="0 films of genre 27: expected at least 1"):
        ask(tmdb)
    assert keys(aws) == set()


def test_a_day_that_is_none_is_refused(tmdb: ModuleType) -> None:
    with pytest.raises(tmdb.DeliveryError, match="expected YYYY-MM-DD, found '5/1/2026'"):
        tmdb.handler({"delivery_date": "5/1/2026"})


def test_the_key_is_in_no_message(
    api: Api, tmdb: ModuleType, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tmdb, "ATTEMPTS", 2)
    api.tamper = lambda path, query, answer: replace(answer, sent=3)
    with caplog.at_level(logging.DEBUG, "tmdb"), pytest.raises(tmdb.Unfinished) as raised:
        ask(tmdb)
    said = caplog.text + str(raised.value)
    assert "attempt 1 of 2" in said
    assert KEY not in said
    assert "api_key" not in said


def test_the_stand_in_refuses_as_the_api_does(api: Api) -> None:
    path = "/3/discover/movie"
    good = {"api_key": KEY, "with_genres": "27"}
    assert api.answer(path, good).document["total_pages"] == 6
    assert api.answer(path, {}).status == 401
    assert api.answer(path, {**good, "page": "501"}).status == 400
    assert api.answer(path, {**good, "page": "0"}).status == 400
    assert api.answer("/3/movie", good).status == 404
    api.per_second = 3
    assert api.answer(path, good).status == 429
    assert api.answer(path, good).headers == {"Retry-After": "1"}
