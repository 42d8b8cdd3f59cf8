"""The front as a server of its own: a thread with an event loop that listens on 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from devkit.engines.base import Address
from devkit.event_loop import LoopThread, accept_no_more
from devkit.front.errors import Endpoint
from devkit.front.forwarder import Forwarder
from devkit.front.limits import Limits
from devkit.front.listener import Listener, OnEvent
from devkit.ports import BACKLOG, listen

# What a forced end may still take.
_CLOSE_S = 0.1


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
        self._address: Address | None = None

    def start(self, backend: Address | None) -> Address:
        """Listen, and forward to this container; ``None`` answers 503 until there is one.

        Returns:
            Where it listens.

        Raises:
            PortInUse: Another program listens there.
        """
        listening = listen(self._port)
        host, port = listening.getsockname()
        running = _Running(lambda: Forwarder(self._endpoint, self._limits, backend))
        try:
            running.call(running.open(listening, self._on_event))
        except BaseException:
            running.end()
            listening.close()
            raise
        self._running = running
        self._address = Address(host, port)
        return self._address

    @property
    def address(self) -> Address:
        """Where it listens, once it has started."""
        if self._address is None:
            raise RuntimeError("the front has not started")
        return self._address

    @property
    def url(self) -> str:
        """Its root URL: ``/ping`` and ``/invocations`` are below it."""
        return self.address.url

    def switch(self, backend: Address | None) -> None:
        """Forward later requests to another container; those in flight stay where they are."""
        if self._running is not None:
            self._running.call(self._running.switch(backend))

    def busy(self, backend: Address) -> bool:
        """Whether a request to this container is in flight."""
        return self._running is not None and self._running.in_flight(backend) > 0

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

    def close(self) -> None:
        """Stop, and wait for nothing."""
        self.stop(0)


class _Running:
    """The thread, and what lives in it."""

    forwarder: Forwarder
    _listening: socket.socket
    _listener: Listener
    _server: asyncio.Server

    def __init__(self, make_forwarder: Callable[[], Forwarder]) -> None:
        self._make_forwarder = make_forwarder
        self._thread = LoopThread("front")
        self.call = self._thread.call
        self.end = self._thread.end

    async def open(self, listening: socket.socket, on_event: OnEvent) -> None:
        self.forwarder = self._make_forwarder()
        self._listening = listening
        self._listener = Listener(self.forwarder, on_event)
        self._server = await asyncio.get_running_loop().create_server(
            self._listener, sock=listening, backlog=BACKLOG
        )

    async def switch(self, backend: Address | None) -> None:
        self.forwarder.backend = backend

    def in_flight(self, backend: Address) -> int:
        return self._listener.in_flight(backend)

    async def close(self, grace_s: float) -> None:
        await accept_no_more(self._server, self._listening)
        self._listener.pre_shutdown()
        await self._listener.finished(grace_s)
        await self._listener.shutdown(_CLOSE_S)
        await self.forwarder.close()
