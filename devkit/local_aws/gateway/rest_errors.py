"""Errors of a REST API's gateway itself: AWS's texts, or what PutGatewayResponse made of them.

Types and statuses are those of AWS's page "Gateway response types"; most values of
``x-amzn-ErrorType`` are in FinchPowers' "AWS API Gateway Errors Mapping Guide", others UNVERIFIED.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from devkit.local_aws.gateway import templates
from devkit.local_aws.gateway.messages import JSON, Answer, Headers, Request
from devkit.local_aws.gateway.rest_routing import stage_of
from devkit.local_aws.gateway.traces import HEADER
from devkit.local_aws.gateway.values import GatewayResponse, RestApi

_INTERNAL = "InternalServerErrorException"
_FORBIDDEN = "ForbiddenException"
_BAD_REQUEST = "BadRequestException"
_SERVER_ERROR = 500


@dataclass(frozen=True)
class _Kind:
    status: int
    error_type: str


_KINDS: Mapping[str, _Kind] = {
    "ACCESS_DENIED": _Kind(403, "AccessDeniedException"),
    "API_CONFIGURATION_ERROR": _Kind(500, _INTERNAL),
    "AUTHORIZER_CONFIGURATION_ERROR": _Kind(500, "AuthorizerConfigurationException"),
    "AUTHORIZER_FAILURE": _Kind(500, "AuthorizerFailureException"),
    "BAD_REQUEST_BODY": _Kind(400, _BAD_REQUEST),
    "BAD_REQUEST_PARAMETERS": _Kind(400, _BAD_REQUEST),
    "DEFAULT_4XX": _Kind(400, _BAD_REQUEST),
    "DEFAULT_5XX": _Kind(500, _INTERNAL),
    "INTEGRATION_FAILURE": _Kind(504, _INTERNAL),
    "INTEGRATION_TIMEOUT": _Kind(504, _INTERNAL),
    "INVALID_API_KEY": _Kind(403, _FORBIDDEN),
    "MISSING_AUTHENTICATION_TOKEN": _Kind(403, "MissingAuthenticationTokenException"),
    "REQUEST_TOO_LARGE": _Kind(413, "RequestTooLargeException"),
    "UNAUTHORIZED": _Kind(401, "UnauthorizedException"),
    "UNSUPPORTED_MEDIA_TYPE": _Kind(415, _BAD_REQUEST),
}


class Failed(Exception):
    """A request ends here, with an error of the gateway's own.

    Args:
        kind: The gateway response's type.
        message: For the client; AWS has none for some.
        status: Where it is not the type's.
        error_type: Where it is not the type's.
        member: What the message is called.
        reason: What is wrong with the request, for templates.
    """

    def __init__(
        self,
        kind: str,
        message: str | None,
        *,
        status: int | None = None,
        error_type: str | None = None,
        member: str = "message",
        reason: str | None = None,
    ) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.status = status or _KINDS[kind].status
        self.error_type = error_type or _KINDS[kind].error_type
        self.member = member
        self.reason = reason


def forbidden() -> Failed:
    """There is no such stage."""
    return Failed("DEFAULT_4XX", "Forbidden", status=HTTPStatus.FORBIDDEN, error_type=_FORBIDDEN)


def no_method() -> Failed:
    """There is no such resource or method."""
    return Failed("MISSING_AUTHENTICATION_TOKEN", "Missing Authentication Token")


def malformed_result() -> Failed:
    """A function failed, or returned what is no answer."""
    return Failed("INTEGRATION_FAILURE", "Internal server error", status=HTTPStatus.BAD_GATEWAY)


def not_invoked() -> Failed:
    """A function could not be invoked: AWS says 500, also where it is throttled."""
    return Failed(
        "INTEGRATION_FAILURE", "Internal server error", status=HTTPStatus.INTERNAL_SERVER_ERROR
    )


def misconfigured() -> Failed:
    """The API's definition does not fit what came."""
    return Failed("API_CONFIGURATION_ERROR", "Internal server error")


def timed_out() -> Failed:
    """What is behind the method did not answer in time."""
    return Failed("INTEGRATION_TIMEOUT", "Endpoint request timed out")


def too_large() -> Failed:
    """The body is larger than 10 MB, or than what a function takes (the latter UNVERIFIED)."""
    return Failed("REQUEST_TOO_LARGE", "Request Too Long")


def headers_too_large() -> Failed:
    """The text is seen with AWS, the status with HTTP APIs only."""
    return Failed(
        "DEFAULT_4XX",
        "HTTP header is larger than 10240 bytes.",
        status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    )


def rendered(failed: Failed, api: RestApi, request: Request) -> Answer:
    """What the client is told."""
    stage, _ = stage_of(api, request.path)
    custom = _custom(failed, stage.deployed.gateway_responses if stage else {})
    headers = Headers([("x-amzn-ErrorType", failed.error_type)])
    if custom is None:
        body = json.dumps({failed.member: failed.message}, separators=(",", ":")).encode()
        answer = Answer(
            status=failed.status, headers=headers.plus(("Content-Type", JSON)), body=body
        )
        return with_identifiers(answer, request)
    context = _context(failed, request)
    kind, template = _template(custom.templates, request)
    variables = stage.variables if stage else {}
    try:
        text = templates.rendered(template, templates.Input(b""), context, variables)
    except templates.TemplateFailed:
        text = ""
    pairs = [("Content-Type", kind), *_parameters(custom.parameters, request, context)]
    status = custom.status or failed.status
    answer = Answer(status=status, headers=headers.replacing(*pairs), body=text.encode())
    return with_identifiers(answer, request)


def with_identifiers(answer: Answer, request: Request) -> Answer:
    """An answer with what AWS calls its request."""
    return answer.with_headers(
        answer.headers.replacing(
            ("x-amzn-RequestId", request.request_id),
            ("x-amz-apigw-id", request.extended_request_id),
            (HEADER, request.trace.header),
        )
    )


def _custom(failed: Failed, responses: Mapping[str, GatewayResponse]) -> GatewayResponse | None:
    default = "DEFAULT_5XX" if failed.status >= _SERVER_ERROR else "DEFAULT_4XX"
    return responses.get(failed.kind) or responses.get(default)


def _context(failed: Failed, request: Request) -> dict[str, Any]:
    return {
        "error": {
            "message": failed.message,
            "messageString": json.dumps(failed.message),
            "responseType": failed.kind,
            "validationErrorString": failed.reason or "",
        },
        "requestId": request.request_id,
        "extendedRequestId": request.extended_request_id,
        "httpMethod": request.method,
        "path": request.path,
        "domainName": request.domain_name,
        "identity": {"sourceIp": request.source_ip, "userAgent": request.user_agent},
    }


def _template(wanted: Mapping[str, str], request: Request) -> tuple[str, str]:
    accepted = request.headers.get("Accept") or JSON
    for kind in (accepted, JSON, *wanted):
        if kind in wanted:
            return kind, wanted[kind]
    return JSON, '{"message":$context.error.messageString}'


def _parameters(
    wanted: Mapping[str, str], request: Request, context: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for target, source in wanted.items():
        name = target.removeprefix("gatewayresponse.header.")
        value = _parameter(source, request, context)
        if value is not None:
            yield name, value


def _parameter(source: str, request: Request, context: Mapping[str, Any]) -> str | None:
    if source.startswith("'") and source.endswith("'"):
        return source[1:-1]
    if source.startswith("method.request.header."):
        return request.headers.get(source.removeprefix("method.request.header."))
    value: Any = context
    for part in source.removeprefix("context.").split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else str(value)
