"""AWS's own descriptions of its APIs, as botocore carries them: services, operations, shapes.

They are read when they are first asked for; that takes up to a tenth of a second for a large one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, unquote

from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from devkit.local_aws.errors import Protocol
from devkit.local_aws.routing import Head, Route
from devkit.local_aws.service_names import candidates

_LABEL = re.compile(r"\{(\w+)(\+?)\}")
_PROTOCOLS: Mapping[str, Protocol] = {
    "json": "json",
    "query": "query",
    "ec2": "ec2",
    "rest-json": "rest-json",
    "rest-xml": "rest-xml",
    "smithy-rpc-v2-cbor": "smithy-rpc-v2-cbor",
}


@dataclass(frozen=True)
class Match:
    """An operation that method and path name, with the labels of the path."""

    operation: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Identified:
    """What a request is: a service by botocore's name, and where it could be told the operation."""

    service: str
    api: Api | None
    """``None`` where nobody has described the service."""
    operation: str | None
    labels: Mapping[str, str]
    protocol: Protocol
    """The one that the request is written in, and so its answer has to be."""

    @property
    def known_operation(self) -> str | None:
        """The operation, where the service's description has it."""
        known = self.api is not None and self.operation in self.api.operation_names
        return self.operation if known else None


class Api:
    """One service's description."""

    def __init__(self, name: str, model: ServiceModel) -> None:
        self.name = name
        self.model = model
        self.operation_names = frozenset(model.operation_names)

    @property
    def target_prefix(self) -> str | None:
        """What precedes an operation in ``X-Amz-Target``."""
        prefix = self.model.metadata.get("targetPrefix")
        return None if prefix is None else str(prefix)

    @property
    def version(self) -> str:
        """Such as ``2011-06-15``."""
        return str(self.model.metadata["apiVersion"])

    @property
    def json_version(self) -> str:
        """Of ``application/x-amz-json-…``."""
        return str(self.model.metadata.get("jsonVersion", "1.1"))

    @property
    def own_protocol(self) -> Protocol:
        """The one that botocore speaks with it."""
        if self.name == "s3":
            return "s3"
        return _PROTOCOLS[str(self.model.resolved_protocol)]

    def operation(self, name: str) -> OperationModel:
        """The description of an operation."""
        return self.model.operation_model(name)

    def match(self, head: Head) -> Match | None:
        """The operation that method and path name; the most literal one."""
        query = head.arguments
        incomplete = None
        for rule in self._rules:
            labels = rule.match(head.method, head.path, query)
            if labels is not None:
                if rule.wanted <= query.keys():
                    return Match(rule.operation, labels)
                incomplete = incomplete or Match(rule.operation, labels)
        return incomplete

    @cached_property
    def _rules(self) -> tuple[_Rule, ...]:
        rules = [_Rule.of(self.operation(name)) for name in self.operation_names]
        return tuple(sorted(rules, key=lambda rule: rule.rank))


@dataclass(frozen=True)
class _Rule:
    operation: str
    method: str
    pattern: re.Pattern[str]
    required: tuple[tuple[str, str], ...]
    """Arguments of the query string; one without a value may have any."""
    wanted: frozenset[str]
    """Arguments that the operation cannot do without; they tell it from one that can."""
    rank: tuple[int | str, ...]

    @classmethod
    def of(cls, operation: OperationModel) -> _Rule:
        path, _, query = str(operation.http["requestUri"]).partition("?")
        required = tuple(parse_qsl(query, keep_blank_values=True))
        literal = _LABEL.sub("", path)
        greedy = sum(1 for match in _LABEL.finditer(path) if match[2])
        wanted, name = frozenset(_wanted(operation)), str(operation.name)
        return cls(
            operation=name,
            method=str(operation.http["method"]),
            pattern=re.compile("".join(_pattern(path.rstrip("/") or "/")) + "/?"),
            required=required,
            wanted=wanted,
            rank=(-len(required), greedy, -literal.count("/"), -len(literal), -len(wanted), name),
        )

    def match(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, str] | None:
        if method != self.method:
            return None
        if any(n not in query or (v and query[n] != v) for n, v in self.required):
            return None
        found = self.pattern.fullmatch(path or "/")
        return None if found is None else {k: unquote(v) for k, v in found.groupdict().items()}


def _wanted(operation: OperationModel) -> Iterator[str]:
    shape = operation.input_shape
    for name in () if shape is None else shape.required_members:
        member = shape.members[name]
        if member.serialization.get("location") == "querystring":
            yield str(member.serialization.get("name", name))


def _pattern(path: str) -> Iterator[str]:
    end = 0
    for label in _LABEL.finditer(path):
        yield re.escape(path[end : label.start()])
        yield f"(?P<{label[1]}>{'.+' if label[2] else '[^/]+'})"
        end = label.end()
    yield re.escape(path[end:])


class Models:
    """All descriptions, read once each; may be asked from several threads."""

    def __init__(self) -> None:
        # Only what botocore brings: neither AWS_DATA_PATH nor ~/.aws/models.
        self._loader = Loader(
            extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False
        )
        self._apis: dict[str, Api | None] = {}
        self._lock = threading.Lock()

    def api(self, name: str) -> Api | None:
        """The description of a service by botocore's name for it."""
        with self._lock:
            if name not in self._apis:
                self._apis[name] = self._read(name)
            return self._apis[name]

    def identify(self, route: Route, head: Head) -> Identified:
        """What a request is."""
        apis = [api for name in candidates(route.signing_name) if (api := self.api(name))]
        if not apis:
            return Identified(
                service=route.signing_name,
                api=None,
                operation=route.operation,
                labels={},
                protocol=_written_in(route, None),
            )
        api, match = _meant(apis, route, head)
        return Identified(
            service=api.name,
            api=api,
            operation=match.operation if match else route.operation,
            labels=match.labels if match else {},
            protocol=_written_in(route, api),
        )

    def _read(self, name: str) -> Api | None:
        try:
            description = self._loader.load_service_model(name, "service-2")
        except (UnknownServiceError, DataNotFoundError):
            return None
        return Api(name, ServiceModel(description, service_name=name))


def _meant(apis: list[Api], route: Route, head: Head) -> tuple[Api, Match | None]:
    """Which of the services that are signed alike: they differ in target, version and paths."""
    if route.wire == "rest":
        for api in apis:
            match = api.match(head)
            if match is not None:
                return api, match
        return apis[0], None
    for api in apis:
        if route.target is not None and api.target_prefix == route.target:
            return api, None
        if route.version is not None and api.version == route.version:
            return api, None
    return next((api for api in apis if route.operation in api.operation_names), apis[0]), None


def _written_in(route: Route, api: Api | None) -> Protocol:
    if route.wire == "json":
        return "json"
    if route.wire == "cbor":
        return "smithy-rpc-v2-cbor"
    own: Protocol = api.own_protocol if api is not None else "rest-json"
    if route.wire == "query":
        return own if own == "ec2" else "query"
    return own
