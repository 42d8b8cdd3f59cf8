"""One run on an engine, from the claim of its folder to its outcome, whatever goes wrong."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from devkit import history
from devkit.checkpoints import Checkpoints
from devkit.diagnosis import NOT_EXECUTABLE, NOT_FOUND, Diagnosis, explain, refusal
from devkit.engines.base import Container, Engine, Image, StartRefused
from devkit.errors import DevkitError
from devkit.finishing import Ending, finish, note_stopped
from devkit.index import Kind
from devkit.instances import AnyInstance, Instances, stop
from devkit.job import MetricDefinition, Outcome, Phase, Status
from devkit.logs import tail
from devkit.progress import Observer
from devkit.signals import Terminated
from devkit.store import Run, Store, store_errors

# Ctrl-C wants out: a program that ignores SIGTERM gets this long, as with `docker stop`.
INTERRUPT_GRACE_S = 10.0


class GivenUp(Exception):
    """A server that was not in service yet is not wanted any more; it needs no grace."""


class Attempt:
    """A claimed run whose instances are started, followed, and in any case finished.

    Args:
        kind: Job or server.
        name: Its name.
        image: What it runs.
        request: What was asked for, for ``run.json``.
        metrics: What to look for in its logs.
        grace_s: Seconds between SIGTERM and SIGKILL, as SageMaker has it.
        engine: Runs the containers.
        store: Keeps the run.
        observer: Is told of everything.

    Raises:
        StoreError: There is such a run already, or the store is not writable.
    """

    def __init__(
        self,
        kind: Kind,
        name: str,
        *,
        image: Image,
        request: Mapping[str, Any],
        metrics: Iterable[MetricDefinition] = (),
        grace_s: float,
        engine: Engine,
        store: Store,
        observer: Observer,
    ) -> None:
        self.observer, self._engine, self._store = observer, engine, store
        self._grace_s = grace_s
        self._started = datetime.now(timezone.utc)
        self._claim = store.claim(
            kind,
            name,
            {
                "engine": engine.name,
                "image": image.reference,
                "image_id": image.id,
                "started": self._started.isoformat(),
                **request,
            },
        )
        self.run = self._claim.run
        self.instances = Instances(
            self.run, store=store, engine=engine, observer=observer, metrics=metrics
        )
        self.checkpoints: Checkpoints | None = None
        self.stopping = False
        """Whether the job is being stopped, because somebody asked for it."""
        self._stopped = False

    def enter(self, phase: Phase) -> None:
        """The job enters a phase."""
        with store_errors(self._store.root):
            history.enter(self.run, phase.value)
        self.observer.phase(phase)

    def kill(self) -> None:
        """End every container now, from whatever thread; nothing where none has started."""
        self._note_stopped(stopped=True)
        for instance in self.instances.left():
            instance.container.signal(signal.SIGKILL)

    def stop(self, instances: Sequence[AnyInstance], grace_s: float) -> None:
        """SIGTERM, then SIGKILL after the grace; a Ctrl-C meanwhile kills at once."""
        self._note_stopped(stopped=True)
        stop(instances, grace_s)

    def enter_stopping(self) -> None:
        """The job is being stopped, as StopTrainingJob does it (§1.10)."""
        self.stopping = True
        with suppress(OSError):  # a full disk must not keep anything running
            history.enter(self.run, Phase.STOPPING.value)
        self.observer.phase(Phase.STOPPING)

    def start_again(self) -> None:
        """The instances that were stopped are gone, and others are about to start."""
        self._note_stopped(stopped=False)

    def finish(self, ending: Ending | None) -> Outcome:
        """Collect what the ended containers left, record the outcome, give up the claim."""
        outcome = finish(
            self.run,
            self.instances,
            started=self._started,
            ending=ending,
            store=self._store,
            checkpoints=self.checkpoints,
        )
        self._claim.release(finished=True)
        return outcome

    def unwind(
        self, error: BaseException, *, reason: str | None = None, in_service: bool = False
    ) -> None:
        """End what runs and record how it ended, after ``error``; raises nothing of its own.

        What cannot be finished now is left to the next command. What had ended by itself before
        keeps its own ending. A server ``in_service`` is stopped in good order: what went wrong is
        its user's.

        Args:
            error: What happened.
            reason: The reason to record; by default the error's message.
            in_service: Whether the run is a server whose ping was good.
        """
        ending: Ending | None = _ending_after(error, reason)
        if in_service:
            ending = Ending(Status.STOPPED)
        try:
            left = self.instances.left()
            if self._ended_by_itself(left):
                ending = None
                self.observer.note(
                    f"{self.run.name} has ended: collecting what it left "
                    "(Ctrl-C: the next devkit command does that)"
                )
            else:
                self._stop_aloud(left, self._grace_after(error, in_service))
            self.finish(ending)
        except BaseException as second:  # the first error is the one to tell
            why = str(second).splitlines()[0] if str(second) else type(second).__name__
            self.observer.note(
                f"{self.run.kind} {self.run.name} could not be finished ({why}): "
                "the next devkit command does that"
            )
            self._claim.release(finished=False)

    def _note_stopped(self, *, stopped: bool) -> None:
        """Exit codes say nothing of a run that was stopped; the next command must know, too."""
        self._stopped = stopped
        with suppress(OSError):  # a full disk must not keep anything running
            note_stopped(self.run, stopped=stopped)

    def _stop_aloud(self, left: Sequence[AnyInstance], grace_s: float) -> None:
        running = [each for each in left if each.container.exit_code() is None]
        if not running:
            return
        if self.run.kind == "job":
            self.enter_stopping()
        self.observer.note(
            f"stopping {self.run.name}: SIGTERM, SIGKILL after {grace_s:g} s (Ctrl-C: at once)"
        )
        self.stop(running, grace_s)

    def _ended_by_itself(self, left: Sequence[AnyInstance]) -> bool:
        """Whether a job had ended before anybody stopped it: only collecting it went wrong."""
        return (
            self.run.kind == "job"
            and not self._stopped
            and bool(left)
            and all(each.container.exit_code() is not None for each in left)
        )

    def _grace_after(self, error: BaseException, in_service: bool) -> float:
        if isinstance(error, KeyboardInterrupt) and not isinstance(error, Terminated):
            return min(self._grace_s, INTERRUPT_GRACE_S)
        return self._grace_s if in_service or isinstance(error, Terminated) else 0.0


def diagnose(container: Container, program: str, run: Run, instance: str) -> Diagnosis | None:
    """Why an ended container's program could not be executed, where that is what happened."""
    refused = refusal(tail(run, instance))
    if refused is not None:
        return diagnose_refusal(program, StartRefused(refused, container.read_program(program)))
    if container.exit_code() not in (NOT_EXECUTABLE, NOT_FOUND):
        return None
    file = container.read_program(program)
    return None if file is None else explain(program, file)


def diagnose_refusal(program: str, refused: StartRefused) -> Diagnosis:
    """Why a container's program could not be executed at all."""
    found = explain(program, refused.program, refused.detail)
    return found or Diagnosis(
        refused.detail,
        f"see that {program} can be executed in the image, and its #! line names "
        "an interpreter that is there",
    )


def _ending_after(error: BaseException, reason: str | None) -> Ending:
    if isinstance(error, (KeyboardInterrupt, GivenUp)):
        return Ending(Status.STOPPED)
    if isinstance(error, DevkitError):
        return Ending(Status.FAILED, reason or error.message)
    return Ending(Status.FAILED, f"devkit failed: {type(error).__name__}: {error}")
