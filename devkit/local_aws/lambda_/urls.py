"""Function URLs: a function behind an address of its own, in payload format 2.0.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html

The format, and how what the function returns becomes an answer, are an HTTP API's; the errors and
limits are not. What AWS answers where it documents nothing is marked UNVERIFIED.
"""

from __future__ import annotations

import json
import logging
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from devkit.front.errors import Refused
from devkit.front.messages import ClientBroken
from devkit.lambda_contract import MAX_PAYLOAD_BYTES
from devkit.local_aws.errors import AwsError
from devkit.local_aws.functions import Functions
from devkit.local_aws.gateway import cors, incoming
from devkit.local_aws.gateway.events import Event, http_place, payload_2
from devkit.local_aws.gateway.http_routing import DEFAULT
from devkit.local_aws.gateway.messages import (
    JSON,
    Answer,
    DevkitRefusal,
    Headers,
    Request,
    json_answer,
)
from devkit.local_aws.gateway.results import Malformed, answer_2
from devkit.local_aws.gateway.traces import HEADER
from devkit.local_aws.lambda_.url_configs import PATH
from devkit.local_aws.lambda_.url_definitions import FunctionUrl, UrlDefinitions
from devkit.local_aws.services import Answering, Objects, OnSpan

if TYPE_CHECKING:
    from aiohttp import web

_IN_HOST = ".lambda-url."
_HOST = re.compile(
    r"(?P<id>[a-z0-9]+)\.lambda-url(\.[a-z]{2}(-[a-z]+)+-\d)?"
    r"\.(localhost\.localstack\.cloud|localhost)(:\d*)?",
    re.ASCII | re.IGNORECASE,
)
_PATH = re.compile(rf"{PATH}(?P<id>[A-Za-z0-9]+)(?P<rest>/.*)?", re.DOTALL)
_ANYBODY = "anonymous"
_SPAN = "function url"

_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())


class FunctionUrls:
    """Answers requests to function URLs; a :class:`~devkit.local_aws.services.Direct`.

    Args:
        functions: Lambda.
        on_span: Is told how long a request took.
    """

    answers_pages = True

    def __init__(self, functions: Functions, on_span: OnSpan) -> None:
        self._functions = functions
        self._on_span = on_span
        self._definitions: UrlDefinitions | None = None

    def start(self, objects: Objects) -> None:
        """Answer from now on."""
        self._definitions = UrlDefinitions(objects)

    def takes(self, request: web.BaseRequest) -> Answering | None:
        """What answers a request, where that is to a function URL."""
        host = request.headers.get("Host", "")
        if not request.raw_path.startswith(PATH) and _IN_HOST not in host.lower():
            return None
        at = address_of(host, incoming.path_of(request))
        if at is None:
            return None
        url_id, path, name = at

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            head = incoming.head_of(request, path=path, domain_name=name)
            return await self._respond(url_id, head, request)

        return answer

    async def _respond(
        self, url_id: str, head: Request, asked: web.BaseRequest
    ) -> web.StreamResponse:
        begun = time.perf_counter()
        broken = False
        try:
            answer = await self._answer(url_id, head, asked)
        except DevkitRefusal as refusal:
            answer = refusal.answer()
        except Refused as refused:
            answer, broken = json_answer(refused.status, {"Message": refused.message}), True
        except ClientBroken as error:
            answer, broken = json_answer(HTTPStatus.BAD_REQUEST, {"Message": str(error)}), True
        except Exception:
            _LOGGER.exception("a function URL failed")
            answer = _failed()
        told = answer.headers.replacing(
            ("x-amzn-RequestId", head.request_id), (HEADER, f"root={head.trace.root}")
        )
        response = incoming.response_of(answer.with_headers(told), asked, broken=broken)
        self._on_span(head.trace.root, _SPAN, time.perf_counter() - begun)
        return response

    async def _answer(self, url_id: str, head: Request, asked: web.BaseRequest) -> Answer:
        assert self._definitions is not None, "start() comes first"  # noqa: S101
        url = await self._definitions.find(url_id)
        if url is None:  # UNVERIFIED
            return json_answer(HTTPStatus.NOT_FOUND, {"Message": "Not Found"})
        _require_page_may_ask(url, head)
        if url.cors is not None and cors.is_preflight(head):
            answer = cors.preflight(url.cors, head)
            return Answer(status=HTTPStatus.OK, headers=answer.headers, body=b"")
        domain = head.domain_name or f"{url.id}.lambda-url.{url.region}.on.aws"
        request = await incoming.with_body(
            head, asked, limit_bytes=MAX_PAYLOAD_BYTES, domain_name=domain
        )
        answer = _too_large() if request is None else await self._invoked(url, request)
        return cors.with_cors(url.cors, head, answer)

    async def _invoked(self, url: FunctionUrl, request: Request) -> Answer:
        try:
            answered = await self._functions.invoke(
                url.function,
                json.dumps(event_of(url, request)).encode(),
                region=url.region,
                trace_id=request.trace.header,
            )
        except AwsError as error:
            return _of_lambda(error)
        if answered.error is not None:
            return _failed()
        try:
            return answer_2(answered.payload)
        except Malformed:
            return _failed()


def event_of(url: FunctionUrl, request: Request) -> Event:
    """A request as the function gets it."""
    event = payload_2(request, http_place(url.id, DEFAULT, request.path, DEFAULT))
    if not url.needs_signature:
        event["requestContext"]["accountId"] = _ANYBODY
    return event


def address_of(host: str, path: str) -> tuple[str, str, str] | None:
    """Which URL a request is to; ``None`` where it is to none.

    Args:
        host: Its ``Host`` header.
        path: Its path, still encoded, without the query.

    Returns:
        The URL's identifier, the path below it, and the name that it was asked by, or nothing.
    """
    named = _HOST.fullmatch(host)
    if named is not None:
        return named["id"].lower(), path or "/", host.partition(":")[0]
    match = _PATH.fullmatch(path)
    return None if match is None else (match["id"].lower(), match["rest"] or "/", "")


def _require_page_may_ask(url: FunctionUrl, head: Request) -> None:
    """Make sure that a page of another machine asks only what is there for pages.

    Raises:
        DevkitRefusal: It asks for something else.
    """
    origins = incoming.foreign_pages(head)
    if origins:
        remedy = "add the origin to Cors of its configuration"
        incoming.require_allowed(url.cors, origins, "function URL", remedy)


def _of_lambda(error: AwsError) -> Answer:
    """What a function URL makes of Lambda's errors.

    Raises:
        DevkitRefusal: Of devkit's own: AWS would have run the function.
    """
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return json_answer(error.status, {**error.members, "message": error.message})
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return _too_large()
    raise DevkitRefusal(error.message, error.status)


def _too_large() -> Answer:
    """The request is larger than 6 MB (text UNVERIFIED)."""
    message = f"Request must be smaller than {MAX_PAYLOAD_BYTES} bytes"
    return json_answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"Message": message})


def _failed() -> Answer:
    """The function failed, or returned what is no answer."""
    headers = Headers([("Content-Type", JSON)])
    return Answer(status=HTTPStatus.BAD_GATEWAY, headers=headers, body=b"Internal Server Error")
