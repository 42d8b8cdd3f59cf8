"""What is behind a method of a REST API: functions, servers, and nothing at all (MOCK)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from devkit.local_aws.errors import AwsError
from devkit.local_aws.gateway import rest_errors, templates
from devkit.local_aws.gateway.bodies import from_base64, is_binary, media_type
from devkit.local_aws.gateway.events import Place, rest_context, rest_proxy
from devkit.local_aws.gateway.invoking import Invoker, NoFunction, TimedOut, with_stage_variables
from devkit.local_aws.gateway.mapping import request_lookup
from devkit.local_aws.gateway.messages import JSON, Answer, DevkitRefusal, Headers, Request
from devkit.local_aws.gateway.outbound import Outbound, Unreachable
from devkit.local_aws.gateway.rest_mapping import Parameters, request_parameters, response_headers
from devkit.local_aws.gateway.results import Malformed, NotBase64, rest_answer
from devkit.local_aws.gateway.values import IntegrationResponse, RestIntegration

_TOO_LARGE = "RequestTooLargeException"
_PATH_SAFE = "/:@!$&'()*+,;=~"
_LOWEST, _HIGHEST = 100, 599
_INVOCATION_TYPE = "x-amz-invocation-type"
# What AWS hands on under another name ("Amazon API Gateway important notes").
_REMAPPED = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "content-md5",
        "date",
        "host",
        "max-forwards",
        "server",
        "user-agent",
        "www-authenticate",
    }
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that has come to an integration."""

    request: Request
    place: Place
    region: str
    integration: RestIntegration
    binary_types: tuple[str, ...] = ()
    key: tuple[str, str] | None = None

    def context(self) -> dict[str, Any]:
        """``$context`` of templates."""
        context: dict[str, Any] = rest_context(self.request, self.place, key=self.key)[
            "requestContext"
        ]
        context["requestOverride"] = {"header": {}, "querystring": {}, "path": {}}
        context["responseOverride"] = {"header": {}}
        return context

    def given(self, payload: bytes | str) -> templates.Input:
        """``$input`` of templates, with this body."""
        return templates.Input(
            payload,
            self.place.parameters,
            {name: values[-1] for name, values in self.request.argument_lists.items()},
            {name: values[-1] for name, values in self.request.headers.lists().items()},
        )

    @property
    def accepts_binary(self) -> bool:
        """Whether the client wants one of the API's binary types, by what it names first."""
        accept = (self.request.headers.get("Accept") or "").partition(",")[0]
        return is_binary(accept, self.binary_types)


class Integrations:
    """Asks what is behind methods.

    Args:
        invoker: Invokes functions.
        outbound: Asks servers of this machine.
    """

    def __init__(self, invoker: Invoker, outbound: Outbound) -> None:
        self._invoker = invoker
        self._outbound = outbound

    async def answer(self, asked: Asked) -> Answer:
        """The method's answer.

        Raises:
            Failed: The gateway has an error of its own to tell.
            DevkitRefusal: AWS would do what devkit does not.
        """
        kind = asked.integration.kind
        if kind == "AWS_PROXY":
            return _remapped(await self._proxy(asked))
        if kind == "HTTP_PROXY":
            return _remapped(await self._server_proxy(asked))
        if kind in ("AWS", "HTTP", "MOCK"):
            return await self._mapped(asked)
        raise rest_errors.misconfigured()

    # --- as it is -------------------------------------------------------------------------------

    async def _proxy(self, asked: Asked) -> Answer:
        event = rest_proxy(
            asked.request, asked.place, binary_types=asked.binary_types, key=asked.key
        )
        payload, error = await self._invoke(asked, json.dumps(event).encode())
        if error is not None:
            raise rest_errors.malformed_result()
        try:
            return rest_answer(payload, accepts_binary=asked.accepts_binary)
        except NotBase64:
            raise rest_errors.misconfigured() from None
        except Malformed:
            raise rest_errors.malformed_result() from None

    async def _server_proxy(self, asked: Asked) -> Answer:
        parameters = _parameters(asked)
        headers = asked.request.headers.replacing(*parameters.header.items())
        names = set(parameters.querystring)
        arguments = [pair for pair in asked.request.arguments if pair[0] not in names]
        query = urlencode([*arguments, *parameters.querystring.items()])
        kept = query if names else asked.request.query
        return await self._server(asked, parameters, headers, kept, asked.request.body)

    # --- by templates ---------------------------------------------------------------------------

    async def _mapped(self, asked: Asked) -> Answer:
        context = asked.context()
        parameters = _parameters(asked)
        body = _request_body(asked, context)
        parameters = parameters.overridden(context["requestOverride"])
        answer, chosen_by = await self._behind(asked, parameters, body)
        response = _chosen(asked.integration.responses, chosen_by)
        return _method_response(asked, response, answer, context)

    async def _behind(
        self, asked: Asked, parameters: Parameters, body: bytes
    ) -> tuple[Answer, str]:
        """The integration's answer, and what its response is chosen by."""
        if asked.integration.kind == "MOCK":
            status = _mock_status(body)
            return Answer(status=status, headers=Headers(()), body=b""), str(status)
        if asked.integration.kind == "HTTP":
            headers = Headers([*_content_type(asked), *parameters.header.items()])
            query = urlencode(parameters.querystring)
            answer = await self._server(asked, parameters, headers, query, body)
            return answer, str(answer.status)
        return await self._function(asked, parameters, body)

    async def _function(
        self, asked: Asked, parameters: Parameters, body: bytes
    ) -> tuple[Answer, str]:
        headers = {name.lower(): value for name, value in parameters.header.items()}
        if headers.get(_INVOCATION_TYPE) == "Event":
            self._launch(asked, body or b"{}")
            return Answer(status=HTTPStatus.ACCEPTED, headers=Headers(()), body=b""), ""
        payload, error = await self._invoke(asked, body or b"{}")
        answer = Answer(
            status=HTTPStatus.OK, headers=Headers([("Content-Type", JSON)]), body=payload
        )
        return answer, "" if error is None else _error_message(payload)

    # --- who is asked ---------------------------------------------------------------------------

    def _launch(self, asked: Asked, event: bytes) -> None:
        try:
            self._invoker.launch(
                asked.integration.uri,
                event,
                variables=asked.place.variables,
                region=asked.region,
                trace=asked.request.trace.header,
            )
        except NoFunction:
            raise _no_function(asked.integration.uri) from None

    async def _invoke(self, asked: Asked, event: bytes) -> tuple[bytes, str | None]:
        try:
            answer = await self._invoker.invoke(
                asked.integration.uri,
                event,
                variables=asked.place.variables,
                region=asked.region,
                trace=asked.request.trace.header,
                timeout_s=asked.integration.timeout_s,
            )
        except TimedOut:
            raise rest_errors.timed_out() from None
        except NoFunction:
            raise _no_function(asked.integration.uri) from None
        except AwsError as error:
            if error.code == _TOO_LARGE:
                raise rest_errors.too_large() from None
            raise rest_errors.not_invoked() from None
        return answer.payload, answer.error

    async def _server(
        self, asked: Asked, parameters: Parameters, headers: Headers, query: str, body: bytes
    ) -> Answer:
        method = asked.integration.method
        url = _url(asked, parameters, query)
        try:
            return await self._outbound.ask(
                asked.request.method if method in (None, "ANY") else method or "",
                url,
                headers,
                body,
                timeout_s=asked.integration.timeout_s,
            )
        except TimeoutError:
            raise rest_errors.timed_out() from None
        except Unreachable:
            raise rest_errors.malformed_result() from None


def _no_function(uri: str) -> Exception:
    if ":lambda:" in uri:
        return rest_errors.not_invoked()
    return DevkitRefusal(
        f"devkit does not implement integrations with other services than Lambda: {uri}"
    )


def _parameters(asked: Asked) -> Parameters:
    return request_parameters(
        asked.integration.parameters,
        asked.request,
        asked.place.parameters,
        request_lookup(asked.request, asked.place),
    )


def _url(asked: Asked, parameters: Parameters, query: str) -> str:
    url = with_stage_variables(asked.integration.uri, asked.place.variables)
    for name, value in parameters.path.items():
        url = url.replace(f"{{{name}}}", quote(value, safe=_PATH_SAFE))
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(q for q in (parts.query, query) if q)))


# --- the request's body -------------------------------------------------------------------------


def _request_body(asked: Asked, context: dict[str, Any]) -> bytes:
    """The template's text for the content type; the body itself where it may pass.

    Raises:
        Failed: There is none for it, and it may not.
    """
    wanted = asked.integration.templates
    template = wanted.get(media_type(asked.request.headers.get("Content-Type")) or JSON)
    body = _converted(asked)
    if template is None:
        behavior = asked.integration.passthrough
        if behavior == "NEVER" or (behavior == "WHEN_NO_TEMPLATES" and wanted):
            raise rest_errors.Failed("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
        return body
    return _rendered(template, asked.given(body), context, asked.place.variables).encode()


def _converted(asked: Asked) -> bytes:
    handling = asked.integration.content_handling
    body = asked.request.body
    binary = is_binary(asked.request.headers.get("Content-Type"), asked.binary_types)
    if handling == "CONVERT_TO_TEXT" and binary:
        return base64.b64encode(body)
    if handling == "CONVERT_TO_BINARY" and not binary:
        return _decoded(body)
    return body


def _content_type(asked: Asked) -> list[tuple[str, str]]:
    kind = asked.request.headers.get("Content-Type")
    return [("Content-Type", kind or JSON)]


def _mock_status(body: bytes) -> int:
    """Of ``{"statusCode": 200}``, which is all that a MOCK reads."""
    try:
        status = int(json.loads(body)["statusCode"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise rest_errors.misconfigured() from None
    if not _LOWEST <= status <= _HIGHEST:
        raise rest_errors.misconfigured()
    return status


# --- the answer ---------------------------------------------------------------------------------


def _error_message(payload: bytes) -> str:
    try:
        document = json.loads(payload)
    except ValueError:
        return ""
    message = document.get("errorMessage") if isinstance(document, dict) else None
    return message if isinstance(message, str) else ""


def _chosen(responses: Sequence[IntegrationResponse], by: str) -> IntegrationResponse:
    """The response whose pattern is the whole text, as Java's ``matches``; else the default one.

    Raises:
        Failed: There is none.
    """
    for response in responses:
        if response.pattern is not None and _matches(response.pattern, by):
            return response
    default = next((each for each in responses if each.pattern is None), None)
    if default is None:
        raise rest_errors.misconfigured()
    return default


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:
        return False


def _method_response(
    asked: Asked, response: IntegrationResponse, answer: Answer, context: dict[str, Any]
) -> Answer:
    kind, template = _response_template(response.templates, asked.request)
    body = answer.body
    if template:
        text = _rendered(template, asked.given(body), context, asked.place.variables)
        body = text.encode()
    if response.content_handling == "CONVERT_TO_BINARY":
        body = _decoded(body)
    elif response.content_handling == "CONVERT_TO_TEXT" and not template:
        body = base64.b64encode(body)
    within = request_lookup(asked.request, asked.place)
    pairs = list(response_headers(response.parameters, answer, within))
    override = context["responseOverride"]
    pairs += [(name, str(value)) for name, value in (override.get("header") or {}).items()]
    headers = Headers([("Content-Type", kind)]).replacing(*pairs)
    status = override.get("status")
    is_status = isinstance(status, int) and _LOWEST <= status <= _HIGHEST
    return Answer(status=status if is_status else response.status, headers=headers, body=body)


def _response_template(
    wanted: Mapping[str, str | None], request: Request
) -> tuple[str, str | None]:
    """By what the client accepts, else JSON's, else the first."""
    accept = (request.headers.get("Accept") or "").partition(",")[0].strip()
    for kind in (accept, JSON, *wanted):
        if kind in wanted:
            return kind, wanted[kind]
    return JSON, None


def _rendered(
    template: str, given: templates.Input, context: dict[str, Any], variables: Mapping[str, str]
) -> str:
    try:
        return templates.rendered(template, given, context, variables)
    except templates.TemplateFailed:
        raise rest_errors.misconfigured() from None


def _decoded(body: bytes) -> bytes:
    try:
        return from_base64(body.decode())
    except ValueError:
        raise rest_errors.misconfigured() from None


def _remapped(answer: Answer) -> Answer:
    pairs = [
        (f"x-amzn-Remapped-{name}" if name.lower() in _REMAPPED else name, value)
        for name, value in answer.headers.pairs
    ]
    return answer.with_headers(Headers(pairs))
