"""Local data on its way to S3: each folder or file once, known again by what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from devkit.channels.locations import S3Uri
from devkit.source_files import source_files
from devkit.targets.clients import CallFailed, Clients

_CHUNK_BYTES = 1024 * 1024
_DIGEST_CHARACTERS = 16


class Uploads:
    """Uploads of a project.

    Args:
        clients: Upload.
        place: Below which it goes.
        on_new: Called before anything is uploaded to a place: what comes to be below it.
    """

    def __init__(self, clients: Clients, place: S3Uri, on_new: Callable[[S3Uri], None]) -> None:
        self._clients = clients
        self._place = place
        self._on_new = on_new

    def put(self, name: str, source: Path) -> S3Uri:
        """Have a file or all files of a folder in S3.

        Args:
            name: What this is, such as a channel's name.
            source: The file or folder.

        Returns:
            The object, or the prefix of the folder's files, which ends in ``/``.

        Raises:
            CallFailed: S3 does not take it.
            OSError: It cannot be read.
        """
        files = _files(source)
        folder = S3Uri(self._place.bucket, f"{self._place.prefix}{name}/{_digest(files)}/")
        done = S3Uri(folder.bucket, f"{folder.prefix.rstrip('/')}.complete")
        if not self._is_there(done):
            self._on_new(folder)
            for key, path in files.items():
                self._clients.upload(path, S3Uri(folder.bucket, folder.prefix + key))
            self._clients.call(
                "s3", "PutObject", {"Bucket": done.bucket, "Key": done.prefix, "Body": b""}
            )
        only = next(iter(files)) if source.is_file() else ""
        return S3Uri(folder.bucket, folder.prefix + only)

    def _is_there(self, place: S3Uri) -> bool:
        try:
            self._clients.call("s3", "HeadObject", {"Bucket": place.bucket, "Key": place.prefix})
        except CallFailed:
            return False
        return True


def _files(source: Path) -> dict[str, Path]:
    if source.is_file():
        return {source.name: source}
    return {
        path.relative_to(source).as_posix(): path
        for path in sorted(source_files(source))
        if path.is_file()
    }


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as content:
            while chunk := content.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]
