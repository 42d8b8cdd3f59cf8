"""``devkit parity`` with the SageMaker SDK's own local mode as one of the places."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest

from tests.integration.kit import Project
from tests.sdk.kit import SCRIPT_TIMEOUT_S

pytestmark = pytest.mark.parametrize(
    "engine", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)

CONFIG = """
[project]
name = "iris"
[train]
hyperparameters = { eta = 0.05, n_iter = 1000, random_state = 1 }
channels = { training = "examples/iris/data" }
[invoke]
data = '{"petal_length": 0.4, "petal_width": 1.4}'
"""


@pytest.fixture
def sdk_python() -> str:
    """The interpreter that has the SDK: this one, or the one that is named."""
    named = os.environ.get("DEVKIT_SAGEMAKER_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("sagemaker") is None:
        pytest.skip("needs the SageMaker SDK (tox -e local2, local3), or DEVKIT_SAGEMAKER_PYTHON")
    return sys.executable


def test_the_sdks_local_mode_differs_as_is_known_and_in_nothing_else(
    iris: Project, sdk_python: str
) -> None:
    (iris.root / "devkit.toml").write_text(CONFIG)

    done = iris.devkit(
        "parity", "--places", "docker,process,sagemaker-local", "--failing", "eta=fast", "--json",
        environment={"DEVKIT_SAGEMAKER_PYTHON": sdk_python},
        timeout_s=SCRIPT_TIMEOUT_S,
    ).succeeded()  # fmt: skip

    assert done.document["unexpected"] == []
    assert done.document["left_out"] == {}
    named = {each["name"] for each in done.document["expected"] if "sagemaker-local" in each}
    assert "TRAINING_JOB_ARN" in named
    assert "resourceconfig.json: current_host" in named
