"""moto's S3 with streams for bodies, each request a unit of work in the store."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from moto.core.base_backend import BaseBackend
from moto.core.request import environ_key_for_header
from moto.s3.models import FakeBucket, FakeKey, FakeMultipart, S3Backend, s3_backends
from moto.s3.responses import S3Response

from devkit.fake_s3 import receiving
from devkit.fake_s3.files import Staged
from devkit.fake_s3.objects import FileBucket, FileKey, Streamed

if TYPE_CHECKING:
    from moto.core.common_types import TYPE_RESPONSE
    from moto.core.request import Request

    from devkit.fake_s3.store import Store

_READING = ("GET", "HEAD", "OPTIONS")
_READERS = ("get_", "head_", "list_", "select_", "is_", "iter_", "log_", "default_")
_LOGGER = logging.getLogger(__name__)


class DurableResponse(S3Response):
    """One request."""

    store: ClassVar[Store]
    _received: Staged | None = None

    def key_response(self, request: Request, full_url: str, headers: Any) -> TYPE_RESPONSE:
        """Answer a request to an object."""
        try:
            self._received = self._receive(request)
            with self._alone_with(request):
                return super().key_response(request, full_url, headers)
        except receiving.Refused as refused:
            return refused.answer()
        except (OSError, sqlite3.Error) as error:
            return _failed(error)
        finally:
            if self._received is not None:
                self._received.discard()

    def bucket_response(self, request: Request, full_url: str, headers: Any) -> TYPE_RESPONSE:
        """Answer a request to a bucket, or to all."""
        request.get_data(parse_form_data=True)  # before others are kept out
        try:
            with self.store.unit(reading=request.method in _READING):
                return super().bucket_response(request, full_url, headers)
        except (OSError, sqlite3.Error) as error:
            return _failed(error)

    def setup_class(  # type: ignore[override] # as moto's own
        self, request: Request, full_url: str | None = None, headers: Any = None
    ) -> None:
        """Take the object that was received for the request's body."""
        super().setup_class(request, full_url, headers)
        if self._received is not None:
            self.body = self._received
            self.raw_body = b""

    def _handle_encoded_body(self, body: Any) -> Any:
        return self._received or super()._handle_encoded_body(body)

    def _handle_v4_chunk_signatures(self, body: bytes, content_length: int) -> Any:
        return self._received or super()._handle_v4_chunk_signatures(body, content_length)

    def _get_key(self, validate_storage_class: bool = True) -> tuple[Any, bool]:
        """The object that is asked for; its value is read while it is sent."""
        key, not_modified = super()._get_key(validate_storage_class)
        return Streamed(key) if isinstance(key, FileKey) else key, not_modified

    def _receive(self, request: Request) -> Staged | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not receiving.brings_an_object(request.method, request.args, headers):
            request.get_data(parse_form_data=True)  # before others are kept out
            return None
        staged = receiving.receive(request.stream, headers, self.store.disk)
        for name, value in receiving.checksum_headers(staged, headers).items():
            request.environ[environ_key_for_header(name)] = value
        return staged

    @contextlib.contextmanager
    def _alone_with(self, request: Request) -> Any:
        upload = request.args.get("uploadId") if request.method == "POST" else None
        waiting = self.store.completing(upload) if upload else contextlib.nullcontext()
        with waiting, self.store.unit(reading=request.method in _READING):
            yield


def _failed(error: Exception) -> TYPE_RESPONSE:
    """A disk that is full, or a client that is gone; the change has not happened."""
    if isinstance(error, ConnectionError):
        raise error
    _LOGGER.error("the S3 store failed: %s", error, exc_info=error)
    message = f"devkit's S3 store failed, and nothing was changed: {error}"
    return receiving.Refused("InternalError", message, 500).answer()


def _in_a_unit(method: Callable[..., Any]) -> Callable[..., Any]:
    reading = method.__name__.startswith(_READERS)

    @functools.wraps(method)
    def wrapped(self: DurableBackend, *args: Any, **kwargs: Any) -> Any:
        with self.store.unit(reading=reading):
            return method(self, *args, **kwargs)

    return wrapped


class DurableBackend(S3Backend):
    """S3 of one account; other services call it without a request of its own."""

    store: ClassVar[Store]

    def reset(self) -> None:
        """Forget what is in memory; what is on the disk is read again when it is asked for."""
        for name in [*self.buckets, *self.table_buckets]:
            s3_backends.bucket_accounts.pop(name, None)
        BaseBackend.reset(self)

    def create_bucket(self, bucket_name: str, *args: Any, **kwargs: Any) -> FakeBucket:
        """See whether it exists by hand, too."""
        self.store.sync_bucket(bucket_name)
        return super().create_bucket(bucket_name, *args, **kwargs)

    def get_bucket(self, bucket_name: str) -> FakeBucket:
        """See whether it was made or removed by hand."""
        if bucket_name:  # moto asks for the bucket of requests that have none
            self.store.sync_bucket(bucket_name)
        return super().get_bucket(bucket_name)

    def list_buckets(self, *args: Any, **kwargs: Any) -> list[FakeBucket]:
        """See which were made or removed by hand."""
        self.store.sync_buckets()
        return super().list_buckets(*args, **kwargs)

    def delete_bucket(self, bucket_name: str) -> FakeBucket | None:
        """See whether it is empty by hand, too."""
        bucket = self.get_bucket(bucket_name)
        if isinstance(bucket, FileBucket):
            self.store.list_files(bucket)
        return super().delete_bucket(bucket_name)

    def list_objects(
        self,
        bucket: FakeBucket,
        prefix: str | None,
        delimiter: str | None,
        marker: str | None,
        max_keys: int | None,
    ) -> Any:
        """Look at the files at the beginning of a listing."""
        self._look(bucket, prefix, goes_on=bool(marker))
        return super().list_objects(bucket, prefix, delimiter, marker, max_keys)

    def list_objects_v2(
        self,
        bucket: FakeBucket,
        prefix: str | None,
        delimiter: str | None,
        continuation_token: str | None,
        start_after: str | None,
        max_keys: int,
    ) -> Any:
        """Look at the files at the beginning of a listing."""
        self._look(bucket, prefix, goes_on=bool(continuation_token))
        return super().list_objects_v2(
            bucket, prefix, delimiter, continuation_token, start_after, max_keys
        )

    def list_object_versions(
        self,
        bucket_name: str,
        delimiter: str | None = None,
        key_marker: str | None = None,
        max_keys: int | None = 1000,
        prefix: str = "",
        version_id_marker: str | None = None,
    ) -> Any:
        """Look at the files at the beginning of a listing."""
        self._look(self.get_bucket(bucket_name), prefix, goes_on=bool(key_marker))
        return super().list_object_versions(
            bucket_name, delimiter, key_marker, max_keys, prefix, version_id_marker
        )

    def copy_object(self, src_key: FakeKey, *args: Any, **kwargs: Any) -> None:
        """Copy from file to file."""
        source: Any = Streamed(src_key) if isinstance(src_key, FileKey) else src_key
        super().copy_object(source, *args, **kwargs)

    def upload_part_copy(
        self,
        dest_bucket_name: str,
        multipart_id: str,
        part_id: int,
        src_bucket_name: str,
        src_key_name: str,
        src_version_id: str | None,
        start_byte: int,
        end_byte: int,
    ) -> FakeKey:
        """Copy a range from file to file."""
        upload: FakeMultipart = self.get_bucket(dest_bucket_name).multiparts[multipart_id]
        source: Any = self.get_object(src_bucket_name, src_key_name, version_id=src_version_id)
        content: Any = source.open()
        if start_byte is not None:
            content = content[start_byte : end_byte + 1]
        return upload.set_part(part_id, content)

    def _look(self, bucket: FakeBucket, prefix: str | None, *, goes_on: bool) -> None:
        if isinstance(bucket, FileBucket):
            if goes_on:
                self.store.skip_listing(bucket)
            else:
                self.store.list_files(bucket, prefix or "")


for _name in dir(DurableBackend):
    _method = inspect.getattr_static(DurableBackend, _name)
    if inspect.isfunction(_method) and not _name.startswith("_") and _name != "reset":
        setattr(DurableBackend, _name, _in_a_unit(_method))
