"""The S3 that channels and models are read from: a boto3 client, made here and nowhere else.

Only the address that the settings name is ever contacted. The developer's own AWS credentials are
used only where the settings name their profile; otherwise the keys are dummies, which every fake S3
takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from devkit.contract import LOCAL_REGION
from devkit.errors import ConfigError

if TYPE_CHECKING:
    from devkit.channels.s3_reading import S3Client

_DUMMY_KEY = "test"


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """``[s3]``: where ``s3://`` is read."""

    endpoint_url: str | None = None
    region: str = LOCAL_REGION
    profile: str | None = None

    @property
    def named(self) -> bool:
        """Whether they name an S3 at all."""
        return self.endpoint_url is not None or self.profile is not None


NO_S3 = (
    "the settings name no S3: set [s3] endpoint_url to its address, or [s3] profile to read from "
    "AWS"
)


def no_s3() -> S3Client:
    """For those who have nothing in S3.

    Raises:
        ConfigError: Always.
    """
    return s3_client(S3Settings())


def s3_client(settings: S3Settings) -> S3Client:
    """A client for the S3 that the settings name.

    Raises:
        ConfigError: They name none, or boto3 is not installed.
    """
    if not settings.named:
        raise ConfigError(NO_S3)
    try:
        import boto3  # noqa: PLC0415 - takes 0.3 s, and is an extra
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "s3:// needs boto3, which is not installed",
            remedy="pip install 'devkit[s3]'",
        ) from None
    keys = (
        {"aws_access_key_id": _DUMMY_KEY, "aws_secret_access_key": _DUMMY_KEY}
        if settings.profile is None
        else {"profile_name": settings.profile}
    )
    try:
        client = boto3.Session(region_name=settings.region, **keys).client(
            "s3",
            endpoint_url=settings.endpoint_url,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"[s3] in the settings is wrong: {error}") from error
    return cast("S3Client", client)
