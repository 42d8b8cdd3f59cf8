"""Local data on its way to S3: each folder or file once, known again by what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devkit.channels.locations import S3Uri
from devkit.source_files import source_files
from devkit.targets.clients import CallFailed, Clients
from devkit.targets.plan import Resource, Step

_CHUNK_BYTES = 1024 * 1024
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, kw_only=True)
class UploadFiles(Step):
    """The upload of some files, and of a mark that says that all are there."""

    service: str = "s3"
    operation: str = "PutObject"
    files: Mapping[str, Path]
    """By their keys, below the place."""
    place: S3Uri

    def carry_out(self, clients: Clients) -> Mapping[str, Any]:
        """Upload them.

        Raises:
            CallFailed: S3 does not take one.
        """
        for key, path in self.files.items():
            clients.upload(path, S3Uri(self.place.bucket, self.place.prefix + key))
        done = mark_of(self.place)
        parameters = {"Bucket": done.bucket, "Key": done.prefix, "Body": b""}
        return clients.call("s3", "PutObject", parameters)

    def document(self) -> dict[str, Any]:
        """It for machines."""
        return {
            **super().document(),
            "parameters": {"Bucket": self.place.bucket, "Key": f"{self.place.prefix}*"},
            "files": len(self.files),
            "bytes": sum(path.stat().st_size for path in self.files.values()),
        }


def upload(
    clients: Clients, below: S3Uri, name: str, source: Path
) -> tuple[S3Uri, UploadFiles | None]:
    """Where a file or all files of a folder are in S3, and what brings them there.

    Args:
        clients: Asked whether they are there already.
        below: Below which they are.
        name: What this is, such as a channel's name.
        source: The file or folder.

    Returns:
        The object, or the prefix of the folder's files, which ends in ``/``; and the step that is
        to be carried out before it is used, if there is one.

    Raises:
        OSError: It cannot be read.
    """
    files = _files(source)
    folder = S3Uri(below.bucket, f"{below.prefix}{name}/{_digest(files)}/")
    only = next(iter(files)) if source.is_file() else ""
    place = S3Uri(folder.bucket, folder.prefix + only)
    if _is_there(clients, mark_of(folder)):
        return place, None
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    uri = str(folder)
    step = UploadFiles(
        files=files,
        place=folder,
        creates=Resource(kind="object", name=uri, arn=uri.replace("s3://", "arn:aws:s3:::")),
        says=f"upload {name} ({count})",
    )
    return place, step


def mark_of(folder: S3Uri) -> S3Uri:
    """The object that says that all files of a folder are there."""
    return S3Uri(folder.bucket, f"{folder.prefix.rstrip('/')}.complete")


def _is_there(clients: Clients, place: S3Uri) -> bool:
    try:
        clients.call("s3", "HeadObject", {"Bucket": place.bucket, "Key": place.prefix})
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
