"""What is deployed beside the stack: scripts, libraries, archives and compiled contracts."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GLUE_SCRIPTS = ROOT / "include" / "glue_scripts"
LAMBDAS = ROOT / "include" / "lambdas"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Artifact:
    """One object of the artifacts bucket."""

    key: str
    data: bytes

    @property
    def etag(self) -> str:
        """What S3 answers as the ETag of an object that was put in one request."""
        return f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"'


def archive(folder: Path, inside: str = "") -> bytes:
    """The folder's files as a zip whose bytes depend on nothing but their names and contents.

    Args:
        inside: the folder within the archive that the files stand in.

    Raises:
        FileNotFoundError: there is no such folder, or no file in it.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    )
    if not files:
        raise FileNotFoundError(f"{folder} has no files to archive")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for path in files:
            name = path.relative_to(folder).as_posix()
            entry = zipfile.ZipInfo(f"{inside}/{name}" if inside else name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            target.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def glue_artifacts(folder: Path = GLUE_SCRIPTS) -> Iterable[Artifact]:
    """Each script as it is, and each package beside them as ``<package>.zip``."""
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" and path.name != "__init__.py":
            yield Artifact(f"glue_scripts/{path.name}", path.read_bytes())
        elif path.is_dir() and (path / "__init__.py").exists():
            yield Artifact(f"glue_scripts/{path.name}.zip", archive(path, path.name))


def lambda_artifact(function: str, folder: Path = LAMBDAS) -> Artifact:
    """A function's archive, its key naming its content, so that a new one is new code."""
    data = archive(folder / function)
    return Artifact(f"lambdas/{function}-{hashlib.sha256(data).hexdigest()[:16]}.zip", data)


def contracts_artifact() -> Artifact:
    """The compiled contracts, which the function and the jobs read."""
    from include.contracts.compile import compile_contracts

    text = json.dumps(compile_contracts(), ensure_ascii=False, indent=1)
    return Artifact("contracts/contracts.json", text.encode())


def upload(s3: Any, bucket: str, artifacts: Iterable[Artifact]) -> list[str]:
    """Put what the bucket does not have yet; the keys that were put."""
    there: dict[str, str] = {}
    for prefix in ("contracts/", "glue_scripts/", "lambdas/"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            there.update({item["Key"]: item["ETag"] for item in page.get("Contents", [])})
    put = []
    for artifact in artifacts:
        if there.get(artifact.key) != artifact.etag:
            s3.put_object(Bucket=bucket, Key=artifact.key, Body=artifact.data)
            put.append(artifact.key)
    return put
