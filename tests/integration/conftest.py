"""A project under each engine, and the check that nothing of it is left after any test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException
from docker.utils import kwargs_from_env

from devkit.config import without_aws
from devkit.engines.process import ProcessEngine
from devkit.fake_s3 import fake_s3
from tests.integration.kit import Project, base_environment, eventually, require_docker


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Commands started from here can be interrupted, however the tests were started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environments of the process engine, made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.APIClient | str]:
    """The Docker engine, or why there is none."""
    try:
        client = docker.APIClient(**kwargs_from_env(), version="auto", timeout=30)
    except DockerException as error:
        yield str(error)
        return
    yield client
    client.close()


@pytest.fixture(params=[pytest.param("docker", marks=pytest.mark.docker), "process"])
def engine(request: pytest.FixtureRequest, docker_engine: docker.APIClient | str) -> str:
    """The engine that devkit is told to use."""
    name = str(request.param)
    if name == "docker":
        require_docker(docker_engine)
    return name


@pytest.fixture
def project(
    engine: str,
    tmp_path: Path,
    cache: Path,
    docker_engine: docker.APIClient | str,
) -> Iterator[Project]:
    """An empty project folder; after the test nothing of it runs, and nothing is unfinished."""
    root = tmp_path / "project"
    root.mkdir()
    project = Project(
        root=root,
        environment={**base_environment(cache), "DEVKIT_ENGINE": engine},
        engine=engine,
        engines=None if isinstance(docker_engine, str) else docker_engine,
    )
    yield from watched(project)


@pytest.fixture
def process_project(
    tmp_path: Path, cache: Path, docker_engine: docker.APIClient | str
) -> Iterator[Project]:
    """A project under the process engine only, for what no engine has a part in."""
    root = tmp_path / "project"
    root.mkdir()
    project = Project(
        root=root,
        environment={**base_environment(cache), "DEVKIT_ENGINE": "process"},
        engine="process",
        engines=None if isinstance(docker_engine, str) else docker_engine,
    )
    yield from watched(project)


@pytest.fixture
def contained(engine: str, cache: Path) -> None:
    """Skips where programs get no ``/opt/ml`` and no network of their own."""
    if engine == "process":
        description = ProcessEngine(cache, without_aws(os.environ)).describe()
        if "own namespaces" not in description:
            pytest.skip(description)


@pytest.fixture
def s3() -> Iterator[tuple[str, Any]]:
    """The address of an S3, and a client for it."""
    with fake_s3() as local:
        client = local.client()
        yield local.endpoint_url, client
        client.close()


def watched(project: Project) -> Iterator[Project]:
    """Hand out a project; nothing of it may be left at the end."""
    try:
        yield project
        eventually(lambda: not project.leftovers(), project.leftovers)
    finally:
        project.clean_up()
