"""What the SDK's local mode cannot do, refused by name before anything runs (contract, section 6).

Left to itself, the SDK ignores most of it: a job would train otherwise than it says. What has no
effect on what a program sees is let through: roles, tags, volumes, keys, networks of AWS, times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_RUNTIME = {
    "EndpointName", "Body", "ContentType", "Accept", "CustomAttributes", "TargetModel",
    "TargetVariant", "InferenceId",
}  # fmt: skip


def refusals(operation: str, parameters: Mapping[str, Any]) -> list[str]:
    """What of a request local mode has not; each is part of a sentence."""
    checks = {
        "CreateTrainingJob": _training_job,
        "CreateModel": _model,
        "CreateEndpointConfig": _endpoint_config,
        "InvokeEndpoint": _invocation,
    }
    return list(checks[operation](parameters)) if operation in checks else []


def _training_job(job: Mapping[str, Any]) -> Iterator[str]:
    specification = job["AlgorithmSpecification"]
    yield from _present(
        job, "CheckpointConfig", "EnableNetworkIsolation", "TensorBoardOutputConfig"
    )
    yield from _present(job["ResourceConfig"], "InstanceGroups")
    yield from _other(specification, "TrainingInputMode", "File")
    if "TrainingImage" not in specification:
        yield "an algorithm without TrainingImage"
    if specification.get("ContainerArguments") and not specification.get("ContainerEntrypoint"):
        yield "ContainerArguments without ContainerEntrypoint"
    for channel in job.get("InputDataConfig", ()):
        yield from _channel(channel)


def _channel(channel: Mapping[str, Any]) -> Iterator[str]:
    source = channel["DataSource"].get("S3DataSource")
    if source is None:
        yield f"a channel that is not in S3 ({channel['ChannelName']})"
        return
    if not source["S3Uri"].removeprefix("s3://").partition("/")[2]:
        yield f"a whole bucket as a channel ({source['S3Uri']})"
    yield from _present(channel, "ShuffleConfig")
    yield from _present(source, "AttributeNames", "InstanceGroupNames")
    yield from _other(channel, "InputMode", "File")
    yield from _other(channel, "CompressionType", "None")
    yield from _other(channel, "RecordWrapperType", "None")
    yield from _other(source, "S3DataType", "S3Prefix")
    yield from _other(source, "S3DataDistributionType", "FullyReplicated")


def _model(model: Mapping[str, Any]) -> Iterator[str]:
    yield from _present(model, "Containers", "EnableNetworkIsolation")
    container = model.get("PrimaryContainer", {})
    yield from _present(container, "ModelDataSource", "ModelPackageName", "MultiModelConfig")
    yield from _other(container, "Mode", "SingleModel")


def _endpoint_config(config: Mapping[str, Any]) -> Iterator[str]:
    yield from _present(
        config, "AsyncInferenceConfig", "DataCaptureConfig", "ShadowProductionVariants"
    )
    variants = config["ProductionVariants"]
    if len(variants) > 1:
        yield "several production variants"
    for variant in variants:
        yield from _present(variant, "ServerlessConfig", "InferenceAmiVersion")
        if variant.get("InitialInstanceCount", 1) > 1:
            yield "several instances of a variant"


def _invocation(request: Mapping[str, Any]) -> Iterator[str]:
    yield from sorted(request.keys() - _RUNTIME)


def _present(members: Mapping[str, Any], *names: str) -> Iterator[str]:
    yield from (name for name in names if members.get(name))


def _other(members: Mapping[str, Any], name: str, only: str) -> Iterator[str]:
    if members.get(name, only) != only:
        yield f"{name} {members[name]}"
