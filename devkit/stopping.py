"""Stop runs that other devkits are at work on, by asking those devkits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from devkit import contract
from devkit.errors import DevkitError
from devkit.store import Run, Store

_POLL_S = 0.02
# What the owner needs on top of the grace, to collect the artifacts.
_COLLECTING_S = 300.0


def stop(
    store: Store, runs: Iterable[Run], stop_in_local_aws: Callable[[str, str], None]
) -> dict[str, str]:
    """Ask the owners of all runs to stop them, and wait until they have.

    Args:
        store: Where the runs are.
        runs: What is to be stopped.
        stop_in_local_aws: Asks the local AWS, which goes on, to stop a job of its own: by its name
            and region.

    Returns:
        The runs' statuses at the end, by name; one that has ended before keeps its own.

    Raises:
        DevkitError: An owner did not stop its run in time.
    """
    owners = [(run, store.owner(run)) for run in runs]
    signalled = set()
    for run, owner in owners:
        region = run.request().get("local_aws") if run.kind == "job" else None
        if region is not None and owner is not None:
            stop_in_local_aws(run.name, region)
        elif owner is not None:
            signalled.add(owner)
    for owner in signalled:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(owner, signal.SIGTERM)
    deadline = time.monotonic() + contract.TRAIN_STOP_GRACE_S + _COLLECTING_S
    return {run.name: _await_end(store, run, owner, deadline) for run, owner in owners}


def is_endpoint(run: Run) -> bool:
    """Whether it is a server behind an endpoint of the local AWS."""
    return run.kind == "server" and run.request().get("local_aws") is not None


def require_no_endpoint(store: Store, runs: Iterable[Run]) -> None:
    """Make sure that none of these runs is an endpoint's: its owner does more than keep it.

    Raises:
        DevkitError: One of them is.
    """
    for run in runs:
        if is_endpoint(run) and store.owner(run) is not None:
            raise DevkitError(
                f"server {run.name} is that of an endpoint of the local AWS",
                remedy="devkit exec -- aws sagemaker delete-endpoint --endpoint-name …, or "
                "devkit down",
            )


def _await_end(store: Store, run: Run, owner: int | None, deadline: float) -> str:
    while store.owner(run) is not None:
        if time.monotonic() > deadline:
            raise DevkitError(f"{run.kind} {run.name} does not stop; devkit {owner} works on it")
        time.sleep(_POLL_S)
    outcome = run.outcome()
    return "?" if outcome is None else outcome.status.value
