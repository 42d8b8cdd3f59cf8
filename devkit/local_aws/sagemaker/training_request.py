"""CreateTrainingJob's parameters as a job that an engine can run (contract, section 1.13).

Pure: neither S3 nor an engine is asked. What the API's description forbids has been refused before;
here is what only the service knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devkit import contract
from devkit.channels.locations import S3Uri, parse_s3_uri
from devkit.channels.plan import (
    ChannelPlan,
    Compression,
    DataType,
    Distribution,
    InputMode,
    RecordWrapper,
)
from devkit.engines.base import Image, Limits
from devkit.errors import ConfigError
from devkit.job import CheckpointPlan, InstanceGroup, MetricDefinition, TrainingJob
from devkit.local_aws.errors import AwsError, validation

_NOT_BUILT = Image(reference="(not built yet)", id="")
_OUTPUT = "output"


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """Where a job's artifacts go: ``OutputDataConfig`` (§1.8)."""

    folder: S3Uri
    """``<S3OutputPath>/<job>/output/``."""
    compressed: bool

    @property
    def model(self) -> S3Uri:
        """The model: an archive, or a prefix where files are left as they are (undocumented)."""
        return self._below("model.tar.gz" if self.compressed else "model/")

    @property
    def output(self) -> S3Uri:
        """What stood in ``/opt/ml/output/data``, likewise."""
        return self._below("output.tar.gz" if self.compressed else "data/")

    def _below(self, name: str) -> S3Uri:
        return S3Uri(self.folder.bucket, self.folder.prefix + name)


def artifacts(parameters: Mapping[str, Any]) -> Artifacts:
    """Where a job's artifacts go.

    Raises:
        AwsError: That is no place in S3.
    """
    config = parameters["OutputDataConfig"]
    place = s3_uri(config["S3OutputPath"])
    above = place.prefix.rstrip("/")
    below = f"{parameters['TrainingJobName']}/{_OUTPUT}/"
    folder = S3Uri(place.bucket, f"{above}/{below}" if above else below)
    return Artifacts(folder=folder, compressed=config.get("CompressionType", "GZIP") != "NONE")


def image_uri(parameters: Mapping[str, Any]) -> str:
    """The image of a job.

    Raises:
        AwsError: It has none, or an algorithm of the Marketplace in its place.
    """
    specification = parameters.get("AlgorithmSpecification", {})
    image, algorithm = (specification.get(key) for key in ("TrainingImage", "AlgorithmName"))
    if (image is None) == (algorithm is None):
        raise validation("Specify either TrainingImage or AlgorithmName, and not both.")
    if image is None:
        raise _not_here("AlgorithmName", "an algorithm of AWS Marketplace; name a TrainingImage")
    return str(image)


def training_job(
    parameters: Mapping[str, Any],
    *,
    region: str,
    limits: Limits,
    image: Image = _NOT_BUILT,
    platform_environment: Mapping[str, str] | None = None,
) -> TrainingJob:
    """The job that is asked for.

    Args:
        parameters: CreateTrainingJob's.
        region: Where it is asked for.
        limits: What its containers may use.
        image: What its image is here.
        platform_environment: See :class:`~devkit.job.TrainingJob`.

    Raises:
        AwsError: SageMaker would refuse it, or it asks for what is not here; all problems are told.
    """
    _require_possible(parameters)
    specification, resources = (
        parameters[key] for key in ("AlgorithmSpecification", "ResourceConfig")
    )
    stopping = parameters.get("StoppingCondition", {})
    max_run_s = stopping.get("MaxRuntimeInSeconds", contract.MAX_RUN_DEFAULT_S)
    max_wait_s = stopping.get("MaxWaitTimeInSeconds")
    _require_sound_spot(parameters, max_run_s, max_wait_s)
    words = (specification.get(key) for key in ("ContainerEntrypoint", "ContainerArguments"))
    entrypoint, arguments = (None if each is None else tuple(each) for each in words)
    definitions = specification.get("MetricDefinitions", ())
    try:
        return TrainingJob(
            name=parameters["TrainingJobName"],
            image=image,
            hyperparameters=parameters.get("HyperParameters", {}),
            channels=_channels(parameters, InputMode(specification["TrainingInputMode"])),
            environment=parameters.get("Environment", {}),
            platform_environment=platform_environment or {},
            local_aws=region,
            entrypoint=entrypoint,
            arguments=arguments,
            metrics=tuple(MetricDefinition(name=m["Name"], regex=m["Regex"]) for m in definitions),
            instances=resources.get("InstanceCount", 1),
            instance_type=resources.get("InstanceType", contract.LOCAL_INSTANCE_TYPE),
            instance_groups=tuple(
                InstanceGroup(
                    name=group["InstanceGroupName"],
                    instance_type=group["InstanceType"],
                    count=group["InstanceCount"],
                )
                for group in resources.get("InstanceGroups", ())
            ),
            network_isolation=parameters.get("EnableNetworkIsolation", False),
            checkpoints=_checkpoints(parameters.get("CheckpointConfig")),
            max_run_s=max_run_s,
            max_wait_s=max_wait_s,
            limits=limits,
        )
    except ConfigError as error:
        raise validation(error.message) from None


def _channels(parameters: Mapping[str, Any], mode: InputMode) -> tuple[ChannelPlan, ...]:
    given: Sequence[Mapping[str, Any]] = parameters.get("InputDataConfig", ())
    names = [each["ChannelName"] for each in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise validation(f"Channel names must be unique, and these are not: {', '.join(twice)}.")
    return tuple(_channel(each, mode) for each in given)


def _channel(given: Mapping[str, Any], mode: InputMode) -> ChannelPlan:
    source = given["DataSource"].get("S3DataSource")
    name = given["ChannelName"]
    if source is None:
        raise _not_here(f"channel {name}", "data that is not in S3; give it an S3DataSource")
    if source["S3DataType"] not in {each.value for each in DataType}:
        raise _not_here(f"channel {name}", f"S3DataType {source['S3DataType']}")
    return ChannelPlan(
        name=name,
        location=s3_uri(source["S3Uri"]),
        input_mode=InputMode(given.get("InputMode", mode.value)),
        data_type=DataType(source["S3DataType"]),
        distribution=Distribution(source.get("S3DataDistributionType", "FullyReplicated")),
        compression=Compression(given.get("CompressionType", "None")),
        record_wrapper=RecordWrapper(given.get("RecordWrapperType", "None")),
        content_type=given.get("ContentType"),
        attribute_names=tuple(source.get("AttributeNames", ())),
        instance_group_names=tuple(source.get("InstanceGroupNames", ())),
        shuffle_seed=given["ShuffleConfig"]["Seed"] if "ShuffleConfig" in given else None,
    )


def _checkpoints(given: Mapping[str, Any] | None) -> CheckpointPlan | None:
    if given is None:
        return None
    path = given.get("LocalPath", contract.CHECKPOINTS)
    return CheckpointPlan(location=s3_uri(given["S3Uri"]), path=path)


def s3_uri(uri: str) -> S3Uri:
    """A place in S3.

    Raises:
        AwsError: It is none.
    """
    try:
        return parse_s3_uri(uri)
    except ConfigError as error:
        raise validation(error.message) from None


def _require_possible(parameters: Mapping[str, Any]) -> None:
    if "ServerlessJobConfig" in parameters:
        raise _not_here("ServerlessJobConfig", "jobs without an image")
    for name in ("AlgorithmSpecification", "ResourceConfig"):  # the text is undocumented
        if name not in parameters:
            raise validation(f"{name} must be given for a training job.")
    resources = parameters["ResourceConfig"]
    if resources.get("InstanceGroups") and {"InstanceCount", "InstanceType"} & set(resources):
        raise validation("Specify either InstanceGroups, or InstanceCount and InstanceType.")


def _require_sound_spot(
    parameters: Mapping[str, Any], max_run_s: int, max_wait_s: int | None
) -> None:
    """Spot capacity takes a time to wait, and nothing else does (both texts are undocumented)."""
    spot = parameters.get("EnableManagedSpotTraining", False)
    if spot and (max_wait_s is None or max_wait_s < max_run_s):
        raise validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
    if max_wait_s is not None and not spot:
        raise validation(
            "MaxWaitTimeInSeconds can be set only where EnableManagedSpotTraining is true"
        )


def _not_here(what: str, why: str) -> AwsError:
    return validation(f"{what}: devkit's local AWS has no {why}.")
