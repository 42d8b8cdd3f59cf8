"""REST's parameter mapping, both ways: ``integration.request.…``, ``method.response.…``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from devkit.local_aws.gateway.json_paths import first_value
from devkit.local_aws.gateway.mapping import text_of
from devkit.local_aws.gateway.messages import Answer, Request

Lookup = Callable[[str], str | None]


@dataclass(frozen=True)
class Parameters:
    """What an integration's request is made with."""

    header: dict[str, str] = field(default_factory=dict)
    querystring: dict[str, str] = field(default_factory=dict)
    path: dict[str, str] = field(default_factory=dict)

    def overridden(self, overrides: Mapping[str, Any]) -> Parameters:
        """The same with what a template set in ``$context.requestOverride``."""

        def merged(name: str) -> dict[str, str]:
            changes = overrides.get(name) or {}
            return {**getattr(self, name), **{k: str(v) for k, v in changes.items()}}

        return Parameters(merged("header"), merged("querystring"), merged("path"))


def request_parameters(
    wanted: Mapping[str, str], request: Request, path: Mapping[str, str], within: Lookup
) -> Parameters:
    """The parameters of an integration's request.

    Args:
        wanted: Sources by ``integration.request.KIND.NAME``.
        request: The method's.
        path: Its path's variables.
        within: Gives ``context.x`` and ``stageVariables.x``.
    """
    found = Parameters()
    for target, source in wanted.items():
        kind, _, name = target.removeprefix("integration.request.").partition(".")
        value = _source(source, within, "method.request.", lambda k, n: _asked(k, n, request, path))
        if value is not None and kind in ("header", "querystring", "path"):
            getattr(found, kind)[name] = value
    return found


def response_headers(
    wanted: Mapping[str, str], answer: Answer, within: Lookup
) -> Iterator[tuple[str, str]]:
    """The headers of a method's response.

    Args:
        wanted: Sources by ``method.response.header.NAME``.
        answer: The integration's.
        within: Gives ``context.x`` and ``stageVariables.x``.
    """
    for target, source in wanted.items():
        value = _source(source, within, "integration.response.", lambda k, n: _given(k, n, answer))
        if value is not None:
            yield target.removeprefix("method.response.header."), value


def _source(
    source: str, within: Lookup, prefix: str, get: Callable[[str, str], str | None]
) -> str | None:
    if source.startswith("'") and source.endswith("'"):
        return source[1:-1]
    if source.startswith(prefix):
        kind, _, name = source.removeprefix(prefix).partition(".")
        return get(kind, name)
    return within(source)


def _asked(kind: str, name: str, request: Request, path: Mapping[str, str]) -> str | None:
    if kind == "header":
        return request.headers.get(name)
    if kind == "multivalueheader":
        return request.headers.joined(name)
    if kind in ("querystring", "multivaluequerystring"):
        values = request.argument_lists.get(name)
        return None if not values else values[-1] if kind == "querystring" else ",".join(values)
    return path.get(name) if kind == "path" else _body(name, request.body)


def _given(kind: str, name: str, answer: Answer) -> str | None:
    if kind == "header":
        return answer.headers.get(name)
    return answer.headers.joined(name) if kind == "multivalueheader" else _body(name, answer.body)


def _body(path: str, body: bytes) -> str | None:
    if not path:
        return body.decode(errors="replace")
    value = first_value(body, f"$.{path}")
    return None if value is None else text_of(value)
