"""moto's objects, uploads and buckets, with files for their bytes.

All of S3's rules stay moto's; what is replaced is where a value is.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from moto.s3 import models
from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML

from devkit.fake_s3 import digests
from devkit.fake_s3.files import Content, Identity, Staged
from devkit.fake_s3.watched import WatchedKeys, WatchedUploads, Watcher

_MIN_PART = "S3_UPLOAD_PART_MIN_SIZE"  # looked up each time: it can be set


class Place(str, Enum):
    """Where the bytes of an object's version are."""

    STAGED = "staged"  # under a name of their own: parts of uploads, and what is not committed yet
    PLAIN = "plain"  # in the bucket's folder, under the key
    KEPT = "kept"  # in the reserved place: versions that are not the latest, keys that are no names


@dataclass
class Blob:
    """The file that holds an object's bytes.

    Args:
        name: Its name while it is staged, which belongs to it for ever.
        path: Where it is now.
        md5: Of the content, in hexadecimal; ``None`` if nobody has read it.
    """

    name: str
    place: Place
    path: Path
    identity: Identity
    md5: str | None
    digests: dict[str, bytes] = field(default_factory=dict)


class Storage(Watcher, Protocol):
    """What these classes ask of the store."""

    def stage(self, value: object) -> Blob:
        """Make bytes, or what stands for them, a file of their own."""

    def open(self, blob: Blob) -> Content:
        """Open a file wherever it is."""

    def join(self, blobs: Iterable[Blob]) -> Staged:
        """Write files one after the other into a new one."""

    def etag(self, key: FileKey) -> str:
        """The ETag of an object that was made by hand."""

    def load(self, bucket: FileBucket) -> None:
        """Fill a bucket with its objects and uploads."""


class FileKey(models.FakeKey):
    """A version of an object, or a part of an upload, whose value is a file."""

    store: ClassVar[Storage]
    blob: Blob

    def __new__(cls, *_args: Any, **_kwargs: Any) -> FileKey:
        """Make one that is gone when nobody has it; moto keeps all there ever were."""
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._value_buffer.close()
        del self._value_buffer

    @property
    def value(self) -> bytes:
        """All bytes at once: for callers that need them so, none of which S3's own requests are."""
        with self.open() as content:
            return b"".join(content)

    @value.setter
    def value(self, new: object) -> None:
        self.blob = self.store.stage(new)
        self.contentsize = self.blob.identity.size
        if self._etag is None:
            self._etag = self.blob.md5

    @property
    def etag(self) -> str:
        """The ETag, in its quotation marks."""
        if self._etag is None:
            self._etag = self.store.etag(self)
        return f'"{self._etag}"'

    def open(self) -> Content:
        """The bytes as a stream."""
        return self.store.open(self.blob)

    def dispose(self, garbage: bool = False) -> None:
        """Nothing to do: no file is open, and the store deletes what no record names."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> FileKey:
        """A copy that can be written on; the file is the same."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy


class Streamed:
    """A key whose value is read while it is sent, or copied from file to file."""

    def __init__(self, key: FileKey) -> None:
        self._key = key

    @property
    def value(self) -> Content:
        """The bytes as a stream."""
        return self._key.open()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the key's."""
        return getattr(self._key, name)


class FileMultipart(models.FakeMultipart):
    """An upload in parts, put together without reading them."""

    store: ClassVar[Storage]
    record: dict[str, Any]

    def __new__(cls, *_args: Any, **_kwargs: Any) -> FileMultipart:
        """Make one that is gone when nobody has it."""
        return object.__new__(cls)

    def complete(  # type: ignore[override]
        self, body: Iterator[tuple[int, str]]
    ) -> tuple[Staged, str, tuple[str, str, int] | None]:
        """Put the parts together.

        Returns:
            The whole, its ETag, and the checksum's type, value and number of parts.

        Raises:
            InvalidPart: There is no such part, or another one has its number.
            EntityTooSmall: A part that is not the last is too small.
            MalformedXML: No part is named.
        """
        parts = list(self._named(body))
        if not parts:
            raise MalformedXML
        etags = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        whole = self.store.join([part.blob for part in parts])
        etag = hashlib.md5(etags, usedforsecurity=False).hexdigest()
        return whole, f"{etag}-{len(parts)}", self._checksum(parts, whole)

    def dispose(self) -> None:
        """Nothing to do; see :meth:`FileKey.dispose`."""

    def _named(self, body: Iterator[tuple[int, str]]) -> Iterator[FileKey]:
        last: Any = None
        for number, etag in body:
            part: Any = self.parts.get(number)
            if part is None or part.etag.strip('"') != etag.strip('"'):
                raise InvalidPart
            if last is not None and last.contentsize < vars(models)[_MIN_PART]:
                raise EntityTooSmall
            yield part
            last = part

    def _checksum(self, parts: list[FileKey], whole: Staged) -> tuple[str, str, int] | None:
        algorithm = self.metadata.get("x-amz-checksum-algorithm")
        if not algorithm:
            return None
        kind = self.metadata.get("x-amz-checksum-type") or (
            "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"
        )
        digest = digests.new(algorithm)
        if kind == "COMPOSITE":
            for part in parts:
                digest.update(self._digest_of(part, algorithm))
        else:
            with Content.open(whole.path) as content:
                for chunk in content:
                    digest.update(chunk)
        value = base64.b64encode(digest.digest()).decode()
        return kind, value, len(parts) if kind == "COMPOSITE" else 1

    def _digest_of(self, part: FileKey, algorithm: str) -> bytes:
        known = part.blob.digests.get(algorithm)
        if known is not None:
            return known
        digest = digests.new(algorithm)
        with part.open() as content:
            for chunk in content:
                digest.update(chunk)
        return digest.digest()


class FileBucket(models.FakeBucket):
    """A bucket whose objects are read from the store when they are first needed."""

    store: ClassVar[Storage]
    loaded = False

    def __new__(cls, *_args: Any, **_kwargs: Any) -> FileBucket:
        """Make one that is gone when nobody has it."""
        return object.__new__(cls)

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(name, *args, **kwargs)
        self.own_keys = WatchedKeys(self.store, name)
        self.own_uploads = WatchedUploads(self.store, name)

    @property
    def keys(self) -> WatchedKeys:
        """The bucket's objects."""
        self._load()
        return self.own_keys

    @keys.setter
    def keys(self, _new: object) -> None:
        """Moto gives a new bucket a plain mapping; it has a watched one."""

    @property
    def multiparts(self) -> WatchedUploads:
        """The bucket's unfinished uploads."""
        self._load()
        return self.own_uploads

    @multiparts.setter
    def multiparts(self, _new: object) -> None:
        """See :attr:`keys`."""

    @classmethod
    def new(cls, name: str, account: str, region: str) -> FileBucket:
        """Make one, which moto has in its register of buckets from now on."""
        return cls(name, account_id=account, region_name=region)

    def _load(self) -> None:
        if not self.loaded:
            self.store.load(self)
