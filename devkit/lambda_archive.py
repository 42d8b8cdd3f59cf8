"""The zip of a function's code: the same bytes for the same files, whoever packs them and when."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from devkit.errors import DevkitError
from devkit.source_files import source_files

# The first moment that a zip can name.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3

Members = Mapping[str, Path]
"""The files and links of an archive, by their names in it."""


class PackageRefused(DevkitError):
    """A folder that cannot be packed, or that Lambda would not take."""

    exit_code = 2


def members_of(folder: Path, output: Path | None = None) -> dict[str, Path]:
    """The files of a folder by their names in an archive.

    Args:
        folder: Is packed.
        output: The archive that is made of it, and that is no part of itself.

    Raises:
        PackageRefused: A link leads out of the folder or nowhere, or there is something that is
            neither a file nor a link, or a name that is no text.
    """
    found = {}
    for path in source_files(folder):
        if output is not None and _is_output(path, output):
            continue
        name = path.relative_to(folder).as_posix()
        _check(path, name, folder)
        found[name] = path
    return found


def write_zip(members: Members, target: IO[bytes]) -> None:
    """Write an archive, each file as a stream.

    Lambda runs as a user of its own, so everybody may read what is in it.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(members.items()):
            _add(archive, name, path)


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    status = path.lstat()
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system, entry.compress_type = _UNIX, zipfile.ZIP_DEFLATED
    if stat.S_ISLNK(status.st_mode):
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, os.fsencode(os.readlink(path)))  # noqa: PTH115 - as it is
        return
    entry.external_attr = (stat.S_IFREG | (0o755 if status.st_mode & 0o100 else 0o644)) << 16
    entry.file_size = status.st_size  # tells zipfile whether it is one of the large ones
    with path.open("rb") as content, archive.open(entry, "w") as member:
        shutil.copyfileobj(content, member)


def partial_prefix(output: Path) -> str:
    """How the names of an archive begin that is not complete yet."""
    return f".{output.name}."


def _is_output(path: Path, output: Path) -> bool:
    """Whether a file is the output, or what somebody else is making it of."""
    named = path.name == output.name or path.name.startswith(partial_prefix(output))
    return named and path.parent.resolve() == output.parent.resolve()


def _check(path: Path, name: str, folder: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        _check_link(path, name, folder)
    elif not stat.S_ISREG(mode):
        raise PackageRefused(f"{path} is neither a file nor a link", remedy="take it out")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise PackageRefused(
            f"{folder} has a file whose name is no text (UTF-8): {name!r}", remedy="rename it"
        ) from None


def _check_link(path: Path, name: str, folder: Path) -> None:
    text = os.readlink(path)  # noqa: PTH115 - as above
    leads_to = Path(os.path.realpath(path))
    if Path(text).is_absolute() or not leads_to.is_relative_to(folder.resolve()):
        raise PackageRefused(
            f"the link {name} in {folder} leads out of the folder, to {text}",
            remedy="copy what it leads to; Lambda has nothing but the folder",
        )
    if not leads_to.exists():
        raise PackageRefused(
            f"the link {name} in {folder} leads to {text}, which is not there",
            remedy="delete it, or make what it leads to",
        )
