"""What a pipe carries of an item: gunzipped or wrapped as the channel asks, chunk by chunk."""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from devkit.channels import recordio
from devkit.channels.items import Item, Literal, Stored
from devkit.channels.plan import ChannelPlan, Compression, RecordWrapper
from devkit.errors import ConfigError

CHUNK_BYTES = 1024 * 1024
# What is kept in memory of an object whose size is not known before it has been read.
_SPOOL_BYTES = 8 * 1024 * 1024


def chunks(plan: ChannelPlan, item: Item) -> Iterator[bytes]:
    """The content of an item as it is streamed, objects and values one after the other (§1.6).

    Memory is bounded whatever the size of the objects. Closing the iterator closes the object.

    Raises:
        ConfigError: An object is gone, is not gzip although the channel says so, or is too big
            for a RecordIO record.
        DevkitError: An object cannot be read.
    """
    for part in item:
        name = part.key if isinstance(part, Stored) else "a value"
        with _opened(plan, part) as file:
            if plan.record_wrapper is RecordWrapper.RECORD_IO:
                yield from _record(name, file)
            else:
                yield from _read_chunks(name, file)


@contextmanager
def _opened(plan: ChannelPlan, part: Stored | Literal) -> Iterator[IO[bytes]]:
    if isinstance(part, Literal):
        yield io.BytesIO(part.content)
        return
    with part.source.open(part.key) as file:
        if plan.compression is Compression.NONE:
            yield file
            return
        # Several members in one object are one content, as for gunzip; an empty object is empty.
        with gzip.GzipFile(fileobj=file, mode="rb") as unzipped:
            yield cast("IO[bytes]", unzipped)


def _read_chunks(name: str, file: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            data = file.read(CHUNK_BYTES)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise ConfigError(
                f"{name!r} is not whole gzip data: {error}",
                remedy="set CompressionType to None for objects that are not gzipped",
            ) from error
        if not data:
            return
        yield data


def _record(name: str, file: IO[bytes]) -> Iterator[bytes]:
    if file.seekable() and not isinstance(file, gzip.GzipFile):
        size = file.seek(0, io.SEEK_END)
        recordio.check_size(name, size)
        yield from recordio.wrap(file, size)
        return
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        size = 0
        for data in _read_chunks(name, file):
            size += spool.write(data)
            recordio.check_size(name, size)
        yield from recordio.wrap(cast("IO[bytes]", spool), size)
