"""Jobs and servers as the requests of SageMaker's API: pure functions, no call is made here.

Whatever answers is asked the same: AWS, the local AWS, the SDK's local mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devkit.channels.locations import S3Uri
from devkit.channels.plan import ChannelPlan, Compression, RecordWrapper
from devkit.job import ServeSpec, TrainingJob

VARIANT = "AllTraffic"


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """What a project says of where its jobs and endpoints are to be: ``[aws]``."""

    role_arn: str
    bucket: str
    prefix: str = ""
    """Below which this project's things are in the bucket; ends in ``/`` if there is one."""
    train_instance: str = "ml.m5.large"
    serve_instance: str = "ml.m5.xlarge"
    volume_gb: int = 30
    spot: bool = False
    max_wait_s: int | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str | None = None
    encrypt_between_containers: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    checkpoints: S3Uri | None = None
    """Below which jobs on spot capacity have theirs, if they say nothing else."""

    def place(self, *parts: str) -> S3Uri:
        """Somewhere in this project's part of the bucket."""
        return S3Uri(self.bucket, self.prefix + "/".join(parts))


def training_job(
    job: TrainingJob, image: str, channels: Mapping[str, S3Uri], cloud: Cloud
) -> dict[str, Any]:
    """``CreateTrainingJob``'s parameters.

    Args:
        job: The job.
        image: Its image, by URI.
        channels: Where the data of each channel is.
        cloud: Where it is to run.
    """
    specification: dict[str, Any] = {
        "TrainingImage": image,
        "TrainingInputMode": "File",
        **_given("ContainerEntrypoint", job.entrypoint),
        **_given("ContainerArguments", job.arguments),
        **_given("MetricDefinitions", [{"Name": m.name, "Regex": m.regex} for m in job.metrics]),
    }
    stopping: dict[str, Any] = {"MaxRuntimeInSeconds": job.max_run_s}
    if cloud.spot:
        wait_s = cloud.max_wait_s or job.max_wait_s or job.max_run_s
        stopping["MaxWaitTimeInSeconds"] = max(wait_s, job.max_run_s)
    return {
        "TrainingJobName": job.name,
        "AlgorithmSpecification": specification,
        "RoleArn": cloud.role_arn,
        **_given("HyperParameters", dict(job.hyperparameters)),
        **_given("InputDataConfig", [_channel(c, channels[c.name]) for c in job.channels]),
        "OutputDataConfig": {
            "S3OutputPath": str(cloud.place("jobs")),
            **_given("KmsKeyId", cloud.kms_key),
        },
        "ResourceConfig": _resources(job, cloud),
        "StoppingCondition": stopping,
        **_given("Environment", dict(job.environment)),
        **_given("VpcConfig", _vpc(cloud)),
        **_given("Tags", _tags(cloud.tags)),
        **_checkpoints(job, cloud),
        **({"EnableManagedSpotTraining": True} if cloud.spot else {}),
        **({"EnableNetworkIsolation": True} if job.network_isolation else {}),
        **(
            {"EnableInterContainerTrafficEncryption": True}
            if cloud.encrypt_between_containers
            else {}
        ),
    }


def model(spec: ServeSpec, image: str, archive: S3Uri | None, cloud: Cloud) -> dict[str, Any]:
    """``CreateModel``'s parameters; the model is called like the server."""
    container = {
        "Image": image,
        **_given("ModelDataUrl", None if archive is None else str(archive)),
        **_given("Environment", dict(spec.environment)),
    }
    return {
        "ModelName": spec.name,
        "ExecutionRoleArn": cloud.role_arn,
        "PrimaryContainer": container,
        **_given("VpcConfig", _vpc(cloud)),
        **_given("Tags", _tags(cloud.tags)),
    }


def endpoint_config(spec: ServeSpec, cloud: Cloud) -> dict[str, Any]:
    """``CreateEndpointConfig``'s parameters; it is called like the server."""
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": spec.name}
    if spec.profile == "serverless":
        variant["ServerlessConfig"] = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    else:
        startup_s = min(max(int(spec.startup_timeout_s), 60), 3600)
        variant |= {
            "InitialInstanceCount": 1,
            "InstanceType": cloud.serve_instance,
            "ContainerStartupHealthCheckTimeoutInSeconds": startup_s,
        }
    asynchronous = {
        "OutputConfig": {"S3OutputPath": str(cloud.place("async", spec.name))},
    }
    return {
        "EndpointConfigName": spec.name,
        "ProductionVariants": [variant],
        **({"AsyncInferenceConfig": asynchronous} if spec.profile == "async" else {}),
        **_given("KmsKeyId", cloud.kms_key),
        **_given("Tags", _tags(cloud.tags)),
    }


def endpoint(spec: ServeSpec, cloud: Cloud) -> dict[str, Any]:
    """``CreateEndpoint``'s parameters."""
    return {
        "EndpointName": spec.name,
        "EndpointConfigName": spec.name,
        **_given("Tags", _tags(cloud.tags)),
    }


def _resources(job: TrainingJob, cloud: Cloud) -> dict[str, Any]:
    common = {"VolumeSizeInGB": cloud.volume_gb, **_given("VolumeKmsKeyId", cloud.kms_key)}
    if job.instance_groups:
        groups = [
            {
                "InstanceGroupName": group.name,
                "InstanceType": group.instance_type,
                "InstanceCount": group.count,
            }
            for group in job.instance_groups
        ]
        return {"InstanceGroups": groups, **common}
    return {
        "InstanceType": cloud.train_instance,
        "InstanceCount": job.instances,
        **common,
    }


def _channel(channel: ChannelPlan, place: S3Uri) -> dict[str, Any]:
    source = {
        "S3DataType": channel.data_type.value,
        "S3Uri": str(place),
        "S3DataDistributionType": channel.distribution.value,
        **_given("AttributeNames", list(channel.attribute_names)),
        **_given("InstanceGroupNames", list(channel.instance_group_names)),
    }
    seed = channel.shuffle_seed
    return {
        "ChannelName": channel.name,
        "DataSource": {"S3DataSource": source},
        "InputMode": channel.input_mode.value,
        **_given("ContentType", channel.content_type),
        **_unless(Compression.NONE, "CompressionType", channel.compression),
        **_unless(RecordWrapper.NONE, "RecordWrapperType", channel.record_wrapper),
        **({} if seed is None else {"ShuffleConfig": {"Seed": seed}}),
    }


def _checkpoints(job: TrainingJob, cloud: Cloud) -> dict[str, Any]:
    checkpoints = job.checkpoints
    if checkpoints is not None and isinstance(checkpoints.location, S3Uri):
        config = {"S3Uri": str(checkpoints.location), "LocalPath": checkpoints.path}
        return {"CheckpointConfig": config}
    if cloud.spot and cloud.checkpoints is not None:
        place = f"{str(cloud.checkpoints).rstrip('/')}/{job.name}"
        return {"CheckpointConfig": {"S3Uri": place}}
    return {}


def _vpc(cloud: Cloud) -> dict[str, Any] | None:
    if not cloud.subnets:
        return None
    return {"Subnets": list(cloud.subnets), "SecurityGroupIds": list(cloud.security_groups)}


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _unless(default: Any, name: str, value: Any) -> dict[str, Any]:
    return {} if value is default else {name: value.value}


def _given(name: str, value: str | Mapping[str, Any] | Sequence[Any] | None) -> dict[str, Any]:
    """A parameter, where there is something to say; tuples are lists in requests."""
    if not value:
        return {}
    return {name: list(value) if isinstance(value, tuple) else value}
