"""Clients of AWS: one of each service in a process."""

from __future__ import annotations

from typing import Any

import pytest

from madrugada import clients
from madrugada.clients import client


def test_a_service_s_client_is_made_once(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    hook = clients.AwsBaseHook

    def counted(client_type: str) -> Any:
        made.append(client_type)
        return hook(client_type=client_type)

    monkeypatch.setattr(clients, "AwsBaseHook", counted)
    s3 = client("s3")
    s3.create_bucket(Bucket="madrugada-a-bucket")
    assert client("s3") is s3
    assert client("glue").get_databases()["DatabaseList"] == []
    assert made == ["s3", "glue"]
    assert [bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]] == [
        "madrugada-a-bucket"
    ]
