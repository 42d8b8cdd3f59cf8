"""Calls to HTTP APIs: stage, CORS, route, authorizer, integration."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote, urlsplit, urlunsplit

from devkit.local_aws.errors import AwsError
from devkit.local_aws.gateway import authorizing, cors
from devkit.local_aws.gateway.events import Place, http_place, payload_1, payload_2
from devkit.local_aws.gateway.http_routing import route_of, staged
from devkit.local_aws.gateway.invoking import Invoker, NoFunction, TimedOut, with_stage_variables
from devkit.local_aws.gateway.mapping import mapped_answer, mapped_request
from devkit.local_aws.gateway.messages import Answer, DevkitRefusal, Request, json_answer
from devkit.local_aws.gateway.outbound import Outbound, Unreachable
from devkit.local_aws.gateway.results import Malformed, answer_1, answer_2
from devkit.local_aws.gateway.values import HttpApi, HttpIntegration, HttpRoute
from devkit.local_aws.services import OnSpan

_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())


_FORMAT_2 = "2.0"
_NO_FUNCTION = "ResourceNotFoundException"
_TOO_LARGE = "RequestTooLargeException"
_THROTTLED = "TooManyRequestsException"


class Told(Exception):
    """A request ends here, with an error of the gateway's own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = json_answer(status, {"message": message})


def not_found() -> Told:
    """There is no such API, stage or route."""
    return Told(HTTPStatus.NOT_FOUND, "Not Found")


def failed() -> Told:
    """What is behind the route failed, or answered what is no answer."""
    return Told(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")


def unavailable() -> Told:
    """What is behind the route did not answer in time, or takes no more."""
    return Told(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")


def too_large() -> Told:
    """The body is larger than 10 MB, or than what a function takes (text UNVERIFIED)."""
    return Told(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large")


def with_identifier(answer: Answer, request: Request) -> Answer:
    """An answer with what AWS calls its request."""
    identifier = ("apigw-requestid", request.extended_request_id)
    return answer.with_headers(answer.headers.replacing(identifier))


class HttpApis:
    """Answers calls to HTTP APIs.

    Args:
        invoker: Invokes functions.
        outbound: Asks servers of this machine.
        authorizers: Say who may ask.
        on_span: Is told how long an authorizer took.
    """

    def __init__(
        self,
        invoker: Invoker,
        outbound: Outbound,
        authorizers: authorizing.Authorizers,
        on_span: OnSpan,
    ) -> None:
        self._invoker = invoker
        self._outbound = outbound
        self._authorizers = authorizers
        self._on_span = on_span

    async def answer(self, api: HttpApi, request: Request) -> Answer:
        """The answer to a call, whatever happens to it.

        Raises:
            DevkitRefusal: AWS would do what devkit does not.
        """
        try:
            answer = await self._answer(api, request)
        except Told as told:
            answer = cors.with_cors(api.cors, request, told.answer)
        except DevkitRefusal:
            raise
        except Exception:
            _LOGGER.exception("an HTTP API failed")
            answer = cors.with_cors(api.cors, request, failed().answer)
        return with_identifier(answer, request)

    async def _answer(self, api: HttpApi, request: Request) -> Answer:
        at = staged(api, request.path)
        if at is None or api.is_disabled:
            raise not_found()
        if api.cors is not None and cors.is_preflight(request):
            return cors.preflight(api.cors, request)
        routed = route_of(api, request.method, at.path)
        if routed is None or routed.route.integration is None:
            raise not_found()
        route, integration = routed.route, routed.route.integration
        place = replace(
            http_place(api.id, at.stage, at.whole, route.key),
            parameters=routed.parameters,
            variables=api.stages[at.stage],
        )
        place = await self._authorized(api, route, request, place, at.path)
        mapped = mapped_request(integration.request_parameters, request, place)
        answer = await self._integrated(api, integration, mapped, place)
        answer = mapped_answer(integration.response_parameters, answer, request, place)
        return cors.with_cors(api.cors, request, answer)

    # --- who may ask ----------------------------------------------------------------------------

    async def _authorized(
        self, api: HttpApi, route: HttpRoute, request: Request, place: Place, path: str
    ) -> Place:
        """The place, with what the authorizer says of who asks."""
        if route.authorization == "JWT":
            raise DevkitRefusal(
                f"Route {route.key!r} has a JWT authorizer, which devkit does not implement: the "
                "keys of the issuer are on another machine. Use a Lambda authorizer here."
            )
        authorizer = route.authorizer
        if route.authorization != "CUSTOM":
            return place
        if authorizer is None:  # it has been deleted
            raise failed()
        identity = authorizing.identity_of(authorizer, request, place)
        if identity is None:
            raise Told(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        arn = authorizing.method_arn(api.region, place, request, path)
        event = authorizing.http_event(authorizer, request, place, arn, identity)
        begun = time.perf_counter()
        try:
            said = await self._authorizers.ask(
                authorizer,
                event,
                region=api.region,
                place=place,
                trace=request.trace.header,
                identity=identity,
            )
            verdict = said.verdict(arn)
        except authorizing.Unauthorized:
            raise Told(HTTPStatus.UNAUTHORIZED, "Unauthorized") from None
        except authorizing.AuthorizerFailed:
            raise failed() from None
        finally:
            self._on_span(request.trace.root, "authorizer", time.perf_counter() - begun)
        if verdict != "allowed":
            raise Told(HTTPStatus.FORBIDDEN, "Forbidden")
        return replace(place, authorizer=dict(said.context))

    # --- what is behind -------------------------------------------------------------------------

    async def _integrated(
        self, api: HttpApi, integration: HttpIntegration, request: Request, place: Place
    ) -> Answer:
        if integration.kind == "AWS_PROXY" and integration.subtype is None:
            return await self._function(api, integration, request, place)
        if integration.kind == "HTTP_PROXY":
            return await self._server(integration, request, place)
        what = integration.subtype or integration.kind
        raise DevkitRefusal(
            f"devkit does not implement integrations of type {what}: Lambda and HTTP_PROXY it does."
        )

    async def _function(
        self, api: HttpApi, integration: HttpIntegration, request: Request, place: Place
    ) -> Answer:
        is_2 = integration.payload_version == _FORMAT_2
        event = (payload_2 if is_2 else payload_1)(request, place)
        try:
            answered = await self._invoker.invoke(
                integration.uri,
                json.dumps(event).encode(),
                variables=place.variables,
                region=api.region,
                trace=request.trace.header,
                timeout_s=integration.timeout_s,
            )
        except TimedOut:
            raise unavailable() from None
        except NoFunction:
            raise failed() from None
        except AwsError as error:
            raise _of_lambda(error) from None
        if answered.error is not None:
            raise failed()
        try:
            return (answer_2 if is_2 else answer_1)(answered.payload)
        except Malformed:
            raise failed() from None

    async def _server(self, integration: HttpIntegration, request: Request, place: Place) -> Answer:
        replaced = integration.request_parameters.get("overwrite:path") is not None
        url = _url(integration, request, place, request.path if replaced else None)
        method = integration.method if integration.method not in ("", "ANY") else request.method
        try:
            return await self._outbound.ask(
                method, url, request.headers, request.body, timeout_s=integration.timeout_s
            )
        except TimeoutError:
            raise unavailable() from None
        except Unreachable:
            raise unavailable() from None


def _of_lambda(error: AwsError) -> Told:
    """What an HTTP API makes of Lambda's errors (503 and 413: UNVERIFIED)."""
    if error.code == _THROTTLED:
        return unavailable()
    return too_large() if error.code == _TOO_LARGE else failed()


def _url(integration: HttpIntegration, request: Request, place: Place, path: str | None) -> str:
    url = with_stage_variables(integration.uri, place.variables)
    for name, value in place.parameters.items():
        encoded = quote(value, safe="/:@!$&'()*+,;=~")
        url = url.replace(f"{{{name}}}", encoded).replace(f"{{{name}+}}", encoded)
    parts = urlsplit(url)
    query = "&".join(each for each in (parts.query, request.query) if each)
    return urlunsplit(parts._replace(query=query, path=path if path is not None else parts.path))
