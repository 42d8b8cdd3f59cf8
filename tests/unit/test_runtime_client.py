"""The ping and the request, against real sockets on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from devkit.engines.base import Address
from devkit.errors import InvocationFailed
from devkit.runtime_client import Reply, await_ping, decode, encode, invoke, ping


@contextmanager
def answering(answer: bytes | None) -> Iterator[Address]:
    """A server that answers every connection with these bytes, or never (``None``)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    connection.recv(65536)
                    connection.sendall(answer)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Address("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in held:
            connection.close()


def response(status: str, body: bytes = b"", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.mark.contract("2.3-b", "2.3-c")
def test_only_200_in_time_is_a_good_ping() -> None:
    with answering(response("200 OK")) as address:
        assert ping(address) is None
    with answering(response("204 No Content")) as address:
        assert ping(address) == "HTTP 204"
    with answering(response("500 Oh", b"why")) as address:
        assert ping(address) == "HTTP 500 why"
    with answering(b"") as address:
        assert ping(address) == "nothing answers HTTP"
    with answering(None) as address:
        assert ping(address, 0.05) == "no answer within 0.05 s"


def test_waiting_ends_when_the_container_has() -> None:
    with answering(response("503 Wait")) as address:
        assert await_ping(address, 60, lambda: True, print) == "HTTP 503"


def test_an_error_names_who_is_to_blame_and_carries_the_body() -> None:
    with (
        answering(response("415 No", b'{"error": "csv"}')) as address,
        pytest.raises(InvocationFailed, match=r"Received client error \(415\)") as error,
    ):
        invoke(address, b"{}", content_type="application/json")
    assert (error.value.status, error.value.body) == (415, '{"error": "csv"}')


def test_no_answer_in_time_is_said_as_sagemaker_says_it() -> None:
    with (
        answering(None) as address,
        pytest.raises(InvocationFailed, match="timed out while waiting") as error,
    ):
        invoke(address, b"{}", content_type="application/json", timeout_s=0.05)
    assert error.value.status is None


def test_a_broken_connection_is_said() -> None:
    with answering(b"") as address, pytest.raises(InvocationFailed, match="broke the connection"):
        invoke(address, b"{}", content_type="application/json")


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("text/csv", b"1,2", "1,2"),
        ("application/octet-stream", b"\x00", b"\x00"),
    ],
)
def test_answers_are_decoded_by_their_type(
    content_type: str, body: bytes, expected: object
) -> None:
    assert decode(Reply(200, content_type, body)) == expected


def test_data_is_sent_as_it_is_or_as_json() -> None:
    assert encode(b"\x00") == b"\x00"
    assert encode("é") == "é".encode()
    assert encode([{"a": 1}]) == b'[{"a": 1}]'
