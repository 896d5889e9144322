"""Listings of the embedded S3: order, prefixes, delimiters, pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_aws.instance import Config
from local_aws.s3.listing import Lister
from local_aws.server import Server

BUCKET = "lists-bucket"
KEYS = [
    "!first",
    "a",
    "a b+c.txt",
    "a-b",
    "b/c/d",
    "b/c-d",
    "b/é",
    "b0",
    "ção/ã=1/x&y<z>.csv",
    "z/",
    "z/1",
    "z/2/3",
    "~",
    "é",
    "\U0001f600",
    "\uffee",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(Config(state=tmp_path_factory.mktemp("aws")), services=["s3"]) as running:
        yield running


@pytest.fixture(scope="module")
def s3(client: Callable[[str], Any]) -> Any:
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    for key in KEYS:
        made.put_object(Bucket=BUCKET, Key=key, Body=b"" if key.endswith("/") else key.encode())
    return made


def in_order(keys: list[str]) -> list[str]:
    return sorted(keys, key=str.encode)


def expected(keys: list[str], prefix: str = "", delimiter: str = "") -> tuple[list[str], list[str]]:
    """Keys and common prefixes by S3's definition."""
    plain, groups = [], []
    for key in in_order(keys):
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            plain.append(key)
        elif (group := key[: at + len(delimiter)]) not in groups:
            groups.append(group)
    return plain, groups


def listed(pages: Any) -> tuple[list[str], list[str]]:
    keys, groups = [], []
    for page in pages:
        keys += [each["Key"] for each in page.get("Contents", [])]
        groups += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
    return keys, groups


def test_keys_come_in_the_order_of_their_bytes(s3: Any) -> None:
    keys, _ = listed([s3.list_objects_v2(Bucket=BUCKET)])
    assert keys == in_order(KEYS)
    assert keys != sorted(KEYS, key=lambda key: key.split("/"))


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize(
    ("prefix", "delimiter"),
    [
        ("", ""),
        ("", "/"),
        ("b", "/"),
        ("b/", "/"),
        ("b/c", ""),
        ("b/c", "/"),
        ("z/", "/"),
        ("z", "/"),
        ("ção/ã=", "/"),
        ("nothing", "/"),
        ("b/c/d", "/"),
        ("", "c"),
        ("b", "c-"),
        ("../", ""),
        ("//", "/"),
    ],
)
def test_pages(s3: Any, operation: str, prefix: str, delimiter: str, size: int) -> None:
    pages = list(
        s3.get_paginator(operation).paginate(
            Bucket=BUCKET,
            Prefix=prefix,
            Delimiter=delimiter,
            PaginationConfig={"PageSize": size},
        )
    )
    assert listed(pages) == expected(KEYS, prefix, delimiter)
    for page in pages[:-1]:
        assert page["IsTruncated"] is True
        assert len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) == size
    assert pages[-1]["IsTruncated"] is False


def test_what_an_entry_says(s3: Any) -> None:
    entry = s3.list_objects_v2(Bucket=BUCKET, Prefix="b0", FetchOwner=True)["Contents"][0]
    head = s3.head_object(Bucket=BUCKET, Key="b0")
    assert entry["ETag"] == head["ETag"]
    assert entry["Size"] == 2
    assert entry["LastModified"] == head["LastModified"]
    assert entry["StorageClass"] == "STANDARD"
    assert entry["Owner"]["ID"]
    assert "Owner" not in s3.list_objects_v2(Bucket=BUCKET, Prefix="b0")["Contents"][0]


def test_start_after_and_marker(s3: Any) -> None:
    behind = [key for key in in_order(KEYS) if key.encode() > b"b/c"]
    assert listed([s3.list_objects_v2(Bucket=BUCKET, StartAfter="b/c")])[0] == behind
    assert listed([s3.list_objects(Bucket=BUCKET, Marker="b/c")])[0] == behind
    answer = s3.list_objects_v2(Bucket=BUCKET, StartAfter="z/1", Prefix="z/")
    assert listed([answer])[0] == ["z/2/3"]
    assert answer["StartAfter"] == "z/1"
    token = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1)["NextContinuationToken"]
    first = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1, ContinuationToken=token, StartAfter="z")
    assert listed([first])[0] == in_order(KEYS)[1:2]


def test_arguments_out_of_range(s3: Any) -> None:
    none = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)
    assert s3.list_objects_v2(Bucket=BUCKET, MaxKeys=5000)["MaxKeys"] == 1000
    for arguments in ({"MaxKeys": -1}, {"ContinuationToken": "made up"}):
        with pytest.raises(ClientError) as caught:
            s3.list_objects_v2(Bucket=BUCKET, **arguments)
        assert caught.value.response["Error"]["Code"] == "InvalidArgument"


def test_versions_of_an_unversioned_bucket(s3: Any) -> None:
    pages = list(
        s3.get_paginator("list_object_versions").paginate(
            Bucket=BUCKET, PaginationConfig={"PageSize": 5}
        )
    )
    versions = [each for page in pages for each in page["Versions"]]
    assert [each["Key"] for each in versions] == in_order(KEYS)
    assert {(each["VersionId"], each["IsLatest"]) for each in versions} == {("null", True)}


def test_more_than_a_page(s3: Any, server: Server) -> None:
    folder = server.aws.s3.bucket_path(BUCKET) / "many"
    folder.mkdir()
    names = [f"{number:05}" for number in range(1500)]
    for name in names:
        (folder / name).write_bytes(b"x")
    try:
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="many/"))
        assert [len(page["Contents"]) for page in pages] == [1000, 500]
        assert listed(pages)[0] == [f"many/{name}" for name in names]
    finally:
        for name in names:
            (folder / name).unlink()


SEGMENT = st.text(st.sampled_from("ab-.0é\U0001f600"), min_size=1, max_size=3).filter(
    lambda text: text not in (".", "..")
)
KEY = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    keys=st.sets(KEY, max_size=12),
    prefix=st.one_of(st.just(""), KEY, KEY.map(lambda key: key + "/")),
    delimiter=st.sampled_from(["", "/", "a", "/a"]),
    size=st.integers(1, 4),
)
def test_any_tree_lists_as_s3_defines_it(
    tmp_path_factory: pytest.TempPathFactory,
    keys: set[str],
    prefix: str,
    delimiter: str,
    size: int,
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    kept = []
    for key in sorted(keys, key=str.encode):
        path = folder / key
        if any(other.startswith(f"{key}/") for other in keys):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        kept.append(key)
    names: list[tuple[str, bool]] = []
    after = ""
    while True:
        lister = iter(Lister(str(folder), [], prefix, after, delimiter))
        page = [item for _, item in zip(range(size), lister, strict=False)]
        names += [(item.name, item.is_prefix) for item in page]
        if len(page) < size:
            break
        after = page[-1].name
    plain, groups = expected(kept, prefix, delimiter)
    assert [name for name, is_prefix in names if not is_prefix] == plain
    assert [name for name, is_prefix in names if is_prefix] == groups
    assert all(one.encode() < other.encode() for (one, _), (other, _) in pairwise(names))
