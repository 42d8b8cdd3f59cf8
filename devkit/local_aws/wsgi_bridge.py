"""A WSGI application behind aiohttp's server, with bodies that are streamed both ways."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from devkit.local_aws import wsgi
from devkit.local_aws.errors import WireAnswer
from devkit.local_aws.heads import head_of
from devkit.local_aws.threads import DaemonPool

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from devkit.local_aws.routing import Head

_CHUNK_BYTES = 256 * 1024
_CHUNKS_AHEAD = 8

OnError = Callable[["Head", BaseException], WireAnswer]
"""The answer instead of the one that an application failed to give."""


class WsgiBridge:
    """Calls an application in threads; belongs to one event loop.

    Args:
        application: What is called.
        threads: How many requests it may work on at a time.
        on_error: What is answered where it raises.
    """

    def __init__(self, application: wsgi.Application, *, threads: int, on_error: OnError) -> None:
        self._application = application
        self._pool = DaemonPool(threads, "wsgi")
        self._on_error = on_error

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        head = head_of(request)
        exchange = _Exchange(self._application, head, request)
        working = asyncio.wrap_future(self._pool.submit(exchange.work))
        try:
            await exchange.begun(working)
            if exchange.response.status == 0:
                return _instead(self._on_error(head, _error_of(working)))
            return await exchange.send(working)
        finally:
            exchange.give_up()

    async def reset(self) -> None:
        """The application keeps what it keeps."""

    async def stop(self) -> None:
        """Take no more requests."""
        self._pool.shutdown(wait=False)


class _Exchange:
    """One request: the thread's half, and the event loop's."""

    def __init__(self, application: wsgi.Application, head: Head, request: web.BaseRequest) -> None:
        self.response = wsgi.Response()
        self._application = application
        self._head = head
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(_CHUNKS_AHEAD)
        self._gone = False

    # --- in the thread

    def work(self) -> None:
        content = io.BufferedReader(_Input(self._request, self._in_loop), _CHUNK_BYTES)
        length = self._request.content_length
        if length is None and not self._request.body_exists:
            length = 0
        environ = wsgi.environ_of(self._head, content, length)
        chunks = self._application(environ, self.response.start)
        try:
            for chunk in chunks:
                if self._gone:
                    return
                if chunk:
                    self._in_loop(self._chunks.put(chunk))
        finally:
            wsgi.close(chunks)

    def _in_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # --- in the event loop

    async def begun(self, working: asyncio.Future[None]) -> None:
        """Wait for the first chunk, or the end."""
        first = asyncio.ensure_future(self._chunks.get())
        await _either(first, working)
        self._first = first

    async def send(self, working: asyncio.Future[None]) -> web.StreamResponse:
        response = web.StreamResponse(status=self.response.status)
        length: str | None = None
        for name, value in self.response.headers:
            if name.lower() == "content-length":
                length = value
            elif name.lower() not in ("connection", "transfer-encoding"):
                response.headers.add(name, value)
        response.content_length = int(length) if length is not None else None
        await response.prepare(self._request)
        async for chunk in self._sent(working):
            await response.write(chunk)
        working.result()
        await response.write_eof()
        return response

    async def _sent(self, working: asyncio.Future[None]) -> Any:
        while True:
            if self._first.done():
                yield self._first.result()
                self._first = asyncio.ensure_future(self._chunks.get())
            elif working.done() and self._chunks.empty():
                return
            await _either(self._first, working)

    def give_up(self) -> None:
        """Let the thread end, whatever it waits for."""
        self._gone = True
        self._first.cancel()
        while not self._chunks.empty():
            self._chunks.get_nowait()


class _Input(io.RawIOBase):
    """The body, read by the thread as it comes."""

    def __init__(self, request: web.BaseRequest, in_loop: Callable[[Any], Any]) -> None:
        self._content = request.content
        self._in_loop = in_loop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._in_loop(self._content.read(len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)


async def _either(first: asyncio.Future[bytes], second: asyncio.Future[None]) -> None:
    futures: set[asyncio.Future[Any]] = {first, second}
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _error_of(working: asyncio.Future[None]) -> BaseException:
    error = working.exception() if working.done() else None
    return error or RuntimeError("the application never called start_response")


def _instead(answer: WireAnswer) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
