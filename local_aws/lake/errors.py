"""What reading the lake can fail with, in the words of Athena and Redshift Spectrum."""

from __future__ import annotations


class LakeError(Exception):
    """A table that cannot be read. ``code`` is Trino's name, such as ``HIVE_BAD_DATA``.

    Codes: https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
