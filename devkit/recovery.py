"""What a devkit that was killed left behind, finished by the next command.

Nothing is left running and no artifact is lost: a container that ended by itself has its artifacts
collected as if nothing had happened; one that still runs is killed, and what it had is kept.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from datetime import datetime

from devkit.channels.s3_reading import S3Client
from devkit.checkpoints import of_request
from devkit.engines.base import Engine
from devkit.errors import ConfigError, DevkitError
from devkit.finishing import Ending, blamed, finish, is_stopped
from devkit.instances import AnyInstance, Instances, stop
from devkit.job import MetricDefinition, Status
from devkit.progress import Observer, Silent
from devkit.s3 import no_s3
from devkit.store import Claim, Run, Store

_KILLED = "devkit was killed while this ran"

# The process engine kills what runs as soon as its devkit is gone, and not only when the next one
# comes; a job that was killed for want of memory at that very time is told no better.
_KILLED_WITH_DEVKIT = 128 + signal.SIGKILL


def local_aws_is_down() -> S3Client:
    """For those who cannot reach the S3 of the local AWS.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(
        "its checkpoints are in the S3 of the local AWS", remedy="devkit up finishes it"
    )


def recover(
    store: Store,
    open_engine: Callable[[str], Engine],
    observer: Observer,
    s3: Callable[[], S3Client] = no_s3,
    local_s3: Callable[[], S3Client] = local_aws_is_down,
) -> None:
    """Finish every abandoned run of a store; what cannot be finished yet is said and kept.

    Args:
        store: The store.
        open_engine: Gives the engine of a name, or raises EngineError.
        observer: Is told what was done.
        s3: Gives the client for checkpoints in S3.
        local_s3: The same, for jobs of the local AWS.
    """
    for claim in store.abandoned():
        finished = False
        try:
            own = claim.run.request().get("local_aws")
            _finish(claim, store, open_engine, local_s3 if own else s3)
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


def _finish(
    claim: Claim,
    store: Store,
    open_engine: Callable[[str], Engine],
    s3: Callable[[], S3Client],
) -> None:
    run = claim.run
    request = run.request()
    if "engine" not in request:  # killed before anything was started
        store.discard(claim)
        return
    instances = Instances(
        run,
        store=store,
        engine=open_engine(request["engine"]),
        observer=Silent(),
        metrics=(MetricDefinition(**metric) for metric in request.get("metrics", ())),
    )
    left = instances.left()
    ending = None if _ended_by_itself(run, left) else Ending(Status.STOPPED, _KILLED)
    stop(left, 0)
    started = datetime.fromisoformat(request["started"])
    checkpoints = of_request(run, request, s3) if left else None
    finish(run, instances, started=started, ending=ending, store=store, checkpoints=checkpoints)


def _ended_by_itself(run: Run, left: Sequence[AnyInstance]) -> bool:
    """Whether a job had ended before its devkit was killed, or a host of it had failed."""
    codes = [each.container.exit_code() for each in left]
    all_ended = bool(codes) and None not in codes and _KILLED_WITH_DEVKIT not in codes
    return run.kind == "job" and (blamed(run) is not None or (all_ended and not is_stopped(run)))
