"""The notebooks among the examples, where nothing of AWS is asked, or only S3.

Their cloud path is in ``test_sdk2`` and ``test_sdk3``.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from devkit.ports import listen
from tests.integration.kit import Project, model
from tests.sdk.kit import ANSWER, SCRIPT_TIMEOUT_S
from tests.sdk.local_mode import require_local_mode

NETWORK = "sagemaker-local"
"""What the SDK calls the one that it makes."""


@pytest.mark.parametrize("version", [2, 3])
def test_by_devkit_alone_it_trains_serves_and_answers(iris: Project, version: int) -> None:
    done = subprocess.run(
        [sys.executable, f"examples/notebook_sdk{version}.py"],
        cwd=iris.root,
        env={**iris.environment, "MARKER": iris.name, "DEVKIT_TARGET": "local"},
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 0, done
    job = iris.job()
    assert model(job)
    assert done.stdout.splitlines() == [f"model: {job / 'output' / 'model.tar.gz'}", ANSWER]


@pytest.fixture
def settings(iris: Project, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The SDK's own settings for a port and folders of this test's; its containers go after it."""
    assert iris.engines is not None
    before = {network["Name"] for network in iris.engines.networks()}
    home, folder = tmp_path / "home", tmp_path / "sdk"
    folder.mkdir()
    with listen(0) as free:
        port = free.getsockname()[1]
    (home / ".sagemaker").mkdir(parents=True)
    (home / ".sagemaker" / "config.yaml").write_text(
        f"local: {{serving_port: {port}, container_root: {folder}}}\n"
    )
    yield {
        "DOCKER_CONFIG": str(Path.home() / ".docker"),
        "HOME": str(home),
        "TMPDIR": str(folder),
    }
    for container in containers(iris.engines, folder):
        iris.engines.remove_container(container, force=True, v=True)
    if NETWORK not in before:
        with suppress(APIError):  # somebody else has come to use it
            iris.engines.remove_network(NETWORK)


def containers(engine: docker.APIClient, folder: Path) -> list[str]:
    """Those that have something of a folder mounted."""
    return [
        each["Id"]
        for each in engine.containers(all=True)
        if any(mount.get("Source", "").startswith(f"{folder}/") for mount in each["Mounts"])
    ]


@pytest.mark.docker
@pytest.mark.parametrize("engine", ["docker"], indirect=True)
def test_by_the_sdks_local_mode_it_trains_serves_and_answers(
    iris: Project, settings: dict[str, str]
) -> None:
    require_local_mode()
    version = importlib.metadata.version("sagemaker").partition(".")[0]

    done = iris.devkit(
        "exec", "--", "python", f"examples/notebook_sdk{version}.py",
        environment={**settings, "DEVKIT_TARGET": "sagemaker-local"},
        timeout_s=SCRIPT_TIMEOUT_S,
    ).succeeded()  # fmt: skip

    assert done.out.splitlines()[-1] == ANSWER
    assert "accuracy=1.0" in done.out + done.err
    assert list((iris.store / "jobs").iterdir()) == []
