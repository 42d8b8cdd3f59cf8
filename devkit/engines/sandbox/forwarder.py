"""Connections to a port, carried to another one byte by byte. One thread, no blocking call.

A supervisor carries those to a port of the host into the network of its program: a listening socket
belongs to the network it was made in, whoever holds it. devkit itself carries those to a server's
port to the container of the moment.
"""

from __future__ import annotations

import selectors
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

Connect = Callable[[], socket.socket]
"""Opens a connection without waiting until it is there; raises OSError."""

_CHUNK_BYTES = 256 * 1024
_ROUNDS = 8  # how long one connection may keep the others waiting, in chunks
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Forwarder:
    """Accepts connections on ``listener`` and carries each one to where ``connect`` leads."""

    def __init__(
        self, selector: selectors.BaseSelector, listener: socket.socket, connect: Connect
    ) -> None:
        self._selector = selector
        self._listener: socket.socket | None = listener
        self._connect = connect
        self._connections: set[_Connection] = set()
        self._paused = False
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, self._accept)

    @property
    def busy(self) -> bool:
        """Whether a connection is still open."""
        return bool(self._connections)

    def close_listener(self) -> None:
        """Take no more connections."""
        if self._listener is not None:
            if not self._paused:
                self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def finish(self) -> None:
        """Take no more connections, and deliver what the ended program had already sent."""
        self.close_listener()
        for connection in tuple(self._connections):
            connection.finish()

    def abort(self) -> None:
        """Take no more connections, and cut those that are open."""
        self.close_listener()
        for connection in tuple(self._connections):
            connection.abort()

    def _accept(self) -> None:
        if self._listener is None:  # finished by an earlier event of the same round
            return
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:  # out of file descriptors: wait until a connection gives some back
            self._selector.unregister(self._listener)
            self._paused = True
            return
        try:
            connection = _Connection(self._selector, client, self._connect, self._closed)
        except OSError:
            _reset(client)
            return
        self._connections.add(connection)

    def _closed(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        if self._paused and self._listener is not None:
            self._paused = False
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)


class _Connection:
    """One client and its connection to the program."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        client: socket.socket,
        connect: Connect,
        closed: Callable[[_Connection], None],
    ) -> None:
        self._selector = selector
        self._client = client
        self._closed = closed
        self._connected = False
        self._finishing = False
        self._ended = False
        self._watched: dict[socket.socket, int] = {}
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._program = connect()
        self._request = _Flow(client, self._program)
        self._response = _Flow(self._program, client)
        self._watch(self._program, selectors.EVENT_WRITE)

    def finish(self) -> None:
        """The program has ended: only what it sent matters now."""
        self._finishing = True
        self._advance()

    def abort(self) -> None:
        """End it now."""
        self._close(reset=True)

    def _advance(self) -> None:
        if self._ended:  # by an earlier event of the same round
            return
        try:
            self._connect()
            if not self._finishing:
                self._request.pump()
            self._response.pump()
        except OSError:
            self._close(reset=True)
            return
        if self._response.done and (self._finishing or self._request.done):
            self._close(reset=False)
        else:
            self._watch_both()

    def _connect(self) -> None:
        if self._connected:
            return
        failure = self._program.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure or self._finishing:
            raise OSError(failure, "the program does not listen")
        self._connected = True

    def _watch_both(self) -> None:
        request = None if self._finishing else self._request
        self._watch(self._client, _events(request, self._response))
        self._watch(self._program, _events(self._response, request))

    def _watch(self, connection: socket.socket, events: int) -> None:
        before = self._watched.get(connection, 0)
        if events == before:
            return
        if not before:
            self._selector.register(connection, events, self._advance)
        elif events:
            self._selector.modify(connection, events, self._advance)
        else:
            self._selector.unregister(connection)
        self._watched[connection] = events

    def _close(self, *, reset: bool) -> None:
        self._ended = True
        self._watch(self._client, 0)
        self._watch(self._program, 0)
        self._program.close()
        if reset:
            _reset(self._client)
        else:
            self._client.close()
        self._closed(self)


class _Flow:
    """One direction of a connection; holds at most one chunk."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self._source = source
        self._sink = sink
        self._pending = memoryview(b"")
        self.done = False

    @property
    def wants_to_read(self) -> bool:
        return not self.done and not self._pending

    @property
    def wants_to_write(self) -> bool:
        return bool(self._pending)

    def pump(self) -> None:
        """Move what can be moved without waiting."""
        try:
            for _ in range(_ROUNDS):
                if self.done:
                    return
                self._step()
        except BlockingIOError:
            return

    def _step(self) -> None:
        if self._pending:
            self._pending = self._pending[self._sink.send(self._pending) :]
        elif chunk := self._source.recv(_CHUNK_BYTES):
            self._pending = memoryview(chunk)
        else:
            self._sink.shutdown(socket.SHUT_WR)
            self.done = True


def _events(from_here: _Flow | None, to_here: _Flow | None) -> int:
    """What to watch a socket for: data to take from here, room for data to here."""
    reading = selectors.EVENT_READ if from_here and from_here.wants_to_read else 0
    return reading | (selectors.EVENT_WRITE if to_here and to_here.wants_to_write else 0)


def connect_to(
    host: str, port: int, prepare: Callable[[socket.socket], None] = lambda _: None
) -> socket.socket:
    """Open a connection without waiting until it is there.

    Raises:
        OSError: It cannot be.
    """
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        prepare(connection)
        connection.connect((host, port))
    except BlockingIOError:  # under way, as it should be
        pass
    except OSError:
        connection.close()
        raise
    return connection


def _reset(connection: socket.socket) -> None:
    """Close so that the other side learns it was not served."""
    with suppress(OSError):  # macOS takes no options for one that is reset already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    connection.close()
