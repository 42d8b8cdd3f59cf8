"""S3's checksums, of bytes as they come."""

from __future__ import annotations

import hashlib
import importlib
import zlib
from collections.abc import Callable
from typing import Protocol

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")


class Digest(Protocol):
    """What hashlib's objects are; :class:`_Crc` is one, too."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def digest(self) -> bytes:
        """The checksum of all bytes so far."""


class _Crc:
    def __init__(self, step: Callable[[bytes, int], int], size: int) -> None:
        self._step, self._size, self._value = step, size, 0

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def new(algorithm: str) -> Digest:
    """Begin a checksum.

    Without a library for it, CRC32C and CRC64NVME are CRC32: moto's choice, so that what one of
    the two computes the other finds right. See :func:`is_exact`.
    """
    if algorithm == "SHA1":
        return hashlib.sha1(usedforsecurity=False)
    if algorithm == "SHA256":
        return hashlib.sha256()
    if algorithm == "CRC32C" and is_exact(algorithm):
        return _Crc(importlib.import_module("crc32c").crc32c, 4)
    if algorithm == "CRC64NVME" and is_exact(algorithm):
        return _Crc(importlib.import_module("awscrt.checksums").crc64nvme, 8)
    return _Crc(zlib.crc32, 4)


def is_exact(algorithm: str) -> bool:
    """Whether what is computed here is that checksum, and not CRC32 in its place."""
    library = {"CRC32C": "crc32c", "CRC64NVME": "awscrt.checksums"}.get(algorithm)
    if library is None:
        return algorithm in ALGORITHMS
    try:
        importlib.import_module(library)
    except ImportError:
        return False
    return True
