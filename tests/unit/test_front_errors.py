"""What a client is told when something fails (contract 2.3, 2.6, 2.9)."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from devkit.engines.base import Address
from devkit.front import errors
from devkit.front.errors import Endpoint
from devkit.front.limits import BROKEN, MB, PROFILES, TIMED_OUT, Limits
from tests.unit.test_front_support import (
    PATIENCE_S,
    Got,
    Request,
    ask,
    container,
    fronted,
    read_request,
    sockets,
)

SEE = (
    "See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
    "#logEventViewer:group=/aws/sagemaker/Endpoints/demo in account 123456789012 for more "
    "information."
)
ARN = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/demo"


def is_broken(got: Got) -> bool:
    status, code, members = got.error
    return (status, code) == (424, "ModelError") and (
        members["OriginalStatusCode"] == 0 and members["OriginalMessage"] == BROKEN
    )


@pytest.mark.contract("2.6-a", "2.6-b", "2.6-c")
@pytest.mark.parametrize(
    ("status", "who", "code"),
    [
        (500, "server", "INTERNAL_FAILURE_FROM_MODEL"),
        (503, "server", "INTERNAL_FAILURE_FROM_MODEL"),
        (400, "client", "CLIENT_ERROR_FROM_MODEL"),
        (415, "client", "CLIENT_ERROR_FROM_MODEL"),
        (302, "server", "INTERNAL_FAILURE_FROM_MODEL"),
    ],
)
def test_a_containers_error_is_a_model_error(status: int, who: str, code: str) -> None:  # 2.6
    def fail(request: Request) -> None:
        request.read_body()
        request.answer(b"no \xc3\xa9", status, {"Location": "/elsewhere", "X-Mine": "x"})

    with container(fail) as backend, fronted(backend) as (_, address):
        got = ask(address, b"x")
    assert got.error == (
        424,
        "ModelError",
        {
            "ErrorCode": code,
            "Message": f'Received {who} error ({status}) from primary with message "no é". {SEE}',
            "OriginalStatusCode": status,
            "OriginalMessage": "no é",
            "LogStreamArn": ARN,
        },
    )
    assert got.headers["Content-Type"] == "application/json"
    assert "X-Mine" not in got.headers


@pytest.mark.contract("2.6-d")
def test_long_messages_are_shortened_and_keep_their_end() -> None:  # contract 2.6
    def fail(request: Request) -> None:
        request.answer(b"x" * 3 * MB, 500)

    with container(fail) as backend, fronted(backend) as (_, address):
        _, _, members = ask(address).error
        assert members["OriginalMessage"] == "x" * 2048
        assert len(members["Message"]) == 2048
        assert members["Message"].endswith(f'xxx". {SEE}')


@pytest.mark.contract("2.3-k", "2.6-e")
def test_a_late_container_is_a_model_error_and_goes_on(  # contract 2.3, 2.6
) -> None:
    answered, finished = threading.Event(), threading.Event()

    def late(request: Request) -> None:
        request.read_body()
        assert answered.wait(PATIENCE_S)
        request.begin_chunks()
        for _ in range(100):
            request.chunk(b"x" * 65536)
        request.chunk(b"")
        finished.set()

    limits = replace(PROFILES["realtime"], invocation_s=0.03)
    with container(late) as backend, fronted(backend, limits) as (_, address):
        got = ask(address, b"x")
        answered.set()
        assert finished.wait(PATIENCE_S)
    status, code, members = got.error
    assert (status, code, members["OriginalStatusCode"]) == (424, "ModelError", 0)
    assert members["Message"] == (
        f'Received server error (0) from primary with message "{TIMED_OUT}". {SEE}'
    )


@pytest.mark.contract("2.3-i")
def test_the_time_counts_from_the_end_of_the_request() -> None:  # contract 2.3
    steps = 12

    def slowly() -> Iterator[bytes]:
        for _ in range(steps):
            time.sleep(0.03)
            yield b"x"

    limits = replace(PROFILES["realtime"], invocation_s=0.3)
    with container() as backend, fronted(backend, limits) as (_, address):
        got = ask(address, slowly())
    assert (got.status, got.body) == (200, b"x" * steps)


@pytest.mark.contract("2.6-f")
def test_a_refused_connection_is_a_model_error() -> None:  # contract 2.6
    with container() as backend:
        pass
    with fronted(backend) as (_, address):
        assert is_broken(ask(address, b"x"))


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.contract("2.6-f")
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 O",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_broken_answer_is_a_model_error(answer: bytes, how: str) -> None:  # contract 2.6
    def breaking(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)
        if how == "reset":
            reset(connection)

    with sockets(breaking) as backend, fronted(backend) as (_, address):
        assert is_broken(ask(address, b"x"))


def test_an_error_before_the_whole_request_is_read_is_told() -> None:  # contract 2.6
    def refuse(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 7\r\n\r\ntoo big")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with sockets(refuse) as backend, fronted(backend) as (_, address):
        status, _, members = ask(address, b"x" * 10 * MB).error
    assert status == 424
    assert members["OriginalStatusCode"] == 413
    assert members["OriginalMessage"] == "too big"


@pytest.mark.contract("2.3-j")
def test_a_container_that_accepts_too_late_is_a_model_error() -> None:  # contract 2.3
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        name = full.getsockname()
        waiting = [socket.socket() for _ in range(2)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(name)
        backend = Address("127.0.0.1", name[1])
        with fronted(backend, replace(PROFILES["realtime"], connect_s=0.02)) as (_, address):
            assert is_broken(ask(address, b"x"))
            assert is_broken(ask(address, b"x" * MB))
        for each in waiting:
            each.close()


def too_large(limits: Limits, body: bytes, *, chunked: bool) -> Got:
    with container() as backend, fronted(backend, limits) as (_, address):
        return ask(address, iter([body]) if chunked else body)


@pytest.mark.contract("2.3-n")
@pytest.mark.parametrize("chunked", [False, True])
def test_a_request_over_the_limit_is_refused(chunked: bool) -> None:  # contract 2.3, 2.9
    limits = replace(PROFILES["realtime"], request_bytes=MB)
    assert too_large(limits, b"x" * MB, chunked=chunked).status == 200
    assert too_large(limits, b"x" * (MB + 1), chunked=chunked).error == (
        413,
        None,
        {"Message": "HTTP content length exceeded 1048576 bytes."},
    )


def test_serverless_says_it_otherwise() -> None:  # contract 2.9
    got = too_large(PROFILES["serverless"], b"x" * (4 * MB + 1), chunked=False)
    request_id = got.headers["x-amzn-RequestId"]
    assert got.error == (
        400,
        "ValidationError",
        {"Message": f"Request {request_id} has oversize body."},
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_a_serverless_response_over_the_limit_is_a_model_error(chunked: bool) -> None:  # 2.9
    def large(size: int) -> Got:
        def answer(request: Request) -> None:
            if chunked:
                request.begin_chunks()
                request.chunk(b"x" * size)
                request.chunk(b"")
            else:
                request.answer(b"x" * size)

        with container(answer) as backend, fronted(backend, limits) as (_, address):
            return ask(address)

    limits = replace(PROFILES["serverless"], response_bytes=MB)
    assert large(MB).body == b"x" * MB
    status, code, members = large(MB + 1).error
    assert (status, code) == (424, "ModelError")
    assert members["OriginalMessage"] == "The response of container primary exceeds 1048576 bytes."


@pytest.mark.contract("2.3-d", "2.3-i", "2.3-m", "2.7-c")
def test_the_profiles_are_the_contracts() -> None:  # contract 2.3, 2.7, 2.8, 2.9
    assert {
        name: (each.request_bytes, each.response_bytes, each.invocation_s, each.startup_s)
        for name, each in PROFILES.items()
    } == {
        "realtime": (25 * MB, None, 60, 480),
        "serverless": (4 * MB, 4 * MB, 60, 180),
        "async": (1024 * MB, None, 900, 480),
    }
    assert {each.stream_s for each in PROFILES.values()} == {480}


def test_an_error_names_its_endpoint() -> None:  # contract 2.6
    endpoint = Endpoint(name="mine", region="eu-west-1", account="000000000000")
    refused = errors.timed_out(endpoint)
    assert "https://eu-west-1.console" in refused.message
    assert "Endpoints/mine in account 000000000000 for" in refused.message
