"""The catalogue's uploader against the embedded S3: in parts, checked, and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from include.catalogue_uploader import upload
from include.catalogue_uploader.upload import Part, Uploader, UploadError, parts_of
from local_aws.instance import Config
from local_aws.server import Server

BUCKET, KEY = "landing", "catalogue/2026-01-05/movies.csv"
PART = 5 << 20
DAY = date(2026, 1, 5)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws"))) as running:
        yield running


@pytest.fixture
def s3(server: Server) -> Any:
    client = server.aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    for one in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        client.abort_multipart_upload(Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Three parts and a bit."""
    path = tmp_path / "movies.csv"
    path.write_bytes(b"".join(b"tt%07d|A N\xc3\xa9voa\n" % n for n in range(PART * 3 // 19 + 99)))
    return path


class Cut:
    """A client that is cut off after some parts, and counts those that were sent."""

    def __init__(self, s3: Any, after: int | None = None) -> None:
        self.s3, self.after, self.sent = s3, after, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.s3, name)

    def upload_part(self, **given: Any) -> Any:
        if self.after is not None and len(self.sent) >= self.after:
            raise ClientError({"Error": {"Code": "RequestTimeout", "Message": "cut"}}, "UploadPart")
        self.sent.append(given["PartNumber"])
        return self.s3.upload_part(**given)


def body(s3: Any) -> bytes:
    return s3.get_object(Bucket=BUCKET, Key=KEY, ChecksumMode="ENABLED")["Body"].read()


def test_a_big_file_goes_in_parts_and_not_twice(s3: Any, big: Path) -> None:
    told: list[tuple[str, int]] = []
    client = Cut(s3)
    uploader = Uploader(client, BUCKET, lambda *one: told.append(one), PART)
    size = big.stat().st_size
    assert uploader.upload(big, KEY) == upload.Sent(KEY, size, there=0)
    assert sorted(client.sent) == [1, 2, 3, 4]
    assert body(s3) == big.read_bytes()
    assert sum(done for _, done in told) == size
    head = s3.head_object(Bucket=BUCKET, Key=KEY, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"].endswith("-4")
    assert uploader.upload(big, KEY) == upload.Sent(KEY, size, there=size)
    assert len(client.sent) == 4
    # As long, and another one.
    with big.open("r+b") as file:
        file.write(b"TT")
    assert uploader.upload(big, KEY).there == 0
    assert body(s3) == big.read_bytes()


def test_an_upload_that_was_cut_off_is_gone_on_with(s3: Any, big: Path) -> None:
    with pytest.raises(UploadError, match=r"movies\.csv: could not be sent to s3://landing/.*cut"):
        Uploader(Cut(s3, after=2), BUCKET, part_bytes=PART).upload(big, KEY)
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    (left,) = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    parts = s3.list_parts(Bucket=BUCKET, Key=KEY, UploadId=left["UploadId"])["Parts"]
    there = {part["PartNumber"] for part in parts}
    assert len(there) == 2
    # What is there of another file's text is not taken for this one's.
    wrong = min(there)
    with big.open("r+b") as file:
        file.seek((wrong - 1) * PART)
        file.write(b"TT")
    client = Cut(s3)
    sent = Uploader(client, BUCKET, part_bytes=PART).upload(big, KEY)
    assert set(client.sent) == {1, 2, 3, 4} - there | {wrong}
    assert sent.there == sum(part["Size"] for part in parts if part["PartNumber"] != wrong)
    assert body(s3) == big.read_bytes()
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


def test_a_part_that_was_changed_on_its_way_is_refused(
    s3: Any, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "_digest", lambda body: "A" * 43 + "=")
    with pytest.raises(UploadError, match="could not be sent"):
        Uploader(s3, BUCKET, part_bytes=PART).upload(big, KEY)
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_a_folder_is_delivered_with_its_small_files(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(UploadError, match=r"series\.csv: expected a file with rows"):
        upload.deliver(tmp_path, DAY, BUCKET, s3)
    for name in upload.FILES:
        (tmp_path / name).write_text(f"id|{name}\n", encoding="utf-8")
    sent = upload.deliver(tmp_path, DAY, BUCKET, s3)
    assert [one.key for one in sent] == [f"catalogue/2026-01-05/{name}" for name in upload.FILES]
    assert body(s3) == b"id|movies.csv\n"


def test_parts_hold_the_whole_file_and_are_never_too_many() -> None:
    assert parts_of(0) == [Part(1, 0, 0)]
    assert parts_of(11, 5) == [Part(1, 0, 5), Part(2, 5, 5), Part(3, 10, 1)]
    parts = parts_of(200 << 30)
    assert len(parts) <= upload.MOST_PARTS
    assert sum(part.size for part in parts) == 200 << 30
