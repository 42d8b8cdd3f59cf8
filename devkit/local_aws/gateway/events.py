"""Requests as events for functions: payload 2.0 and 1.0, and REST's proxy (contract, section 4)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from devkit.contract import LOCAL_ACCOUNT
from devkit.local_aws.gateway.bodies import http_body, is_binary
from devkit.local_aws.gateway.http_routing import DEFAULT
from devkit.local_aws.gateway.messages import Request

Event = dict[str, Any]

_NOBODY = (
    "accessKey",
    "accountId",
    "caller",
    "cognitoAmr",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)
_NOT_IN_REST = "cognitoAmr"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in an API a request has come to."""

    api_id: str
    stage: str
    route_key: str
    """Of an HTTP API; of a REST API the method."""
    resource_path: str
    resource_id: str
    path: str
    """As functions see it: an HTTP API's decoded and with the stage, a REST API's as it came."""
    whole_path: str
    """With the stage in any case."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    authorizer: Mapping[str, Any] | None = None
    """What the authorizer said of who asks."""


def payload_2(request: Request, place: Place) -> Event:
    """The event of payload format 2.0."""
    cookies = [
        cookie.strip()
        for header in request.headers.all("Cookie")
        for cookie in header.split(";")
        if cookie.strip()
    ]
    headers = request.headers.without("Cookie").lower()
    event: Event = {
        "version": "2.0",
        "routeKey": place.route_key,
        "rawPath": place.path,
        "rawQueryString": request.query,
        "headers": {name: ",".join(values) for name, values in headers.items()},
        "requestContext": _context_2(request, place),
        "isBase64Encoded": False,
    }
    event |= _filled(
        cookies=cookies,
        queryStringParameters={n: ",".join(v) for n, v in request.argument_lists.items()},
        pathParameters=dict(place.parameters),
        stageVariables=dict(place.variables),
    )
    if request.body:
        body, encoded = http_body(request.body, request.headers.get("Content-Type"))
        event |= {"body": body, "isBase64Encoded": encoded}
    return event


def _context_2(request: Request, place: Place) -> Event:
    who = {} if place.authorizer is None else {"authorizer": {"lambda": dict(place.authorizer)}}
    return {
        "accountId": LOCAL_ACCOUNT,
        "apiId": place.api_id,
        **who,
        "domainName": request.domain_name,
        "domainPrefix": request.domain_name.partition(".")[0],
        "http": {
            "method": request.method,
            "path": place.path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.user_agent,
        },
        "requestId": request.request_id,
        "routeKey": place.route_key,
        "stage": place.stage,
        "time": request.time,
        "timeEpoch": request.epoch_ms,
    }


def payload_1(request: Request, place: Place) -> Event:
    """The event of an HTTP API's payload format 1.0; its headers are in lower case."""
    body: str | None = None
    encoded = False
    if request.body:
        body, encoded = http_body(request.body, request.headers.get("Content-Type"))
    event = _proxy(request, place, request.headers.lower())
    authorizer = {"claims": None, "scopes": None} if place.authorizer is None else place.authorizer
    identity = {**dict.fromkeys(_NOBODY), **_client(request)}
    event["requestContext"] |= {"authorizer": dict(authorizer), "identity": identity}
    return {"version": "1.0", **event, "body": body, "isBase64Encoded": encoded}


def rest_proxy(
    request: Request,
    place: Place,
    *,
    binary_types: tuple[str, ...] = (),
    key: tuple[str, str] | None = None,
) -> Event:
    """The event of a REST API's proxy integration.

    Args:
        request: The request.
        place: Where it has come to.
        binary_types: The API's binary media types.
        key: The API key that it came with: value and identifier.
    """
    body: str | None = None
    encoded = False
    if request.body:
        encoded = is_binary(request.headers.get("Content-Type"), binary_types)
        in_base64 = base64.b64encode(request.body).decode
        body = in_base64() if encoded else request.body.decode(errors="replace")
    return {**rest_context(request, place, key=key), "body": body, "isBase64Encoded": encoded}


def rest_context(request: Request, place: Place, *, key: tuple[str, str] | None = None) -> Event:
    """The same without the body, as a REST API's authorizers see it."""
    event = _proxy(request, place, request.headers.lists())
    keyed = {} if key is None else {"apiKey": key[0], "apiKeyId": key[1]}
    identity = {**dict.fromkeys(_NOBODY), **keyed, **_client(request)}
    del identity[_NOT_IN_REST]
    event["requestContext"]["identity"] = identity
    if place.authorizer is not None:
        event["requestContext"]["authorizer"] = dict(place.authorizer)
    return event


def _proxy(request: Request, place: Place, headers: Mapping[str, list[str]]) -> Event:
    arguments = request.argument_lists
    return {
        "resource": place.resource_path,
        "path": place.path,
        "httpMethod": request.method,
        "headers": {n: v[-1] for n, v in headers.items()} or None,
        "multiValueHeaders": dict(headers) or None,
        "queryStringParameters": {n: v[-1] for n, v in arguments.items()} or None,
        "multiValueQueryStringParameters": dict(arguments) or None,
        "pathParameters": dict(place.parameters) or None,
        "stageVariables": dict(place.variables) or None,
        "requestContext": {
            "resourceId": place.resource_id,
            "resourcePath": place.resource_path,
            "httpMethod": request.method,
            "extendedRequestId": request.extended_request_id,
            "requestTime": request.time,
            "path": place.whole_path,
            "accountId": LOCAL_ACCOUNT,
            "protocol": request.protocol,
            "stage": place.stage,
            "domainPrefix": request.domain_name.partition(".")[0],
            "requestTimeEpoch": request.epoch_ms,
            "requestId": request.request_id,
            "domainName": request.domain_name,
            "apiId": place.api_id,
        },
    }


def http_place(api_id: str, stage: str, whole: str, route_key: str) -> Place:
    """The place of a route: HTTP APIs decode the path, in both formats."""
    path = unquote(whole)
    return Place(
        api_id=api_id,
        stage=stage,
        route_key=route_key,
        resource_path=route_key if route_key == DEFAULT else route_key.partition(" ")[2],
        resource_id=route_key,
        path=path,
        whole_path=path,
    )


def _client(request: Request) -> Event:
    return {"sourceIp": request.source_ip, "userAgent": request.user_agent or None}


def _filled(**members: Any) -> Event:
    return {name: value for name, value in members.items() if value}
