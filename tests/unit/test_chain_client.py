"""Requests to the chain: what is sent, what is told of the answer, and what of errors."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from devkit.chain_client import Hop, invoke_function, invoke_gateway
from devkit.errors import InvocationFailed


class Asked(BaseHTTPRequestHandler):
    """Answers with what its server has been given, and remembers what it was asked."""

    server: Server

    def do_GET(self) -> None:
        assert self.path == f"/_devkit/traces/{self.server.root}"
        self._send(200, {}, json.dumps({"hops": self.server.hops}).encode())

    def do_POST(self) -> None:
        self.server.asked = (self.command, self.path, dict(self.headers))
        self.server.body = self.rfile.read(int(self.headers["Content-Length"]))
        self._send(*self.server.answer)

    do_PUT = do_POST  # noqa: N815 - http.server's name

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - http.server's name
        del format


class Server(ThreadingHTTPServer):
    """The local AWS, as the client sees it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
        self.asked: tuple[str, str, dict[str, str]] = ("", "", {})
        self.body = b""
        self.hops: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def root(self) -> str:
        """Of the trace that the last request began."""
        return self.asked[2]["X-Amzn-Trace-Id"].partition("Root=")[2].partition(";")[0]


@contextmanager
def served() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def aws() -> Iterator[Server]:
    with served() as server:
        yield server


def test_a_function_is_invoked_as_the_aws_cli_does_it(aws: Server) -> None:
    aws.answer = (200, {}, b'{"category": "x"}')
    aws.hops = [{"hop": "container", "seconds": 0.001}, {"hop": "lambda a b", "seconds": 0.002}]
    answer = invoke_function(aws.url, "a b", b'{"x": 1}')
    method, path, headers = aws.asked
    assert (method, path) == ("POST", "/2015-03-31/functions/a%20b/invocations")
    assert headers["X-Amz-Log-Type"] == "Tail"
    assert aws.body == b'{"x": 1}'
    assert (answer.body, answer.content_type) == (b'{"category": "x"}', "application/json")
    total, *inner = answer.hops
    assert total.name == "total"
    assert total.seconds > 0
    assert inner == [Hop("lambda a b", 0.002), Hop("container", 0.001)]


def test_each_request_begins_a_trace_of_its_own(aws: Server) -> None:
    invoke_function(aws.url, "f", b"")
    first = aws.root
    invoke_function(aws.url, "f", b"")
    assert first != aws.root
    assert first.startswith("1-")
    assert len(first) == len("1-5759e988-bd862e3fe1be46a994272793")


def test_a_function_that_fails_is_told_with_the_end_of_its_log(aws: Server) -> None:
    log = base64.b64encode("START\nabout to\n\xff\n".encode("latin-1")).decode()
    headers = {"X-Amz-Function-Error": "Unhandled", "X-Amz-Log-Result": log}
    envelope = b'{"errorMessage": "no", "errorType": "ValueError"}'
    aws.answer = (200, headers, envelope)
    with pytest.raises(InvocationFailed, match="lambda f failed: ValueError: no") as failed:
        invoke_function(aws.url, "f", b"")
    assert failed.value.log_tail == ("START", "about to", "\N{REPLACEMENT CHARACTER}")
    assert failed.value.body == envelope.decode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message": "lower"}', "TheType: lower"),
        (b'{"Message": "upper"}', "TheType: upper"),
        (b"<html>", "TheType: <html>"),
        (b"[1]", "TheType: [1]"),
    ],
)
def test_what_cannot_be_invoked_is_told_in_awss_words(aws: Server, body: bytes, said: str) -> None:
    aws.answer = (404, {"x-amzn-errortype": "TheType"}, body)
    with pytest.raises(InvocationFailed) as failed:
        invoke_function(aws.url, "f", b"")
    assert failed.value.message == said
    assert failed.value.status == 404


@pytest.mark.parametrize(
    ("base", "path", "sent"),
    [
        ("/_gateway/abc", "/predict", "/_gateway/abc/predict"),
        ("/_gateway/abc/v1", "predict?x=1", "/_gateway/abc/v1/predict?x=1"),
        ("/_gateway/abc/", "/", "/_gateway/abc/"),
        ("", "/a b/ü/%20?x=\r\nX: y&z", "/a%20b/%C3%BC/%20?x=%0D%0AX:%20y&z"),
    ],
)
def test_the_gateway_is_asked_below_its_url(aws: Server, base: str, path: str, sent: str) -> None:
    aws.answer = (201, {"Content-Type": "text/csv"}, b"1,2")
    answer = invoke_gateway(aws.url, f"{aws.url}{base}", "PUT", path, b"x", "text/plain")
    method, asked, headers = aws.asked
    assert (method, asked, headers["Content-Type"]) == ("PUT", sent, "text/plain")
    assert (answer.body, answer.content_type) == (b"1,2", "text/csv")


@pytest.mark.parametrize("status", [302, 400, 500, 503])
def test_an_answer_that_is_no_success_is_an_error(aws: Server, status: int) -> None:
    aws.answer = (status, {}, b'{"message": "no"}')
    with pytest.raises(InvocationFailed) as failed:
        invoke_gateway(aws.url, aws.url, "POST", "/", b"", "text/plain")
    assert failed.value.message == f'the gateway answers {status}: {{"message": "no"}}'
    assert failed.value.status == status


def test_where_nobody_answers_is_told() -> None:
    with served() as server:
        url = server.url
    with pytest.raises(InvocationFailed, match=f"the local AWS at {url} does not answer") as failed:
        invoke_function(url, "f", b"")
    assert failed.value.remedy == "devkit status tells whether it is up"
