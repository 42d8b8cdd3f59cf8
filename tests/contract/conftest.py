"""The engines that the contract suite holds to account."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from devkit.engines.base import Engine
from devkit.engines.docker import DockerEngine, DockerSettings, connect
from devkit.engines.process import ProcessEngine
from devkit.errors import EngineError

PROCESS = "process"
PLAIN = "process without namespaces"
DOCKER = "docker"


@pytest.fixture(
    scope="session",
    params=[PROCESS, PLAIN, pytest.param(DOCKER, marks=pytest.mark.docker)],
)
def engine_kind(request: pytest.FixtureRequest) -> str:
    """Which engine this is, in words."""
    return str(request.param)


@pytest.fixture(scope="session")
def engine(engine_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine under test; skipped where this machine has none of its kind."""
    if engine_kind == DOCKER:
        yield _docker()
        return
    cache = tmp_path_factory.mktemp("environments")
    namespaces = False if engine_kind == PLAIN else None
    engine = ProcessEngine(cache, _build_environment(), namespaces=namespaces)
    if engine_kind == PROCESS and "own namespaces" not in engine.describe():
        pytest.skip(engine.describe())
    yield engine


@pytest.fixture(scope="session")
def contained(engine_kind: str) -> bool:
    """Whether programs get an ``/opt/ml``, a network and a process 1 of their own."""
    return engine_kind != PLAIN


@pytest.fixture
def only_contained(contained: bool) -> None:
    """Skips a test of what plain processes cannot have, as their description says."""
    if not contained:
        pytest.skip("plain processes share the host's files and network")


def _docker() -> DockerEngine:
    try:
        return connect(DockerSettings(host=os.environ.get("DOCKER_HOST")), timeout_s=5)
    except EngineError as error:
        if os.environ.get("DEVKIT_REQUIRE_DOCKER") == "1":
            raise
        pytest.skip(str(error))


def _build_environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
