"""CreateTrainingJob at a ``devkit up``, as boto3 sees it, on both engines."""

from __future__ import annotations

import importlib.util
import io
import signal
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.integration.kit import (
    HEAD,
    TRAIN,
    TRAIN_UNTIL_STOPPED,
    Project,
    Running,
    eventually,
    model,
    outcome,
)

ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
GROUP = "/aws/sagemaker/TrainingJobs"
SOON = {"Delay": 1, "MaxAttempts": 60}

REPORTS = (
    HEAD
    + """
data = (DATA / "training" / "a.csv").read_text()
parameters = json.loads((CONFIG / "hyperparameters.json").read_text())
resources = json.loads((CONFIG / "resourceconfig.json").read_text())
for number in range(1, 4):
    say(f"epoch={number} loss={1 / number};")
say(f"{data} {parameters['eta']} {resources['current_instance_type']}")
(MODEL / "weights").write_text("42")
(OUTPUT / "data" / "report").write_text("fine")
"""
)

FAILS = HEAD + '(OUTPUT / "failure").write_text("no such column: petal")\nsys.exit(1)\n'

CALLS_S3 = (
    HEAD
    + """
import tarfile
tarfile.open(DATA / "libraries" / "libraries.tar").extractall("/tmp/" + os.environ["LIBRARIES"])
sys.path.insert(0, "/tmp/" + os.environ["LIBRARIES"])
import boto3

s3 = boto3.client("s3")
found = s3.get_object(Bucket="data", Key="in/a.csv")["Body"].read()
s3.put_object(Bucket="data", Key="from-the-job", Body=found + b"!")
say(boto3.client("sts").get_caller_identity()["Account"])
"""
)


class Aws:
    """Clients of a local AWS."""

    def __init__(self, url: str) -> None:
        self._session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )
        self._url = url
        self._clients: list[Any] = []
        self.sagemaker = self.client("sagemaker")
        self.s3 = self.client("s3")

    def client(self, service: str) -> Any:
        client = self._session.client(service, endpoint_url=self._url)
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()

    def put_data(self) -> None:
        self.s3.create_bucket(Bucket="data")
        self.s3.put_object(Bucket="data", Key="in/a.csv", Body=b"1,2")

    def create(self, project: Project, name: str, **changes: Any) -> None:
        request = {
            "TrainingJobName": name,
            "RoleArn": ROLE,
            "AlgorithmSpecification": {
                "TrainingImage": image(project),
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
            },
            "HyperParameters": {"eta": "0.1"},
            "OutputDataConfig": {"S3OutputPath": "s3://data/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.sagemaker.create_training_job(**{**request, **changes})

    def wait(self, name: str) -> Mapping[str, Any]:
        """How a job ended."""
        waiter = self.sagemaker.get_waiter("training_job_completed_or_stopped")
        waiter.wait(TrainingJobName=name, WaiterConfig=SOON)
        described: Mapping[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return described

    def wait_for_training(self, name: str) -> None:
        eventually(lambda: "training begins" in self.lines(name), lambda: self.describe(name))

    def describe(self, name: str) -> Any:
        return self.sagemaker.describe_training_job(TrainingJobName=name)

    def lines(self, name: str) -> list[str]:
        """What is in CloudWatch of a job."""
        logs = self.client("logs")
        if not logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]:
            return []
        found = []
        for stream in logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")[
            "logStreams"
        ]:
            found += logs.get_log_events(
                logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        return [event["message"] for event in found]

    def archive(self, key: str) -> dict[str, bytes]:
        content = self.s3.get_object(Bucket="data", Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = [(each.name, tar.extractfile(each)) for each in tar if each.isfile()]
            return {name: file.read() for name, file in members if file is not None}


def image(project: Project) -> str:
    """The URI that the project's image would have in ECR."""
    return f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{project.name}:dev"


def channel(name: str, prefix: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{prefix}"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


@contextmanager
def up(project: Project) -> Iterator[tuple[Aws, Running]]:
    """A ``devkit up`` for the length of the block, which may end it."""
    with project.start("up", "--port", "0") as running:
        running.wait_for("http://127.0.0.1:", "out")
        aws = Aws(project.devkit("status", "--json").succeeded().document["url"])
        try:
            yield aws, running
        finally:
            aws.close()
            if running.process.poll() is None:
                project.devkit("down").succeeded()
                running.finish()


def write(project: Project, train: str) -> None:
    project.write(config=f'[image]\ntag = "{project.name}:dev"\n', train=train)


@pytest.mark.contract("1.8-a", "1.11-c", "1.11-g")
def test_a_job_trains_and_everything_of_it_is_in_aws(project: Project) -> None:
    write(project, REPORTS)
    with up(project) as (aws, _):
        aws.put_data()
        aws.create(project, "iris-1", InputDataConfig=[channel("training", "in/")])
        job = aws.wait("iris-1")

        assert job["TrainingJobStatus"] == "Completed"
        assert [each["Status"] for each in job["SecondaryStatusTransitions"]] == [
            "Starting",
            "Downloading",
            "Training",
            "Uploading",
            "Completed",
        ]
        (metric,) = job["FinalMetricDataList"]
        assert (metric["MetricName"], round(metric["Value"], 3)) == ("loss", 0.333)
        assert aws.archive("out/iris-1/output/model.tar.gz") == {"weights": b"42"}
        assert aws.archive("out/iris-1/output/output.tar.gz") == {"report": b"fine"}
        assert aws.lines("iris-1") == [
            "epoch=1 loss=1.0;",
            "epoch=2 loss=0.5;",
            "epoch=3 loss=0.3333333333333333;",
            "1,2 0.1 ml.m5.large",
        ]
        (published,) = aws.client("cloudwatch").list_metrics(Namespace=GROUP)["Metrics"]
        assert published["Dimensions"] == [{"Name": "TrainingJobName", "Value": "iris-1"}]
        assert "epoch=1" in project.devkit("logs", "iris-1").succeeded().out
        listed = project.devkit("jobs", "--json").succeeded().document["runs"]
        assert [(each["name"], each["status"]) for each in listed] == [("iris-1", "Completed")]


@pytest.mark.usefixtures("contained")
def test_code_in_a_container_finds_the_same_s3(project: Project) -> None:
    write(project, CALLS_S3)
    with up(project) as (aws, _):
        aws.put_data()
        aws.s3.put_object(Bucket="data", Key="libraries/libraries.tar", Body=libraries())
        channels = [channel("libraries", "libraries/")]
        environment = {"LIBRARIES": project.name}
        aws.create(project, "calls", InputDataConfig=channels, Environment=environment)
        job = aws.wait("calls")
        assert job["TrainingJobStatus"] == "Completed", aws.lines("calls")
        assert aws.s3.get_object(Bucket="data", Key="from-the-job")["Body"].read() == b"1,2!"
        assert aws.lines("calls") == ["123456789012"]


@pytest.mark.contract("1.8-g", "1.10-n")
@pytest.mark.usefixtures("contained")
def test_checkpoints_and_uncompressed_artifacts_are_files_in_s3(project: Project) -> None:
    write(project, TRAIN + 'Path("/opt/ml/checkpoints/epoch-1").write_text("half")\n')
    with up(project) as (aws, _):
        aws.put_data()
        aws.create(
            project,
            "files",
            CheckpointConfig={"S3Uri": "s3://data/checkpoints"},
            OutputDataConfig={"S3OutputPath": "s3://data/out", "CompressionType": "NONE"},
        )
        job = aws.wait("files")
        assert job["ModelArtifacts"]["S3ModelArtifacts"] == "s3://data/out/files/output/model/"
        found = {
            each: aws.s3.get_object(Bucket="data", Key=each)["Body"].read()
            for each in ("out/files/output/model/weights", "checkpoints/epoch-1")
        }
        assert found == {
            "out/files/output/model/weights": b"42",
            "checkpoints/epoch-1": b"half",
        }


def test_a_failure_has_the_reason_that_the_program_gave(project: Project) -> None:
    write(project, FAILS)
    with up(project) as (aws, _):
        aws.put_data()
        aws.create(project, "fails")
        eventually(
            lambda: aws.describe("fails")["TrainingJobStatus"] == "Failed",
            lambda: aws.describe("fails"),
        )
        job = aws.describe("fails")
    assert job["FailureReason"] == "AlgorithmError: no such column: petal, exit code: 1"
    assert job["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job failed"


@pytest.mark.contract("1.10-c", "1.10-e")
def test_a_job_is_stopped_and_keeps_its_model(project: Project) -> None:
    write(project, TRAIN_UNTIL_STOPPED)
    with up(project) as (aws, _):
        aws.put_data()
        aws.create(project, "stops")
        aws.wait_for_training("stops")
        aws.sagemaker.stop_training_job(TrainingJobName="stops")
        job = aws.wait("stops")
        assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Stopped"
        assert aws.archive("out/stops/output/model.tar.gz")["weights"] == b"saved"
        assert aws.lines("stops") == ["training begins", "saving"]


def test_devkit_stop_stops_a_job_and_not_its_endpoint(process_project: Project) -> None:
    project = process_project
    write(project, TRAIN_UNTIL_STOPPED)
    with up(project) as (aws, _):
        aws.put_data()
        aws.create(project, "by-name")
        aws.wait_for_training("by-name")
        stopped = project.devkit("stop", "by-name", "--json").succeeded().document
        assert stopped == {"stopped": {"by-name": "Stopped"}}
        assert aws.wait("by-name")["TrainingJobStatus"] == "Stopped"


def test_ctrl_c_stops_jobs_in_good_order(process_project: Project) -> None:
    project = process_project
    write(project, TRAIN_UNTIL_STOPPED)
    with up(project) as (aws, running):
        aws.put_data()
        aws.create(project, "interrupted")
        aws.wait_for_training("interrupted")
        running.ctrl_c()
        running.finish().interrupted(130)
    assert outcome(project.job("interrupted"))["status"] == "Stopped"
    assert model(project.job("interrupted"))["weights"] == b"saved"


def test_a_job_that_trains_is_stopped_in_good_order_with_its_endpoint(project: Project) -> None:
    write(project, TRAIN_UNTIL_STOPPED)
    with up(project) as (aws, running):
        aws.put_data()
        aws.create(project, "down")
        aws.wait_for_training("down")
        project.devkit("down").succeeded()
        running.finish().interrupted(143)
    assert project.leftovers() == []
    assert outcome(project.job("down"))["status"] == "Stopped"
    with up(project) as (aws, _):
        job = aws.describe("down")
    assert job["TrainingJobStatus"] == "Stopped"
    assert "FailureReason" not in job


def test_a_job_whose_endpoint_was_killed_is_finished_by_the_next(project: Project) -> None:
    write(project, TRAIN_UNTIL_STOPPED)
    with up(project) as (aws, running):
        aws.put_data()
        aws.create(project, "killed", Tags=[{"Key": "team", "Value": "iris"}])
        aws.wait_for_training("killed")
        container = {"Image": image(project)}
        aws.sagemaker.create_model(
            ModelName="kept", PrimaryContainer=container, ExecutionRoleArn=ROLE
        )
        running.send(signal.SIGKILL)
        running.finish()
    with up(project) as (aws, _):
        job = aws.wait("killed")
        assert job["TrainingJobStatus"] == "Stopped"
        assert job["FailureReason"] == "devkit was killed while this ran"
        assert aws.archive("out/killed/output/model.tar.gz")["checkpoint"] == b"half way"
        tags = aws.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
        assert tags == [{"Key": "team", "Value": "iris"}]
        described = aws.sagemaker.describe_model(ModelName="kept")
        assert described["PrimaryContainer"]["Image"] == image(project)


def test_ecr_knows_the_image_that_was_built_and_gives_its_repository_away(
    process_project: Project,
) -> None:
    project = process_project
    write(project, TRAIN)
    with up(project) as (aws, _):
        project.devkit("build", "--tag", "iris:demo").succeeded()
        ecr = aws.client("ecr")
        (repository,) = ecr.describe_repositories()["repositories"]
        assert repository["repositoryName"] == "iris"
        project.devkit("build", "--tag", "iris:v2").succeeded()
        ecr.create_repository(repositoryName="iris", imageTagMutability="MUTABLE")
        images = ecr.describe_images(repositoryName="iris")["imageDetails"]
        assert sorted(tag for each in images for tag in each["imageTags"]) == ["demo", "v2"]


def test_jobs_are_listed_page_by_page(project: Project) -> None:
    write(project, TRAIN)
    names = [f"job-{number}" for number in range(3)]
    with up(project) as (aws, _):
        aws.put_data()
        for name in names:
            aws.create(project, name)
        for name in names:
            aws.wait(name)
        pages = aws.sagemaker.get_paginator("list_training_jobs").paginate(
            StatusEquals="Completed", PaginationConfig={"PageSize": 2}
        )
        shown = [[each["TrainingJobName"] for each in p["TrainingJobSummaries"]] for p in pages]
    assert shown == [["job-0", "job-1"], ["job-2"]]


def test_what_sagemaker_refuses_is_refused_at_once(process_project: Project) -> None:
    project = process_project
    write(project, TRAIN)
    with up(project) as (aws, _):
        aws.put_data()

        def refused(**changes: Any) -> str:
            with pytest.raises(aws.sagemaker.exceptions.ClientError) as error:
                aws.create(project, changes.pop("name", "refused"), **changes)
            response = error.value.response["Error"]
            return f"{response['Code']}: {response['Message']}"

        algorithm = {"TrainingImage": "python:3.11", "TrainingInputMode": "File"}
        assert "cannot pull python:3.11." in refused(AlgorithmSpecification=algorithm)
        empty = [channel("training", "nothing/")]
        assert 'No S3 objects found under S3 URL "s3://data/nothing/"' in refused(
            InputDataConfig=empty
        )
        assert "failed to satisfy constraint" in refused(name="under_score")
        several = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
        assert "runs one host" in refused(ResourceConfig=several)
        aws.create(project, "taken")
        aws.wait("taken")
        assert refused(name="taken").startswith("ResourceInUse: Training job names must be unique")
        listed = aws.sagemaker.list_training_jobs()["TrainingJobSummaries"]
        assert [each["TrainingJobName"] for each in listed] == ["taken"]


def libraries() -> bytes:
    """boto3 with what it needs for S3 and STS, as a tar archive: no registry is asked."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3"):
            tar.add(_place(name).parent, arcname=name, filter=_is_needed)
        tar.add(_place("six"), arcname="six.py")
    return buffer.getvalue()


def _place(module: str) -> Path:
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)


def _is_needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts: Sequence[str] = Path(member.name).parts
    if "__pycache__" in parts or "examples" in parts:
        return None
    of_a_service = parts[:2] == ("botocore", "data") and len(parts) > 2
    if of_a_service and "." not in parts[2] and parts[2] not in ("s3", "sts"):
        return None
    return member
