"""moto's mappings of a bucket's objects and uploads, which tell what is looked at through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from moto.s3 import models
from moto.s3.exceptions import NoSuchUpload
from moto.s3.utils import _VersionedKeyStore


class Watcher(Protocol):
    """Who wants to know."""

    def touch_key(self, bucket: str, key: str) -> None:
        """A key is looked at, and perhaps changed."""

    def touch_upload(self, bucket: str, upload: str) -> None:
        """An upload is looked at, and perhaps changed."""


class WatchedKeys(_VersionedKeyStore):
    """The versions of a bucket's objects by their keys; tells who wants to know which are used.

    To go over all of them tells it nothing: that is listing, which changes none.
    """

    def __init__(self, watcher: Watcher, bucket: str) -> None:
        super().__init__()
        self._watcher, self._bucket = watcher, bucket

    def versions(self, key: str) -> list[Any]:
        """A key's versions, the latest last, unwatched; empty if there is none."""
        return dict.get(self, key) or []

    def put_versions(self, key: str, versions: list[Any]) -> None:
        """Replace a key's versions, unwatched; none at all removes the key."""
        if versions:
            dict.__setitem__(self, key, versions)
        else:
            dict.pop(self, key, None)

    def __contains__(self, key: object) -> bool:
        """Whether there is such a key."""
        self._watcher.touch_key(self._bucket, str(key))
        return dict.__contains__(self, key)

    def __getitem__(self, key: str) -> Any:
        """The latest version."""
        self._watcher.touch_key(self._bucket, key)
        return dict.__getitem__(self, key)[-1]

    def __setitem__(self, key: str, value: Any) -> None:
        """Add a version, as moto has it."""
        self._watcher.touch_key(self._bucket, key)
        dict.__setitem__(self, key, [*self.versions(key), value])

    def get(self, key: str, default: Any = None) -> Any:
        """The latest version."""
        return self[key] if key in self else default  # noqa: SIM401 - this is get

    def getlist(self, key: str, default: Any = None) -> Any:
        """All versions, the latest last."""
        self._watcher.touch_key(self._bucket, key)
        return dict.get(self, key, default)

    def setlist(self, key: Any, list_: Any) -> None:
        """Replace all versions."""
        self._watcher.touch_key(self._bucket, key)
        dict.__setitem__(self, key, list(list_))

    def pop(self, key: str) -> None:  # type: ignore[override]
        """Remove a key.

        Raises:
            KeyError: There is no such key.
        """
        self._watcher.touch_key(self._bucket, key)
        dict.pop(self, key)

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """The latest versions with their keys."""
        for key, versions in self.lists():
            yield key, versions[-1]

    def values(self) -> Iterator[Any]:  # type: ignore[override]
        """The latest versions."""
        for _, versions in self.lists():
            yield versions[-1]

    def lists(self) -> Iterator[tuple[str, list[Any]]]:
        """All versions with their keys."""
        yield from list(dict.items(self))

    iteritems, itervalues, iterlists = items, values, lists


class WatchedUploads(models.MultipartDict):
    """A bucket's unfinished uploads by their ids; tells who wants to know which are used."""

    def __init__(self, watcher: Watcher, bucket: str) -> None:
        super().__init__()
        self._watcher, self._bucket = watcher, bucket

    def __getitem__(self, key: str) -> Any:
        """An upload."""
        self._watcher.touch_upload(self._bucket, key)
        return super().__getitem__(key)

    def __missing__(self, key: str) -> Any:
        """S3's error."""
        raise NoSuchUpload(upload_id=key)

    def __setitem__(self, key: str, value: Any) -> None:
        """Add an upload."""
        self._watcher.touch_upload(self._bucket, key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        """Remove an upload."""
        self._watcher.touch_upload(self._bucket, key)
        super().__delitem__(key)
