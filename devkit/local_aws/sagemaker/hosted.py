"""The endpoints in service as the runtime sees them: variants, and what leads to their containers.

All of it belongs to the event loop of the local AWS, but for what :class:`Variant` is told by the
thread that keeps its containers.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from devkit import contract
from devkit.engines.base import Address
from devkit.front import errors
from devkit.front.errors import Endpoint
from devkit.front.forwarder import Forwarder
from devkit.front.limits import Limits
from devkit.local_aws.sagemaker.shares import Shares

_DRAIN_POLL_S = 0.02


class Variant:
    """One variant: an :class:`~devkit.front.entrance.Entrance` that is part of the local AWS.

    Args:
        endpoint: What it is called.
        limits: What it allows.
        url: The root URL of the local AWS.
    """

    def __init__(self, endpoint: Endpoint, limits: Limits, url: str) -> None:
        self.endpoint = endpoint
        self.forwarder = Forwarder(endpoint, limits, None)
        self._root = url
        self._loop = asyncio.get_running_loop()
        self._in_flight: Counter[Address | None] = Counter()

    @property
    def name(self) -> str:
        """Its name."""
        return self.endpoint.variant

    @contextmanager
    def answering(self) -> Iterator[Forwarder]:
        """What answers a request; its container is waited for to the end of the block."""
        backend = self.forwarder.backend
        self._in_flight[backend] += 1
        try:
            yield self.forwarder
        finally:
            self._in_flight[backend] -= 1

    # --- for the thread that keeps its containers ---------------------------------------------

    @property
    def address(self) -> Address:
        """Where the local AWS listens."""
        host, _, port = self._root.removeprefix("http://").partition(":")
        return Address(host, int(port))

    @property
    def url(self) -> str:
        """What ``/invocations`` is below."""
        return f"{self._root}/endpoints/{self.endpoint.name}"

    def switch(self, backend: Address | None) -> None:
        """Lead what comes later to another container, or to none."""
        self.forwarder.backend = backend

    def busy(self, backend: Address) -> bool:
        """Whether a container still owes an answer."""
        return self._in_flight[backend] > 0

    def stop(self, grace_s: float) -> None:
        """Give what is in flight this long to finish; nothing leads here any more."""
        deadline = time.monotonic() + grace_s
        while self._in_flight.total() and time.monotonic() < deadline:
            time.sleep(_DRAIN_POLL_S)

    def close(self) -> None:
        """Close the connections to its containers."""
        asyncio.run_coroutine_threadsafe(self.forwarder.close(), self._loop).result()


@dataclass(frozen=True, kw_only=True)
class AsyncOutput:
    """Where the answers of an endpoint for asynchronous invocations go: AsyncInferenceConfig."""

    output: str | None
    """An S3 URI."""
    failure: str | None
    success_topic: str | None = None
    error_topic: str | None = None
    include_response_in: frozenset[str] = frozenset()
    concurrency: int = 4
    """Requests at a time; SageMaker chooses where the configuration does not say."""


class Hosted:
    """An endpoint that takes requests.

    Args:
        endpoint: What it is called; the variant in it does not count.
        variants: By name.
        weights: By variant.
        asynchronous: Set where it takes asynchronous invocations, and no others.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        variants: Mapping[str, Variant],
        weights: Mapping[str, float],
        asynchronous: AsyncOutput | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.variants = variants
        self.asynchronous = asynchronous
        self._shares = Shares(weights)

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Deal requests out by other weights from now on."""
        self._shares = Shares(weights)

    def variant(self, target: str | None) -> Variant:
        """The variant for one more request.

        Args:
            target: The one that the request asks for (TargetVariant).

        Raises:
            Refused: There is no such variant, or all weights are 0.
        """
        name = target or self._shares.next()
        if name is None:
            raise errors.no_container()
        found = self.variants.get(name)
        if found is None:
            raise errors.unknown_variant(self.endpoint, name)
        return found


class Directory:
    """The endpoints that take requests, by region and name."""

    def __init__(self) -> None:
        self._hosted: dict[tuple[str, str], Hosted] = {}

    def put(self, hosted: Hosted) -> None:
        """From now on requests of its name are its."""
        self._hosted[hosted.endpoint.region, hosted.endpoint.name] = hosted

    def remove(self, region: str, name: str) -> None:
        """From now on there is none of this name."""
        self._hosted.pop((region, name), None)

    def find(self, region: str, name: str) -> Hosted | None:
        """The endpoint of a name, if there is one."""
        return self._hosted.get((region, name))

    def get(self, region: str, name: str) -> Hosted:
        """The endpoint of a name.

        Raises:
            Refused: There is none.
        """
        hosted = self.find(region, name)
        if hosted is None:
            raise errors.unknown_endpoint(name, contract.LOCAL_ACCOUNT)
        return hosted
