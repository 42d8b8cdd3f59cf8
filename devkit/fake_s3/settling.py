"""Putting files where the catalogue says they are, after each commit and after a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from devkit.fake_s3 import versions
from devkit.fake_s3.catalogue import Catalogue, Unsettled
from devkit.fake_s3.files import Disk, Identity
from devkit.fake_s3.layout import Layout
from devkit.fake_s3.objects import Blob, FileBucket, FileKey, Place
from devkit.fake_s3.registry import backend_of
from devkit.fake_s3.versions import Written


@dataclass(frozen=True)
class _Change:
    bucket: str
    key: str
    moved: list[tuple[Blob, Place]]
    removed: list[Written]


class Settler:
    """What a commit leaves to be done with files."""

    def __init__(self, layout: Layout, disk: Disk, catalogue: Catalogue) -> None:
        self._layout, self._disk, self._catalogue = layout, disk, catalogue
        self._changes: list[_Change] = []
        self._unused: list[str] = []
        self._settled: list[Unsettled] = []

    def path(self, bucket: str, key: str, blob: str, place: Place) -> Path:
        """Where a file of an object is, given the kind of place."""
        if place is Place.STAGED:
            return self._layout.staging / blob
        plain = self._layout.plain(bucket, key)
        if place is Place.PLAIN and plain is not None:
            return plain
        return self._layout.kept(bucket, key, blob)

    def writes(self, bucket: FileBucket, key: str) -> list[Callable[[], object]]:
        """What to write into the catalogue about an object; none if it knows all of it."""
        found = bucket.own_keys.versions(key)
        places = self._places(bucket.name, key, found)
        tags = backend_of(bucket).tagger.tags
        text = versions.object_record(found, places, lambda each: tags.get(each.arn, {}))
        before = self._catalogue.object(bucket.name, key)
        if text == before:
            return []
        blobs = [
            (each.blob, place)
            for each, place in zip(found, places, strict=True)
            if isinstance(each, FileKey)
        ]
        names = {blob.name for blob, _ in blobs}
        change = _Change(
            bucket.name,
            key,
            moved=[(blob, place) for blob, place in blobs if blob.place is not place],
            removed=[file for file in versions.files_of(before) if file.name not in names],
        )
        writes: list[Callable[[], object]] = [
            partial(self._catalogue.put_object, bucket.name, key, text)
        ]
        if change.moved or change.removed:
            self._changes.append(change)
            removed = versions.file_record(change.removed)
            writes.append(partial(self._catalogue.put_unsettled, bucket.name, key, removed))
        return writes

    def delete_staged(self, blob: str) -> None:
        """After the commit nobody will need this file."""
        self._unused.append(blob)

    def settle(self) -> None:
        """The commit has happened: move the files."""
        changes, self._changes = self._changes, []
        unused, self._unused = self._unused, []
        for change in changes:
            files = [Written(b.name, p, b.identity, b.md5) for b, p in change.moved]
            self._arrange(change.bucket, change.key, files, change.removed)
            for blob, place in change.moved:
                blob.place = place
                blob.path = self.path(change.bucket, change.key, blob.name, place)
            self._settled.append(Unsettled(change.bucket, change.key, ""))
        for blob_name in unused:
            (self._layout.staging / blob_name).unlink(missing_ok=True)

    def abandon(self) -> None:
        """The commit has not happened."""
        self._changes, self._unused = [], []

    def forget_settled(self) -> None:
        """Write into the catalogue that the files of earlier commits are in their places."""
        if self._settled:
            self._catalogue.clear_unsettled(self._settled)
            self._settled = []

    def recover(self) -> None:
        """Move the files that a killed process had no time to move; delete what nobody names."""
        for each in self._catalogue.unsettled():
            files = versions.files_of(self._catalogue.object(each.bucket, each.key))
            self._arrange(each.bucket, each.key, files, versions.read_files(each.removed))
            self._settled.append(each)
        with self._catalogue.transaction():
            self.forget_settled()
        parts = self._catalogue.part_files()
        for path in self._layout.staging.iterdir():
            if path.name not in parts:
                path.unlink()

    def _places(self, bucket: str, key: str, found: list[Any]) -> list[Place]:
        """Only the latest version can have the key's own name."""
        places = [Place.KEPT for _ in found]
        if found and isinstance(found[-1], FileKey):
            is_there = found[-1].blob.place is Place.PLAIN
            if is_there or self._layout.has_room(bucket, key):
                places[-1] = Place.PLAIN
        return places

    def _arrange(
        self, bucket: str, key: str, files: Iterable[Written], removed: Iterable[Written]
    ) -> None:
        """Put files in their places, wherever they are now: older ones first, out of the way."""
        plain = self._layout.plain(bucket, key)
        for file in files:
            target = self.path(bucket, key, file.name, file.place)
            source = self._whereabouts(bucket, key, file, plain)
            if source is not None and source != target:
                self._disk.place(source, target)
                if source == plain:
                    self._layout.prune(bucket, source)
        is_taken = any(file.place is Place.PLAIN for file in files)
        for file in removed:
            self.path(bucket, key, file.name, Place.STAGED).unlink(missing_ok=True)
            self.path(bucket, key, file.name, Place.KEPT).unlink(missing_ok=True)
            if plain is not None and not is_taken and Identity.at(plain) == file.identity:
                plain.unlink()
                self._layout.prune(bucket, plain)
                self._disk.sync_folder(_existing(plain.parent))

    def _whereabouts(self, bucket: str, key: str, file: Written, plain: Path | None) -> Path | None:
        for place in (Place.STAGED, Place.KEPT):
            path = self.path(bucket, key, file.name, place)
            if path.is_file():
                return path
        return plain if plain is not None and Identity.at(plain) == file.identity else None


def _existing(folder: Path) -> Path:
    while not folder.is_dir():
        folder = folder.parent
    return folder
