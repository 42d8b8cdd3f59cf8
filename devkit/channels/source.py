"""Where a channel's objects come from: a folder on this machine, or a bucket.

Both look the same from here on: objects under keys, in S3's order (the binary order of the keys'
UTF-8), each read as a stream.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from devkit.channels.s3_reading import S3Client, open_object, reading
from devkit.errors import ConfigError


@dataclass(frozen=True)
class DataObject:
    """One object of a source."""

    key: str
    size: int
    """In bytes."""
    modified: float | None = field(default=None, compare=False)
    """When it was last changed, in seconds since the epoch."""


class ObjectSource(Protocol):
    """Objects under keys."""

    def objects(self) -> Iterator[DataObject]:
        """All of them, in the binary order of their keys' UTF-8.

        Raises:
            ConfigError: A key would lead out of a channel's folder.
        """

    def open(self, key: str) -> IO[bytes]:
        """The content of one object, as a stream the caller closes.

        Raises:
            ConfigError: There is no such object, or its key would lead out of the source.
        """

    def path(self, key: str) -> str:
        """Where the object stands in a channel's folder, with ``/`` between the parts (§1.6)."""


class LocalSource:
    """A folder, or one file, in the place of a prefix.

    Every regular file below the folder is an object, hidden ones too; its key is its relative
    path. Links are followed, and a link back to a folder above it is refused.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def objects(self) -> Iterator[DataObject]:
        """All files below the folder, or the one file."""
        if self._root.is_file():
            found = self._root.stat()
            yield DataObject(self._root.name, found.st_size, found.st_mtime)
        elif self._root.is_dir():
            yield from _files_below(self._root, "", ())
        else:
            raise ConfigError(f"there is no file or folder {self._root}")

    def open(self, key: str) -> IO[bytes]:
        """The file of this key."""
        return self._existing(key).open("rb", buffering=0)

    def path(self, key: str) -> str:
        """The key itself."""
        return checked_path(key)

    def object(self, key: str) -> DataObject:
        """The object of this key, looked up.

        Raises:
            ConfigError: There is none.
        """
        return DataObject(key, self._existing(key).stat().st_size)

    def _existing(self, key: str) -> Path:
        folder = self._root.parent if self._root.is_file() else self._root
        path = folder / checked_path(key)
        if not path.is_file():
            raise ConfigError(f"there is no file {key!r} in {folder}")
        return path


class S3Source:
    """*Every* object of a bucket whose key starts with the prefix (§1.6).

    ``data`` matches ``data2/x`` as well. The empty objects ending in ``/`` that consoles make for
    folders are left out.
    """

    def __init__(self, client: S3Client, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def objects(self) -> Iterator[DataObject]:
        """All matching objects but those made for folders, page by page."""
        return (each for each in self.listed() if each.size or not each.key.endswith("/"))

    def listed(self) -> Iterator[DataObject]:
        """All matching objects, page by page."""
        request = {"Bucket": self._bucket, "Prefix": self._prefix}
        while True:
            with reading(f"s3://{self._bucket}/{self._prefix}"):
                page = self._client.list_objects_v2(**request)
            for entry in page.get("Contents", ()):
                modified = entry.get("LastModified")
                yield DataObject(entry["Key"], entry["Size"], modified and modified.timestamp())
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def open(self, key: str) -> IO[bytes]:
        """The object of this key, which is the whole key in the bucket."""
        return open_object(self._client, self._bucket, key)

    def path(self, key: str) -> str:
        """Relative to the folder the prefix names, else to the prefix' last ``/``.

        AWS documents neither. ``data/mnist`` is how the SDK's ``upload_data`` names the folder
        ``data/mnist/``, and its files are then found directly in the channel; ``data/train`` that
        matches ``data/train-1.csv`` gives ``train-1.csv`` (aws/sagemaker-python-sdk#3612).
        """
        if not key.startswith(self._prefix):
            raise ConfigError(f"s3://{self._bucket}/{key} is not under {self._prefix!r}")
        folder = self._prefix if self._prefix.endswith("/") else f"{self._prefix}/"
        if not self._prefix or not key.startswith(folder):
            folder = self._prefix[: self._prefix.rfind("/") + 1]
        return checked_path(key[len(folder) :])


def checked_path(path: str) -> str:
    """A relative path of plain parts, as it was given.

    Raises:
        ConfigError: It could lead out of a folder, or names no file: ``..``, ``.``, an empty part
            (so also a leading or trailing ``/``) or a NUL.
    """
    if "\0" in path or any(part in {"", ".", ".."} for part in path.split("/")):
        raise ConfigError(
            f"the key {path!r} cannot be the path of a file in a channel: "
            "it is absolute, or has an empty part, '.', '..' or a NUL",
            remedy="rename the object",
        )
    return path


def clash(paths: Collection[str]) -> tuple[str, str] | None:
    """A path that would be a file and a folder, and one inside that folder; ``None``: all fit.

    Args:
        paths: Relative, with ``/`` between the parts; finding one in them must be fast.
    """
    for path in paths:
        cut = path.find("/")
        while cut >= 0:
            if path[:cut] in paths:
                return path[:cut], path
            cut = path.find("/", cut + 1)
    return None


def _files_below(
    folder: Path, prefix: str, above: tuple[tuple[int, int], ...]
) -> Iterator[DataObject]:
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        raise ConfigError(
            f"{folder} leads back to a folder above it", remedy="remove the symbolic link"
        )
    for name, found in sorted(_entries(folder)):
        key = prefix + os.fsdecode(name)
        if stat.S_ISDIR(found.st_mode):
            yield from _files_below(folder / os.fsdecode(name), key, (*above, identity))
        else:
            yield DataObject(key, found.st_size, found.st_mtime)


def _entries(folder: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    # A folder sorts as `name/`, which makes the order of a walk the order of the whole keys.
    for entry in folder.iterdir():
        try:
            status = entry.stat()
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP}:
                continue  # a link to nothing is no regular file
            raise
        if stat.S_ISDIR(status.st_mode):
            yield os.fsencode(entry.name) + b"/", status
        elif stat.S_ISREG(status.st_mode):
            yield os.fsencode(entry.name), status
