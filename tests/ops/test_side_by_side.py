"""Two checkouts' stacks beside each other: neither sees, stops or empties the other's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import processes, sql, stack
from ops.settings import ROOT, Settings
from tests.e2e.conftest import free_ports


@pytest.fixture
def checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Settings, Settings]]:
    """The settings of two running stacks, each as its own checkout finds them."""
    ports, found = free_ports(4), []
    for number, name in enumerate(("one", "other")):
        given = Settings(tmp_path / name, ports[2 * number], ports[2 * number + 1], "same-prefix")
        given.state.mkdir()
        stack._remember(given)
        monkeypatch.setenv("MADRUGADA_STATE", str(given.state))
        monkeypatch.setenv("MADRUGADA_PREFIX", given.prefix)
        found.append(Settings.load())
        assert found[-1] == given
        aws = [sys.executable, "-m", "local_aws", "--state", str(given.state / "aws")]
        processes.start(
            "aws", [*aws, "--port", str(given.aws_port)], given.state, {"PYTHONPATH": str(ROOT)}
        )
    try:
        for one in found:
            (pid,) = processes.of_stack(one.state)
            processes.wait_until(
                "The embedded AWS",
                pid,
                one.logs / "aws.log",
                lambda url=one.aws_url: stack.answers(f"{url}/_local/health"),
                60,
            )
        yield found[0], found[1]
    finally:
        for one in found:
            processes.stop(one.state)


def test_two_checkouts_do_not_see_each_other(checkouts: tuple[Settings, Settings]) -> None:
    one, other = checkouts
    bucket = one.bucket("landing")
    assert bucket == other.bucket("landing")
    for settings, body in ((one, b"one"), (other, b"other")):
        s3 = sql.client(settings, "s3")
        assert s3.list_buckets()["Buckets"] == []
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="file", Body=body)
        sql.client(settings, "glue").create_database(DatabaseInput={"Name": body.decode()})
    for settings, body in ((one, b"one"), (other, b"other")):
        s3 = sql.client(settings, "s3")
        assert s3.get_object(Bucket=bucket, Key="file")["Body"].read() == body
        databases = sql.client(settings, "glue").get_databases()["DatabaseList"]
        assert [database["Name"] for database in databases] == [body.decode()]
    assert not processes.of_stack(one.state) & processes.of_stack(other.state)

    assert processes.stop(one.state) == 1
    assert not stack.answers(f"{one.aws_url}/_local/health")
    stack.clean(one)
    s3 = sql.client(other, "s3")
    assert s3.get_object(Bucket=bucket, Key="file")["Body"].read() == b"other"
    for folder in ("one", "other"):
        assert (one.state.parent / folder).exists() == (folder == "other")
