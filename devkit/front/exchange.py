"""An invocation as aiohttp's server has it: what is asked, and the bytes of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import web

from devkit.front.errors import Refused
from devkit.front.messages import Answer, AnswerCut, Invocation
from devkit.front.protocol import body_of


def invocation_of(request: web.BaseRequest) -> Invocation:
    """The invocation that a request is.

    Raises:
        Refused: It expects what nobody gives.
    """
    _require_known_expectation(request)
    return Invocation(
        headers=request.headers,
        body=_body(request),
        content_length=request.content_length if request.body_exists else 0,
    )


def _expectation(request: web.BaseRequest) -> str:
    return request.headers.get("Expect", "").lower()


def _require_known_expectation(request: web.BaseRequest) -> None:
    """Make sure that a client waits for nothing but to be told to go on.

    Raises:
        Refused: It does.
    """
    if _expectation(request) not in ("", "100-continue"):
        raise Refused(
            HTTPStatus.EXPECTATION_FAILED, "ValidationError", "Only 100-continue can be expected."
        )


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    if _expectation(request) and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    async for chunk in body_of(request):
        yield chunk


async def respond(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """The response to a request, sent or to be sent.

    Raises:
        ConnectionAbortedError: The answer broke off.
    """
    headers = {"Server": "devkit", **answer.headers}
    response: web.StreamResponse
    if isinstance(answer.body, bytes):
        response = web.Response(status=answer.status, headers=headers, body=answer.body)
        if _expectation(request) and not request.content.is_eof():
            response.force_close()  # whether the body will still come, nobody can know
        return response
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = answer.content_length
    try:
        await response.prepare(request)
        async for chunk in answer.body:
            await response.write(chunk)
        await response.write_eof()
    except AnswerCut as cut:
        if request.transport is not None and request.version < (1, 1):
            request.transport.abort()  # else the end of the connection is the end of the body
        raise ConnectionAbortedError from cut
    finally:
        await answer.body.aclose()
    return response
