"""The relay: one address before containers that come and go, and every byte as it was."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from devkit.engines.base import Address
from devkit.errors import PortInUse
from devkit.front.relay import Relay

DEADLINE_S = 10.0

Answer = Callable[[socket.socket], None]


class Backend:
    """A container's port: a function answers each connection."""

    def __init__(self, answer: Answer) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address(*self._listener.getsockname())
        self._answer = answer
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            self._answer(connection)


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def says(text: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(text)

    return answer


@pytest.fixture
def relay() -> Iterator[Relay]:
    with closing(Relay(0)) as relay:
        yield relay


@pytest.fixture
def backend() -> Iterator[Backend]:
    with closing(Backend(echo)) as backend:
        yield backend


def connect(relay: Relay) -> socket.socket:
    return socket.create_connection((relay.address.host, relay.address.port), timeout=DEADLINE_S)


def everything(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(1 << 20):
        received += chunk
    return received


def test_what_is_sent_comes_back_and_the_end_is_passed_on(relay: Relay, backend: Backend) -> None:
    relay.switch(backend.address)
    with connect(relay) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b"hello"


def test_megabytes_go_both_ways(relay: Relay, backend: Backend) -> None:
    relay.switch(backend.address)
    body = os.urandom(1 << 20) * 8
    with connect(relay) as client:
        threading.Thread(target=client.sendall, args=(body,)).start()
        received = b""
        while len(received) < len(body):
            received += client.recv(1 << 20)
    assert received == body


def test_whether_a_connection_is_open_is_known(relay: Relay, backend: Backend) -> None:
    relay.switch(backend.address)
    assert not relay.in_use
    with connect(relay) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        assert relay.in_use
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""


def test_a_connection_stays_with_its_container_and_the_next_one_goes_to_the_new(
    relay: Relay,
) -> None:
    with closing(Backend(says(b"old"))) as old, closing(Backend(says(b"new"))) as new:
        relay.switch(old.address)
        with connect(relay) as before:
            before.sendall(b"?")
            assert before.recv(100) == b"old"
            relay.switch(new.address)
            with connect(relay) as after:
                after.sendall(b"?")
                assert after.recv(100) == b"new"
            before.sendall(b"?")
            assert before.recv(100) == b"old"


def test_without_a_container_connections_are_reset(relay: Relay, backend: Backend) -> None:
    with pytest.raises(ConnectionResetError), connect(relay) as client:
        client.recv(1)
    relay.switch(backend.address)
    with connect(relay) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def test_where_the_container_does_not_listen_connections_are_reset(relay: Relay) -> None:
    relay.switch(Address("127.0.0.1", 1))
    with pytest.raises(ConnectionResetError), connect(relay) as client:
        client.recv(1)


def test_a_stopped_relay_takes_no_more_and_lets_what_is_open_finish(
    relay: Relay, backend: Backend
) -> None:
    relay.switch(backend.address)
    with connect(relay) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        relay.stop(0)
        while refuses(relay) is False:
            pass
        client.sendall(b"again")
        assert client.recv(100) == b"again"


def refuses(relay: Relay) -> bool:
    try:
        connect(relay).close()
    except OSError:
        return True
    return False


def test_a_closed_relay_has_delivered_what_the_ended_container_had_sent(relay: Relay) -> None:
    sent = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"x" * 100_000)
        connection.shutdown(socket.SHUT_WR)
        sent.set()

    with closing(Backend(answer)) as backend:
        relay.switch(backend.address)
        with connect(relay) as client:
            client.sendall(b"?")
            assert sent.wait(DEADLINE_S)
            relay.close()
            relay.close()
            assert len(everything(client)) == 100_000


def test_closing_cuts_what_does_not_end(backend: Backend) -> None:
    relay = Relay(0, delivery_s=0.01)
    relay.switch(backend.address)
    with connect(relay) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        relay.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_port_in_use_is_told(relay: Relay) -> None:
    with pytest.raises(PortInUse):
        Relay(relay.address.port)
