"""The commands of a build: every line of theirs as it comes, and no process left of them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from devkit.engines.base import OnLine

_TAIL_LINES = 30
_END_S = 5.0


class Build:
    """Runs the commands of one build and remembers their last lines.

    Args:
        on_line: Is given every line as it comes.
        lock: The descriptor of the lock that the build holds; its commands hold it too.
    """

    def __init__(self, on_line: OnLine, lock: int) -> None:
        self.on_line = on_line
        self._lock = lock
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    @property
    def tail(self) -> Sequence[str]:
        """The last lines of the commands so far."""
        return tuple(self._tail)

    def run(self, command: list[str], environment: Mapping[str, str], folder: Path) -> int:
        """Run a command, hand on its lines as they come, and return its exit code."""
        with _child(command, environment, folder, self._lock) as process:
            assert process.stdout is not None  # noqa: S101 - asked for in _child
            for line in process.stdout:
                text = line.rstrip("\r\n")
                self._tail.append(text)
                self.on_line(text)
            return process.wait()


@contextmanager
def _child(
    command: list[str], environment: Mapping[str, str], folder: Path, lock: int
) -> Iterator[subprocess.Popen[str]]:
    """A child process, and everything it started, that does not outlive the block.

    It holds the build's lock with us: where devkit is killed, no other build begins under its feet.
    """
    with subprocess.Popen(  # noqa: S603 - our own commands
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        pass_fds=[lock],
    ) as process:
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
