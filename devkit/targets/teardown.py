"""Deleting what the ledger has, in the right order and until it is gone; what is left is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devkit.channels.locations import S3Uri
from devkit.targets.clients import CallFailed, Clients, is_gone
from devkit.targets.ledger import ORDER, Kind, Ledger, Resource

_PATIENCE_S = 600.0
_STOPPED = ("Completed", "Failed", "Stopped")


@dataclass(frozen=True)
class Left:
    """Something that is not gone."""

    resource: Resource
    why: str


@dataclass(frozen=True)
class _Way:
    """How one kind is deleted, and looked for."""

    service: str
    delete: str
    describe: str
    parameter: str


_WAYS: Mapping[Kind, _Way] = {
    "endpoint": _Way("sagemaker", "DeleteEndpoint", "DescribeEndpoint", "EndpointName"),
    "endpoint-config": _Way(
        "sagemaker", "DeleteEndpointConfig", "DescribeEndpointConfig", "EndpointConfigName"
    ),
    "model": _Way("sagemaker", "DeleteModel", "DescribeModel", "ModelName"),
    "training-job": _Way("sagemaker", "StopTrainingJob", "DescribeTrainingJob", "TrainingJobName"),
}


class Teardown:
    """Deletes.

    Args:
        clients: Whose account it is.
        ledger: What is gone is taken out of it.
        sleep: Waits.
        poll_s: How long between two looks.
        patience_s: How long to try.
    """

    def __init__(
        self,
        clients: Clients,
        ledger: Ledger,
        *,
        sleep: Callable[[float], None] = time.sleep,
        poll_s: float = 1.0,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._clients = clients
        self._ledger = ledger
        self._sleep = sleep
        self._poll_s = poll_s
        self._patience_s = patience_s

    def delete(self, resources: Iterable[Resource]) -> list[Left]:
        """Delete all of them; returns what could not be deleted in time."""
        waiting = sorted(resources, key=lambda each: ORDER.index(each.kind))
        waited_s = 0.0
        while True:
            left = self._once(waiting)
            if not left or waited_s >= self._patience_s:
                return left
            waiting = [each.resource for each in left]
            self._sleep(self._poll_s)
            waited_s += self._poll_s

    def _once(self, resources: Sequence[Resource]) -> list[Left]:
        """Try each of them once; what depends on one that is left waits for it."""
        left: list[Left] = []
        for resource in resources:
            try:
                gone = self._delete(resource)
            except CallFailed as error:
                left.append(Left(resource, error.message))
                continue
            if gone:
                self._ledger.remove(resource)
            else:
                left.append(Left(resource, "it is being deleted"))
        return left

    def _delete(self, resource: Resource) -> bool:
        """Ask for its end; whether it is gone for certain."""
        if resource.kind == "object":
            return self._delete_objects(resource.name)
        way = _WAYS[resource.kind]
        parameters = {way.parameter: resource.name}
        described = self._looked_for(way, parameters)
        if described is None:
            return True
        if resource.kind == "training-job" and described["TrainingJobStatus"] in _STOPPED:
            return True
        try:
            self._clients.call(way.service, way.delete, parameters)
        except CallFailed as error:
            if not is_gone(error):
                raise
        described = self._looked_for(way, parameters)
        return described is None

    def _looked_for(self, way: _Way, parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            return self._clients.call(way.service, way.describe, parameters)
        except CallFailed as error:
            if is_gone(error):
                return None
            raise

    def _delete_objects(self, uri: str) -> bool:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        place = S3Uri(bucket, prefix)
        try:
            self._empty(place)
        except CallFailed as error:
            if not is_gone(error):
                raise
        return True

    def _empty(self, place: S3Uri) -> None:
        whole = place.prefix.rstrip("/")
        for prefix in (place.prefix, f"{whole}.complete"):
            while keys := self._keys(place.bucket, prefix):
                for key in keys:
                    self._clients.call("s3", "DeleteObject", {"Bucket": place.bucket, "Key": key})

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        page = self._clients.call("s3", "ListObjectsV2", {"Bucket": bucket, "Prefix": prefix})
        return [each["Key"] for each in page.get("Contents", ())]
