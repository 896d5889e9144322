"""Functions' archives, unpacked once for each content."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path

from local_aws.service import AwsError

UNPACKED_BYTES = 262_144_000


class CodeStore:
    """Archives by the base64 of their SHA-256, as Lambda names them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)

    def add(self, data: bytes) -> str:
        """Keep and unpack an archive; its base64 SHA-256.

        Raises:
            AwsError: InvalidParameterValueException when it is no archive, or too large.
        """
        sha = base64.b64encode(hashlib.sha256(data).digest()).decode()
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
                if size > UNPACKED_BYTES:
                    raise AwsError(
                        "InvalidParameterValueException",
                        f"Unzipped size must be smaller than {UNPACKED_BYTES} bytes",
                    )
                with self._lock:
                    self._unpack(sha, data, archive)
        except zipfile.BadZipFile as error:
            raise AwsError(
                "InvalidParameterValueException",
                "Could not unzip uploaded file. Please check your file, then try to upload again.",
            ) from error
        return sha

    def _unpack(self, sha: str, data: bytes, archive: zipfile.ZipFile) -> None:
        folder = self.folder(sha)
        if folder.exists():
            return
        scratch = folder.with_suffix(".new")
        shutil.rmtree(scratch, ignore_errors=True)
        archive.extractall(scratch)
        self.archive(sha).write_bytes(data)
        scratch.rename(folder)

    def folder(self, sha: str) -> Path:
        """Where an archive is unpacked."""
        return self.root / base64.b64decode(sha).hex()

    def archive(self, sha: str) -> Path:
        return self.folder(sha).with_suffix(".zip")

    def keep_only(self, used: Iterable[str]) -> None:
        """Delete every archive but these; a process that still runs one has read it already."""
        names = {self.folder(sha).name for sha in used}
        with self._lock:
            for path in self.root.iterdir():
                if path.stem not in names:
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink(missing_ok=True)
