"""The iris project under each engine, as in the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import (  # noqa: F401 - fixtures
    _interruptible,
    cache,
    docker_engine,
    engine,
    process_project,
    project,
)
from tests.integration.kit import Project
from tests.sdk.kit import Contacts, make_iris


@pytest.fixture
def iris(project: Project) -> Project:  # noqa: F811 - the fixture
    """This repository's project, with its image built."""
    return make_iris(project)


@pytest.fixture
def contacts(iris: Project, tmp_path: Path) -> Contacts:
    """Whom the programs of the project ask."""
    return Contacts(iris, tmp_path / "contacts")
