"""Hosting: the endpoints of the control plane and the runtime that reaches them, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from devkit.local_aws import cloudwatch
from devkit.local_aws.cloudwatch import CloudWatch
from devkit.local_aws.environment import for_container
from devkit.local_aws.sagemaker import endpoints
from devkit.local_aws.sagemaker.async_invocations import AsyncInvocations
from devkit.local_aws.sagemaker.endpoint_plans import VariantPlan
from devkit.local_aws.sagemaker.endpoint_runs import Ground
from devkit.local_aws.sagemaker.endpoints import Endpoints
from devkit.local_aws.sagemaker.hosted import Directory
from devkit.local_aws.sagemaker.invocation_metrics import InvocationMetrics
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.runtime import Runtime
from devkit.local_aws.services import Handler, OnSpan, Surroundings, no_span


class Hosting:
    """A :class:`~devkit.local_aws.sagemaker.parts.Part`, and the runtime besides.

    Args:
        shared: What all parts share.
        on_span: Told of invocations that are part of a trace.
    """

    kinds: Collection[str] = (endpoints.KIND,)

    def __init__(self, shared: Shared, on_span: OnSpan = no_span) -> None:
        self._shared = shared
        self._surroundings: Surroundings | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._metrics = InvocationMetrics(shared.clock)
        directory = Directory()
        self._asynchronous = AsyncInvocations(shared, directory, self._metrics)
        ground = Ground(
            workshop=shared.workshop,
            s3=shared.storage.client,
            environment=self._environment,
            open_log=self._open_log,
            observer=shared.observer,
        )
        self._endpoints = Endpoints(shared, directory, ground, self._asynchronous.announce)
        self.runtime = Runtime(directory, self._metrics, self._asynchronous.invoke, on_span)
        self.operations: Mapping[str, Handler] = self._endpoints.operations

    async def start(self, surroundings: Surroundings) -> None:
        """Begin, with the endpoints that there were."""
        self._surroundings = surroundings
        self._loop = asyncio.get_running_loop()
        self._metrics.begin(surroundings.backend)
        await self._endpoints.start(surroundings)

    async def reset(self) -> None:
        """End all endpoints."""
        await self._asynchronous.stop()
        await self._endpoints.reset()

    async def stop(self) -> None:
        """End all endpoints in good order; their last lines are sent."""
        await self._asynchronous.stop()
        await self._endpoints.stop()
        await self._metrics.end()

    # --- for the threads of containers --------------------------------------------------------

    def _environment(self, plan: VariantPlan, region: str) -> Mapping[str, str]:
        assert self._surroundings is not None  # noqa: S101 - nothing runs before the start
        url = self._surroundings.url_for(self._shared.workshop.engine.name)
        return for_container(url, plan.environment, region)

    def _open_log(self, group: str, region: str) -> CloudWatch:
        assert self._surroundings is not None  # noqa: S101 - likewise
        assert self._loop is not None  # noqa: S101 - likewise
        tell = cloudwatch.teller(self._surroundings.backend, self._loop, region)
        return CloudWatch(group, tell, self._shared.observer.note)
