"""What a function is, as it is run: read from what moto holds, again whenever that has changed."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from devkit.contract import LOCAL_ACCOUNT
from devkit.local_aws.errors import AwsError
from devkit.local_aws.services import Objects

LATEST = "$LATEST"
_REFERENCE = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:\d{12}:)?"
    r"(?:function:)?(?P<name>[a-zA-Z0-9_-]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?"
)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A zip archive: a function's code, or a layer."""

    sha256: str
    """In hexadecimal."""
    content: bytes = field(repr=False, compare=False)

    @classmethod
    def of(cls, content: bytes) -> Archive:
        """The archive with this content."""
        return cls(sha256=hashlib.sha256(content).hexdigest(), content=content)

    @property
    def sha256_base64(self) -> str:
        """As AWS's answers have it."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()


@dataclass(frozen=True, kw_only=True)
class ContainerImage:
    """A function's image, with what of it the function overrides."""

    uri: str
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AfterEvents:
    """What becomes of asynchronous invocations."""

    retries: int = 2
    max_age_s: int = 21_600
    on_success: str | None = None
    """An ARN."""
    on_failure: str | None = None
    """Likewise."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A version of a function. Two that are equal can be run by the same instances."""

    name: str
    region: str
    version: str
    runtime: str
    handler: str
    code: Archive | ContainerImage
    layers: tuple[Archive, ...]
    """Later ones lie over earlier ones."""
    memory_mb: int
    timeout_s: int
    environment: Mapping[str, str]
    role: str
    reserved_concurrency: int | None = field(default=None, compare=False)
    after_events: AfterEvents = field(default=AfterEvents(), compare=False)

    @property
    def arn(self) -> str:
        """Without a version."""
        return function_arn(self.region, self.name)

    @property
    def log_group(self) -> str:
        """Where its lines go."""
        return f"/aws/lambda/{self.name}"


@dataclass(frozen=True)
class Reference:
    """A function as an API's ``FunctionName`` names it."""

    region: str
    name: str
    qualifier: str | None

    @property
    def arn(self) -> str:
        """With the qualifier, if there is one."""
        arn = function_arn(self.region, self.name)
        return f"{arn}:{self.qualifier}" if self.qualifier else arn

    @classmethod
    def parse(cls, text: str, *, region: str, qualifier: str | None = None) -> Reference:
        """A function by its name or its ARN, whole or in part, with or without a qualifier.

        Args:
            text: The name.
            region: Where it is, where the name does not say it.
            qualifier: A version or alias, where the name does not say it.

        Raises:
            AwsError: It is none.
        """
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{text}' at 'functionName' failed to satisfy "
                f"constraint: Member must satisfy regular expression pattern: {_REFERENCE.pattern}",
            )
        if match["qualifier"] and qualifier and match["qualifier"] != qualifier:
            raise AwsError(
                "InvalidParameterValueException",
                "The derived qualifier from the function name does not match the specified "
                "qualifier.",
            )
        return cls(match["region"] or region, match["name"], match["qualifier"] or qualifier)


def function_arn(region: str, name: str) -> str:
    """A function's ARN."""
    return f"arn:aws:lambda:{region}:{LOCAL_ACCOUNT}:function:{name}"


def not_found(reference: Reference) -> AwsError:
    """There is no such function, version or alias."""
    return AwsError(
        "ResourceNotFoundException",
        f"Function not found: {reference.arn}",
        HTTPStatus.NOT_FOUND,
        {"Type": "User"},
    )


@dataclass(frozen=True)
class _Choice:
    """What a version or an alias leads to: mostly one version; an alias may give some to others."""

    versions: Sequence[Definition]
    weights: Sequence[float]


class Definitions:
    """All functions; belongs to one event loop.

    Args:
        objects: What moto holds.
        draw: Gives a number between 0 and 1, for the weights of an alias.
    """

    def __init__(self, objects: Objects, draw: Callable[[], float] = random.random) -> None:
        self._objects = objects
        self._draw = draw
        self._revision = -1
        self._choices: dict[Reference, _Choice] = {}

    async def find(self, reference: Reference) -> Definition:
        """The version of a function that a reference leads to.

        Raises:
            AwsError: There is none.
        """
        revision = self._objects.revision
        if revision != self._revision:
            self._choices.clear()
            self._revision = revision
        choice = self._choices.get(reference)
        if choice is None:
            choice = await self._objects.look(lambda: _read(reference))
            if revision == self._revision:
                self._choices[reference] = choice
        if len(choice.versions) == 1:
            return choice.versions[0]
        drawn = self._draw()
        for version, weight in zip(choice.versions, choice.weights, strict=True):
            if drawn < weight:
                return version
            drawn -= weight
        return choice.versions[0]


def _read(reference: Reference) -> _Choice:
    """In a thread of moto's; a function may be changed by another one meanwhile."""
    from moto.awslambda.utils import get_backend  # noqa: PLC0415 - moto is there when this is called

    backend: Any = get_backend(LOCAL_ACCOUNT, reference.region)
    group = backend._lambdas._functions.get(reference.name)
    latest = group and group["latest"]
    if not latest:
        raise not_found(reference)

    def version(number: str) -> Definition:
        versions = {str(each.version): each for each in group["versions"]}
        found = latest if number == LATEST else versions.get(number)
        if found is None:
            raise not_found(reference)
        return _definition(backend, found, latest, number)

    qualifier = reference.qualifier or LATEST
    alias = backend._lambdas._aliases[latest.function_arn].get(qualifier)
    if alias is None:
        return _Choice([version(qualifier)], [1.0])
    others = (alias.routing_config or {}).get("AdditionalVersionWeights") or {}
    weights = [1.0 - sum(others.values()), *others.values()]
    return _Choice([version(str(alias.function_version)), *map(version, others)], weights)


def _definition(backend: Any, function: Any, latest: Any, version: str) -> Definition:
    return Definition(
        name=function.function_name,
        region=function.region,
        version=version,
        runtime=function.run_time or "",
        handler=function.handler or "",
        code=_code(function),
        layers=tuple(_layer(backend, each["Arn"]) for each in function.layers),
        memory_mb=int(function.memory_size),
        timeout_s=int(function.timeout),
        environment=dict(function.environment_vars),
        role=function.role,
        reserved_concurrency=_number(latest.reserved_concurrency),
        after_events=_after_events(latest.event_invoke_config),
    )


def _code(function: Any) -> Archive | ContainerImage:
    uri = function.code.get("ImageUri")
    if uri is None:
        return Archive.of(function.code_bytes)
    config = function.image_config
    return ContainerImage(
        uri=uri, entrypoint=tuple(config.entry_point) or None, command=tuple(config.cmd)
    )


def _layer(backend: Any, arn: str) -> Archive:
    layer = backend.layers_versions_by_arn(arn)
    if layer is None:  # deleted; AWS lets functions keep it, and moto does not
        raise AwsError("ResourceNotFoundException", f"Layer version {arn} does not exist.", 404)
    return Archive.of(layer.code_bytes)


def _after_events(configs: Sequence[Any]) -> AfterEvents:
    if not configs:
        return AfterEvents()
    given = configs[-1].config
    destinations = given.get("DestinationConfig") or {}
    default = AfterEvents()
    return AfterEvents(
        retries=given.get("MaximumRetryAttempts", default.retries),
        max_age_s=given.get("MaximumEventAgeInSeconds", default.max_age_s),
        on_success=(destinations.get("OnSuccess") or {}).get("Destination"),
        on_failure=(destinations.get("OnFailure") or {}).get("Destination"),
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
