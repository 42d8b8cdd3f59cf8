"""The AWS CLI, as it comes from the Python registry, from the data to the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kit import Project, eventually, log
from tests.sdk.kit import ANSWER, IMAGE, ROLE, make_iris, require_program, run

GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture(autouse=True, scope="module")
def _cli() -> None:
    require_program("aws")


def aws(project: Project, *arguments: str) -> Any:
    """What a command of the AWS CLI answers."""
    out = run(project, "aws", *arguments).out
    return json.loads(out) if out.startswith("{") else out


def begin(project: Project) -> None:
    """Start the local AWS, with the data in S3."""
    project.devkit("up", "--detach", "--port", "0").succeeded()
    aws(project, "s3", "mb", "s3://iris")
    aws(project, "s3", "cp", "--recursive", "examples/iris/data", "s3://iris/data/")


def train(project: Project, name: str) -> None:
    channel = {
        "ChannelName": "training",
        "ContentType": "text/csv",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://iris/data/"}},
    }
    aws(
        project, "sagemaker", "create-training-job",
        "--training-job-name", name,
        "--role-arn", ROLE,
        "--algorithm-specification", f"TrainingImage={IMAGE},TrainingInputMode=File",
        "--input-data-config", json.dumps([channel]),
        "--output-data-config", "S3OutputPath=s3://iris/models",
        "--resource-config", "InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=30",
        "--stopping-condition", "MaxRuntimeInSeconds=3600",
        "--hyper-parameters", "eta=0.05,n_iter=1000,random_state=1",
    )  # fmt: skip

    def ended() -> bool:
        """Asked before ``aws sagemaker wait``, which would look again after two minutes."""
        found = aws(project, "sagemaker", "describe-training-job", "--training-job-name", name)
        return bool(found["TrainingJobStatus"] != "InProgress")

    eventually(ended, "the job has not ended")
    aws(
        project, "sagemaker", "wait", "training-job-completed-or-stopped",
        "--training-job-name", name,
    )  # fmt: skip


def deploy(project: Project, name: str) -> None:
    model = f"s3://iris/models/{name}/output/model.tar.gz"
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    aws(
        project, "sagemaker", "create-model", "--model-name", name,
        "--primary-container", f"Image={IMAGE},ModelDataUrl={model}",
        "--execution-role-arn", ROLE,
    )  # fmt: skip
    aws(
        project, "sagemaker", "create-endpoint-config", "--endpoint-config-name", name,
        "--production-variants", json.dumps([variant]),
    )  # fmt: skip
    aws(
        project, "sagemaker", "create-endpoint",
        "--endpoint-name", name, "--endpoint-config-name", name,
    )  # fmt: skip
    aws(project, "sagemaker", "wait", "endpoint-in-service", "--endpoint-name", name)


def test_it_trains_deploys_and_asks(iris: Project, tmp_path: Path) -> None:
    begin(iris)
    train(iris, "by-hand")
    listed = aws(iris, "s3", "ls", "--recursive", "s3://iris/models/")
    assert "models/by-hand/output/model.tar.gz" in listed
    deploy(iris, "by-hand")

    answer = tmp_path / "answer"
    told = aws(
        iris, "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "by-hand",
        "--content-type", "application/json",
        "--body", '{"petal_length": 0.4, "petal_width": 1.4}', str(answer),
    )  # fmt: skip
    assert answer.read_text().strip() == ANSWER
    assert told["InvokedProductionVariant"] == "AllTraffic"

    aws(iris, "sagemaker", "delete-endpoint", "--endpoint-name", "by-hand")
    aws(iris, "sagemaker", "wait", "endpoint-deleted", "--endpoint-name", "by-hand")
    assert aws(iris, "sagemaker", "list-endpoints")["Endpoints"] == []
    iris.devkit("down").succeeded()


def test_a_jobs_model_and_lines_are_had(process_project: Project, tmp_path: Path) -> None:
    iris = make_iris(process_project)
    begin(iris)
    train(iris, "by-hand")
    job = iris.job("by-hand")

    fetched = tmp_path / "model.tar.gz"
    aws(iris, "s3", "cp", "s3://iris/models/by-hand/output/model.tar.gz", str(fetched))
    assert fetched.read_bytes() == (job / "output" / "model.tar.gz").read_bytes()

    streams = aws(
        iris, "logs", "describe-log-streams", "--log-group-name", GROUP,
        "--log-stream-name-prefix", "by-hand/",
    )["logStreams"]  # fmt: skip
    (stream,) = (each["logStreamName"] for each in streams)
    told = aws(
        iris, "logs", "get-log-events", "--log-group-name", GROUP,
        "--log-stream-name", stream, "--start-from-head",
    )  # fmt: skip
    assert [event["message"] for event in told["events"]] == log(job)
    found = aws(
        iris, "logs", "filter-log-events", "--log-group-name", GROUP,
        "--filter-pattern", "accuracy",
    )  # fmt: skip
    assert [event["message"] for event in found["events"]] == log(job)[-1:]
    iris.devkit("down").succeeded()
