"""What a deployment uploads."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from infra.artifacts import archive, glue_artifacts, lambda_artifact


def make(folder: Path) -> Path:
    (folder / "package" / "__pycache__").mkdir(parents=True)
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "b.py").write_text("B = 1\n")
    (folder / "package" / "__pycache__" / "b.cpython-311.pyc").write_bytes(b"\0")
    (folder / "job.py").write_text("print()\n")
    return folder


def names(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return opened.namelist()


def test_an_archive_depends_on_nothing_but_its_files(tmp_path: Path) -> None:
    one = make(tmp_path / "one") / "package"
    two = make(tmp_path / "two") / "package"
    os.utime(two / "b.py", (0, 0))
    (two / "b.py").chmod(0o600)
    assert archive(one) == archive(two)
    assert names(archive(one, "package")) == ["package/__init__.py", "package/b.py"]
    (two / "b.py").write_text("B = 2\n")
    assert archive(one) != archive(two)


def test_an_empty_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no files to archive"):
        archive(tmp_path)


def test_scripts_and_packages_are_artifacts(tmp_path: Path) -> None:
    found = {item.key: item.data for item in glue_artifacts(make(tmp_path))}
    assert found.keys() == {"glue_scripts/job.py", "glue_scripts/package.zip"}
    assert names(found["glue_scripts/package.zip"])[0] == "package/__init__.py"


def test_a_functions_key_names_its_content(tmp_path: Path) -> None:
    folder = tmp_path / "ingest"
    folder.mkdir()
    (folder / "handler.py").write_text("one")
    before = lambda_artifact("ingest", tmp_path)
    assert before.key.startswith("lambdas/ingest-")
    assert names(before.data) == ["handler.py"]
    assert lambda_artifact("ingest", tmp_path).key == before.key
    (folder / "handler.py").write_text("two")
    assert lambda_artifact("ingest", tmp_path).key != before.key
