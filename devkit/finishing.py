"""How a run ends: its log and artifacts collected, its outcome written, its container removed.

The same steps whether the run ended by itself, was stopped, or was left behind by a devkit that
was killed. All can be repeated: where one fails (a full disk, an engine that went away) the run
stays unfinished, and the next command goes through them again.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from devkit import archives, history, opt_ml
from devkit.checkpoints import Checkpoints
from devkit.contract import failure_reason
from devkit.instances import AnyInstance, Instances
from devkit.job import Outcome, Status
from devkit.metrics import final_values
from devkit.store import Run, Store, store_errors

# Of a container that was stopped: as a rule another one is the cause of that.
_STOPPED_CODES = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
_CAUSE = "cause"
_STOPPED = "stopped"


@dataclass(frozen=True)
class Ending:
    """Why a run ends, where its exit code does not say it."""

    status: Status
    reason: str | None = None
    secondary: str | None = None
    remedy: str | None = None
    """What the user can do about it."""


def blame(run: Run, instance: AnyInstance) -> None:
    """Keep in mind which instance failed, before the others are stopped because of it."""
    run.write("state", {**run.state(), _CAUSE: instance.name})


def blamed(run: Run) -> str | None:
    """The instance that :func:`blame` was called for."""
    cause: str | None = run.state().get(_CAUSE)
    return cause


def note_stopped(run: Run, *, stopped: bool) -> None:
    """Keep in mind that what runs is being stopped, so that its exit codes say nothing."""
    run.write("state", {**run.state(), _STOPPED: stopped})


def is_stopped(run: Run) -> bool:
    """What :func:`note_stopped` was told last."""
    return bool(run.state().get(_STOPPED))


def finish(
    run: Run,
    instances: Instances,
    *,
    started: datetime,
    ending: Ending | None,
    store: Store,
    checkpoints: Checkpoints | None = None,
) -> Outcome:
    """Collect what ended instances left, record how the run ended, and remove them.

    Where the outcome is recorded already, only the last of that is left to do.

    Args:
        run: The job or server.
        instances: What of it may still be there, and has ended.
        started: When it began.
        ending: Why it ended; ``None`` takes it from the exit codes.
        store: Where the run is.
        checkpoints: Where those of a job are kept, if it has any.

    Raises:
        StoreError: An artifact or the outcome could not be written.
        EngineError: The engine did not give an artifact.
    """
    left = instances.left()
    with store_errors(store.root):
        outcome = run.outcome() or _record(run, left, started, ending, checkpoints)
        store.index(run)
    for instance in left:
        instances.remove(instance)
    instances.disconnect()
    _discard(run)
    return outcome


def _record(
    run: Run,
    left: Sequence[AnyInstance],
    started: datetime,
    ending: Ending | None,
    checkpoints: Checkpoints | None,
) -> Outcome:
    records = [instance.complete_log() for instance in left]
    cause = _cause(run, left)
    exit_code = None if cause is None else cause.container.exit_code()
    failure = _collect(run, left, cause) if run.kind == "job" and cause is not None else None
    if checkpoints is not None:  # after the artifacts: their storage may be out of reach
        for instance in left:
            checkpoints.sync(instance)
    ending = ending or _own_ending(exit_code, failure)
    secondary = ending.secondary or ending.status.value
    if run.kind == "job":
        history.enter(run, secondary)
    outcome = Outcome(
        status=ending.status,
        secondary_status=secondary,
        exit_code=exit_code,
        failure_reason=ending.reason,
        started=started,
        ended=datetime.now(timezone.utc),
        # A stopped job keeps its model (§1.10); that of a failed one is kept, but no result.
        model=_if_there(run.model_archive) if ending.status is not Status.FAILED else None,
        output=_if_there(run.output_archive),
        metrics=final_values(record.scanner.last for record in records),
        transitions=history.transitions(run),
    )
    run.write_outcome(outcome)
    return outcome


def _cause(run: Run, left: Sequence[AnyInstance]) -> AnyInstance | None:
    """The instance whose exit code is the run's: the one that failed first, as far as is known."""
    named = [each for each in left if each.name == blamed(run)]
    failed = [each for each in left if each.container.exit_code() != 0]
    own = [each for each in failed if each.container.exit_code() not in _STOPPED_CODES]
    return next(iter([*named, *own, *failed, *left]), None)


def _collect(run: Run, left: Sequence[AnyInstance], cause: AnyInstance) -> str | None:
    archives.discard_unfinished(run.model_archive.parent)
    containers = [each.container for each in left]
    failures = opt_ml.collect_output(containers, run.output_archive)
    opt_ml.collect_model(containers, run.model_archive)
    for instance, failure in zip(left, failures, strict=True):
        if failure is not None:
            name = "failure" if instance is cause else f"failure-{instance.name}"
            (run.output_archive.parent / name).write_bytes(failure)
    text = failures[left.index(cause)]
    return None if text is None else text.decode("utf-8", errors="replace")


def _discard(run: Run) -> None:
    """Remove what stands in the archives now, and the engine's last notes."""
    shutil.rmtree(run.engine_notes, ignore_errors=True)
    shutil.rmtree(run.inputs, ignore_errors=True)
    if run.kind == "server":
        shutil.rmtree(run.opt_ml, ignore_errors=True)
    for host in run.opt_ml.glob("*"):
        opt_ml.discard_artifacts(host)


def _own_ending(exit_code: int | None, failure: str | None) -> Ending:
    if exit_code == 0:
        return Ending(Status.COMPLETED)
    if exit_code is None:
        return Ending(Status.FAILED, "the container never started")
    return Ending(Status.FAILED, failure_reason(exit_code, failure))


def _if_there(path: Path) -> Path | None:
    return path if path.exists() else None
