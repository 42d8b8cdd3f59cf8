"""What a devkit that was killed left behind, finished by the next command.

Nothing is left running and no artifact is lost: a container that ended by itself has its artifacts
collected as if nothing had happened; one that still runs is killed, and what it had is kept.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import datetime

from devkit.attempt import HOST, container_name, engine_notes
from devkit.engines.base import Engine
from devkit.errors import DevkitError
from devkit.finishing import Ending, finish
from devkit.job import MetricDefinition, Status
from devkit.logs import LogRecord
from devkit.progress import Observer
from devkit.store import Claim, Store

_KILLED = "devkit was killed while this ran"

# The process engine kills what runs as soon as its devkit is gone, and not only when the next one
# comes; a job that was killed for want of memory at that very time is told no better.
_KILLED_WITH_DEVKIT = 128 + signal.SIGKILL


def recover(store: Store, open_engine: Callable[[str], Engine], observer: Observer) -> None:
    """Finish every abandoned run of a store; what cannot be finished yet is said and kept.

    Args:
        store: The store.
        open_engine: Gives the engine of a name, or raises EngineError.
        observer: Is told what was done.
    """
    for claim in store.abandoned():
        finished = False
        try:
            _finish(claim, store, open_engine)
            finished = True
            observer.note(
                f"{claim.run.kind} {claim.run.name}: {_KILLED}; its artifacts are collected and "
                "nothing of it runs any more"
            )
        except (DevkitError, OSError) as error:
            why = str(error).splitlines()[0]
            observer.note(f"{claim.run.kind} {claim.run.name} is still not finished: {why}")
        finally:
            claim.release(finished=finished)


def _finish(claim: Claim, store: Store, open_engine: Callable[[str], Engine]) -> None:
    run = claim.run
    request = run.request()
    if "engine" not in request:  # killed before anything was started
        store.discard(claim)
        return
    engine = open_engine(request["engine"])
    container = engine.reopen(container_name(store, run), engine_notes(run))
    ending: Ending | None = Ending(Status.STOPPED, _KILLED)
    if container is not None and run.outcome() is None:
        if container.exit_code() is None:
            container.stop(0)
        elif run.kind == "job" and container.exit_code() != _KILLED_WITH_DEVKIT:
            ending = None
    metrics = (MetricDefinition(**metric) for metric in request.get("metrics", ()))
    finish(
        run,
        container,
        log=LogRecord(run, HOST, metrics),
        started=datetime.fromisoformat(request["started"]),
        ending=ending,
        store=store,
    )
