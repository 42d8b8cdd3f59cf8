"""Offers the image's model and servers to the tests."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.image.image_programs import NEEDS_NGINX, Server, ServerFactory, run_train

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a default training run."""
    run = run_train(tmp_path_factory.mktemp("trained"))
    assert run.code == 0, run.log
    return run.model


@pytest.fixture
def start_server(trained: Path) -> Iterator[ServerFactory]:
    """Starts ``serve`` with this environment; whatever the test leaves running is stopped."""
    with starting_servers(trained) as start:
        yield start


@pytest.fixture(
    scope="session",
    params=[pytest.param(True, marks=NEEDS_NGINX, id="nginx"), pytest.param(False, id="alone")],
)
def server(trained: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that runs all the time, for tests that only send requests."""
    with starting_servers(trained) as start:
        yield start(nginx=bool(request.param)).ready()


@contextmanager
def starting_servers(model: Path) -> Iterator[ServerFactory]:
    """Give a function that starts servers of this model; stop them at the end."""
    servers: list[Server] = []
    with tempfile.TemporaryDirectory(prefix="image-", dir="/tmp") as folder:

        def start(*, nginx: bool, **environment: str) -> Server:
            own = Path(folder, str(len(servers)))
            variables = {"SM_MODEL_DIR": str(model), **environment}
            servers.append(Server(own, nginx=nginx, environment=variables))
            return servers[-1]

        yield start
        for server in servers:
            server.close()
