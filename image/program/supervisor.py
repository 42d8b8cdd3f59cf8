"""Keeps the processes of a server together: they start, serve and end as one.

Signals are waited for, not handled: so none can arrive between two steps and be lost, and as
process 1 of a container, to which the kernel delivers no signal by default, none is missed either.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass

# SageMaker kills the container 30 s after SIGTERM; the rest is for the clean-up.
GRACE_S = 28
# The time for the others to end after one of them has died.
AFTER_DEATH_S = 5

WATCHED = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGALRM})
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


@dataclass(frozen=True)
class Child:
    """A process that the server consists of."""

    name: str
    pid: int
    finish: signal.Signals
    """Asks it to answer the requests it has, and then to end."""


def watch_signals() -> None:
    """Hold back the signals until a ``Supervisor`` waits for them. Call it first of all."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    for number in WATCHED:  # a signal whose default is to be ignored might not be held back
        signal.signal(number, lambda _number, _frame: None)


def restore_signals() -> None:
    """Undo ``watch_signals`` in a child that was forked."""
    for number in WATCHED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)


class Supervisor:
    """Waits for its children; as a context, it leaves none of them behind.

    Args:
        grace_s: How long the children may take to end once they are asked to.
        after_death_s: The same after one of them has ended unasked.
    """

    def __init__(self, grace_s: float = GRACE_S, after_death_s: float = AFTER_DEATH_S) -> None:
        self._grace_s = grace_s
        self._after_death_s = after_death_s
        self._alive: list[Child] = []
        self._stopping = False
        self._exit_code = 0

    def __enter__(self) -> Supervisor:
        """Enter, without children yet."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Kill what is still alive: nothing, unless an exception ended the block."""
        for child in self._alive:
            os.kill(child.pid, signal.SIGKILL)

    def add(self, child: Child) -> None:
        """Add a child that stands in front of those before: requests reach it first."""
        self._alive.append(child)

    def run(self) -> int:
        """Wait until all children have ended.

        Returns:
            The exit code: 0 if they were asked to by SIGTERM or SIGINT and did in time.
        """
        while self._alive:
            number = signal.sigwait(WATCHED)
            if number == signal.SIGALRM:
                self._kill()
            elif number in STOP_SIGNALS and not self._stopping:
                self._stop()
            self._reap()
        return self._exit_code

    def _stop(self) -> None:
        self._stopping = True
        signal.setitimer(signal.ITIMER_REAL, self._grace_s)
        self._finish_front()

    def _finish_front(self) -> None:
        """Let the front finish while those behind it still answer; their turn is next."""
        front = self._alive[-1]
        os.kill(front.pid, front.finish)

    def _reap(self) -> None:
        """Take note of every child that has ended, and of every orphan left to process 1."""
        while self._alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            for child in [child for child in self._alive if child.pid == pid]:
                self._alive.remove(child)
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: Child, code: int) -> None:
        if not self._stopping:
            self._fail(child, code)
        elif self._alive and not self._exit_code:
            self._finish_front()

    def _fail(self, ended: Child, code: int) -> None:
        """End the others, too: half a server answers nobody."""
        how = f"with code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        say(f"{ended.name} ended {how}: stopping")
        self._exit_code = code if code > 0 else 1
        self._stopping = True
        signal.setitimer(signal.ITIMER_REAL, self._after_death_s)
        for child in self._alive:
            os.kill(child.pid, signal.SIGTERM)

    def _kill(self) -> None:
        self._exit_code = self._exit_code or 1
        for child in self._alive:
            say(f"{child.name} did not end in time: killing it")
            os.kill(child.pid, signal.SIGKILL)


def say(line: str) -> None:
    """Log a line where gunicorn and nginx log theirs."""
    print(f"serve: {line}", file=sys.stderr, flush=True)  # noqa: T201
