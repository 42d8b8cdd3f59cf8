"""The front's HTTP server: who may ask, what for, and the bytes of the answer.

aiohttp's low-level server does the HTTP. What it would answer by itself (a request that is not
HTTP, an error of ours) is put into AWS's form here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import StreamReader, web

from devkit import contract
from devkit.engines.base import Address
from devkit.front import errors
from devkit.front.errors import Refused
from devkit.front.exchange import invocation_of, respond
from devkit.front.forwarder import Forwarder
from devkit.front.messages import Answer, Invocation
from devkit.front.protocol import ClientConnection

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http import RawRequestMessage

_ENDPOINT_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|invocations-response-stream)")
_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})
_PATH_CHARS = 200

OnEvent = Callable[[str], None]
_Operation = Callable[[Invocation], Awaitable[Answer]]


class Listener(web.Server):
    """Answers requests with what a forwarder says; belongs to one event loop."""

    def __init__(self, forwarder: Forwarder, on_event: OnEvent) -> None:
        super().__init__(self._handle, request_factory=self._request)
        self._forwarder = forwarder
        self._on_event = on_event
        self._in_flight: Counter[Address | None] = Counter()
        self._idle = asyncio.Event()
        self._idle.set()

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        return ClientConnection(self)

    def _request(
        self,
        message: RawRequestMessage,
        body: StreamReader,
        connection: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        if isinstance(connection, ClientConnection):
            connection.begin(body)
        return self._make_request(message, body, connection, writer, task)

    def in_flight(self, backend: Address) -> int:
        """How many requests a container has not answered yet; from any thread."""
        return self._in_flight[backend]

    async def finished(self, grace_s: float) -> None:
        """Wait until no request is in flight, or for so long."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace_s)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        backend = self._forwarder.backend
        self._in_flight[backend] += 1
        self._idle.clear()
        try:
            return await self._timed(request)
        finally:
            self._in_flight[backend] -= 1
            if not self._in_flight.total():
                self._idle.set()

    async def _timed(self, request: web.BaseRequest) -> web.StreamResponse:
        begun = time.perf_counter()
        answer = await self._answer(request)
        try:
            return await respond(request, answer)
        finally:
            path = request.raw_path[:_PATH_CHARS]
            took_ms = (time.perf_counter() - begun) * 1000
            with suppress(Exception):  # whether anybody can be told decides no request
                self._on_event(f"{request.method} {path} {answer.status} {took_ms:.1f} ms")

    async def _answer(self, request: web.BaseRequest) -> Answer:
        try:
            _require_local(request)
            if request.method == "GET" and request.path == contract.PING_PATH:
                return await self._forwarder.ping()
            operation = self._operation(request)
            invocation = invocation_of(request)
        except Refused as refused:
            return refused.answer(errors.new_request_id())
        return await operation(invocation)

    def _operation(self, request: web.BaseRequest) -> _Operation:
        if request.method == "POST":
            if request.path == contract.INVOCATIONS_PATH:
                return self._forwarder.invoke
            match = _ENDPOINT_PATH.fullmatch(request.path)
            if match is not None:
                name, action = match.groups()
                endpoint = self._forwarder.endpoint
                if name != endpoint.name:
                    raise errors.unknown_endpoint(name, endpoint.account)
                if action == "invocations":
                    return self._forwarder.invoke
                return self._forwarder.invoke_with_response_stream
        raise errors.unknown_operation(request.method, request.path[:_PATH_CHARS])


def _require_local(request: web.BaseRequest) -> None:
    """Refuse what a page in the developer's browser could send here, by whatever name (DNS)."""
    for host in request.headers.getall("Host", [""]):
        if _hostname(f"//{host}") not in _LOCAL_HOSTS:
            raise errors.forbidden(f"Host {host!r} is not this machine: ask 127.0.0.1.")
    for origin in request.headers.getall("Origin", []):
        if _hostname(origin) not in _LOCAL_HOSTS:
            raise errors.forbidden(f"Pages of {origin!r} may not ask this server.")


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
