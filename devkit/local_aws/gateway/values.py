"""APIs as they are defined: frozen values, made of moto's records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Authorizer:
    """Who is asked whether a request may pass."""

    id: str
    kind: str
    """``REQUEST``, ``TOKEN``, ``JWT`` or ``COGNITO_USER_POOLS``."""
    uri: str | None = None
    identity: tuple[str, ...] = ()
    """Where in the request it finds who asks."""
    ttl_s: int = 0
    """How long its answer holds."""
    payload_version: str = "1.0"
    simple: bool = False
    """Whether it says yes or no, and not with a policy."""
    pattern: str | None = None
    """What a token has to match."""


# --- HTTP APIs --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cors:
    """Which pages may ask."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class HttpIntegration:
    """What is behind a route of an HTTP API."""

    kind: str
    uri: str
    method: str = "ANY"
    payload_version: str = "1.0"
    timeout_s: float = 30.0
    request_parameters: Mapping[str, str] = field(default_factory=dict)
    response_parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By status."""
    subtype: str | None = None


@dataclass(frozen=True, kw_only=True)
class HttpRoute:
    """A route of an HTTP API."""

    id: str
    key: str
    """``GET /pets/{id}``, or ``$default``."""
    integration: HttpIntegration | None = None
    authorization: str = "NONE"
    authorizer: Authorizer | None = None


@dataclass(frozen=True, kw_only=True)
class HttpApi:
    """An HTTP API."""

    id: str
    region: str
    stages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Their variables, by name."""
    routes: tuple[HttpRoute, ...] = ()
    cors: Cors | None = None
    is_disabled: bool = False
    """Whether its own address answers."""


@dataclass(frozen=True, kw_only=True)
class WebSocketApi:
    """A WebSocket API, of which nothing runs."""

    id: str
    region: str


# --- REST APIs --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class IntegrationResponse:
    """How an integration's answer becomes the method's."""

    status: int
    pattern: str | None = None
    """Of what it is chosen by; ``None`` for all that no other is chosen for."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str | None] = field(default_factory=dict)
    content_handling: str | None = None


@dataclass(frozen=True, kw_only=True)
class RestIntegration:
    """What is behind a method of a REST API."""

    kind: str
    uri: str
    method: str | None = None
    timeout_s: float = 29.0
    passthrough: str = "WHEN_NO_MATCH"
    parameters: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str | None] = field(default_factory=dict)
    content_handling: str | None = None
    responses: tuple[IntegrationResponse, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of a resource."""

    name: str
    """Of HTTP, or ``ANY``."""
    integration: RestIntegration | None = None
    authorization: str = "NONE"
    authorizer: Authorizer | None = None
    needs_key: bool = False
    parameters: Mapping[str, bool] = field(default_factory=dict)
    """By ``method.request.header.x`` and its like: whether it must be there."""
    models: Mapping[str, str] = field(default_factory=dict)
    """JSON schemas, by content type."""
    validates_body: bool = False
    validates_parameters: bool = False


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource of a REST API."""

    id: str
    path: str
    methods: Mapping[str, Method] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GatewayResponse:
    """How an error of the gateway itself is told, where its owner said so."""

    status: int | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A REST API as it was when it was deployed."""

    resources: tuple[Resource, ...] = ()
    binary_types: tuple[str, ...] = ()
    gateway_responses: Mapping[str, GatewayResponse] = field(default_factory=dict)
    schemas: Mapping[str, Any] = field(default_factory=dict)
    """Models by name, for those that refer to each other."""
    key_source: str = "HEADER"


@dataclass(frozen=True, kw_only=True)
class RestStage:
    """A stage of a REST API."""

    name: str
    deployed: Deployed
    variables: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    """The API keys of its usage plans: identifiers by value."""


@dataclass(frozen=True, kw_only=True)
class RestApi:
    """A REST API."""

    id: str
    region: str
    stages: Mapping[str, RestStage] = field(default_factory=dict)
    is_disabled: bool = False


Api = HttpApi | RestApi | WebSocketApi
