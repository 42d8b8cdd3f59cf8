"""What the tests of the front share: containers on loopback, and clients. It has no tests."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from devkit.engines.base import Address
from devkit.front.limits import PROFILES, Limits
from devkit.front.server import Front

PATIENCE_S = 10.0  # for what must come; nothing waits that long unless the test fails
NAME = "demo"


class Request(BaseHTTPRequestHandler):
    """What a container is asked, with the means to answer it as well or as badly as it likes."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    body = b""

    def answer(
        self, body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def begin_chunks(self, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Transfer-Encoding": "chunked", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def read_body(self) -> bytes:
        return b"".join(self.body_parts())

    def body_parts(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left:
            part = self.rfile.read(min(left, 1 << 16))
            if not part:
                raise ConnectionAbortedError
            left -= len(part)
            yield part

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


Answering = Callable[[Request], None]


def echo(request: Request) -> None:
    request.answer(request.read_body(), headers={"Content-Type": "application/octet-stream"})


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False  # closing it waits for them

    def handle_error(self, *_: object) -> None:
        pass  # the front has closed a connection; what counts is what its client was told


@contextmanager
def container(post: Answering = echo, get: Answering = Request.answer) -> Iterator[Address]:
    """A container that answers every POST and every GET so."""

    class Handler(Request):
        def do_POST(self) -> None:
            post(self)

        def do_GET(self) -> None:
            get(self)

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Address("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def sockets(serve: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A container of bytes: ``serve`` has every connection to itself, which is closed then."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield Address("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S)


def read_request(connection: socket.socket) -> bytes:
    """A request with its body, as long as it has a Content-Length; nothing at the end."""
    data = b""
    while True:
        head, separator, body = data.partition(b"\r\n\r\n")
        if separator:
            lengths = [
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ]
            if len(body) >= sum(lengths):
                return data
        part = connection.recv(1 << 16)
        if not part:
            return b""
        data += part


@contextmanager
def fronted(
    backend: Address | None,
    limits: Limits = PROFILES["realtime"],
    on_event: Callable[[str], None] = lambda _line: None,
) -> Iterator[tuple[Front, Address]]:
    front = Front(name=NAME, limits=limits, on_event=on_event)
    address = front.start(backend)
    try:
        yield front, address
    finally:
        front.stop(0.05)


@dataclass
class Got:
    """What a client was answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def error(self) -> tuple[int, str | None, dict[str, Any]]:
        """The status, AWS's name of the error, and its members."""
        return self.status, self.headers.get("x-amzn-ErrorType"), json.loads(self.body)


def ask(
    address: Address,
    body: Any = b"",
    *,
    path: str = "/invocations",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Got:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE_S)
    try:
        return ask_on(connection, body, path=path, method=method, headers=headers)
    finally:
        connection.close()


def ask_on(
    connection: http.client.HTTPConnection,
    body: Any = b"",
    *,
    path: str = "/invocations",
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Got:
    connection.request(method, path, body=body, headers=dict(headers or {}))
    response = connection.getresponse()
    return Got(response.status, response.headers, response.read())


def tell(address: Address, data: bytes, *, finish: bool = False) -> Got:
    """Send bytes as they are, and read what is answered until the connection ends or is idle."""
    with socket.create_connection((address.host, address.port), timeout=PATIENCE_S) as raw:
        raw.sendall(data)
        if finish:
            raw.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(raw)
        response.begin()
        got = Got(response.status, response.headers, response.read())
        response.close()
        return got
