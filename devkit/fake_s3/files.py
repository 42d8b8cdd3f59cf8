"""Files as an object store needs them: written whole or not at all, read in ranges, shared."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

CHUNK_BYTES = 1024 * 1024
TEMPORARY = ".devkit-s3-"
"""How the names of files begin that are no objects, in a bucket on another file system."""

# macOS' fsync leaves data in the disk's cache.
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)

# What copy_file_range says where a file system cannot do it.
_NO_RANGES = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})


@dataclass(frozen=True)
class Identity:
    """What tells one content of a file from another without reading it."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Identity:
        """The identity of a file that was asked for its state."""
        return cls(stat.st_size, stat.st_mtime_ns)

    @classmethod
    def at(cls, path: Path) -> Identity | None:
        """The identity of the file at a path; ``None`` where there is no file."""
        try:
            return cls.of(path.stat())
        except (FileNotFoundError, NotADirectoryError):
            return None


@dataclass
class Staged:
    """Bytes that are safe on the disk, under a name of their own, and of no object yet.

    Args:
        path: The file; its name is unique for ever.
        md5: Of the content, in hexadecimal; ``None`` if nobody has read it.
        digests: Other checksums of the content, by algorithm.
        trailers: What the client sent after the content.
    """

    path: Path
    identity: Identity
    md5: str | None
    digests: dict[str, bytes] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    adopted: bool = False

    def discard(self) -> None:
        """Delete the bytes unless an object has them."""
        if not self.adopted:
            self.path.unlink(missing_ok=True)


class Content:
    """A range of a file that stays what it is, whatever becomes of its name.

    It goes where moto expects an object's bytes: it has their length, ranges of it are cut out
    as from bytes, and to iterate over it reads the file in pieces. To close a range closes the
    whole.
    """

    def __init__(self, file: _OpenFile, begin: int, end: int, *, md5: str | None = None) -> None:
        self._file, self.begin, self.end, self.md5 = file, begin, end, md5

    @classmethod
    def open(cls, path: Path, *, md5: str | None = None) -> Content:
        """The whole of a file."""
        file = _OpenFile(path)
        return cls(file, 0, os.fstat(file.descriptor).st_size, md5=md5)

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._file.descriptor

    def __len__(self) -> int:
        """The number of bytes."""
        return self.end - self.begin

    def __getitem__(self, cut: slice) -> Content:
        """A range of the range."""
        begin, end, _ = cut.indices(len(self))
        whole = (begin, end) == (0, len(self))
        return Content(
            self._file,
            self.begin + begin,
            self.begin + max(begin, end),
            md5=self.md5 if whole else None,
        )

    def __iter__(self) -> Iterator[bytes]:
        """The bytes in pieces."""
        position = self.begin
        while position < self.end:
            chunk = os.pread(self.descriptor, min(CHUNK_BYTES, self.end - position), position)
            if not chunk:
                raise OSError(errno.EIO, "the file became shorter while it was read")
            yield chunk
            position += len(chunk)

    def close(self) -> None:
        """Close the file; harmless if it is closed."""
        self._file.close()

    def __enter__(self) -> Content:
        """Close it at the end of the block."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


class _OpenFile:
    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


class Disk:
    """A folder to stage files in, and the discipline of writing.

    Args:
        staging: The folder; on the same file system as the places that files go to.
        sync: Whether what is written must survive a power cut, not only a crash.
    """

    def __init__(self, staging: Path, *, sync: bool) -> None:
        self.staging = staging
        self._sync = sync

    def stage(
        self, chunks: Iterable[bytes], observe: Callable[[bytes], object] = lambda _chunk: None
    ) -> Staged:
        """Write a stream to a file of its own; ``observe`` sees it as it passes."""
        md5 = hashlib.md5(usedforsecurity=False)

        def write(descriptor: int) -> None:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
                md5.update(chunk)
                observe(chunk)

        path, identity = self._new(write)
        return Staged(path, identity, md5.hexdigest())

    def copy(self, contents: Iterable[Content], *, md5: str | None = None) -> Staged:
        """Write files one after the other into a new one; shared with them where the disk can."""

        def write(descriptor: int) -> None:
            for content in contents:
                copy_into(content, descriptor)

        path, identity = self._new(write)
        return Staged(path, identity, md5)

    def place(self, source: Path, target: Path) -> None:
        """Give a file its place, in one step, for good; folders on the way are made."""
        self._make_folder(target.parent)
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._carry(source, target)
        self.sync_folder(target.parent)

    def sync_folder(self, folder: Path) -> None:
        """Make a folder's names survive a power cut."""
        if self._sync:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _new(self, write: Callable[[int], None]) -> tuple[Path, Identity]:
        path = self.staging / uuid.uuid4().hex
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            write(descriptor)
            self._sync_file(descriptor)
            identity = Identity.of(os.fstat(descriptor))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        self.sync_folder(self.staging)
        return path, identity

    def _sync_file(self, descriptor: int) -> None:
        if self._sync:
            if _FULL_SYNC is None:
                os.fsync(descriptor)
            else:
                fcntl.fcntl(descriptor, _FULL_SYNC)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync_folder(folder.parent)

    def _carry(self, source: Path, target: Path) -> None:
        """Place a file on another file system: a bucket's folder may be a link to one."""
        beside = target.with_name(f"{TEMPORARY}{source.name}")
        stat = source.stat()
        try:
            with Content.open(source) as content, beside.open("xb") as file:
                copy_into(content, file.fileno())
                os.utime(file.fileno(), ns=(stat.st_atime_ns, stat.st_mtime_ns))
                self._sync_file(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
        source.unlink()


def md5_of(chunks: Iterable[bytes]) -> str:
    """The MD5 of a stream, in hexadecimal."""
    md5 = hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        md5.update(chunk)
    return md5.hexdigest()


def copy_into(content: Content, descriptor: int) -> None:
    """Write a range of a file to the end of another; shared with it where the disk can."""
    position = content.begin
    ranges: Any = getattr(os, "copy_file_range", None)  # Linux has it
    while ranges is not None and position < content.end:
        try:
            copied = ranges(content.descriptor, descriptor, content.end - position, position)
        except OSError as error:
            if error.errno not in _NO_RANGES:
                raise
            break
        if not copied:
            raise OSError(errno.EIO, "the file became shorter while it was copied")
        position += copied
    for chunk in content[position - content.begin :]:
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]


def delete_tree(folder: Path | None, *, only_empty: bool = False) -> None:
    """Delete a folder and what is in it; of a link, the link.

    Raises:
        OSError: There is a file, and only an empty folder was to be deleted.
    """
    if folder is None or not folder.is_dir():
        return
    if folder.is_symlink():
        folder.unlink()  # it was dropped in by hand; what it leads to is somebody else's
    elif only_empty:
        for path, _, _ in os.walk(folder, topdown=False):
            Path(path).rmdir()
    else:
        shutil.rmtree(folder)
