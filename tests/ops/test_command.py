"""What goes wrong in a command is told in a sentence, whichever command it is."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

import ops
from ops import run, stack
from ops.command import command
from ops.settings import Settings

COMMANDS = [
    name
    for _, name, _ in pkgutil.iter_modules(ops.__path__)
    if "\ndef main(" in (Path(ops.__path__[0]) / f"{name}.py").read_text()
]
REFUSED = ClientError(
    {"Error": {"Code": "ResourceNotFoundException", "Message": "can't find the secret."}},
    "PutSecretValue",
)
AWAY = EndpointConnectionError(endpoint_url="http://127.0.0.1:1/")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_does_so(name: str) -> None:
    assert hasattr(importlib.import_module(f"ops.{name}").main, "__wrapped__")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            REFUSED,
            "refused PutSecretValue: ResourceNotFoundException: can't find the secret.\nWhat",
        ),
        (AWAY, '"http://127.0.0.1:1/"). Start it with: make up'),
    ],
)
def test_an_error_of_aws(
    error: Exception,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(settings: Settings) -> None:
        raise error

    monkeypatch.setenv("MADRUGADA_STATE", str(tmp_path))
    monkeypatch.setattr(stack, "up", fail)
    monkeypatch.setattr(run, "up", fail)
    for main, arguments in ((stack.main, ["up"]), (run.main, [])):
        assert main(arguments) == 1
        assert expected in capsys.readouterr().err


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    @command
    def main(argv: list[str] | None = None) -> int:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        main([])
