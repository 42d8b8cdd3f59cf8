"""The one place in which moto is changed: what is replaced, and put back.

moto's S3 is a singleton of the process, so only one store can be beneath it at a time.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from moto.core.model_instances import model_data
from moto.moto_api._internal.models import MotoAPIBackend
from moto.moto_server import werkzeug_app
from moto.s3 import models, notifications, responses

from devkit.errors import ConfigError
from devkit.fake_s3.objects import FileBucket, FileKey, FileMultipart
from devkit.fake_s3.serving import DurableBackend, DurableResponse
from devkit.fake_s3.store import Store, opened_store

_ABSENT = object()
_BUSY = threading.Lock()

# What is relied on: a function of moto's, and the parameters that it must have.
_RELIED_ON: dict[Callable[..., Any], str] = {
    models.FakeKey.__init__: "name value account_id region_name etag is_versioned version_id "
    "multipart bucket_name",
    models.FakeMultipart.complete: "body",
    models.FakeMultipart.set_part: "part_id value",
    models.FakeBucket.__init__: "name account_id region_name",
    models.S3Backend.put_object: "bucket_name key_name value etag multipart",
    models.S3Backend.copy_object: "src_key dest_bucket_name dest_key_name",
    models.S3Backend.upload_part_copy: "dest_bucket_name multipart_id part_id src_bucket_name "
    "src_key_name src_version_id start_byte end_byte",
    models.S3Backend.list_objects: "bucket prefix delimiter marker max_keys",
    models.S3Backend.list_objects_v2: "bucket prefix delimiter continuation_token start_after "
    "max_keys",
    models.S3Backend.list_object_versions: "bucket_name delimiter key_marker max_keys prefix "
    "version_id_marker",
    responses.S3Response.key_response: "request full_url headers",
    responses.S3Response.bucket_response: "request full_url headers",
    responses.S3Response.setup_class: "request full_url headers",
    responses.S3Response._get_key: "validate_storage_class",
    responses.S3Response._handle_encoded_body: "body",
    responses.S3Response._handle_v4_chunk_signatures: "body content_length",
    responses.S3Response._handle_range_header: "request response_headers response_content",
    notifications.send_event: "account_id event_name bucket key",
}


@contextmanager
def durable_s3(folder: Path, *, sync: bool = True) -> Iterator[Store]:
    """Keep moto's S3 of this process in a folder for the length of the block.

    Every request that moto answers goes there: those of its server, and those that other services
    in the same process make. ``POST /moto-api/reset`` deletes all buckets.

    Args:
        folder: Its folders are the buckets.
        sync: Whether what was acknowledged must survive a power cut, not only a crash.

    Raises:
        ConfigError: This moto is not one that devkit knows, or a store is in use here already.
        StoreError: Another process has the folder, or it cannot be read.
    """
    require_known_moto()
    if not _BUSY.acquire(blocking=False):
        raise ConfigError(
            "this process has an S3 store already, and moto has room for one",
            remedy="leave the block of the first one before the second, or use two processes",
        )
    try:
        with opened_store(folder, sync=sync) as store, _replaced(store):
            yield store
    finally:
        _BUSY.release()


def require_known_moto() -> None:
    """Make sure that moto is built as devkit relies on.

    Raises:
        ConfigError: It is not; with what is different.
    """
    for function, names in _RELIED_ON.items():
        missing = set(names.split()) - set(inspect.signature(function).parameters)
        if missing:
            raise ConfigError(
                f"moto {version('moto')} is not one that devkit can keep S3's objects for: "
                f"{function.__qualname__} has no {', '.join(sorted(missing))}",
                remedy="pip install 'devkit[local-aws]' brings one that it can",
            )


@contextmanager
def _replaced(store: Store) -> Iterator[None]:
    def new_response(_class: type, *_args: Any, **_kwargs: Any) -> DurableResponse:
        return object.__new__(DurableResponse)

    def reset(api: MotoAPIBackend) -> None:
        forget(api)
        for model in _s3_models():  # to each of which moto has given a list anew
            model.instances_tracked = _Untracked()
        store.clear()

    forget = MotoAPIBackend.reset
    with ExitStack() as undo:
        for each in (FileKey, FileMultipart, FileBucket):
            _replace(undo, each, "store", store)
        for own in (DurableBackend, DurableResponse):
            _replace(undo, own, "store", store)
        _replace(undo, models, "FakeKey", FileKey)
        _replace(undo, models, "FakeMultipart", FileMultipart)
        _replace(undo, models, "FakeBucket", FileBucket)
        _replace(undo, models.s3_backends, "backend", DurableBackend)
        _replace(undo, models.s3_backends, "bucket_accounts", {})
        _empty(undo, models.s3_backends)
        # Applications that exist already make their responses from this class, too.
        _replace(undo, responses.S3Response, "__new__", new_response)
        for module, name in ((notifications, "send_event"), (models, "events_send_notification")):
            _replace(undo, module, name, _later(store, getattr(module, name)))
        _replace(undo, MotoAPIBackend, "reset", reset)
        for model in _s3_models():
            _replace(undo, model, "instances_tracked", _Untracked())
        # No page in the developer's browser may read what is here unless a bucket's rules let it.
        _replace(undo, werkzeug_app, "DISABLE_GLOBAL_CORS", True)
        store.sync_buckets()
        yield


class _Untracked(list[Any]):
    """Where moto would keep all ACLs there ever were, for its dashboard: a server lives long."""

    def append(self, _instance: object, /) -> None:
        """Keep nothing."""


def _s3_models() -> list[Any]:
    return list(model_data["s3"].values())


def _later(store: Store, send: Callable[..., object]) -> Callable[..., None]:
    """Events are sent when what they tell of is on the disk, and others may ask for it."""

    def send_afterwards(*args: Any, **kwargs: Any) -> None:
        store.afterwards(partial(send, *args, **kwargs))

    return send_afterwards


def _replace(undo: ExitStack, owner: Any, name: str, new: object) -> None:
    before = vars(owner).get(name, _ABSENT)
    setattr(owner, name, new)
    if before is _ABSENT:
        undo.callback(delattr, owner, name)
    else:
        undo.callback(setattr, owner, name, before)


def _empty(undo: ExitStack, mapping: dict[str, Any]) -> None:
    before = dict(mapping)

    def restore() -> None:
        mapping.clear()
        mapping.update(before)

    mapping.clear()
    undo.callback(restore)
