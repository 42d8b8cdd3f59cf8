"""Where checkpoints are kept: a folder of this machine, or a prefix in S3."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from devkit.archives import read_once
from devkit.channels.fetching import fetch
from devkit.channels.items import Stored
from devkit.channels.locations import Location, S3Uri
from devkit.channels.s3_reading import S3Client
from devkit.channels.source import LocalSource, ObjectSource, S3Source, checked_path
from devkit.errors import DevkitError

_PARTIAL = ".devkit-partial-"


class S3Writer(S3Client, Protocol):
    """As much of boto3's S3 client as checkpoints take."""

    def upload_fileobj(self, Fileobj: IO[bytes], Bucket: str, Key: str) -> None:  # noqa: N803
        """Upload a stream, in parts where it is large."""

    def delete_object(self, *, Bucket: str, Key: str) -> object:  # noqa: N803
        """DeleteObject."""


class CheckpointStorage(Protocol):
    """Files by name, with ``/`` between the parts."""

    def fetch(self, folder: Path) -> None:
        """Copy everything into a new folder, with the times of the last change.

        Raises:
            DevkitError: It cannot be read or written.
        """

    def put(self, name: str, content: IO[bytes]) -> None:
        """Write a file, all of it or none.

        Raises:
            DevkitError, OSError: It cannot be written.
        """

    def delete(self, name: str) -> None:
        """Delete a file, if it is there.

        Raises:
            DevkitError, OSError: It cannot be deleted.
        """


def storage_at(location: Location, s3: Callable[[], S3Client]) -> CheckpointStorage:
    """The storage at a location; ``s3`` is called only where that is in S3."""
    if isinstance(location, Path):
        return FolderStorage(location)
    client: S3Writer = s3()  # type: ignore[assignment]  # boto3's, which has all of it
    return S3Storage(client, location)


class FolderStorage:
    """Checkpoints in a folder, which is made when there is something to put."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, folder: Path) -> None:
        """Copy the files; by reference where the disk can."""
        if not self._folder.is_dir():
            folder.mkdir(parents=True)
            return
        for partial in self._folder.rglob(f"{_PARTIAL}*"):  # of a devkit that was killed
            partial.unlink(missing_ok=True)
        _fetch(LocalSource(self._folder), folder)

    def put(self, name: str, content: IO[bytes]) -> None:
        """Write beside it, then rename."""
        target = self._folder / checked_path(name)
        for parent in list(target.relative_to(self._folder).parents)[:-1]:
            if (self._folder / parent).is_file():  # a folder now
                (self._folder / parent).unlink()
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=_PARTIAL, dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(content, file, 1024 * 1024)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def delete(self, name: str) -> None:
        """Delete it, and the folders that it leaves empty."""
        target = self._folder / checked_path(name)
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            target.unlink()
        for parent in list(target.relative_to(self._folder).parents)[:-1]:
            with suppress(OSError):  # not empty, or gone
                (self._folder / parent).rmdir()


class S3Storage:
    """Checkpoints below a prefix: ``s3://bucket/prefix/<name>``, the same for all hosts."""

    def __init__(self, client: S3Writer, uri: S3Uri) -> None:
        self._client = client
        self._bucket = uri.bucket
        self._prefix = (
            uri.prefix if not uri.prefix or uri.prefix.endswith("/") else f"{uri.prefix}/"
        )

    def fetch(self, folder: Path) -> None:
        """Download all objects below the prefix."""
        _fetch(S3Source(self._client, self._bucket, self._prefix), folder)

    def put(self, name: str, content: IO[bytes]) -> None:
        """Upload it as a stream."""
        key = self._prefix + checked_path(name)
        with _writing(f"s3://{self._bucket}/{key}"):
            self._client.upload_fileobj(read_once(content), self._bucket, key)

    def delete(self, name: str) -> None:
        """Delete the object."""
        key = self._prefix + checked_path(name)
        with _writing(f"s3://{self._bucket}/{key}"):
            self._client.delete_object(Bucket=self._bucket, Key=key)


def _fetch(source: ObjectSource, folder: Path) -> None:
    objects = list(source.objects())
    stored = [Stored(source, each.key, source.path(each.key), each.size) for each in objects]
    fetch("checkpoints", stored, folder)
    for each, file in zip(objects, stored, strict=True):
        if each.modified is not None:  # programs look for the newest one
            os.utime(folder / file.path, (each.modified, each.modified))


@contextmanager
def _writing(uri: str) -> Iterator[None]:
    """Turn any error of the client into one that names what was written."""
    try:
        yield
    except DevkitError:  # of the stream that is uploaded
        raise
    except Exception as error:  # botocore's errors, without importing botocore
        raise DevkitError(
            f"{uri} cannot be written: {error}",
            remedy="check that S3 answers, and that these credentials may write there",
        ) from error
