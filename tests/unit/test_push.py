"""What is pushed, what is not, and what SageMaker would refuse."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from devkit.engines.base import Image, OnLine
from devkit.engines.docker_push import Credentials, ImageFacts, Manifest
from devkit.errors import BuildError, EngineError
from devkit.targets.aws import AwsClients
from devkit.targets.clients import CallFailed
from devkit.targets.names import names_of
from devkit.targets.push import (
    DOCKER_MANIFEST,
    OCI_MANIFEST,
    Destination,
    PushedImage,
    destination,
    of_ecr,
    push_image,
    tag_of,
)
from tests.unit.clients_fakes import ACCOUNT, FakeClients, refusal
from tests.unit.test_config import load

IMAGE = Image(reference="iris:dev", id="sha256:local")
REPOSITORY = "registry.example.com/iris"
PLACE = Destination(repository=REPOSITORY, credentials=Credentials("AWS", "secret"))
AMD = "ml.m5.large"
ARM = "ml.c7g.large"


class FakeRegistry:
    """An engine and the registry that it pushes to."""

    def __init__(
        self,
        *,
        architecture: str = "amd64",
        media_type: str = DOCKER_MANIFEST,
        digests: tuple[str, ...] = (),
        there: str | None = None,
    ) -> None:
        self._facts = ImageFacts(architecture, "linux", digests)
        self._media_type = media_type
        self._digest = there
        self.pushes: list[tuple[str, str, Credentials | None]] = []

    def facts(self, image: Image) -> ImageFacts:
        assert image == IMAGE
        return self._facts

    def push(
        self,
        image: Image,
        repository: str,
        tag: str,
        credentials: Credentials | None,
        on_line: OnLine,
    ) -> None:
        on_line(f"pushing {image.reference}")
        self.pushes.append((repository, tag, credentials))
        self._digest = "sha256:new"

    def manifest(self, reference: str, credentials: Credentials | None) -> Manifest | None:
        assert (reference, credentials) == (f"{REPOSITORY}:dev", PLACE.credentials)
        return None if self._digest is None else Manifest(self._digest, self._media_type)


def push(registry: FakeRegistry, *instance_types: str) -> PushedImage:
    return push_image(registry, IMAGE, PLACE, instance_types=instance_types or (AMD,))


def test_an_image_is_pushed_under_its_tag_and_told_by_its_digest() -> None:
    registry = FakeRegistry()
    lines: list[str] = []
    pushed = push_image(registry, IMAGE, PLACE, instance_types=(AMD,), on_line=lines.append)
    assert registry.pushes == [(REPOSITORY, "dev", PLACE.credentials)]
    assert pushed.uri == f"{REPOSITORY}@sha256:new"
    assert pushed.document()["pushed"] is True
    assert lines == ["pushing iris:dev"]


def test_what_the_registry_has_is_not_pushed_again() -> None:
    registry = FakeRegistry(there="sha256:old", digests=(f"{REPOSITORY}@sha256:old",))
    pushed = push(registry)
    assert registry.pushes == []
    assert (pushed.uri, pushed.pushed) == (f"{REPOSITORY}@sha256:old", False)


def test_another_image_under_the_tag_is_replaced() -> None:
    registry = FakeRegistry(there="sha256:old", digests=("elsewhere/iris@sha256:old",))
    assert push(registry).uri == f"{REPOSITORY}@sha256:new"


def test_an_image_for_another_processor_is_refused_before_anything_is_pushed() -> None:
    registry = FakeRegistry(architecture="arm64")
    with pytest.raises(BuildError, match="iris:dev is for linux/arm64") as error:
        push(registry, AMD, AMD)
    assert 'platform = "linux/amd64"' in str(error.value)
    assert registry.pushes == []


def test_graviton_takes_an_image_for_arm() -> None:
    assert push(FakeRegistry(architecture="arm64"), ARM).notes == ()


def test_an_image_for_one_of_two_instance_types_is_pushed_and_that_is_said() -> None:
    pushed = push(FakeRegistry(architecture="arm64"), AMD, ARM)
    assert pushed.notes == ("the image is for arm64, and does not run on ml.m5.large (amd64)",)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ],
)
def test_what_is_no_manifest_of_one_image_is_refused(media_type: str) -> None:
    with pytest.raises(EngineError, match="SageMaker takes the manifest of one image") as error:
        push(FakeRegistry(media_type=media_type))
    assert "--provenance=false" in str(error.value)


def test_an_oci_manifest_is_pushed_with_a_warning() -> None:
    (note,) = push(FakeRegistry(media_type=OCI_MANIFEST)).notes
    assert "CreateModel has refused" in note


def test_ecr_is_logged_in_to_with_a_token(tmp_path: Path) -> None:
    token = base64.b64encode(b"AWS:se:cret").decode()
    clients = FakeClients(
        GetAuthorizationToken={"authorizationData": [{"authorizationToken": token}]}
    )
    names = names_of(load(tmp_path, "[project]\nname='iris'"), account=ACCOUNT, region="us-east-1")
    place = of_ecr(clients, names)
    assert place.repository == f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/iris"
    assert place.credentials == Credentials("AWS", "se:cret")
    assert "cret" not in repr(place)


def test_a_missing_repository_is_made_by_bootstrap(tmp_path: Path) -> None:
    clients = FakeClients(
        DescribeRepositories=refusal("DescribeRepositories", "RepositoryNotFoundException")
    )
    names = names_of(load(tmp_path), account=ACCOUNT, region="us-east-1")
    with pytest.raises(CallFailed, match="devkit bootstrap makes it"):
        of_ecr(clients, names)


def test_a_registry_that_stands_for_ecr_needs_no_account(tmp_path: Path) -> None:
    settings = load(tmp_path, "[project]\nname = 'iris'\n[aws]\nregistry = 'localhost:5000'")

    def no_clients() -> AwsClients:
        raise AssertionError

    assert destination(settings, no_clients) == Destination(repository="localhost:5000/iris")


@pytest.mark.parametrize(
    ("reference", "tag"),
    [
        ("iris:dev", "dev"),
        ("iris", "latest"),
        ("localhost:5000/iris", "latest"),
        ("localhost:5000/a/iris:1.2", "1.2"),
        ("iris@sha256:00", "latest"),
    ],
)
def test_the_tag_is_that_of_the_image(reference: str, tag: str) -> None:
    assert tag_of(reference) == tag
