"""What becomes of a training job's record while the job goes on, and when it has ended (§1.10)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devkit import contract
from devkit.job import Phase, Status
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.sagemaker.training_request import Artifacts

KIND = "training-job"
STATUS = "TrainingJobStatus"
STOPPING = "Stopping"
OVER = frozenset({Status.COMPLETED.value, Status.FAILED.value, Status.STOPPED.value})
"""The statuses that do not change any more."""

_UNDER_WAY = (Phase.DOWNLOADING.value, Phase.TRAINING.value)
_NOT_DESCRIBED = {"Tags", "SessionChainingConfig"}
_FLAGS = (
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
)


@dataclass(frozen=True, kw_only=True)
class End:
    """How a job ended."""

    status: Status
    secondary: str
    reason: str | None = None
    metrics: Sequence[Mapping[str, Any]] = ()
    """``FinalMetricDataList``."""


def begun(parameters: Mapping[str, Any], artifacts: Artifacts, moment: datetime) -> dict[str, Any]:
    """The members of a new job: what was asked for, with the service's defaults, and a beginning.

    Where the model will be is told from the start: the output's shape wants it.
    """
    output = {"CompressionType": "GZIP", "KmsKeyId": "", **parameters["OutputDataConfig"]}
    stopping = {
        "MaxRuntimeInSeconds": contract.MAX_RUN_DEFAULT_S,
        **parameters.get("StoppingCondition", {}),
    }
    given = {name: value for name, value in parameters.items() if name not in _NOT_DESCRIBED}
    members = {
        **dict.fromkeys(_FLAGS, False),
        **given,
        "OutputDataConfig": output,
        "StoppingCondition": stopping,
        "ModelArtifacts": {"S3ModelArtifacts": str(artifacts.model)},
        STATUS: Status.IN_PROGRESS.value,
        "SecondaryStatus": Phase.STARTING.value,
        "SecondaryStatusTransitions": [_transition(Phase.STARTING.value, moment)],
        "ProfilingStatus": "Disabled",
    }
    if "InputDataConfig" in given:
        members["InputDataConfig"] = [_completed(each) for each in given["InputDataConfig"]]
    return members


def is_over(record: Record) -> bool:
    """Whether a job has ended."""
    return record.members[STATUS] in OVER


def entered(record: Record, secondary: str, moment: datetime) -> Record:
    """A job that enters a phase; one that stops or is over keeps to that."""
    stops = record.members[STATUS] == STOPPING
    if is_over(record) or stops or record.members["SecondaryStatus"] == secondary:
        return record
    changed = record.with_members(
        moment,
        SecondaryStatus=secondary,
        SecondaryStatusTransitions=_with(record, _transition(secondary, moment), moment),
    )
    if secondary == Phase.STOPPING.value:
        return changed.with_members(moment, **{STATUS: STOPPING})
    if secondary in _UNDER_WAY and "TrainingStartTime" not in record.members:
        return changed.with_members(moment, TrainingStartTime=moment)
    return changed


def ended(record: Record, end: End, moment: datetime) -> Record:
    """A job that has ended; one that had before keeps its own end."""
    if is_over(record):
        return record
    last = {**_transition(end.secondary, moment), "EndTime": moment}
    reason = end.reason and end.reason[: contract.FAILURE_REASON_CHARS]
    return record.with_members(
        moment,
        **{STATUS: end.status.value},
        SecondaryStatus=end.secondary,
        SecondaryStatusTransitions=_with(record, last, moment),
        FailureReason=reason or None,
        FinalMetricDataList=list(end.metrics) or None,
        TrainingEndTime=moment,
        **_times(record.members.get("TrainingStartTime"), moment),
    )


def _times(started: datetime | None, moment: datetime) -> dict[str, int]:
    """Nothing is billed for a job that never came to its instances."""
    if started is None:
        return {}
    seconds = math.ceil((moment - started).total_seconds())
    return {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}


def _with(record: Record, last: dict[str, Any], moment: datetime) -> list[dict[str, Any]]:
    earlier = [{"EndTime": moment, **each} for each in record.members["SecondaryStatusTransitions"]]
    return [*earlier, last]


def _transition(secondary: str, moment: datetime) -> dict[str, Any]:
    message = contract.STATUS_MESSAGES.get(secondary, "")
    return {"Status": secondary, "StartTime": moment, "StatusMessage": message}


def _completed(channel: Mapping[str, Any]) -> dict[str, Any]:
    """A channel with what the service adds to it."""
    source = channel["DataSource"]
    if "S3DataSource" in source:
        data = {"S3DataDistributionType": "FullyReplicated", **source["S3DataSource"]}
        source = {**source, "S3DataSource": data}
    return {
        "CompressionType": "None",
        "RecordWrapperType": "None",
        **channel,
        "DataSource": source,
    }
