"""The requests that an endpoint is asked in every place, and its answers as facts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from devkit.errors import InvocationFailed
from devkit.runtime_client import Reply

_MB = 1 << 20
_SHOWN_CHARS = 300
_RECEIVED = re.compile(
    r'Received (?:client|server) error \((\d+)\) from \S+ with message "(.*)"(?:\. See .*)?$',
    re.DOTALL,
)
_REFUSED = re.compile(r"^InvokeEndpoint failed: (\w+): (.*)$", re.DOTALL)


class Answers(Protocol):
    """What answers requests."""

    def reply(
        self, data: bytes, *, content_type: str | None = None, accept: str | None = None
    ) -> Reply:
        """Ask for a prediction.

        Raises:
            InvocationFailed: The answer is an error.
        """


@dataclass(frozen=True)
class Request:
    """A request."""

    name: str
    body: bytes = field(repr=False)
    content_type: str
    accept: str | None = None


def requests(body: bytes, content_type: str) -> Sequence[Request]:
    """The project's own request, and those that are likely to be answered in different ways.

    The large ones are the same with line feeds after it, which JSON and CSV do not mind.
    """
    return (
        Request("the project's", body, content_type),
        Request("no body", b"", content_type),
        Request("unknown content type", body, "application/x-devkit-parity"),
        Request("unknown accept", body, content_type, "application/x-devkit-parity"),
        Request("7 MB", body.ljust(7 * _MB, b"\n"), content_type),
        Request("26 MB", body.ljust(26 * _MB, b"\n"), content_type),
    )


def answers(server: Answers, asked: Sequence[Request]) -> dict[str, str]:
    """What a server answers."""
    return {
        f"{request.name}: {what}": value
        for request in asked
        for what, value in _answer(server, request)
    }


def _answer(server: Answers, request: Request) -> Iterator[tuple[str, str]]:
    try:
        reply = server.reply(request.body, content_type=request.content_type, accept=request.accept)
    except InvocationFailed as error:
        yield from _error(error.message)
        return
    yield "status", str(reply.status)
    yield "content type", reply.content_type
    yield "body", _shown(reply.body)


def _error(message: str) -> Iterator[tuple[str, str]]:
    """The container's status and words where they are its own; else those of what refused it."""
    for pattern in (_RECEIVED, _REFUSED):
        found = pattern.search(message)
        if found is not None:
            yield "status", found[1]
            yield "error", _message(found[2])
            return
    yield "status", "none"
    yield "error", message


def _message(text: str) -> str:
    """What SageMaker's front says comes as JSON, and without it by AWS's clients."""
    try:
        document = json.loads(text)
    except ValueError:
        return text.strip()
    alone = isinstance(document, dict) and document.keys() == {"Message"}
    return str(document["Message"]) if alone else text.strip()


def _shown(body: bytes) -> str:
    if len(body) > _SHOWN_CHARS:
        return f"{len(body)} bytes, SHA-256 {hashlib.sha256(body).hexdigest()[:16]}…"
    return body.decode("utf-8", errors="backslashreplace").strip()
