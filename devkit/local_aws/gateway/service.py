"""API Gateway in the local AWS: a live service for its own operations, and the calls themselves."""

from __future__ import annotations

import base64
import logging
import secrets
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING

from devkit import guard
from devkit.front.errors import Refused
from devkit.front.exchange import invocation_of
from devkit.front.messages import ClientBroken, Invocation
from devkit.local_aws.functions import Functions
from devkit.local_aws.gateway import control, cors, http_apis, rest_apis, rest_errors
from devkit.local_aws.gateway.addresses import Address, address_of, may_be_address
from devkit.local_aws.gateway.authorizing import Authorizers
from devkit.local_aws.gateway.definitions import Definitions
from devkit.local_aws.gateway.http_apis import HttpApis, OnSpan, Told
from devkit.local_aws.gateway.invoking import Invoker
from devkit.local_aws.gateway.messages import (
    Answer,
    DevkitRefusal,
    Headers,
    Request,
    can_be_sent,
    json_answer,
)
from devkit.local_aws.gateway.outbound import HOP_BY_HOP, LIMIT_BYTES, Outbound
from devkit.local_aws.gateway.rest_apis import RestApis
from devkit.local_aws.gateway.traces import HEADER, trace_of
from devkit.local_aws.gateway.values import Api, HttpApi, RestApi, WebSocketApi
from devkit.local_aws.services import Answering, Handler, Surroundings

if TYPE_CHECKING:
    from aiohttp import web

_HEADER_BYTES = 10_240
_EXTENDED_ID_BYTES = 11
_TRACE_BITS = 96

_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())


def _untold(_root: str, _hop: str, _seconds: float) -> None:
    """Nobody wants to know."""


def gateway(functions: Functions, *, on_span: OnSpan = _untold) -> Gateway:
    """API Gateway, to be installed both as a live service and as a ``Direct``.

    Args:
        functions: Lambda.
        on_span: Is told of each hop of each request: the trace's root, ``gateway`` or
            ``authorizer``, and seconds. Called in the event loop.
    """
    return Gateway(functions, on_span)


class Gateway:
    """A :class:`~devkit.local_aws.services.Service`, and a ``Direct`` besides.

    Args:
        functions: Lambda.
        on_span: Is told of each hop.
    """

    name = "apigatewayv2"
    answers_pages = True

    def __init__(self, functions: Functions, on_span: OnSpan) -> None:
        self._on_span = on_span
        self._invoker = Invoker(functions)
        self._outbound = Outbound()
        self._authorizers = Authorizers(self._invoker)
        self._http = HttpApis(self._invoker, self._outbound, self._authorizers, on_span)
        self._rest = RestApis(self._invoker, self._outbound, self._authorizers, on_span)
        self._control = control.Operations()
        self._definitions: Definitions | None = None

    # --- as a service -------------------------------------------------------------------------

    @property
    def operations(self) -> Mapping[str, Handler]:
        """Those that tell where an API is, and those that make a whole one at once."""
        return self._control.handlers

    async def start(self, surroundings: Surroundings) -> None:
        """Begin."""
        self._control.start(surroundings)
        self._definitions = Definitions(surroundings.objects)

    async def reset(self) -> None:
        """Forget what authorizers said."""
        self._authorizers.forget()

    async def stop(self) -> None:
        """End what still runs."""
        await self._invoker.stop()
        await self._outbound.close()

    # --- calls to APIs ------------------------------------------------------------------------

    def takes(self, request: web.BaseRequest) -> Answering | None:
        """What answers a request, where that is a call to an API."""
        host, path = request.headers.get("Host", ""), request.raw_path
        if not may_be_address(host, path):
            return None
        path = path.partition("?")[0]
        if not path.startswith("/"):  # a whole URL, as a proxy is sent
            path = "/" + path.partition("://")[2].partition("/")[2]
        address = address_of(host, path)
        if address is None:
            return None

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            return await self._respond(address, request)

        return answer

    async def _respond(self, address: Address, asked: web.BaseRequest) -> web.StreamResponse:
        begun = time.perf_counter()
        head = _head(address, asked)
        broken = False
        try:
            answer = await self._answer(address, head, asked)
        except Told as told:
            answer = http_apis.with_identifier(told.answer, head)
        except DevkitRefusal as refusal:
            answer = refusal.answer()
        except Refused as refused:
            answer, broken = json_answer(refused.status, {"message": refused.message}), True
        except ClientBroken as error:
            answer, broken = json_answer(HTTPStatus.BAD_REQUEST, {"message": str(error)}), True
        except Exception:
            _LOGGER.exception("the gateway failed")
            answer = json_answer(
                HTTPStatus.INTERNAL_SERVER_ERROR, {"message": "Internal Server Error"}
            )
        response = _response(answer)
        if broken or (asked.headers.get("Expect") and not asked.content.is_eof()):
            response.force_close()  # whether the body will still come, nobody can know
        self._on_span(head.trace.root, "gateway", time.perf_counter() - begun)
        return response

    async def _answer(self, address: Address, head: Request, asked: web.BaseRequest) -> Answer:
        assert self._definitions is not None, "start() comes first"  # noqa: S101
        api = await self._definitions.get(address.api_id)
        if api is None:
            raise http_apis.not_found()
        if isinstance(api, WebSocketApi):
            raise DevkitRefusal(
                f"{api.id} is a WebSocket API: calls to these are not implemented by devkit.",
                HTTPStatus.BAD_REQUEST,
            )
        _require_page_may_ask(api, head)
        if isinstance(api, HttpApi):
            return await self._http.answer(api, await _complete(address, api, head, asked))
        try:
            request = await _complete(address, api, head, asked)
        except rest_errors.Failed as failed:
            return rest_errors.rendered(failed, api, head)
        return await self._rest.answer(api, request)


def _head(address: Address, asked: web.BaseRequest) -> Request:
    """A request without its body, which may be too large, and without the API's region."""
    headers = Headers(asked.headers.items())
    client = asked.transport.get_extra_info("peername") if asked.transport is not None else None
    now = datetime.now(timezone.utc)
    return Request(
        method=asked.method,
        path=address.path,
        query=asked.raw_path.partition("?")[2].partition("#")[0],
        headers=headers,
        body=b"",
        source_ip=str(client[0]) if client else "127.0.0.1",
        domain_name=address.host or "",
        received=now,
        request_id=str(uuid.uuid4()),
        extended_request_id=_extended_id(),
        trace=trace_of(
            headers.get(HEADER), now_s=now.timestamp(), number=secrets.randbits(_TRACE_BITS)
        ),
        protocol=f"HTTP/{asked.version.major}.{asked.version.minor}",
    )


def _extended_id() -> str:
    """Such as ``JKJaXmPLvHcESHA=``."""
    return base64.urlsafe_b64encode(secrets.token_bytes(_EXTENDED_ID_BYTES)).decode()


async def _complete(
    address: Address, api: HttpApi | RestApi, head: Request, asked: web.BaseRequest
) -> Request:
    """The request as the API gets it: with its body, and with what proxies add to the headers."""
    if _head_bytes(head) > _HEADER_BYTES:
        raise _headers_too_large(api)
    invocation = invocation_of(asked)
    body = await _body(invocation)
    if body is None:
        raise _body_too_large(api)
    host = asked.headers.get("Host", "")
    forwarded = [*head.headers.all("X-Forwarded-For"), head.source_ip]
    headers = head.headers.without(*HOP_BY_HOP).replacing(
        ("X-Forwarded-For", ", ".join(forwarded)),
        ("X-Forwarded-Port", host.rpartition(":")[2] if ":" in host else "80"),
        ("X-Forwarded-Proto", "http"),
        (HEADER, head.trace.header),
    )
    domain = address.host or f"{api.id}.execute-api.{api.region}.amazonaws.com"
    return replace(head, headers=headers, body=body, domain_name=domain)


def _head_bytes(head: Request) -> int:
    return sum(len(name) + len(value) for name, value in head.headers.pairs) + len(head.path)


async def _body(invocation: Invocation) -> bytes | None:
    """The body, and never more than the limit; ``None`` where it is larger."""
    if invocation.content_length is not None and invocation.content_length > LIMIT_BYTES:
        return None
    content = bytearray()
    async for chunk in invocation.body:
        content += chunk
        if len(content) > LIMIT_BYTES:
            return None
    return bytes(content)


def _body_too_large(api: Api) -> Exception:
    if isinstance(api, HttpApi):
        return http_apis.too_large()
    return rest_errors.too_large()


def _headers_too_large(api: Api) -> Exception:
    """The status is what people saw; the text for HTTP APIs is UNVERIFIED."""
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    if isinstance(api, HttpApi):
        return Told(status, "Request Header Fields Too Large")
    return rest_errors.headers_too_large()


def _require_page_may_ask(api: HttpApi | RestApi, head: Request) -> None:
    """Make sure that a page of another machine asks only what is there for pages.

    Raises:
        DevkitRefusal: It asks for something else.
    """
    origins = head.headers.all("Origin")
    if guard.refusal(("127.0.0.1",), origins) is None:
        return
    if isinstance(api, RestApi):
        if rest_apis.is_for_pages(api, head):
            return
        remedy = "add an OPTIONS method to the resource"
    else:
        if api.cors is not None and all(cors.allows(api.cors, each) for each in origins):
            return
        remedy = "add the origin to the API's CorsConfiguration"
    raise DevkitRefusal(
        f"Pages of {_listed(origins)} may not call this API on a developer's machine: {remedy}."
    )


def _listed(origins: Collection[str]) -> str:
    return ", ".join(repr(each) for each in origins)


def _response(answer: Answer) -> web.Response:
    from aiohttp import web  # noqa: PLC0415
    from multidict import CIMultiDict  # noqa: PLC0415

    # Mapping may have made headers of anything in the request.
    headers = CIMultiDict(pair for pair in answer.headers.pairs if can_be_sent(*pair))
    headers.setdefault("Server", "devkit")
    return web.Response(status=answer.status, headers=headers, body=answer.body)
