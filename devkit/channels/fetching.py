"""Fetching objects into a folder: a few at a time, as streams, all of them or none."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from devkit.channels.items import Stored
from devkit.errors import DevkitError

_WORKERS = 8
_CHUNK_BYTES = 1024 * 1024
# A copy within the kernel costs no memory; this is how often it looks whether to stop.
_KERNEL_CHUNK_BYTES = 64 * _CHUNK_BYTES
# The two files are not on one disk, or not of a kind the kernel copies between.
_NOT_BY_KERNEL = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF}


class _Stopped(Exception):
    """Another object has failed, or the user has had enough."""


def fetch(what: str, objects: Sequence[Stored], folder: Path) -> None:
    """Fetch objects to their paths in a folder, which appears when it is whole.

    Args:
        what: Whose objects they are, for people.
        objects: Each with its path.
        folder: Must not exist.

    Raises:
        DevkitError: One of them could not be read or written; nothing of the folder is left.
    """
    try:
        with _appearing(folder) as partial:
            _fetch_all(objects, partial)
    except OSError as error:
        raise DevkitError(f"{what} cannot be fetched to {folder}: {error}") from error


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fetch_all(objects: Sequence[Stored], folder: Path) -> None:
    queue = iter(objects)
    lock = threading.Lock()
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.is_set():
                with lock:
                    each = next(queue, None)
                if each is None:
                    return
                _fetch_one(each, folder / each.path, stop)
        except _Stopped:
            return
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            for worker in [pool.submit(work) for _ in range(min(_WORKERS, len(objects)))]:
                worker.result()
        except BaseException:  # Ctrl-C, too: the workers end at their next chunk
            stop.set()
            raise


def _fetch_one(each: Stored, path: Path, stop: threading.Event) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with each.source.open(each.key) as source, path.open("xb", buffering=0) as target:
        _copy(source, target, stop)


def _copy(source: IO[bytes], target: IO[bytes], stop: threading.Event) -> None:
    """Copy a stream; from file to file the kernel does it, where the disk can by reference.

    Never by a hard link: a program that writes to its copy must not change the original.
    """
    while _copied_by_kernel(source, target):
        _go_on(stop)
    while data := source.read(_CHUNK_BYTES):
        _go_on(stop)
        view = memoryview(data)
        while view:
            view = view[target.write(view) :]


def _copied_by_kernel(source: IO[bytes], target: IO[bytes]) -> bool:
    """Whether the kernel copied a chunk; not at the end, nor where it cannot."""
    if sys.platform != "linux" or not isinstance(source, io.FileIO):
        return False
    try:
        return os.copy_file_range(source.fileno(), target.fileno(), _KERNEL_CHUNK_BYTES) > 0
    except OSError as error:
        if error.errno in _NOT_BY_KERNEL:
            return False
        raise


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise _Stopped
