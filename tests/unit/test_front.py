"""The front before a container: what reaches it, what comes back, and what happens in between."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from devkit.engines.base import Address
from devkit.errors import PortInUse
from devkit.front.errors import Endpoint
from devkit.front.forwarder import Forwarder
from devkit.front.limits import PROFILES, Limits
from devkit.front.messages import Answer, Invocation
from devkit.front.server import Front
from tests.unit.test_front_support import (
    PATIENCE_S,
    Request,
    ask,
    ask_on,
    container,
    fronted,
    read_request,
    sockets,
)


@pytest.mark.contract("2.3-h", "2.4-f")
def test_an_answer_passes_unchanged_on_both_paths() -> None:  # contract 2.3, 2.4
    seen: list[tuple[str, bytes]] = []

    def answer(request: Request) -> None:
        seen.append((request.path, request.read_body()))
        request.answer(b"\x00\xff", status=201, headers={"Content-Type": "x/y"})

    with container(answer) as backend, fronted(backend) as (_, address):
        for path in ("/invocations", "/endpoints/demo/invocations"):
            got = ask(address, b"question", path=path)
            assert (got.status, got.body, got.headers["Content-Type"]) == (200, b"\x00\xff", "x/y")
    assert seen == [("/invocations", b"question")] * 2


def test_a_ping_is_the_containers_own() -> None:  # contract 2.3
    with (
        container(get=lambda request: request.answer(b"loading", 503)) as backend,
        fronted(backend) as (_, address),
    ):
        got = ask(address, method="GET", path="/ping")
        assert (got.status, got.body) == (503, b"loading")
        assert ask(address, method="GET", path="/ping?x=1").status == 503


def test_a_ping_that_is_answered_too_late_is_unavailable() -> None:  # contract 2.3
    finish = threading.Event()
    limits = replace(PROFILES["realtime"], ping_s=0.03)

    def late(_: Request) -> None:
        finish.wait(PATIENCE_S)

    with container(get=late) as backend, fronted(backend, limits) as (_, address):
        assert ask(address, method="GET", path="/ping").status == 503
        finish.set()


def test_a_ping_that_nobody_answers_is_unavailable() -> None:  # contract 2.3, 2.6
    with (
        sockets(lambda connection: connection.close()) as backend,
        fronted(backend) as (_, address),
    ):
        status, code, _ = ask(address, method="GET", path="/ping").error
    assert (status, code) == (503, "ServiceUnavailable")


def test_what_is_no_operation_is_not_found() -> None:
    with fronted(None) as (_, address):
        for method, path in [("GET", "/invocations"), ("POST", "/ping"), ("POST", "/models")]:
            status, code, members = ask(address, method=method, path=path).error
            assert (status, code) == (404, "UnknownOperationException")
            assert members["Message"].startswith(f"{method} {path} is no operation")


@pytest.mark.contract("2.6-h")
def test_an_unknown_endpoint_is_a_validation_error() -> None:  # contract 2.6
    with fronted(None) as (_, address):
        got = ask(address, path="/endpoints/other/invocations")
    assert got.error == (
        400,
        "ValidationError",
        {"Message": "Endpoint other of account 123456789012 not found."},
    )


def test_no_answer_is_mixed_up() -> None:
    with container() as backend, fronted(backend) as (_, address):
        connection = http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE_S)
        for number in range(200):
            body = b"%d" % number * 50
            assert ask_on(connection, body).body == body
        connection.close()
        bodies = [b"%d" % number * 20_000 for number in range(320)]
        with ThreadPoolExecutor(32) as pool:
            assert [got.body for got in pool.map(lambda b: ask(address, b), bodies)] == bodies


def test_connections_to_the_container_are_used_again() -> None:
    clients: Counter[object] = Counter()

    def answer(request: Request) -> None:
        clients[request.client_address] += 1
        request.read_body()
        request.answer()

    with container(answer) as backend, fronted(backend) as (_, address):
        for _ in range(10):
            assert ask(address).status == 200
    assert list(clients.values()) == [10]


def test_a_connection_that_the_container_has_closed_is_not_used_again() -> None:
    closed = threading.Semaphore(0)
    served = []

    def once(connection: socket.socket) -> None:
        served.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.close()
        closed.release()

    with sockets(once) as backend, fronted(backend) as (_, address):
        for _ in range(20):
            assert ask(address, b"x").body == b"ok"
            assert closed.acquire(timeout=PATIENCE_S)
    assert len(served) == 20


def test_a_request_is_never_sent_twice() -> None:
    served = []

    def second_fails(connection: socket.socket) -> None:
        while read_request(connection):
            served.append(1)
            if len(served) == 2:
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with sockets(second_fails) as backend, fronted(backend) as (_, address):
        assert ask(address, b"x").status == 200
        assert ask(address, b"x").status == 424
        assert len(served) == 2
        assert ask(address, b"x").status == 200


def test_switching_under_load_loses_nothing() -> None:
    answered: Counter[str] = Counter()
    lock = threading.Lock()

    def named(name: str) -> Callable[[Request], None]:
        def answer(request: Request) -> None:
            request.read_body()
            with lock:
                answered[name] += 1
            request.answer(name.encode())

        return answer

    with (
        container(named("old")) as old,
        container(named("new")) as new,
        fronted(old) as (front, address),
        ThreadPoolExecutor(8) as pool,
    ):
        before = [pool.submit(ask, address, b"x") for _ in range(100)]
        before[20].result()
        front.switch(new)
        after = [ask(address, b"x").body for _ in range(5)]
        assert after == [b"new"] * 5
        assert {each.result().status for each in before} == {200}
        told = Counter(each.result().body.decode() for each in before)
    assert told["old"] == answered["old"] >= 20
    assert told["new"] + 5 == answered["new"]


def test_a_request_in_flight_stays_where_it_is() -> None:
    begun, finish = threading.Event(), threading.Event()

    def slow(request: Request) -> None:
        begun.set()
        finish.wait(PATIENCE_S)
        request.answer(b"old")

    with (
        container(slow) as old,
        container() as new,
        fronted(old) as (front, address),
        ThreadPoolExecutor(1) as pool,
    ):
        pending = pool.submit(ask, address)
        assert begun.wait(PATIENCE_S)
        front.switch(new)
        assert ask(address, b"new").body == b"new"
        assert (front.busy(old), front.busy(new)) == (True, False)
        finish.set()
        assert pending.result().body == b"old"


@pytest.mark.contract("2.6-k")
def test_without_a_container_the_service_is_unavailable() -> None:  # contract 2.6
    with container() as backend, fronted(backend) as (front, address):
        front.switch(None)
        assert ask(address).error[:2] == (503, "ServiceUnavailable")
        front.switch(backend)
        assert ask(address).status == 200


def test_stopping_finishes_what_is_in_flight() -> None:
    begun, finish = threading.Event(), threading.Event()

    def slow(request: Request) -> None:
        begun.set()
        finish.wait(PATIENCE_S)
        request.answer(b"done")

    with container(slow) as backend, ThreadPoolExecutor(2) as pool:
        front = Front(name="demo", limits=PROFILES["realtime"])
        address = front.start(backend)
        pending = pool.submit(ask, address)
        assert begun.wait(PATIENCE_S)
        stopped = pool.submit(front.stop, PATIENCE_S)
        while is_listening(address):
            pass
        finish.set()
        assert pending.result().body == b"done"
        stopped.result(PATIENCE_S)
        front.stop(1)


def test_stopping_waits_no_longer_than_its_grace() -> None:
    begun, finish = threading.Event(), threading.Event()

    def stuck(_: Request) -> None:
        begun.set()
        finish.wait(PATIENCE_S)

    with container(stuck) as backend, ThreadPoolExecutor(1) as pool:
        front = Front(name="demo", limits=PROFILES["realtime"])
        pending = pool.submit(ask, front.start(backend))
        assert begun.wait(PATIENCE_S)
        front.stop(0.02)
        finish.set()
        with pytest.raises((http.client.HTTPException, OSError)):
            pending.result()


def is_listening(address: Address) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address.host, address.port)) == 0


def test_a_taken_port_is_said() -> None:
    with fronted(None) as (_, address):
        front = Front(name="demo", limits=Limits(), listener_port=address.port)
        with pytest.raises(PortInUse):
            front.start(None)
        front.stop(0)


def test_a_line_that_cannot_be_written_fails_no_request() -> None:
    def fail(_: str) -> None:
        raise BrokenPipeError

    with container() as backend, fronted(backend, on_event=fail) as (_, address):
        assert ask(address, b"x").body == b"x"


def test_another_server_can_forward() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    async def forward(backend: Address) -> list[Answer]:
        forwarder = Forwarder(Endpoint(name="mine"), Limits(), backend)
        try:
            return [
                await forwarder.invoke(
                    Invocation(headers={"accept": accept}, body=body(), content_length=4)
                )
                for accept in ("text/csv", "é")
            ]
        finally:
            await forwarder.close()

    with container() as backend:
        good, bad = asyncio.run(forward(backend))
    assert (good.status, good.body) == (200, b"abcd")
    assert good.headers["Content-Type"] == "application/octet-stream"
    assert (bad.status, bad.headers["x-amzn-ErrorType"]) == (400, "ValidationError")


def test_every_request_is_a_line() -> None:
    lines: list[str] = []
    with container() as backend, fronted(backend, on_event=lines.append) as (_, address):
        ask(address, b"x")
        ask(address, method="GET", path="/a%0ab")
    assert re.fullmatch(r"POST /invocations 200 \d+\.\d ms", lines[0])
    assert re.fullmatch(r"GET /a%0ab 404 \d+\.\d ms", lines[1])
