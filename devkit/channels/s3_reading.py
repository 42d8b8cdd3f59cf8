"""The edge to S3's client, where its answers become streams and its errors become ours."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Protocol

from devkit.errors import ConfigError, DevkitError

# What one read asks of the network.
_BUFFER_BYTES = 1024 * 1024
_MISSING = {"NoSuchBucket", "NoSuchKey", "404"}


class S3Client(Protocol):
    """As much of boto3's S3 client as reading takes."""

    def list_objects_v2(self, **request: Any) -> Mapping[str, Any]:
        """ListObjectsV2."""

    def get_object(self, **request: Any) -> Mapping[str, Any]:
        """GetObject."""


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """Turn any error of the client into one that names what was read.

    Raises:
        ConfigError: There is no such bucket or object.
        DevkitError: It cannot be read for another reason.
    """
    try:
        yield
    except Exception as error:  # botocore's errors, without importing botocore
        answer = getattr(error, "response", None)
        code = answer.get("Error", {}).get("Code") if isinstance(answer, Mapping) else None
        if code in _MISSING:
            raise ConfigError(f"there is no {uri} ({code})") from error
        raise DevkitError(
            f"{uri} cannot be read: {error}",
            remedy="check that S3 answers, and that these credentials may read it",
        ) from error


def open_object(client: S3Client, bucket: str, key: str) -> IO[bytes]:
    """The content of one object, as a stream; a connection that breaks off is an error."""
    return open_sized(client, bucket, key)[0]


def open_sized(client: S3Client, bucket: str, key: str) -> tuple[IO[bytes], int]:
    """The content of one object, as :func:`open_object` has it, and its size."""
    uri = f"s3://{bucket}/{key}"
    with reading(uri):
        answer = client.get_object(Bucket=bucket, Key=key)
    size: int = answer["ContentLength"]
    return io.BufferedReader(_Body(answer["Body"], size, uri), buffer_size=_BUFFER_BYTES), size


class _Body(io.RawIOBase):
    """The body of an answer, which has to be as long as the answer said."""

    def __init__(self, body: Any, size: int, uri: str) -> None:
        self._body = body
        self._missing = size
        self._uri = uri

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        with reading(self._uri):
            data: bytes = self._body.read(len(buffer))
        self._missing -= len(data)
        if not data and self._missing:
            raise DevkitError(f"{self._uri} broke off {self._missing} bytes before its end")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()
