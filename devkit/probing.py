"""Pings a container as SageMaker does: in the start-up window, then periodically (§2.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Protocol

from devkit import contract

Ping = Callable[[], "str | None"]
"""One probe: ``None`` where it is good, else what is wrong."""
StartUp = Callable[[Callable[[], bool]], "str | None"]
"""Probes until it is good, the time is over, or the given function says that it is of no use."""


class Probing(Protocol):
    """What a server is known by from outside."""

    @property
    def start_up(self) -> Future[str | None]:
        """How the start-up ended: ``None`` with a good ping, else with what was wrong."""

    def results(self) -> list[str | None]:
        """What the pings since the last call said, once it is up; ``None`` is a good one."""

    def stop(self) -> None:
        """Ping no more."""


class Probe:
    """A thread that pings.

    Args:
        start_up: The first part of it.
        ping: One of the later pings.
        interval_s: From the end of one to the beginning of the next.
    """

    def __init__(
        self, start_up: StartUp, ping: Ping, *, interval_s: float = contract.PING_INTERVAL_S
    ) -> None:
        self.start_up: Future[str | None] = Future()
        self._come_up, self._ping, self._interval_s = start_up, ping, interval_s
        self._results: SimpleQueue[str | None] = SimpleQueue()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def results(self) -> list[str | None]:
        """What the pings since the last call said."""
        results = []
        while True:
            try:
                results.append(self._results.get_nowait())
            except Empty:
                return results

    def stop(self) -> None:
        """Ping no more, from now on or as soon as the one under way is over."""
        self._stopped.set()

    def _run(self) -> None:
        try:
            problem = self._come_up(self._stopped.is_set)
        except BaseException as error:
            self.start_up.set_exception(error)
            return
        self.start_up.set_result(problem)
        while problem is None and not self._stopped.wait(self._interval_s):
            self._results.put(self._ping())
