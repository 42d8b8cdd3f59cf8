"""Which stage, resource and method of a REST API a request is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devkit.local_aws.gateway.paths import first_segment, pattern
from devkit.local_aws.gateway.values import Deployed, Method, Resource, RestApi, RestStage

ANY = "ANY"


@dataclass(frozen=True, kw_only=True)
class Matched:
    """A resource, and what its path's variables are."""

    resource: Resource
    parameters: Mapping[str, str]

    def method(self, name: str) -> Method | None:
        """What answers a method of HTTP."""
        return self.resource.methods.get(name) or self.resource.methods.get(ANY)


def stage_of(api: RestApi, path: str) -> tuple[RestStage | None, str]:
    """The stage that a path begins with, and the path below it, still encoded."""
    name, rest = first_segment(path)
    return api.stages.get(name), rest


def resource_of(deployed: Deployed, path: str) -> Matched | None:
    """The most specific resource that has methods; a slash at the end of a path means nothing."""
    trimmed = path.rstrip("/") or "/"
    best: tuple[tuple[int, ...], Matched] | None = None
    for resource in deployed.resources:
        if not resource.methods:
            continue
        form = pattern(resource.path)
        found = form.match(path if form.is_greedy else trimmed)
        if found is not None and (best is None or form.rank < best[0]):
            best = (form.rank, Matched(resource=resource, parameters=found))
    return best[1] if best else None
