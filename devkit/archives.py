"""``model.tar.gz`` and ``output.tar.gz``: written and read as streams, extracted without trust.

Neither memory nor the number of copies grows with the data: an archive is one pass from the
engine's tar stream to the compressed file, and one pass back into a folder.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from devkit.errors import DevkitError

# Weights hardly compress: the lowest real level takes half a minute a gigabyte and saves a few per
# cent; to store them takes four seconds.
_COMPRESS_LEVEL = 0


class ArchiveRefused(DevkitError):
    """An archive that SageMaker would not deploy, or that would write outside its folder."""

    exit_code = 6


class ArchiveWriter:
    """A ``.tar.gz`` that takes its name only when it is complete."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        self._path = path
        self._temporary = Path(temporary)
        self._file = os.fdopen(descriptor, "wb")
        self._gzip = gzip.GzipFile("", "wb", _COMPRESS_LEVEL, self._file)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w|")  # noqa: SIM115 - commit closes it

    def add(self, member: tarfile.TarInfo, name: str, content: IO[bytes] | None) -> None:
        """Add a member under another name; its content is read as a stream."""
        member = copy(member)  # TarInfo.replace is younger than Debian 12's Python
        member.name, member.uid, member.gid = name, 0, 0
        member.uname = member.gname = "root"
        self._tar.addfile(member, content)

    def commit(self) -> None:
        """Finish the archive and give it its name."""
        self._tar.close()
        self._gzip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.chmod(0o644)
        self._temporary.replace(self._path)

    def discard(self) -> None:
        """Leave nothing behind; harmless after :meth:`commit`."""
        for layer in (self._tar, self._gzip, self._file):
            with suppress(OSError):  # a full disk refuses the last bytes of what is thrown away
                layer.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def archive_writer(path: Path) -> Iterator[ArchiveWriter]:
    """Write an archive: committed at the end of the block, discarded on an error."""
    writer = ArchiveWriter(path)
    try:
        yield writer
        writer.commit()
    finally:
        writer.discard()


def discard_unfinished(folder: Path) -> None:
    """Delete the archives that a devkit which was killed has not finished writing."""
    for path in folder.glob(".*.tar.gz.*"):
        path.unlink(missing_ok=True)


def members(stream: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, str, IO[bytes] | None]]:
    """The members of a tar stream with clean relative names; the root folder itself left out.

    The content is to be read before the next member is asked for.
    """
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            name = str(PurePosixPath(member.name))
            if name == ".":
                continue
            yield member, name, tar.extractfile(member) if member.isreg() else None


class _Once(io.RawIOBase):
    """A stream that can be read once, forwards, and says so."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content

    def readable(self) -> bool:
        """It can."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read some."""
        data = self._content.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def read_once(content: IO[bytes]) -> IO[bytes]:
    """The content of a member for those who ask a stream whether it can seek, as boto3 does.

    Some versions of tarfile promise that of members of a stream, others raise AttributeError.
    """
    return io.BufferedReader(_Once(content), buffer_size=1024 * 1024)


@contextmanager
def unpacked(archive: Path) -> Iterator[IO[bytes]]:
    """The tar stream inside an archive of our own, for :func:`members`."""
    with gzip.open(archive, "rb") as stream:
        yield cast("IO[bytes]", stream)


def extract_model(archive: Path, folder: Path) -> None:
    """Extract a ``model.tar.gz`` as SageMaker does before it starts a container (§2.2).

    ``folder`` is made, and holds the whole model or does not exist.

    Raises:
        ArchiveRefused: It is no gzipped tar, or has a member that SageMaker refuses (links) or
            that would leave the folder (absolute names, ``..``, devices).
    """
    with archive.open("rb") as stream:
        extract_stream(stream, str(archive), folder)


def extract_stream(stream: IO[bytes], archive: str, folder: Path) -> None:
    """Extract a ``model.tar.gz`` that is read once, forwards; see :func:`extract_model`.

    Args:
        stream: The archive.
        archive: Its name, for people.
        folder: Is made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        try:
            with tarfile.open(fileobj=stream, mode="r|gz") as tar:
                for member in tar:
                    _extract_member(tar, member, partial, archive)
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's fault, not the archive's
            raise ArchiveRefused(
                f"{archive} is not a whole gzipped tar archive: {error}",
                remedy="give the model.tar.gz of a training job, or make one with tar -czf",
            ) from error
        partial.chmod(0o755)
        partial.rename(folder)


def _extract_member(
    tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: str
) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise _refused(archive, member, "leads out of the model folder")
    target = folder / path
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
    elif member.isreg():
        target.parent.mkdir(parents=True, exist_ok=True)
        content = tar.extractfile(member)
        if content is None:
            raise _refused(archive, member, "has no content")
        with target.open("wb") as file:
            shutil.copyfileobj(content, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
    elif member.issym() or member.islnk():
        raise _refused(archive, member, "is a link, and links make the creation of a model fail")
    else:
        raise _refused(archive, member, "is neither a file nor a folder")


def _refused(archive: str, member: tarfile.TarInfo, why: str) -> ArchiveRefused:
    return ArchiveRefused(
        f"{archive}: its member {member.name!r} {why}",
        remedy="save plain files and folders under /opt/ml/model",
    )
