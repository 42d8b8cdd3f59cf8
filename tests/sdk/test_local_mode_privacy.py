"""Local mode without a network, and for an ordinary user: nothing leaves, nothing stays root's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import _interruptible, cache, docker_engine, project  # noqa: F401
from tests.integration.kit import HEAD, Project, require_docker
from tests.integration.test_privacy import ordinary  # noqa: F401 - a fixture
from tests.sdk.kit import Contacts
from tests.sdk.local_mode import drivers, require_local_mode, sessions

pytestmark = pytest.mark.docker

# The bridge's address is there for the local AWS to listen at; nothing is behind it.
ALONE = 'ip link set lo up; ip addr add {bridge}/16 dev lo; exec "$@"'
WRITES = HEAD + (
    'for folder in (MODEL, OUTPUT / "data"):\n'
    '    (folder / "deep").mkdir(mode=0o700)\n'
    '    (folder / "deep" / "weights").write_text("42")\n'
    '    (folder / "deep" / "weights").chmod(0o400)\n'
    'say("written")\n'
)


@pytest.fixture(autouse=True, scope="module")
def _local_mode() -> None:
    require_local_mode()


@pytest.fixture
def engine(docker_engine: docker.APIClient | str) -> str:  # noqa: F811 - the fixture
    """Local mode runs containers."""
    require_docker(docker_engine)
    return "docker"


@pytest.fixture
def alone(project: Project) -> Project:  # noqa: F811 - the fixture
    """A project whose commands have loopback and the container bridge, and no other network."""
    assert project.engines is not None
    bridge = project.engines.inspect_network("bridge")["IPAM"]["Config"][0]["Gateway"]
    project.prefix = ("unshare", "--net", "sh", "-ec", ALONE.format(bridge=bridge), "sh")
    try:
        subprocess.run([*project.prefix, "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespace can be made here: {error}")
    return project


def test_a_job_needs_no_network_and_asks_for_none(alone: Project, tmp_path: Path) -> None:
    contacts = Contacts(alone, tmp_path / "contacts")
    alone.write(train=WRITES)

    done = alone.devkit("train", "--target", "sagemaker-local", timeout_s=300).succeeded()

    assert "Completed" in done.err
    assert contacts.hosts <= {"127.0.0.1", "localhost", "172.17.0.1"}
    assert "127.0.0.1" in contacts.hosts
    ((fetched),) = (alone.store / "s3").rglob("model.tar.gz")
    assert fetched.stat().st_size > 0


@pytest.fixture
def of_a_user(ordinary: tuple[Project, int]) -> tuple[Project, int]:  # noqa: F811 - the fixture
    """A project of an ordinary user, whose Python has the SDK."""
    project, user = ordinary  # noqa: F811
    done = subprocess.run(
        [*project.prefix, project.python, "-c", "import sagemaker"],
        env=project.environment,
        cwd="/",
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"{sys.executable} cannot be run by an ordinary user")
    return project, user


def others(project: Project, user: int) -> list[Path]:  # noqa: F811
    """What is in the store and not the user's."""
    return [path for path in project.store.rglob("*") if path.lstat().st_uid != user]


def give(project: Project, user: int) -> None:  # noqa: F811
    for path in project.root.rglob("*"):
        os.chown(path, user, user)


def test_what_containers_write_is_the_users_and_is_removed(
    of_a_user: tuple[Project, int],
) -> None:
    project, user = of_a_user  # noqa: F811
    project.write(train=WRITES)
    give(project, user)

    done = project.devkit("train", "--target", "sagemaker-local", timeout_s=300)
    if "permission denied" in done.err.lower():
        pytest.skip(done.err)
    done.succeeded()

    assert others(project, user) == []
    assert sessions(project) == []
    assert list((project.store / "s3").rglob("model.tar.gz"))


def test_what_a_kill_leaves_of_roots_is_removed_by_the_next_use(
    of_a_user: tuple[Project, int],
) -> None:
    project, user = of_a_user  # noqa: F811
    project.write(train=WRITES + "wait_for_ever()\n")
    give(project, user)
    with project.start("train", "--target", "sagemaker-local") as training:
        training.wait_for("│ written")
        for process in drivers(project):
            os.kill(process, signal.SIGKILL)
        training.finish().failed(1, "has ended")
    assert len(sessions(project)) == 1
    assert others(project, user)

    project.write(train=WRITES)
    project.devkit("train", "--target", "sagemaker-local", timeout_s=300).succeeded()

    assert others(project, user) == []
    assert sessions(project) == []
