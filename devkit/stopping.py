"""Stop a run that another devkit is at work on, by asking that devkit."""

from __future__ import annotations

import os
import signal
import time

from devkit import contract
from devkit.errors import DevkitError
from devkit.store import Run, Store

_POLL_S = 0.02
# What the owner needs on top of the grace, to collect the artifacts.
_COLLECTING_S = 300.0


def stop(store: Store, run: Run) -> str:
    """Ask the owner of a run to stop it, and wait until it has.

    Returns:
        The run's status at the end; one that has ended before keeps its own.

    Raises:
        DevkitError: The owner did not stop it in time.
    """
    owner = store.owner(run)
    if owner is not None:
        os.kill(owner, signal.SIGTERM)
    deadline = time.monotonic() + contract.TRAIN_STOP_GRACE_S + _COLLECTING_S
    while store.owner(run) is not None:
        if time.monotonic() > deadline:
            raise DevkitError(f"{run.kind} {run.name} does not stop; devkit {owner} works on it")
        time.sleep(_POLL_S)
    outcome = run.outcome()
    return "?" if outcome is None else outcome.status.value
