"""When a server is unhealthy, and how soon the next attempt is made: no clock, no thread."""

from __future__ import annotations

from dataclasses import dataclass

from devkit import contract

LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Health:
    """What the pings of a server in service came to, in a row."""

    failures: int = 0
    problem: str | None = None
    """What the last one was about; ``None`` where it was good."""

    def after(self, problem: str | None) -> Health:
        """The health after one more ping; ``None`` is a good one."""
        return Health() if problem is None else Health(self.failures + 1, problem)

    @property
    def good(self) -> bool:
        """Whether the server stays in service."""
        return self.failures < contract.PING_FAILURES


def pause_s(attempts: int) -> float:
    """How long to wait before an attempt, after so many that did not last: 0, 1, 2, 4 … 30 s."""
    if attempts == 0:
        return 0.0
    return min(2.0 ** min(attempts - 1, 10), LONGEST_PAUSE_S)
