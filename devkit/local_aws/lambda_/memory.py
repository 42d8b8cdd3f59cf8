"""How much memory a process and its descendants use, as Linux tells it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PEAK = "VmHWM:"


def peak_bytes(supervisor: int) -> int | None:
    """The sum of the most that each descendant of a supervisor has ever had in memory.

    ``None`` where this cannot be known: there is no ``/proc``, or they have ended.
    """
    pids = _below(supervisor)
    peaks = [peak for pid in pids if (peak := _peak(pid)) is not None]
    return sum(peaks) if peaks else None


def _below(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            children += map(int, (task / "children").read_text(encoding="ascii").split())
    return children


def _peak(pid: int) -> int | None:
    with suppress(OSError, ValueError):
        for line in (_PROC / str(pid) / "status").read_text(encoding="utf-8").splitlines():
            if line.startswith(_PEAK):
                return int(line.split()[1]) * 1024
    return None
