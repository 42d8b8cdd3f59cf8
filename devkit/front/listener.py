"""The front's HTTP server: who may ask, what for, and the bytes of the answer.

aiohttp's low-level server does the HTTP. What it would answer by itself (a request that is not
HTTP, an error of ours) is put into AWS's form here.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from devkit import contract, guard
from devkit.engines.base import Address
from devkit.front import errors
from devkit.front.errors import Refused
from devkit.front.exchange import invocation_of, respond
from devkit.front.forwarder import Forwarder
from devkit.front.messages import Answer, Invocation
from devkit.front.protocol import Clients

_ENDPOINT_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|invocations-response-stream)")
_PATH_CHARS = 200

OnEvent = Callable[[str], None]
_Operation = Callable[[Invocation], Awaitable[Answer]]


class Listener(Clients):
    """Answers requests with what a forwarder says; belongs to one event loop."""

    def __init__(self, forwarder: Forwarder, on_event: OnEvent) -> None:
        super().__init__(self._handle)
        self._forwarder = forwarder
        self._on_event = on_event
        self._unanswered: Counter[Address | None] = Counter()

    def in_flight(self, backend: Address) -> int:
        """How many requests a container has not answered yet; from any thread."""
        return self._unanswered[backend]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        backend = self._forwarder.backend
        self._unanswered[backend] += 1
        try:
            return await self._timed(request)
        finally:
            self._unanswered[backend] -= 1

    async def _timed(self, request: web.BaseRequest) -> web.StreamResponse:
        begun = time.perf_counter()
        answer = await self._answer(request)
        try:
            return await respond(request, answer)
        finally:
            path = request.raw_path[:_PATH_CHARS]
            took_ms = (time.perf_counter() - begun) * 1000
            with suppress(Exception):  # whether anybody can be told decides no request
                self._on_event(f"{request.method} {path} {answer.status} {took_ms:.1f} ms")

    async def _answer(self, request: web.BaseRequest) -> Answer:
        try:
            _require_local(request)
            if request.method == "GET" and request.path == contract.PING_PATH:
                return await self._forwarder.ping()
            operation = self._operation(request)
            invocation = invocation_of(request)
        except Refused as refused:
            return refused.answer(errors.new_request_id())
        return await operation(invocation)

    def _operation(self, request: web.BaseRequest) -> _Operation:
        if request.method == "POST":
            if request.path == contract.INVOCATIONS_PATH:
                return self._forwarder.invoke
            match = _ENDPOINT_PATH.fullmatch(request.path)
            if match is not None:
                name, action = match.groups()
                endpoint = self._forwarder.endpoint
                if name != endpoint.name:
                    raise errors.unknown_endpoint(name, endpoint.account)
                if action == "invocations":
                    return self._forwarder.invoke
                return self._forwarder.invoke_with_response_stream
        raise errors.unknown_operation(request.method, request.path[:_PATH_CHARS])


def _require_local(request: web.BaseRequest) -> None:
    refusal = guard.refusal_of(request.headers)
    if refusal is not None:
        raise errors.forbidden(refusal)
