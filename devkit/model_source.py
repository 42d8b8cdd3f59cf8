"""Where a model is, and how it becomes the folder that a container sees (§2.2).

An archive is extracted; what is not one is an uncompressed model: a folder on this machine, all
objects under a prefix of S3, or a single object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from devkit import archives
from devkit.channels.fetching import fetch
from devkit.channels.items import Stored
from devkit.channels.locations import Location, S3Uri
from devkit.channels.s3_reading import S3Client, open_object
from devkit.channels.source import LocalSource, S3Source, clash
from devkit.errors import ConfigError, DevkitError, NotFound

ARCHIVE_ENDING = ".tar.gz"

_MAX_NAME_BYTES = 255


class ModelRefused(DevkitError):
    """An uncompressed model that SageMaker would not deploy."""

    exit_code = 6


def is_archive(model: Location) -> bool:
    """Whether a model is extracted, and not an uncompressed one."""
    if isinstance(model, S3Uri):
        return model.prefix.endswith(ARCHIVE_ENDING)
    return not model.is_dir()


def model_folder(model: Location | None, folder: Path, s3: Callable[[], S3Client]) -> Path:
    """The folder to mount as ``/opt/ml/model``; empty where there is no model.

    Args:
        model: A ``model.tar.gz``, or a folder. In S3: a key that ends in ``.tar.gz`` is an archive,
            one that ends in ``/`` a prefix, any other one a single object.
        folder: Is made, whole or not at all, unless the model is a folder: that is mounted where
            it is.
        s3: Gives the client for a model in S3; called only for one.

    Raises:
        NotFound: There is no such model in S3.
        ModelRefused: A name in it is forbidden, or would be a file and a folder.
        ArchiveRefused: The archive is none, or SageMaker refuses a member of it.
        DevkitError: It could not be fetched.
    """
    if model is None:
        folder.mkdir(parents=True)
    elif isinstance(model, S3Uri):
        _bring(model, folder, s3())
    elif is_archive(model):
        archives.extract_model(model, folder)
    else:
        _check(str(model), {each.key: each.key for each in LocalSource(model).objects()})
        return model
    return folder


def _bring(model: S3Uri, folder: Path, s3: S3Client) -> None:
    if is_archive(model):
        with _found(model):
            stream = open_object(s3, model.bucket, model.prefix)
        with stream:
            archives.extract_stream(stream, str(model), folder)
        return
    with _found(model):
        objects = list(_objects(model, s3))
        if not objects:
            raise ConfigError("there is no such object")
    _check(str(model), {each.path: each.key for each in objects})
    fetch(f"the model {model}", objects, folder)


def _objects(model: S3Uri, s3: S3Client) -> Iterator[Stored]:
    """The objects of an uncompressed model, with their paths below ``/opt/ml/model``."""
    key = model.prefix
    source = S3Source(s3, model.bucket, key)
    if key.endswith("/") or not key:
        for each in source.listed():
            yield Stored(source, each.key, each.key[len(key) :], each.size)
        return
    first = next(source.listed(), None)
    if first is not None and first.key == key:
        yield Stored(source, key, key.rpartition("/")[2], first.size)
        return
    inside = next(S3Source(s3, model.bucket, f"{key}/").listed(), None)
    if inside is not None:
        raise ModelRefused(
            f"the model {model} is no object, and a prefix has to end with /: "
            f"there is {inside.key!r}",
            remedy=f"--model {model}/",
        )


@contextmanager
def _found(model: S3Uri) -> Iterator[None]:
    """Say in SageMaker's own words (§5) that there is nothing."""
    try:
        yield
    except ConfigError as error:
        raise NotFound(
            f"Could not find model data at {model}: {error.message}",
            remedy="see that the bucket and the key are right, and in the S3 of [s3]",
        ) from error


def _check(model: str, keys_by_path: Mapping[str, str]) -> None:
    """Refuse what fails a deployment: each file's path below the model, and its key."""
    for path, key in keys_by_path.items():
        why = _problem(path)
        if why:
            raise _refused(model, key, why)
    found = clash(keys_by_path)
    if found is not None:
        above, path = found
        raise _refused(
            model, keys_by_path[above], f"would be a file and a folder: there is also {path!r}"
        )


def _problem(path: str) -> str | None:
    """What SageMaker has against the names in a path."""
    *_, last = parts = path.split("/")
    if not last:
        return "ends with /, as do the empty objects that the S3 console makes for folders"
    for part in parts:
        if not part.strip():
            return "has an empty or blank name in it"
        if "\0" in part:
            return "has a NUL in it"
        if part in {".", ".."}:
            return f"has the name {part!r} in it"
        if len(os.fsencode(part)) > _MAX_NAME_BYTES:
            return f"has a name of more than {_MAX_NAME_BYTES} bytes in it"
    return None


def _refused(model: str, key: str, why: str) -> ModelRefused:
    return ModelRefused(
        f"the model {model} cannot be deployed: {key!r} {why}",
        remedy="rename or remove that object, or make the model one model.tar.gz",
    )
