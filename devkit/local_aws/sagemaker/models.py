"""Models: an image, its artifact and its environment, kept until an endpoint is made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from devkit.channels.locations import parse_s3_uri
from devkit.errors import ConfigError
from devkit.local_aws.errors import validation
from devkit.local_aws.sagemaker import refusals
from devkit.local_aws.sagemaker.listing import Listing
from devkit.local_aws.sagemaker.parts import Shared, StillPart
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.services import Call, Handler, Result

KIND = "model"
_LISTING = Listing()


class Models(StillPart):
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`.

    Args:
        shared: What all parts share.
    """

    kinds: Collection[str] = (KIND,)

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.operations: Mapping[str, Handler] = {
            "CreateModel": self._create,
            "DescribeModel": self._describe,
            "ListModels": self._list,
            "DeleteModel": self._delete,
        }

    async def _create(self, call: Call) -> Result:
        name = call.parameters["ModelName"]
        containers = _containers(call.parameters)
        for container in containers:
            _require_complete(container)
        self._shared.records.require_unused(KIND, name, call.region)
        await self._shared.blocking(self._require_data, containers)
        members = {"EnableNetworkIsolation": False, **call.parameters}
        if "PrimaryContainer" in members:
            members["PrimaryContainer"] = _completed(members["PrimaryContainer"])
        if "Containers" in members:
            members["Containers"] = [_completed(each) for each in members["Containers"]]
        record = await self._shared.create(call, KIND, name, members)
        return Result(members={"ModelArn": record.arn})

    async def _describe(self, call: Call) -> Result:
        record = self._shared.records.get(KIND, call.parameters["ModelName"], call.region)
        return Result(members={**record.members, **_summary(record)})

    async def _list(self, call: Call) -> Result:
        records = self._shared.records.all(KIND, call.region)
        page, token = _LISTING.of(records, call.parameters)
        return Result(members={"Models": [_summary(each) for each in page], "NextToken": token})

    async def _delete(self, call: Call) -> Result:
        record = self._shared.records.get(KIND, call.parameters["ModelName"], call.region)
        await self._shared.blocking(self._shared.records.remove, record)
        return Result()

    def _require_data(self, containers: list[Mapping[str, Any]]) -> None:
        for uri, whole_key in (each for container in containers for each in _data(container)):
            try:
                place = parse_s3_uri(uri)
            except ConfigError as error:
                raise validation(error.message) from None
            if not self._shared.storage.has(place, whole_key=whole_key):
                raise refusals.no_model_data(uri)


def _summary(record: Record) -> dict[str, Any]:
    return {"ModelName": record.name, "ModelArn": record.arn, "CreationTime": record.created}


def _containers(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    primary, several = parameters.get("PrimaryContainer"), parameters.get("Containers")
    if (primary is None) == (not several):
        raise validation("Specify either PrimaryContainer or Containers, and not both.")
    return [primary] if primary is not None else list(several or ())


def _require_complete(container: Mapping[str, Any]) -> None:
    if "Image" not in container and "ModelPackageName" not in container:
        raise validation("A container needs an Image, or a ModelPackageName.")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise validation("Specify either ModelDataUrl or ModelDataSource, and not both.")


def _completed(container: Mapping[str, Any]) -> dict[str, Any]:
    """With what the service adds to it."""
    return {"Mode": "SingleModel", "Environment": {}, **container}


def _data(container: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Where a container's artifacts are, and whether that is a whole key."""
    if "ModelDataUrl" in container:
        yield container["ModelDataUrl"], container.get("Mode") != "MultiModel"
    sources = [container.get("ModelDataSource", {})]
    sources += container.get("AdditionalModelDataSources", ())
    for source in sources:
        if "S3DataSource" in source:
            data = source["S3DataSource"]
            yield data["S3Uri"], data["S3DataType"] != "S3Prefix"
