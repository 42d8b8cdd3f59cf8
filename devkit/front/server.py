"""The front as a server of its own: a thread with an event loop that listens on 127.0.0.1."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from devkit.engines.base import Address
from devkit.errors import PortInUse
from devkit.front.errors import Endpoint
from devkit.front.forwarder import Forwarder
from devkit.front.limits import Limits
from devkit.front.listener import Listener, OnEvent
from devkit.ports import LOOPBACK

_BACKLOG = 1024
# What a forced end may still take.
_CLOSE_S = 0.1
# More than it takes from a connection or a request that is there to one that is dealt with.
_TURNS = 5

_T = TypeVar("_T")


class Front:
    """SageMaker's real-time front before one server.

    Args:
        name: The endpoint's name.
        variant: The name of its variant.
        limits: What it allows; see ``limits.PROFILES``.
        listener_port: Where it listens on 127.0.0.1; 0 takes a free port.
        on_event: Called from the front's thread with a line per request.
    """

    def __init__(
        self,
        *,
        name: str,
        variant: str = "AllTraffic",
        limits: Limits,
        listener_port: int = 0,
        on_event: OnEvent = lambda _line: None,
    ) -> None:
        self._endpoint = Endpoint(name=name, variant=variant)
        self._limits = limits
        self._port = listener_port
        self._on_event = on_event
        self._running: _Running | None = None

    def start(self, backend: Address | None) -> Address:
        """Listen, and forward to this container; ``None`` answers 503 until there is one.

        Returns:
            Where it listens.

        Raises:
            PortInUse: Another program listens there.
        """
        listening = _listen(self._port)
        host, port = listening.getsockname()
        running = _Running(lambda: Forwarder(self._endpoint, self._limits, backend))
        try:
            running.call(running.open(listening, self._on_event))
        except BaseException:
            running.end()
            listening.close()
            raise
        self._running = running
        return Address(host, port)

    def switch(self, backend: Address | None) -> None:
        """Forward later requests to another container; those in flight stay where they are."""
        if self._running is not None:
            self._running.forwarder.backend = backend

    def stop(self, grace_s: float) -> None:
        """Take no more requests, and give those in flight this long to finish.

        Stopping twice is not an error.
        """
        running, self._running = self._running, None
        if running is not None:
            try:
                running.call(running.close(grace_s))
            finally:
                running.end()


class _Running:
    """The thread, and what lives in it."""

    forwarder: Forwarder
    _listening: socket.socket
    _listener: Listener
    _server: asyncio.Server

    def __init__(self, make_forwarder: Callable[[], Forwarder]) -> None:
        self._make_forwarder = make_forwarder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="front", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something in the thread, and wait for it."""
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    async def open(self, listening: socket.socket, on_event: OnEvent) -> None:
        self.forwarder = self._make_forwarder()
        self._listening = listening
        self._listener = Listener(self.forwarder, on_event)
        self._server = await asyncio.get_running_loop().create_server(
            self._listener, sock=listening, backlog=_BACKLOG
        )

    async def close(self, grace_s: float) -> None:
        # asyncio leaks a connection that it has accepted when the server is closed (the assertion
        # in Server._attach): accept no more, let those be made, and only then close.
        asyncio.get_running_loop().remove_reader(self._listening.fileno())
        await _turn()
        self._server.close()
        self._listener.pre_shutdown()
        await self._listener.finished(grace_s)
        await self._listener.shutdown(_CLOSE_S)
        await self.forwarder.close()

    def end(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._clear())
            self._loop.close()

    async def _clear(self) -> None:
        """Leave no task, generator or socket behind, not even those of the last moment."""
        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await loop.shutdown_asyncgens()
        await _turn()


async def _turn() -> None:
    """Let the event loop do what is about to be done."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port) from None
        raise
    return listening
