"""The connections of clients: what aiohttp leaves undone at the edges of HTTP.

aiohttp's server answers what is not HTTP in plain text, forgets the body of a request in which the
framing of the chunks is wrong (whoever reads it waits for ever), and closes a connection as soon as
the client has said its last word, before it has its answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import StreamReader, web

from devkit.front import errors
from devkit.front.messages import ClientBroken

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http import RawRequestMessage

_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())


class Clients(web.Server):
    """aiohttp's server of such connections; belongs to one event loop.

    Args:
        answer: Gives the answer to a request.
    """

    def __init__(self, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(self._answer_counted, request_factory=self._request)
        self._answer_one = answer
        self._in_flight = 0
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

    async def finished(self, grace_s: float) -> None:
        """Wait until no request is in flight, or for so long."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace_s)

    async def _answer_counted(self, request: web.BaseRequest) -> web.StreamResponse:
        self._in_flight += 1
        self._idle.clear()
        try:
            return await self._answer_one(request)
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()


class ClientConnection(web.RequestHandler):
    """aiohttp's protocol of a server, with AWS's errors and an end for every body."""

    def __init__(self, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            logger=_LOGGER,
            access_log=None,  # type: ignore[arg-type] # None is how aiohttp turns it off
            auto_decompress=False,
        )
        self._reading: StreamReader | None = None
        self._all_received = False

    def begin(self, body: StreamReader) -> None:
        """A request with this body is answered now."""
        self._reading = body
        if self._all_received and not self._messages:
            self.close()  # after this one

    def data_received(self, data: bytes) -> None:
        """End the body before a message that cannot be there: it stands for a parser's error."""
        super().data_received(data)
        if self._messages:
            bodies = [self._reading, *(body for _, body in self._messages)]
            self._end(bodies[:-1], "The request's chunks are malformed.")

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio's own protocols may
        """A client that has finished sending is still answered; returns whether to stay open."""
        idle = self._waiter is not None and not self._messages
        if idle or (self._reading is None and not self._messages):
            return False
        bodies = [self._reading, *(body for _, body in self._messages)]
        self._end(bodies, "The request ended before its body did.")
        self._all_received = True
        if not self._messages:
            self.close()
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is not HTTP, or what failed in here, in AWS's form; the connection ends.

        Raises:
            ConnectionError: The response has begun.
        """
        if request.writer.output_size > 0:
            raise ConnectionAbortedError
        if status == HTTPStatus.BAD_REQUEST:
            reason = (message or "").partition("\n")[0].rstrip(":")
            refused = errors.validation_error(f"The request is not HTTP: {reason}")
        else:
            _LOGGER.error("the front failed", exc_info=exc)
            refused = errors.internal_failure()
        answer = refused.answer(errors.new_request_id())
        body = answer.body if isinstance(answer.body, bytes) else b""
        response = web.Response(status=answer.status, headers=answer.headers, body=body)
        response.force_close()
        return response

    @staticmethod
    def _end(bodies: list[StreamReader | None], why: str) -> None:
        for body in bodies:
            if body is not None and not body.is_eof() and body.exception() is None:
                body.set_exception(ClientBroken(why))


async def body_of(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """A request's body as it comes.

    Raises:
        ClientBroken: It ends early, or is malformed.
    """
    while True:
        try:
            chunk = await request.content.readany()
        except ClientBroken:
            raise
        except Exception as error:  # aiohttp sets whatever its parser and the socket raised
            raise ClientBroken("The request's body is incomplete or malformed.") from error
        if not chunk:
            return
        yield chunk
