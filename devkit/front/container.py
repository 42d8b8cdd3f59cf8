"""HTTP towards containers: connections, one exchange after the other, and what went wrong.

A request is sent once. A connection that was used before is used again only if it was idle for a
short time and is still open, and a request that failed on it is not repeated: nobody can know
whether the container has begun with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import aiohttp
from yarl import URL

from devkit import contract
from devkit.background_tasks import BackgroundTasks
from devkit.engines.base import Address
from devkit.front.limits import Limits
from devkit.front.upload import Upload

# Shorter than any server's that is in use (gunicorn's is 2 s), so that a connection is not taken up
# at the very moment at which the container closes it.
_IDLE_S = 1.0
_HEADER_BYTES = 64 * 1024
_NOT_OURS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_FAILURES = (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError)


class ContainerBroken(Exception):
    """The container refused the connection, broke it, or does not speak HTTP."""


class Reply:
    """A container's response, as far as it has come."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.held = b""
        """What was read of the body before anybody was answered."""
        self.complete = False
        """Whether ``held`` is all of it."""

    @property
    def content_length(self) -> int | None:
        """The size of the body, where the container told it."""
        return self._response.content_length

    async def hold(self, max_bytes: int) -> None:
        """Read until there is something, or more than ``max_bytes``, or the end."""
        held = bytearray()
        while len(held) <= max_bytes:
            chunk = await self.read()
            if not chunk:
                self.complete = True
                break
            held += chunk
        self.held = bytes(held)

    async def read(self) -> bytes:
        """What comes next of the body, at least a byte; none at its end.

        Raises:
            ContainerBroken: The body ends early.
        """
        try:
            return await self._response.content.readany()
        except _FAILURES as error:
            self.close()
            raise ContainerBroken(str(error)) from error

    async def drain(self) -> None:
        """Read the rest, for nobody, so that the container can finish what it does."""
        async for _ in self._response.content.iter_any():
            pass

    def close(self) -> None:
        """Give up the connection, or its rest."""
        self._response.close()


class Containers:
    """Sends requests to containers; belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None
        self._forgotten = BackgroundTasks()  # nobody is left to be told

    async def invoke(
        self, address: Address, headers: Mapping[str, str], upload: Upload, hold_bytes: int | None
    ) -> Reply:
        """POST /invocations, until the first of the answer is there.

        Args:
            address: The container's.
            headers: All that the container is to see besides HTTP's own.
            upload: The body.
            hold_bytes: How much of a good answer to wait for (``None``: what is small).

        Raises:
            ContainerBroken: The container is to blame.
            ClientBroken, Refused: The body is.
        """
        data = await upload.whole() if upload.is_small else upload.chunks()
        if not upload.is_small and upload.content_length is not None:
            headers = {**headers, "Content-Length": str(upload.content_length)}
        try:
            url = _url(address, contract.INVOCATIONS_PATH)
            response = await self._request("POST", url, data=data, headers=headers)
        except _FAILURES as error:
            raise upload.problem or ContainerBroken(str(error)) from error
        reply = Reply(response)
        await reply.hold(_hold_bytes(reply) if hold_bytes is None else hold_bytes)
        return reply

    async def ping(self, address: Address) -> Reply:
        """GET /ping, with its whole answer.

        Raises:
            ContainerBroken: There is none in time.
        """
        try:
            request = self._request("GET", _url(address, contract.PING_PATH))
            response = await asyncio.wait_for(request, self._limits.ping_s)
            reply = Reply(response)
            await asyncio.wait_for(reply.hold(_HEADER_BYTES), self._limits.ping_s)
        except _FAILURES as error:
            raise ContainerBroken(str(error)) from error
        reply.close()
        return reply

    def forget(self, exchange: asyncio.Task[Reply]) -> None:
        """Leave a container alone with a request that nobody waits for any more (§2.3)."""
        self._forgotten.begin(self._finish(exchange))

    def drop(self, reply: Reply) -> None:
        """Be done with a response; what the container still sends is read and thrown away."""
        if reply.complete:
            return
        self._forgotten.begin(self._drain(reply))

    async def close(self) -> None:
        """Close every connection, and leave nothing running."""
        self._forgotten.cancel()
        await self._forgotten.finished()
        if self._session is not None:
            await self._session.close()

    async def _request(self, method: str, url: URL, **options: Any) -> aiohttp.ClientResponse:
        try:
            return await self._once(method, url, **options)
        except aiohttp.ConnectionTimeoutError:
            # A busy machine may miss so short a time once, and nothing is sent yet.
            return await self._once(method, url, **options)

    async def _once(self, method: str, url: URL, **options: Any) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = self._connect()
        return await self._session.request(method, url, allow_redirects=False, **options)

    def _connect(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_OURS,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )

    async def _finish(self, exchange: asyncio.Task[Reply]) -> None:
        await self._drain(await exchange)

    async def _drain(self, reply: Reply) -> None:
        try:
            await asyncio.wait_for(reply.drain(), self._limits.stream_s)
        finally:
            reply.close()


@lru_cache(maxsize=8)
def _url(address: Address, path: str) -> URL:
    return URL.build(scheme="http", host=address.host, port=address.port, path=path)


def _hold_bytes(reply: Reply) -> int:
    """A small answer is waited for: it is sent in one piece, and can still become an error."""
    length = reply.content_length
    return length if length is not None and length <= _HEADER_BYTES else 0
