"""The buckets that a store begins with."""

from __future__ import annotations

import os
from pathlib import Path

from devkit.errors import ConfigError
from devkit.fake_s3 import names
from devkit.fake_s3.files import Content, copy_into


def seed_folder(seed: Path, root: Path) -> None:
    """Copy a folder of buckets; files that exist already stay as they are.

    Files keep their times. Where the disk can, the copies share the bytes until one is changed.

    Raises:
        ConfigError: There is no such folder, or there is something in it that is no bucket.
    """
    if not seed.is_dir():
        raise ConfigError(
            f"there is no folder {seed} to begin with",
            remedy="give a folder whose folders are the buckets",
        )
    for bucket in sorted(seed.iterdir()):
        if bucket.name.startswith("."):
            continue
        if not bucket.is_dir() or not names.is_bucket_folder(bucket.name):
            raise ConfigError(
                f"{bucket} cannot be a bucket",
                remedy="a bucket is a folder whose name has 3 to 63 of a-z, 0-9, '.', '-' and '_'",
            )
        _copy_tree(bucket, root / bucket.name)


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            copy = target / entry.name
            if entry.is_dir():
                _copy_tree(Path(entry.path), copy)
            elif entry.is_file() and not copy.exists():
                _copy_file(Path(entry.path), copy)


def _copy_file(source: Path, target: Path) -> None:
    stat = source.stat()
    with Content.open(source) as content, target.open("xb") as file:
        copy_into(content, file.fileno())
        os.utime(file.fileno(), ns=(stat.st_atime_ns, stat.st_mtime_ns))
