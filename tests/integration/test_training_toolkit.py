"""AWS's own `sagemaker-training` toolkit, as in every framework image of AWS (contract 1.7, 1.9).

Nobody here wrote it: what its scripts see shows whether a container finds what SageMaker gives it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from contextlib import closing
from typing import Any

import docker
import pytest
from docker.utils import kwargs_from_env

from tests.integration.kit import Project, archive, log, model, outcome, require_docker

pytestmark = pytest.mark.parametrize(
    "engine", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
)

HOST_COUNTS = (1, 2)
"""How many instances the jobs here have."""

BUILD_TIMEOUT_S = 600

# Its extension in C needs a compiler and Python's headers. Its console script is called `train`,
# which is what SageMaker starts.
DOCKERFILE = """
FROM python:3.11-slim-bookworm
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends gcc libc6-dev python3-dev \\
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir --root-user-action=ignore sagemaker-training==5.1.4
COPY tells.py fails.py /opt/ml/code/
"""

TELLS = """
import json, multiprocessing, os, sys

host = os.environ["SM_CURRENT_HOST"]
said = {
    "variables": {name: text for name, text in os.environ.items() if name.startswith("SM_")},
    "arguments": sys.argv[1:],
    "cpus": multiprocessing.cpu_count(),
    "files": sorted(os.listdir(os.environ["SM_CHANNEL_TRAINING"])),
}
with open(os.path.join(os.environ["SM_MODEL_DIR"], f"{host}.json"), "w") as model:
    json.dump(said, model)
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], host), "w") as output:
    output.write("kept")
"""

FAILS = """
import sys
sys.exit("no such column: petal_width")
"""

CONFIG = """
[train.hyperparameters]
eta = 0.05
batch-size = 32
layers = [16, 8]
optimizer = '"sgd"'
plain = "not JSON"
sagemaker_program = "tells.py"
sagemaker_container_log_level = 30
sagemaker_mpi_enabled = false

[train.channels]
training = { source = "data", content_type = "text/csv" }
held-out = { source = "data" }
"""


@pytest.fixture(scope="module")
def image(docker_engine: docker.APIClient | str) -> str:
    """The image with the toolkit, by name; it is kept, and built anew where its content changed."""
    require_docker(docker_engine)
    files = {"Dockerfile": DOCKERFILE, "tells.py": TELLS, "fails.py": FAILS}
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]
    name = f"devkit-test-toolkit:{digest}"
    client = docker.APIClient(**kwargs_from_env(), version="auto", timeout=BUILD_TIMEOUT_S)
    with closing(client):
        if not client.images(name):
            build(client, name, files)
    return name


def build(client: docker.APIClient, name: str, files: dict[str, str]) -> None:
    """Build it, or fail with what the build said last."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for file, text in files.items():
            member = tarfile.TarInfo(file)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    context.seek(0)
    said = [
        step.get("error") or step.get("stream", "")
        for step in client.build(
            fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True, decode=True
        )
    ]
    if not client.images(name):
        pytest.fail("".join(said[-20:]))


@pytest.fixture
def toolkit(project: Project, image: str) -> tuple[Project, str]:
    """A project with data for two channels, and the image."""
    (project.root / "data").mkdir()
    (project.root / "data" / "a.csv").write_text("1,2")
    project.configure(CONFIG)
    return project, image


def told(project: Project, host: str) -> Any:
    return json.loads(model(project.job("Job-1"))[f"{host}.json"])


@pytest.mark.contract("1.3-f", "1.3-g", "1.7-k", "1.7-l")
@pytest.mark.parametrize("count", HOST_COUNTS)
def test_a_script_sees_what_the_toolkit_documents(toolkit: tuple[Project, str], count: int) -> None:
    project, image = toolkit
    hosts = [f"algo-{number}" for number in range(1, count + 1)]
    if count > 1:
        project.configure(f"[train]\ninstances = {count}\n{CONFIG}")

    project.devkit("train", "--image", image, "--name", "Job-1").succeeded()

    for host in hosts:
        told_by_host = told(project, host)
        variables = dict(told_by_host["variables"])
        training_env = json.loads(variables.pop("SM_TRAINING_ENV"))
        assert variables == expected(host, hosts) | {"SM_NUM_CPUS": str(told_by_host["cpus"])}
        assert_consistent(training_env, host, hosts)
        assert told_by_host["arguments"] == json.loads(variables["SM_USER_ARGS"])
        assert told_by_host["files"] == ["a.csv"]
    output = archive(project.job("Job-1") / "output" / "output.tar.gz")
    assert output == dict.fromkeys(hosts, b"kept")


def expected(host: str, hosts: list[str]) -> dict[str, str]:
    """Every variable of contract 1.7 but SM_TRAINING_ENV and SM_NUM_CPUS, and no others."""
    group = {
        "hosts": hosts,
        "instance_group_name": "homogeneousCluster",
        "instance_type": "local",
    }
    channel = {
        "RecordWrapperType": "None",
        "S3DistributionType": "FullyReplicated",
        "TrainingInputMode": "File",
    }
    hyperparameters = {
        "batch-size": 32,
        "eta": 0.05,
        "layers": [16, 8],
        "optimizer": "sgd",
        "plain": "not JSON",
    }
    return {
        "SM_MODEL_DIR": "/opt/ml/model",
        "SM_INPUT_DIR": "/opt/ml/input",
        "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
        "SM_OUTPUT_DIR": "/opt/ml/output",
        "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": "/opt/ml/output/intermediate",
        "SM_CHANNELS": '["held-out","training"]',
        "SM_CHANNEL_TRAINING": "/opt/ml/input/data/training",
        "SM_CHANNEL_HELD-OUT": "/opt/ml/input/data/held-out",
        "SM_HPS": compact(hyperparameters),
        "SM_HP_BATCH-SIZE": "32",
        "SM_HP_ETA": "0.05",
        "SM_HP_LAYERS": "[16,8]",
        "SM_HP_OPTIMIZER": "sgd",
        "SM_HP_PLAIN": "not JSON",
        "SM_USER_ARGS": compact(
            [
                "--batch-size",
                "32",
                "--eta",
                "0.05",
                "--layers",
                "[16, 8]",
                "--optimizer",
                "sgd",
                "--plain",
                "not JSON",
            ]
        ),
        "SM_CURRENT_HOST": host,
        "SM_HOSTS": compact(hosts),
        "SM_NETWORK_INTERFACE_NAME": "eth0",
        "SM_CURRENT_INSTANCE_TYPE": "local",
        "SM_CURRENT_INSTANCE_GROUP": "homogeneousCluster",
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": compact(hosts),
        "SM_INSTANCE_GROUPS": '["homogeneousCluster"]',
        "SM_INSTANCE_GROUPS_DICT": compact({"homogeneousCluster": group}),
        "SM_DISTRIBUTION_INSTANCE_GROUPS": "[]",
        "SM_IS_HETERO": "false",
        "SM_NUM_GPUS": "0",
        "SM_NUM_NEURONS": "0",
        "SM_LOG_LEVEL": "30",
        "SM_MODULE_NAME": "tells",
        "SM_MODULE_DIR": "/opt/ml/code",
        "SM_USER_ENTRY_POINT": "tells.py",
        "SM_FRAMEWORK_MODULE": "",
        "SM_FRAMEWORK_PARAMS": '{"sagemaker_mpi_enabled":false}',
        "SM_RESOURCE_CONFIG": compact(
            {
                "current_host": host,
                "current_instance_type": "local",
                "current_group_name": "homogeneousCluster",
                "hosts": hosts,
                "instance_groups": [group],
                "network_interface_name": "eth0",
                "topology": None,
            }
        ),
        "SM_INPUT_DATA_CONFIG": compact(
            {"training": {"ContentType": "text/csv", **channel}, "held-out": channel}
        ),
    }


def assert_consistent(training_env: dict[str, Any], host: str, hosts: list[str]) -> None:
    """SM_TRAINING_ENV is all of it in one document."""
    wanted = expected(host, hosts)
    for name in ("hosts", "input_data_config", "resource_config", "instance_groups_dict"):
        assert training_env[name] == json.loads(wanted[f"SM_{name.upper()}"])
    assert training_env["hyperparameters"] == json.loads(wanted["SM_HPS"])
    assert training_env["job_name"] == "Job-1"
    assert training_env["is_master"] == (host == hosts[0])
    assert training_env["channel_input_dirs"] == {
        "training": wanted["SM_CHANNEL_TRAINING"],
        "held-out": wanted["SM_CHANNEL_HELD-OUT"],
    }


def compact(value: object) -> str:
    """JSON as the toolkit writes it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@pytest.mark.contract("1.9-d", "1.9-g")
def test_the_toolkits_failure_is_the_reason(toolkit: tuple[Project, str]) -> None:
    project, image = toolkit

    failed = project.devkit(
        "train", "--image", image, "--name", "Job-1",
        "--hyperparameter", "sagemaker_program=fails.py",
    )  # fmt: skip

    failed.failed(5, "no such column: petal_width")
    job = project.job("Job-1")
    assert outcome(job)["failure_reason"].startswith(
        'AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage ""\nCommand "'
    )
    assert outcome(job)["failure_reason"].endswith(", exit code: 1")
    assert "no such column: petal_width" in log(job)
