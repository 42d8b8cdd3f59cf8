"""RecordIO, MXNet's framing of records in a stream (§1.6, §3).

A record is the magic number, a word with a flag (3 bits) and a length (29 bits), the content, and
zeros up to a multiple of 4. The magic number never stands at a multiple of 4 within a content: a
record that has it there is written in parts, flagged first, middle and last, with the magic left
out between them; a reader puts it back. (dmlc/dmlc-core, src/recordio.cc.)

A record of 2**29 bytes or more cannot be written: cut anywhere else, it would come back with a
magic number between its parts. dmlc refuses it, and so does this module.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from devkit.errors import ConfigError, DevkitError

MAX_RECORD_BYTES = 2**29 - 1

_MAGIC = struct.pack("<I", 0xCED7230A)
_WORD = len(_MAGIC)
_HEADER = struct.Struct("<4sI")
_LENGTH_BITS = 29
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
# A multiple of 4, so that no magic number that counts lies across two chunks.
_CHUNK_BYTES = 1024 * 1024


class BadRecordIO(DevkitError):
    """Bytes that are no RecordIO."""


def check_size(name: str, size: int) -> None:
    """Refuse an object that no record can carry.

    Raises:
        ConfigError: It has 2**29 bytes or more.
    """
    if size > MAX_RECORD_BYTES:
        raise ConfigError(
            f"{name!r} has {size} bytes, and a RecordIO record carries at most {MAX_RECORD_BYTES}",
            remedy="split the object, or set RecordWrapperType to None",
        )


def wrap(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The content of a file as one record, in chunks.

    A length comes before what it measures, so the file is read twice; memory stays at a few
    chunks.

    Args:
        file: Seekable.
        size: Its length in bytes, at most :data:`MAX_RECORD_BYTES`.

    Raises:
        DevkitError: The file got shorter meanwhile.
    """
    start = 0
    for magic in _magics(file, size):
        yield from _part(file, _MIDDLE if start else _FIRST, start, magic)
        start = magic + _WORD
    yield from _part(file, _LAST if start else _WHOLE, start, size)
    yield bytes(-size % _WORD)


def read_records(stream: IO[bytes]) -> Iterator[bytes]:
    """The records of a stream, one whole record in memory at a time.

    Raises:
        BadRecordIO: It is no RecordIO, or breaks off.
    """
    parts: list[bytes] = []
    while header := _read(stream, _HEADER.size):
        flag, content = _read_part(stream, header)
        if (flag in (_MIDDLE, _LAST)) != bool(parts):
            raise BadRecordIO(f"RecordIO: a part with flag {flag} out of place")
        parts.append(content)
        if flag in (_WHOLE, _LAST):
            yield _MAGIC.join(parts)
            parts.clear()
    if parts:
        raise BadRecordIO("RecordIO: the last record has no last part")


def _magics(file: IO[bytes], size: int) -> Iterator[int]:
    """Where the magic number stands at a multiple of 4."""
    for offset in range(0, size, _CHUNK_BYTES):
        chunk = _read_at(file, offset, min(_CHUNK_BYTES, size - offset))
        found = chunk.find(_MAGIC)
        while found >= 0:
            if found % _WORD == 0:
                yield offset + found
            found = chunk.find(_MAGIC, found + 1)


def _part(file: IO[bytes], flag: int, start: int, end: int) -> Iterator[bytes]:
    yield _HEADER.pack(_MAGIC, flag << _LENGTH_BITS | (end - start))
    for offset in range(start, end, _CHUNK_BYTES):
        yield _read_at(file, offset, min(_CHUNK_BYTES, end - offset))


def _read_at(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    data = _read(file, size)
    if len(data) < size:
        raise DevkitError("an object changed while it was read")
    return data


def _read_part(stream: IO[bytes], header: bytes) -> tuple[int, bytes]:
    if len(header) < _HEADER.size:
        raise BadRecordIO("RecordIO: it breaks off within a header")
    magic, word = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise BadRecordIO(f"RecordIO: a record begins with {magic.hex()}, not {_MAGIC.hex()}")
    flag, length = word >> _LENGTH_BITS, word & MAX_RECORD_BYTES
    content = _read(stream, length + -length % _WORD)
    if flag > _LAST or len(content) < length + -length % _WORD:
        raise BadRecordIO(f"RecordIO: a part of {length} bytes with flag {flag} is not whole")
    return flag, content[:length]


def _read(stream: IO[bytes], size: int) -> bytes:
    """As many bytes as there are, up to ``size``, from a stream that may give fewer at a time."""
    data = stream.read(size)
    if len(data) == size or not data:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := stream.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
