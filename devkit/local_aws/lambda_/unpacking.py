"""The code of a function and its layers, unpacked for its instances to see."""

from __future__ import annotations

import io
import os
import shutil
import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from devkit.lambda_contract import MAX_CODE_BYTES
from devkit.local_aws.errors import AwsError
from devkit.local_aws.lambda_.definitions import Archive

_CHUNK_BYTES = 1024 * 1024


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
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError):
        raise AwsError(
            "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ) from None
    if size > MAX_CODE_BYTES:
        raise AwsError(
            "InvalidParameterValueException",
            f"Unzipped size must be smaller than {MAX_CODE_BYTES} bytes",
        )


def unpack(folder: Path, code: Archive, layers: Iterable[Archive]) -> Unpacked:
    """Unpack a function; for a thread.

    Args:
        folder: Is made for it.
        code: Its code.
        layers: Its layers; later ones lie over earlier ones.

    Raises:
        AwsError: An archive cannot be unpacked.
        OSError: It cannot be written.
    """
    task, opt = folder / "task", folder / "opt"
    unreadable = []
    try:
        for place, archives in ((task, [code]), (opt, layers)):
            place.mkdir(parents=True, exist_ok=True)
            for archive in archives:
                require_zip(archive.content)
                unreadable += _extract(archive.content, place)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Unpacked(task, opt, tuple(unreadable))


def _extract(content: bytes, folder: Path) -> list[str]:
    """Unpack an archive over what is there; returns the names of files that others may not read."""
    unreadable = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        links = []
        for entry in archive.infolist():
            target = _inside(folder, entry.filename)
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif stat.S_ISLNK(_mode(entry)):
                links.append((target, archive.read(entry)))
            else:
                _write(archive, entry, target)
                if not _permissions(entry) & stat.S_IROTH:
                    unreadable.append(entry.filename)
        for target, destination in links:  # last: nothing is written through one
            _make_room(target)
            target.symlink_to(os.fsdecode(destination))
    return unreadable


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    _make_room(target)
    with archive.open(entry) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)
    target.chmod(_permissions(entry) | stat.S_IRUSR)


def _make_room(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.exists():  # of a layer below
        target.unlink()


def _inside(folder: Path, name: str) -> Path:
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..", ".")]
    target = folder.joinpath(*parts)
    for parent in target.parents:
        if parent == folder:
            return target
        if parent.is_symlink():  # of a layer below: it may lead anywhere
            parent.unlink()
    return target


def _mode(entry: zipfile.ZipInfo) -> int:
    return entry.external_attr >> 16


def _permissions(entry: zipfile.ZipInfo) -> int:
    """What a zip says of them; one that was made on Windows says nothing."""
    return stat.S_IMODE(_mode(entry)) or 0o644
