"""The files of a folder that its author wrote, without what tools leave among them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

_TOOLS = (
    "__pycache__",
    "*.py[co]",
    ".git",
    ".hg",
    ".svn",
    ".tox",
    ".nox",
    ".*_cache",
    ".devkit",
    ".DS_Store",
    ".idea",
    ".vscode",
    "*~",
    "*.sw[op]",
    ".#*",
    "#*#",
)


def source_files(folder: Path) -> Iterator[Path]:
    """Everything below a folder but folders, sorted, links as they are.

    Left out: caches, repositories, virtual environments, and what editors and macOS leave.
    """
    for path, folders, files in os.walk(folder):
        here = Path(path)
        folders[:] = sorted(name for name in folders if not _is_a_tools(here / name))
        linked = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*files, *linked]):
            if not _is_a_tools(here / name):
                yield here / name


def _is_a_tools(path: Path) -> bool:
    return any(fnmatch(path.name, each) for each in _TOOLS) or (path / "pyvenv.cfg").exists()
