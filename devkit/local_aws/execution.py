"""A command, run to its end: signals reach it, and its exit code is told as shells tell it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from devkit.errors import ConfigError

if TYPE_CHECKING:
    from types import TracebackType

_SIGNALLED = 128


def run(
    command: Sequence[str], environment: Mapping[str, str], *, output_to_stderr: bool = False
) -> int:
    """Run a command to its end.

    Ctrl-C reaches it from the terminal; SIGTERM and SIGHUP are passed on to it. In any case it is
    waited for.

    Args:
        command: Looked up as shells do.
        environment: Its whole environment.
        output_to_stderr: Whether what it writes goes to standard error.

    Returns:
        Its exit code; 128 and the signal's number where a signal ended it.

    Raises:
        ConfigError: It cannot be run.
    """
    with _PassingOn() as passing_on:  # from before it is there: no signal may miss it
        try:
            process = subprocess.Popen(  # noqa: S603 - what the user asks for
                list(command),
                env=dict(environment),
                stdout=sys.stderr.fileno() if output_to_stderr else None,
            )
        except OSError as error:
            raise ConfigError(
                f"cannot run {command[0]}: {error.strerror or error}",
                remedy="name a program that is on PATH, or a path to one",
            ) from None
        passing_on.to(process)
        code = process.wait()
    return code if code >= 0 else _SIGNALLED - code


class _PassingOn:
    """Passes signals on to a process, as often as they come."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def to(self, process: subprocess.Popen[bytes]) -> None:
        """Which process; it gets those that have come already too."""
        self._process = process
        while self._early:
            process.send_signal(self._early.pop(0))

    def __enter__(self) -> _PassingOn:
        self._before = {
            signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._pass_on),
            signal.SIGHUP: signal.signal(signal.SIGHUP, self._pass_on),
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _pass_on(self, signum: int, _frame: object) -> None:
        if self._process is None:
            self._early.append(signum)
        else:
            self._process.send_signal(signum)  # nothing is sent to one that has ended
