"""API Gateway in the local AWS: a live service for its own operations, and the calls themselves."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from devkit.front.errors import Refused
from devkit.front.messages import ClientBroken
from devkit.local_aws.functions import Functions
from devkit.local_aws.gateway import control, http_apis, incoming, rest_apis, rest_errors
from devkit.local_aws.gateway.addresses import Address, address_of, may_be_address
from devkit.local_aws.gateway.authorizing import Authorizers
from devkit.local_aws.gateway.definitions import Definitions
from devkit.local_aws.gateway.http_apis import HttpApis, Told
from devkit.local_aws.gateway.invoking import Invoker
from devkit.local_aws.gateway.messages import (
    Answer,
    DevkitRefusal,
    Request,
    json_answer,
)
from devkit.local_aws.gateway.outbound import LIMIT_BYTES, Outbound
from devkit.local_aws.gateway.rest_apis import RestApis
from devkit.local_aws.gateway.values import Api, HttpApi, RestApi, WebSocketApi
from devkit.local_aws.services import Answering, Handler, OnSpan, Surroundings, no_span

if TYPE_CHECKING:
    from aiohttp import web

_HEADER_BYTES = 10_240

_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())


def gateway(functions: Functions, *, on_span: OnSpan = no_span) -> Gateway:
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
        host = request.headers.get("Host", "")
        if not may_be_address(host, request.raw_path):
            return None
        address = address_of(host, incoming.path_of(request))
        if address is None:
            return None

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            return await self._respond(address, request)

        return answer

    async def _respond(self, address: Address, asked: web.BaseRequest) -> web.StreamResponse:
        begun = time.perf_counter()
        head = incoming.head_of(asked, path=address.path, domain_name=address.host or "")
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
        response = incoming.response_of(answer, asked, broken=broken)
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


async def _complete(
    address: Address, api: HttpApi | RestApi, head: Request, asked: web.BaseRequest
) -> Request:
    """The request as the API gets it: with its body, and with what proxies add to the headers."""
    if incoming.head_bytes(head) > _HEADER_BYTES:
        raise _headers_too_large(api)
    domain = address.host or f"{api.id}.execute-api.{api.region}.amazonaws.com"
    request = await incoming.with_body(head, asked, limit_bytes=LIMIT_BYTES, domain_name=domain)
    if request is None:
        raise _body_too_large(api)
    return request


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
    origins = incoming.foreign_pages(head)
    if not origins:
        return
    if isinstance(api, HttpApi):
        remedy = "add the origin to the API's CorsConfiguration"
        incoming.require_allowed(api.cors, origins, "API", remedy)
    elif not rest_apis.is_for_pages(api, head):
        raise incoming.page_refused(origins, "API", "add an OPTIONS method to the resource")
