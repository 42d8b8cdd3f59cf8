"""moto's application on a port of 127.0.0.1, in a thread with an event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import StreamReader, web

from devkit.front.protocol import ClientConnection
from devkit.ports import LOOPBACK, require_free_port
from devkit.wsgi_bridge import WsgiBridge

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http import RawRequestMessage

_BACKLOG = 1024
_GRACE_S = 0.5


@contextmanager
def served(app: WSGIApplication, *, port: int = 0) -> Iterator[tuple[str, int]]:
    """Serve an application for the length of the block; where it listens.

    Raises:
        PortInUse: Another program listens there.
    """
    require_free_port(port)
    listening = socket.create_server((LOOPBACK, port), backlog=_BACKLOG)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fake-s3", daemon=True)
    thread.start()
    bridge = WsgiBridge(app)

    async def begin() -> tuple[_Server, asyncio.Server]:
        server = _Server(bridge)
        return server, await loop.create_server(server, sock=listening, backlog=_BACKLOG)

    async def end(server: _Server, acceptor: asyncio.Server) -> None:
        loop.remove_reader(listening.fileno())
        await asyncio.sleep(0)
        acceptor.close()
        server.pre_shutdown()
        await server.shutdown(_GRACE_S)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await loop.shutdown_asyncgens()

    server, acceptor = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    try:
        yield listening.getsockname()[:2]
    finally:
        asyncio.run_coroutine_threadsafe(end(server, acceptor), loop).result()
        bridge.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        listening.close()


class _Server(web.Server):
    """Connections as the front has them: with an end for every body, and nothing decompressed."""

    def __init__(self, bridge: WsgiBridge) -> None:
        super().__init__(self._handle, request_factory=self._request)
        self._bridge = bridge

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

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not _is_local(request.headers.get("Host", "")):
            return web.Response(status=403, text="Ask 127.0.0.1 or localhost.\n")
        return await self._bridge.handle(request)


def _is_local(host: str) -> bool:
    """Whether a client means this machine: a page may not reach it by a name of its own (DNS)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in (LOOPBACK, "localhost") or name.endswith(".localhost")
