"""``--target aws``, with devkit's own local AWS in AWS's place: real containers, and no account."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from devkit.channels.locations import S3Uri
from devkit.engines.base import Image
from devkit.job import ServeSpec
from devkit.progress import Silent
from devkit.targets.aws import local_aws_clients
from devkit.targets.clients import CallFailed, Clients
from devkit.targets.ledger import Ledger
from devkit.targets.requests import Cloud
from devkit.targets.sagemaker import SageMakerTarget
from devkit.targets.teardown import Teardown
from tests.integration.kit import HEAD, SERVER, Project, Running, eventually

ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
TRAIN = (
    HEAD
    + """
hyperparameters = json.loads((CONFIG / "hyperparameters.json").read_text())
say("loss=0.25")
say("read " + (DATA / "training" / "flowers.csv").read_text())
if hyperparameters.get("fail") == "yes":
    say("no such column")
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / "failure").write_text("the column is gone")
    sys.exit(3)
if hyperparameters.get("wait") == "yes":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    say("waiting")
    wait_for_ever()
(MODEL / "weights").write_text("42")
"""
)
SERVE = SERVER + (
    "class Weighing(Handler):\n"
    "    def do_POST(self):\n"
    '        self.rfile.read(int(self.headers["Content-Length"]))\n'
    '        self.answer(b\'{"weights": \' + (MODEL / "weights").read_bytes() + b"}", '
    '"application/json")\n'
    "serve(Weighing)\n"
)
CONFIG = """
[image]
tag = "{name}:dev"
[train]
channels = {{ training = "data" }}
metrics = [{{ name = "loss", regex = "loss=(.*)" }}]
[invoke]
data = "[1]"
[aws]
role = "SageMakerExecutionRole"
bucket = "cloud-data"
"""


@dataclass
class Account:
    """An account: a local AWS that is up, and commands that take it for AWS."""

    project: Project
    running: Running
    url: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What names it, as a user's own would name AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "DEVKIT_TARGET": "aws",
        }

    def devkit(self, *arguments: str) -> Any:
        return self.project.devkit(*arguments, environment=self.environment)

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def leftovers(self) -> list[str]:
        """What there is that runs, or is kept for it."""
        sagemaker = self.client("sagemaker")
        return [
            *(each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]),
            *(
                each["EndpointConfigName"]
                for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]
            ),
            *(each["ModelName"] for each in sagemaker.list_models()["Models"]),
        ]


@contextmanager
def account(project: Project) -> Iterator[Account]:
    data = project.root / "data"
    data.mkdir()
    (data / "flowers.csv").write_text("1,2")
    project.write(train=TRAIN, serve=SERVE, config=CONFIG.format(name=project.name))
    with project.start("up", "--port", "0", "--json") as running:
        running.wait_for("\n", stream="out")
        url = json.loads(running._text["out"])["url"]
        found = Account(project, running, url)
        found.client("s3").create_bucket(Bucket="cloud-data")
        yield found
        running.send(signal.SIGTERM)
        running.finish()


@pytest.fixture
def aws(project: Project) -> Iterator[Account]:
    with account(project) as found:
        yield found


@pytest.fixture
def process_aws(process_project: Project) -> Iterator[Account]:
    with account(process_project) as found:
        yield found


def test_the_flag_is_the_only_difference(aws: Account) -> None:
    here = aws.project.devkit("run", "--target", "local").succeeded()
    there = aws.devkit("run", "--target", "aws").succeeded()

    assert here.out == there.out == '{"weights": 42}\n'
    assert "loss=0.25" in there.err
    assert aws.leftovers() == []


def test_a_job_is_trained_and_its_model_deployed_asked_and_deleted(aws: Account) -> None:
    trained = aws.devkit("train", "--json").succeeded().document

    assert trained["status"] == "Completed"
    assert trained["metrics"] == {"loss": 0.25}
    assert trained["model"].startswith("s3://cloud-data/")
    assert "read 1,2" in aws.devkit("logs", trained["job"]).succeeded().out

    name = aws.devkit("deploy", "--model", trained["model"], "--name", "mine").succeeded().out
    assert name.strip() == "mine"
    assert aws.devkit("invoke").succeeded().out == '{"weights": 42}\n'
    assert "endpoint        mine on 1 x ml.m5.xlarge" in aws.devkit("status").succeeded().out
    assert "listening" in aws.devkit("logs", "mine").succeeded().out

    deleted = aws.devkit("down", "--json").succeeded().document
    assert deleted["left"] == []
    assert [each["kind"] for each in deleted["deleted"]] == [
        "endpoint",
        "endpoint-config",
        "model",
        "object",
    ]
    assert aws.leftovers() == []
    assert aws.devkit("down").succeeded().out == "nothing to delete\n"


def test_a_failed_job_says_why(process_aws: Account) -> None:
    done = process_aws.devkit("train", "--hyperparameter", "fail=yes")

    done.failed(5, "the column is gone", "no such column")


def test_a_dry_run_shows_all_and_makes_nothing(process_aws: Account) -> None:
    plan = process_aws.devkit("run", "--dry-run", "--json").succeeded().document

    assert [step["operation"] for step in plan["steps"]] == [
        "PutObject",
        "CreateTrainingJob",
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
    ]
    assert (plan["account"], plan["role"]) == ("123456789012", ROLE)
    assert process_aws.client("s3").list_objects_v2(Bucket="cloud-data")["KeyCount"] == 0
    assert not (process_aws.project.store / "cloud").exists()


def test_ctrl_c_stops_the_job(process_aws: Account) -> None:
    project = process_aws.project
    project.environment.update(process_aws.environment)
    with project.start("train", "--hyperparameter", "wait=yes") as running:
        running.wait_for("waiting")
        running.ctrl_c()
        running.finish().interrupted()

    (job,) = process_aws.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    assert job["TrainingJobStatus"] == "Stopped"
    assert "training-job" not in process_aws.devkit("status").succeeded().out


def test_what_a_killed_devkit_made_is_deleted_later(process_aws: Account) -> None:
    project = process_aws.project
    model = process_aws.devkit("train", "--json").succeeded().document["model"]
    project.environment.update(process_aws.environment)
    with project.start("serve", "--model", model, "--name", "killed") as running:
        running.wait_for("killed", stream="out")
        running.send(signal.SIGKILL)
        running.finish()
    assert process_aws.leftovers() == ["killed", "killed", "killed"]

    process_aws.devkit("down").succeeded()

    assert process_aws.leftovers() == []


def test_whoever_said_for_how_long_hears_of_it(process_aws: Account) -> None:
    model = process_aws.devkit("train", "--json").succeeded().document["model"]
    process_aws.devkit("deploy", "--model", model, "--ttl", "0s").succeeded()

    said = process_aws.devkit("jobs").succeeded().err

    assert "was to be deleted by now" in said
    assert "devkit down --target aws" in said
    process_aws.devkit("down").succeeded()


def test_what_there_is_not_is_named(process_aws: Account) -> None:
    process_aws.devkit("logs", "nothing").failed(10, "no training job and no endpoint nothing")
    process_aws.devkit("invoke").failed(10, "no endpoint")
    process_aws.project.devkit("deploy").failed(2, "--target")


class Breaking:
    """Clients whose connection breaks at one call, before it is made or after it was answered."""

    def __init__(self, clients: Clients, failing: int, *, carried_out: bool) -> None:
        self._clients = clients
        self._failing = failing
        self._carried_out = carried_out
        self.calls = 0
        self.region, self.account = clients.region, clients.account

    def call(
        self, service: str, operation: str, parameters: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if not self._breaks():
            return self._clients.call(service, operation, parameters)
        if self._carried_out:
            self._clients.call(service, operation, parameters)
        raise CallFailed(operation, None, "the connection broke")

    def upload(self, source: Path, place: S3Uri) -> None:
        breaks = self._breaks()
        if not breaks or self._carried_out:
            self._clients.upload(source, place)
        if breaks:
            raise CallFailed("upload", None, "the connection broke")

    def download(self, place: S3Uri, target: Path) -> None:
        self._clients.download(place, target)

    def _breaks(self) -> bool:
        self.calls += 1
        return self.calls == self._failing


def test_whatever_call_of_a_deployment_fails_down_leaves_nothing(
    process_aws: Account, tmp_path: Path
) -> None:
    process_aws.project.devkit("train", "--target", "local").succeeded()
    (job,) = (process_aws.project.store / "jobs").iterdir()
    image = Image(reference=f"{process_aws.project.name}:dev", id="")
    spec = ServeSpec(name="broken", image=image, model=job / "output" / "model.tar.gz")
    clients = local_aws_clients(process_aws.url)

    failing, deployed = 0, False
    while not deployed:
        failing += 1
        for carried_out in (False, True):
            ledger = Ledger(tmp_path / f"{failing}-{carried_out}")
            broken = Breaking(clients, failing, carried_out=carried_out)
            target = SageMakerTarget(
                name="aws",
                clients=broken,
                cloud=Cloud(role_arn=ROLE, bucket="cloud-data"),
                ledger=ledger,
                observer=Silent(),
                uri=image.reference,
                publish=lambda _build: "",
                poll_s=0.05,
                with_logs=False,
            )
            try:
                target.create(spec)
                deployed = broken.calls < failing
            except CallFailed:
                deployed = False
            left = Teardown(clients, ledger, poll_s=0.05).delete(ledger.resources())
            assert left == [], failing
            assert process_aws.leftovers() == [], failing
            assert ledger.resources() == []
    s3 = process_aws.client("s3")
    assert s3.list_objects_v2(Bucket="cloud-data", Prefix="data/").get("Contents", []) == []
    assert failing > 5
    eventually(lambda: process_aws.leftovers() == [], "something is left")
