"""SIGTERM and SIGHUP as exceptions, so that they unwind a command as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 128 + signal.SIGINT


class Terminated(KeyboardInterrupt):
    """devkit was told to end: stop what runs with the grace that SageMaker gives it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.exit_code = 128 + signum


@contextmanager
def terminated_by_signals() -> Iterator[None]:
    """Raise :class:`Terminated` in the main thread on SIGTERM and SIGHUP; main thread only."""
    before = {each: signal.signal(each, _raise) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _raise(signum: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(signum)
