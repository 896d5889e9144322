"""The frames of PostgreSQL's protocol, version 3: reading what a client sends, packing answers.

https://www.postgresql.org/docs/8.0/protocol-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO

PROTOCOL = 196608
CANCEL_REQUEST, SSL_REQUEST, GSS_REQUEST = 80877102, 80877103, 80877104
MOST_STARTUP = 10_000
MOST_BYTES = 64 * 1024 * 1024
"""A message that is larger is refused; Redshift's statements have at most 16 MB."""


class ProtocolError(Exception):
    """What a client sent is not the protocol."""


class Body:
    """The content of one message, read from the front."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.content)

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.content):
            raise ProtocolError("insufficient data left in message")
        self.at += count
        return self.content[self.at - count : self.at]

    def int16(self) -> int:
        return struct.unpack("!h", self.take(2))[0]

    def int32(self) -> int:
        return struct.unpack("!i", self.take(4))[0]

    def text(self) -> str:
        """A text up to its zero byte."""
        end = self.content.find(b"\0", self.at)
        if end < 0:
            raise ProtocolError("invalid string in message")
        found = self.take(end - self.at)
        self.at += 1
        try:
            return found.decode()
        except UnicodeDecodeError:
            raise ProtocolError("invalid byte sequence for encoding UTF8") from None

    def value(self) -> bytes | None:
        """A length and that many bytes; None where the length is -1."""
        length = self.int32()
        return None if length == -1 else self.take(length)


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise EOFError
    return found


def read_startup(file: BinaryIO) -> tuple[int, Body]:
    """``(code, content)`` of the first message, which has no type byte."""
    (length,) = struct.unpack("!i", _exactly(file, 4))
    if not 8 <= length <= MOST_STARTUP:
        raise ProtocolError("invalid length of startup packet")
    body = Body(_exactly(file, length - 4))
    return body.int32(), body


def read(file: BinaryIO) -> tuple[bytes, Body]:
    """``(type, content)`` of the next message.

    Raises:
        EOFError: the client is gone.
    """
    kind = _exactly(file, 1)
    (length,) = struct.unpack("!i", _exactly(file, 4))
    if not 4 <= length <= MOST_BYTES:
        raise ProtocolError("invalid message length")
    return kind, Body(_exactly(file, length - 4))


def message(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return kind + struct.pack("!i", len(content) + 4) + content


def int16(value: int) -> bytes:
    return struct.pack("!h", value)


def int32(value: int) -> bytes:
    return struct.pack("!i", value)


def text(value: str) -> bytes:
    return value.replace("\0", "").encode() + b"\0"


def fields(kind: bytes, given: Mapping[str, str]) -> bytes:
    """An ErrorResponse (E) or NoticeResponse (N): S severity, C SQLSTATE, M message, D, H."""
    parts = [letter.encode() + text(value) for letter, value in given.items() if value]
    return message(kind, *parts, b"\0")
