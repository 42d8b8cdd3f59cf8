"""Images into a registry, by the Docker SDK: push, and what the registry has then.

Credentials go with each request; the user's own Docker configuration is read by the SDK where there
are none, and never written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.errors import APIError
from docker.errors import NotFound as DockerNotFound

from devkit.engines.base import Image, OnLine
from devkit.engines.docker_connection import engine_errors
from devkit.errors import EngineError

_FORBIDDEN = (401, 403)
_PROGRESS_STEP = 5  # per cent
_WORTH_SAYING_BYTES = 1_000_000


@dataclass(frozen=True)
class Credentials:
    """What a registry is logged in to with."""

    username: str
    password: str = field(repr=False)

    def document(self) -> dict[str, str]:
        """As the SDK takes them."""
        return {"username": self.username, "password": self.password}


@dataclass(frozen=True)
class Manifest:
    """What a registry has under a name."""

    digest: str
    media_type: str


@dataclass(frozen=True)
class ImageFacts:
    """What an engine knows of an image."""

    architecture: str
    operating_system: str
    digests: tuple[str, ...]
    """``repository@digest`` of each place that it was pushed to or pulled from."""


def facts(client: docker.APIClient, image: Image) -> ImageFacts:
    """What the engine knows of an image."""
    with engine_errors(f"look at image {image.reference}"):
        found = client.inspect_image(image.id)  # type: ignore[no-untyped-call]
    return ImageFacts(
        architecture=str(found.get("Architecture", "")),
        operating_system=str(found.get("Os", "")),
        digests=tuple(found.get("RepoDigests") or ()),
    )


def push(
    client: docker.APIClient,
    image: Image,
    repository: str,
    tag: str,
    credentials: Credentials | None,
    on_line: OnLine,
) -> None:
    """Tag an image for a repository, and push it there.

    Raises:
        EngineError: The registry does not take it.
    """
    with engine_errors(f"push {image.reference} to {repository}"):
        client.tag(image.id, repository, tag, force=True)
        try:
            _push(client, repository, tag, credentials, on_line)
        except BaseException:
            with suppress(APIError):  # the name means nothing where the registry has no such image
                client.remove_image(f"{repository}:{tag}", noprune=True)
            raise


def manifest(
    client: docker.APIClient, reference: str, credentials: Credentials | None
) -> Manifest | None:
    """What a registry has under a name; ``None`` where that is nothing.

    Raises:
        EngineError: The registry does not answer, or does not let this user look.
    """
    with engine_errors(f"ask the registry for {reference}"):
        try:
            found = client.inspect_distribution(  # type: ignore[no-untyped-call]
                reference, auth_config=credentials and credentials.document()
            )
        except DockerNotFound:
            return None
        except APIError as error:
            if error.status_code in _FORBIDDEN:
                raise EngineError(
                    f"the registry does not let you look at {reference}: "
                    f"{error.explanation or error}",
                    remedy="log in to it: docker login",
                ) from error
            raise
    descriptor = found["Descriptor"]
    return Manifest(digest=str(descriptor["digest"]), media_type=str(descriptor["mediaType"]))


def _push(
    client: docker.APIClient,
    repository: str,
    tag: str,
    credentials: Credentials | None,
    on_line: OnLine,
) -> None:
    events = client.push(
        repository,
        tag=tag,
        stream=True,
        decode=True,
        auth_config=credentials and credentials.document(),
    )
    try:
        _follow(events, f"{repository}:{tag}", on_line)
    except json.JSONDecodeError as error:
        raise EngineError(f"the engine's answer broke off: {error}") from error


def _follow(events: Iterable[Mapping[str, Any]], reference: str, on_line: OnLine) -> None:
    progress = _Progress()
    for event in events:
        if "error" in event:
            raise EngineError(
                f"{reference} was not pushed: {str(event['error']).strip()}",
                remedy="see that the registry answers, has the repository and lets you push",
            )
        if event.get("progressDetail"):
            line = progress.after(str(event.get("id")), event["progressDetail"])
            if line:
                on_line(line)
        elif "status" in event:
            on_line(f"{event.get('id', '')} {event['status']}".strip())


class _Progress:
    """How far all layers are together; a line for every few per cent."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._said = 0

    def after(self, layer: str, detail: Mapping[str, Any]) -> str | None:
        current = int(detail.get("current") or 0)
        total = int(detail.get("total") or current)
        self._layers[layer] = (min(current, total), total)
        sent, size = (sum(parts) for parts in zip(*self._layers.values(), strict=True))
        percent = 100 * sent // size if size else 0
        if size < _WORTH_SAYING_BYTES or percent < self._said + _PROGRESS_STEP:
            return None
        self._said = percent - percent % _PROGRESS_STEP
        return f"{sent / 1e6:.0f} of {size / 1e6:.0f} MB"
