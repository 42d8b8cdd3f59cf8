"""Bodies pass as they come, in either direction, and never as a whole (contract 2.3, 2.7)."""

from __future__ import annotations

import http.client
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from devkit.engines.base import Address
from devkit.front.limits import MB, PROFILES
from tests.unit.test_front_support import PATIENCE_S, Request, ask, container, fronted

SLACK_BYTES = 6 * MB


def connect(address: Address) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE_S))


def parts(count: int) -> Iterator[bytes]:
    part = b"x" * 65536
    for _ in range(count):
        yield part


@pytest.mark.parametrize("length", [None, 30 * MB])
def test_memory_does_not_grow_with_the_request(length: int | None) -> None:
    def count(request: Request) -> None:
        size = sum(len(part) for part in request.body_parts())
        request.answer(str(size).encode())

    limits = replace(PROFILES["realtime"], request_bytes=32 * MB)
    headers = {"Content-Length": str(length)} if length else {}
    with container(count) as backend, fronted(backend, limits) as (_, address):
        with measured() as peak:
            got = ask(address, parts(480), headers=headers)
        assert got.body == b"%d" % (30 * MB)
        assert peak() < SLACK_BYTES


@pytest.mark.parametrize("chunked", [False, True])
def test_memory_does_not_grow_with_the_response(chunked: bool) -> None:
    def much(request: Request) -> None:
        if not chunked:
            request.answer(headers={"Content-Length": str(30 * MB)})
            for part in parts(480):
                request.wfile.write(part)
            return
        request.begin_chunks()
        for part in parts(480):
            request.chunk(part)
        request.chunk(b"")

    with (
        container(much) as backend,
        fronted(backend) as (_, address),
        measured() as peak,
        connect(address) as connection,
    ):
        connection.request("POST", "/invocations", b"")
        response = connection.getresponse()
        assert response.headers["Content-Length"] == (None if chunked else str(30 * MB))
        size = 0
        while part := response.read(65536):
            size += len(part)
        assert size == 30 * MB
        assert peak() < SLACK_BYTES


class measured:  # noqa: N801 - read as a with statement
    def __enter__(self) -> measured:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    def __call__(self) -> int:
        return self.bytes if not tracemalloc.is_tracing() else tracemalloc.get_traced_memory()[1]


@pytest.mark.contract("2.7-a")
@pytest.mark.parametrize("path", ["/invocations", "/endpoints/demo/invocations-response-stream"])
def test_a_chunk_is_with_the_client_before_the_container_has_finished(path: str) -> None:  # 2.7
    go_on = threading.Event()

    def stepwise(request: Request) -> None:
        request.begin_chunks({"Content-Type": "text/plain"})
        for word in (b"one", b"two", b"three"):
            request.chunk(word)
            go_on.wait(PATIENCE_S)
            go_on.clear()
        request.chunk(b"")

    with (
        container(stepwise) as backend,
        fronted(backend) as (_, address),
        connect(address) as connection,
    ):
        connection.request("POST", path, b"")
        response = connection.getresponse()
        for word in (b"one", b"two", b"three"):
            assert word in response.read1(65536)
            go_on.set()
        assert response.read() == b""


def test_a_container_may_answer_while_it_is_asked() -> None:
    heard: list[bytes] = []
    both = threading.Event()

    def converse(request: Request) -> None:
        request.begin_chunks()
        for part in request.body_parts():
            heard.append(part)
            request.chunk(part)
            both.set()
        request.chunk(b"")

    with (
        container(converse) as backend,
        fronted(backend) as (_, address),
        connect(address) as connection,
    ):
        connection.putrequest("POST", "/invocations")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"3\r\none\r\n")
        assert both.wait(PATIENCE_S)
        assert heard == [b"one"]
        connection.send(b"3\r\ntwo\r\n0\r\n\r\n")
        assert connection.getresponse().read() == b"onetwo"


@pytest.mark.parametrize("with_length", [False, True])
def test_what_is_cut_off_does_not_look_complete(with_length: bool) -> None:
    def breaks(request: Request) -> None:
        if with_length:
            request.answer(b"x" * 100_000, headers={"Content-Length": str(MB)})
        else:
            request.begin_chunks()
            request.chunk(b"x" * 100_000)
        request.close_connection = True

    with container(breaks) as backend, fronted(backend) as (_, address):
        with pytest.raises((http.client.IncompleteRead, OSError)):
            ask(address)
        assert ask(address, method="GET", path="/ping").status == 200


@pytest.mark.contract("2.3-i", "2.3-k")
def test_an_answer_that_is_not_finished_in_time_is_cut_off() -> None:  # contract 2.3
    cut, finished = threading.Event(), threading.Event()

    def slow(request: Request) -> None:
        request.begin_chunks()
        request.chunk(b"x" * 1000)
        cut.wait(PATIENCE_S)
        for _ in range(100):
            request.chunk(b"x" * 65536)
        request.chunk(b"")
        finished.set()

    limits = replace(PROFILES["realtime"], invocation_s=0.3)
    with container(slow) as backend, fronted(backend, limits) as (_, address):
        with pytest.raises((http.client.IncompleteRead, OSError)):
            ask(address)
        cut.set()
        assert finished.wait(PATIENCE_S)


@pytest.mark.contract("2.3-l")
def test_a_client_that_goes_away_does_not_interrupt_the_container() -> None:  # contract 2.3
    gone, finished = threading.Event(), threading.Event()

    def go_on(request: Request) -> None:
        request.begin_chunks()
        request.chunk(b"first")
        gone.wait(PATIENCE_S)
        for _ in range(100):
            request.chunk(b"x" * 65536)
        request.chunk(b"")
        finished.set()

    with container(go_on) as backend, fronted(backend) as (_, address):
        with connect(address) as connection:
            connection.request("POST", "/invocations", b"")
            connection.getresponse().read1(5)
        gone.set()
        assert finished.wait(PATIENCE_S)
