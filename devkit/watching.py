"""Notices edits: what a folder's files look like now, and what of it has changed and settled.

By looking, ten times a second: that needs no library, and works on every file system, shared
folders of virtual machines included, where notifications do not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# What Python and editors put beside a file, and no program reads.
_IGNORED_FOLDERS = frozenset(
    {"__pycache__", ".git", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
)
_IGNORED_FILES = re.compile(
    r".*\.py[co]|\..*\.sw[a-z]|4913|.*~|\.?#.*|.*___jb_(tmp|old)___|\.DS_Store"
)


class Look(NamedTuple):
    """What is seen of a file without reading it."""

    modified_ns: int
    size: int
    mode: int


Snapshot = Mapping[str, Look]
"""The files of a moment, by their names."""


def folder_snapshot(folder: Path) -> Snapshot:
    """All files below a folder, apart from those that no program reads."""
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _IGNORED_FOLDERS]
        for name in files:
            if not _IGNORED_FILES.fullmatch(name):
                path = Path(parent, name)
                with suppress(OSError):  # it has just gone
                    found[path.relative_to(folder).as_posix()] = _look(path)
    return found


def files_snapshot(files: Iterable[Path], folder: Path | None = None) -> Snapshot:
    """Those of the files that exist.

    Args:
        files: The files.
        folder: What their names begin below; by default each name is the last part alone.
    """
    found = {}
    for file in files:
        with suppress(OSError):
            name = file.name if folder is None else file.relative_to(folder).as_posix()
            found[name] = _look(file)
    return found


class Watch:
    """Tells changes once they have settled: two looks in a row see the same.

    Args:
        look: Takes a snapshot.
    """

    def __init__(self, look: Callable[[], Snapshot]) -> None:
        self._look = look
        self._known = self._seen = look()

    def changed(self) -> list[str]:
        """Look once: the names of files that are new, gone or other than at the last change."""
        found = self._look()
        settled, self._seen = found == self._seen, found
        if not settled or found == self._known:
            return []
        before, self._known = self._known, found
        names = before.keys() | found.keys()
        return sorted(name for name in names if before.get(name) != found.get(name))


def _look(path: Path) -> Look:
    seen = path.stat()
    return Look(seen.st_mtime_ns, seen.st_size, seen.st_mode)
