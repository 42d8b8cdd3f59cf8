"""What the tests of the SDK's local mode share: a project whose image it trains and serves."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from devkit.channels.locations import S3Uri
from devkit.local_aws.state import Endpoint
from devkit.targets.clients import CallFailed
from devkit.targets.sdk.clients import Said, SdkClients
from tests.integration.kit import Project, archive
from tests.sdk.kit import ROLE

DEADLINE_S = 180.0
"""The SDK's import alone takes seconds."""
BUCKET = "data"
DRIVER = "driver/launch.py"
"""Stands in the command line of the driver, and of what the SDK runs for Docker Compose."""


def require_local_mode() -> None:
    """Skip where the SDK or Docker Compose is not, or fail where they have to be."""
    reason = _missing()
    if reason is None:
        return
    if os.environ.get("DEVKIT_REQUIRE_SDK"):
        pytest.fail(reason)
    pytest.skip(reason)


def _missing() -> str | None:
    try:
        importlib.metadata.version("sagemaker")
    except importlib.metadata.PackageNotFoundError:
        return "needs the SageMaker SDK (tox -e local2, local3)"
    if shutil.which("docker-compose"):
        return None
    try:
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "needs Docker Compose"
    return None


class LocalMode:
    """SageMaker's operations by the SDK, for the image of a project.

    Args:
        project: Whose.
        clients: Open.
        said: What they tell.
        endpoint: The local AWS.
    """

    def __init__(
        self,
        project: Project,
        clients: SdkClients,
        said: list[tuple[float, Said]],
        endpoint: Endpoint,
    ) -> None:
        self.project = project
        self.clients = clients
        self.said = said
        self.endpoint = endpoint
        self.image = f"{project.name}:dev"

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        service = "sagemaker-runtime" if operation == "InvokeEndpoint" else "sagemaker"
        return self.clients.call(service, operation, parameters)

    def begin(self, name: str, **more: Any) -> None:
        """Create a training job over the object ``data/one``."""
        self.clients.call("s3", "CreateBucket", {"Bucket": BUCKET})
        self.clients.call("s3", "PutObject", {"Bucket": BUCKET, "Key": "in/one", "Body": b"1"})
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}
        self.call(
            "CreateTrainingJob",
            **{
                "TrainingJobName": name,
                "RoleArn": ROLE,
                "AlgorithmSpecification": {
                    "TrainingImage": self.image,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": r"loss=(\S+)"}],
                },
                "InputDataConfig": [
                    {"ChannelName": "training", "DataSource": {"S3DataSource": source}}
                ],
                "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
                "ResourceConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 30,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
                **more,
            },
        )

    def job(self, name: str) -> Mapping[str, Any]:
        """The description of a job."""
        return self.call("DescribeTrainingJob", TrainingJobName=name)

    def ended(self, name: str) -> Mapping[str, Any]:
        """The last description of a job."""
        found: list[Mapping[str, Any]] = []

        def has_ended() -> bool:
            found[:] = [self.job(name)]
            return found[0]["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")

        self.eventually(has_ended)
        return found[0]

    def model(self, job: Mapping[str, Any], folder: Path) -> dict[str, bytes]:
        """The files in the model that a job has put into S3."""
        bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"][len("s3://") :].partition("/")
        target = folder / "fetched.tar.gz"
        self.clients.download(S3Uri(bucket, key), target)
        return archive(target)

    def deploy(self, name: str, model: str | None = None) -> None:
        """Create model, configuration and endpoint, all of one name."""
        container = {"Image": self.image, **({"ModelDataUrl": model} if model else {})}
        self.call(
            "CreateModel", ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container
        )  # fmt: skip
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        self.call("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[variant])
        self.call("CreateEndpoint", EndpointName=name, EndpointConfigName=name)

    def settled(self, name: str) -> Mapping[str, Any]:
        """The description of an endpoint that is no longer being created."""
        found: list[Mapping[str, Any]] = []

        def is_settled() -> bool:
            found[:] = [self.call("DescribeEndpoint", EndpointName=name)]
            return bool(found[0]["EndpointStatus"] != "Creating")

        self.eventually(is_settled)
        return found[0]

    def ask(self, name: str, body: bytes) -> bytes:
        """The body of an endpoint's answer."""
        answer = self.call(
            "InvokeEndpoint", EndpointName=name, Body=body, ContentType="text/plain"
        )  # fmt: skip
        assert isinstance(answer["Body"], bytes)
        return answer["Body"]

    def lines(self, name: str) -> list[str]:
        """What the containers of a job or an endpoint wrote, as it was told."""
        return [said.text for _, said in self.said if said.name == name]

    def log(self, name: str) -> list[str]:
        """The same of a job, by CloudWatch's operations."""
        group = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
        prefix = {"logStreamNamePrefix": f"{name}/"}
        streams = self.clients.call("logs", "DescribeLogStreams", {**group, **prefix})
        (stream,) = streams["logStreams"]
        request = {**group, "logStreamName": stream["logStreamName"], "startFromHead": True}
        return [
            each["message"] for each in self.clients.call("logs", "GetLogEvents", request)["events"]
        ]

    def until_said(self, text: str) -> None:
        """Wait until somebody has written a line with this text."""
        self.eventually(lambda: any(text in said.text for _, said in list(self.said)))

    def eventually(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds."""
        eventually(condition, lambda: self.said)

    def refused(self, operation: str, **parameters: Any) -> CallFailed:
        """The error of an operation."""
        with pytest.raises(CallFailed) as error:
            self.call(operation, **parameters)
        return error.value


def eventually(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def sessions(project: Project) -> list[str]:
    """The sessions whose folder is there."""
    folder = project.store / "sagemaker-local"
    return [each.name for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []


def drivers(project: Project) -> list[int]:
    """The driver of a project, and what the SDK runs for Docker Compose."""
    found = []
    for process in project.processes():
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes().decode()
        except OSError:
            continue
        if DRIVER in command:
            found.append(process)
    return found
