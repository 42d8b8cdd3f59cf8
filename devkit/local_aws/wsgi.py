"""A WSGI application called for one request whose body is there."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from devkit.local_aws.errors import WireAnswer
from devkit.local_aws.routing import Head

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_CONNECTION_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


def _environ(head: Head, body: bytes) -> Environ:
    """What WSGI calls a request (PEP 3333)."""
    host, _, port = head.headers.get("host", "127.0.0.1").partition(":")
    environ: Environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(head.path).decode("latin-1"),
        "QUERY_STRING": head.query,
        "RAW_URI": f"{head.path}?{head.query}" if head.query else head.path,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in head.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return environ


class _Response:
    """What an application says of its answer before the body."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        """WSGI's ``start_response``."""
        del exc_info
        self.status = int(status.partition(" ")[0])
        self.headers = headers
        return _no_write


def call(application: Application, head: Head, body: bytes) -> WireAnswer:
    """The application's whole answer.

    Raises:
        Exception: What the application raises.
    """
    response = _Response()
    chunks = application(_environ(head, body), response.start)
    try:
        content = b"".join(chunks)
    finally:
        _close(chunks)
    return WireAnswer(status=response.status, headers=_end_to_end(response.headers), body=content)


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Without the headers that belong to a connection."""
    return {name: v for name, v in headers if name.lower() not in _CONNECTION_HEADERS}


def _close(chunks: object) -> None:
    """What WSGI asks of whoever has read an answer."""
    with suppress(AttributeError):
        chunks.close()  # type: ignore[attr-defined] # most have none


def _no_write(_data: bytes) -> object:
    raise NotImplementedError("write() of WSGI's start_response")
