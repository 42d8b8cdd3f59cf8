"""What becomes of a training job's record."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from devkit.job import Status
from devkit.local_aws.sagemaker.records import Record
from devkit.local_aws.sagemaker.training_request import artifacts
from devkit.local_aws.sagemaker.training_states import End, begun, ended, entered, is_over

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
REQUEST = {
    "TrainingJobName": "iris-1",
    "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
    "InputDataConfig": [
        {
            "ChannelName": "training",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in"}},
        }
    ],
    "EnableNetworkIsolation": True,
    "SessionChainingConfig": {"EnableSessionTagChaining": True},
    "Tags": [],
}
COMPLETED = End(status=Status.COMPLETED, secondary="Completed")


def at(seconds: float) -> datetime:
    return FIRST + timedelta(seconds=seconds)


def new(**changes: Any) -> Record:
    parameters = {**REQUEST, **changes}
    members = begun(parameters, artifacts(parameters), FIRST)
    return Record(
        kind="training-job", name="iris-1", created=FIRST, modified=FIRST, members=members
    )


def through(*phases: str) -> Record:
    record = new()
    for number, phase in enumerate(phases, start=1):
        record = entered(record, phase, at(number))
    return record


def test_a_new_job_is_told_with_defaults_and_where_its_model_will_be() -> None:
    members = new().members
    assert members["TrainingJobStatus"] == "InProgress"
    assert members["SecondaryStatus"] == "Starting"
    assert members["ModelArtifacts"] == {
        "S3ModelArtifacts": "s3://data/out/iris-1/output/model.tar.gz"
    }
    assert members["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert members["OutputDataConfig"]["CompressionType"] == "GZIP"
    assert members["EnableNetworkIsolation"] is True
    assert members["EnableManagedSpotTraining"] is False
    (channel,) = members["InputDataConfig"]
    assert channel["CompressionType"] == channel["RecordWrapperType"] == "None"
    source = channel["DataSource"]["S3DataSource"]
    assert source["S3DataDistributionType"] == "FullyReplicated"
    assert "SessionChainingConfig" not in members
    assert "Tags" not in members


def test_phases_follow_each_other_without_a_gap() -> None:
    record = ended(through("Starting", "Downloading", "Training", "Uploading"), COMPLETED, at(9))
    shown = [
        (each["Status"], each["StartTime"], each["EndTime"])
        for each in record.members["SecondaryStatusTransitions"]
    ]
    assert shown == [
        ("Starting", at(0), at(2)),
        ("Downloading", at(2), at(3)),
        ("Training", at(3), at(4)),
        ("Uploading", at(4), at(9)),
        ("Completed", at(9), at(9)),
    ]
    assert all(each["StatusMessage"] for each in record.members["SecondaryStatusTransitions"])


def test_a_phase_under_way_has_no_end() -> None:
    last = through("Training").members["SecondaryStatusTransitions"][-1]
    assert "EndTime" not in last


def test_a_job_is_billed_from_its_instances_on() -> None:
    record = ended(through("Starting", "Downloading", "Training"), COMPLETED, at(9.5))
    assert record.members["TrainingStartTime"] == at(2)
    assert record.members["TrainingEndTime"] == at(9.5)
    assert record.members["TrainingTimeInSeconds"] == 8
    assert record.members["BillableTimeInSeconds"] == 8


def test_a_job_that_never_came_to_its_instances_is_not_billed() -> None:
    record = ended(new(), End(status=Status.FAILED, secondary="Failed", reason="no"), at(3))
    assert "TrainingStartTime" not in record.members
    assert "BillableTimeInSeconds" not in record.members
    assert record.members["FailureReason"] == "no"


def test_a_job_that_stops_keeps_to_that() -> None:
    record = through("Training", "Stopping", "Training", "Uploading")
    assert record.members["TrainingJobStatus"] == "Stopping"
    assert record.members["SecondaryStatus"] == "Stopping"
    stopped = ended(record, End(status=Status.STOPPED, secondary="Stopped"), at(9))
    assert stopped.members["TrainingJobStatus"] == "Stopped"


def test_a_job_that_is_over_does_not_change() -> None:
    record = ended(through("Training"), COMPLETED, at(9))
    assert is_over(record)
    assert entered(record, "Training", at(20)) == record
    assert ended(record, End(status=Status.FAILED, secondary="Failed"), at(20)) == record


def test_a_job_that_ran_too_long_is_stopped_for_that() -> None:
    end = End(status=Status.STOPPED, secondary="MaxRuntimeExceeded")
    members = ended(through("Training"), end, at(9)).members
    assert members["TrainingJobStatus"] == "Stopped"
    assert members["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_reason_is_no_longer_than_it_may_be() -> None:
    end = End(status=Status.FAILED, secondary="Failed", reason="x" * 5000)
    assert len(ended(new(), end, at(9)).members["FailureReason"]) == 1024


def test_no_metric_is_no_list() -> None:
    assert "FinalMetricDataList" not in ended(new(), COMPLETED, at(9)).members
    metric = {"MetricName": "loss", "Value": 0.5, "Timestamp": FIRST}
    end = End(status=Status.COMPLETED, secondary="Completed", metrics=[metric])
    assert ended(new(), end, at(9)).members["FinalMetricDataList"] == [metric]
