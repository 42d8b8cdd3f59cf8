"""The Lambda Runtime API for one instance: how its runtime client takes work and answers.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. Each instance has a port of its own,
by which it is known.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus

from aiohttp import web

from devkit import guard
from devkit.event_loop import accept_no_more
from devkit.front.messages import ClientBroken
from devkit.front.protocol import Clients, body_of
from devkit.local_aws.lambda_.invocations import Ended, Invocation, response_too_large
from devkit.local_aws.lambda_.limits import RESPONSE_BYTES
from devkit.local_aws.lambda_.programs import Host
from devkit.ports import listen

_NEXT = "/2018-06-01/runtime/invocation/next"
_INIT_ERROR = "/2018-06-01/runtime/init/error"
_ANSWER = re.compile(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)")
_CLOSE_S = 0.1


class Work:
    """An invocation on its way to the runtime client, and what it answers."""

    def __init__(
        self, invocation: Invocation, timeout_s: float, on_taken: Callable[[], None]
    ) -> None:
        self.invocation = invocation
        self._timeout_s = timeout_s
        self.deadline_ms = 0
        """When its time is up, in milliseconds of the epoch; it begins when it is taken."""
        self._on_taken = on_taken
        loop = asyncio.get_running_loop()
        self.taken: asyncio.Future[None] = loop.create_future()
        """The runtime client has it."""
        self.ended: asyncio.Future[Ended] = loop.create_future()

    def take(self) -> None:
        """The runtime client gets it."""
        self.deadline_ms = int((time.time() + self._timeout_s) * 1000)
        self.taken.set_result(None)
        self._on_taken()

    def withdraw(self) -> None:
        """Another instance gets it."""
        self.ended.cancel()

    def end(self, ended: Ended) -> None:
        """The runtime client has answered; the first time counts."""
        if not self.ended.done():
            self.ended.set_result(ended)


class RuntimeApi:
    """The API; belongs to one event loop.

    Args:
        host: This machine, as the instance sees it.
        on_ready: Called when the runtime client first asks for work.
        on_init_error: Called with the error where the function could not be loaded.
    """

    def __init__(
        self, host: Host, on_ready: Callable[[], None], on_init_error: Callable[[bytes], None]
    ) -> None:
        self._host = host
        self._on_ready = on_ready
        self._on_init_error = on_init_error
        self._waiting: asyncio.Queue[Work] = asyncio.Queue()
        self._current: Work | None = None
        self._clients = Clients(self._answer)
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None

    async def open(self) -> str:
        """Listen; returns ``host:port``.

        Raises:
            OSError: There is no such address.
        """
        self._socket = listen(0, self._host.address)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._clients, sock=self._socket)
        return f"{self._host.name}:{self._socket.getsockname()[1]}"

    def hand(self, invocation: Invocation, timeout_s: float, on_taken: Callable[[], None]) -> Work:
        """Give the runtime client something to do, now or when it asks next."""
        work = Work(invocation, timeout_s, on_taken)
        self._waiting.put_nowait(work)
        return work

    async def close(self) -> None:
        """Listen no more; the program has ended."""
        if self._server is not None and self._socket is not None:
            await accept_no_more(self._server, self._socket)
            self._server = None
        self._clients.pre_shutdown()
        await self._clients.shutdown(_CLOSE_S)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if guard.refusal_of(request.headers, bridges=(self._host.name,)):
            return _said(HTTPStatus.FORBIDDEN, "Forbidden", "this is the API of a function")
        with suppress(ClientBroken):
            if request.path == _NEXT and request.method == "GET":
                return await self._next(request)
            if request.path == _INIT_ERROR and request.method == "POST":
                content = await _read(request)
                self._on_init_error(content or b"")
                return _accepted()
            match = _ANSWER.fullmatch(request.path)
            if match is not None and request.method == "POST":
                return await self._take(request, *match.groups())
        return _said(HTTPStatus.NOT_FOUND, "NotFound", f"{request.method} {request.path}")

    async def _next(self, request: web.BaseRequest) -> web.StreamResponse:
        self._on_ready()
        work = await self._waiting.get()
        while work.ended.cancelled():
            work = await self._waiting.get()
        if request.transport is None or request.transport.is_closing():
            self._waiting.put_nowait(work)  # for nobody; it is given to another instance
            raise ConnectionResetError
        work.take()
        self._current = work
        return web.Response(
            body=work.invocation.payload, headers=_headers(work), content_type="application/json"
        )

    async def _take(
        self, request: web.BaseRequest, request_id: str, what: str
    ) -> web.StreamResponse:
        content = await _read(request)
        work = self._current
        if work is None or work.invocation.request_id != request_id:
            return _said(HTTPStatus.BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
        if content is None:
            work.end(response_too_large(RESPONSE_BYTES))
            return _said(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "RequestEntityTooLarge",
                f"Exceeded maximum allowed payload size ({RESPONSE_BYTES} bytes).",
            )
        self._current = None
        work.end(Ended(content, failed=what == "error"))
        return _accepted()


def _headers(work: Work) -> Mapping[str, str]:
    invocation = work.invocation
    headers = {
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Deadline-Ms": str(work.deadline_ms),
        "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
    }
    if invocation.trace_id is not None:
        headers["Lambda-Runtime-Trace-Id"] = invocation.trace_id
    if invocation.client_context is not None:
        headers["Lambda-Runtime-Client-Context"] = invocation.client_context
    return headers


async def _read(request: web.BaseRequest) -> bytes | None:
    """The body; ``None`` where that is larger than an answer may be."""
    content = bytearray()
    too_large = False
    async for chunk in body_of(request):
        too_large = too_large or len(content) + len(chunk) > RESPONSE_BYTES
        if not too_large:  # the rest is read, so that the client hears the answer
            content += chunk
    return None if too_large else bytes(content)


def _accepted() -> web.Response:
    return web.json_response({"status": "OK"}, status=HTTPStatus.ACCEPTED)


def _said(status: int, kind: str, message: str) -> web.Response:
    return web.json_response({"errorMessage": message, "errorType": kind}, status=status)
