"""Requests to a project's chain in the local AWS, and where their time went."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from devkit.errors import InvocationFailed

# More than the longest of what is on the way: a function's 15 minutes.
_TIMEOUT_S = 930.0
_TRACES = "/_devkit/traces/"
_AS_IT_IS = "/?:@!$&'()*+,;=%~"
"""What means something in a path and its query; the rest is encoded."""


@dataclass(frozen=True)
class Hop:
    """A part of the way, with all that is further on."""

    name: str
    seconds: float


@dataclass(frozen=True)
class ChainAnswer:
    """What came of a request."""

    body: bytes
    content_type: str
    hops: tuple[Hop, ...]
    """From this client inwards."""


def invoke_function(url: str, name: str, body: bytes) -> ChainAnswer:
    """Invoke a function, as ``aws lambda invoke`` does.

    Args:
        url: The local AWS's.
        name: The function's, or its ARN.
        body: The event, as JSON.

    Raises:
        InvocationFailed: The function failed, with the last lines of its log; or it could not be
            invoked.
    """
    request = _Request(url, "POST", f"/2015-03-31/functions/{quote(name, safe='')}/invocations")
    answer = request.send(body, {"X-Amz-Log-Type": "Tail"})
    document = _json(answer.body)
    if answer.status != http.HTTPStatus.OK:
        message = document.get("message") or document.get("Message") or answer.text
        raise InvocationFailed(
            f"{answer.headers.get('x-amzn-errortype')}: {message}",
            status=answer.status,
            body=answer.text,
        )
    if "x-amz-function-error" in answer.headers:
        log = base64.b64decode(answer.headers.get("x-amz-log-result", ""))
        raise InvocationFailed(
            f"lambda {name} failed: {document.get('errorType')}: {document.get('errorMessage')}",
            body=answer.text,
            log_tail=log.decode(errors="replace").splitlines(),
        )
    return ChainAnswer(answer.body, "application/json", request.hops())


def invoke_gateway(
    url: str, gateway: str, method: str, path: str, body: bytes, content_type: str
) -> ChainAnswer:
    """Send a request to an API.

    Args:
        url: The local AWS's.
        gateway: The URL of the API.
        method: GET, POST …
        path: Below that URL.
        body: The request's.
        content_type: What the body is.

    Raises:
        InvocationFailed: The answer is not 2xx.
    """
    base = urlsplit(gateway).path
    below = quote(path.lstrip("/"), safe=_AS_IT_IS)
    request = _Request(url, method, f"{base.rstrip('/')}/{below}")
    answer = request.send(body, {"Content-Type": content_type})
    if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own classes
        raise InvocationFailed(
            f"the gateway answers {answer.status}: {answer.text}",
            status=answer.status,
            body=answer.text,
        )
    kind = answer.headers.get("content-type", "application/octet-stream")
    return ChainAnswer(answer.body, kind, request.hops())


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class _Request:
    """A request that begins a trace."""

    def __init__(self, url: str, method: str, path: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), parts.port or 80
        self._url = url
        self._method, self._path = method, path
        self._root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        self._took_s = 0.0

    def send(self, body: bytes, headers: Mapping[str, str]) -> _Answer:
        """Send it.

        Raises:
            InvocationFailed: Nobody answers.
        """
        begun = time.perf_counter()
        trace = {"X-Amzn-Trace-Id": f"Root={self._root};Sampled=0"}
        answer = self._asked(self._method, self._path, body, {**headers, **trace})
        self._took_s = time.perf_counter() - begun
        return answer

    def hops(self) -> tuple[Hop, ...]:
        """Where its time went."""
        told = _json(self._asked("GET", f"{_TRACES}{self._root}", b"", {}).body)
        inner = [Hop(each["hop"], each["seconds"]) for each in told.get("hops", ())]
        return (Hop("total", self._took_s), *reversed(inner))

    def _asked(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return _Answer(response.status, names, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise InvocationFailed(
                f"the local AWS at {self._url} does not answer: {error or type(error).__name__}",
                remedy="devkit status tells whether it is up",
            ) from None
        finally:
            connection.close()


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
