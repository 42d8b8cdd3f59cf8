"""What the SDK's local mode would ignore is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from devkit.targets.sdk.limits import refusals

CHANNEL = {
    "ChannelName": "training",
    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/p"}},
    "InputMode": "File",
}
JOB: dict[str, Any] = {
    "TrainingJobName": "j",
    "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
    "InputDataConfig": [CHANNEL],
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "EnableManagedSpotTraining": True,
    "EnableNetworkIsolation": False,
    "Tags": [{"Key": "a", "Value": "b"}],
}
VARIANT = {"VariantName": "A", "ModelName": "m", "InstanceType": "t", "InitialInstanceCount": 1}


def with_source(**members: Any) -> dict[str, Any]:
    source = {**CHANNEL["DataSource"]["S3DataSource"], **members}  # type: ignore[index]
    return {**JOB, "InputDataConfig": [{**CHANNEL, "DataSource": {"S3DataSource": source}}]}


def with_channel(**members: Any) -> dict[str, Any]:
    return {**JOB, "InputDataConfig": [{**CHANNEL, **members}]}


def test_what_has_no_effect_on_programs_is_let_through() -> None:
    assert refusals("CreateTrainingJob", JOB) == []
    assert refusals("CreateEndpointConfig", {"ProductionVariants": [VARIANT]}) == []
    assert refusals("CreateModel", {"PrimaryContainer": {"Image": "i"}, "VpcConfig": {}}) == []
    assert refusals("DescribeTrainingJob", {}) == []


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ({**JOB, "CheckpointConfig": {"S3Uri": "s3://b/c"}}, "CheckpointConfig"),
        ({**JOB, "EnableNetworkIsolation": True}, "EnableNetworkIsolation"),
        ({**JOB, "ResourceConfig": {"InstanceGroups": [{}]}}, "InstanceGroups"),
        (
            {**JOB, "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "Pipe"}},
            "TrainingInputMode Pipe",
        ),
        (
            {**JOB, "AlgorithmSpecification": {"TrainingImage": "i", "ContainerArguments": ["a"]}},
            "ContainerArguments without ContainerEntrypoint",
        ),
        ({**JOB, "AlgorithmSpecification": {}}, "an algorithm without TrainingImage"),
        (with_channel(InputMode="FastFile"), "InputMode FastFile"),
        (with_channel(CompressionType="Gzip"), "CompressionType Gzip"),
        (with_channel(RecordWrapperType="RecordIO"), "RecordWrapperType RecordIO"),
        (with_channel(ShuffleConfig={"Seed": 1}), "ShuffleConfig"),
        (with_channel(DataSource={}), "a channel that is not in S3 (training)"),
        (with_source(S3Uri="s3://b"), "a whole bucket as a channel (s3://b)"),
        (with_source(S3Uri="s3://b/"), "a whole bucket as a channel (s3://b/)"),
        (with_source(S3DataType="ManifestFile"), "S3DataType ManifestFile"),
        (
            with_source(S3DataDistributionType="ShardedByS3Key"),
            "S3DataDistributionType ShardedByS3Key",
        ),
    ],
)
def test_what_a_job_would_miss_is_named(job: dict[str, Any], named: str) -> None:
    assert refusals("CreateTrainingJob", job) == [named]


@pytest.mark.parametrize(
    ("operation", "request_", "named"),
    [
        ("CreateModel", {"Containers": [{}, {}]}, "Containers"),
        ("CreateModel", {"PrimaryContainer": {"Mode": "MultiModel"}}, "Mode MultiModel"),
        (
            "CreateEndpointConfig",
            {"ProductionVariants": [VARIANT, VARIANT]},
            "several production variants",
        ),
        (
            "CreateEndpointConfig",
            {"ProductionVariants": [{"ServerlessConfig": {"MaxConcurrency": 1}}]},
            "ServerlessConfig",
        ),
        (
            "CreateEndpointConfig",
            {"ProductionVariants": [{**VARIANT, "InitialInstanceCount": 2}]},
            "several instances of a variant",
        ),
        (
            "CreateEndpointConfig",
            {"ProductionVariants": [VARIANT], "AsyncInferenceConfig": {"OutputConfig": {}}},
            "AsyncInferenceConfig",
        ),
        ("InvokeEndpoint", {"EndpointName": "e", "SessionId": "NEW_SESSION"}, "SessionId"),
    ],
)
def test_what_hosting_would_miss_is_named(
    operation: str, request_: dict[str, Any], named: str
) -> None:
    assert refusals(operation, request_) == [named]
