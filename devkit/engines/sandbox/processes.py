"""Every process that descends from another one, and how to end them all."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

_PATIENCE_S = 5.0
_PAUSE_S = 0.002


def end_descendants(main: int) -> None:
    """Kill every descendant of this process, the ones whose parents are gone included.

    On Linux this process must have adopted its orphans (:func:`.linux.adopt_orphans`). Elsewhere
    what has left the process group of ``main`` is not found.
    """
    if sys.platform != "linux":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(main, signal.SIGKILL)
        return
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        found = _descendants(os.getpid())
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        reap()
        time.sleep(_PAUSE_S)


def reap() -> dict[int, int]:
    """Collect every child that has ended: process id to exit code."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = exit_code(status)


def exit_code(status: int) -> int:
    """What a shell makes of a wait status: 128 + n for signal n."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _descendants(ancestor: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):  # it ended while we looked
                # The name in parentheses may hold anything, parentheses and spaces included.
                after_name = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                children.setdefault(int(after_name[1]), []).append(int(entry.name))
    found: list[int] = []
    queue = [ancestor]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
