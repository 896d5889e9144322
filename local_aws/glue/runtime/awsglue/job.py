"""A job's beginning and end, which on AWS keep its bookmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Job:
    """``Job(glueContext).init(name, args)`` ... ``commit()``.

    There are no bookmarks here (``--job-bookmark-option job-bookmark-disable`` is the only one
    that a run is started with), so that neither call keeps anything; on AWS they do not either.
    """

    def __init__(self, glue_context: Any) -> None:
        self._glue_context = glue_context
        self._initialized = False

    def init(self, job_name: str, args: Mapping[str, Any] | None = None) -> None:
        self._initialized = True

    def isInitialized(self) -> bool:
        return self._initialized

    def commit(self) -> None:
        if not self._initialized:
            raise RuntimeError("Job.commit was called before Job.init.")
