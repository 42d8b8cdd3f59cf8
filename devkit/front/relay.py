"""A port of 127.0.0.1 that leads to the container of the moment, byte by byte.

For a server without a front (``--direct``) and for a debugger's port: whoever talks to them keeps
one address while containers come and go. The carrying itself is the process engine's.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress

from devkit.engines.base import Address
from devkit.engines.sandbox.forwarder import Forwarder, connect_to
from devkit.ports import listen


class Relay:
    """A thread that carries the connections to one port.

    Args:
        port: Where it listens on 127.0.0.1; 0 takes a free one.
        delivery_s: How long a client may take, at the end, to read what its container had sent.

    Raises:
        PortInUse: Another program listens there.
    """

    def __init__(self, port: int, *, delivery_s: float = 1.0) -> None:
        listening = listen(port)
        self.address = Address(*listening.getsockname())
        self._delivery_s = delivery_s
        self._backend: Address | None = None
        self._stopping = self._closing = False
        self._selector = selectors.DefaultSelector()
        self._forwarder = Forwarder(self._selector, listening, self._connect)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, self._hear)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its root URL."""
        return self.address.url

    def switch(self, backend: Address | None) -> None:
        """Carry later connections to another container; those that are open stay where they are.

        With ``None`` they are reset, as where nobody listens.
        """
        self._backend = backend

    def busy(self, backend: Address) -> bool:  # noqa: ARG002 - see below
        """Never: an open connection does not tell whether a request is under way."""
        return False

    @property
    def in_use(self) -> bool:
        """Whether a connection is open."""
        return self._forwarder.busy

    def stop(self, grace_s: float) -> None:  # noqa: ARG002 - open connections end with the container
        """Take no more connections."""
        self._stopping = True
        self._tell()

    def close(self) -> None:
        """End it, with all that ended containers had sent delivered. Closing twice is no error."""
        self._closing = True
        self._tell()
        self._thread.join()
        self._wake.close()

    def _tell(self) -> None:
        with suppress(OSError):  # it has ended
            self._wake.send(b"!")

    def _hear(self) -> None:
        self._woken.recv(64)
        if self._stopping:
            self._forwarder.close_listener()

    def _connect(self) -> socket.socket:
        backend = self._backend
        if backend is None:
            raise ConnectionRefusedError
        return connect_to(backend.host, backend.port)

    def _run(self) -> None:
        while not self._closing:
            self._react(None)
        self._forwarder.finish()
        deadline = time.monotonic() + self._delivery_s
        while self._forwarder.busy and time.monotonic() < deadline:
            self._react(deadline - time.monotonic())
        self._forwarder.abort()
        self._selector.close()
        self._woken.close()

    def _react(self, timeout_s: float | None) -> None:
        for key, _ in self._selector.select(timeout_s):
            key.data()
