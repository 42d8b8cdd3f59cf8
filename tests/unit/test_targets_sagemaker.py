"""The target that speaks SageMaker's API, over a cloud in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from devkit.channels.locations import S3Uri
from devkit.channels.plan import ChannelPlan
from devkit.engines.base import Image
from devkit.errors import ConfigError, ServingFailed, TrainingFailed
from devkit.job import CheckpointPlan, Phase, ServeSpec, TrainingJob
from devkit.targets.clients import CallFailed
from devkit.targets.ledger import Ledger
from devkit.targets.requests import Cloud
from devkit.targets.sagemaker import SageMakerTarget
from devkit.targets.teardown import Teardown
from tests.unit.cloud_fakes import FakeCloud
from tests.unit.fakes import Notes

ROLE = "arn:aws:iam::123456789012:role/devkit-iris"
IMAGE = Image(reference="123456789012.dkr.ecr.us-east-1.amazonaws.com/iris:dev", id="x")


def target(cloud: FakeCloud, folder: Path, observer: Notes | None = None) -> SageMakerTarget:
    return SageMakerTarget(
        name="aws",
        clients=cloud,
        cloud=Cloud(role_arn=ROLE, bucket="data", prefix="iris/"),
        ledger=Ledger(folder / "ledger.jsonl"),
        observer=observer or Notes(),
        uri=IMAGE.reference,
        publish=lambda _build: IMAGE.reference,
        with_logs=False,
        sleep=lambda _s: None,
    )


def job(folder: Path) -> TrainingJob:
    (folder / "flowers").mkdir(exist_ok=True)
    (folder / "flowers" / "a.csv").write_text("1,2")
    channel = ChannelPlan(name="training", location=folder / "flowers")
    return TrainingJob(name="job-1", image=IMAGE, channels=(channel,))


def server(folder: Path) -> ServeSpec:
    (folder / "model.tar.gz").write_bytes(b"a model")
    return ServeSpec(name="iris-1", image=IMAGE, model=folder / "model.tar.gz")


def test_a_local_channel_is_uploaded_once_and_named_by_its_content(tmp_path: Path) -> None:
    cloud = FakeCloud()
    tried = target(cloud, tmp_path)

    tried.train(job(tmp_path))
    tried.train(job(tmp_path))

    assert cloud.calls.count("upload") == 1
    request = cloud.made["training-job", "job-1"]
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert cloud.objects[f"{source}a.csv"] == b"1,2"
    assert source.startswith("s3://data/iris/data/training/")


def test_an_edited_channel_is_uploaded_to_another_place(tmp_path: Path) -> None:
    cloud = FakeCloud()
    tried, asked = target(cloud, tmp_path), job(tmp_path)

    tried.train(asked)
    (tmp_path / "flowers" / "a.csv").write_text("1,3")
    tried.train(asked)

    assert sorted(cloud.objects.values()) == [b"", b"", b"1,2", b"1,3"]


def test_a_job_ends_with_its_model_and_metrics(tmp_path: Path) -> None:
    done = {
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://data/iris/jobs/job-1/output/model.tar.gz"},
        "FinalMetricDataList": [{"MetricName": "loss", "Value": 0.5}],
    }
    observer = Notes()

    trained = target(FakeCloud(job=done), tmp_path, observer).train(job(tmp_path))

    assert trained.model == S3Uri("data", "iris/jobs/job-1/output/model.tar.gz")
    assert trained.metrics == {"loss": 0.5}
    assert trained.summary() == "job-1 Completed loss=0.5"
    assert Phase.TRAINING in observer.phases


def test_a_failed_job_is_an_error_with_its_reason(tmp_path: Path) -> None:
    failed = {
        "TrainingJobStatus": "Failed",
        "SecondaryStatus": "Failed",
        "FailureReason": "AlgorithmError: no flowers",
    }

    with pytest.raises(TrainingFailed, match="AlgorithmError: no flowers"):
        target(FakeCloud(job=failed), tmp_path).train(job(tmp_path))

    assert Ledger(tmp_path / "ledger.jsonl").resources() != []  # the data stays until it is torn


def test_what_only_this_machine_can_do_is_refused(tmp_path: Path) -> None:
    checkpoints = CheckpointPlan(location=tmp_path / "checkpoints")
    for refused in (
        TrainingJob(name="a", image=IMAGE, interrupt_after_s=(1.0,)),
        TrainingJob(name="a", image=IMAGE, checkpoints=checkpoints),
    ):
        with pytest.raises(ConfigError):
            target(FakeCloud(), tmp_path).train(refused)


def test_a_deployment_answers_and_leaves_nothing_that_runs(tmp_path: Path) -> None:
    cloud = FakeCloud()
    tried = target(cloud, tmp_path)

    with tried.deploy(server(tmp_path)) as deployed:
        assert deployed.invoke({"x": 1}) == {"said": 1}

    assert cloud.made == {}
    assert [each.kind for each in tried.ledger.resources()] == ["object"]


def test_an_endpoint_that_does_not_come_up_is_told_and_deleted(tmp_path: Path) -> None:
    reason = "The primary container did not pass the ping health check."
    cloud = FakeCloud(endpoint={"EndpointStatus": "Failed", "FailureReason": reason})

    with (
        pytest.raises(ServingFailed, match="ping health check"),
        target(cloud, tmp_path).deploy(server(tmp_path)),
    ):
        pass

    assert cloud.made == {}


def test_a_role_that_iam_does_not_tell_of_yet_is_waited_for(tmp_path: Path) -> None:
    cloud = FakeCloud()
    failures = iter([True, True, False])

    def not_yet(_number: int, operation: str) -> None:
        if operation == "CreateTrainingJob" and next(failures):
            raise CallFailed(operation, "ValidationException", f"Could not assume role {ROLE}.")

    cloud.before = not_yet

    target(cloud, tmp_path).train(job(tmp_path))

    assert cloud.calls.count("CreateTrainingJob") == 3


def _fail_at(failing: int) -> Callable[[int, str], None]:
    def fail(number: int, operation: str) -> None:
        if number == failing:
            raise CallFailed(operation, None, "the connection broke")

    return fail


@pytest.mark.parametrize("carried_out", [False, True])
def test_whatever_call_fails_nothing_is_forgotten(tmp_path: Path, *, carried_out: bool) -> None:
    """Shown for each call of a deployment in turn, before and after it had its effect."""
    whole = FakeCloud()
    target(whole, tmp_path / "whole").create(server(tmp_path))

    for failing in range(len(whole.calls)):
        cloud = FakeCloud()
        tried = target(cloud, tmp_path / f"{failing}")
        if carried_out:
            cloud.after = _fail_at(failing)
        else:
            cloud.before = _fail_at(failing)
        if whole.calls[failing] == "HeadObject":  # then it is uploaded once more
            tried.create(server(tmp_path))
        else:
            with pytest.raises(CallFailed):
                tried.create(server(tmp_path))
        cloud.before = cloud.after = lambda _number, _operation: None

        teardown = Teardown(cloud, tried.ledger, sleep=lambda _s: None)
        assert teardown.delete(tried.ledger.resources()) == []

        assert cloud.made == {}, whole.calls[failing]
        assert cloud.objects == {}, whole.calls[failing]
        assert tried.ledger.resources() == []
