"""An image into the registry that SageMaker pulls it from.

SageMaker takes the manifest of one image for one processor: an index, which newer builders make to
attach attestations, is refused by it, and so it is here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from devkit.config import Settings
from devkit.engines.base import Image, OnLine
from devkit.errors import BuildError, EngineError
from devkit.targets.aws import AwsClients
from devkit.targets.clients import CallFailed, Clients
from devkit.targets.instance_types import architecture
from devkit.targets.names import Names, names_of, repository_name

if TYPE_CHECKING:
    from devkit.engines.docker_push import Credentials, ImageFacts, Manifest

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_HOW_TO_BUILD = (
    "build it so that there is one manifest: docker buildx build --provenance=false --sbom=false "
    "--output type=docker --platform linux/{0} …"
)
_MISSING_REPOSITORY = "RepositoryNotFoundException"


@runtime_checkable
class Pusher(Protocol):
    """An engine that has images and can push them."""

    def facts(self, image: Image) -> ImageFacts:
        """The processor an image is for, and where it has been pushed to."""

    def push(
        self,
        image: Image,
        repository: str,
        tag: str,
        credentials: Credentials | None,
        on_line: OnLine,
    ) -> None:
        """Tag an image for a repository, and push it."""

    def manifest(self, reference: str, credentials: Credentials | None) -> Manifest | None:
        """What a registry has under a name; ``None`` where that is nothing."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where images are pushed to."""

    repository: str
    """With its registry, without a tag."""
    credentials: Credentials | None = None
    """``None``: those that the user has logged in with."""


@dataclass(frozen=True, kw_only=True)
class PushedImage:
    """An image as SageMaker is told of it."""

    uri: str
    """By digest; by tag where nothing has to be pushed."""
    digest: str | None
    media_type: str | None
    pushed: bool
    """Whether anything was: not where the registry had it, or where there is none."""
    notes: tuple[str, ...] = ()
    """What a user should know."""

    def document(self) -> dict[str, Any]:
        """It for machines."""
        return {
            "uri": self.uri,
            "digest": self.digest,
            "media_type": self.media_type,
            "pushed": self.pushed,
            "notes": list(self.notes),
        }


def destination(settings: Settings, clients: Callable[[], AwsClients]) -> Destination | str:
    """Where the project's image goes; a registry that stands for ECR needs no account.

    Args:
        settings: The project's.
        clients: Opens AWS, where it is needed.

    Returns:
        The place; or, where the local AWS answers, the URI that it takes for the image of this
        machine: there is nothing to push.

    Raises:
        CallFailed: ECR has no such repository, or gives no credentials.
        ConfigError: AWS cannot be asked; see :func:`devkit.targets.aws.aws_clients`.
    """
    aws = settings.aws
    if aws.registry is not None:
        return Destination(
            repository=f"{aws.registry}/{aws.repository or repository_name(settings.name)}"
        )
    found = clients()
    names = names_of(settings, account=found.account, region=found.region)
    if found.is_local():
        return f"{names.registry}/{settings.image.tag}"
    return of_ecr(found, names)


def of_ecr(clients: Clients, names: Names) -> Destination:
    """A repository of ECR, with credentials for some hours.

    Raises:
        CallFailed: There is no such repository, or ECR gives no credentials.
    """
    from devkit.engines.docker_push import Credentials  # noqa: PLC0415 - brings the Docker SDK

    wanted = {"repositoryNames": [names.repository], "registryId": names.account}
    try:
        clients.call("ecr", "DescribeRepositories", wanted)
    except CallFailed as error:
        if error.code != _MISSING_REPOSITORY:
            raise
        raise CallFailed(
            error.operation,
            error.code,
            f"there is no repository {names.repository} in {names.registry}",
            remedy="devkit bootstrap makes it; [aws] repository names another one",
        ) from error
    (data,) = clients.call("ecr", "GetAuthorizationToken", {})["authorizationData"]
    username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return Destination(
        repository=names.image_repository, credentials=Credentials(username, password)
    )


def push_image(
    engine: Pusher,
    image: Image,
    place: Destination,
    *,
    instance_types: Iterable[str],
    on_line: OnLine = lambda _line: None,
) -> PushedImage:
    """Push an image, unless the registry has it under its tag already.

    Args:
        engine: Has the image.
        image: What to push; its tag is kept.
        place: Where to.
        instance_types: What it is to run on.
        on_line: Is told of the progress.

    Raises:
        BuildError: The image is for another processor, or for another kind of machine.
        EngineError: The registry does not take it, or what it has then is of no use to SageMaker.
    """
    known = engine.facts(image)
    notes = require_architecture(image, known, instance_types)
    tag = tag_of(image.reference)
    name = f"{place.repository}:{tag}"
    there = engine.manifest(name, place.credentials)
    pushed = there is None or f"{place.repository}@{there.digest}" not in known.digests
    if pushed:
        engine.push(image, place.repository, tag, place.credentials, on_line)
        there = engine.manifest(name, place.credentials)
    if there is None:
        raise EngineError(f"the registry has no {name} after the push")
    notes += require_manifest(name, there, known.architecture)
    return PushedImage(
        uri=f"{place.repository}@{there.digest}",
        digest=there.digest,
        media_type=there.media_type,
        pushed=pushed,
        notes=notes,
    )


def require_architecture(
    image: Image, known: ImageFacts, instance_types: Iterable[str]
) -> tuple[str, ...]:
    """Make sure that an image runs on one of the instance types (§7, rule 6).

    Returns:
        On which of them it does not run.

    Raises:
        BuildError: On none of them.
    """
    kinds = tuple(dict.fromkeys(instance_types))
    others = [each for each in kinds if architecture(each) != known.architecture]
    if known.operating_system != "linux" or len(others) == len(kinds):
        wanted = architecture(kinds[0])
        raise BuildError(
            f"{image.reference} is for {known.operating_system}/{known.architecture}, and "
            f"{' and '.join(kinds)} run linux/{wanted}: exec format error",
            remedy=f'build for them: [image] platform = "linux/{wanted}"; or take instance types '
            "with the processor of the image",
        )
    return tuple(
        f"the image is for {known.architecture}, and does not run on {each} ({architecture(each)})"
        for each in others
    )


def require_manifest(name: str, found: Manifest, for_architecture: str) -> tuple[str, ...]:
    """Make sure that SageMaker can use what a registry has.

    Returns:
        What a user should know of it.

    Raises:
        EngineError: It cannot.
    """
    if found.media_type == DOCKER_MANIFEST:
        return ()
    how = _HOW_TO_BUILD.format(for_architecture)
    if found.media_type == OCI_MANIFEST:
        # aws/amazon-sagemaker-feedback#180; that it still is so only a real account can show.
        return (f"{name} has an OCI manifest, which CreateModel has refused: if it does, {how}",)
    kind = "an index of several manifests" if found.media_type in _INDEXES else found.media_type
    raise EngineError(
        f"{name} is {kind}, and SageMaker takes the manifest of one image only (Unsupported "
        f"manifest media type {found.media_type})",
        remedy=f"{how}, or turn the engine's containerd image store off",
    )


def tag_of(reference: str) -> str:
    """The tag in an image's name."""
    name = reference.partition("@")[0]
    _, colon, tag = name.rpartition(":")
    return tag if colon and "/" not in tag else "latest"
