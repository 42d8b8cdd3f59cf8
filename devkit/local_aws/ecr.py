"""ECR, which is moto's, knows the images of this machine that are built and used.

A repository is made for them where there is none. Whoever makes it later, Terraform for one, is not
told that it exists: it becomes theirs, with the images that are in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from devkit.local_aws.errors import AwsError
from devkit.local_aws.services import Call, Handler, Result, StatelessService

SERVICE = "ecr"
TARGET = "AmazonEC2ContainerRegistry_V20150921"
"""What precedes an operation in ``X-Amz-Target``."""

ALREADY_THERE = frozenset({"RepositoryAlreadyExistsException", "ImageAlreadyExistsException"})
"""What a registration that changes nothing is answered with."""

_MARK = {"Key": "devkit:registered", "Value": "true"}
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"


def registration(name: str, image_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls that tell ECR of an image, by its name without the registry.

    Empty for one that is in another registry, or named by digest.
    """
    repository, tag = _parted(name)
    registry, slash, _ = repository.partition("/")
    if "@" in name or (slash and ("." in registry or ":" in registry)):
        return []
    config = {"mediaType": _CONFIG, "size": 1, "digest": image_id}
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": []}
    )
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    return [
        ("CreateRepository", {"repositoryName": repository, "tags": [_MARK]}),
        (
            "PutImage",
            {
                "repositoryName": repository,
                "imageTag": tag,
                "imageManifest": manifest,
                "imageDigest": digest,
            },
        ),
    ]


class Repositories(StatelessService):
    """A :class:`~devkit.local_aws.services.Service`: who makes a repository gets it."""

    name = SERVICE

    def __init__(self) -> None:
        self.operations: Mapping[str, Handler] = {"CreateRepository": self._create}

    async def _create(self, call: Call) -> Result:
        try:
            return Result(members=await _ask(call, "CreateRepository", call.parameters))
        except AwsError as error:
            if error.code not in ALREADY_THERE or not await _is_registered(call):
                raise
        name = {"repositoryName": call.parameters["repositoryName"]}
        images = []
        for identifier in (await _ask(call, "ListImages", name))["imageIds"]:
            found = await _ask(call, "BatchGetImage", {**name, "imageIds": [identifier]})
            manifest = found["images"][0]["imageManifest"]  # one image may have several tags
            images.append({**name, **identifier, "imageManifest": manifest})
        await _ask(call, "DeleteRepository", {**name, "force": True})
        made = await _ask(call, "CreateRepository", call.parameters)
        for image in images:
            await _ask(call, "PutImage", image)
        return Result(members=made)


async def _is_registered(call: Call) -> bool:
    """Whether a repository is there because an image of its name was built or used."""
    names = [call.parameters["repositoryName"]]
    (repository,) = (await _ask(call, "DescribeRepositories", {"repositoryNames": names}))[
        "repositories"
    ]
    arn = {"resourceArn": repository["repositoryArn"]}
    return _MARK in (await _ask(call, "ListTagsForResource", arn))["tags"]


async def _ask(call: Call, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    answer = await call.backend.ask(
        SERVICE, operation, parameters, access_key=call.access_key, region=call.region
    )
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def _parted(name: str) -> tuple[str, str]:
    """Repository and tag."""
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")
