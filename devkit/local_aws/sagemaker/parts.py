"""The seam between the service and its parts, and what all parts share.

A part answers for some kinds of resource: training jobs, endpoints. Its handlers run in the
endpoint's event loop; whatever waits for a disk, an engine or S3 goes to :meth:`Shared.blocking`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar

from devkit.local_aws.sagemaker import tag_values
from devkit.local_aws.sagemaker.records import Record, Records, now
from devkit.local_aws.sagemaker.storage import Storage
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.local_aws.services import Call, Handler, Surroundings
from devkit.local_aws.threads import DaemonPool
from devkit.progress import Observer, Silent

_T = TypeVar("_T")
_P = ParamSpec("_P")
_THREADS = 32


class Part(Protocol):
    """Answers for some kinds of resource."""

    @property
    def kinds(self) -> Collection[str]:
        """The kinds, as ARNs have them, that it keeps records of."""

    @property
    def operations(self) -> Mapping[str, Handler]:
        """What it answers, by operation."""

    async def start(self, surroundings: Surroundings) -> None:
        """Begin; the records are loaded."""

    async def reset(self) -> None:
        """End what runs; the records are forgotten afterwards."""

    async def stop(self) -> None:
        """End what runs, in good order; S3 and moto still answer."""


class StillPart:
    """A part in which nothing runs; a base for such."""

    async def start(self, surroundings: Surroundings) -> None:
        """Nothing is to be begun."""

    async def reset(self) -> None:
        """Nothing is to be ended."""

    async def stop(self) -> None:
        """Nothing is to be ended."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all parts have in common."""

    workshop: Workshop
    records: Records = field(default_factory=Records)
    pool: DaemonPool = field(default_factory=lambda: DaemonPool(_THREADS, "sagemaker"))
    storage: Storage = field(default_factory=Storage)
    observer: Observer = field(default_factory=Silent)
    """Is told what is not as one might expect."""
    clock: Callable[[], datetime] = now

    async def blocking(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What a function gives that waits for something, called in a thread."""
        return await asyncio.wrap_future(self.pool.submit(work, *args, **kwargs))

    async def create(
        self, call: Call, kind: str, name: str, members: Mapping[str, Any] | None = None
    ) -> Record:
        """A new record of what a call asks for; its ``Tags`` become the record's.

        Args:
            call: The call.
            kind: What it makes.
            name: What that is called.
            members: What is kept; by default all of the call's parameters.

        Raises:
            AwsError: There is one with this ARN.
        """
        moment = self.clock()
        given = dict(call.parameters if members is None else members)
        record = Record(
            kind=kind,
            name=name,
            region=call.region,
            created=moment,
            modified=moment,
            members={key: value for key, value in given.items() if key != "Tags"},
            tags=tag_values.of_request(call.parameters.get("Tags", ())),
        )
        return await self.blocking(self.records.add, record)
