"""Lambda authorizers: what they are asked, what their answers mean, and how long those hold."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from devkit.contract import LOCAL_ACCOUNT
from devkit.local_aws import policies
from devkit.local_aws.errors import AwsError
from devkit.local_aws.gateway.events import Event, Place, payload_1, payload_2, rest_context
from devkit.local_aws.gateway.invoking import Invoker, NoFunction, TimedOut
from devkit.local_aws.gateway.mapping import context_value
from devkit.local_aws.gateway.messages import Request
from devkit.local_aws.gateway.values import Authorizer

_ACTION = "execute-api:Invoke"
_TIMEOUT_S = 29.0
_ENTRIES = 1000

Verdict = Literal["allowed", "explicitDeny", "implicitDeny"]


class Unauthorized(Exception):
    """Nothing in the request says who asks, or the authorizer does not know them: 401."""


class AuthorizerFailed(Exception):
    """The authorizer failed, or said what means nothing: 500."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What an authorizer answered."""

    principal: str = ""
    policy: Mapping[str, Any] | None = None
    """What of the API they may use; ``None`` where there was a plain yes or no."""
    yes: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    usage_key: str | None = None

    def verdict(self, arn: str) -> Verdict:
        """Whether a method may be called.

        Raises:
            AuthorizerFailed: The policy cannot be evaluated.
        """
        if self.policy is None:
            return "allowed" if self.yes else "explicitDeny"
        policy = policies.Policy(name="authorizer", kind="none", document=self.policy)
        try:
            return policies.evaluate([policy], _ACTION, arn, {}).decision
        except policies.Unsupported as error:
            raise AuthorizerFailed(str(error)) from None


def method_arn(region: str, place: Place, request: Request, path: str) -> str:
    """The method that is asked for, as policies name it."""
    parts = (place.api_id, place.stage, request.method, path.lstrip("/"))
    return f"arn:aws:execute-api:{region}:{LOCAL_ACCOUNT}:{'/'.join(parts)}"


# --- what they are asked ------------------------------------------------------------------------


def http_event(
    authorizer: Authorizer, request: Request, place: Place, arn: str, identity: Sequence[str]
) -> Event:
    """The event for an HTTP API's authorizer."""
    without_body = _without_body(request)
    if authorizer.payload_version == "2.0":
        event = payload_2(without_body, place)
        del event["isBase64Encoded"]
        asked = {"version": "2.0", "type": "REQUEST", "routeArn": arn}
        return {**asked, "identitySource": list(identity) or None, **event}
    event = payload_1(without_body, place)
    who = ",".join(identity)
    asked = {"version": "1.0", "type": "REQUEST", "methodArn": arn}
    del event["body"], event["isBase64Encoded"]
    return {**event, **asked, "identitySource": who, "authorizationToken": who}


def rest_event(
    authorizer: Authorizer, request: Request, place: Place, arn: str, identity: Sequence[str]
) -> Event:
    """The event for a REST API's authorizer."""
    if authorizer.kind == "TOKEN":
        return {"type": "TOKEN", "authorizationToken": identity[0], "methodArn": arn}
    return {"type": "REQUEST", "methodArn": arn, **rest_context(request, place)}


def _without_body(request: Request) -> Request:
    return replace(request, body=b"")


def identity_of(authorizer: Authorizer, request: Request, place: Place) -> list[str] | None:
    """What in the request says who asks; ``None`` where part of it is missing."""
    found = [_identity(source, request, place) for source in authorizer.identity]
    return None if any(not each for each in found) else [each for each in found if each]


def _identity(source: str, request: Request, place: Place) -> str | None:
    """``$request.header.x`` of HTTP APIs, ``method.request.header.x`` of REST APIs."""
    name = source.strip().removeprefix("$").removeprefix("method.").removeprefix("request.")
    kind, _, member = name.partition(".")
    if kind == "header":
        return request.headers.joined(member)
    if kind == "querystring":
        return ",".join(request.argument_lists.get(member, ()))
    if kind.lower() == "stagevariables":
        return place.variables.get(member)
    return context_value(member, request, place) if kind == "context" else None


# --- what they say ------------------------------------------------------------------------------


def said(payload: bytes, *, simple: bool) -> Said:
    """What an authorizer's result means.

    Raises:
        AuthorizerFailed: Nothing.
    """
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        raise AuthorizerFailed("the authorizer's result is not JSON") from None
    if not isinstance(document, dict):
        raise AuthorizerFailed("the authorizer's result is no object")
    context = document.get("context") or {}
    if not isinstance(context, dict):
        raise AuthorizerFailed("the authorizer's context is no object")
    if simple:
        if not isinstance(document.get("isAuthorized"), bool):
            raise AuthorizerFailed("the authorizer's isAuthorized is neither true nor false")
        return Said(yes=document["isAuthorized"], context=context)
    policy = document.get("policyDocument")
    if not isinstance(policy, dict):
        raise AuthorizerFailed("the authorizer's policyDocument is no object")
    return Said(
        principal=str(document.get("principalId") or ""),
        policy=policy,
        context=context,
        usage_key=document.get("usageIdentifierKey"),
    )


class Authorizers:
    """Asks them, and keeps their answers for as long as they hold.

    Args:
        invoker: Invokes functions.
        clock: Tells the time.
    """

    def __init__(self, invoker: Invoker, clock: Callable[[], float] = time.monotonic) -> None:
        self._invoker = invoker
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[float, Said]] = {}

    async def ask(
        self,
        authorizer: Authorizer,
        event: Event,
        *,
        region: str,
        place: Place,
        trace: str,
        identity: Sequence[str] | None,
    ) -> Said:
        """What an authorizer says.

        Args:
            authorizer: The authorizer.
            event: What it is asked.
            region: Where the API is.
            place: In the API.
            trace: Of the request.
            identity: Who asks; an answer to nobody is not kept.

        Raises:
            Unauthorized: It does not know them.
            AuthorizerFailed: It failed.
        """
        key = (place.api_id, place.stage, authorizer.id, authorizer.uri or "", *(identity or ()))
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        answered = await self._ask(authorizer, event, region, place, trace)
        if authorizer.ttl_s > 0 and identity:
            if len(self._kept) >= _ENTRIES:
                self._kept.clear()
            self._kept[key] = (self._clock() + authorizer.ttl_s, answered)
        return answered

    async def _ask(
        self, authorizer: Authorizer, event: Event, region: str, place: Place, trace: str
    ) -> Said:
        try:
            answer = await self._invoker.invoke(
                authorizer.uri or "",
                json.dumps(event).encode(),
                variables=place.variables,
                region=region,
                trace=trace,
                timeout_s=_TIMEOUT_S,
            )
        except (AwsError, NoFunction, TimedOut) as error:
            raise AuthorizerFailed(str(error)) from error
        if answer.error is not None:
            if _says_unauthorized(answer.payload):
                raise Unauthorized
            raise AuthorizerFailed(answer.payload.decode(errors="replace"))
        return said(answer.payload, simple=authorizer.simple)

    def forget(self) -> None:
        """Ask again."""
        self._kept.clear()


def matches(pattern: str | None, token: str) -> bool:
    """Whether a token has the form that its authorizer asks for."""
    try:
        return pattern is None or re.fullmatch(pattern, token) is not None
    except re.error:
        return True


def _says_unauthorized(payload: bytes) -> bool:
    """By throwing an error with that very text a function asks for a 401."""
    try:
        document = json.loads(payload)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("errorMessage") == "Unauthorized"
