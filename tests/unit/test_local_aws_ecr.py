"""ECR knows the images that are built and used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from devkit.local_aws.ecr import Repositories, registration
from devkit.local_aws.errors import AwsError
from devkit.local_aws.services import Call, Result

ID = "sha256:" + "a" * 64


class Registry:
    """As much of moto's ECR as this takes: repositories with tags and images."""

    def __init__(self) -> None:
        self.tags: dict[str, list[Any]] = {}
        self.images: dict[str, dict[str, str]] = {}

    async def ask(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        access_key: str | None = None,  # noqa: ARG002
        region: str = "us-east-1",  # noqa: ARG002
    ) -> dict[str, Any]:
        assert service == "ecr"
        answer: dict[str, Any] = getattr(self, operation)(**parameters)
        return {**answer, "ResponseMetadata": {}}

    def CreateRepository(self, repositoryName: str, tags: Any = ()) -> dict[str, Any]:  # noqa: N802, N803
        if repositoryName in self.tags:
            raise AwsError("RepositoryAlreadyExistsException", "there is one")
        self.tags[repositoryName], self.images[repositoryName] = list(tags), {}
        return {"repository": {"repositoryName": repositoryName}}

    def DescribeRepositories(self, repositoryNames: list[str]) -> dict[str, Any]:  # noqa: N802, N803
        return {"repositories": [{"repositoryArn": f"arn:{name}"} for name in repositoryNames]}

    def ListTagsForResource(self, resourceArn: str) -> dict[str, Any]:  # noqa: N802, N803
        return {"tags": self.tags[resourceArn.removeprefix("arn:")]}

    def ListImages(self, repositoryName: str) -> dict[str, Any]:  # noqa: N802, N803
        return {"imageIds": [{"imageTag": tag} for tag in self.images[repositoryName]]}

    def BatchGetImage(self, repositoryName: str, imageIds: Any) -> dict[str, Any]:  # noqa: N802, N803
        kept = self.images[repositoryName]
        return {"images": [{"imageId": i, "imageManifest": kept[i["imageTag"]]} for i in imageIds]}

    def DeleteRepository(self, repositoryName: str, force: bool) -> dict[str, Any]:  # noqa: N802, N803
        assert force
        del self.tags[repositoryName], self.images[repositoryName]
        return {}

    def PutImage(  # noqa: N802
        self,
        repositoryName: str,  # noqa: N803
        imageTag: str,  # noqa: N803
        imageManifest: str,  # noqa: N803
        imageDigest: str = "",  # noqa: ARG002, N803
    ) -> dict[str, Any]:
        self.images[repositoryName][imageTag] = imageManifest
        return {}

    def register(self, name: str) -> None:
        for operation, parameters in registration(name, ID):
            getattr(self, operation)(**parameters)


def create(registry: Registry, **parameters: Any) -> Mapping[str, Any]:
    call = Call(
        service="ecr",
        operation="CreateRepository",
        parameters=parameters,
        backend=registry,
        request_id="1",
    )

    async def answer() -> Result:
        return await Repositories().operations["CreateRepository"](call)

    return asyncio.run(answer()).members


@pytest.mark.parametrize(
    ("name", "repository", "tag"),
    [
        ("iris:demo", "iris", "demo"),
        ("iris", "iris", "latest"),
        ("team/iris:v1.2", "team/iris", "v1.2"),
    ],
)
def test_an_image_is_a_repository_and_a_tag(name: str, repository: str, tag: str) -> None:
    (_, made), (_, put) = registration(name, ID)
    assert made["repositoryName"] == put["repositoryName"] == repository
    assert put["imageTag"] == tag
    assert json.loads(put["imageManifest"])["config"]["digest"] == ID
    assert put["imageDigest"].startswith("sha256:")


@pytest.mark.parametrize(
    "name", ["example.com/iris:demo", "localhost:5000/iris", "iris@sha256:" + "b" * 64]
)
def test_what_is_elsewhere_or_has_no_tag_is_not_in_ecr(name: str) -> None:
    assert registration(name, ID) == []


def test_whoever_makes_a_registered_repository_gets_it_with_its_images() -> None:
    registry = Registry()
    registry.register("iris:demo")
    tags = [{"Key": "team", "Value": "iris"}]
    made = create(registry, repositoryName="iris", tags=tags)
    assert made == {"repository": {"repositoryName": "iris"}}
    assert registry.tags == {"iris": tags}
    assert list(registry.images["iris"]) == ["demo"]


def test_a_registered_repository_may_have_no_image_any_more() -> None:
    registry = Registry()
    registry.register("iris:demo")
    registry.images["iris"].clear()
    create(registry, repositoryName="iris")
    assert registry.images == {"iris": {}}


def test_a_repository_is_made_once() -> None:
    registry = Registry()
    create(registry, repositoryName="iris")
    with pytest.raises(AwsError, match="there is one"):
        create(registry, repositoryName="iris")
