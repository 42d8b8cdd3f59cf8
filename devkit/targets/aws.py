"""Clients for AWS: boto3, with the user's own credentials, where boto3 itself finds them.

The local AWS has the same clients: ``AWS_ENDPOINT_URL`` names it. Made here, and nowhere else but
in ``devkit/s3.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from devkit.channels.locations import S3Uri
from devkit.contract import LOCAL_REGION
from devkit.errors import ConfigError
from devkit.local_aws.keys import DUMMY_KEY
from devkit.targets import aws_errors
from devkit.targets.clients import HOW_TO_INSTALL, NO_BOTO3

if TYPE_CHECKING:
    from devkit.config import AwsSettings

Connect = Callable[[str], Any]
"""Makes boto3's client for a service."""

_ATTEMPTS = 4
# An endpoint may take 60 s to answer (§2.3).
_RUNTIME_TIMEOUT_S = 70
# Prices are nice to have: nobody waits for them.
_PRICING = {"connect_timeout": 2, "read_timeout": 4, "retries": {"total_max_attempts": 1}}
_PRICING_REGION = "us-east-1"  # one of the few that have it; it knows the prices of all


class AwsClients:
    """:class:`~devkit.targets.clients.Clients` over boto3. May be used by several threads.

    Args:
        connect: Makes the client of a service; each is made once.
        region: Where things are made.
        profile: The one that the settings name; for what errors tell the user.
    """

    def __init__(self, connect: Connect, *, region: str, profile: str | None = None) -> None:
        self._connect = connect
        self._region = region
        self._profile = profile
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def region(self) -> str:
        """Where things are made."""
        return self._region

    @property
    def account(self) -> str:
        """The account of the credentials, by STS."""
        return str(self._caller["Account"])

    @property
    def identity(self) -> str:
        """Who the credentials are of: the ARN of a user or of a session of a role."""
        return str(self._caller["Arn"])

    def is_local(self) -> bool:
        """Whether it is not AWS that answers, but something on this machine."""
        with self._errors("sts", "GetCallerIdentity"):
            host = urlsplit(self._client("sts").meta.endpoint_url).hostname or ""
        return is_loopback(host)

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Call an operation; see :class:`~devkit.targets.clients.Clients`."""
        from botocore import xform_name  # noqa: PLC0415 - an extra

        with self._errors(service, operation):
            answer = getattr(self._client(service), xform_name(operation))(**parameters)
            members = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
            if hasattr(members.get("Body"), "read"):
                with closing(members["Body"]) as body:  # its own __enter__ gives the bare socket
                    members["Body"] = body.read()
        return members

    def upload(self, source: Path, place: S3Uri) -> None:
        """Upload a file, in parts where it is large."""
        with (
            source.open("rb") as file,
            self._errors("s3", "PutObject", str(place)),
        ):
            self._client("s3").upload_fileobj(file, place.bucket, place.prefix)

    def download(self, place: S3Uri, target: Path) -> None:
        """Download an object; no half of it is left under the name ``target``."""
        partial = target.with_name(f"{target.name}.part")
        try:
            with partial.open("wb") as file, self._errors("s3", "GetObject", str(place)):
                self._client("s3").download_fileobj(place.bucket, place.prefix, file)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    @cached_property
    def _caller(self) -> Mapping[str, Any]:
        return self.call("sts", "GetCallerIdentity", {})

    def _client(self, service: str) -> Any:
        with self._lock:  # a session may not be used by several threads; clients may
            if service not in self._clients:
                self._clients[service] = self._connect(service)
            return self._clients[service]

    @contextmanager
    def _errors(self, service: str, operation: str, about: str = "") -> Iterator[None]:
        from boto3.exceptions import Boto3Error  # noqa: PLC0415 - an extra
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        # botocore raises ValueError for an address that is none
        except (BotoCoreError, Boto3Error, ClientError, ValueError) as error:
            raise aws_errors.translated(
                error,
                service=service,
                operation=operation,
                profile=self._profile,
                about=about,
            ) from error


def aws_clients(settings: AwsSettings) -> AwsClients:
    """Clients for the account that the settings and the user's AWS configuration name.

    Nothing is called yet.

    Raises:
        ConfigError: There is no such profile, nobody names a region, or boto3 is not installed.
    """
    try:
        import boto3  # noqa: PLC0415 - takes 0.3 s, and is an extra
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ImportError:
        raise ConfigError(NO_BOTO3, remedy=HOW_TO_INSTALL) from None
    try:
        session = boto3.Session(profile_name=settings.profile, region_name=settings.region)
        region = session.region_name
    except BotoCoreError as error:
        raise ConfigError(
            f"the AWS configuration cannot be used: {error}",
            remedy="aws configure list-profiles shows what there is; [aws] profile or AWS_PROFILE "
            "names one",
        ) from error
    if not region:
        raise ConfigError(
            "nobody says in which region of AWS to work",
            remedy="set [aws] region in devkit.toml, or AWS_DEFAULT_REGION, or a region in the "
            "profile: aws configure set region us-east-1",
        )
    return AwsClients(_connector(session), region=region, profile=settings.profile)


def local_aws_clients(url: str) -> AwsClients:
    """Clients for a local AWS, whatever the user's own configuration says.

    Args:
        url: Its address.
    """
    import boto3  # noqa: PLC0415 - takes 0.3 s, and is an extra
    from botocore.config import Config  # noqa: PLC0415

    session = boto3.Session(
        aws_access_key_id=DUMMY_KEY, aws_secret_access_key=DUMMY_KEY, region_name=LOCAL_REGION
    )
    config = Config(s3={"addressing_style": "path"})

    def connect(service: str) -> Any:
        return session.client(service, endpoint_url=url, config=config)

    return AwsClients(connect, region=LOCAL_REGION)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _connector(session: Any) -> Connect:
    from botocore.config import Config  # noqa: PLC0415 - an extra

    standard = {"retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS}}
    configs: dict[str, dict[str, Any]] = {
        "pricing": _PRICING,
        "sagemaker-runtime": {**standard, "read_timeout": _RUNTIME_TIMEOUT_S},
    }

    def connect(service: str) -> Any:
        return session.client(
            service,
            region_name=_PRICING_REGION if service == "pricing" else session.region_name,
            config=Config(**configs.get(service, standard)),
        )

    return connect
