"""HTTP integrations: requests to servers of this machine, and to no other."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from devkit.local_aws.gateway.messages import Answer, DevkitRefusal, Headers

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import ResolveResult

LIMIT_BYTES = 10 * 1024 * 1024
_LOCAL_NAMES = ("localhost", "localhost.localstack.cloud", "host.docker.internal")
_BELOW = (".localhost", ".localhost.localstack.cloud")
# What belongs to one connection and not to the next (RFC 9110, 7.6.1), and what the client writes.
HOP_BY_HOP = (
    "Connection",
    "Expect",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
)


class Unreachable(Exception):
    """A server did not answer, or with what is not HTTP or too large."""


class Outbound:
    """A client for servers of this machine; belongs to one event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, method: str, url: str, headers: Headers, body: bytes, *, timeout_s: float
    ) -> Answer:
        """What a server answers.

        Raises:
            DevkitRefusal: It is on another machine.
            TimeoutError: It takes longer than that.
            Unreachable: It does not answer.
        """
        import aiohttp  # noqa: PLC0415 - with the first one
        from multidict import CIMultiDict  # noqa: PLC0415
        from yarl import URL  # noqa: PLC0415

        require_local(url)
        own = headers.without(*HOP_BY_HOP, "Host", "Content-Length")
        try:
            async with self._client().request(
                method,
                URL(url, encoded=True),
                headers=CIMultiDict(own.pairs),
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as response:
                content = await _read(response)
                pairs = Headers(response.headers.items()).without(*HOP_BY_HOP, "Content-Length")
                return Answer(status=response.status, headers=pairs, body=content)
        except asyncio.TimeoutError as error:
            raise TimeoutError from error  # 3.10 has two of them
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(str(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415

        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=_resolver(), limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        return self._session


def _resolver() -> aiohttp.abc.AbstractResolver:
    from aiohttp.abc import AbstractResolver  # noqa: PLC0415

    class Loopback(AbstractResolver):
        """Every name that is let through is this machine: none is asked for elsewhere."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            del family
            return [_at(host, address, kind, port) for address, kind in _LOOPBACK]

        async def close(self) -> None:
            """Nothing is open."""

    return Loopback()


_LOOPBACK = (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6))


def _at(host: str, address: str, kind: socket.AddressFamily, port: int) -> ResolveResult:
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": kind,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST,
    }


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > LIMIT_BYTES:
            raise Unreachable("the answer is larger than 10 MB")
    return bytes(content)


def require_local(url: str) -> None:
    """Make sure that a URL is of this machine.

    Raises:
        DevkitRefusal: It is not, or it is none of HTTP.
    """
    try:
        parts = urlsplit(url)
        name = parts.hostname or ""
    except ValueError:
        raise DevkitRefusal(f"devkit's local AWS cannot call {url!r}: it is no URL.") from None
    if parts.scheme not in ("http", "https") or not _is_local(name):
        raise DevkitRefusal(
            f"devkit's local AWS is private and offline: it does not call {name or url!r}, which "
            "is not this machine. Point the integration to a server on 127.0.0.1."
        )


def _is_local(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in _LOCAL_NAMES or name.endswith(_BELOW)
