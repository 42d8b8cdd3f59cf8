"""A WSGI application behind aiohttp, asked over loopback."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from devkit.fake_s3.server import served
from devkit.wsgi_bridge import RAW_HEADERS

PATIENCE_S = 10.0  # for what must come; nothing waits that long unless the test fails
MEGABYTE = 1024 * 1024

Environ = dict[str, Any]
Start = Callable[..., Any]


@contextmanager
def asked(app: Any) -> Iterator[http.client.HTTPConnection]:
    with served(app) as (host, port):
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
        try:
            yield connection
        finally:
            connection.close()


@contextmanager
def dialled(app: Any) -> Iterator[socket.socket]:
    with (
        served(app) as address,
        socket.create_connection(address, timeout=PATIENCE_S) as connection,
    ):
        yield connection


def echo(environ: Environ, start: Start) -> Iterable[bytes]:
    shown = {n: v for n, v in environ.items() if isinstance(v, (str, int)) or n == RAW_HEADERS}
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(shown).encode()]


def upload(environ: Environ, start: Start) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start("201 Made", [("Content-Length", "10")])
    return [b"%010d" % len(body)]


def test_an_application_sees_the_request_as_wsgi_has_it() -> None:
    with asked(echo) as connection:
        connection.putrequest("GET", "/a%20b/%C3%A9?x=1&y=%2F", skip_host=True)
        for name, value in [
            ("Host", "localhost:1"), ("X-Many", "1"), ("X-Many", "2"), ("Content-Type", "text/x"),
            ("Cookie", "a=1"), ("Cookie", "b=2"), ("x-amz-meta-my_key", "v"),
        ]:  # fmt: skip
            connection.putheader(name, value)
        connection.endheaders()
        environ = json.loads(connection.getresponse().read())
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/é"
    assert environ["QUERY_STRING"] == "x=1&y=%2F"
    assert environ["RAW_URI"] == "/a%20b/%C3%A9?x=1&y=%2F"
    assert environ["HTTP_HOST"] == "localhost:1"
    assert environ["HTTP_X_MANY"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["CONTENT_TYPE"] == "text/x"
    assert environ["SERVER_NAME"] == environ["REMOTE_ADDR"] == "127.0.0.1"


def test_a_name_with_an_underscore_passes_for_no_other() -> None:
    with asked(echo) as connection:
        connection.request("GET", "/", headers={"X_Forwarded_For": "me"})
        environ = json.loads(connection.getresponse().read())
    assert "HTTP_X_FORWARDED_FOR" not in environ
    assert ["X_Forwarded_For", "me"] in environ[RAW_HEADERS]


def test_a_body_is_read_whether_it_has_a_length_or_chunks() -> None:
    with asked(upload) as connection:
        connection.request("PUT", "/", body=b"x" * 3 * MEGABYTE)
        answer = connection.getresponse()
        assert (answer.status, answer.reason, answer.read()) == (201, "Made", b"0003145728")
        connection.request("PUT", "/", body=iter([b"x" * 5, b"y" * 7]), encode_chunked=True)
        assert connection.getresponse().read() == b"0000000012"


def test_a_body_is_read_as_it_comes() -> None:
    first = threading.Event()

    def reader(environ: Environ, start: Start) -> Iterable[bytes]:
        environ["wsgi.input"].read(5)
        first.set()
        rest = environ["wsgi.input"].read()
        start("200 OK", [])
        return [rest]

    def body() -> Iterator[bytes]:
        yield b"first"
        assert first.wait(PATIENCE_S)
        yield b"second"

    with asked(reader) as connection:
        connection.request("PUT", "/", body=body(), encode_chunked=True)
        assert connection.getresponse().read() == b"second"


def test_an_answer_is_sent_as_it_is_made() -> None:
    taken = threading.Event()

    def writer(_environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        yield b"first"
        assert taken.wait(PATIENCE_S)
        yield b"second"

    with asked(writer) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert answer.read(5) == b"first"
        taken.set()
        assert answer.read() == b"second"


def test_a_client_that_takes_nothing_holds_the_application_back() -> None:
    made = 0
    stuck, closed = threading.Event(), threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            nonlocal made
            while True:
                made += 1
                stuck.set()
                yield b"x" * MEGABYTE

        def close(self) -> None:
            closed.set()

    def app(_environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        return Endless()

    with dialled(app) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(1)
        assert stuck.wait(PATIENCE_S)
        while stuck.is_set():  # until it makes no more for as long as a chunk takes many times over
            stuck.clear()
            stuck.wait(0.3)
        assert made < 20  # a few in the sockets' buffers; the rest waits
        connection.close()
        assert closed.wait(PATIENCE_S)  # and hears that nobody wants it


def test_an_application_that_reads_nothing_holds_the_client_back() -> None:
    done = threading.Event()

    def app(_environ: Environ, start: Start) -> Iterable[bytes]:
        assert done.wait(PATIENCE_S)
        start("200 OK", [])
        return [b""]

    with dialled(app) as connection:
        connection.sendall(
            b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
        )
        connection.settimeout(0.5)
        sent = sum(_sent_until_it_waits(connection, most=200 * MEGABYTE))
        assert sent < 50 * MEGABYTE
        done.set()


def _sent_until_it_waits(connection: socket.socket, most: int) -> Iterator[int]:
    for _ in range(most // MEGABYTE):
        try:
            yield connection.send(b"x" * MEGABYTE)
        except TimeoutError:
            return


def test_a_body_that_breaks_off_is_never_taken_for_a_whole_one() -> None:
    ended: list[BaseException | bytes] = []
    over = threading.Event()

    def app(environ: Environ, start: Start) -> Iterable[bytes]:
        try:
            ended.append(environ["wsgi.input"].read())
        except OSError as error:
            ended.append(error)
            raise
        finally:
            over.set()
        start("200 OK", [])
        return []

    with dialled(app) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        connection.close()
        assert over.wait(PATIENCE_S)
    assert isinstance(ended[0], ConnectionError)


def test_a_client_that_waits_is_told_that_its_body_broke_off() -> None:
    def app(environ: Environ, start: Start) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        start("200 OK", [])
        return []

    with dialled(app) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_failing_application_is_an_error_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    def app(_environ: Environ, _start: Start) -> Iterable[bytes]:
        raise ValueError("mine")

    with asked(app) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 500
    assert "mine" in caplog.text


@pytest.mark.parametrize("length", [None, "100000000"])
def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(
    length: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    def app(_environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", length)] if length else [])
        yield b"x" * MEGABYTE
        raise ValueError("mine")

    with asked(app) as connection:
        connection.request("GET", "/")
        answer = connection.getresponse()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
    assert "mine" in caplog.text


def test_fewer_bytes_than_announced_are_an_answer_broken_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def app(_environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", str(MEGABYTE))])
        return [b"x"]

    with asked(app) as connection:
        connection.request("GET", "/")
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            connection.getresponse().read()
    assert "announced" in caplog.text


def test_head_keeps_the_length_of_what_get_would_send() -> None:
    def app(_environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "2000000000"), ("ETag", '"x"')])
        return []

    with asked(app) as connection:
        for _ in range(2):  # and the connection goes on
            connection.request("HEAD", "/")
            answer = connection.getresponse()
            assert answer.read() == b""
            assert answer.headers["Content-Length"] == "2000000000"


def test_who_waits_to_be_asked_for_the_body_is_asked() -> None:
    with dialled(upload) as connection:
        connection.sendall(
            b"PUT / HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        reader = connection.makefile("rb")
        assert reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        reader.readline()
        connection.sendall(b"body")
        assert reader.readline() == b"HTTP/1.1 201 Made\r\n"


def test_who_is_not_asked_for_the_body_has_the_answer_at_once() -> None:
    def app(_environ: Environ, start: Start) -> Iterable[bytes]:
        start("403 No", [("Content-Length", "0")])
        return []

    with dialled(app) as connection:
        connection.sendall(
            b"PUT / HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        head = b"".join(iter(connection.makefile("rb").readline, b"\r\n"))
    assert head.startswith(b"HTTP/1.1 403 No\r\n")
    assert b"Connection: close\r\n" in head  # what comes next would be taken for a request


def test_a_compressed_body_stays_compressed() -> None:
    def app(environ: Environ, start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        return [environ["wsgi.input"].read()]

    with asked(app) as connection:
        connection.request("PUT", "/", body=b"no gzip", headers={"Content-Encoding": "gzip"})
        assert connection.getresponse().read() == b"no gzip"


def test_requests_are_answered_beside_each_other() -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)

    def app(_environ: Environ, start: Start) -> Iterable[bytes]:
        both.wait()
        start("200 OK", [])
        return [b"met"]

    with served(app) as (host, port):
        connections = [http.client.HTTPConnection(host, port, timeout=PATIENCE_S) for _ in "12"]
        for connection in connections:
            connection.request("GET", "/")
        assert [each.getresponse().read() for each in connections] == [b"met", b"met"]
        for connection in connections:
            connection.close()


def test_a_page_cannot_reach_the_server_by_a_name_of_its_own() -> None:
    with asked(echo) as connection:
        connection.request("GET", "/", headers={"Host": "evil.example:80"})
        assert connection.getresponse().status == 403


def test_stopping_the_server_ends_a_request_that_waits_for_its_client() -> None:
    reading, over = threading.Event(), threading.Event()

    def app(environ: Environ, start: Start) -> Iterable[bytes]:
        reading.set()
        try:
            environ["wsgi.input"].read()
        finally:
            over.set()
        start("200 OK", [])
        return []

    with dialled(app) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
        assert reading.wait(PATIENCE_S)
    assert over.is_set()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Host": "bucket.localhost"}, 200),
        ({"Origin": "https://example.com"}, 403),
        ({"Host": "example.com"}, 403),
    ],
)
def test_a_page_of_another_machine_is_not_served(headers: dict[str, str], status: int) -> None:
    def app(_environ: Environ, start: Start) -> list[bytes]:
        start("200 OK", [])
        return []

    with asked(app) as connection:
        connection.request("POST", "/bucket?delete", headers=headers)
        assert connection.getresponse().status == status
