"""One thread at a time in moto's S3, what it touches there, and what is to happen afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Unit:
    """What one request, or one call from another service, has looked at and perhaps changed.

    Args:
        reading: It changes nothing but what it is told of (``found``).
    """

    reading: bool
    buckets: set[str] = field(default_factory=set)
    keys: set[tuple[str, str]] = field(default_factory=set)
    uploads: set[tuple[str, str]] = field(default_factory=set)
    found: set[tuple[str, str]] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    afterwards: list[Callable[[], object]] = field(default_factory=list)


class Gate:
    """Lets one thread in at a time, and knows its unit of work.

    moto's S3 was written for one request at a time: two that add a version to one object lose
    one of them. Nothing that waits for a client or for another service happens in here.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._local = threading.local()

    @property
    def unit(self) -> Unit | None:
        """This thread's unit of work; ``None`` outside of one."""
        unit: Unit | None = getattr(self._local, "unit", None)
        return unit

    @contextmanager
    def work(self, finish: Callable[[Unit], None], *, reading: bool) -> Iterator[Unit]:
        """Be alone in S3; ``finish`` the unit at the end, then do what is to be done afterwards.

        Within another unit this is a part of it.
        """
        if (outer := self.unit) is not None:
            outer.reading = outer.reading and reading
            yield outer
            return
        unit = Unit(reading)
        with self._entered():
            self._local.unit = unit
            try:
                yield unit
            finally:
                self._local.unit = None
                finish(unit)
        for action in unit.afterwards:
            action()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be alone in S3 for a moment, without a unit of work."""
        with self._entered():
            yield

    @contextmanager
    def left(self) -> Iterator[None]:
        """Let others in while this thread copies a large file; its unit goes on afterwards."""
        depth = getattr(self._local, "depth", 0)
        for _ in range(depth):
            self._lock.release()
        try:
            yield
        finally:
            for _ in range(depth):
                self._lock.acquire()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        with self._lock:
            self._local.depth = getattr(self._local, "depth", 0) + 1
            try:
                yield
            finally:
                self._local.depth -= 1
