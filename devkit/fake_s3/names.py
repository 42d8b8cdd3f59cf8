"""Which keys and buckets can be files and folders as they are, and what the others are called."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import quote

META = ".meta"
"""The one name in the store's folder that is not a bucket's."""

# As S3 has it; capitals would meet on file systems that do not tell them apart.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_SEGMENT_BYTES = 255
_PATH_BYTES = 1000  # macOS allows 1024
_READABLE_CHARS = 150


def is_bucket_folder(name: str) -> bool:
    """Whether a bucket of this name is a folder of this name."""
    return _BUCKET.fullmatch(name) is not None


def plain_path(folder: Path, key: str) -> Path | None:
    """Where in its bucket's folder a key is a file of the same name; ``None`` if it cannot be.

    That is so of keys with a segment that is empty, ``.`` or ``..`` (``a/``, ``/a``, ``a//b``), and
    of those that are too long or no UTF-8.
    """
    try:
        segments = key.encode().split(b"/")
    except UnicodeEncodeError:
        return None
    if any(not _is_file_name(segment) for segment in segments):
        return None
    path = folder / key
    return path if len(os.fsencode(path)) <= _PATH_BYTES else None


def escaped(name: str) -> str:
    """A file name that stands for any key or bucket, readable, and the same for no other one.

    Names that differ in their capitals alone differ in more than that in here.
    """
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]
    readable = quote(name, safe="", errors="replace")[:_READABLE_CHARS]
    return f"{readable}~{digest}"


def _is_file_name(segment: bytes) -> bool:
    return (
        segment not in (b"", b".", b"..")
        and b"\0" not in segment
        and len(segment) <= _SEGMENT_BYTES
    )
