"""CORS as an HTTP API does it: preflights answered, headers added, the backend's own ignored."""

from __future__ import annotations

from http import HTTPStatus

from devkit.local_aws.gateway.messages import Answer, Headers, Request
from devkit.local_aws.gateway.values import Cors

_ALLOW_ORIGIN = "access-control-allow-origin"
_OWN = (
    _ALLOW_ORIGIN,
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-allow-credentials",
    "access-control-max-age",
)
_ANY = "*"


def allows(cors: Cors, origin: str) -> bool:
    """Whether pages of an origin may ask."""
    return any(_matches(pattern, origin.lower()) for pattern in cors.origins)


def _matches(pattern: str, origin: str) -> bool:
    """``*``, ``https://*`` and ``http://*`` are all that can be left open."""
    if pattern.endswith("://*"):
        return origin.startswith(pattern[:-1].lower())
    return pattern in (_ANY, origin) or pattern.lower() == origin


def is_preflight(request: Request) -> bool:
    """Whether a browser asks whether it may ask."""
    return (
        request.method == "OPTIONS"
        and request.headers.get("Origin") is not None
        and request.headers.get("Access-Control-Request-Method") is not None
    )


def preflight(cors: Cors, request: Request) -> Answer:
    """What a preflight is answered; without headers where the origin may not ask."""
    origin = request.headers.get("Origin") or ""
    pairs: list[tuple[str, str]] = []
    if allows(cors, origin):
        pairs += _origin(cors, origin)
        pairs += _list("access-control-allow-methods", cors.methods)
        pairs += _list("access-control-allow-headers", cors.headers)
        pairs += _list("access-control-expose-headers", cors.expose)
        if cors.max_age_s is not None:
            pairs.append(("access-control-max-age", str(cors.max_age_s)))
    return Answer(status=HTTPStatus.NO_CONTENT, headers=Headers(pairs), body=b"")


def with_cors(cors: Cors | None, request: Request, answer: Answer) -> Answer:
    """An integration's answer with the API's headers instead of its own."""
    if cors is None:
        return answer
    headers = answer.headers.without(*_OWN)
    origin = request.headers.get("Origin")
    if origin is not None and allows(cors, origin):
        exposed = _list("access-control-expose-headers", cors.expose)
        headers = headers.plus(*_origin(cors, origin), *exposed)
    return answer.with_headers(headers)


def _origin(cors: Cors, origin: str) -> list[tuple[str, str]]:
    told = _ANY if _ANY in cors.origins and not cors.credentials else origin
    pairs = [(_ALLOW_ORIGIN, told)]
    if told != _ANY:
        pairs.append(("vary", "Origin"))
    if cors.credentials:
        pairs.append(("access-control-allow-credentials", "true"))
    return pairs


def _list(name: str, values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, ",".join(values))] if values else []
