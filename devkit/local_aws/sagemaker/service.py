"""The service: its parts' operations, their start and their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from devkit.local_aws.sagemaker.endpoint_configs import EndpointConfigs
from devkit.local_aws.sagemaker.hosting import Hosting
from devkit.local_aws.sagemaker.models import Models
from devkit.local_aws.sagemaker.parts import Part, Shared
from devkit.local_aws.sagemaker.records import Records
from devkit.local_aws.sagemaker.runtime import Runtime
from devkit.local_aws.sagemaker.studio.apps import Apps
from devkit.local_aws.sagemaker.studio.domains import Domains
from devkit.local_aws.sagemaker.studio.spaces import Spaces
from devkit.local_aws.sagemaker.studio.user_profiles import UserProfiles
from devkit.local_aws.sagemaker.tags import Tags
from devkit.local_aws.sagemaker.training_jobs import TrainingJobs
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.services import Handler, OnSpan, Surroundings, no_span
from devkit.progress import Observer


class SageMaker:
    """A :class:`~devkit.local_aws.services.Service`.

    Args:
        shared: What the parts share.
        parts: What answers; their operations are the service's.
    """

    name = "sagemaker"

    def __init__(self, shared: Shared, parts: Sequence[Part]) -> None:
        self._shared = shared
        live = [kind for part in parts for kind in part.kinds]
        self._parts = (*parts, Tags(shared, live))
        self.operations: Mapping[str, Handler] = {
            name: handler for part in self._parts for name, handler in part.operations.items()
        }

    async def start(self, surroundings: Surroundings) -> None:
        """Have what was kept, and begin."""
        self._shared.storage.open(surroundings.url)
        await self._shared.blocking(self._shared.records.load)
        for part in self._parts:
            await part.start(surroundings)

    async def reset(self) -> None:
        """Forget everything."""
        for part in self._parts:
            await part.reset()
        await self._shared.blocking(self._shared.records.reset)

    async def finish(self) -> None:
        """End everything that runs."""
        for part in self._parts:
            await part.stop()

    async def stop(self) -> None:
        """Nothing is left to be ended."""
        self._shared.pool.shutdown(wait=False)


def live(
    folder: Path | None, workshop: Workshop, observer: Observer, on_span: OnSpan = no_span
) -> tuple[SageMaker, Runtime]:
    """The service with all its parts, and that of the runtime.

    Args:
        folder: Where its records are kept; ``None`` keeps them in memory only.
        workshop: What jobs and endpoints are run with.
        observer: Is told what is not as one might expect.
        on_span: Told of invocations that are part of a trace.
    """
    shared = Shared(records=Records(folder), workshop=workshop, observer=observer)
    hosting = Hosting(shared, on_span)
    return SageMaker(shared, [*all_parts(shared), hosting]), hosting.runtime


def all_parts(shared: Shared) -> list[Part]:
    """What answers besides the endpoints."""
    studio: list[Part] = [Domains(shared), UserProfiles(shared), Spaces(shared), Apps(shared)]
    return [TrainingJobs(shared), Models(shared), EndpointConfigs(shared), *studio]
