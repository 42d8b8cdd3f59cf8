"""Jobs that ran when the last endpoint was killed: finished, uploaded, and their records told."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from devkit.errors import DevkitError, NotFound
from devkit.local_aws.sagemaker import training_request, training_states
from devkit.local_aws.sagemaker.parts import Shared
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.sagemaker.training_states import End
from devkit.local_aws.sagemaker.training_work import collected, conclude, end_of, failed

_NEVER_BEGAN = "InternalServerError: devkit was killed before the job began"


def settle(shared: Shared, left: Sequence[Record]) -> None:
    """Finish all that a killed devkit left behind, and say in the records how jobs ended.

    A job that cannot be finished yet stays as it is: the next start tries again.

    Args:
        shared: What jobs are run with.
        left: The records of jobs that have not ended.
    """
    try:
        for record in shared.records.all(training_states.KIND):
            if not training_states.is_over(record) or _is_unfinished(shared, record):
                _require_buckets(shared, record)
        shared.workshop.recover(shared.storage.client)
        for record in left:
            end = _end(shared, record)
            if end is not None:
                conclude(shared, record.arn, end)
    except Exception as error:  # told, as nobody waits for this
        shared.observer.note(f"jobs of before are not finished: {error}")


def _end(shared: Shared, record: Record) -> End | None:
    try:
        run = shared.workshop.store.find(record.name, "job")
    except NotFound:
        return failed(_NEVER_BEGAN)
    outcome = run.outcome()
    if outcome is None:
        return None
    end = collected(shared, record, run)
    own = end_of(outcome, run)
    if end.status is own.status:
        return end
    return replace(own, reason=f"{own.reason or ''} {end.reason}".strip())


def _is_unfinished(shared: Shared, record: Record) -> bool:
    """Whether what a job left could not be collected when it ended."""
    try:
        return shared.workshop.store.find(record.name, "job").outcome() is None
    except NotFound:
        return False


def _require_buckets(shared: Shared, record: Record) -> None:
    """Make the buckets that a job writes to, where S3 has forgotten them."""
    places = [training_request.artifacts(record.members).folder]
    checkpoints = record.members.get("CheckpointConfig")
    if checkpoints is not None:
        places.append(training_request.s3_uri(checkpoints["S3Uri"]))
    for place in places:
        with suppress(DevkitError):
            shared.storage.require_bucket(place.bucket)
