"""Request bodies as streams: plain, chunked by the SDKs (``aws-chunked``), with checksums.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from local_aws.s3.checksums import CHECKSUMS, Hash, md5
from local_aws.s3.errors import S3Error
from local_aws.service import Unsupported

BLOCK = 1 << 20
CHECKSUM_HEADER = "x-amz-checksum-"


class Body:
    """One request's body, read once. ``md5`` and ``checksums`` are known when it was read."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ
        self._input: BinaryIO = environ["wsgi.input"]
        self._chunked = bool(environ.get("wsgi.input_terminated"))
        self._left = int(environ.get("CONTENT_LENGTH") or 0)
        self.trailers: dict[str, str] = {}
        self.md5 = ""
        self.size = 0
        self.checksums: dict[str, str] = {}

    @property
    def given(self) -> bool:
        """Whether the request says how long its body is, as S3 demands for uploads."""
        return self._chunked or "CONTENT_LENGTH" in self._environ

    def _header(self, name: str) -> str | None:
        return self._environ.get(f"HTTP_{name.upper().replace('-', '_')}")

    def _raw(self, size: int) -> bytes:
        if self._chunked:
            return self._input.read(size)
        data = self._input.read(min(size, self._left)) if self._left else b""
        self._left -= len(data)
        return data

    def _exactly(self, size: int) -> bytes:
        data = self._raw(size)
        while len(data) < size:
            more = self._raw(size - len(data))
            if not more:
                raise _incomplete()
            data += more
        return data

    def _line(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\r\n"):
            byte = self._raw(1)
            if not byte:
                break
            line += byte
            if len(line) > 16384:
                raise S3Error("InvalidRequest", "A chunk header of the body is too long")
        return bytes(line).rstrip(b"\r\n")

    def _aws_chunks(self) -> Iterator[bytes]:
        while True:
            header = self._line()
            try:
                size = int(header.split(b";", 1)[0], 16)
            except ValueError:
                raise _incomplete() from None
            if size == 0:
                break
            while size:
                data = self._exactly(min(size, BLOCK))
                size -= len(data)
                yield data
            if self._exactly(2) != b"\r\n":
                raise _incomplete()
        while line := self._line():
            name, _, value = line.decode("latin-1").partition(":")
            self.trailers[name.strip().lower()] = value.strip()

    def _plain(self) -> Iterator[bytes]:
        if self._chunked:
            while data := self._raw(BLOCK):
                yield data
            return
        while self._left:
            data = self._raw(BLOCK)
            if not data:
                raise _incomplete()
            yield data

    def is_aws_chunked(self) -> bool:
        return (self._header("x-amz-content-sha256") or "").startswith("STREAMING-") or (
            "aws-chunked" in (self._header("content-encoding") or "")
        )

    def blocks(self, algorithm: str | None = None, verify: bool = True) -> Iterator[bytes]:
        """The content, verified at its end against everything the request says about it.

        Args:
            algorithm: compute this checksum too, whether or not the request carries it.
            verify: the request's x-amz-checksum-* are of its body.

        Raises:
            S3Error: BadDigest, InvalidDigest, IncompleteBody, XAmzContentSHA256Mismatch.
        """
        hashes: dict[str, Hash] = {"md5": md5()}
        announced = self._announced() if verify else set()
        for name in announced | ({algorithm} if algorithm else set()):
            hashes.setdefault(name, CHECKSUMS[name]())
        sha256 = self._header("x-amz-content-sha256") or ""
        if len(sha256) == 64:
            hashes.setdefault("sha256", hashlib.sha256())
        for data in self._aws_chunks() if self.is_aws_chunked() else self._plain():
            self.size += len(data)
            for each in hashes.values():
                each.update(data)
            yield data
        digests = {name: each.digest() for name, each in hashes.items()}
        self.md5 = digests["md5"].hex()
        self._verify(digests, sha256, announced, algorithm)

    def _announced(self) -> set[str]:
        """The algorithms whose checksums the request carries, in a header or at its end.

        Raises:
            Unsupported: an algorithm that is not verified here.
        """
        names = {
            name[len("HTTP_X_AMZ_CHECKSUM_") :].lower()
            for name in self._environ
            if name.startswith("HTTP_X_AMZ_CHECKSUM_")
        } - {"mode", "algorithm", "type"}
        for name in (self._header("x-amz-trailer") or "").lower().split(","):
            if name.strip().startswith(CHECKSUM_HEADER):
                names.add(name.strip().removeprefix(CHECKSUM_HEADER))
        unknown = sorted(names - set(CHECKSUMS))
        if unknown:
            raise Unsupported(
                f"the checksum {unknown[0].upper()}",
                f"Supported checksums: {', '.join(CHECKSUMS).upper()}.",
            )
        return names

    def _verify(
        self,
        digests: Mapping[str, bytes],
        sha256: str,
        announced: set[str],
        algorithm: str | None,
    ) -> None:
        decoded = self._header("x-amz-decoded-content-length")
        if decoded and self.is_aws_chunked() and int(decoded) != self.size:
            raise _incomplete()
        if len(sha256) == 64 and digests["sha256"].hex() != sha256:
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                ClientComputedContentSHA256=sha256,
                S3ComputedContentSHA256=digests["sha256"].hex(),
            )
        expected = self._header("content-md5")
        if expected is not None:
            if _decode(expected, 16) is None:
                raise S3Error("InvalidDigest", "The Content-MD5 you specified was invalid.")
            if _decode(expected, 16) != digests["md5"]:
                raise S3Error(
                    "BadDigest",
                    "The Content-MD5 you specified did not match what we received.",
                    ExpectedDigest=expected,
                    CalculatedDigest=base64.b64encode(digests["md5"]).decode(),
                )
        for name in announced:
            self._verify_checksum(name, digests[name])
            self.checksums[name] = base64.b64encode(digests[name]).decode()
        if algorithm:
            self.checksums[algorithm] = base64.b64encode(digests[algorithm]).decode()

    def _verify_checksum(self, name: str, digest: bytes) -> None:
        header = CHECKSUM_HEADER + name
        given = self._header(header) or self.trailers.get(header)
        if given is None:
            raise S3Error("InvalidRequest", f"The trailer {header} is announced but missing")
        decoded = _decode(given, len(digest))
        if decoded is None:
            raise S3Error("InvalidRequest", f"Value for {header} header is invalid.")
        if decoded != digest:
            raise S3Error(
                "BadDigest",
                f"The {name.upper()} you specified did not match the calculated checksum.",
            )

    def text(self, limit: int, verify: bool = True) -> str:
        """The whole body of at most ``limit`` bytes as text."""
        data = bytearray()
        for block in self.blocks(verify=verify):
            data += block
            if len(data) > limit:
                raise S3Error("EntityTooLarge", "The body is larger than this operation allows")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise S3Error("MalformedXML", f"The body is not UTF-8: {error}") from error

    def drain(self) -> None:
        """Read what nobody read, so that the connection can be used again."""
        while self._raw(BLOCK):
            pass


def _decode(text: str, size: int) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) == size else None


def _incomplete() -> S3Error:
    return S3Error(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )
