"""Parameter mapping of HTTP APIs: headers, arguments and the path of a request; the answer's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote, urlencode

from devkit.contract import LOCAL_ACCOUNT
from devkit.local_aws.gateway.events import Place
from devkit.local_aws.gateway.json_paths import first_value
from devkit.local_aws.gateway.messages import Answer, Headers, Request

_REFERENCE = re.compile(r"\$\{([^}]+)\}")

Lookup = Callable[[str], str | None]
"""Gives the value of ``request.header.x`` and its like."""


def mapped_request(parameters: Mapping[str, str], request: Request, place: Place) -> Request:
    """A request as the backend gets it; its path is that below the stage, where it is replaced."""
    if not parameters:
        return request
    lookup = request_lookup(request, place)
    headers, arguments, path = request.headers, list(request.arguments), request.path
    for target, source in parameters.items():
        action, _, location = target.partition(":")
        kind, _, name = location.partition(".")
        value = _value(source, lookup)
        if kind == "header":
            headers = _changed(headers, action, name, value)
        elif kind == "querystring":
            arguments = _changed_arguments(arguments, action, name, value)
        elif kind == "path" and value is not None:
            path = quote(value, safe="/%:@!$&'()*+,;=~")
    query = urlencode(arguments, safe="/:@!$'()*,;~") if arguments else ""
    kept = request.query if arguments == list(request.arguments) else query
    return replace(request, headers=headers, query=kept, path=path)


def mapped_answer(
    parameters: Mapping[str, Mapping[str, str]], answer: Answer, request: Request, place: Place
) -> Answer:
    """An integration's answer as the client gets it."""
    wanted = parameters.get(str(answer.status))
    if not wanted:
        return answer
    within = request_lookup(request, place)

    def lookup(reference: str) -> str | None:
        scope, _, name = reference.partition(".")
        return _of_answer(name, answer) if scope == "response" else within(reference)

    headers, status = answer.headers, answer.status
    for target, source in wanted.items():
        action, _, location = target.partition(":")
        kind, _, name = location.partition(".")
        value = _value(source, lookup)
        if kind == "header":
            headers = _changed(headers, action, name, value)
        elif kind == "statuscode" and value is not None and value.isdecimal():
            status = int(value)
    return Answer(status=status, headers=headers, body=answer.body)


def request_lookup(request: Request, place: Place) -> Lookup:
    """What ``request.…``, ``context.…`` and ``stageVariables.…`` stand for."""

    def lookup(reference: str) -> str | None:
        scope, _, name = reference.partition(".")
        if scope == "request":
            return _of_request(name, request, place)
        if scope == "context":
            return context_value(name, request, place)
        return place.variables.get(name) if scope == "stageVariables" else None

    return lookup


def context_value(name: str, request: Request, place: Place) -> str | None:
    """A ``$context`` variable."""
    scope, _, member = name.partition(".")
    if scope == "authorizer":
        value = (place.authorizer or {}).get(member)
        return None if value is None else text_of(value)
    values: Mapping[str, object] = {
        "accountId": LOCAL_ACCOUNT,
        "apiId": place.api_id,
        "domainName": request.domain_name,
        "domainPrefix": request.domain_name.partition(".")[0],
        "extendedRequestId": request.extended_request_id,
        "httpMethod": request.method,
        "identity.sourceIp": request.source_ip,
        "identity.userAgent": request.user_agent,
        "path": place.whole_path,
        "protocol": request.protocol,
        "requestId": request.request_id,
        "requestTime": request.time,
        "requestTimeEpoch": request.epoch_ms,
        "resourceId": place.resource_id,
        "resourcePath": place.resource_path,
        "routeKey": place.route_key,
        "stage": place.stage,
    }
    value = values.get(name)
    return None if value is None else str(value)


def text_of(value: Any) -> str:
    """A JSON value where there is only room for text."""
    return value if isinstance(value, str) else json.dumps(value)


def _value(source: str, lookup: Lookup) -> str | None:
    """``$request.header.x``, text with ``${request.header.x}`` in it, or just text."""
    if source.startswith("$") and not source.startswith("${"):
        return lookup(source[1:])
    return _REFERENCE.sub(lambda match: lookup(match[1]) or "", source)


def _of_request(name: str, request: Request, place: Place) -> str | None:
    kind, _, member = name.partition(".")
    if kind == "header":
        return request.headers.joined(member)
    if kind == "querystring":
        values = request.argument_lists.get(member)
        return None if values is None else ",".join(values)
    if kind == "body":
        return _of_body(member, request.body)
    if kind == "path":
        return place.parameters.get(member) if member else unquote(place.path)
    return None


def _of_answer(name: str, answer: Answer) -> str | None:
    kind, _, member = name.partition(".")
    if kind == "header":
        return answer.headers.joined(member)
    if kind == "body":
        return _of_body(member, answer.body)
    return str(answer.status) if kind == "statuscode" else None


def _of_body(path: str, body: bytes) -> str | None:
    if not path:
        return body.decode(errors="replace")
    value = first_value(body, f"$.{path}")
    return None if value is None else text_of(value)


def _changed(headers: Headers, action: str, name: str, value: str | None) -> Headers:
    if action == "remove":
        return headers.without(name)
    if value is None:
        return headers
    if action == "append":
        return headers.plus((name, value))
    return headers.replacing((name, value))


def _changed_arguments(
    arguments: list[tuple[str, str]], action: str, name: str, value: str | None
) -> list[tuple[str, str]]:
    others = [pair for pair in arguments if pair[0] != name]
    if action == "remove":
        return others
    if value is None:
        return arguments
    return [*(arguments if action == "append" else others), (name, value)]
