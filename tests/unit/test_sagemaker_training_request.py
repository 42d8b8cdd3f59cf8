"""CreateTrainingJob's parameters as a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devkit.channels.locations import S3Uri
from devkit.channels.plan import Compression, DataType, Distribution, InputMode, RecordWrapper
from devkit.engines.base import Limits
from devkit.job import MetricDefinition, TrainingJob
from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.training_request import artifacts, image_uri, training_job


def request(**changes: Any) -> dict[str, Any]:
    parameters = {
        "TrainingJobName": "iris-1",
        "RoleArn": "arn:aws:iam::123456789012:role/SageMakerExecutionRole",
        "AlgorithmSpecification": {"TrainingImage": "iris:demo", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    return {**parameters, **changes}


def algorithm(**changes: Any) -> dict[str, Any]:
    return {"TrainingImage": "iris:demo", "TrainingInputMode": "File", **changes}


def channel(name: str = "training", *, data: dict[str, Any] | None = None, **changes: Any) -> Any:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in/", **(data or {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **changes}


def job_of(**changes: Any) -> TrainingJob:
    return training_job(request(**changes), region="us-east-1", limits=Limits())


def refused(**changes: Any) -> str:
    with pytest.raises(AwsError) as error:
        job_of(**changes)
    assert error.value.code == "ValidationException"
    return error.value.message


def test_a_small_request_is_a_job_with_the_services_defaults() -> None:
    job = job_of()
    assert (job.name, job.instances, job.instance_type) == ("iris-1", 1, "ml.m5.large")
    assert (job.max_run_s, job.max_wait_s) == (60, None)
    assert (job.entrypoint, job.arguments, job.checkpoints) == (None, None, None)
    assert job.local_aws == "us-east-1"
    without_condition = request()
    del without_condition["StoppingCondition"]
    assert training_job(without_condition, region="us-east-1", limits=Limits()).max_run_s == 86_400


def test_everything_that_a_request_can_say_is_in_the_job() -> None:
    job = job_of(
        AlgorithmSpecification=algorithm(
            ContainerEntrypoint=["python3"],
            ContainerArguments=["train.py", "--fast"],
            MetricDefinitions=[{"Name": "loss", "Regex": "loss=(.*)"}],
        ),
        HyperParameters={"eta": "0.1"},
        Environment={"MODE": "fast"},
        CheckpointConfig={"S3Uri": "s3://data/checkpoints"},
        EnableNetworkIsolation=True,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 3},
    )
    assert job.entrypoint == ("python3",)
    assert job.arguments == ("train.py", "--fast")
    assert job.metrics == (MetricDefinition(name="loss", regex="loss=(.*)"),)
    assert job.hyperparameters == {"eta": "0.1"}
    assert job.environment == {"MODE": "fast"}
    assert job.checkpoints is not None
    assert job.checkpoints.location == S3Uri("data", "checkpoints")
    assert job.checkpoints.path == "/opt/ml/checkpoints"
    assert (job.network_isolation, job.instances, job.max_wait_s) == (True, 3, 120)


def test_checkpoints_can_be_elsewhere_in_the_container() -> None:
    config = {"S3Uri": "s3://data/checkpoints", "LocalPath": "/tmp/checkpoints"}
    job = job_of(CheckpointConfig=config)
    assert job.checkpoints is not None
    assert job.checkpoints.path == "/tmp/checkpoints"


def test_a_channel_has_all_its_settings() -> None:
    (plan,) = job_of(
        InputDataConfig=[
            channel(
                data={
                    "S3DataType": "AugmentedManifestFile",
                    "S3DataDistributionType": "ShardedByS3Key",
                    "AttributeNames": ["source-ref", "label"],
                },
                InputMode="Pipe",
                ContentType="text/csv",
                CompressionType="Gzip",
                RecordWrapperType="RecordIO",
                ShuffleConfig={"Seed": 7},
            )
        ]
    ).channels
    assert plan.location == S3Uri("data", "in/")
    assert plan.input_mode is InputMode.PIPE
    assert plan.data_type is DataType.AUGMENTED_MANIFEST
    assert plan.distribution is Distribution.SHARDED
    assert plan.compression is Compression.GZIP
    assert plan.record_wrapper is RecordWrapper.RECORD_IO
    assert (plan.content_type, plan.shuffle_seed) == ("text/csv", 7)
    assert plan.attribute_names == ("source-ref", "label")


def test_a_channel_that_does_not_say_has_the_jobs_input_mode() -> None:
    first, second = job_of(
        AlgorithmSpecification=algorithm(TrainingInputMode="FastFile"),
        InputDataConfig=[channel("a"), channel("b", InputMode="File")],
    ).channels
    assert (first.input_mode, second.input_mode) == (InputMode.FAST_FILE, InputMode.FILE)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"InputDataConfig": [channel(), channel()]}, "unique"),
        ({"InputDataConfig": [channel(data={"S3Uri": "https://example.com/a"})]}, "example.com"),
        ({"InputDataConfig": [channel(data={"InstanceGroupNames": ["a"]})]}, "instance group 'a'"),
        ({"InputDataConfig": [channel(data={"S3DataType": "Converse"})]}, "Converse"),
        ({"InputDataConfig": [channel(CompressionType="Gzip")]}, "CompressionType"),
        (
            {"InputDataConfig": [{"ChannelName": "a", "DataSource": {"FileSystemDataSource": {}}}]},
            "S3DataSource",
        ),
        ({"HyperParameters": {"a": "x\ny"}}, "line end"),
        ({"CheckpointConfig": {"S3Uri": "s3://data/c", "LocalPath": "/opt/ml/model"}}, "overlaps"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59},
            },
            "greater than or equal",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}},
            "EnableManagedSpotTraining",
        ),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 0}}, "instances"),
        ({"ResourceConfig": {"InstanceGroups": [{}], "InstanceCount": 1}}, "InstanceGroups"),
        ({"ServerlessJobConfig": {}}, "ServerlessJobConfig"),
    ],
)
def test_what_sagemaker_refuses_and_what_is_not_here_is_refused(
    changes: dict[str, Any], text: str
) -> None:
    assert text in refused(**changes)


def test_a_heterogeneous_cluster_has_its_groups() -> None:
    groups = [
        {"InstanceGroupName": "lead", "InstanceType": "ml.p3.2xlarge", "InstanceCount": 1},
        {"InstanceGroupName": "workers", "InstanceType": "ml.c5.xlarge", "InstanceCount": 2},
    ]
    job = job_of(
        ResourceConfig={"InstanceGroups": groups},
        InputDataConfig=[channel(data={"InstanceGroupNames": ["workers"]})],
    )
    assert [(group.name, group.hosts) for group in job.groups] == [
        ("lead", ("algo-1",)),
        ("workers", ("algo-2", "algo-3")),
    ]
    assert job.channels[0].instance_group_names == ("workers",)


@pytest.mark.parametrize("missing", ["AlgorithmSpecification", "ResourceConfig"])
def test_a_job_needs_an_image_and_something_to_run_on(missing: str) -> None:
    parameters = request()
    del parameters[missing]
    with pytest.raises(AwsError, match=missing):
        training_job(parameters, region="us-east-1", limits=Limits())


def test_the_image_is_named_by_the_request() -> None:
    assert image_uri(request()) == "iris:demo"


@pytest.mark.parametrize(
    "specification",
    [{}, {"AlgorithmName": "a", "TrainingImage": "b"}, {"AlgorithmName": "a"}],
)
def test_a_job_has_an_image_and_no_algorithm(specification: dict[str, str]) -> None:
    with pytest.raises(AwsError, match="TrainingImage"):
        image_uri(request(AlgorithmSpecification=specification))


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("s3://data/out", "s3://data/out/iris-1/output/model.tar.gz"),
        ("s3://data/out/", "s3://data/out/iris-1/output/model.tar.gz"),
        ("s3://data", "s3://data/iris-1/output/model.tar.gz"),
        ("https://s3.amazonaws.com/data/out", "s3://data/out/iris-1/output/model.tar.gz"),
    ],
)
def test_artifacts_are_below_the_output_path_and_the_jobs_name(path: str, model: str) -> None:
    found = artifacts(request(OutputDataConfig={"S3OutputPath": path}))
    assert str(found.model) == model
    assert str(found.output) == model.replace("model", "output")


def test_artifacts_that_are_left_as_files_have_prefixes() -> None:
    config = {"S3OutputPath": "s3://data/out", "CompressionType": "NONE"}
    found = artifacts(request(OutputDataConfig=config))
    assert str(found.model) == "s3://data/out/iris-1/output/model/"
    assert str(found.output) == "s3://data/out/iris-1/output/data/"


def test_no_folder_of_this_machine_can_be_named() -> None:
    assert "S3 URI" in refused(InputDataConfig=[channel(data={"S3Uri": str(Path.home())})])
