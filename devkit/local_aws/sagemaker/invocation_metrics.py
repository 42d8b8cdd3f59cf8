"""How often and how fast endpoints answered, into CloudWatch: every few seconds, never meanwhile.

Names, units and dimensions are SageMaker's; latencies are in microseconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from devkit.front.messages import Answer
from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.hosted import Variant
from devkit.local_aws.services import Backend

NAMESPACE = "AWS/SageMaker"
_PAUSE_S = 2.0


@dataclass
class Statistics:
    """Values of one metric, as far as CloudWatch wants to know of them."""

    count: int = 0
    total: float = 0.0
    least: float = field(default=float("inf"))
    most: float = field(default=float("-inf"))

    def add(self, value: float) -> None:
        """One more value."""
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)

    @property
    def document(self) -> dict[str, float]:
        """As PutMetricData has them."""
        return {
            "SampleCount": float(self.count),
            "Sum": self.total,
            "Minimum": self.least,
            "Maximum": self.most,
        }


@dataclass
class _Counts:
    invocations: Statistics = field(default_factory=Statistics)
    model: Statistics = field(default_factory=Statistics)
    overhead: Statistics = field(default_factory=Statistics)
    client_errors: Statistics = field(default_factory=Statistics)
    server_errors: Statistics = field(default_factory=Statistics)


_Key = tuple[str, str, str]
"""Region, endpoint, variant."""


class InvocationMetrics:
    """A :class:`~devkit.local_aws.sagemaker.runtime.Meter`.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._counts: dict[_Key, _Counts] = {}
        self._backend: Backend | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, backend: Backend) -> None:
        """Begin; called in the event loop."""
        self._backend = backend
        self._task = asyncio.get_running_loop().create_task(self._run())

    def count(self, variant: Variant, answer: Answer, *, model_s: float, total_s: float) -> None:
        """One invocation is over."""
        endpoint = variant.endpoint
        key = (endpoint.region, endpoint.name, endpoint.variant)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = _Counts()
        counts.invocations.add(1.0)
        counts.model.add(model_s * 1e6)
        counts.overhead.add((total_s - model_s) * 1e6)
        status = answer.status if answer.status == HTTPStatus.OK else _original_status(answer)
        counts.client_errors.add(1.0 if _is_client_error(status) else 0.0)
        is_error = status != HTTPStatus.OK and not _is_client_error(status)
        counts.server_errors.add(1.0 if is_error else 0.0)

    async def flush(self) -> None:
        """Send what was counted."""
        counted, self._counts = self._counts, {}
        for (region, endpoint, variant), counts in counted.items():
            data = list(_data(endpoint, variant, counts, self._clock()))
            assert self._backend is not None  # noqa: S101 - it has begun
            with suppress(AwsError):
                await self._backend.ask(
                    "cloudwatch",
                    "PutMetricData",
                    {"Namespace": NAMESPACE, "MetricData": data},
                    region=region,
                )

    async def end(self) -> None:
        """Send no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PAUSE_S)
            await self.flush()


def _data(
    endpoint: str, variant: str, counts: _Counts, moment: datetime
) -> Iterator[dict[str, Any]]:
    dimensions = [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": variant},
    ]
    for name, unit, values in (
        ("Invocations", "Count", counts.invocations),
        ("ModelLatency", "Microseconds", counts.model),
        ("OverheadLatency", "Microseconds", counts.overhead),
        ("Invocation4XXErrors", "Count", counts.client_errors),
        ("Invocation5XXErrors", "Count", counts.server_errors),
    ):
        yield {
            "MetricName": name,
            "Dimensions": dimensions,
            "Timestamp": moment,
            "Unit": unit,
            "StatisticValues": values.document,
        }


def _original_status(answer: Answer) -> int:
    """What the container answered; 0 where it did not."""
    if answer.status != HTTPStatus.FAILED_DEPENDENCY or not isinstance(answer.body, bytes):
        return answer.status
    with suppress(ValueError, KeyError, TypeError):
        return int(json.loads(answer.body)["OriginalStatusCode"])
    return 0


def _is_client_error(status: int) -> bool:
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
