"""A WSGI application behind aiohttp: each request in a thread, its bodies as streams both ways.

Of a request and of an answer never more is in memory than the buffers of the connection and one
chunk: a thread that reads waits for the client, a thread that writes waits until the client has
taken what was written.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from aiohttp import web
from multidict import CIMultiDict

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication

RAW_HEADERS = "devkit.raw_headers"
"""Where an application finds the request's headers as they were sent: pairs of strings."""

_READ_BYTES = 256 * 1024
# An answer up to here is collected, and takes one turn of the event loop instead of three.
_SMALL_BYTES = 64 * 1024
_LOGGER = logging.getLogger(__name__)

_T = TypeVar("_T")

OnError = Callable[[web.BaseRequest, Exception], web.Response]


class IncompleteBody(ConnectionError):
    """The client has sent all it will, and that was no whole body."""


class WsgiBridge:
    """Answers aiohttp's requests with what a WSGI application says.

    The server should not decompress what it receives (``auto_decompress=False``): that is the
    application's to do, and an object store must not.

    Args:
        app: The application; it is called from several threads at once.
        threads: How many requests are answered at once; more wait for their turn.
        on_error: Gives the answer instead of an application that raises before it has begun; called
            in the thread.
    """

    def __init__(
        self, app: WSGIApplication, *, threads: int = 64, on_error: OnError | None = None
    ) -> None:
        self._app = app
        self._on_error = on_error or _failed
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request.

        Raises:
            ConnectionError: The client is gone, or the answer broke off when it had begun.
        """
        exchange = _Exchange(request, self._on_error)
        work = asyncio.get_running_loop().run_in_executor(self._pool, exchange.run, self._app)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_forget)
            raise
        finally:
            exchange.end()

    def close(self) -> None:
        """Wait for the threads; no request may be in flight whose client still waits."""
        self._pool.shutdown(cancel_futures=True)


class _Exchange:
    """One request and its answer, seen from the thread that the application runs in."""

    def __init__(self, request: web.BaseRequest, on_error: OnError) -> None:
        self._request = request
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._ended = False
        self._waiting: Future[Any] | None = None
        self._head: tuple[HTTPStatus | int, str, CIMultiDict[str]] | None = None
        self._early: list[bytes] = []
        self._begun = False
        expected = request.headers.get("Expect", "").lower() == "100-continue"
        self._must_continue = expected and request.version >= (1, 1)

    def run(self, app: WSGIApplication) -> web.StreamResponse:
        """Ask the application, and send its answer unless that is small.

        Returns:
            What aiohttp sends, if it is not sent yet.
        """
        try:
            answer = app(self._environ(), self._start_response)
            try:
                return self._send(answer)
            finally:
                close = getattr(answer, "close", None)
                if close is not None:
                    close()
        except IncompleteBody as error:
            if self._begun:
                self._abort()
                raise
            response = self._on_error(self._request, error)
            response.force_close()
            return response
        except ConnectionError:
            self._abort()
            raise
        except Exception as error:
            if self._begun:
                _LOGGER.exception("%s %s failed", self._request.method, self._request.raw_path)
                self._abort()
                raise ConnectionAbortedError from error
            return self._closing(self._on_error(self._request, error))

    def end(self) -> None:
        """Nobody waits for this exchange any more: let its thread wait for nothing either."""
        with self._lock:
            self._ended = True
            if self._waiting is not None:
                self._waiting.cancel()

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something in the event loop, and wait for it."""
        with self._lock:
            if self._ended:
                work.close()
                raise ConnectionAbortedError
            future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._waiting = future
        try:
            return future.result()
        except CancelledError:
            raise ConnectionAbortedError from None

    async def receive(self) -> bytes:
        """What has come of the request's body; empty at its end.

        Raises:
            ConnectionResetError: The client is gone.
            IncompleteBody: It is there, and sent what is no body.
        """
        if self._must_continue:
            self._must_continue = False
            await self._request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._request.writer.output_size = 0
        try:
            return await self._request.content.readany()
        except ConnectionError as error:
            raise ConnectionResetError("The client is gone.") from error
        except Exception as error:  # aiohttp sets whatever its parser raised
            raise IncompleteBody("The request's body broke off.") from error

    def _environ(self) -> dict[str, Any]:
        request = self._request
        target = urlsplit(request.raw_path) if request.raw_path.startswith("http") else None
        path, _, query = request.raw_path.partition("?")
        if target is not None and target.scheme:
            path, query = target.path, target.query
        transport = request.transport
        address = transport and transport.get_extra_info("sockname")
        host, port = (address or ("127.0.0.1", 0))[:2]
        return {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": request.raw_path,
            "REQUEST_URI": request.raw_path,
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": f"HTTP/{request.version.major}.{request.version.minor}",
            "REMOTE_ADDR": request.remote or "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BufferedReader(_Body(self), _READ_BYTES),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **_header_variables(request),
        }

    def _start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: OptExcInfo | None = None,
        /,
    ) -> Callable[[bytes], object]:
        if exc_info is not None and self._begun and exc_info[1] is not None:
            raise exc_info[1]
        code, _, reason = status.partition(" ")
        self._head = (int(code), reason, CIMultiDict((name, _sent(v)) for name, v in headers))
        return self._early.append

    def _send(self, answer: Iterable[bytes]) -> web.StreamResponse:
        remaining: Iterator[bytes] = (chunk for chunk in answer if chunk)
        first = next(remaining, b"")  # an application may start its response as late as here
        if self._head is None:
            raise RuntimeError("the application answered without start_response")
        status, reason, headers = self._head
        length = int(headers["Content-Length"]) if "Content-Length" in headers else None
        chunks = chain(self._early, [first] if first else [], remaining)
        if self._request.method == "HEAD":
            return self._closing(web.Response(status=status, reason=reason, headers=headers))
        if length is not None and length <= _SMALL_BYTES:
            body = b"".join(chunks)
            headers["Content-Length"] = str(len(body))
            return self._closing(
                web.Response(status=status, reason=reason, headers=headers, body=body)
            )
        response = web.StreamResponse(status=status, reason=reason, headers=headers)
        self._stream(self._closing(response), chunks, length)
        return response

    def _stream(
        self, response: web.StreamResponse, chunks: Iterable[bytes], length: int | None
    ) -> None:
        self._begun = True
        self.call(response.prepare(self._request))
        sent = 0
        for chunk in chunks:
            self.call(response.write(chunk))
            sent += len(chunk)
        if length is not None and sent != length:
            raise RuntimeError(f"the answer has {sent} bytes, and announced {length}")
        self.call(response.write_eof())

    def _closing(self, response: web.StreamResponse) -> web.StreamResponse:
        if self._must_continue:  # whether the body will still come, nobody can know
            response.force_close()
        return response

    def _abort(self) -> None:
        """End the connection so that the client sees an answer broken off, never a short one."""
        transport = self._request.transport
        if transport is not None:
            with contextlib.suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(transport.abort)


class _Body(io.RawIOBase):
    """A request's body as a file; reading waits for the client."""

    def __init__(self, exchange: _Exchange) -> None:
        super().__init__()
        self._exchange = exchange
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what there is, at least a byte unless the body has ended."""
        if not self._rest:
            self._rest = memoryview(self._exchange.call(self._exchange.receive()))
        size = min(len(self._rest), len(buffer))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _header_variables(request: web.BaseRequest) -> dict[str, Any]:
    """The request's headers in WSGI's form.

    A name with an underscore has no form of its own there, and could pass for another: it is
    left out, as in other servers, and found among the raw ones.
    """
    raw = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.raw_headers]
    variables: dict[str, Any] = {RAW_HEADERS: raw}
    for name, value in raw:
        if "_" in name:
            continue
        variable = name.upper().replace("-", "_")
        if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            variable = f"HTTP_{variable}"
        before = variables.get(variable)
        separator = "; " if variable == "HTTP_COOKIE" else ","
        variables[variable] = value if before is None else f"{before}{separator}{value}"
    return variables


def _sent(value: str) -> str:
    """A header's value as aiohttp wants it, which sends UTF-8, from WSGI's Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _failed(request: web.BaseRequest, error: Exception) -> web.Response:
    if isinstance(error, IncompleteBody):
        return web.Response(status=400, text="Bad Request")
    _LOGGER.error("%s %s failed", request.method, request.raw_path, exc_info=error)
    return web.Response(status=500, text="Internal Server Error")


def _forget(work: asyncio.Future[web.StreamResponse]) -> None:
    if not work.cancelled():
        work.exception()
