"""How a run ends: its log and artifacts collected, its outcome written, its container removed.

The same steps whether the run ended by itself, was stopped, or was left behind by a devkit that
was killed. All can be repeated: where one fails (a full disk, an engine that went away) the run
stays unfinished, and the next command goes through them again.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from devkit import archives, history, opt_ml
from devkit.contract import failure_reason
from devkit.engines.base import Container
from devkit.job import Outcome, Status
from devkit.logs import LogPump, LogRecord
from devkit.progress import Silent
from devkit.store import Run, Store, store_errors


@dataclass(frozen=True)
class Ending:
    """Why a run ends, where its exit code does not say it."""

    status: Status
    reason: str | None = None
    secondary: str | None = None
    remedy: str | None = None
    """What the user can do about it."""


def finish(
    run: Run,
    container: Container | None,
    *,
    log: LogPump | LogRecord,
    started: datetime,
    ending: Ending | None,
    store: Store,
) -> Outcome:
    """Collect what an ended container left, record how the run ended, and remove the container.

    Where the outcome is recorded already, only the last of that is left to do.

    Args:
        run: The job or server.
        container: Its container, which has ended; ``None`` where none was started.
        log: What keeps its log.
        started: When it began.
        ending: Why it ended; ``None`` takes it from the exit code.
        store: Where the run is.

    Raises:
        StoreError: An artifact or the outcome could not be written.
        EngineError: The engine did not give an artifact.
    """
    with store_errors(store.root):
        outcome = run.outcome() or _record(run, container, log, started, ending)
        store.index(run)
    if container is not None:
        container.remove()
    _discard(run)
    return outcome


def _record(
    run: Run,
    container: Container | None,
    log: LogPump | LogRecord,
    started: datetime,
    ending: Ending | None,
) -> Outcome:
    exit_code = None if container is None else container.exit_code()
    failure = None
    if container is not None:
        metrics = _complete_log(log, container)
        failure = _collect(run, container)
    else:
        metrics = {}
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
        metrics=metrics,
        transitions=history.transitions(run),
    )
    run.write_outcome(outcome)
    return outcome


def _complete_log(log: LogPump | LogRecord, container: Container) -> dict[str, float]:
    if isinstance(log, LogPump):
        log.complete()
        return dict(log.record.scanner.last)
    log.keep(container.lines(), Silent())
    return dict(log.scanner.last)


def _collect(run: Run, container: Container) -> str | None:
    if run.kind != "job":
        return None
    archives.discard_unfinished(run.model_archive.parent)
    failure = opt_ml.collect_output(container, run.output_archive, run.failure)
    opt_ml.collect_model(container, run.model_archive)
    return failure


def _discard(run: Run) -> None:
    """Remove what stands in the archives now, and the engine's notes."""
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
