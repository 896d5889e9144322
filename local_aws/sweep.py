"""Forgetting what AWS would have forgotten: at the start, and every hour while the server is up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Protocol

INTERVAL_SECONDS = 3600.0
STOP_SECONDS = 5.0
log = logging.getLogger("local_aws.sweep")


class Expiring(Protocol):
    """What keeps things for a time."""

    def expire(self) -> None:
        """Delete what is kept no longer; what still runs is not touched."""


class Sweep:
    """Has each of ``swept``, by name, expire its old things, in a thread of its own."""

    def __init__(self, swept: Mapping[str, Expiring]) -> None:
        self._swept = swept
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait for what is being deleted."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def once(self) -> None:
        """One round; what fails is tried again by the next."""
        for name, each in self._swept.items():
            if self._over.is_set():
                return
            try:
                each.expire()
            except Exception:
                log.exception("old things of %s could not be deleted", name)

    def _run(self) -> None:
        self.once()
        while not self._over.wait(INTERVAL_SECONDS):
            self.once()
