"""SageMaker's runtime API: what reaches an endpoint's containers (contract, sections 2.4 to 2.7).

InvokeEndpoint has to be fast, so requests come here as they are (:class:`~devkit.local_aws.services
.Direct`): who answers is told by the path, and nothing of the request is looked up in an API's
description. What else comes (a path that is written in another way) takes the way of every service.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from devkit.contract import LOCAL_REGION
from devkit.front import errors
from devkit.front.errors import Refused
from devkit.front.exchange import invocation_of, respond
from devkit.front.forwarder import Forwarder
from devkit.front.messages import Answer, Invocation
from devkit.local_aws.sagemaker.hosted import Directory, Hosted, Variant
from devkit.local_aws.services import (
    Answering,
    Call,
    Handler,
    OnSpan,
    Result,
    StatelessService,
    no_span,
)
from devkit.local_aws.traces import TRACE_HEADER, root_of

if TYPE_CHECKING:
    from aiohttp import web

_PATH = re.compile(r"/endpoints/([a-zA-Z0-9-]+)/(invocations|invocations-response-stream)")
_SCOPE = re.compile(r"Credential=[^,\s]+/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_SIGNING_NAME = "sagemaker"
_TARGET_VARIANT = "x-amzn-sagemaker-target-variant"

Invoke = Callable[[Forwarder, Invocation], Awaitable[Answer]]

_INVOKE: Mapping[str, Invoke] = {
    "invocations": Forwarder.invoke,
    "invocations-response-stream": Forwarder.invoke_with_response_stream,
}


class Meter(Protocol):
    """Counts invocations."""

    def count(self, variant: Variant, answer: Answer, *, model_s: float, total_s: float) -> None:
        """One invocation is over; called in the event loop, and must cost nothing."""


class Runtime(StatelessService):
    """A :class:`~devkit.local_aws.services.Service`, and a ``Direct`` besides.

    Args:
        directory: The endpoints that take requests.
        meter: Counts them.
        invoke_async: Answers InvokeEndpointAsync.
        on_span: Told of each invocation that is part of a trace.
    """

    name = "sagemaker-runtime"
    answers_pages = False

    def __init__(
        self,
        directory: Directory,
        meter: Meter,
        invoke_async: Handler,
        on_span: OnSpan = no_span,
    ) -> None:
        self._directory = directory
        self._on_span = on_span
        self._meter = meter
        self.operations: Mapping[str, Handler] = {
            "InvokeEndpoint": self._invoke,
            "InvokeEndpointAsync": invoke_async,
            "InvokeEndpointWithResponseStream": self._invoke_with_response_stream,
        }

    # --- as they are --------------------------------------------------------------------------

    def takes(self, request: web.BaseRequest) -> Answering | None:
        """What answers a request, where that is an invocation."""
        path = request.raw_path
        if not path.startswith("/endpoints/") or request.method != "POST":
            return None
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        region = LOCAL_REGION
        signature = request.headers.get("Authorization")
        if signature is not None:
            scope = _SCOPE.search(signature)
            if scope is None or scope[2] != _SIGNING_NAME:  # a bucket may be called "endpoints"
                return None
            region = scope[1]
        name, action = match.groups()

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            return await self._answer(request, region, name, action)

        return answer

    async def _answer(
        self, request: web.BaseRequest, region: str, name: str, action: str
    ) -> web.StreamResponse:
        begun = time.perf_counter()
        try:
            hosted = _takes_requests(self._directory.get(region, name))
            variant = hosted.variant(request.headers.get(_TARGET_VARIANT))
            invocation = invocation_of(request)
        except Refused as refused:
            return await respond(request, refused.answer(errors.new_request_id()))
        with variant.answering() as forwarder:
            asked = time.perf_counter()
            answer = await _INVOKE[action](forwarder, invocation)
            answered = time.perf_counter()
            response = await respond(request, answer)
        model_s, total_s = answered - asked, time.perf_counter() - begun
        self._meter.count(variant, answer, model_s=model_s, total_s=total_s)
        trace_id = request.headers.get(TRACE_HEADER)
        if trace_id is not None:
            root = root_of(trace_id)
            self._on_span(root, "container", model_s)
            self._on_span(root, f"endpoint {name}", total_s)
        return response

    # --- as calls -----------------------------------------------------------------------------

    async def _invoke(self, call: Call) -> Result:
        return await self._called(call, Forwarder.invoke)

    async def _invoke_with_response_stream(self, call: Call) -> Result:
        return await self._called(call, Forwarder.invoke_with_response_stream)

    async def _called(self, call: Call, invoke: Invoke) -> Result:
        try:
            endpoint = call.parameters["EndpointName"]
            hosted = _takes_requests(self._directory.get(call.region, endpoint))
            variant = hosted.variant(call.parameters.get("TargetVariant"))
        except Refused as refused:
            return _result(refused.answer(call.request_id))
        length = call.headers.get("content-length")
        invocation = Invocation(
            headers=call.headers,
            body=call.body,
            content_length=None if length is None else int(length),
        )
        with variant.answering() as forwarder:
            return _result(await invoke(forwarder, invocation))


def _takes_requests(hosted: Hosted) -> Hosted:
    """The endpoint, where it takes invocations that are answered at once (text undocumented)."""
    if hosted.asynchronous is not None:
        raise errors.validation_error(
            f"Endpoint {hosted.endpoint.name} has an AsyncInferenceConfig: it takes "
            "InvokeEndpointAsync only."
        )
    return hosted


def _result(answer: Answer) -> Result:
    """An answer that is written in the runtime's own forms already."""
    body, length = answer.body, answer.content_length
    if isinstance(body, bytes):
        stream, length = _once(body), len(body)
    else:
        stream = body
    headers = dict(answer.headers)
    if length is not None:
        headers["Content-Length"] = str(length)
    return Result(status=answer.status, headers=headers, stream=stream)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
