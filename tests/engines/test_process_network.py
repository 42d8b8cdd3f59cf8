"""A program's port: its own in its own network, and forwarded without loss."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devkit.engines.base import Container
from devkit.engines.process import ProcessEngine
from tests.engines.process_bench import DEADLINE_S, PORT, ProcessBench

# Each connection is served by serve(connection) in a thread of its own.
SERVER = """
import hashlib, os, socket, struct, sys, threading, time
{serve}
listener = socket.create_server(('0.0.0.0', int(os.environ.get('SAGEMAKER_BIND_TO_PORT', 8080))))
print('ready', flush=True)
while True:
    connection, peer = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""

ECHO = """
def serve(connection):
    while data := connection.recv(65536): connection.sendall(data)
    connection.close()
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> ProcessEngine:
    """An engine whose servers have a network of their own."""
    engine = ProcessEngine(tmp_path_factory.mktemp("cache"), dict(os.environ))
    description = engine.describe()
    if "own namespaces" not in description:
        pytest.skip(description)
    return engine


@pytest.fixture
def bench(engine: ProcessEngine, tmp_path: Path) -> Iterator[ProcessBench]:
    """Programs that serve."""
    bench = ProcessBench(engine, tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def echo(bench: ProcessBench) -> Container:
    """A server that sends back what it gets."""
    return _serve(bench, ECHO)


def test_what_is_sent_comes_back_and_the_end_is_passed_on(echo: Container) -> None:
    with _connect(echo) as client:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert _everything(client) == b"hello"


def test_a_client_may_send_everything_before_it_gets_an_answer(bench: ProcessBench) -> None:
    server = _serve(
        bench,
        "def serve(connection):\n"
        "    digest = hashlib.sha256()\n"
        "    while data := connection.recv(65536): digest.update(data)\n"
        "    connection.sendall(digest.hexdigest().encode())\n"
        "    connection.close()\n",
    )
    body = os.urandom(1 << 20) * 32
    with _connect(server) as client:
        client.sendall(body)
        client.shutdown(socket.SHUT_WR)
        assert _everything(client).decode() == hashlib.sha256(body).hexdigest()


def test_a_slow_reader_holds_the_writer_back_and_gets_everything(bench: ProcessBench) -> None:
    server = _serve(
        bench,
        "def serve(connection):\n"
        "    for n in range(64): connection.sendall(bytes([n]) * (1 << 20))\n"
        "    connection.close()\n",
    )
    with _connect(server) as client:
        received = hashlib.sha256()
        total = 0
        while chunk := client.recv(4096 if total < 1 << 20 else 1 << 20):
            received.update(chunk)
            total += len(chunk)
    assert total == 64 << 20
    expected = hashlib.sha256(b"".join(bytes([n]) * (1 << 20) for n in range(64)))
    assert received.hexdigest() == expected.hexdigest()


def test_thousands_of_connections_one_after_the_other(echo: Container) -> None:
    for n in range(3000):
        with _connect(echo) as client:
            client.sendall(b"%d" % n)
            assert client.recv(100) == b"%d" % n


def test_hundreds_of_connections_at_once(echo: Container) -> None:
    clients = [_connect(echo) for _ in range(300)]
    for n, client in enumerate(clients):
        client.sendall(b"%d" % n)
    for n, client in enumerate(clients):
        assert client.recv(100) == b"%d" % n
        client.close()


def test_connections_in_parallel_threads_do_not_mix(echo: Container) -> None:
    mixed: list[int] = []

    def talk(number: int) -> None:
        body = bytes([number]) * 500_000
        for _ in range(10):
            with _connect(echo) as client:
                threading.Thread(target=_send_all, args=(client, body)).start()
                if _everything(client) != body:
                    mixed.append(number)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert mixed == []


def test_where_nobody_listens_the_connection_is_reset(bench: ProcessBench) -> None:
    bench.write("print('ready', flush=True)\nimport signal; signal.pause()")
    container = bench.ready(ports=(PORT,))
    for _ in range(10):
        with pytest.raises(ConnectionResetError), _connect(container) as client:
            client.recv(1)


def test_a_server_that_cuts_the_connection_is_seen_to_do_so(bench: ProcessBench) -> None:
    server = _serve(
        bench,
        "def serve(connection):\n"
        "    connection.recv(1)\n"
        "    connection.setsockopt(\n"
        "        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
        "    connection.close()\n",
    )
    with _connect(server) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_client_that_cuts_the_connection_is_seen_to_do_so(bench: ProcessBench) -> None:
    server = _serve(
        bench,
        "def serve(connection):\n"
        "    try:\n"
        "        while connection.recv(1): pass\n"
        "    except ConnectionResetError: print('reset', flush=True)\n",
    )
    lines = server.lines()
    assert next(lines) == "ready"
    with _connect(server) as client:
        client.sendall(b"x")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.stop(0)
    assert list(lines) in ([], ["reset"])


def test_the_answer_of_a_server_that_ends_at_once_arrives(bench: ProcessBench) -> None:
    server = _serve(
        bench,
        "def serve(connection):\n"
        "    connection.recv(1)\n"
        "    connection.sendall(b'y' * 2_000_000)\n"
        "    os._exit(0)\n",
    )
    with _connect(server) as client:
        client.sendall(b"x")
        assert len(_everything(client)) == 2_000_000


def test_after_the_end_the_port_is_free_again(echo: Container) -> None:
    address = echo.address(PORT.number)
    assert address is not None
    echo.stop(0)
    echo.remove()
    with socket.create_server((address.host, address.port)):
        pass


@pytest.mark.contract("2.3-a")
def test_requests_seem_to_come_from_another_machine_as_sagemakers_do(
    bench: ProcessBench,
) -> None:
    server = _serve(
        bench,
        "def serve(connection):\n"
        "    connection.sendall(connection.getpeername()[0].encode())\n"
        "    connection.close()\n",
    )
    with _connect(server) as client:
        assert _everything(client) == b"169.254.178.2"


def test_a_server_reaches_itself_but_not_the_host(bench: ProcessBench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        bench.write(
            "import socket\n"
            "own = socket.create_server(('127.0.0.1', 0))\n"
            "socket.create_connection(own.getsockname()).close()\n"
            f"print(socket.socket().connect_ex(('127.0.0.1', {port})) != 0)\n"
        )
        assert list(bench.start(ports=(PORT,)).lines()) == ["True"]


def test_on_the_hosts_network_a_server_is_told_its_port(
    bench: ProcessBench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    bench.engine = ProcessEngine(cache, dict(os.environ), serve_network="host")
    server = _serve(bench, ECHO)
    with _connect(server) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def _serve(bench: ProcessBench, serve: str) -> Container:
    bench.write(SERVER.format(serve=serve))
    return bench.ready(ports=(PORT,))


def _connect(container: Container) -> socket.socket:
    address = container.address(PORT.number)
    assert address is not None
    client = socket.create_connection((address.host, address.port), timeout=DEADLINE_S)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def _send_all(client: socket.socket, body: bytes) -> None:
    client.sendall(body)
    client.shutdown(socket.SHUT_WR)


def _everything(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(1 << 20):
        received += chunk
    return received
