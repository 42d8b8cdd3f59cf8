"""An archive's files as facts: names, sizes and checksums."""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
from pathlib import Path
from typing import IO

ROOT = "(archive of)"

_CHUNK_BYTES = 1 << 20
_SHOWN_DIGITS = 16


def members(archive: Path | None, *, root: str) -> dict[str, str]:
    """What is in a ``.tar.gz``, folders aside; one fact says of what folder it is, if there is one.

    It is read once, as a stream: an archive need not fit into memory.

    Args:
        archive: It; ``None`` where there is none.
        root: The container's folder that its names are below, with ``/`` at its end.
    """
    if archive is None:
        return {ROOT: "none"}
    found = {ROOT: root}
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            if member.isdir():
                continue
            content = tar.extractfile(member) if member.isreg() else None
            what = "no file" if content is None else _checksum(content)
            found[root + posixpath.normpath(member.name)] = f"{member.size} bytes, {what}"
    return found


def has(archive: Path | None, name: str) -> bool:
    """Whether there is a folder or file of that name at the top of a ``.tar.gz``."""
    if archive is None:
        return False
    with tarfile.open(archive, "r|gz") as tar:
        return any(posixpath.normpath(member.name).split("/")[0] == name for member in tar)


def _checksum(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    with content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return f"SHA-256 {digest.hexdigest()[:_SHOWN_DIGITS]}…"
