"""A training job or an endpoint in the driver: its folder, its state, and how it ended."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

_REASON_CHARS = 1024
Kind = Literal["job", "endpoint"]


@dataclass(frozen=True)
class Ending:
    """How the containers of a run ended."""

    code: int
    host: str = ""
    failure: str | None = None
    """What the program wrote into ``/opt/ml/output/failure``."""
    out_of_memory: bool = False


@dataclass
class Run:
    """A run; what is asked of it is asked by name.

    Args:
        kind: What it is.
        name: SageMaker's name for it.
        folder: All that the SDK writes for it is in there.
        port: Where an endpoint listens, on loopback.
    """

    kind: Kind
    name: str
    folder: Path
    port: int
    request: Mapping[str, Any]
    session: Any = None
    process: Any = None
    """The compose program, while it runs."""
    status: str = "InProgress"
    secondary: str = "Starting"
    reason: str | None = None
    ending: Ending | None = None
    stopped_by: str | None = None
    """SageMaker's word for why it is being stopped."""
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    started: datetime | None = None
    ended: datetime | None = None
    model: str | None = None
    over: threading.Event = field(default_factory=threading.Event)
    """Set once the thread that made it has nothing more to do."""

    def stop(self, why: str, signum: int = signal.SIGTERM) -> None:
        """End its containers, those too that are only about to start."""
        self.stopped_by = self.stopped_by or why
        self.signal(signum)

    def signal(self, signum: int) -> None:
        """Signal the compose program, if it runs."""
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signum)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def failure_reason(ending: Ending) -> str:
    """What SageMaker says of a job that failed so (§1.9 of the contract)."""
    if ending.out_of_memory:
        return "AlgorithmError: the container was killed: it ran out of memory, exit code: 137"
    text = (ending.failure or "")[:_REASON_CHARS].rstrip()
    return f"AlgorithmError: {text}, exit code: {ending.code}"[:_REASON_CHARS]
