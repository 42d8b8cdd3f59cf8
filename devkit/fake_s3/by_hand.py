"""What somebody has done to the files with other tools: each change as if S3 had been asked for it.

A new file is an object, a changed one is an object with new content, and one that is gone was
deleted. What S3 knew of it otherwise goes with the content it was known of.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from moto.s3.models import FakeDeleteMarker

from devkit.fake_s3.files import Content, Identity, md5_of
from devkit.fake_s3.layout import Layout
from devkit.fake_s3.objects import Blob, FileBucket, FileKey, Place
from devkit.fake_s3.registry import backend_of


def reconcile(layout: Layout, bucket: FileBucket, key: str) -> bool:
    """Take over what was done to one object's file; returns whether that was anything."""
    path = layout.plain(bucket.name, key)
    found = None
    if path is not None and path.is_file():
        found = Identity.at(path)
    return _take_over(layout, bucket, key, found)


def reconcile_all(layout: Layout, bucket: FileBucket, prefix: str) -> Iterator[str]:
    """Take over what was done to the files below a prefix; the keys that had changed."""
    found = dict(layout.found(bucket.name, prefix))
    gone = [
        key
        for key, versions in bucket.own_keys.lists()
        if key.startswith(prefix) and key not in found and _plain_blob(versions)
    ]
    for key in gone:
        if reconcile(layout, bucket, key):
            yield key
    for key, identity in found.items():
        if _take_over(layout, bucket, key, identity):
            yield key


def _take_over(layout: Layout, bucket: FileBucket, key: str, found: Identity | None) -> bool:
    versions = bucket.own_keys.versions(key)
    blob = _plain_blob(versions)
    if blob is not None and blob.identity == found:
        return False
    if found is None:
        if blob is not None:
            bucket.own_keys.put_versions(key, _without_latest(bucket, versions))
        return blob is not None
    path = layout.plain(bucket.name, key)
    if path is None:
        return False
    if blob is not None and _is_same(blob, found):
        blob.identity = found
        return True
    earlier = versions[:-1] if blob is not None else versions
    new = _new(bucket, key, Blob(uuid4().hex, Place.PLAIN, path, found, None))
    backend_of(bucket).tagger.tags.pop(new.arn, None)
    bucket.own_keys.put_versions(key, [*earlier, new] if bucket.is_versioned else [new])
    return True


def _plain_blob(versions: list[Any]) -> Blob | None:
    """The file in the bucket's folder, if the latest version is there."""
    if versions and isinstance(versions[-1], FileKey):
        blob = versions[-1].blob
        return blob if blob.place is Place.PLAIN else None
    return None


def _without_latest(bucket: FileBucket, versions: list[Any]) -> list[Any]:
    """In a bucket with versions, to delete adds a marker; the bytes are gone all the same."""
    if bucket.is_versioned or versions[:-1]:
        return [*versions[:-1], FakeDeleteMarker(versions[-1])]
    return []


def _is_same(blob: Blob, found: Identity) -> bool:
    """Whether only the file's time has changed: it was touched, or copied."""
    if blob.md5 is None or blob.identity.size != found.size:
        return False
    with Content.open(blob.path) as content:
        return md5_of(content) == blob.md5


def _new(bucket: FileBucket, key: str, blob: Blob) -> FileKey:
    new = FileKey(
        name=key,
        bucket_name=bucket.name,
        value=blob,
        account_id=bucket.account_id,
        region_name=bucket.partition,
        is_versioned=bucket.is_versioned,
        version_id=str(uuid4()) if bucket.is_versioned else "null",
    )
    seconds = blob.identity.mtime_ns / 1e9
    new.last_modified = datetime.fromtimestamp(seconds, tz=timezone.utc).replace(tzinfo=None)
    return new
