"""The files of a folder that its author wrote, without what tools leave among them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import translate
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


_IS_A_TOOLS = re.compile("|".join(map(translate, _TOOLS)))


def source_files(folder: Path) -> Iterator[Path]:
    """Everything below a folder but folders, sorted, links as they are.

    Left out: caches, repositories, virtual environments, and what editors and macOS leave.
    """
    for path, folders, files in os.walk(folder):
        here = Path(path)
        folders[:] = sorted(
            name
            for name in folders
            if not _IS_A_TOOLS.match(name) and not (here / name / "pyvenv.cfg").exists()
        )
        linked = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*files, *linked]):
            if not _IS_A_TOOLS.match(name):
                yield here / name
