"""The warehouses that this process has open: one DuckDB file per workgroup and database."""

from __future__ import annotations

import itertools
import shutil
import threading
import weakref
from typing import TYPE_CHECKING, ClassVar

from local_aws.redshift.warehouse import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

    from local_aws.instance import Instance


class Compute:
    """Opens each database once; data belong to the namespace, so the folder has its name."""

    _all: ClassVar[weakref.WeakKeyDictionary[Instance, Compute]] = weakref.WeakKeyDictionary()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pids = itertools.count(1073742000)
        """The process ids of sessions, whatever they came by."""
        self._open: dict[tuple[str, str], Warehouse] = {}
        self._guard = threading.Lock()

    @classmethod
    def of(cls, aws: Instance) -> Compute:
        """The warehouses of one embedded AWS."""
        with cls._lock:
            found = cls._all.get(aws)
            if found is None:
                found = cls._all[aws] = Compute(aws.config.state / "redshift")
            return found

    def path(self, namespace: str, database: str) -> Path:
        return self.root / namespace / f"{database}.duckdb"

    def databases(self, namespace: str) -> list[str]:
        """Databases that were ever used, by their files."""
        return sorted(path.stem for path in (self.root / namespace).glob("*.duckdb"))

    def warehouse(self, namespace: str, database: str) -> Warehouse:
        with self._guard:
            key = (namespace, database)
            if key not in self._open:
                self._open[key] = Warehouse(self.path(namespace, database), database)
            return self._open[key]

    def close(self, namespace: str) -> None:
        """Close a namespace's databases; what they hold stays in their files."""
        with self._guard:
            for key in [key for key in self._open if key[0] == namespace]:
                self._open.pop(key).close()

    def drop(self, namespace: str) -> None:
        """Delete a namespace's databases."""
        self.close(namespace)
        shutil.rmtree(self.root / namespace, ignore_errors=True)

    def stop(self) -> None:
        for namespace in {key[0] for key in list(self._open)}:
            self.close(namespace)
