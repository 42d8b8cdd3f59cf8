"""The durable store beneath moto's S3: what moto has in memory is what is on the disk.

moto changes its objects; when a request is done, whatever it touched is compared with the
catalogue, the difference is committed, and the files are put where the catalogue says. Only then
is the request answered. A crash between the two is made good at the next start.
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from devkit.errors import StoreError
from devkit.fake_s3 import by_hand, versions
from devkit.fake_s3.catalogue import Catalogue
from devkit.fake_s3.files import Content, Disk, Staged, delete_tree, md5_of
from devkit.fake_s3.gate import Gate, Unit
from devkit.fake_s3.layout import Layout
from devkit.fake_s3.objects import Blob, FileBucket, FileKey, FileMultipart, Place
from devkit.fake_s3.registry import Registry, backend_of
from devkit.fake_s3.settling import Settler

# What boto3 uploads in one part; a larger object's ETag is no MD5 in AWS either.
_MD5_BYTES = 8 * 1024 * 1024
_STRIPES = 64


class Store:
    """The store of one folder, in which no other process may be at the same time.

    Args:
        root: The folder; made if it does not exist.
        sync: Whether what was acknowledged must survive a power cut, not only a crash.

    Raises:
        StoreError: Another process has the folder, or it cannot be read.
    """

    def __init__(self, root: Path, *, sync: bool = True) -> None:
        self.layout = Layout(root.absolute())
        self.disk = Disk(self.layout.staging, sync=sync)
        self._gate = Gate()
        self._completing = [threading.Lock() for _ in range(_STRIPES)]
        with ExitStack() as opening, _told_of(self.layout.root):
            self.layout.make()
            opening.callback(_locked(self.layout.lock).close)
            self._catalogue = Catalogue(self.layout.catalogue, sync=sync)
            opening.callback(self._catalogue.close)
            self._registry = Registry(self.layout, self._catalogue)
            self._settler = Settler(self.layout, self.disk, self._catalogue)
            self._settler.recover()
            self._opened = opening.pop_all()

    def close(self) -> None:
        """Let others have the folder."""
        with self._gate.alone(), self._opened:
            self._settler.forget_settled()

    # What the requests do

    def unit(self, *, reading: bool = False) -> AbstractContextManager[Unit]:
        """One request: what it changes is on the disk when the block has ended.

        Raises:
            OSError: The disk refuses it; the change has not happened.
            sqlite3.Error: The same.
        """
        return self._gate.work(self._commit, reading=reading)

    def completing(self, upload: str) -> threading.Lock:
        """Held while an upload is put together: a client that asks again waits for the first."""
        return self._completing[hash(upload) % _STRIPES]

    def afterwards(self, action: Callable[[], object]) -> None:
        """Do something when the present request's changes are on the disk."""
        if (unit := self._gate.unit) is None:
            action()
        else:
            unit.afterwards.append(action)

    def clear(self) -> None:
        """Delete all buckets, those that were made by hand too."""
        with self._gate.alone():
            names = self._registry.names()
            with self._catalogue.transaction():
                for name in names:
                    self._catalogue.delete_bucket(name)
            for name in names:
                delete_tree(self.layout.bucket_folder(name))
                delete_tree(self.layout.kept_folder(name))
                self._registry.evict(name)
            delete_tree(self.layout.staging)
            self.layout.make()

    # Buckets

    def sync_buckets(self) -> None:
        """Let moto know all buckets, those that were made by hand too, and no others."""
        with self.unit(reading=True):
            for name in sorted(self._registry.names() | self._registry.known()):
                self.sync_bucket(name)

    def sync_bucket(self, name: str) -> None:
        """Let moto know a bucket if there is one; once a request."""
        unit = self._gate.unit
        if unit is not None and name not in unit.buckets:
            unit.buckets.add(name)
            if self._registry.sync(name):
                unit.reading = False

    def load(self, bucket: FileBucket) -> None:
        """Fill a bucket with its objects and uploads, as they are on the disk."""
        with self.unit(reading=True):
            if bucket.loaded:
                return
            bucket.loaded = True
            tagger = backend_of(bucket).tagger
            for key, text in self._catalogue.objects(bucket.name):
                locate = partial(self._settler.path, bucket.name, key)
                found = list(versions.read_object(bucket.name, key, text, locate))
                bucket.own_keys.put_versions(key, [version for version, _ in found])
                for version, tags in found:
                    if tags:
                        tagger.tags[version.arn] = tags
            for upload_id, text in self._catalogue.uploads(bucket.name).items():
                dict.__setitem__(bucket.own_uploads, upload_id, self._upload(bucket, text))
            self.list_files(bucket)

    def list_files(self, bucket: FileBucket, prefix: str = "") -> None:
        """Take over what was changed by hand below a prefix; once a request."""
        unit = self._gate.unit
        if unit is None or bucket.name in unit.listed or not bucket.loaded:
            return
        unit.listed.add(bucket.name)
        for key in by_hand.reconcile_all(self.layout, bucket, prefix):
            unit.found.add((bucket.name, key))

    def skip_listing(self, bucket: FileBucket) -> None:
        """This request goes on with a listing that began earlier."""
        if (unit := self._gate.unit) is not None:
            unit.listed.add(bucket.name)

    # What moto's objects ask of their storage

    def touch_key(self, bucket: str, key: str) -> None:
        """Note that a key is used; take over what was changed by hand before."""
        unit = self._gate.unit
        if unit is None or (bucket, key) in unit.keys:
            return
        unit.keys.add((bucket, key))
        loaded = self._registry.loaded(bucket)
        if loaded is not None and by_hand.reconcile(self.layout, loaded, key):
            unit.found.add((bucket, key))

    def touch_upload(self, bucket: str, upload: str) -> None:
        """Note that an upload is used."""
        if (unit := self._gate.unit) is not None:
            unit.uploads.add((bucket, upload))

    def stage(self, value: object) -> Blob:
        """Make bytes, or what stands for them, a file of their own."""
        if isinstance(value, Blob):
            return value
        if isinstance(value, Content):
            with self._gate.left(), value:
                staged = self.disk.copy([value], md5=value.md5 or md5_of(value))
        elif isinstance(value, Staged):
            staged = value
        else:
            data = value.encode() if isinstance(value, str) else value
            staged = self.disk.stage([bytes(data)] if data else [])  # type: ignore[call-overload]
        staged.adopted = True
        return Blob(
            staged.path.name, Place.STAGED, staged.path, staged.identity, staged.md5, staged.digests
        )

    def join(self, blobs: Iterable[Blob]) -> Staged:
        """Write files one after the other into a new one."""
        with self._gate.left():
            return self.disk.copy(_opened(blobs))

    def open(self, blob: Blob) -> Content:
        """Open a file wherever it is."""
        with self._gate.alone():
            return Content.open(blob.path, md5=blob.md5)

    def etag(self, key: FileKey) -> str:
        """The ETag of an object that was made by hand: its MD5, but of a large one, its identity's.

        The latter has the form of an ETag of an upload in parts, by which clients know that it is
        no MD5.
        """
        unit = self._gate.unit
        if unit is not None and key.bucket_name is not None:
            unit.found.add((key.bucket_name, key.name))
        identity = key.blob.identity
        if identity.size > _MD5_BYTES:
            text = f"{identity.size} {identity.mtime_ns}".encode()
            return f"{hashlib.md5(text, usedforsecurity=False).hexdigest()}-1"
        with self.open(key.blob) as content:
            key.blob.md5 = md5_of(content)
        return key.blob.md5

    # How it gets to the disk

    def _commit(self, unit: Unit) -> None:
        try:
            with ExitStack() as undo:
                writes = list(self._writes(unit, undo))
                if writes:
                    with self._catalogue.transaction():
                        self._settler.forget_settled()
                        for write in writes:
                            write()
                undo.pop_all()
            if writes:
                self._settler.settle()
        except BaseException:
            self._settler.abandon()
            for name in {*unit.buckets, *(name for name, _ in unit.keys | unit.found)}:
                self._registry.evict(name)
            raise

    def _writes(self, unit: Unit, undo: ExitStack) -> Iterator[Callable[[], object]]:
        """What moto has in memory, and the catalogue has not."""
        keys = unit.found
        if not unit.reading:
            keys = keys | unit.keys
            for name in sorted(unit.buckets):
                yield from self._bucket_writes(name, undo)
            for name, upload in sorted(unit.uploads):
                yield from self._upload_writes(name, upload)
        for name, key in sorted(keys):
            if (bucket := self._registry.loaded(name)) is not None:
                yield from self._settler.writes(bucket, key)

    def _bucket_writes(self, name: str, undo: ExitStack) -> Iterator[Callable[[], object]]:
        before = self._catalogue.bucket(name)
        bucket = self._registry.loaded(name)
        folder = self.layout.bucket_folder(name)
        if bucket is None:
            if before is not None:
                delete_tree(folder, only_empty=True)
                yield partial(self._catalogue.delete_bucket, name)
            return
        tagger = backend_of(bucket).tagger
        text = versions.bucket_record(bucket, tagger.tags.get(bucket.arn, {}))
        if text != before:
            if folder is not None and not folder.is_dir():
                folder.mkdir()
                undo.callback(delete_tree, folder, only_empty=True)
                self.disk.sync_folder(folder.parent)
            yield partial(self._catalogue.put_bucket, name, text)

    def _upload_writes(self, name: str, upload_id: str) -> Iterator[Callable[[], object]]:
        bucket = self._registry.loaded(name)
        upload: Any = None if bucket is None else dict.get(bucket.own_uploads, upload_id)
        before = self._catalogue.parts(name, upload_id)
        now: dict[int, FileKey] = {} if upload is None else upload.parts
        kept = {part.blob.name for part in now.values()}
        for blob, _ in before.values():
            if blob not in kept:
                self._settler.delete_staged(blob)
        text = None if upload is None else versions.upload_record(upload)
        if text != self._catalogue.upload(name, upload_id):
            yield partial(self._catalogue.put_upload, name, upload_id, text)
        for number, part in now.items():
            if number not in before or before[number][0] != part.blob.name:
                record = versions.part_record(part)
                yield partial(
                    self._catalogue.put_part, name, upload_id, number, part.blob.name, record
                )

    def _upload(self, bucket: FileBucket, text: str) -> FileMultipart:
        upload = versions.read_upload(text)
        locate = partial(self._settler.path, bucket.name, upload.key_name)
        for number, (_, record) in sorted(self._catalogue.parts(bucket.name, upload.id).items()):
            upload.parts[number] = versions.read_part(number, record, locate)
            upload.partlist.append(number)
        return upload


@contextmanager
def opened_store(root: Path, *, sync: bool = True) -> Iterator[Store]:
    """A store for the length of a block."""
    store = Store(root, sync=sync)
    try:
        yield store
    finally:
        store.close()


def _opened(blobs: Iterable[Blob]) -> Iterator[Content]:
    for blob in blobs:
        with Content.open(blob.path) as content:
            yield content


@contextmanager
def _told_of(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{root} cannot be an S3 store: {error}",
            remedy="make the folder writable, and room on its disk",
        ) from error


def _locked(path: Path) -> BinaryIO:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StoreError(
            f"{path.parent.parent} is served by another process",
            remedy="use that one's address, or stop it, or give another folder",
        ) from None
    return file
