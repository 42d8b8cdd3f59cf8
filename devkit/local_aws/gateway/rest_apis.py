"""Calls to REST APIs: stage, method, authorizer, API key, validator, integration."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

from devkit.local_aws.gateway import authorizing, rest_errors
from devkit.local_aws.gateway.events import Place
from devkit.local_aws.gateway.invoking import Invoker
from devkit.local_aws.gateway.messages import Answer, DevkitRefusal, Request
from devkit.local_aws.gateway.outbound import Outbound
from devkit.local_aws.gateway.rest_errors import Failed, rendered, with_identifiers
from devkit.local_aws.gateway.rest_integrations import Asked, Integrations
from devkit.local_aws.gateway.rest_routing import Matched, resource_of, stage_of
from devkit.local_aws.gateway.rest_validation import key_of, require_valid
from devkit.local_aws.gateway.values import Authorizer, Method, RestApi, RestStage
from devkit.local_aws.services import OnSpan

_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())


_DENIED = "User is not authorized to access this resource"


@dataclass(frozen=True, kw_only=True)
class _Allowed:
    place: Place
    usage_key: str | None = None
    """The API key, where the authorizer says it."""


class RestApis:
    """Answers calls to REST APIs.

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
        self._integrations = Integrations(invoker, outbound)
        self._authorizers = authorizers
        self._on_span = on_span

    async def answer(self, api: RestApi, request: Request) -> Answer:
        """The answer to a call, whatever happens to it.

        Raises:
            DevkitRefusal: AWS would do what devkit does not.
        """
        try:
            return with_identifiers(await self._answer(api, request), request)
        except Failed as failed:
            return rendered(failed, api, request)
        except DevkitRefusal:
            raise
        except Exception:
            _LOGGER.exception("a REST API failed")
            return rendered(rest_errors.not_invoked(), api, request)

    async def _answer(self, api: RestApi, request: Request) -> Answer:
        stage, path = stage_of(api, request.path)
        if stage is None or api.is_disabled:
            raise rest_errors.forbidden()
        matched = resource_of(stage.deployed, path)
        method = matched.method(request.method) if matched else None
        if matched is None or method is None:
            raise rest_errors.no_method()
        place = _place(api, stage, matched, request, path)
        allowed = await self._authorized(api, method, request, place, path)
        by_authorizer = stage.deployed.key_source == "AUTHORIZER"
        given = allowed.usage_key if by_authorizer else request.headers.get("x-api-key")
        key = key_of(method, stage.keys, given)
        require_valid(method, request, matched.parameters, stage.deployed.schemas)
        if method.integration is None:
            raise rest_errors.misconfigured()
        return await self._integrations.answer(
            Asked(
                request=request,
                place=allowed.place,
                region=api.region,
                integration=method.integration,
                binary_types=stage.deployed.binary_types,
                key=key,
            )
        )

    # --- who may ask ----------------------------------------------------------------------------

    async def _authorized(
        self, api: RestApi, method: Method, request: Request, place: Place, path: str
    ) -> _Allowed:
        if method.authorization == "COGNITO_USER_POOLS":
            raise DevkitRefusal(
                f"{method.name} {place.resource_path} has a Cognito authorizer, which devkit does "
                "not implement. Use a Lambda authorizer here."
            )
        authorizer = method.authorizer
        if method.authorization != "CUSTOM":
            return _Allowed(place=place)
        if authorizer is None:  # it had been deleted
            raise Failed("AUTHORIZER_CONFIGURATION_ERROR", None)
        identity = _identity(authorizer, request, place)
        arn = authorizing.method_arn(api.region, place, request, path)
        event = authorizing.rest_event(authorizer, request, place, arn, identity or ())
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
            raise _unauthorized() from None
        except authorizing.AuthorizerFailed:
            raise Failed("AUTHORIZER_CONFIGURATION_ERROR", None) from None
        finally:
            took_s = time.perf_counter() - begun
            self._on_span(request.trace.root, "authorizer", took_s)
        if verdict != "allowed":
            denied = " with an explicit deny" if verdict == "explicitDeny" else ""
            raise Failed("ACCESS_DENIED", f"{_DENIED}{denied}", member="Message")
        context = {
            "principalId": said.principal,
            "integrationLatency": int(took_s * 1000),
            **{name: _text(value) for name, value in said.context.items()},
        }
        return _Allowed(place=replace(place, authorizer=context), usage_key=said.usage_key)


def _identity(authorizer: Authorizer, request: Request, place: Place) -> list[str] | None:
    """Who asks; where nothing is kept, an authorizer of whole requests does without.

    Raises:
        Failed: The request does not say.
    """
    identity = authorizing.identity_of(authorizer, request, place)
    is_token = authorizer.kind == "TOKEN"
    if identity is None and not is_token and authorizer.ttl_s == 0:
        return None
    if identity is None or (is_token and not identity):
        raise _unauthorized()
    if is_token and not authorizing.matches(authorizer.pattern, identity[0]):
        raise _unauthorized()
    return identity


def _unauthorized() -> Failed:
    return Failed("UNAUTHORIZED", "Unauthorized")


def _text(value: object) -> str:
    """What authorizers say reaches functions as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _place(api: RestApi, stage: RestStage, matched: Matched, request: Request, path: str) -> Place:
    return Place(
        api_id=api.id,
        stage=stage.name,
        route_key=request.method,
        resource_path=matched.resource.path,
        resource_id=matched.resource.id,
        path=path,
        whole_path=request.path,
        parameters=matched.parameters,
        variables=stage.variables,
    )


def is_for_pages(api: RestApi, request: Request) -> bool:
    """Whether what is asked for has an OPTIONS method: it is there for browsers alone."""
    stage, path = stage_of(api, request.path)
    matched = resource_of(stage.deployed, path) if stage is not None else None
    return matched is not None and "OPTIONS" in matched.resource.methods
