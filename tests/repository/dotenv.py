"""Read .env files as both of their readers do: GNU make's include and Docker Compose."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import ROOT

EXAMPLE = ROOT / ".env.example"


def read(path: Path) -> dict[str, str]:
    """Name to value.

    Raises:
        ValueError: a line that the two readers would take differently.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        plain = name.replace("_", "").isalnum() and name == name.upper()
        if not equals or not plain or name in values or set(value) & set(" #$\"'\\\t"):
            raise ValueError(f"{path.name}:{number}: expected a new NAME=value, found {line!r}")
        values[name] = value
    return values
