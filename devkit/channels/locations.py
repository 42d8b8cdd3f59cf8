"""Where a channel points to: an S3 URI, or a path on this machine that stands in for one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from devkit.channels.s3_reading import S3Client
from devkit.channels.source import LocalSource, ObjectSource, S3Source
from devkit.errors import ConfigError

# §1.13. AWS's patterns match the whole value.
_S3_URI = re.compile(r"(https|s3)://([^/]+)/?(.*)")
_MAX_S3_URI_CHARS = 1024
# https://BUCKET.s3.REGION.amazonaws.com/KEY and https://s3.REGION.amazonaws.com/BUCKET/KEY
_S3_HOST = re.compile(r"(?:(.+)\.)?s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True)
class S3Uri:
    """A bucket, and the beginning of the keys in it (or one whole key)."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        """As it is written in a request."""
        return f"s3://{self.bucket}/{self.prefix}"


Location: TypeAlias = S3Uri | Path


def parse_s3_uri(uri: str) -> S3Uri:
    """An ``S3Uri`` of a request: ``s3://bucket/prefix``, or S3's own https address for it (§1.13).

    Raises:
        ConfigError: SageMaker would refuse it.
    """
    match = _S3_URI.fullmatch(uri)
    if match is None or len(uri) > _MAX_S3_URI_CHARS:
        raise ConfigError(
            f"{uri[:80]!r} is no S3 URI: s3://bucket/prefix of at most "
            f"{_MAX_S3_URI_CHARS} characters"
        )
    scheme, bucket, prefix = match.groups()
    if scheme == "https":
        host = _S3_HOST.fullmatch(bucket)
        if host is None:
            raise ConfigError(f"{uri!r} is not an address of S3", remedy="write s3://bucket/prefix")
        bucket = host.group(1)
        if bucket is None:
            bucket, _, prefix = prefix.partition("/")
    return S3Uri(bucket, prefix)


def parse_location(text: str, folder: Path) -> Location:
    """An S3 URI, or a path relative to ``folder``."""
    return parse_s3_uri(text) if "://" in text else folder / text


def source_at(location: Location, s3: S3Client | None) -> ObjectSource:
    """The objects at a location.

    Raises:
        ConfigError: It is in S3, and there is no client to read it with.
    """
    if isinstance(location, Path):
        return LocalSource(location)
    if s3 is None:
        raise ConfigError(f"{location} is in S3, and no S3 is set up here to read it from")
    return S3Source(s3, location.bucket, location.prefix)
