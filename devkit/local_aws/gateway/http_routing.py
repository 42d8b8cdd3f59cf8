"""Which stage and which route of an HTTP API a request is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devkit.local_aws.gateway.paths import first_segment, pattern
from devkit.local_aws.gateway.values import HttpApi, HttpRoute

DEFAULT = "$default"
_ANY = "ANY"


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A path in a stage."""

    stage: str
    path: str
    """Below the stage, still encoded."""
    whole: str
    """As functions see it: with the stage's name, where that was not the default one."""


@dataclass(frozen=True, kw_only=True)
class Routed:
    """A route, and what its path's variables are."""

    route: HttpRoute
    parameters: Mapping[str, str]


def staged(api: HttpApi, path: str) -> Staged | None:
    """The stage that a path begins with, else the default one; ``None`` where there is none."""
    first, rest = first_segment(path)
    if first in api.stages:
        whole = rest if first == DEFAULT else path
        return Staged(stage=first, path=rest, whole=whole)
    if DEFAULT in api.stages:
        return Staged(stage=DEFAULT, path=path, whole=path)
    return None


def route_of(api: HttpApi, method: str, path: str) -> Routed | None:
    """The route that AWS takes: a full match, else a greedy one, else the default one.

    Args:
        api: The API.
        method: The request's.
        path: Below the stage, still encoded.
    """
    best: tuple[tuple[tuple[int, ...], bool], Routed] | None = None
    default: Routed | None = None
    for route in api.routes:
        if route.key == DEFAULT:
            default = Routed(route=route, parameters={})
            continue
        wanted, _, template = route.key.partition(" ")
        if wanted not in (method, _ANY):
            continue
        form = pattern(template)
        found = form.match(path)
        rank = (form.rank, wanted == _ANY)
        if found is not None and (best is None or rank < best[0]):
            best = (rank, Routed(route=route, parameters=found))
    return best[1] if best else default
