"""What a run tells while it goes on, and who listens.

``local_run`` and the engines report to an :class:`Observer`; the terminal is one, :class:`Silent`
another. Log lines and metrics come from threads of their own, one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from devkit.job import Phase, Sample


class Observer(Protocol):
    """Somebody who follows a run."""

    def begin(self, step: str) -> None:
        """A step begins: build, train, serve, invoke, stop."""

    def done(self, step: str, detail: str, seconds: float) -> None:
        """It went well, and this came of it."""

    def failed(self, step: str, detail: str, seconds: float) -> None:
        """It did not; the error tells why."""

    def phase(self, phase: Phase) -> None:
        """A training job enters a phase."""

    def hosts(self, names: Sequence[str]) -> None:
        """The hosts a training job runs on, before the first of them speaks."""

    def line(self, host: str, line: str) -> None:
        """A container wrote a line."""

    def sample(self, sample: Sample) -> None:
        """A metric was read from a line."""

    def build_line(self, line: str) -> None:
        """The build of an image made progress."""

    def note(self, text: str) -> None:
        """Something a user should know: which engine and why, what is being waited for."""


class Silent:
    """An :class:`Observer` that does nothing; the base for those who want a part."""

    def begin(self, step: str) -> None:
        """Ignore it."""

    def done(self, step: str, detail: str, seconds: float) -> None:
        """Ignore it."""

    def failed(self, step: str, detail: str, seconds: float) -> None:
        """Ignore it."""

    def phase(self, phase: Phase) -> None:
        """Ignore it."""

    def hosts(self, names: Sequence[str]) -> None:
        """Ignore it."""

    def line(self, host: str, line: str) -> None:
        """Ignore it."""

    def sample(self, sample: Sample) -> None:
        """Ignore it."""

    def build_line(self, line: str) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""


@dataclass
class Step:
    """A step under way; ``detail`` is what is told of it at its end."""

    detail: str = ""


@contextmanager
def step(observer: Observer, name: str) -> Iterator[Step]:
    """Tell an observer when a step begins and how it ends."""
    begun = time.monotonic()
    under_way = Step()
    observer.begin(name)
    try:
        yield under_way
    except BaseException:
        observer.failed(name, under_way.detail, time.monotonic() - begun)
        raise
    observer.done(name, under_way.detail, time.monotonic() - begun)
