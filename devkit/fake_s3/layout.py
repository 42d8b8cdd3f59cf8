"""The folders of a store: where everything is, and what somebody has put there by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from devkit.fake_s3 import names
from devkit.fake_s3.files import TEMPORARY, Identity

_READABLE_CHARS = 150


class Layout:
    """A store's folder.

    ::

        BUCKET/KEY                          the objects
        .meta/catalogue.sqlite3             what else S3 knows of them
        .meta/kept/BUCKET/ESCAPED_KEY~ID    old versions, and keys that cannot be names of files
        .meta/staged/ID                     parts of uploads, and what is not committed
        .meta/lock                          held by the process that serves the folder
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.meta = root / names.META
        self.staging = self.meta / "staged"
        self.catalogue = self.meta / "catalogue.sqlite3"
        self.lock = self.meta / "lock"
        self._kept = self.meta / "kept"
        self._folds_case = False

    def make(self) -> None:
        """Make the folders, and see whether the file system tells ``a`` from ``A``."""
        self.staging.mkdir(parents=True, exist_ok=True)
        self._kept.mkdir(exist_ok=True)
        probe = self.meta / "case"
        probe.touch()
        self._folds_case = (self.meta / "CASE").exists()

    def bucket_folder(self, bucket: str) -> Path | None:
        """A bucket's folder; ``None`` if it can have none of its name."""
        return self.root / bucket if names.is_bucket_folder(bucket) else None

    def bucket_folders(self) -> list[str]:
        """The buckets that have a folder."""
        with os.scandir(self.root) as entries:
            return sorted(
                entry.name
                for entry in entries
                if names.is_bucket_folder(entry.name) and entry.is_dir()
            )

    def plain(self, bucket: str, key: str) -> Path | None:
        """Where an object is if nothing is in its way."""
        folder = self.bucket_folder(bucket)
        return None if folder is None else names.plain_path(folder, key)

    def kept(self, bucket: str, key: str, blob: str) -> Path:
        """Where a version of an object is that cannot be at its plain path."""
        folder = self._kept / (bucket if names.is_bucket_folder(bucket) else names.escaped(bucket))
        readable = quote(key, safe="", errors="replace")[:_READABLE_CHARS]
        return folder / f"{readable}~{blob}"

    def kept_folder(self, bucket: str) -> Path:
        """Where all such versions of a bucket's objects are."""
        return self.kept(bucket, "", "").parent

    def has_room(self, bucket: str, key: str) -> bool:
        """Whether an object can be at its plain path, beside those that are there.

        It cannot below another object (``a`` and ``a/b``), nor where there is one whose name
        differs in its capitals alone and the file system takes the two for one.
        """
        path = self.plain(bucket, key)
        folder = self.bucket_folder(bucket)
        if path is None or folder is None or _is_full_folder(path):
            return False
        on_the_way = [path, *path.parents]
        below = on_the_way[: on_the_way.index(folder)]
        if any(each.exists() and not each.is_dir() for each in below[1:]):
            return False
        return not (self._folds_case and any(_is_other_spelling(each) for each in below))

    def found(self, bucket: str, prefix: str = "") -> Iterator[tuple[str, Identity]]:
        """The files in a bucket's folder whose keys begin so; links to files and folders count."""
        folder = self.bucket_folder(bucket)
        parent, _, _ = prefix.rpartition("/")
        start = folder if not parent or folder is None else names.plain_path(folder, parent)
        if start is None:
            return
        for path, identity in _files(start, frozenset()):
            key = f"{parent}/{path}" if parent else path
            if key.startswith(prefix):
                yield key, identity

    def prune(self, bucket: str, path: Path) -> None:
        """Remove the folders above a file that is gone, as far as nothing else is in them."""
        folder = self.bucket_folder(bucket)
        for parent in path.parents:
            if parent in (folder, self.root):
                return
            try:
                parent.rmdir()
            except OSError:
                return


def _files(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, Identity]]:
    try:
        entries = [entry for entry in os.scandir(folder) if _is_key(entry.name)]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        try:
            stat = entry.stat()
        except FileNotFoundError:  # a link that leads nowhere, or gone since
            continue
        itself = (stat.st_dev, stat.st_ino)
        if entry.is_file():
            yield entry.name, Identity.of(stat)
        elif entry.is_dir() and itself not in above:  # a link may lead back up
            for name, identity in _files(Path(entry.path), above | {itself}):
                yield f"{entry.name}/{name}", identity


def _is_key(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not name.startswith(TEMPORARY)


def _is_full_folder(path: Path) -> bool:
    if not path.is_dir():
        return False
    try:
        path.rmdir()  # an empty folder is in nobody's way
    except OSError:
        return True
    return False


def _is_other_spelling(path: Path) -> bool:
    return path.exists() and path.name not in os.listdir(path.parent)  # noqa: PTH208 - names
