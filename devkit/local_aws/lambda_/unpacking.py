"""The code of a function and its layers, unpacked for its instances to see."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePosixPath

from devkit.lambda_contract import MAX_CODE_BYTES
from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import Archive

_CHUNK_BYTES = 1024 * 1024
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a method of compression that is none of Python's
    RuntimeError,  # encrypted
)


@dataclass(frozen=True)
class Unpacked:
    """Folders of the host."""

    task: Path
    """What is in ``/var/task``."""
    layers: Path
    """What is in ``/opt``."""
    unreadable: tuple[str, ...] = ()
    """Files that AWS, where functions run as another user, does not let a function read."""


def require_zip(content: bytes) -> None:
    """Make sure that code can be unpacked, and is not larger than AWS takes.

    Raises:
        AwsError: It is not a zip archive, or is too large.
    """
    _require_size(_unzipped_bytes(content))


def unpack(folder: Path, code: Archive, layers: Iterable[Archive]) -> Unpacked:
    """Unpack a function; for a thread.

    Args:
        folder: Is made for it.
        code: Its code.
        layers: Its layers; later ones lie over earlier ones.

    Raises:
        AwsError: An archive cannot be unpacked, or all are too large together.
        OSError: It cannot be written.
    """
    task, opt = folder / "task", folder / "opt"
    layers = list(layers)
    _require_size(sum(_unzipped_bytes(archive.content) for archive in [code, *layers]))
    unreadable = []
    try:
        for place, archives in ((task, [code]), (opt, layers)):
            place.mkdir(parents=True, exist_ok=True)
            for archive in archives:
                unreadable += _extract(archive.content, place)
    except _BROKEN:
        shutil.rmtree(folder, ignore_errors=True)
        raise _not_unzipped() from None
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise _not_unzipped() from None
        raise
    return Unpacked(task, opt, tuple(unreadable))


def _unzipped_bytes(content: bytes) -> int:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except _BROKEN:
        raise _not_unzipped() from None


def _require_size(size: int) -> None:
    if size > MAX_CODE_BYTES:
        raise AwsError(
            "InvalidParameterValueException",
            f"Unzipped size must be smaller than {MAX_CODE_BYTES} bytes",
        )


def _not_unzipped() -> AwsError:
    return AwsError(
        "InvalidParameterValueException",
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    )


def _extract(content: bytes, folder: Path) -> list[str]:
    """Unpack an archive over what is there; returns the names of files that others may not read."""
    unreadable = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        links = []
        for entry in archive.infolist():
            if stat.S_ISLNK(_mode(entry)):
                links.append(entry)
            elif entry.is_dir():
                _make_folder(_below(folder, entry.filename))
            else:
                _write(archive, entry, _with_room(folder, entry))
                if not _permissions(entry) & stat.S_IROTH:
                    unreadable.append(entry.filename)
        for entry in links:  # last, and none below another: nothing is written through one
            _with_room(folder, entry).symlink_to(os.fsdecode(archive.read(entry)))
    return unreadable


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    with archive.open(entry) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)
    target.chmod(_permissions(entry) | stat.S_IRUSR)


def _with_room(folder: Path, entry: zipfile.ZipInfo) -> Path:
    """Where an entry goes; what is there, of a layer below, gives way."""
    parts = _below(folder, entry.filename)
    if len(parts) == 1:
        raise zipfile.BadZipFile(entry.filename)
    _make_folder(parts[:-1])
    target = parts[-1]
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    return target


def _make_folder(path: Sequence[Path]) -> None:
    """Make a folder below one that there is; a link on the way may lead anywhere, and is removed.

    Args:
        path: All of them, from that one on.
    """
    for folder in path[1:]:
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink(missing_ok=True)
            folder.mkdir()


def _below(folder: Path, name: str) -> list[Path]:
    """A folder, and all on the way from it to where a name of an archive leads."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "//", "..", ".")]
    return list(accumulate(parts, Path.joinpath, initial=folder))


def _mode(entry: zipfile.ZipInfo) -> int:
    return entry.external_attr >> 16


def _permissions(entry: zipfile.ZipInfo) -> int:
    """What a zip says of them; one that was made on Windows says nothing."""
    return _mode(entry) & 0o777 or 0o644
