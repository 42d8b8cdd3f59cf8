"""InvokeEndpointWithResponseStream: the events, and the errors among them (contract 2.7)."""

from __future__ import annotations

import http.client
import json
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from devkit.engines.base import Address
from devkit.front import event_stream
from devkit.front.limits import PROFILES
from tests.unit.test_front_support import PATIENCE_S, Got, Request, ask, container, fronted

PATH = "/endpoints/demo/invocations-response-stream"


def events(data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    while data:
        total, headers_length = struct.unpack_from("!II", data)
        assert struct.unpack_from("!I", data, 8) == (zlib.crc32(data[:8]),)
        assert struct.unpack_from("!I", data, total - 4) == (zlib.crc32(data[: total - 4]),)
        yield headers_of(data[12 : 12 + headers_length]), data[12 + headers_length : total - 4]
        data = data[total:]


def headers_of(data: bytes) -> dict[str, str]:
    found = {}
    while data:
        name_end = 1 + data[0]
        kind, length = struct.unpack_from("!BH", data, name_end)
        assert kind == 7
        value_end = name_end + 3 + length
        found[data[1:name_end].decode()] = data[name_end + 3 : value_end].decode()
        data = data[value_end:]
    return found


def told(got: Got) -> list[tuple[str, Any]]:
    return [
        (headers[":event-type"], payload)
        if headers[":message-type"] == "event"
        else (headers[":exception-type"], json.loads(payload))
        for headers, payload in events(got.body)
    ]


def words(request: Request) -> None:
    assert request.headers["Accept"] == "text/plain"
    request.begin_chunks({"Content-Type": "text/plain"})
    request.chunk(b"one ")
    request.chunk(request.read_body())
    request.chunk(b"")


@pytest.mark.contract("2.7-a", "2.7-d")
def test_every_part_is_an_event() -> None:
    with container(words) as backend, fronted(backend) as (_, address):
        got = ask(address, b"two", path=PATH, headers={"X-Amzn-SageMaker-Accept": "text/plain"})
    assert got.headers["Content-Type"] == "application/vnd.amazon.eventstream"
    assert got.headers["X-Amzn-SageMaker-Content-Type"] == "text/plain"
    assert got.headers["x-Amzn-Invoked-Production-Variant"] == "AllTraffic"
    assert {kind for kind, _ in told(got)} == {"PayloadPart"}
    assert b"".join(data for _, data in told(got)) == b"one two"


def test_an_error_before_the_first_part_is_a_model_error() -> None:
    with (
        container(lambda request: request.answer(b"no", 500)) as backend,
        fronted(backend) as (_, address),
    ):
        status, code, members = ask(address, path=PATH).error
    assert (status, code, members["OriginalMessage"]) == (424, "ModelError", "no")


@pytest.mark.contract("2.7-b")
def test_a_broken_stream_ends_with_an_error() -> None:
    def breaks(request: Request) -> None:
        request.begin_chunks()
        request.chunk(b"one")
        request.close_connection = True

    with container(breaks) as backend, fronted(backend) as (_, address):
        first, last = told(ask(address, path=PATH))
    assert first == ("PayloadPart", b"one")
    assert last[0] == "ModelStreamError"
    assert last[1]["ErrorCode"] == "StreamBroken"


@pytest.mark.contract("2.7-c")
def test_a_stream_that_takes_too_long_ends_with_an_error() -> None:
    ended = threading.Event()

    def endless(request: Request) -> None:
        request.begin_chunks()
        request.chunk(b"one")
        ended.wait(PATIENCE_S)
        request.chunk(b"")

    limits = replace(PROFILES["realtime"], stream_s=0.05)
    with container(endless) as backend, fronted(backend, limits) as (_, address):
        first, last = told(ask(address, path=PATH))
        ended.set()
    assert first == ("PayloadPart", b"one")
    assert last == (
        "ModelStreamError",
        {
            "ErrorCode": "ModelInvocationTimeExceeded",
            "Message": "The model did not finish its response in 0.05 s.",
        },
    )


@pytest.mark.contract("2.7-e")
def test_the_first_part_must_come_as_soon_as_an_answer() -> None:  # contract 2.3
    ended = threading.Event()

    def late(_: Request) -> None:
        ended.wait(PATIENCE_S)

    limits = replace(PROFILES["realtime"], invocation_s=0.03)
    with container(late) as backend, fronted(backend, limits) as (_, address):
        assert ask(address, path=PATH).error[:2] == (424, "ModelError")
        ended.set()


def decoded(data: bytes) -> list[dict[str, Any]]:
    eventstream = pytest.importorskip("botocore.eventstream")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(data)
    return [event.to_response_dict() for event in buffer]


def test_aws_own_decoder_reads_the_events() -> None:
    data = (
        event_stream.payload_part(b"\x00\xff" * 40_000)
        + event_stream.payload_part(b"")
        + event_stream.model_stream_error("StreamBroken", "é")
    )
    large, empty, broken = decoded(data)
    assert large["body"] == b"\x00\xff" * 40_000
    assert large["headers"][":event-type"] == "PayloadPart"
    assert empty["body"] == b""
    assert broken["headers"][":exception-type"] == "ModelStreamError"
    assert json.loads(broken["body"]) == {"ErrorCode": "StreamBroken", "Message": "é"}


def test_a_client_that_reads_slowly_gets_everything() -> None:
    def much(request: Request) -> None:
        request.begin_chunks()
        for number in range(50):
            request.chunk(b"%05d" % number * 10_000)
        request.chunk(b"")

    with container(much) as backend, fronted(backend) as (_, address):
        data = read_slowly(address)
    expected = b"".join(b"%05d" % number * 10_000 for number in range(50))
    assert b"".join(payload for _, payload in events(data)) == expected


def read_slowly(address: Address) -> bytes:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE_S)
    with closing(connection):
        connection.request("POST", PATH, b"")
        response = connection.getresponse()
        data = b""
        while part := response.read(20_000):
            data += part
        return data
