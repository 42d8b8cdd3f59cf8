"""A folder as a tar stream, made while it is read: memory does not grow with the folder."""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from devkit.errors import EngineError

_CHUNK_BYTES = 1024 * 1024
_END = b"\0" * (2 * tarfile.BLOCKSIZE)


def seed_chunks(folders: Iterable[tuple[Path, str]], left_out: Set[str]) -> Iterator[bytes]:
    """Folders as an uncompressed tar that is unpacked at ``/``, for a container to start with.

    Everything belongs to root and can be read by anybody: what this user's umask is, is of no
    concern to a container.

    Args:
        folders: Each with its absolute path in the container.
        left_out: Absolute paths that are not packed, because something is mounted there.

    Raises:
        EngineError: Something cannot be read.
    """
    with _reading():
        for folder, target in folders:
            for path in (folder, *_walk(folder)):
                name = (PurePosixPath(target) / path.relative_to(folder).as_posix()).as_posix()
                if name not in left_out:
                    yield from _member(path, name.lstrip("/"), readable=True)
    yield _END


def tar_stream(folder: Path) -> IO[bytes]:
    """The content of a folder as an uncompressed tar stream, members relative to it.

    Files, folders and symbolic links; sockets and named pipes are left out. Everything belongs to
    root, as in a container.

    Raises:
        EngineError: While reading the stream, where something cannot be read.
    """
    return io.BufferedReader(_Chunks(_tar(folder)), _CHUNK_BYTES)


class _Chunks(io.RawIOBase):
    """An iterator of chunks as a readable stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` from the next chunk."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _tar(folder: Path) -> Iterator[bytes]:
    with _reading():
        for path in _walk(folder):
            yield from _member(path, path.relative_to(folder).as_posix())
    yield _END


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(f"cannot read {error.filename}: {error.strerror}") from error


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _member(path: Path, name: str, *, readable: bool = False) -> Iterator[bytes]:
    found = path.lstat()
    header = tarfile.TarInfo(name)
    header.uname = header.gname = "root"
    header.mode = stat.S_IMODE(found.st_mode)
    if readable:
        header.mode = 0o755 if stat.S_ISDIR(found.st_mode) else 0o644
    header.mtime = found.st_mtime
    if stat.S_ISREG(found.st_mode):
        header.size = found.st_size
        with path.open("rb", buffering=0) as file:
            yield _encoded(header)
            yield from _content(file, header.size)
    elif stat.S_ISDIR(found.st_mode):
        header.type = tarfile.DIRTYPE
        yield _encoded(header)
    elif stat.S_ISLNK(found.st_mode):
        header.type = tarfile.SYMTYPE
        header.linkname = str(path.readlink())
        yield _encoded(header)


def _encoded(header: tarfile.TarInfo) -> bytes:
    return header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Exactly as much as the header says, whatever becomes of the file meanwhile."""
    left = size
    while left:
        chunk = file.read(min(left, _CHUNK_BYTES)) or b"\0" * min(left, _CHUNK_BYTES)
        left -= len(chunk)
        yield chunk
    yield b"\0" * (-size % tarfile.BLOCKSIZE)
