"""The key of TMDB's API is where the function looks for it."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from ops import tmdb
from ops.settings import Settings


@mock_aws
def test_the_key_of_tmdb_is_put_into_a_secret_that_is_empty_old_or_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path, 1, 2, "p")
    secrets = boto3.client("secretsmanager", "us-east-1", aws_access_key_id="x",
                           aws_secret_access_key="x")  # fmt: skip
    name = "p-tmdb-api-key"
    secrets.create_secret(Name=name)
    for key in ("first", "first", "second"):
        monkeypatch.setenv("TMDB_API_KEY", key)
        tmdb.put_key(settings, secrets)
        assert secrets.get_secret_value(SecretId=name)["SecretString"] == key
    secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    tmdb.put_key(settings, secrets)
    assert secrets.get_secret_value(SecretId=name)["SecretString"] == "second"
