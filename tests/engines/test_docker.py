"""What the docker engine says of errors that this machine's own Docker does not make."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError

from devkit.engines.base import ContainerSpec, Image, Limits
from devkit.engines.docker import DockerEngine, build_context
from devkit.errors import EngineError


class Refusing(docker.APIClient):
    """A client whose engine makes any container and starts none."""

    def __init__(self, explanation: str) -> None:
        super().__init__(base_url="http://127.0.0.1:1", version="1.41")
        self.explanation = explanation
        self.created: dict[str, Any] = {}
        self.removed: list[str] = []

    def create_container(self, *_: Any, **fields: Any) -> dict[str, Any]:
        self.created = fields
        return {"Id": "1"}

    def start(self, *_: Any, **__: Any) -> None:
        raise APIError("500 Server Error", explanation=self.explanation)

    def remove_container(self, container: Any, *_: Any, **__: Any) -> None:
        self.removed.append(container)


@pytest.fixture
def spec(tmp_path: Path) -> ContainerSpec:
    image = Image(reference="iris:dev", id="sha256:0")
    return ContainerSpec(name="one", image=image, run_folder=tmp_path, limits=Limits(gpus=2))


@pytest.fixture(
    params=[
        'could not select device driver "" with capabilities: [[gpu]]',
        "failed to discover GPU vendor from CDI: no known GPU vendor found",
        "OCI runtime create failed: nvidia-container-cli: initialization error: driver not loaded",
    ]
)
def refusing(request: pytest.FixtureRequest) -> Iterator[Refusing]:
    client = Refusing(str(request.param))
    yield client
    client.close()


def test_an_engine_without_gpus_is_told_of_with_what_to_do(
    refusing: Refusing, spec: ContainerSpec
) -> None:
    with pytest.raises(EngineError) as refused:
        DockerEngine(refusing, "a fake").start(spec)
    assert refusing.explanation in refused.value.message
    assert "has no GPU to give" in refused.value.message
    assert "NVIDIA Container Toolkit" in str(refused.value.remedy)
    assert refusing.removed == ["1"]


@pytest.mark.parametrize(("gpus", "count"), [(2, 2), ("all", -1)])
def test_gpus_are_asked_for_as_docker_run_does(
    refusing: Refusing, spec: ContainerSpec, gpus: Any, count: int
) -> None:
    asked = ContainerSpec(**{**vars(spec), "limits": Limits(gpus=gpus)})
    with pytest.raises(EngineError):
        DockerEngine(refusing, "a fake").start(asked)
    [request] = refusing.created["host_config"]["DeviceRequests"]
    assert (request["Count"], request["Capabilities"]) == (count, [["gpu"]])


def test_without_gpus_none_are_asked_for(refusing: Refusing, spec: ContainerSpec) -> None:
    with pytest.raises(EngineError) as refused:
        DockerEngine(refusing, "a fake").start(ContainerSpec(**{**vars(spec), "limits": Limits()}))
    assert "DeviceRequests" not in refusing.created["host_config"]
    assert "NVIDIA Container Toolkit" not in str(refused.value.remedy)


def test_a_build_is_given_what_dockerignore_leaves(tmp_path: Path) -> None:
    for name in ("Dockerfile", "serve", "data.csv", "notes.md"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".dockerignore").write_text("# large\n*.csv\n\nDockerfile\n")
    with build_context(tmp_path) as context, tarfile.open(fileobj=context) as tar:
        names = set(tar.getnames())
    assert {"Dockerfile", "serve", "notes.md"} <= names
    assert "data.csv" not in names
