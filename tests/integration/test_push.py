"""``devkit push`` into a registry that stands for ECR, and next to the local AWS."""

from __future__ import annotations

import hashlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from devkit.engines.base import Image
from devkit.engines.docker import DockerEngine, DockerSettings, connect
from devkit.engines.docker_push import Credentials
from devkit.errors import EngineError
from devkit.targets.push import DOCKER_MANIFEST, Destination, push_image
from tests.integration.kit import TRAIN, Project, require_docker
from tests.integration.registries import registry

pytestmark = pytest.mark.docker
INSTANCES = ("ml.m5.large",)
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    """A registry."""
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder) as address:
        yield address


@pytest.fixture
def project(
    process_project: Project, docker_engine: docker.APIClient | str, host: str, tmp_path: Path
) -> Iterator[Project]:
    """A project whose images go there; the user has a Docker configuration of their own."""
    require_docker(docker_engine)
    assert not isinstance(docker_engine, str)
    configuration = tmp_path / "docker"
    configuration.mkdir()
    process_project.environment |= {
        "DEVKIT_ENGINE": "docker",
        "DEVKIT_AWS_REGISTRY": host,
        "DOCKER_CONFIG": str(configuration),
    }
    yield process_project.write(train=TRAIN)
    assert list(configuration.iterdir()) == []
    for image in docker_engine.images(filters={"reference": f"{host}/*"}):
        docker_engine.remove_image(image["Id"], force=True)


@pytest.fixture
def engine(docker_engine: docker.APIClient | str) -> DockerEngine:
    require_docker(docker_engine)
    return connect(DockerSettings(), timeout_s=30)


def manifest_of(host: str, repository: str, reference: str) -> tuple[str, bytes]:
    """What the registry itself says."""
    request = urllib.request.Request(
        f"http://{host}/v2/{repository}/manifests/{reference}", headers={"Accept": DOCKER_MANIFEST}
    )
    with urllib.request.urlopen(request) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_the_image_is_built_pushed_and_told_by_its_digest(project: Project, host: str) -> None:
    pushed = project.devkit("push").succeeded()
    uri = pushed.out.strip()
    repository, _, digest = uri.partition("@")
    assert repository == f"{host}/{project.name}"
    media_type, body = manifest_of(host, project.name, "dev")
    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == digest
    assert media_type == DOCKER_MANIFEST
    assert "✓ build" in pushed.err
    assert "✓ push" in pushed.err


def test_it_is_not_pushed_twice_but_again_when_it_changes(project: Project) -> None:
    first = project.devkit("push", "--json").succeeded().document
    second = project.devkit("push", "--json").succeeded()
    assert first["pushed"] is True
    assert second.document == {**first, "pushed": False}
    assert "has it already" in second.err

    project.write(train=TRAIN + "# changed\n")
    third = project.devkit("push", "--json").succeeded().document
    assert third["pushed"] is True
    assert third["uri"] != first["uri"]


def test_a_dry_run_pushes_nothing(project: Project, host: str) -> None:
    told = project.devkit("push", "--dry-run").succeeded()
    assert told.out == f"would push {host}/{project.name}:dev\n"
    assert "build" not in told.err
    with pytest.raises(urllib.error.HTTPError):
        manifest_of(host, project.name, "dev")


def test_an_image_for_another_processor_is_refused(project: Project) -> None:
    project.environment |= {"DEVKIT_AWS_SERVE_INSTANCE": "ml.c7g.large"}
    assert "does not run on ml.c7g.large (arm64)" in project.devkit("push").succeeded().err
    project.environment |= {"DEVKIT_AWS_TRAIN_INSTANCE": "ml.p6e-gb200.36xlarge"}
    project.devkit("push").failed(4, "is for linux/amd64", "exec format error", "linux/arm64")


def test_an_instance_type_that_is_none_is_refused_first(project: Project) -> None:
    project.environment |= {"DEVKIT_AWS_TRAIN_INSTANCE": "ml.m5.lage"}
    project.devkit("push").failed(2, "no instance type for training", "ml.m5.large")


def test_the_process_engine_has_nothing_to_push(project: Project) -> None:
    project.environment |= {"DEVKIT_ENGINE": "process"}
    project.devkit("push").failed(3, "--engine docker")


def test_a_registry_that_is_not_there_is_told(project: Project) -> None:
    project.environment |= {"DEVKIT_AWS_REGISTRY": "127.0.0.1:1"}
    project.devkit("push").failed(3, "127.0.0.1:1", "connection refused")


def test_a_registry_is_logged_in_to_and_no_configuration_written(
    project: Project, engine: DockerEngine, tmp_path: Path
) -> None:
    image = _built(project, engine)
    folder = tmp_path / "locked"
    folder.mkdir()
    with registry(folder, locked=True) as locked:
        place = Destination(repository=f"{locked}/iris", credentials=Credentials("AWS", "secret"))
        pushed = push_image(engine, image, place, instance_types=INSTANCES)
        assert pushed.uri.startswith(f"{locked}/iris@sha256:")
        wrong = Destination(repository=f"{locked}/iris", credentials=Credentials("AWS", "wrong"))
        with pytest.raises(EngineError):
            push_image(engine, image, wrong, instance_types=INSTANCES)


def test_an_index_with_attestations_is_refused(
    project: Project, engine: DockerEngine, host: str
) -> None:
    project.devkit("push").succeeded()
    _, body = manifest_of(host, project.name, "dev")
    entry = {
        "mediaType": DOCKER_MANIFEST,
        "digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
        "size": len(body),
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
    request = urllib.request.Request(
        f"http://{host}/v2/{project.name}/manifests/indexed",
        data=index,
        method="PUT",
        headers={"Content-Type": INDEX},
    )
    urllib.request.urlopen(request).close()
    found = engine.manifest(f"{host}/{project.name}:indexed", None)
    assert found is not None
    assert found.media_type == INDEX


def test_the_local_aws_has_the_image_already(project: Project) -> None:
    del project.environment["DEVKIT_AWS_REGISTRY"]
    pushed = project.devkit(
        "exec", "--", sys.executable, "-m", "devkit", "push", "--json"
    ).succeeded()
    told = json.loads(next(line for line in pushed.out.splitlines() if line.startswith("{")))
    uri = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{project.name}:dev"
    assert told == {"uri": uri, "pushed": False}
    assert "nothing is pushed" in pushed.err


def _built(project: Project, engine: DockerEngine) -> Image:
    project.devkit("build").succeeded()
    return engine.image(f"{project.name}:dev")
