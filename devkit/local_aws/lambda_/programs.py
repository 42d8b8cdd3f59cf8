"""The seam between an instance of a function and what runs it: a process, or a container."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from devkit.local_aws.lambda_.definitions import Definition
from devkit.ports import LOOPBACK

OnLine = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be started."""

    name: str
    """Of the instance; unique on this machine."""
    definition: Definition
    log_stream: str
    runtime_api: str
    """``host:port``, as the program reaches it."""


@dataclass(frozen=True)
class Host:
    """This machine, as a program sees it."""

    address: str = LOOPBACK
    """On which something that is for the program listens."""
    name: str = LOOPBACK
    """By which the program reaches that."""


class Program(Protocol):
    """What runs the function of one instance; belongs to one event loop."""

    @property
    def exited(self) -> asyncio.Future[int]:
        """Its exit code, once it has ended and all it wrote has been told; 128 + n by signal n."""

    async def settle(self) -> None:
        """Have everything told that it has written up to now."""

    def peak_memory_bytes(self) -> int | None:
        """The most that it has used, where that is known."""

    async def end(self) -> None:
        """Kill it, with all that it started; nothing of it is left."""


class Starter(Protocol):
    """Starts programs for the versions of functions that it was made for."""

    @property
    def host(self) -> Host:
        """How they reach what listens on this machine."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a function's log should say of how it is run."""

    async def start(self, order: Order, on_line: OnLine) -> Program:
        """Start one.

        Args:
            order: Which.
            on_line: Called in the event loop with every line it writes.

        Raises:
            AwsError: The function is not one that can be run.
            DevkitError: It cannot be started.
        """

    async def close(self) -> None:
        """Forget what was prepared; none of its programs runs any more."""
