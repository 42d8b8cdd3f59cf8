"""Symbolic links in place of bind mounts, where there are no namespaces."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .plan import Link


def make_links(links: Iterable[Link]) -> None:
    """Put each link in its place; what stood there has to be empty."""
    for link in links:
        path = Path(link.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if link.displaced == "folder":
            path.rmdir()
        elif link.displaced == "file":
            path.unlink()
        path.symlink_to(link.source)


def remove_links(links: Iterable[Link]) -> None:
    """Undo :func:`make_links`, as far as it was done; what is not our link is left alone."""
    for link in links:
        path = Path(link.path)
        with suppress(OSError):
            if not path.is_symlink() or str(path.readlink()) != link.source:
                continue
            path.unlink()
            if link.displaced == "folder":
                path.mkdir()
            elif link.displaced == "file":
                path.touch()
