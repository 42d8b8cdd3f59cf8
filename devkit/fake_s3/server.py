"""moto's application on a port of 127.0.0.1, in a thread with an event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from devkit import guard
from devkit.event_loop import LoopThread, accept_no_more
from devkit.front.protocol import Clients
from devkit.ports import BACKLOG, listen, require_free_port
from devkit.wsgi_bridge import WsgiBridge

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_CLOSE_S = 0.5


@contextmanager
def served(app: WSGIApplication, *, port: int = 0) -> Iterator[tuple[str, int]]:
    """Serve an application for the length of the block; where it listens.

    Raises:
        PortInUse: Another program listens there.
    """
    require_free_port(port)
    with listen(port) as listening:
        thread = LoopThread("fake-s3")
        bridge = WsgiBridge(app)
        try:
            clients, acceptor = thread.call(_open(bridge, listening))
            try:
                yield listening.getsockname()[:2]
            finally:
                thread.call(_close(clients, acceptor, listening))
        finally:
            bridge.close()  # its threads may still need the event loop
            thread.end()


async def _open(bridge: WsgiBridge, listening: socket.socket) -> tuple[Clients, asyncio.Server]:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        refusal = guard.refusal_of(request.headers)
        if refusal is not None:
            return web.Response(status=HTTPStatus.FORBIDDEN, text=f"{refusal}\n")
        return await bridge.handle(request)

    clients = Clients(answer)
    loop = asyncio.get_running_loop()
    return clients, await loop.create_server(clients, sock=listening, backlog=BACKLOG)


async def _close(clients: Clients, acceptor: asyncio.Server, listening: socket.socket) -> None:
    await accept_no_more(acceptor, listening)
    clients.pre_shutdown()
    await clients.shutdown(_CLOSE_S)
