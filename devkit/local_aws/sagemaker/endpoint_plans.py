"""What an endpoint is to run: its configuration and its models, as they were when it was deployed.

An endpoint goes on when its configuration or a model of it is deleted, so it has what it needs of
them in its own record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from devkit import contract
from devkit.channels.locations import S3Uri, parse_s3_uri
from devkit.errors import ConfigError
from devkit.front.limits import PROFILES, Limits
from devkit.local_aws.errors import validation
from devkit.local_aws.sagemaker import endpoint_configs, models
from devkit.local_aws.sagemaker.hosted import AsyncOutput
from devkit.local_aws.sagemaker.records import Record, Records

MAX_VARIANTS = 10
"""§2.13."""

_NOT_HERE = "devkit's local AWS does not have it"


@dataclass(frozen=True, kw_only=True)
class VariantPlan:
    """One variant."""

    name: str
    image: str
    """As the model names it."""
    model: S3Uri | None
    environment: Mapping[str, str]
    weight: float
    instances: int | None
    """As configured; there is one container. ``None`` of a serverless variant."""
    serverless: Mapping[str, Any] | None
    startup_s: float
    """How long its ping may take to be good."""
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole endpoint."""

    config: str
    """The name of its configuration."""
    variants: tuple[VariantPlan, ...]
    asynchronous: AsyncOutput | None
    snapshot: Mapping[str, Any]
    """All of this, as a record keeps it."""

    @property
    def is_serverless(self) -> bool:
        """Whether its variants are serverless."""
        return any(each.serverless is not None for each in self.variants)


def make(config: Record, records: Records) -> Plan:
    """The plan of a configuration.

    Raises:
        AwsError: A model is gone, or an endpoint of this kind does not run here.
    """
    if config.members.get("ShadowProductionVariants"):
        raise validation(f"ShadowProductionVariants: {_NOT_HERE}.")
    variants = config.members["ProductionVariants"]
    if len(variants) > MAX_VARIANTS:
        raise validation(f"An endpoint has {MAX_VARIANTS} variants at most.")
    return of_snapshot(
        {
            "EndpointConfigName": config.name,
            "Variants": [_with_container(each, records, config.region) for each in variants],
            "AsyncInferenceConfig": config.members.get("AsyncInferenceConfig"),
            "DataCaptureConfig": config.members.get("DataCaptureConfig"),
        }
    )


def of_snapshot(snapshot: Mapping[str, Any]) -> Plan:
    """The plan that a record keeps."""
    asynchronous = snapshot.get("AsyncInferenceConfig")
    return Plan(
        config=snapshot["EndpointConfigName"],
        variants=tuple(
            _variant(each["Variant"], each["Container"], is_async=asynchronous is not None)
            for each in snapshot["Variants"]
        ),
        asynchronous=None if asynchronous is None else _async_output(asynchronous),
        snapshot=snapshot,
    )


def _with_container(variant: Mapping[str, Any], records: Records, region: str) -> dict[str, Any]:
    name = variant["VariantName"]
    if "ModelName" not in variant:
        raise validation(f"Variant {name} has no ModelName: inference components: {_NOT_HERE}.")
    model = records.get(models.KIND, variant["ModelName"], region).members
    containers = [model["PrimaryContainer"]] if "PrimaryContainer" in model else model["Containers"]
    if len(containers) > 1:
        raise validation(f"Model {variant['ModelName']} is an inference pipeline: {_NOT_HERE}.")
    (container,) = containers
    for member, what in (
        ("ModelPackageName", "a model package"),
        ("AdditionalModelDataSources", "additional model data"),
    ):
        if member in container:
            raise validation(f"Model {variant['ModelName']} has {what}: {_NOT_HERE}.")
    if container.get("Mode") == "MultiModel":
        raise validation(f"Model {variant['ModelName']} is a multi-model one: {_NOT_HERE}.")
    if "ServerlessConfig" in variant and "ModelDataSource" in container:  # §2.2
        raise validation(
            f"Variant {name} is serverless, and takes no ModelDataSource: use ModelDataUrl."
        )
    return {"Variant": dict(variant), "Container": dict(container)}


def _variant(
    variant: Mapping[str, Any], container: Mapping[str, Any], *, is_async: bool
) -> VariantPlan:
    serverless = variant.get("ServerlessConfig")
    limits = PROFILES["async" if is_async else "serverless" if serverless else "realtime"]
    asked_s = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", limits.startup_s)
    return VariantPlan(
        name=variant["VariantName"],
        image=container["Image"],
        model=_model(container),
        environment=container.get("Environment", {}),
        weight=float(variant.get("InitialVariantWeight", 1.0)),
        instances=None if serverless else int(variant.get("InitialInstanceCount", 1)),
        serverless=serverless,
        startup_s=float(asked_s),
        limits=replace(limits, startup_s=float(asked_s)),
    )


def _model(container: Mapping[str, Any]) -> S3Uri | None:
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    uri = container.get("ModelDataUrl") or source.get("S3Uri")
    if uri is None:
        return None
    try:
        return parse_s3_uri(uri)
    except ConfigError as error:
        raise validation(error.message) from None


def _async_output(config: Mapping[str, Any]) -> AsyncOutput:
    output = config["OutputConfig"]
    topics = output.get("NotificationConfig", {})
    client = config.get("ClientConfig", {})
    concurrency = client.get("MaxConcurrentInvocationsPerInstance", AsyncOutput.concurrency)
    return AsyncOutput(
        output=output.get("S3OutputPath"),
        failure=output.get("S3FailurePath"),
        success_topic=topics.get("SuccessTopic"),
        error_topic=topics.get("ErrorTopic"),
        include_response_in=frozenset(topics.get("IncludeInferenceResponseIn", ())),
        concurrency=int(concurrency),
    )


def ping_failure(variant: str) -> str:
    """Why an endpoint fails whose container's ping was not good in time (§2.14)."""
    return (
        f"The primary container for production variant {variant} did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )


def shortened(reason: str) -> str:
    """A FailureReason, within its limit."""
    return reason[: contract.FAILURE_REASON_CHARS]


CONFIG_KIND = endpoint_configs.KIND
