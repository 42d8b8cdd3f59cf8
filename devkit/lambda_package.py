"""A function's code as Lambda takes it: a folder and what it imports, in one zip."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from devkit import lambda_contract
from devkit.errors import StoreError
from devkit.lambda_archive import PackageRefused, members_of, partial_prefix, write_zip
from devkit.lambda_requirements import LambdaPlatform, install_requirements

__all__ = [
    "LambdaPlatform",
    "Package",
    "PackageRefused",
    "check",
    "install_requirements",
    "package",
    "zip_folder",
]

# What Lambda's Python runtimes bring along.
_IN_THE_RUNTIME = ("boto3", "botocore")
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Package:
    """An archive for Lambda."""

    path: Path
    files: int
    archive_bytes: int
    code_bytes: int
    """Unpacked."""
    sha256: str
    """In base64, as ``CodeSha256`` of the API."""
    notes: tuple[str, ...]
    """What a user should know of it."""


def package(source: Path, target: Path, dependencies: Path | None = None) -> Package:
    """Pack a folder, and the folder that :func:`install_requirements` has made for it.

    A file of the first wins over one of the second with the same name, as in ``/var/task``. The
    archive takes its name when it is complete; on an error nothing is left of it.

    Raises:
        PackageRefused: The folder cannot be packed, or is larger than Lambda takes.
        StoreError: The archive cannot be written.
    """
    check(source, target)
    members = members_of(source, target)
    if not members:
        raise PackageRefused(
            f"there is no file in {source}", remedy="name the folder with the code"
        )
    if dependencies is not None:
        members = {**members_of(dependencies), **members}
    sizes = {name: path.lstat().st_size for name, path in members.items()}
    require_size(sizes)
    with _complete_or_nothing(target) as file:
        write_zip(members, file)
        archive_bytes = file.tell()
        digest = _sha256(file)
    return Package(
        path=target,
        files=len(members),
        archive_bytes=archive_bytes,
        code_bytes=sum(sizes.values()),
        sha256=base64.b64encode(digest).decode(),
        notes=tuple(_notes(sizes, archive_bytes)),
    )


def check(source: Path, target: Path) -> None:
    """See that this is a folder and that a file, before any work is done.

    Raises:
        PackageRefused: It is not.
    """
    if not source.is_dir():
        raise PackageRefused(f"{source} is not a folder", remedy="name the one with the code")
    if target.is_dir():
        raise PackageRefused(f"{target} is a folder", remedy="name a file: --output function.zip")


def zip_folder(source: Path, target: IO[bytes]) -> None:
    """Write a folder as a zip: deterministic, readable for everybody, links as links.

    Raises:
        PackageRefused: The folder cannot be packed.
    """
    write_zip(members_of(source), target)


@contextmanager
def _complete_or_nothing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name at the end of the block, and is gone where that fails."""
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=partial_prefix(path), dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be made: {error}",
            remedy="see that the disk is not full, and that you may read the code and write there",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _sha256(file: IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.digest()


def require_size(sizes: Mapping[str, int]) -> None:
    """Make sure that Lambda takes so much code.

    Args:
        sizes: Of its files, in bytes, by their names in the archive.

    Raises:
        PackageRefused: It is too much; the largest parts are named.
    """
    total = sum(sizes.values())
    if total <= lambda_contract.MAX_CODE_BYTES:
        return
    largest = ", ".join(
        f"{name} {_mb(size)}" for name, size in _by_top_level(sizes).most_common(_NAMED)
    )
    raise PackageRefused(
        f"{_mb(total)} of code: Lambda takes {_mb(lambda_contract.MAX_CODE_BYTES)}, unpacked; the "
        f"largest: {largest}",
        remedy="leave out what the function does not need, or make it a container image",
    )


def _notes(sizes: Mapping[str, int], archive_bytes: int) -> Iterator[str]:
    limit = lambda_contract.MAX_DIRECT_ARCHIVE_BYTES
    if archive_bytes > limit:
        yield (
            f"{_mb(archive_bytes)} is more than Lambda takes in a request ({_mb(limit)}): put the "
            "archive into S3, and name it there"
        )
    bundled = {name: size for name, size in _by_top_level(sizes).items() if name in _IN_THE_RUNTIME}
    if bundled:
        yield (
            f"{' and '.join(sorted(bundled))}: Lambda's runtime has them already; "
            f"{_mb(sum(bundled.values()))} less without them in the requirements"
        )


def _by_top_level(sizes: Mapping[str, int]) -> Counter[str]:
    """The bytes of each file or folder at the top."""
    total: Counter[str] = Counter()
    for name, size in sizes.items():
        total[name.partition("/")[0]] += size
    return total


def _mb(size: int) -> str:
    return f"{size / (1 << 20):.1f} MB"
