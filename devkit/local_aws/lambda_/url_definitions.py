"""Function URLs, read from what moto holds, again whenever that has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from devkit.contract import LOCAL_ACCOUNT
from devkit.local_aws.gateway.values import Cors
from devkit.local_aws.services import Objects


@dataclass(frozen=True, kw_only=True)
class FunctionUrl:
    """A function URL."""

    id: str
    function: str
    """Its ARN."""
    region: str
    needs_signature: bool
    """Whether AWS would let in only who has the right to (``AWS_IAM``)."""
    cors: Cors | None


class UrlDefinitions:
    """All function URLs; belongs to one event loop.

    Args:
        objects: What moto holds.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._revision = -1
        self._read: Mapping[str, FunctionUrl] = {}

    async def find(self, url_id: str) -> FunctionUrl | None:
        """The URL with this identifier; ``None`` where there is none."""
        revision = self._objects.revision
        if revision != self._revision:
            self._read = await self._objects.look(_read)
            self._revision = revision
        return self._read.get(url_id)


def id_of(url: str) -> str:
    """The identifier in a URL of AWS's: ``https://<id>.lambda-url.us-east-1.on.aws``."""
    return (urlsplit(url).hostname or "").partition(".")[0]


def _read() -> dict[str, FunctionUrl]:
    """In a thread of moto's; another one may make a function meanwhile."""
    from moto.awslambda_simple.models import lambda_simple_backends  # noqa: PLC0415 - moto is there

    found = {}
    for region, backend in list(lambda_simple_backends[LOCAL_ACCOUNT].items()):
        for group in list(backend._lambdas._functions.values()):
            function: Any = group["latest"]
            if function is not None and function.url_config is not None:
                url = _url(region, function, function.url_config)
                found[url.id] = url
    return found


def _url(region: str, function: Any, config: Any) -> FunctionUrl:
    return FunctionUrl(
        id=id_of(config.url),
        function=function.function_arn,
        region=region,
        needs_signature=config.config.get("AuthType") == "AWS_IAM",
        cors=_cors(config.config.get("Cors")),
    )


def _cors(given: Mapping[str, Any] | None) -> Cors | None:
    if not given:
        return None
    return Cors(
        origins=tuple(given.get("AllowOrigins") or ()),
        methods=tuple(given.get("AllowMethods") or ()),
        headers=tuple(given.get("AllowHeaders") or ()),
        expose=tuple(given.get("ExposeHeaders") or ()),
        credentials=bool(given.get("AllowCredentials")),
        max_age_s=given.get("MaxAge"),
    )
