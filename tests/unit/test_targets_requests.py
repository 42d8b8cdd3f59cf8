"""Requests of jobs and servers, held against AWS's own description of its API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from devkit.channels.locations import S3Uri
from devkit.channels.plan import ChannelPlan, Compression, DataType, Distribution, InputMode
from devkit.engines.base import Image, Limits
from devkit.job import (
    CheckpointPlan,
    InstanceGroup,
    MetricDefinition,
    ServeSpec,
    TrainingJob,
)
from devkit.local_aws import validation
from devkit.local_aws.sagemaker import training_request
from devkit.targets import requests
from devkit.targets.requests import Cloud

ROLE = "arn:aws:iam::123456789012:role/devkit-iris"
URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/iris:dev"
IMAGE = Image(reference=URI, id=URI)
CLOUD = Cloud(role_arn=ROLE, bucket="data", prefix="iris/")
FULL = Cloud(
    role_arn=ROLE,
    bucket="data",
    spot=True,
    max_wait_s=7200,
    subnets=("subnet-1",),
    security_groups=("sg-1",),
    kms_key="alias/mine",
    encrypt_between_containers=True,
    tags={"team": "flowers"},
)
MODEL = botocore.session.get_session().get_service_model("sagemaker")


def require_valid(operation: str, parameters: Mapping[str, Any]) -> None:
    shape = MODEL.operation_model(operation).input_shape
    assert validation.problems(shape, parameters) == []


def a_job(**more: Any) -> TrainingJob:
    return TrainingJob(**{"name": "job-1", "image": IMAGE, "max_run_s": 3600, **more})


def channels(*plans: ChannelPlan) -> dict[str, S3Uri]:
    return {each.name: S3Uri("data", f"iris/{each.name}/") for each in plans}


def in_s3(name: str, **options: Any) -> ChannelPlan:
    return ChannelPlan(name=name, location=S3Uri("data", f"iris/{name}/"), **options)


JOBS = {
    "the smallest": a_job(),
    "hyperparameters and metrics": a_job(
        hyperparameters={"eta": "0.1"},
        metrics=(MetricDefinition(name="loss", regex="loss=(.*)"),),
        environment={"A": "b"},
    ),
    "channels": a_job(
        channels=(
            in_s3("training", content_type="text/csv"),
            in_s3(
                "stream",
                input_mode=InputMode.PIPE,
                compression=Compression.GZIP,
                distribution=Distribution.SHARDED,
                shuffle_seed=3,
            ),
            in_s3("list", data_type=DataType.MANIFEST),
        )
    ),
    "its own start": a_job(entrypoint=("python3",), arguments=("train.py", "--x")),
    "checkpoints": a_job(checkpoints=CheckpointPlan(location=S3Uri("data", "checkpoints"))),
    "hosts": a_job(instances=3),
}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS.keys())
def test_a_job_comes_back_as_it_was(job: TrainingJob) -> None:
    """The local AWS reads what is written here: both know the same API."""
    parameters = requests.training_job(job, URI, channels(*job.channels), CLOUD)
    require_valid("CreateTrainingJob", parameters)

    read = training_request.training_job(
        parameters, region="us-east-1", limits=Limits(), image=IMAGE
    )

    for name in (
        "name",
        "hyperparameters",
        "channels",
        "metrics",
        "environment",
        "entrypoint",
        "arguments",
        "instances",
        "checkpoints",
        "max_run_s",
    ):
        assert getattr(read, name) == getattr(job, name), name
    assert read.instance_type == "ml.m5.large"


def test_everything_that_aws_can_be_told_is_told() -> None:
    groups = (InstanceGroup(name="a", instance_type="ml.m5.large", count=2),)
    job = a_job(instance_groups=groups, network_isolation=True)

    parameters = requests.training_job(job, URI, {}, FULL)

    require_valid("CreateTrainingJob", parameters)
    assert parameters["EnableManagedSpotTraining"] is True
    assert parameters["StoppingCondition"]["MaxWaitTimeInSeconds"] == 7200
    assert parameters["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert parameters["Tags"] == [{"Key": "team", "Value": "flowers"}]
    assert parameters["ResourceConfig"]["VolumeKmsKeyId"] == "alias/mine"


def test_nothing_is_said_of_what_was_not_asked_for() -> None:
    assert set(requests.training_job(a_job(), URI, {}, CLOUD)) == {
        "TrainingJobName",
        "AlgorithmSpecification",
        "RoleArn",
        "OutputDataConfig",
        "ResourceConfig",
        "StoppingCondition",
    }


@pytest.mark.parametrize("profile", ["realtime", "serverless", "async", None])
def test_a_server_is_three_requests(profile: str | None, tmp_path: Path) -> None:
    spec = ServeSpec(name="iris-1", image=IMAGE, model=tmp_path, profile=profile)
    archive = S3Uri("data", "model.tar.gz")
    made = {
        "CreateModel": requests.model(spec, URI, archive, FULL),
        "CreateEndpointConfig": requests.endpoint_config(spec, FULL),
        "CreateEndpoint": requests.endpoint(spec, FULL),
    }

    for operation, parameters in made.items():
        require_valid(operation, parameters)
    (variant,) = made["CreateEndpointConfig"]["ProductionVariants"]
    assert ("ServerlessConfig" in variant) == (profile == "serverless")
    assert ("AsyncInferenceConfig" in made["CreateEndpointConfig"]) == (profile == "async")
