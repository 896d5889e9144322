"""Arguments of a job script, read as AWS Glue's own module reads them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

_RESERVED = ("JOB_ID", "JOB_RUN_ID", "SECURITY_CONFIGURATION")
_BOOKMARKS = ("job-bookmark-enable", "job-bookmark-pause", "job-bookmark-disable")
_RANGE = ("job-bookmark-from", "job-bookmark-to")
_ALSO_RESERVED = ("continuation-option", "job-bookmark-option", *_RANGE, "encryption-type")
_TEMPORARY = ("RedshiftTempDir", "TempDir")


class GlueArgumentError(Exception):
    """A wanted argument is missing, or one has a value that it cannot have."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


def getResolvedOptions(args: Sequence[str], options: Sequence[str]) -> dict[str, Any]:
    """The values of ``--name value`` in ``args`` for each name in ``options``.

    ``JOB_ID``, ``JOB_RUN_ID``, ``TempDir`` and ``job_bookmark_option`` are always in the result.
    As on AWS, a name with hyphens comes back with underscores, and asking for ``JOB_RUN_ID``
    itself is an error: read it from the result.

    Raises:
        GlueArgumentError: an option is missing.
        RuntimeError: a reserved name was asked for.
    """
    parser = _Parser()
    for name in (*_ALSO_RESERVED, *_RESERVED):
        if name in options:
            raise RuntimeError(f"Using reserved arguments --{name}")
    parser.add_argument("--job-bookmark-option", choices=_BOOKMARKS)
    parser.add_argument("--continuation-option")
    parser.add_argument("--encryption-type", choices=("sse-s3",))
    for name in (*_RANGE, *_RESERVED, *_TEMPORARY):
        parser.add_argument(f"--{name}")
    for name in options:
        if name not in _TEMPORARY:
            parser.add_argument(f"--{name}", required=True)
    found = vars(parser.parse_known_args(list(args[1:]))[0])
    temporary = found["TempDir"] or found["RedshiftTempDir"]
    if temporary is not None:
        found["TempDir"] = found["RedshiftTempDir"] = temporary
    found.pop("continuation_option")
    found["job_bookmark_option"] = found["job_bookmark_option"] or "job-bookmark-disable"
    return found
