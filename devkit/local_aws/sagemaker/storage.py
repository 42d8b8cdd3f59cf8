"""The endpoint's own S3, as its jobs and models are read and written; for worker threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from devkit.channels.locations import S3Uri
from devkit.channels.s3_reading import reading
from devkit.errors import ConfigError
from devkit.s3 import S3Settings, s3_client

if TYPE_CHECKING:
    from devkit.channels.s3_reading import S3Client
    from devkit.checkpoint_storage import S3Writer


class Storage:
    """S3; its client is made when it is first needed."""

    def __init__(self, make_client: Callable[[S3Settings], S3Client] = s3_client) -> None:
        self._make_client = make_client
        self._url: str | None = None
        self._client: S3Client | None = None
        self._lock = threading.Lock()

    def open(self, url: str) -> None:
        """Where it is, from now on."""
        self._url, self._client = url, None

    def client(self) -> S3Client:
        """Its client; may be used from several threads."""
        with self._lock:
            if self._client is None:
                self._client = self._make_client(S3Settings(endpoint_url=self._url))
            return self._client

    def uploader(self) -> S3Writer:
        """The same client, for those who write."""
        return cast("S3Writer", self.client())

    def require_bucket(self, bucket: str) -> None:
        """Make a bucket, where it is not there.

        Raises:
            DevkitError: S3 does not make it.
        """
        client: Any = self.client()
        with reading(f"s3://{bucket}"):
            names = [each["Name"] for each in client.list_buckets()["Buckets"]]
            if bucket not in names:
                client.create_bucket(Bucket=bucket)

    def has(self, place: S3Uri, *, whole_key: bool) -> bool:
        """Whether an object is there: of this key, or of one that begins so.

        A bucket that is not there has none.
        """
        try:
            with reading(str(place)):
                found: Any = self.client().list_objects_v2(
                    Bucket=place.bucket, Prefix=place.prefix, MaxKeys=1
                )
        except ConfigError:
            return False
        keys = [each["Key"] for each in found.get("Contents", ())]
        return place.prefix in keys if whole_key else bool(keys)
