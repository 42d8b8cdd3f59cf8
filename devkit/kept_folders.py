"""Folders that are made once for what they depend on, and shared by all devkits from then on."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devkit.build_commands import Build
from devkit.engines.base import OnLine

_COMPLETE = ".complete"

Fill = Callable[[Path, Build], None]
"""Makes a folder, by the commands of a build."""


def keep(path: Path, fill: Fill, on_line: OnLine) -> Path:
    """The folder of this path, made if there is none yet.

    Any number of processes may ask for it at once. It exists once its marker file does; the
    marker's modification time is when it was last asked for. Nothing half made is left.

    Args:
        path: Is named by what it depends on.
        fill: Makes it, while nobody else does.
        on_line: Is given every line of progress as it comes.
    """
    if _is_complete(path):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_suffix(".lock"), on_line) as lock:
        if not _is_complete(path):
            _make(path, fill, Build(on_line, lock))
    return path


def _make(path: Path, fill: Fill, build: Build) -> None:
    shutil.rmtree(path, ignore_errors=True)  # what a killed devkit had begun
    try:
        fill(path, build)
        (path / _COMPLETE).touch()
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


@contextmanager
def _locked(path: Path, on_line: OnLine) -> Iterator[int]:
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_line("waiting for another devkit that makes the same environment")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _is_complete(path: Path) -> bool:
    try:
        os.utime(path / _COMPLETE)
    except FileNotFoundError:
        return False
    return True
