"""Requests that are not HTTP, or not from this machine: an error in AWS's form, and no waiting."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace

import pytest

from devkit.front.limits import PROFILES
from tests.unit.test_front_support import (
    PATIENCE_S,
    Request,
    ask,
    container,
    fronted,
    tell,
)

POST = b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"FOO /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /invocations HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        POST + b"X-Huge: " + b"a" * 100_000 + b"\r\n\r\n",
        POST + b"X-Many: a\r\n" * 1000 + b"\r\n",
        POST + b"Content-Length: abc\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        POST + b"No colon\r\n\r\n",
        POST + b"Expect: a miracle\r\nContent-Length: 0\r\n\r\n",
        POST + b"Content-Type: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_malformed_is_refused(request_bytes: bytes) -> None:
    with container() as backend, fronted(backend) as (_, address):
        status, _, members = tell(address, request_bytes).error
        assert 400 <= status < 500
        assert members["Message"]
        assert ask(address, b"x").body == b"x"


def test_a_malformed_chunk_that_comes_later_is_refused() -> None:
    begun = threading.Event()

    def read(request: Request) -> None:
        for _ in request.body_parts():
            begun.set()

    with (
        container(read) as backend,
        fronted(backend) as (_, address),
        socket.create_connection((address.host, address.port), PATIENCE_S) as raw,
    ):
        raw.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        assert begun.wait(PATIENCE_S)
        raw.sendall(b"nonsense\r\n")
        assert b"HTTP/1.1 400 Bad Request" in received(raw)


@pytest.mark.contract("2.6-g")
@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 10\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"],
)
def test_a_request_that_ends_early_is_refused(framing: bytes) -> None:
    with container() as backend, fronted(backend) as (_, address):
        got = tell(address, POST + framing, finish=True)
        assert got.error == (
            400,
            "ValidationError",
            {"Message": "The request ended before its body did."},
        )


def test_a_client_that_has_said_its_last_word_is_answered() -> None:
    with container() as backend, fronted(backend) as (_, address):
        got = tell(address, POST + b"Content-Length: 5\r\n\r\n12345", finish=True)
    assert (got.status, got.body) == (200, b"12345")


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 10\r\n\r\n12345", b"Content-Length: 100000\r\n\r\n12345"],
)
def test_a_client_that_falls_silent_is_refused(framing: bytes) -> None:
    limits = replace(PROFILES["realtime"], client_s=0.03)
    with container() as backend, fronted(backend, limits) as (_, address):
        status, code, members = tell(address, POST + framing).error
    assert (status, code) == (400, "ValidationError")
    assert members["Message"] == "The request paused for 0.03 s."


def test_a_client_that_breaks_off_disturbs_nobody() -> None:
    with container() as backend, fronted(backend) as (_, address):
        for framing in (
            b"Content-Length: 10",
            b"Content-Length: 100000",
            b"Transfer-Encoding: chunked",
        ):
            with socket.create_connection((address.host, address.port)) as raw:
                raw.sendall(POST + framing + b"\r\n\r\n5\r\n12")
        assert ask(address, b"x").body == b"x"


def test_what_a_client_expects_it_is_told() -> None:
    head = POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    with (
        container() as backend,
        fronted(backend) as (_, address),
        socket.create_connection((address.host, address.port), PATIENCE_S) as raw,
    ):
        raw.sendall(head)
        assert raw.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"12345")
        assert raw.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        raw.sendall(head + b"abcde")
        assert raw.recv(1024).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.contract("2.3-n")
def test_a_body_that_is_too_large_is_refused_before_it_is_sent() -> None:  # contract 2.3
    head = POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
    with (
        container() as backend,
        fronted(backend) as (_, address),
        socket.create_connection((address.host, address.port), PATIENCE_S) as raw,
    ):
        raw.sendall(head)
        told = raw.recv(4096)
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in told


def test_requests_sent_at_once_are_answered_in_order() -> None:
    with (
        container() as backend,
        fronted(backend) as (_, address),
        socket.create_connection((address.host, address.port), PATIENCE_S) as raw,
    ):
        raw.sendall(b"".join(POST + b"Content-Length: 2\r\n\r\n%02d" % n for n in range(20)))
        raw.shutdown(socket.SHUT_WR)
        told = received(raw)
    answers = [part[:2] for part in told.split(b"\r\n\r\n")[1:]]
    assert answers == [b"%02d" % n for n in range(20)]


def test_old_clients_are_answered() -> None:
    with container() as backend, fronted(backend) as (_, address):
        head = b"POST /invocations HTTP/1.0\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
        assert tell(address, head + b"abc").body == b"abc"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "LOCALHOST:1234"}, 200),
        ({"Host": "127.0.0.1:1"}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://127.0.0.1"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost.evil.example:8080"}, 403),
        ({"Host": "[::ffff"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
    ],
)
def test_only_this_machine_may_ask(headers: dict[str, str], status: int) -> None:
    with container() as backend, fronted(backend) as (_, address):
        for method, path in (("POST", "/invocations"), ("GET", "/ping")):
            got = ask(address, method=method, path=path, headers=headers)
            assert got.status == status
            if status == 403:
                assert got.error[1] == "AccessDeniedException"


def test_a_request_without_a_host_is_refused() -> None:
    with container() as backend, fronted(backend) as (_, address):
        for version in (b"1.0", b"1.1"):
            assert tell(address, b"GET /ping HTTP/" + version + b"\r\n\r\n").status in (400, 403)


def test_a_request_that_asks_to_be_upgraded_is_answered() -> None:
    with container() as backend, fronted(backend) as (_, address):
        upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
        got = tell(address, POST + upgrade + b"Content-Length: 3\r\n\r\nabc")
        assert (got.status, got.body) == (200, b"abc")


def received(raw: socket.socket) -> bytes:
    data = b""
    while part := raw.recv(1 << 16):
        data += part
    return data
