"""APIs out of moto's records; the only module of this package that reads moto's objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from devkit.contract import LOCAL_ACCOUNT
from devkit.local_aws.gateway.values import (
    Api,
    Authorizer,
    Cors,
    Deployed,
    GatewayResponse,
    HttpApi,
    HttpIntegration,
    HttpRoute,
    IntegrationResponse,
    Method,
    Resource,
    RestApi,
    RestIntegration,
    RestStage,
    WebSocketApi,
)
from devkit.local_aws.services import Objects

DEPLOYED = "devkit_deployed"
"""The attribute of moto's deployments that ``snapshots`` adds."""

_ANY_OF_OPENAPI = "X-AMAZON-APIGATEWAY-ANY-METHOD"
_ATTEMPTS = 20
_MS = 1000
_T = TypeVar("_T")


class Definitions:
    """APIs by identifier, read again when moto may have changed.

    Args:
        objects: What moto holds.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._revision = -1
        self._read: dict[str, Api] = {}

    async def get(self, api_id: str) -> Api | None:
        """An API; ``None`` where there is none."""
        revision = self._objects.revision
        if revision != self._revision:
            self._revision, self._read = revision, {}
        if api_id in self._read:
            return self._read[api_id]
        read = self._read
        api = await self._objects.look(lambda: _steadily(lambda: _find(api_id)))
        if api is not None:
            read[api_id] = api
        return api


def _steadily(reading: Callable[[], _T]) -> _T:
    """Read while other threads write: what has changed meanwhile is read anew."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(RuntimeError):  # a dictionary that grew
            return reading()
    return reading()


def _find(api_id: str) -> Api | None:
    from moto.apigateway.models import apigateway_backends  # noqa: PLC0415 - moto takes 0.4 s
    from moto.apigatewayv2.models import apigatewayv2_backends  # noqa: PLC0415

    for region, backend in list(apigatewayv2_backends[LOCAL_ACCOUNT].items()):
        if api_id in backend.apis:
            return _http_api(backend.apis[api_id], region)
    for region, rest in list(apigateway_backends[LOCAL_ACCOUNT].items()):
        if api_id in rest.apis:
            return _rest_api(rest.apis[api_id], rest, region)
    return None


# --- HTTP APIs ----------------------------------------------------------------------------------


def _http_api(api: Any, region: str) -> HttpApi | WebSocketApi:
    if api.protocol_type != "HTTP":
        return WebSocketApi(id=api.api_id, region=region)
    return HttpApi(
        id=api.api_id,
        region=region,
        stages={name: dict(s.stage_variables or {}) for name, s in list(api.stages.items())},
        routes=tuple(_http_route(each, api) for each in list(api.routes.values())),
        cors=_cors(api.cors_configuration),
        is_disabled=api.disable_execute_api_endpoint in (True, "true"),
    )


def _cors(configuration: Mapping[str, Any] | None) -> Cors | None:
    if not configuration:
        return None
    return Cors(
        origins=_tuple(configuration.get("allowOrigins")),
        methods=_tuple(configuration.get("allowMethods")),
        headers=_tuple(configuration.get("allowHeaders")),
        expose=_tuple(configuration.get("exposeHeaders")),
        credentials=bool(configuration.get("allowCredentials")),
        max_age_s=configuration.get("maxAge"),
    )


def _http_route(route: Any, api: Any) -> HttpRoute:
    integration = api.integrations.get((route.target or "").removeprefix("integrations/"))
    authorizer = api.authorizers.get(route.authorizer_id)
    return HttpRoute(
        id=route.route_id,
        key=route.route_key.replace(_ANY_OF_OPENAPI, "ANY"),
        integration=None if integration is None else _http_integration(integration),
        authorization=route.authorization_type or "NONE",
        authorizer=None if authorizer is None else _http_authorizer(authorizer),
    )


def _http_integration(integration: Any) -> HttpIntegration:
    return HttpIntegration(
        kind=integration.integration_type.upper(),  # documents of OpenAPI have it in lower case
        uri=integration.integration_uri or "",
        method=integration.integration_method or "ANY",
        payload_version=integration.payload_format_version or "1.0",
        timeout_s=(integration.timeout_in_millis or 30_000) / _MS,
        request_parameters=dict(integration.request_parameters or {}),
        response_parameters={
            k: dict(v) for k, v in (integration.response_parameters or {}).items()
        },
        subtype=integration.integration_subtype,
    )


def _http_authorizer(authorizer: Any) -> Authorizer:
    return Authorizer(
        id=authorizer.id,
        kind=authorizer.authorizer_type,
        uri=authorizer.authorizer_uri,
        identity=_tuple(authorizer.identity_source),
        ttl_s=int(authorizer.auth_result_ttl or 0),
        payload_version=authorizer.auth_payload_format_version or "1.0",
        simple=bool(authorizer.enable_simple_response),
    )


# --- REST APIs ----------------------------------------------------------------------------------


def _rest_api(api: Any, backend: Any, region: str) -> RestApi:
    stages = {}
    for name, stage in list(api.stages.items()):
        deployment = api.deployments.get(stage.deployment_id)
        if deployment is not None:
            stages[name] = RestStage(
                name=name,
                deployed=getattr(deployment, DEPLOYED, None) or deployed(api),
                variables={k: str(v) for k, v in (stage.variables or {}).items()},
                keys=_keys(backend, api.id, name),
            )
    return RestApi(
        id=api.id, region=region, stages=stages, is_disabled=api.disableExecuteApiEndpoint is True
    )


def _keys(backend: Any, api_id: str, stage: str) -> dict[str, str]:
    found = {}
    for plan in list(backend.usage_plans.values()):
        if {"apiId": api_id, "stage": stage} not in [_place(each) for each in plan.api_stages]:
            continue
        for key_id in list(backend.usage_plan_keys.get(plan.id, {})):
            key = backend.keys.get(key_id)
            if key is not None and key.enabled:
                found[key.value] = key.id
    return found


def _place(api_stage: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiId": api_stage.get("apiId"), "stage": api_stage.get("stage")}


def deployed(api: Any) -> Deployed:
    """A REST API as it is at this moment, which is what a deployment keeps of it.

    Args:
        api: moto's record.
    """
    schemas = {name: _schema(model.schema) for name, model in list(api.models.items())}
    return Deployed(
        resources=tuple(_resource(each, api) for each in list(api.resources.values())),
        binary_types=_tuple(api.binaryMediaTypes),
        gateway_responses={
            name: _gateway_response(each) for name, each in list(api.gateway_responses.items())
        },
        schemas={name: schema for name, schema in schemas.items() if schema is not None},
        key_source=api.api_key_source or "HEADER",
    )


def _schema(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None


def _resource(resource: Any, api: Any) -> Resource:
    methods = list(resource.resource_methods.items())
    return Resource(
        id=resource.id,
        path=_path(resource, api),
        methods={_name(name): _method(_name(name), each, api) for name, each in methods},
    )


def _name(method: str) -> str:
    return "ANY" if method == _ANY_OF_OPENAPI else method


def _path(resource: Any, api: Any) -> str:
    """By its parents; moto itself asks the API as it is now, in which one may be gone."""
    parts: list[str] = []
    while resource is not None and resource.parent_id:
        parts.insert(0, resource.path_part)
        resource = api.resources.get(resource.parent_id)
    return "/" + "/".join(parts)


def _method(name: str, method: Any, api: Any) -> Method:
    validator = api.request_validators.get(method.request_validator_id)
    authorizer = api.authorizers.get(method.authorizer_id)
    integration = method.method_integration
    return Method(
        name=name,
        integration=None if integration is None else _rest_integration(integration),
        authorization=method.authorization_type or "NONE",
        authorizer=None if authorizer is None else _rest_authorizer(authorizer),
        needs_key=method.api_key_required in (True, "true"),
        parameters={k: v in (True, "true") for k, v in (method.request_parameters or {}).items()},
        models=dict(method.request_models or {}),
        validates_body=validator is not None and validator.validate_request_body is True,
        validates_parameters=validator is not None
        and validator.validate_request_parameters is True,
    )


def _rest_integration(integration: Any) -> RestIntegration:
    responses = list((integration.integration_responses or {}).values())
    return RestIntegration(
        kind=integration.integration_type.upper(),
        uri=integration.uri or "",
        method=integration.http_method,
        timeout_s=int(integration.timeout_in_millis or 29_000) / _MS,
        passthrough=integration.passthrough_behaviour or "WHEN_NO_MATCH",
        parameters=dict(integration.request_parameters or {}),
        templates=dict(integration.request_templates or {}),
        content_handling=integration.content_handling,
        responses=tuple(_integration_response(each) for each in responses),
    )


def _integration_response(response: Any) -> IntegrationResponse:
    return IntegrationResponse(
        status=int(response.status_code),
        pattern=response.selection_pattern or None,
        parameters=dict(response.response_parameters or {}),
        templates=dict(response.response_templates or {}),
        content_handling=response.content_handling,
    )


def _rest_authorizer(authorizer: Any) -> Authorizer:
    source = authorizer.identity_source or ""
    ttl = authorizer.authorizer_result_ttl
    return Authorizer(
        id=authorizer.id,
        kind=authorizer.type,
        uri=authorizer.authorizer_uri,
        identity=tuple(each.strip() for each in source.split(",") if each.strip()),
        ttl_s=300 if ttl is None else int(ttl),
        pattern=authorizer.identity_validation_expression,
    )


def _gateway_response(response: Any) -> GatewayResponse:
    return GatewayResponse(
        status=int(response.status_code) if response.status_code else None,
        parameters=dict(response.response_parameters or {}),
        templates=dict(response.response_templates or {}),
    )


def _tuple(values: Iterable[str] | str | None) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values or ())
