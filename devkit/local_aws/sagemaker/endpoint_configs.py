"""Endpoint configurations: which models an endpoint has, on what, with which share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from devkit.local_aws.errors import validation
from devkit.local_aws.sagemaker import models
from devkit.local_aws.sagemaker.listing import Listing
from devkit.local_aws.sagemaker.parts import Shared, StillPart
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.services import Call, Handler, Result

KIND = "endpoint-config"
_LISTING = Listing()
_VARIANTS = ("ProductionVariants", "ShadowProductionVariants")


class EndpointConfigs(StillPart):
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`.

    Args:
        shared: What all parts share.
    """

    kinds: Collection[str] = (KIND,)

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.operations: Mapping[str, Handler] = {
            "CreateEndpointConfig": self._create,
            "DescribeEndpointConfig": self._describe,
            "ListEndpointConfigs": self._list,
            "DeleteEndpointConfig": self._delete,
        }

    async def _create(self, call: Call) -> Result:
        name = call.parameters["EndpointConfigName"]
        self._shared.records.require_unused(KIND, name, call.region)
        members = dict(call.parameters)
        for part in _VARIANTS:
            if part in members:
                members[part] = [_completed(variant) for variant in members[part]]
        variants = [each for part in _VARIANTS for each in members.get(part, ())]
        _require_sound(variants, members)
        for variant in variants:
            if "ModelName" in variant:
                self._shared.records.get(models.KIND, variant["ModelName"], call.region)
        record = await self._shared.create(call, KIND, name, members)
        return Result(members={"EndpointConfigArn": record.arn})

    async def _describe(self, call: Call) -> Result:
        record = self._shared.records.get(KIND, call.parameters["EndpointConfigName"], call.region)
        return Result(members={**record.members, **_summary(record)})

    async def _list(self, call: Call) -> Result:
        records = self._shared.records.all(KIND, call.region)
        page, token = _LISTING.of(records, call.parameters)
        configs = [_summary(each) for each in page]
        return Result(members={"EndpointConfigs": configs, "NextToken": token})

    async def _delete(self, call: Call) -> Result:
        record = self._shared.records.get(KIND, call.parameters["EndpointConfigName"], call.region)
        await self._shared.blocking(self._shared.records.remove, record)
        return Result()


def _summary(record: Record) -> dict[str, Any]:
    return {
        "EndpointConfigName": record.name,
        "EndpointConfigArn": record.arn,
        "CreationTime": record.created,
    }


def _completed(variant: Mapping[str, Any]) -> dict[str, Any]:
    """With what the service adds to it."""
    return {"InitialVariantWeight": 1.0, **variant}


def _require_sound(variants: list[dict[str, Any]], parameters: Mapping[str, Any]) -> None:
    """Make sure that an endpoint can be made of it (the texts are undocumented)."""
    names = [each["VariantName"] for each in variants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise validation(f"Variant names must be unique, and these are not: {', '.join(twice)}.")
    for each in variants:
        if "ServerlessConfig" in each or "ModelName" not in each:
            continue
        for needed in ("InitialInstanceCount", "InstanceType"):
            if needed not in each and "InstancePools" not in each:
                raise validation(
                    f"{needed} must be given for variant {each['VariantName']}, which has no "
                    "ServerlessConfig."
                )
    if parameters.get("ShadowProductionVariants") and len(parameters["ProductionVariants"]) != 1:
        raise validation("ShadowProductionVariants need exactly one ProductionVariant.")
