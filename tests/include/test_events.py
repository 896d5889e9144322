"""Events from their objects in bronze to the published silver table."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from include.contracts.compile import load_contracts
from madrugada_spark.contract import JobError
from ops.events import made
from tests.include.conftest import CONTRACTS_URI, load_module
from tests.include.night import BRONZE, SALT_SECRET, Night

LAMBDAS = Path(__file__).resolve().parents[2] / "include" / "lambdas"
MONDAY, TUESDAY = "2026-01-05", "2026-01-06"
SALT = "a salt that nobody knows"
EMAIL, IP = "Ana.Souza@example.com", "187.45.23.211"


class Events(Night):
    """Nights of the clickstream: objects are put where the delivery stream puts them."""

    def __init__(self, spark: Any, s3: Any, root: Path, close: ModuleType) -> None:
        super().__init__(spark, s3, root, close)
        self.close = close

    def arrive(self, day: str, name: str, *lines: str | bytes) -> str:
        """One object of that day; `name` is hour=<HH>/<name>."""
        key = f"clickstream/events/ingest_date={day}/{name}.gz"
        raw = b"".join((x.encode() if isinstance(x, str) else x) + b"\n" for x in lines)
        body = gzip.compress(raw, mtime=0)
        path = self.root / BRONZE / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self.s3.put_object(Bucket=BRONZE, Key=key, Body=body)
        return key

    def night(self, day: str) -> dict[str, Any]:
        """Closes the day and runs it as far as the published table; gives the dataset's report."""
        self.close.handler({"delivery_date": day, "source": "clickstream"})
        report = self.silver(day, "clickstream")
        self.publish(report)
        return report["datasets"]["events"]


@pytest.fixture
def close(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name, value in {
        "BRONZE_BUCKET": BRONZE,
        "CONTRACTS_URI": CONTRACTS_URI,
        "SETTLE_SECONDS": "900",
    }.items():
        monkeypatch.setenv(name, value)
    module = load_module("close_day_handler", LAMBDAS / "close_day" / "handler.py")
    monkeypatch.setattr(module, "now", lambda: datetime(2026, 1, 10, tzinfo=UTC))
    yield module
    sys.modules.pop("close_day_handler", None)


@pytest.fixture
def events(
    spark: Any, aws: Any, buckets_root: Path, close: ModuleType, compiled_text: str
) -> Events:
    """With contracts that take any share of bad lines."""
    contracts = json.loads(compiled_text)
    contracts["datasets"]["events"]["max_quarantined_percent"] = 100
    bucket, key = CONTRACTS_URI.removeprefix("s3://").split("/", 1)
    aws.put_object(Bucket=bucket, Key=key, Body=json.dumps(contracts).encode())
    boto3.client("secretsmanager").create_secret(Name=SALT_SECRET, SecretString=SALT)
    return Events(spark, aws, buckets_root, close)


def event(event_id: str | None, **fields: Any) -> str:
    found: dict[str, Any] = {
        "event_id": event_id,
        "event_timestamp": f"{MONDAY} 10:00:00.000001",
        "event_type": "pageview",
        "page_url_path": "/home",
        "user_custom_id": EMAIL,
        "user_domain_id": "cookie-1",
        "ip_address": IP,
        "geo_latitude": "-23.5475",
        "device_is_mobile": True,
    }
    found |= fields
    return json.dumps({k: v for k, v in found.items() if v is not None}, ensure_ascii=False)


GOOD = event("e1")
BAD: list[tuple[str | bytes, str, str]] = [
    ("", "empty_row", "the line is blank"),
    (GOOD[:-40], "malformed_row", "the line is not one JSON object"),
    (GOOD + GOOD.replace("e1", "hidden"), "malformed_row", "not one JSON object"),
    (GOOD + "," + GOOD.replace("e1", "hidden"), "malformed_row", "not one JSON object"),
    (GOOD + " trailing", "malformed_row", "not one JSON object"),
    (f"[{GOOD}]", "malformed_row", "not one JSON object"),
    ('"event_id"', "malformed_row", "not one JSON object"),
    ("null", "malformed_row", "not one JSON object"),
    ("{'event_id': 'e'}", "malformed_row", "not one JSON object"),
    ('{"event_id": NaN}', "malformed_row", "not one JSON object"),
    ('{"a":' * 3000 + "1" + "}" * 3000, "malformed_row", "not one JSON object"),
    (event("é").encode("latin-1"), "malformed_row", "not one JSON object"),
    ("{}", "event_id_required", "event_id is empty, expected string"),
    (event(None), "event_id_required", "event_id is empty, expected string"),
    (event("  "), "event_id_required", "event_id is empty, expected string"),
    (event("x" * 65), "event_id_max_bytes", "event_id has 65 bytes in UTF-8, expected at most 64"),
    (event("t0", event_timestamp=None), "event_timestamp_required", "event_timestamp is empty"),
    (
        event("t1", event_timestamp="05/01/2026 10:00"),
        "event_timestamp_type",
        "event_timestamp is '05/01/2026 10:00', expected a timestamp as yyyy-MM-dd HH:mm:ss.SSSSSS",
    ),
    (
        event("t2", event_timestamp=f"{MONDAY} 24:00:00.000000"),
        "event_timestamp_type",
        f"'{MONDAY} 24:00:00.000000', expected",
    ),
    (event("t3", event_timestamp=1767607200), "event_timestamp_type", "'1767607200', expected"),
    (
        event("t4", event_timestamp="2026-01-07 00:00:00.000000"),
        "event_timestamp_future",
        "'2026-01-07 00:00:00.000000', expected at most 1 days after it was delivered",
    ),
    (
        event("t5", event_timestamp="0001-01-01 00:00:00.000000"),
        "event_timestamp_minimum",
        "expected at least 2000-01-01",
    ),
]
KEPT = [
    GOOD,
    event("e2", event_timestamp="2026-01-06 23:59:59.999999"),
    event("e3", event_type="hover", user_domain_id="", geo_latitude="north", ip_address="home"),
    event("e4", event_type=None, user_custom_id=None, ip_address="2001:DB8::8a2e:370:7334"),
    event("e5", experiment={"arm": 2, "of": "b@example.com"}, nothing=None, device_is_mobile="?"),
    event("e6", ip_address="::ffff:203.0.113.9", user_custom_id=f" {EMAIL.upper()} "),
]


def test_each_bad_line_has_its_fate_and_nothing_personal_is_written(
    events: Events, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [line for line, _, _ in BAD]
    events.arrive(MONDAY, "hour=00/a", *bad[:5], *KEPT[:3])
    events.arrive(MONDAY, "hour=00/b", *KEPT[3:], KEPT[3], KEPT[0])
    events.arrive(MONDAY, "hour=13/c", *bad[5:], KEPT[0])
    events.arrive(TUESDAY, "hour=00/d", event("tomorrow"))
    report = events.night(MONDAY)
    assert report["delivered"] == len(BAD) + len(KEPT) + 3
    assert report["kept"] == report["rows"] == report["inserted"] == len(KEPT)
    assert report["duplicates"] == 3
    wanted: dict[str, int] = {}
    for _, rule, _ in BAD:
        wanted[rule] = wanted.get(rule, 0) + 1
    assert report["quarantined"] == wanted
    assert report["warned"] == {
        "cookie_id_missing": 1,
        "device_is_mobile_type": 1,
        "event_type_missing": 1,
        "event_type_unknown": 1,
        "geo_latitude_type": 1,
        "ip_address_type": 1,
    }

    out = (
        events.table("silver", "clickstream_quarantine")
        .orderBy("source_file", "line_number")
        .collect()
    )
    places = [("hour=00/a.gz", n) for n in range(1, 6)]
    places += [("hour=13/c.gz", n) for n in range(1, len(BAD) - 4)]
    assert [(r["source_file"], r["line_number"]) for r in out] == places
    assert [r["rule"] for r in out] == [rule for _, rule, _ in BAD]
    for row, (_, _, said) in zip(out, BAD, strict=True):
        assert said in row["reason"], row
    assert out[0]["column_name"] is None
    assert out[-1]["column_name"] == "event_timestamp"

    rows = {r["event_id"]: r for r in events.table("silver", "events").collect()}
    assert sorted(rows) == ["e1", "e2", "e3", "e4", "e5", "e6"]
    one = rows["e1"].asDict()
    digest = hashlib.sha256((SALT + EMAIL.lower()).encode()).hexdigest()
    assert {k: v for k, v in one.items() if v is not None} == {
        "event_id": "e1",
        "event_timestamp": datetime(2026, 1, 5, 10, 0, 0, 1),
        "landing_date": date(2026, 1, 5),
        "event_type": "pageview",
        "page_url_path": "/home",
        "cookie_id": "cookie-1",
        "user_custom_id": digest,
        "ip_address": "187.45.23.0",
        "geo_latitude": Decimal("-23.547500"),
        "device_is_mobile": True,
        "ingest_date": date(2026, 1, 5),
    }
    assert rows["e2"]["event_timestamp"] == datetime(2026, 1, 6, 23, 59, 59, 999999)
    assert rows["e3"]["warnings"].split(";") == [
        "event_type_unknown",
        "cookie_id_missing",
        "ip_address_type",
        "geo_latitude_type",
    ]
    assert (rows["e3"]["event_type"], rows["e3"]["ip_address"]) == ("hover", None)
    assert rows["e4"]["ip_address"] == "2001:db8:0::"
    assert rows["e4"]["user_custom_id"] is None
    assert rows["e5"]["rescued_data"] == '{"experiment":"{\\"arm\\":2,\\"of\\":\\"***\\"}"}'
    assert (rows["e6"]["ip_address"], rows["e6"]["user_custom_id"]) == ("203.0.113.0", digest)

    said = capsys.readouterr().out
    written = json.dumps([*(r.asDict() for r in out), *(r.asDict() for r in rows.values())],
                         default=str) + said  # fmt: skip
    for personal in (EMAIL, EMAIL.lower(), IP, "203.0.113.9", "8a2e", SALT):
        assert personal not in written


@pytest.mark.slow
def test_days_come_in_any_order_and_a_day_takes_in_what_came_late(events: Events) -> None:
    """Nights are run Tuesday, Monday, and Monday again once more of it was found."""
    shared, other = event("shared"), event("other", user_domain_id="cookie-2")
    events.arrive(MONDAY, "hour=01/a", shared, other, shared)
    events.arrive(TUESDAY, "hour=00/a", shared, event("tuesday"))
    newer = events.night(TUESDAY)
    assert (newer["delivered"], newer["kept"], newer["duplicates"]) == (2, 2, 0)
    older = events.night(MONDAY)
    assert (older["delivered"], older["kept"], older["superseded"]) == (3, 2, 1)
    assert (older["duplicates"], older["rows"]) == (1, 3)
    events.arrive(MONDAY, "hour=02/b", other, event("late"), "{")
    again = events.night(MONDAY)
    assert (again["delivered"], again["kept"], again["superseded"]) == (6, 3, 1)
    assert (again["duplicates"], again["quarantined"]) == (2, {"malformed_row": 1})
    rows = events.table("silver", "events").select("event_id", "landing_date", "ingest_date")
    monday, tuesday = date.fromisoformat(MONDAY), date.fromisoformat(TUESDAY)
    assert sorted(tuple(row) for row in rows.collect()) == [
        ("late", monday, monday),
        ("other", monday, monday),
        ("shared", tuesday, tuesday),
        ("tuesday", tuesday, tuesday),
    ]


def test_what_keeps_a_day_from_being_read_is_said(events: Events) -> None:
    key = events.arrive(MONDAY, "hour=01/a", event("e"))
    events.close.handler({"delivery_date": MONDAY, "source": "clickstream"})
    boto3.client("secretsmanager").put_secret_value(SecretId=SALT_SECRET, SecretString="short")
    with pytest.raises(JobError, match="the secret 'test-salt': expected a salt of 16 characters"):
        events.silver(MONDAY, "clickstream")
    boto3.client("secretsmanager").delete_secret(
        SecretId=SALT_SECRET, ForceDeleteWithoutRecovery=True
    )
    with pytest.raises(JobError, match="cannot be read from the secret 'test-salt': ResourceNot"):
        events.silver(MONDAY, "clickstream")
    events.s3.put_object(Bucket=BRONZE, Key=key, Body=b"another")
    with pytest.raises(
        JobError, match=r"1 of 1 files are not there .*hour=01/a\.gz; close the day"
    ):
        events.silver(MONDAY, "clickstream")


@pytest.mark.filterwarnings("ignore:non-integer arguments to randrange:DeprecationWarning")
def test_events_of_the_package_are_taken_as_they_are(events: Events) -> None:
    """Those of `make events SOURCE=fake`: known to the contract field by field, and of today."""
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        lines = list(made(20, "fake", None))
    time.tzset()
    today = datetime.now(UTC)
    events.close.now = lambda: today + timedelta(days=2)  # type: ignore[attr-defined]
    events.arrive(str(today.date()), "hour=00/a", *lines)
    report = events.night(str(today.date()))
    assert (report["delivered"], report["kept"], report["rows"]) == (20, 20, 20)
    assert (report["quarantined"], report["warned"]) == ({}, {})
    keys = {str(c.header) for c in load_contracts()["events"].columns if c.header is not None}
    rows = {row["event_id"]: row for row in events.table("silver", "events").collect()}
    for line in map(json.loads, lines):
        assert set(line) == keys
        row = rows[line["event_id"]]
        assert (row["rescued_data"], row["warnings"]) == (None, None)
        assert row["cookie_id"] == line["user_domain_id"]
        assert str(row["event_timestamp"]) == line["event_timestamp"]
        assert row["device_is_mobile"] is line["device_is_mobile"]
        assert abs(row["event_timestamp"] - today.replace(tzinfo=None)) < timedelta(hours=1)
