"""SIGTERM and SIGHUP as exceptions, so that they unwind a command as Ctrl-C does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 128 + signal.SIGINT


class Terminated(KeyboardInterrupt):
    """devkit was told to end: stop what runs with the grace that SageMaker gives it."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
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


@contextmanager
def held_back() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back to the end of the block; a second one gets through.

    For requests that go on where they are served when they are broken off here, so that nobody
    would know of what came of them.
    """
    if threading.current_thread() is not threading.main_thread():  # signals never interrupt others
        yield
        return
    held: list[int] = []

    def hold(signum: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(signum)]
        if held and callable(handler):
            handler(signum, frame)
        held.append(signum)

    before = {
        each: signal.signal(each, hold) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if held:
        signal.raise_signal(held[0])


def _raise(signum: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated(signum)
