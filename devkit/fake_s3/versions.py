"""Buckets, objects and uploads as the catalogue has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from moto.s3 import models

from devkit.fake_s3 import records
from devkit.fake_s3.files import Identity
from devkit.fake_s3.objects import Blob, FileBucket, FileKey, FileMultipart, Place

Locate = Callable[[str, Place], Path]
"""Says where the file of this name is if it is in such a place."""

_OF_A_KEY = frozenset(
    # What is stored otherwise, and what only a running moto has.
    {
        *("name", "bucket_name", "blob", "multipart", "contentsize", "lock", "disposed"),
        *("_max_buffer_size", "_value_buffer", "_transitions", "model_name"),
        *("_tick", "_time_progressed"),
    }
)
_OF_AN_UPLOAD = frozenset({"parts", "partlist", "saved", "record"})
_OF_A_BUCKET = frozenset({"name", "own_keys", "own_uploads", "loaded", "account_id", "region_name"})


@dataclass(frozen=True)
class Written:
    """What a record says of one version's file."""

    name: str
    place: Place
    identity: Identity
    md5: str | None


def bucket_record(bucket: FileBucket, tags: Mapping[str, Any]) -> str:
    """A bucket's settings."""
    return records.dumps(
        {
            "account": bucket.account_id,
            "region": bucket.region_name,
            "fields": records.fields(bucket, leave_out=_OF_A_BUCKET, defaults={}),
            "tags": records.encode(dict(tags)),
        }
    )


def read_bucket(name: str, text: str) -> tuple[FileBucket, dict[str, Any]]:
    """A bucket, which registers itself with moto, and its tags."""
    record = json.loads(text)
    bucket = FileBucket.new(name, record["account"], record["region"])
    vars(bucket).update({n: records.decode(v) for n, v in record["fields"].items()})
    return bucket, records.decode(record["tags"])


def object_record(
    versions: list[Any], places: list[Place], tags: Callable[[Any], Mapping[str, Any]]
) -> str | None:
    """All versions of an object; ``None`` if there are none.

    Args:
        versions: The latest last.
        places: Where their files will be; meaningless for delete markers.
        tags: Tells a version's tags.
    """
    if not versions:
        return None
    return records.dumps(
        [
            _key_record(each, place, tags(each)) if isinstance(each, FileKey) else _marker(each)
            for each, place in zip(versions, places, strict=True)
        ]
    )


def read_object(
    bucket: str, key: str, text: str, locate: Locate
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """An object's versions with their tags, the latest last."""
    before: Any = None
    for record in json.loads(text):
        tags: dict[str, Any] = {}
        if "marker" in record:
            before = _read_marker(key, record, before)
        else:
            before, tags = _read_key(bucket, key, record, locate)
        yield before, tags


def files_of(text: str | None) -> list[Written]:
    """The files that a record names."""
    return [_read_file(record["file"]) for record in json.loads(text or "[]") if "file" in record]


def file_record(files: list[Written]) -> str:
    """Files that are to be deleted."""
    return records.dumps([_file_record(each) for each in files])


def read_files(text: str) -> list[Written]:
    """What :func:`file_record` was given."""
    return [_read_file(each) for each in json.loads(text)]


def upload_record(upload: FileMultipart) -> str:
    """An unfinished upload without its parts."""
    return records.dumps(records.fields(upload, leave_out=_OF_AN_UPLOAD, defaults={}))


def read_upload(text: str) -> FileMultipart:
    """An unfinished upload that has no parts yet."""
    upload = object.__new__(FileMultipart)
    vars(upload).update({n: records.decode(v) for n, v in json.loads(text).items()})
    upload.parts, upload.partlist = {}, []
    return upload


def part_record(part: FileKey) -> str:
    """A part of an unfinished upload."""
    return records.dumps(_key_record(part, Place.STAGED, {}))


def read_part(number: int, text: str, locate: Locate) -> FileKey:
    """A part of an unfinished upload."""
    part, _ = _read_key(None, number, json.loads(text), locate)
    return part


def _key_record(key: FileKey, place: Place, tags: Mapping[str, Any]) -> dict[str, Any]:
    blob = key.blob
    record: dict[str, Any] = {
        "file": _file_record(Written(blob.name, place, blob.identity, blob.md5)),
        "fields": records.fields(key, leave_out=_OF_A_KEY, defaults=_encoded_defaults()),
    }
    if tags:
        record["tags"] = records.encode(dict(tags))
    if blob.digests and place is Place.STAGED:
        record["digests"] = records.encode(blob.digests)
    if key.multipart is not None:
        record["parts"] = _finished_record(key.multipart)
    return record


def _read_key(
    bucket: str | None, name: Any, record: dict[str, Any], locate: Locate
) -> tuple[FileKey, dict[str, Any]]:
    written = _read_file(record["file"])
    key = _blank_key()
    vars(key).update(
        {n: records.decode(v) for n, v in record["fields"].items()},
        name=name,
        bucket_name=bucket,
        contentsize=written.identity.size,
        blob=Blob(
            written.name,
            written.place,
            locate(written.name, written.place),
            written.identity,
            written.md5,
            records.decode(record["digests"]) if "digests" in record else {},
        ),
        multipart=_read_finished(record["parts"]) if "parts" in record else None,
    )
    return key, records.decode(record["tags"]) if "tags" in record else {}


def _marker(marker: Any) -> dict[str, Any]:
    on_marker = isinstance(marker.key, models.FakeDeleteMarker)
    at = records.encode(marker.last_modified)
    return {"marker": marker.version_id, "at": at, "on_marker": on_marker}


def _read_marker(key: str, record: dict[str, Any], before: Any) -> Any:
    marker = object.__new__(models.FakeDeleteMarker)
    if record["on_marker"] != isinstance(before, models.FakeDeleteMarker) or before is None:
        # What it was set on is deleted; moto still wants to know what kind it was.
        kind = models.FakeDeleteMarker if record["on_marker"] else FileKey
        before = object.__new__(kind)
    vars(marker).update(
        key=before,
        name=key,
        last_modified=records.decode(record["at"]),
        _version_id=record["marker"],
    )
    return marker


def _file_record(file: Written) -> list[Any]:
    identity = file.identity
    return [file.name, file.place.value, identity.size, identity.mtime_ns, file.md5]


def _read_file(record: list[Any]) -> Written:
    name, place, size, mtime_ns, md5 = record
    return Written(name, Place(place), Identity(size, mtime_ns), md5)


def _finished_record(upload: Any) -> dict[str, Any]:
    """What moto asks of a finished upload: its id, and its parts' sizes and ETags."""
    record: dict[str, Any] | None = vars(upload).get("record")
    if record is None:
        record = upload.record = {
            "id": upload.id,
            "parts": [
                [number, part.size, part.etag.strip('"'), records.encode(part.last_modified)]
                for number, part in sorted(upload.parts.items())
            ],
        }
    return record


def _read_finished(record: dict[str, Any]) -> FileMultipart:
    upload = object.__new__(FileMultipart)
    upload.id, upload.record = record["id"], record
    upload.parts = {}
    for number, size, etag, at in record["parts"]:
        part = upload.parts[number] = _blank_key()
        vars(part).update(
            name=number, contentsize=size, _etag=etag, last_modified=records.decode(at)
        )
    upload.partlist = sorted(upload.parts)
    return upload


def _blank_key() -> FileKey:
    key = object.__new__(FileKey)
    vars(key).update(_defaults())
    key._metadata = records.decode(_encoded_defaults()["_metadata"])
    return key


@cache
def _defaults() -> dict[str, Any]:
    """The attributes of a new object in the account that everybody has."""
    moto_key = FileKey.__mro__[1]
    new = moto_key(
        "", b"", account_id="123456789012", region_name="aws", version_id="null", etag=""
    )
    attributes = {n: v for n, v in vars(new).items() if n not in ("_value_buffer", "_etag")}
    new.dispose()
    return {**attributes, "_etag": None}


@cache
def _encoded_defaults() -> dict[str, Any]:
    kept = {n: v for n, v in _defaults().items() if n not in _OF_A_KEY and n != "last_modified"}
    return {name: records.encode(value) for name, value in kept.items()}
