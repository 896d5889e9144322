"""The checksums that S3 verifies, among them the two CRCs that Python does not have.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from functools import cache
from typing import Protocol

_CRC32 = 0xEDB88320
_CRC32C = 0x82F63B78
_CRC64NVME = 0x9A6C9329AC4BC9B5
_LANES = 1 << 14
_BLOCK = 1 << 20


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class Polynomial:
    """A reflected CRC of 4 or 8 bytes whose register starts, and is xored at the end, with ones.

    A block is cut into lanes that advance together: byte ``k`` of all their registers is one
    string, so that one table look-up for all lanes is ``bytes.translate``. That is some ten
    times as fast as a loop over bytes.
    """

    def __init__(self, polynomial: int, width: int) -> None:
        self.width = width
        self.ones = (1 << 8 * width) - 1
        self.table = [0] * 256
        for index in range(256):
            value = index
            for _ in range(8):
                value = (value >> 1) ^ (polynomial if value & 1 else 0)
            self.table[index] = value
        self._planes = _planes(self.table, width)
        self._zeros: dict[int, list[list[int]]] = {}

    def _after_zeros(self, count: int) -> list[list[int]]:
        """For each byte of the register its value after ``count`` (a power of 2) zero bytes."""
        tables = self._zeros.get(count)
        if tables is None:
            bits = [1 << bit for bit in range(8 * self.width)]
            if count == 1:
                base = [(bit >> 8) ^ self.table[bit & 255] for bit in bits]
            else:
                half = self._after_zeros(count // 2)
                base = [_apply(half, _apply(half, bit)) for bit in bits]
            tables = []
            for byte in range(self.width):
                table = [0] * 256
                for value in range(1, 256):
                    low = value & -value
                    table[value] = table[value ^ low] ^ base[8 * byte + low.bit_length() - 1]
                tables.append(table)
            self._zeros[count] = tables
        return tables

    def shift(self, register: int, count: int) -> int:
        """The register after ``count`` zero bytes."""
        power = 1
        while count:
            if count & 1:
                register = _apply(self._after_zeros(power), register)
            count >>= 1
            power <<= 1
        return register

    def feed(self, register: int, data: bytes) -> int:
        """The register after ``data``."""
        table, start = self.table, 0
        while len(data) - start >= _BLOCK:
            block = data[start : start + _BLOCK]
            register = _apply(self._after_zeros(_BLOCK), register) ^ self._feed_lanes(block)
            start += _BLOCK
        for byte in data[start:]:
            register = (register >> 8) ^ table[(register ^ byte) & 255]
        return register

    def _feed_lanes(self, block: bytes) -> int:
        """A block's register, started with zero."""
        lanes, stride, width = _LANES, _BLOCK // _LANES, self.width
        number = int.from_bytes
        planes = [0] * width + [0]
        for step in range(stride):
            index = (planes[0] ^ number(block[step::stride], "little")).to_bytes(lanes, "little")
            planes = [
                planes[k + 1] ^ number(index.translate(self._planes[k]), "little")
                for k in range(width)
            ] + [0]
        columns = [plane.to_bytes(lanes, "little") for plane in planes[:width]]
        while lanes > 1:
            lanes //= 2
            moves = [_planes(table, width) for table in self._after_zeros(stride)]
            merged = []
            for k in range(width):
                value = number(columns[k][1::2], "little")
                for byte in range(width):
                    value ^= number(columns[byte][0::2].translate(moves[byte][k]), "little")
                merged.append(value.to_bytes(lanes, "little"))
            columns = merged
            stride *= 2
        return sum(column[0] << 8 * k for k, column in enumerate(columns))

    def combine(self, first: bytes, second: bytes, size: int) -> bytes:
        """The CRC of two pieces behind each other, the second of ``size`` bytes."""
        left, right = int.from_bytes(first, "big"), int.from_bytes(second, "big")
        return (self.shift(left, size) ^ right).to_bytes(self.width, "big")


class Crc:
    """A CRC as a hash object."""

    def __init__(self, polynomial: Polynomial) -> None:
        self._polynomial = polynomial
        self._register = polynomial.ones

    def update(self, data: bytes, /) -> None:
        self._register = self._polynomial.feed(self._register, data)

    def digest(self) -> bytes:
        value = self._register ^ self._polynomial.ones
        return value.to_bytes(self._polynomial.width, "big")


def _planes(table: list[int], width: int) -> list[bytes]:
    return [bytes(value >> 8 * k & 255 for value in table) for k in range(width)]


def _apply(tables: list[list[int]], register: int) -> int:
    value = 0
    for byte, table in enumerate(tables):
        value ^= table[register >> 8 * byte & 255]
    return value


@cache
def polynomial_of(algorithm: str) -> Polynomial:
    """The polynomial of ``crc32``, ``crc32c`` or ``crc64nvme``."""
    parameters = {"crc32": (_CRC32, 4), "crc32c": (_CRC32C, 4), "crc64nvme": (_CRC64NVME, 8)}
    return Polynomial(*parameters[algorithm])


def md5() -> Hash:
    return hashlib.md5(usedforsecurity=False)


CHECKSUMS: dict[str, Callable[[], Hash]] = {
    "crc32": Crc32,
    "crc32c": lambda: Crc(polynomial_of("crc32c")),
    "crc64nvme": lambda: Crc(polynomial_of("crc64nvme")),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
}
"""The algorithms of x-amz-checksum-* by their lower-case names."""

FULL_OBJECT = ("crc32", "crc32c", "crc64nvme")
"""Algorithms whose checksum of a whole follows from those of its parts."""


def composite(algorithm: str, parts: list[str]) -> str:
    """The checksum of the parts' checksums (base64), with their number."""
    digest = CHECKSUMS[algorithm]()
    for part in parts:
        digest.update(base64.b64decode(part))
    return f"{base64.b64encode(digest.digest()).decode()}-{len(parts)}"


def full_object(algorithm: str, parts: list[tuple[str, int]]) -> str:
    """The checksum of a whole from its parts' checksums (base64) and sizes."""
    polynomial = polynomial_of(algorithm)
    whole = base64.b64decode(parts[0][0])
    for text, size in parts[1:]:
        whole = polynomial.combine(whole, base64.b64decode(text), size)
    return base64.b64encode(whole).decode()
