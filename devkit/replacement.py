"""One instance of a server takes the place of another: it turned bad, or its program was edited.

The new one is started and pinged while the old one answers, where that still can; once its ping is
good, requests are led to it, and the old one is retired. An instance that does not come up never
takes anybody's place (docs/adr/0011).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from devkit.errors import DevkitError
from devkit.fleet import Fleet, Member
from devkit.health import pause_s
from devkit.progress import Observer
from devkit.watching import Watch

if TYPE_CHECKING:
    from devkit.front.entrance import Entrance

# How often to look: at files, at what pings say, at who has ended; and while one comes up.
_LOOK_S = 0.1
_AWAIT_S = 0.02
# Looking at files takes at most this part of the time, however many there are.
_LOOKING_PART = 0.1
# A server that was in service for so long has got over what was wrong before.
_STEADY_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What is watched of a project."""

    program: Watch
    """An edit of the program folder: goes live."""
    build: Watch
    """What the image is built from besides: cannot go live without a build."""


@dataclass
class _Candidate:
    """An instance that is to take the place of the one in service."""

    member: Member
    begun: float
    edit: bool
    """Whether it is there because of an edit."""


@dataclass
class Counts:
    """How often one instance took the place of another."""

    restarts: int = 0
    """Because the one before had turned bad."""
    reloads: int = 0
    """Because the program was edited."""


class Replacement:
    """Keeps a server in service; :meth:`step` does what is due, and never waits.

    Args:
        first: The instance in service.
        fleet: Starts and retires instances.
        entrance: What clients talk to; leads to ``first``.
        observer: Is told why instances come and go.
        edits: What is watched; ``None`` watches nothing.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        first: Member,
        fleet: Fleet,
        entrance: Entrance,
        *,
        observer: Observer,
        edits: Edits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.current: Member | None = first
        """The instance in service."""
        self.counts = Counts()
        self._fleet, self._entrance, self._observer = fleet, entrance, observer
        self._edits, self._clock = edits, clock
        self._candidate: _Candidate | None = None
        self._since = self._look_at = clock()
        self._attempts = 0
        self._retry_at = 0.0

    def step(self) -> float:
        """Do what is due; how many seconds to wait before the next step."""
        self._look_for_edits()
        self._check_current()
        self._check_candidate()
        if self.current is None and self._candidate is None and self._clock() >= self._retry_at:
            self._begin(edit=False)
        return _LOOK_S if self._candidate is None else _AWAIT_S

    # --- edits -------------------------------------------------------------------------------

    def _look_for_edits(self) -> None:
        begun = self._clock()
        if self._edits is None or begun < self._look_at:
            return
        for name in self._edits.build.changed():
            self._observer.note(f"{name} has changed: that needs a build, restart devkit serve")
        changed = self._edits.program.changed()
        took_s = self._clock() - begun
        self._look_at = begun + max(_LOOK_S, took_s / _LOOKING_PART)
        if changed:
            self._reload(changed)

    def _reload(self, changed: list[str]) -> None:
        if self._candidate is not None:
            self._fleet.retire(self._candidate.member)
            self._candidate = None
        self._attempts = 0
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        self._observer.note(f"{changed[0]}{more} has changed: starting the server with the edit")
        self._begin(edit=True)

    # --- the instance in service -------------------------------------------------------------

    def _check_current(self) -> None:
        current = self.current
        if current is None:
            return
        problem = current.death()
        if problem is None:
            health = current.listen(forgiving=self._fleet.debugged)
            if health.good:
                return
            problem = (
                f"is unhealthy: GET /ping: {health.problem} ({health.failures} times in a row)"
            )
        self._take_out(current, problem)

    def _take_out(self, member: Member, problem: str) -> None:
        self._entrance.switch(None)
        self.current = None
        self._observer.note(f"{member.name} {problem}")
        self._show(self._fleet.tail(member))
        self._let_finish(member)
        if self._clock() - self._since >= _STEADY_S:
            self._attempts = 0
        if self._candidate is None:
            self._try_again()

    def _try_again(self) -> None:
        pause = pause_s(self._attempts)
        self._attempts += 1
        self._retry_at = self._clock() + pause
        when = f" in {pause:g} s" if pause else ""
        self._observer.note(f"starting another instance{when}")

    # --- the one to come ---------------------------------------------------------------------

    def _begin(self, *, edit: bool) -> None:
        begun = self._clock()
        try:
            member = self._fleet.start()
        except DevkitError as error:
            self._not_up(error)
        else:
            self._candidate = _Candidate(member, begun, edit)

    def _check_candidate(self) -> None:
        candidate = self._candidate
        if candidate is None or not candidate.member.probe.start_up.done():
            return
        self._candidate = None
        problem = candidate.member.probe.start_up.result()
        if problem is None:
            self._promote(candidate)
        else:
            error = self._why_not_up(candidate.member, problem)
            self._fleet.retire(candidate.member)
            self._not_up(error)

    def _why_not_up(self, member: Member, problem: str) -> DevkitError:
        try:
            return self._fleet.failure(member, problem)
        except DevkitError as error:  # the engine does not say
            return error

    def _promote(self, candidate: _Candidate) -> None:
        member, before = candidate.member, self.current
        self._entrance.switch(member.address)
        self.current, self._since = member, self._clock()
        took = f"{self._since - candidate.begun:.1f} s"
        if candidate.edit:
            self.counts.reloads += 1
            self._observer.note(f"the edit is live: {member.name} is in service after {took}")
        else:
            self.counts.restarts += 1
            self._observer.note(f"{member.name} is in service after {took}")
        if before is not None:
            self._let_finish(before)

    def _let_finish(self, member: Member) -> None:
        """Retire an instance that was in service, as soon as it owes nobody an answer."""
        address = member.address
        busy = (lambda: False) if address is None else partial(self._entrance.busy, address)
        self._fleet.retire(member, busy=busy)

    def _not_up(self, error: DevkitError) -> None:
        if self.current is None:
            self._observer.note(error.message)
            self._show([*error.log_tail])
            self._try_again()
            return
        self._fleet.lead_debugger_to(self.current.instance)
        self._observer.note(
            f"the edit did not come up: {error.message}: "
            f"{self.current.name} stays in service until it is mended"
        )

    def _show(self, lines: list[str]) -> None:
        for line in lines:
            self._observer.note(f"  | {line}")
