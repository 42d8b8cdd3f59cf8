"""The SageMaker SDK's own local mode, version 2 or 3, as clients of SageMaker's API."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from devkit.local_aws.state import Endpoint, State
from devkit.targets.aws import local_aws_clients
from devkit.targets.sdk.clients import Said, SdkClients
from devkit.targets.sdk.process import NoAnswer
from tests.integration.conftest import _interruptible, cache, docker_engine, project  # noqa: F401
from tests.integration.kit import (
    HEAD,
    SERVE,
    SERVER,
    TRAIN,
    TRAIN_UNTIL_STOPPED,
    Project,
    require_docker,
)
from tests.sdk.kit import Contacts, make_iris
from tests.sdk.local_mode import LocalMode, drivers, eventually, require_local_mode, sessions

pytestmark = pytest.mark.docker

LOCAL = {"127.0.0.1", "localhost", "::1"}
IN_TIME_S = 4.0
"""The SDK itself looks after an endpoint every 5 s."""

Open = Callable[[], LocalMode]
Made = Callable[..., LocalMode]


@pytest.fixture(autouse=True, scope="module")
def _local_mode() -> None:
    require_local_mode()


@pytest.fixture
def engine(docker_engine: docker.APIClient | str) -> str:  # noqa: F811 - the fixture
    """Local mode runs containers."""
    require_docker(docker_engine)
    return "docker"


@pytest.fixture
def opened(project: Project) -> Iterator[Open]:  # noqa: F811 - the fixture
    """Opens local mode for a project, each time it is called; all is closed after the test."""
    if not (project.root / "devkit.toml").exists():
        project.configure("")
    with ExitStack() as stack:

        def opened() -> LocalMode:
            endpoint = State(project.root).endpoint() or up(project)
            said: list[tuple[float, Said]] = []
            clients = SdkClients(
                project.root,
                local_aws_clients(endpoint.url),
                endpoint,
                {**project.environment, "MARKER": project.name},
                on_line=lambda line: said.append((time.monotonic(), line)),
            )
            return LocalMode(project, stack.enter_context(clients), said, endpoint)

        yield opened
    project.devkit("down").succeeded()
    assert sessions(project) == []


def up(project: Project) -> Endpoint:  # noqa: F811 - the fixture
    """Start the project's local AWS."""
    project.devkit("up", "--detach", "--port", "0").succeeded()
    endpoint = State(project.root).endpoint()
    assert endpoint is not None
    return endpoint


@pytest.fixture
def made(project: Project, opened: Open) -> Made:  # noqa: F811 - the fixture
    """Opens local mode for a project with these programs, with its image built."""

    def made(**programs: str) -> LocalMode:
        project.write(**programs)
        project.devkit("build", "--tag", f"{project.name}:dev").succeeded()
        return opened()

    return made


# --- what it is for ---------------------------------------------------------------------------


def test_the_example_trains_is_deployed_and_answers(
    project: Project,  # noqa: F811 - the fixture
    opened: Open,
    tmp_path: Path,
) -> None:
    contacts = Contacts(project, tmp_path / "contacts")
    make_iris(project)
    local = opened()
    local.image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/iris:dev"
    data = project.root / "examples" / "iris" / "data" / "iris.csv"
    local.begin("train", InputDataConfig=[channel(local, data)], HyperParameters={"eta": "0.05"})

    job = local.ended("train")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert local.model(job, tmp_path)
    lines = local.lines("train")
    assert lines[-1].startswith("accuracy=")
    assert local.log("train") == lines
    local.deploy("serve", job["ModelArtifacts"]["S3ModelArtifacts"])
    assert local.settled("serve")["EndpointStatus"] == "InService"
    answer = local.call(
        "InvokeEndpoint",
        EndpointName="serve",
        ContentType="application/json",
        Body=b'{"petal_length": 0.4, "petal_width": 1.4}',
    )
    assert answer["Body"] == b'{"category": "Iris-Setosa"}'
    assert answer["ContentType"] == "application/json"

    local.call("DeleteEndpoint", EndpointName="serve")
    local.call("DeleteEndpointConfig", EndpointConfigName="serve")
    local.call("DeleteModel", ModelName="serve")
    assert local.refused("DescribeEndpoint", EndpointName="serve").code == "ValidationException"
    assert project.containers() + project.networks() == []
    assert contacts.hosts - {bridge_of(local)} <= LOCAL


# Version 5 is not to be had everywhere: version 1 does its work, which has the same commands.
DOCKER_WITH_COMPOSE_5 = """#!/bin/sh
if [ "$1" = compose ]; then
    shift
    if [ "$1" = version ]; then echo 5.0.1; exit; fi
    exec {compose} "$@"
fi
exec {docker} "$@"
"""


def test_compose_is_found_whatever_its_version(
    project: Project,  # noqa: F811 - the fixture
    made: Made,
    tmp_path: Path,
) -> None:
    compose, program = shutil.which("docker-compose"), shutil.which("docker")
    if compose is None:
        pytest.skip("docker-compose does the work here, and is not installed")
    (tmp_path / "docker").write_text(DOCKER_WITH_COMPOSE_5.format(compose=compose, docker=program))
    (tmp_path / "docker").chmod(0o755)
    project.environment["PATH"] = f"{tmp_path}{os.pathsep}{Path(str(program)).parent}"
    local = made(train=TRAIN)
    local.begin("five")

    assert local.ended("five")["TrainingJobStatus"] == "Completed"


def channel(local: LocalMode, file: Path) -> dict[str, object]:
    """The channel of a file that is put into S3."""
    local.clients.call("s3", "CreateBucket", {"Bucket": "iris"})
    local.clients.call(
        "s3", "PutObject", {"Bucket": "iris", "Key": f"data/{file.name}", "Body": file.read_bytes()}
    )
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://iris/data/"}
    return {"ChannelName": "training", "DataSource": {"S3DataSource": source}}


def bridge_of(local: LocalMode) -> str:
    """Where containers reach the local AWS; devkit listens there."""
    return local.endpoint.container_url.rpartition(":")[0].removeprefix("http://")


# --- training ---------------------------------------------------------------------------------

FAILS = HEAD + (
    "for number in range(5000):\n    print(number)\n"
    '(OUTPUT / "failure").write_text("no petals")\n'
    'sys.stderr.write("the last words\\n")\nsys.exit(3)\n'
)

TELLS = (
    HEAD
    + """
import urllib.request
url = os.environ["AWS_ENDPOINT_URL"]
(MODEL / "status").write_text(str(urllib.request.urlopen(url + "/_devkit/status").status))
(MODEL / "environment").write_text(json.dumps(dict(os.environ)))
(MODEL / "data").write_text((DATA / "training" / "one").read_text())
print("loss=0.5\\nloss=0.25")
"""
)


def test_a_failed_job_has_its_reason_and_all_its_lines(made: Made) -> None:
    local = made(train=FAILS)
    local.begin("fails")

    job = local.ended("fails")

    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no petals, exit code: 3"
    assert local.lines("fails") == [*map(str, range(5000)), "the last words"]
    assert local.log("fails") == local.lines("fails")


def test_a_job_sees_its_data_the_local_aws_and_its_environment(made: Made, tmp_path: Path) -> None:
    local = made(train=TELLS)
    local.begin("tells", Environment={"PRICE": "5$ for $HOME", "AWS_REGION": "eu-west-1"})

    job = local.ended("tells")

    model = local.model(job, tmp_path)
    assert (model["data"], model["status"]) == (b"1", b"200")
    environment = model["environment"].decode()
    assert '"PRICE": "5$ for $HOME"' in environment
    assert '"AWS_REGION": "eu-west-1"' in environment
    (loss,) = job["FinalMetricDataList"]
    assert (loss["MetricName"], loss["Value"]) == ("loss", 0.25)


def test_a_stopped_job_keeps_what_it_saves(made: Made, tmp_path: Path) -> None:
    local = made(train=TRAIN_UNTIL_STOPPED)
    local.begin("stopped")
    local.until_said("training begins")

    local.call("StopTrainingJob", TrainingJobName="stopped")
    job = local.ended("stopped")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert local.model(job, tmp_path) == {"checkpoint": b"half way", "weights": b"saved"}
    assert local.lines("stopped") == ["training begins", "saving"]
    assert "is in status Stopped" in str(
        local.refused("StopTrainingJob", TrainingJobName="stopped")
    )


def test_a_job_is_stopped_when_its_time_is_up(made: Made) -> None:
    local = made(train=TRAIN_UNTIL_STOPPED)
    local.begin("long", StoppingCondition={"MaxRuntimeInSeconds": 3})

    job = local.ended("long")

    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_the_lines_of_several_hosts_are_told_apart(made: Made) -> None:
    local = made(
        train=HEAD + 'say(json.loads((CONFIG / "resourceconfig.json").read_text())["current_host"])'
    )
    local.begin(
        "two",
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
    )

    assert local.ended("two")["TrainingJobStatus"] == "Completed"
    heard = {said.host: said.text for _, said in local.said if said.by == "job"}
    assert sorted(heard) == ["algo-1", "algo-2"]
    assert all(text.startswith(host) for host, text in heard.items())


def test_an_image_that_is_not_here_is_not_fetched(opened: Open) -> None:
    local = opened()
    local.image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/nobody/has-this:1"

    specification = {"TrainingImage": local.image, "TrainingInputMode": "File"}
    refused = local.refused(
        "CreateTrainingJob",
        TrainingJobName="none",
        AlgorithmSpecification=specification,
        ResourceConfig={"InstanceType": "t", "InstanceCount": 1},
        OutputDataConfig={"S3OutputPath": "s3://data/out"},
    )

    assert "nothing is pulled" in refused.message


# --- hosting ----------------------------------------------------------------------------------

THINKS = HEAD + (
    'signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nsay("thinking")\nwait_for_ever()\n'
)
BREAKS = SERVER + 'say("no model here")\nsys.exit(7)\n'


def test_two_endpoints_are_up_at_once_each_as_soon_as_it_answers(made: Made) -> None:
    local = made(train=TRAIN, serve=SERVE)
    for name in ("one", "two"):
        local.deploy(name)
        assert local.settled(name)["EndpointStatus"] == "InService"
        in_service = time.monotonic()
        listening = next(at for at, said in local.said if said.name == name)
        assert in_service - listening < IN_TIME_S

    assert local.ask("one", b"first") == b"first"
    assert local.ask("two", b"second") == b"second"

    local.call("DeleteEndpoint", EndpointName="one")
    assert local.refused("InvokeEndpoint", EndpointName="one", Body=b"").code == "ValidationError"
    assert local.ask("two", b"still") == b"still"


def test_an_endpoint_that_does_not_come_up_says_why(made: Made) -> None:
    local = made(train=TRAIN, serve=BREAKS)
    local.deploy("breaks")

    endpoint = local.settled("breaks")

    assert endpoint["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert "exited with code 7" in endpoint["FailureReason"]
    assert local.lines("breaks") == ["no model here"]
    assert local.project.containers() == []
    local.call("DeleteEndpoint", EndpointName="breaks")


def test_one_that_is_deleted_while_it_starts_is_gone(made: Made) -> None:
    local = made(train=TRAIN, serve=THINKS)
    local.deploy("slow")
    local.until_said("thinking")

    local.call("DeleteEndpoint", EndpointName="slow")

    assert local.project.containers() == []
    assert local.refused("DescribeEndpoint", EndpointName="slow").code == "ValidationException"


# --- nothing is left --------------------------------------------------------------------------


def test_what_runs_at_the_end_is_stopped_and_removed(made: Made) -> None:
    local = made(train=TRAIN_UNTIL_STOPPED, serve=SERVE)
    local.begin("left")
    local.deploy("left")
    assert local.settled("left")["EndpointStatus"] == "InService"
    local.until_said("training begins")

    local.clients.__exit__(None, None, None)

    assert local.project.containers() + local.project.networks() == []
    assert sessions(local.project) == []
    assert local.lines("left")[-1] == "saving"


def test_a_driver_that_is_killed_leaves_nothing_that_runs(made: Made) -> None:
    local = made(train=TRAIN_UNTIL_STOPPED)
    local.begin("lost")
    local.until_said("training begins")

    os.kill(min(drivers(local.project)), signal.SIGKILL)

    with pytest.raises(NoAnswer, match="exit code -9"):
        local.ended("lost")
    eventually(lambda: not local.project.containers(), local.project.leftovers)
    eventually(lambda: not local.project.networks(), local.project.leftovers)
    made(train=TRAIN)
    assert len(sessions(local.project)) == 1


def test_what_a_kill_of_everything_leaves_is_swept_by_the_next_use(made: Made) -> None:
    local = made(train=TRAIN_UNTIL_STOPPED)
    local.begin("lost")
    local.until_said("training begins")
    for process in drivers(local.project):
        os.kill(process, signal.SIGKILL)
    (left,) = local.project.containers()

    other = made(train=TRAIN)

    other.begin("next")
    assert other.ended("next")["TrainingJobStatus"] == "Completed"
    assert left not in other.project.containers()
    assert other.project.networks() == []
    assert len(sessions(other.project)) == 1


def test_sessions_side_by_side_leave_each_other_alone(made: Made) -> None:
    first = made(train=TRAIN, serve=SERVE)
    first.deploy("first")
    assert first.settled("first")["EndpointStatus"] == "InService"

    second = made(train=TRAIN, serve=SERVE)
    second.deploy("first")
    assert second.settled("first")["EndpointStatus"] == "InService"
    second.clients.__exit__(None, None, None)

    assert first.ask("first", b"here") == b"here"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_interrupted_leaves_nothing(
    project: Project,  # noqa: F811 - the fixture
    signum: int,
    code: int,
) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)

    with project.start("train", "--target", "sagemaker-local") as training:
        training.wait_for("│ training begins")
        training.send(signum)
        training.finish().interrupted(code)

    assert project.leftovers() == []
    assert sessions(project) == []


def test_a_command_that_is_killed_leaves_nothing_that_runs(
    project: Project,  # noqa: F811 - the fixture
) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)

    with project.start("train", "--target", "sagemaker-local") as training:
        training.wait_for("│ training begins")
        training.process.kill()
        training.finish()

    eventually(lambda: not project.leftovers(), project.leftovers)
    assert sessions(project) == []
