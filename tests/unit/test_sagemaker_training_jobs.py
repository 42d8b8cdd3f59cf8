"""Training jobs from CreateTrainingJob to their end, on an engine whose programs are functions."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from devkit.engines.base import Image
from devkit.errors import BuildError
from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.workshop import Workshop
from devkit.store import Store
from tests.unit.fakes import IMAGE, FakeEngine, Inside, Notes, Program
from tests.unit.sagemaker_fakes import ARN, Bucket, Gate, Moto, Service, sagemaker, workshop_of

ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
REQUEST = {
    "TrainingJobName": "Iris-1",
    "RoleArn": ROLE,
    "AlgorithmSpecification": {
        "TrainingImage": "fake:dev",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
    },
    "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
CHANNEL = {
    "ChannelName": "training",
    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in/"}},
}
JOB_ARN = f"{ARN}training-job/iris-1"
GROUP = "/aws/sagemaker/TrainingJobs"


def trains(inside: Inside) -> int:
    inside.print("loss=0.5")
    inside.print("loss=0.25")
    inside.path("/opt/ml/model/weights").write_text("42")
    inside.path("/opt/ml/output/data/report").write_text("fine")
    return 0


def fails(inside: Inside) -> int:
    inside.path("/opt/ml/output/failure").write_text("no luck")
    return 3


def until_stopped(inside: Inside) -> int:
    inside.path("/opt/ml/model/so-far").write_text("half")
    inside.print("training")
    inside.stopped.wait()
    return 0


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(**{"in/a.csv": b"1,2"})


def serving(program: Program, store: Store, bucket: Bucket, **more: Any) -> Any:
    return sagemaker(workshop=workshop_of(FakeEngine(program), store), bucket=bucket, **more)


def create(service: Service, **changes: Any) -> Any:
    return service.call("CreateTrainingJob", **{**REQUEST, **changes})


def describe(service: Service, name: str = "Iris-1") -> Any:
    return service.call("DescribeTrainingJob", TrainingJobName=name)


def finished(service: Service, name: str = "Iris-1") -> Any:
    """The job, once it has ended."""
    service.until(lambda: "TrainingEndTime" in describe(service, name))
    return describe(service, name)


def in_archive(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def test_a_job_trains_and_its_artifacts_are_in_s3(store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        made = create(service, InputDataConfig=[CHANNEL], Tags=[{"Key": "a", "Value": "b"}])
        job = finished(service)
        tags = service.call("ListTags", ResourceArn=JOB_ARN)["Tags"]
    assert made == {"TrainingJobArn": JOB_ARN}
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    assert [each["Status"] for each in job["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("loss", 0.25)]
    assert "FailureReason" not in job
    assert tags == [{"Key": "a", "Value": "b"}]
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == "s3://data/out/Iris-1/output/model.tar.gz"
    assert in_archive(bucket.objects["out/Iris-1/output/model.tar.gz"]) == {"weights": b"42"}
    assert in_archive(bucket.objects["out/Iris-1/output/output.tar.gz"]) == {"report": b"fine"}


def test_the_job_is_the_projects_own(store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        create(service)
        finished(service)
    assert [(each.name, each.status) for each in store.entries("job")] == [("Iris-1", "Completed")]


def test_artifacts_can_be_left_as_files(store: Store, bucket: Bucket) -> None:
    config = {"S3OutputPath": "s3://data/out", "CompressionType": "NONE"}
    with serving(trains, store, bucket) as service:
        create(service, OutputDataConfig=config)
        job = finished(service)
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://data/out/Iris-1/output/model/"
    assert bucket.objects["out/Iris-1/output/model/weights"] == b"42"
    assert bucket.objects["out/Iris-1/output/data/report"] == b"fine"


def test_a_failure_has_its_reason_and_no_model(store: Store, bucket: Bucket) -> None:
    with serving(fails, store, bucket) as service:
        create(service)
        job = finished(service)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no luck, exit code: 3"
    assert "out/Iris-1/output/model.tar.gz" not in bucket.objects
    assert "out/Iris-1/output/output.tar.gz" in bucket.objects


def test_a_job_is_stopped_and_keeps_its_model(store: Store, bucket: Bucket) -> None:
    with serving(until_stopped, store, bucket) as service:
        create(service)
        service.until(lambda: describe(service)["SecondaryStatus"] == "Training")
        service.call("StopTrainingJob", TrainingJobName="Iris-1")
        asked = describe(service)["TrainingJobStatus"]
        job = finished(service)
        with pytest.raises(AwsError, match="is in status Stopped"):
            service.call("StopTrainingJob", TrainingJobName="Iris-1")
    assert asked in ("Stopping", "Stopped")
    assert [each["Status"] for each in job["SecondaryStatusTransitions"]][-3:] == [
        "Training",
        "Stopping",
        "Stopped",
    ]
    assert in_archive(bucket.objects["out/Iris-1/output/model.tar.gz"]) == {"so-far": b"half"}


def test_a_job_that_is_stopped_before_its_image_is_there_never_begins(
    store: Store, bucket: Bucket
) -> None:
    gate = Gate()

    def build() -> Image:
        gate.pass_through()
        return IMAGE

    engine = FakeEngine(trains)
    at_work = Workshop(store=lambda: store, engine=lambda: engine, build=build, tag="fake:dev")
    with sagemaker(workshop=at_work, bucket=bucket) as service:
        create(service)
        gate.reached.wait(10)
        service.call("StopTrainingJob", TrainingJobName="Iris-1")
        assert describe(service)["TrainingJobStatus"] == "Stopping"
        gate.opened.set()
        job = finished(service)
    assert job["TrainingJobStatus"] == "Stopped"
    assert engine.specs == []


def test_what_a_job_says_is_in_cloudwatch_before_it_has_ended(store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        create(service)
        finished(service)
        puts = service.moto.of("PutLogEvents")
        data = [each for put in service.moto.of("PutMetricData") for each in put["MetricData"]]
    assert {put["logGroupName"] for put in puts} == {GROUP}
    (stream,) = {put["logStreamName"] for put in puts}
    assert stream.startswith("Iris-1/algo-1-")
    messages = [event["message"] for put in puts for event in put["logEvents"]]
    assert messages == ["loss=0.5", "loss=0.25"]
    assert [each["Value"] for each in data] == [0.5, 0.25]
    assert data[0]["Dimensions"] == [{"Name": "TrainingJobName", "Value": "Iris-1"}]


def test_each_host_has_a_stream_from_the_start(store: Store, bucket: Bucket) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    with serving(lambda _: 0, store, bucket) as service:
        create(service, ResourceConfig=resources)
        finished(service)
        streams = [each["logStreamName"] for each in service.moto.of("CreateLogStream")]
    assert [each.rpartition("-")[0] for each in streams] == ["Iris-1/algo-1", "Iris-1/algo-2"]


def test_a_container_is_told_where_aws_is(store: Store, bucket: Bucket) -> None:
    engine = FakeEngine(trains)
    with sagemaker(workshop=workshop_of(engine, store), bucket=bucket) as service:
        create(service, Environment={"AWS_DEFAULT_REGION": "eu-west-1", "MODE": "fast"})
        finished(service)
    environment = engine.specs[0].environment
    assert environment["AWS_ENDPOINT_URL"] == "http://process:4566"
    assert environment["AWS_ACCESS_KEY_ID"] == environment["AWS_SECRET_ACCESS_KEY"] == "test"
    assert environment["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["MODE"] == "fast"
    assert environment["TRAINING_JOB_ARN"] == JOB_ARN


def test_another_region_is_told_too(store: Store, bucket: Bucket) -> None:
    engine = FakeEngine(trains)
    with sagemaker(workshop=workshop_of(engine, store), bucket=bucket) as service:
        service.call("CreateTrainingJob", region="eu-west-1", **REQUEST)
        name = {"TrainingJobName": "Iris-1"}
        service.until(
            lambda: (
                "TrainingEndTime" in service.call("DescribeTrainingJob", region="eu-west-1", **name)
            )
        )
        with pytest.raises(AwsError, match=r"Requested resource not found\."):
            describe(service)
    assert engine.specs[0].environment["AWS_REGION"] == "eu-west-1"
    assert ":eu-west-1:" in engine.specs[0].environment["TRAINING_JOB_ARN"]


@pytest.mark.parametrize("name", ["Iris-1", "IRIS-1"])
def test_a_name_can_be_taken_once(name: str, store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        create(service)
        with pytest.raises(AwsError, match=f"must be unique .* already exists .{JOB_ARN}") as used:
            create(service, TrainingJobName=name)
        finished(service)
    assert used.value.code == "ResourceInUse"


def test_a_name_that_devkit_train_has_taken_is_taken(store: Store, bucket: Bucket) -> None:
    store.claim("job", "Iris-1", {}).release(finished=True)
    with serving(trains, store, bucket) as service, pytest.raises(AwsError) as used:
        create(service)
    assert used.value.code == "ResourceInUse"


def test_a_name_is_taken_in_all_regions_as_the_folder_is_one(store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        create(service)
        finished(service)
        with pytest.raises(AwsError, match=r"exists .arn:aws:sagemaker:us-east-1:") as used:
            service.call("CreateTrainingJob", region="eu-west-1", **REQUEST)
        assert describe(service)["TrainingJobStatus"] == "Completed"
    assert used.value.code == "ResourceInUse"
    assert store.find("Iris-1", "job").model_archive.exists()


def test_an_empty_prefix_is_refused_before_anything_begins(store: Store) -> None:
    text = (
        r'No S3 objects found under S3 URL "s3://data/in/" given in input data source\. Please '
        r"ensure that the bucket exists in the selected region \(us-east-1\)"
    )
    with serving(trains, store, Bucket()) as service:
        with pytest.raises(AwsError, match=text):
            create(service, InputDataConfig=[CHANNEL])
        assert service.call("ListTrainingJobs")["TrainingJobSummaries"] == []
    assert store.entries("job") == []


def test_an_image_that_nobody_has_is_refused(store: Store, bucket: Bucket) -> None:
    algorithm = {"TrainingImage": "none:such", "TrainingInputMode": "File"}
    with serving(trains, store, bucket) as service, pytest.raises(AwsError) as refused:
        create(service, AlgorithmSpecification=algorithm)
    assert refused.value.code == "ValidationException"
    assert (
        "cannot pull none:such. Ensure that the role exists and the image was granted pull "
        "permission." in refused.value.message
    )


def test_a_build_that_fails_fails_the_job(store: Store, bucket: Bucket) -> None:
    def build() -> Image:
        raise BuildError("the build failed")

    engine = FakeEngine(trains)
    at_work = Workshop(store=lambda: store, engine=lambda: engine, build=build, tag="fake:dev")
    with sagemaker(workshop=at_work, bucket=bucket) as service:
        create(service)
        job = finished(service)
    assert job["FailureReason"] == "ClientError: the build failed"
    assert "TrainingStartTime" not in job


def test_a_fault_of_devkits_own_ends_the_job_and_says_so(store: Store, bucket: Bucket) -> None:
    def build() -> Image:
        raise ZeroDivisionError("oops")

    engine = FakeEngine(trains)
    at_work = Workshop(store=lambda: store, engine=lambda: engine, build=build, tag="fake:dev")
    with sagemaker(workshop=at_work, bucket=bucket) as service:
        create(service)
        job = finished(service)
    assert job["FailureReason"] == "InternalServerError: ZeroDivisionError: oops"


def test_a_full_disk_at_the_end_is_told_and_leaves_nothing_waiting(
    store: Store, bucket: Bucket, tmp_path: Path
) -> None:
    notes, gate = Notes(), Gate()

    def waits(_inside: Inside) -> int:
        gate.pass_through()
        return 0

    records = tmp_path / "records"
    with serving(waits, store, bucket, notes=notes, folder=records) as service:
        create(service)
        gate.reached.wait(10)
        service.shared.records.disk_is_full = True
        gate.opened.set()
    assert notes.notes[-1] == "training job Iris-1: the disk is full"
    with serving(trains, store, bucket, folder=records) as again:
        assert finished(again)["TrainingJobStatus"] in ("Completed", "Failed")


def test_artifacts_that_have_no_place_fail_the_job(store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        create(service, OutputDataConfig={"S3OutputPath": "s3://nowhere/out"})
        job = finished(service)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Artifact upload failed: s3://nowhere/out")
    assert job["FinalMetricDataList"]
    assert store.find("Iris-1", "job").model_archive.exists()


def test_unknown_jobs_are_not_found(store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        for operation in ("DescribeTrainingJob", "StopTrainingJob"):
            with pytest.raises(AwsError, match=r"^ValidationException: Requested resource not f"):
                service.call(operation, TrainingJobName="none")


def test_jobs_are_listed_by_their_status(store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        for number in range(3):
            create(service, TrainingJobName=f"job-{number}")
        for number in range(3):
            job = finished(service, f"job-{number}")
            assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
        listed = service.call("ListTrainingJobs", StatusEquals="Completed", MaxResults=2)
        none = service.call("ListTrainingJobs", StatusEquals="Failed")
    names = [each["TrainingJobName"] for each in listed["TrainingJobSummaries"]]
    assert names == ["job-0", "job-1"]
    assert listed["NextToken"]
    assert none["TrainingJobSummaries"] == []
    assert {"TrainingJobArn", "CreationTime", "TrainingEndTime"} <= set(
        listed["TrainingJobSummaries"][0]
    )


# --- the end of the endpoint, and the next one ----------------------------------------------------


def test_a_job_is_stopped_in_good_order_when_the_endpoint_ends(
    store: Store, bucket: Bucket, tmp_path: Path
) -> None:
    engine = FakeEngine(until_stopped)
    at_work = workshop_of(engine, store)
    with sagemaker(workshop=at_work, bucket=bucket, folder=tmp_path / "records") as service:
        create(service)
        service.until(lambda: describe(service)["SecondaryStatus"] == "Training")
    assert "out/Iris-1/output/model.tar.gz" in bucket.objects
    assert engine.containers[0].graces == [10.0]
    with sagemaker(workshop=at_work, bucket=bucket, folder=tmp_path / "records") as again:
        assert describe(again)["TrainingJobStatus"] == "Stopped"


def test_jobs_are_the_same_after_a_restart(store: Store, bucket: Bucket, tmp_path: Path) -> None:
    at_work = workshop_of(FakeEngine(trains), store)
    with sagemaker(workshop=at_work, bucket=bucket, folder=tmp_path / "records") as service:
        create(service, InputDataConfig=[CHANNEL])
        before = finished(service)
    with sagemaker(workshop=at_work, bucket=bucket, folder=tmp_path / "records") as again:
        assert describe(again) == before


def test_a_reset_forgets_jobs_and_frees_their_names(store: Store, bucket: Bucket) -> None:
    with serving(trains, store, bucket) as service:
        create(service)
        finished(service)
        service.wait(service.service.reset())
        assert service.call("ListTrainingJobs")["TrainingJobSummaries"] == []
        create(service)
        assert finished(service)["TrainingJobStatus"] == "Completed"


def test_a_reset_ends_what_runs(store: Store, bucket: Bucket) -> None:
    engine = FakeEngine(until_stopped)
    with sagemaker(workshop=workshop_of(engine, store), bucket=bucket) as service:
        create(service)
        service.until(lambda: describe(service)["SecondaryStatus"] == "Training")
        service.wait(service.service.reset())
        assert service.call("ListTrainingJobs")["TrainingJobSummaries"] == []
    assert engine.containers[0].removed


class Killed:
    """An endpoint that was killed while a job trained, and what it left."""

    def __init__(self, store: Store, bucket: Bucket, folder: Path) -> None:
        self.folder = folder
        self.recovered = 0
        self._store, self._bucket = store, bucket

    def next(self, **more: Any) -> Any:
        """The endpoint after it; its recovery finds the job as it is."""
        engine = FakeEngine(trains)
        at_work = Workshop(
            store=lambda: self._store,
            engine=lambda: engine,
            build=lambda: IMAGE,
            tag="fake:dev",
            recover=self._recover,
        )
        return sagemaker(workshop=at_work, bucket=self._bucket, folder=self.folder, **more)

    def _recover(self, _store: Store, _s3: object) -> None:
        self.recovered += 1


@pytest.fixture
def left(store: Store, bucket: Bucket, tmp_path: Path) -> Killed:
    """A record of a job in progress, as a killed endpoint leaves it."""
    killed = Killed(store, bucket, tmp_path / "records")
    at_work = workshop_of(FakeEngine(until_stopped), store)
    with sagemaker(workshop=at_work, bucket=bucket, folder=killed.folder) as service:
        create(service)
        service.until(lambda: describe(service)["SecondaryStatus"] == "Training")
        (path,) = killed.folder.rglob("*.json")
        as_it_was = path.read_text()
    path.write_text(as_it_was)
    bucket.objects = {key: v for key, v in bucket.objects.items() if not key.startswith("out/")}
    return killed


def test_a_job_that_recovery_has_finished_is_uploaded_and_told(
    left: Killed, bucket: Bucket
) -> None:
    with left.next() as service:
        job = finished(service)
    assert left.recovered == 1
    assert job["TrainingJobStatus"] == "Stopped"
    assert job["SecondaryStatusTransitions"][-1]["Status"] == "Stopped"
    assert "out/Iris-1/output/model.tar.gz" in bucket.objects


def test_a_bucket_that_s3_has_forgotten_is_made_again(left: Killed, bucket: Bucket) -> None:
    bucket.buckets.remove("data")
    with left.next() as service:
        finished(service)
    assert "data" in bucket.buckets
    assert "out/Iris-1/output/model.tar.gz" in bucket.objects


def test_the_bucket_of_checkpoints_that_are_not_saved_yet_is_made_again(
    left: Killed, store: Store, bucket: Bucket
) -> None:
    (path,) = left.folder.rglob("*.json")
    text = path.read_text().replace('"InProgress"', '"Failed"')
    config = '"CheckpointConfig": {"S3Uri": "s3://forgotten/c"}, "RoleArn"'
    path.write_text(text.replace('"RoleArn"', config))
    (store.find("Iris-1", "job").folder / "outcome.json").unlink()
    with left.next():
        pass
    assert "forgotten" in bucket.buckets


def test_a_job_whose_folder_is_gone_has_failed(left: Killed, store: Store) -> None:
    store.delete(store.find("Iris-1", "job"))
    with left.next() as service:
        job = finished(service)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == ("InternalServerError: devkit was killed before the job began")


def test_a_job_that_cannot_be_finished_yet_stays_as_it_is(left: Killed, store: Store) -> None:
    (store.find("Iris-1", "job").folder / "outcome.json").unlink()
    with left.next():
        pass
    assert left.recovered == 1
    (path,) = left.folder.rglob("*.json")
    assert '"TrainingJobStatus": "InProgress"' in path.read_text()


def test_a_job_is_deleted_once_it_has_ended_and_its_name_is_free(
    store: Store, bucket: Bucket
) -> None:
    gate = Gate()

    def waits(_inside: Inside) -> int:
        gate.pass_through()
        return 0

    with serving(waits, store, bucket) as service:
        create(service)
        with pytest.raises(AwsError, match=r"ResourceInUse: .* InProgress"):
            service.call("DeleteTrainingJob", TrainingJobName="Iris-1")
        gate.opened.set()
        finished(service)
        service.call("DeleteTrainingJob", TrainingJobName="Iris-1")
        with pytest.raises(AwsError, match="not found"):
            describe(service)
        assert store.find("Iris-1", "job")
        create(service)
        finished(service)


def test_ecr_knows_an_image_that_was_used(store: Store, bucket: Bucket) -> None:
    moto = Moto()
    moto.errors["CreateRepository"] = AwsError("RepositoryAlreadyExistsException", "there is one")
    notes = Notes()
    with serving(trains, store, bucket, moto=moto, notes=notes) as service:
        create(service)
        finished(service)
    (put,) = moto.of("PutImage")
    assert (put["repositoryName"], put["imageTag"]) == ("fake", "dev")
    assert notes.notes == []
