"""Endpoints: their life from Creating to gone, with containers of a fake engine behind them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from devkit.job import Status
from devkit.local_aws.errors import AwsError
from devkit.local_aws.sagemaker.endpoint_runs import instance_id, resolved, run_name
from devkit.local_aws.sagemaker.records import Records
from devkit.store import Store
from tests.unit.fakes import IMAGE, FakeContainer, Inside
from tests.unit.hosting_support import IMAGE_URI, Aws, Machines, until_stopped
from tests.unit.sagemaker_fakes import ARN
from tests.unit.test_front_support import Request, container, echo
from tests.unit.test_sagemaker_runtime import saying


@pytest.fixture
def port() -> Iterator[int]:
    """Where containers answer: with what they are sent."""
    with container(echo) as address:
        yield address.port


@pytest.fixture
def ports() -> Iterator[Callable[[str], int]]:
    """Where a container answers with a text."""
    with ExitStack() as stack:
        yield lambda text: stack.enter_context(container(saying(text))).port


@pytest.fixture
def aws(store: Store, port: int, ports: Callable[[str], int]) -> Iterator[Aws]:  # noqa: ARG001
    """SageMaker, which ends before those containers do."""
    aws = Aws(store, Machines())
    with aws.up():
        yield aws
    assert aws.engine.containers == [each for each in aws.engine.containers if each.removed]


def refused(call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(AwsError) as error:
        call(**parameters)
    assert error.value.code == "ValidationException"
    return error.value.message


def test_an_endpoint_comes_into_service_and_answers(aws: Aws, port: int) -> None:  # 2.14
    made = aws.CreateEndpoint(
        EndpointName="Demo", EndpointConfigName=aws.configure("c", at={"blue": port})
    )
    assert made == {"EndpointArn": f"{ARN}endpoint/demo"}
    described = aws.settled("Demo")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "c"
    (variant,) = described["ProductionVariants"]
    (image,) = variant.pop("DeployedImages")
    assert image["SpecifiedImage"] == IMAGE_URI
    assert variant == {
        "VariantName": "blue",
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 1,
        "DesiredInstanceCount": 1,
    }
    got = aws.invoke("Demo", b"[1]")
    assert (got.status, got.body) == (200, b"[1]")
    assert got.headers["x-Amzn-Invoked-Production-Variant"] == "blue"


def test_a_container_is_told_where_aws_is_by_its_environment_alone(aws: Aws, port: int) -> None:
    aws.create("demo", aws.configure("c", at={"blue": port}))
    (spec,) = aws.engine.specs
    assert spec.command == ("serve",)
    assert spec.environment["AWS_ENDPOINT_URL"] == "http://docker.example"
    assert spec.environment["AT"] == str(port)


def test_lines_of_containers_are_in_cloudwatch_and_in_the_store(  # contract 2.13
    aws: Aws, port: int
) -> None:
    aws.create("demo", aws.configure("c", at={"blue": port}))
    (sent,) = aws.backend.wait_for("PutLogEvents")
    assert sent["logGroupName"] == "/aws/sagemaker/Endpoints/demo"
    assert sent["logStreamName"].startswith("blue/i-")
    assert [each["message"] for each in sent["logEvents"]] == ["listening"]
    (run,) = aws.store.runs("server")
    assert run.name.startswith("demo-blue-")
    assert run.log("instance-1").read_text() == "listening\n"
    assert run.state()["url"] == f"{aws.address.url}/endpoints/demo"


def test_while_it_comes_up_nothing_can_be_done_with_it(store: Store) -> None:  # contract 5
    ready = threading.Event()

    def when_ready(request: Request) -> None:
        request.answer(status=200 if ready.is_set() else 503)

    with container(echo, when_ready) as at, Aws(store, Machines()).up() as aws:
        config = aws.configure("c", at={"blue": at.port})
        aws.CreateEndpoint(EndpointName="demo", EndpointConfigName=config)
        assert aws.DescribeEndpoint(EndpointName="demo")["EndpointStatus"] == "Creating"
        busy = f'Cannot update in-progress endpoint "{ARN}endpoint/demo".'
        assert refused(aws.DeleteEndpoint, EndpointName="demo") == busy
        update = {"EndpointName": "demo", "EndpointConfigName": config}
        assert refused(aws.UpdateEndpoint, **update) == busy
        assert aws.invoke("demo").error[:2] == (400, "ValidationError")
        ready.set()
        assert aws.settled("demo")["EndpointStatus"] == "InService"


def test_what_is_not_there_is_said_in_sagemakers_words(aws: Aws, port: int) -> None:  # contract 5
    assert refused(aws.DescribeEndpoint, EndpointName="no") == (
        f'Could not find endpoint "{ARN}endpoint/no".'
    )
    assert refused(aws.CreateEndpoint, EndpointName="demo", EndpointConfigName="no") == (
        f'Could not find endpoint configuration "{ARN}endpoint-config/no".'
    )
    config = aws.configure("c", at={"blue": port})
    aws.create("demo", config)
    assert refused(aws.CreateEndpoint, EndpointName="demo", EndpointConfigName=config) == (
        f'Cannot create already existing endpoint "{ARN}endpoint/demo".'
    )


def test_a_program_that_ends_fails_the_endpoint_and_its_lines_are_kept(  # contract 2.14
    store: Store,
) -> None:
    def broken(inside: Inside) -> int:
        inside.print("ImportError: no module named flask")
        return 3

    aws = Aws(store, Machines(broken))
    with aws.up(), container() as at:
        described = aws.create("demo", aws.configure("c", at={"blue": at.port + 1}))
        assert described["EndpointStatus"] == "Failed"
        assert described["FailureReason"].startswith(
            "The primary container for production variant blue did not pass the ping health check. "
            "Please check CloudWatch logs for this endpoint. (server demo-blue-"
        )
        assert "ended with exit code 3" in described["FailureReason"]
        (sent,) = aws.backend.wait_for("PutLogEvents")
        assert sent["logEvents"][0]["message"] == "ImportError: no module named flask"
        assert "it can only be deleted" in refused(
            aws.UpdateEndpoint, EndpointName="demo", EndpointConfigName="c"
        )
        aws.DeleteEndpoint(EndpointName="demo")
        aws.gone("demo")
    assert all(each.removed for each in aws.engine.containers)


def test_a_ping_that_stays_bad_fails_the_endpoint_after_the_window(  # contract 2.14
    aws: Aws,
) -> None:
    with container(echo, lambda request: request.answer(status=500)) as at:
        config = aws.configure(
            "c",
            {"VariantName": "blue", "ContainerStartupHealthCheckTimeoutInSeconds": 0.05},
            at={"blue": at.port},
        )
        described = aws.create("demo", config)
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check within 0.05 s" in described["FailureReason"]


def test_an_image_that_nobody_has_fails_the_endpoint(aws: Aws) -> None:  # contract 5
    aws.CreateModel(ModelName="m", PrimaryContainer={"Image": "nobody:has"})
    aws.CreateEndpointConfig(
        EndpointConfigName="c",
        ProductionVariants=[
            {
                "VariantName": "blue",
                "ModelName": "m",
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
        ],
    )
    described = aws.create("demo", "c")
    assert described["EndpointStatus"] == "Failed"
    assert "cannot pull nobody:has" in described["FailureReason"]


def test_an_update_switches_when_the_new_containers_are_ready(
    aws: Aws, ports: Callable[[str], int]
) -> None:
    aws.create("demo", aws.configure("one", at={"blue": ports("one")}))
    assert aws.invoke("demo").body == b"one"
    aws.UpdateEndpoint(
        EndpointName="demo", EndpointConfigName=aws.configure("two", at={"green": ports("two")})
    )
    described = aws.settled("demo")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "two")
    assert [each["VariantName"] for each in described["ProductionVariants"]] == ["green"]
    assert "PendingDeploymentSummary" not in described
    assert aws.invoke("demo").body == b"two"


def test_a_request_in_flight_is_answered_by_the_container_it_went_to(
    aws: Aws, ports: Callable[[str], int]
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> None:
        request.read_body()
        begun.set()
        go_on.wait()
        request.answer(b"old")

    with container(slow) as at:
        aws.create("demo", aws.configure("one", at={"blue": at.port}))
        answers: list[bytes] = []
        client = threading.Thread(target=lambda: answers.append(aws.invoke("demo").body))
        client.start()
        begun.wait()
        aws.UpdateEndpoint(
            EndpointName="demo",
            EndpointConfigName=aws.configure("two", at={"blue": ports("new")}),
        )
        aws.settled("demo")
        assert aws.invoke("demo").body == b"new"
        assert len(running(aws)) == 2
        go_on.set()
        client.join()
    assert answers == [b"old"]


def running(aws: Aws) -> list[FakeContainer]:
    assert isinstance(aws.engine, Machines)
    return aws.engine.running


def test_an_update_that_does_not_come_up_changes_nothing(  # contract 2.14
    aws: Aws, ports: Callable[[str], int]
) -> None:
    aws.create("demo", aws.configure("one", at={"blue": ports("one")}))
    with container(echo, lambda request: request.answer(status=500)) as at:
        config = aws.configure(
            "two",
            {"VariantName": "blue", "ContainerStartupHealthCheckTimeoutInSeconds": 0.05},
            at={"blue": at.port},
        )
        aws.UpdateEndpoint(EndpointName="demo", EndpointConfigName=config)
        pending = aws.DescribeEndpoint(EndpointName="demo")["PendingDeploymentSummary"]
        assert pending["EndpointConfigName"] == "two"
        described = aws.settled("demo")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "one")
    assert "did not pass the ping health check" in described["FailureReason"]
    assert aws.invoke("demo").body == b"one"
    assert len(running(aws)) == 1


def test_weights_are_changed_and_shown(aws: Aws, ports: Callable[[str], int]) -> None:
    config = aws.configure("c", at={"blue": ports("blue"), "green": ports("green")})
    aws.create("demo", config)
    assert sorted(aws.invoke("demo").body for _ in range(2)) == [b"blue", b"green"]
    aws.UpdateEndpointWeightsAndCapacities(
        EndpointName="demo",
        DesiredWeightsAndCapacities=[
            {"VariantName": "blue", "DesiredWeight": 0.0},
            {"VariantName": "green", "DesiredInstanceCount": 3},
        ],
    )
    blue, green = aws.settled("demo")["ProductionVariants"]
    assert (blue["CurrentWeight"], blue["DesiredWeight"]) == (0.0, 0.0)
    assert (green["CurrentInstanceCount"], green["DesiredInstanceCount"]) == (3, 3)
    assert [aws.invoke("demo").body for _ in range(3)] == [b"green"] * 3
    unknown = [{"VariantName": "red", "DesiredWeight": 1.0}]
    assert "red" in refused(
        aws.UpdateEndpointWeightsAndCapacities,
        EndpointName="demo",
        DesiredWeightsAndCapacities=unknown,
    )


def test_an_update_may_keep_the_weights(aws: Aws, ports: Callable[[str], int]) -> None:
    config = aws.configure("c", at={"blue": ports("blue"), "green": ports("green")})
    aws.create("demo", config)
    weights = [{"VariantName": "blue", "DesiredWeight": 0.0}]
    aws.UpdateEndpointWeightsAndCapacities(EndpointName="demo", DesiredWeightsAndCapacities=weights)
    update = {"EndpointName": "demo", "EndpointConfigName": "c"}
    aws.UpdateEndpoint(**update, RetainAllVariantProperties=True)
    assert aws.settled("demo")["ProductionVariants"][0]["CurrentWeight"] == 0.0
    aws.UpdateEndpoint(**update)
    assert aws.settled("demo")["ProductionVariants"][0]["CurrentWeight"] == 1.0


def test_a_deleted_endpoint_is_gone_with_its_containers(aws: Aws, port: int) -> None:
    aws.create("demo", aws.configure("c", at={"blue": port}))
    aws.DeleteEndpoint(EndpointName="demo")
    assert aws.invoke("demo").status == 400
    aws.gone("demo")
    (stopped,) = aws.engine.containers
    assert stopped.removed
    assert stopped.graces == [30.0]  # contract 2.1
    assert aws.ListEndpoints()["Endpoints"] == []


def test_endpoints_are_listed(aws: Aws, port: int) -> None:
    config = aws.configure("c", at={"blue": port})
    for name in ("one", "two"):
        aws.create(name, config)
    listed = aws.ListEndpoints(SortBy="Name", SortOrder="Ascending")["Endpoints"]
    assert [each["EndpointName"] for each in listed] == ["one", "two"]
    assert aws.ListEndpoints(StatusEquals="Failed")["Endpoints"] == []


@pytest.mark.parametrize(
    ("container_", "more", "why"),
    [
        ({"Mode": "MultiModel"}, {}, "multi-model"),
        ({"AdditionalModelDataSources": [{}]}, {}, "additional model data"),
        ({}, {"ShadowProductionVariants": [{"VariantName": "shadow"}]}, "Shadow"),
    ],
)
def test_what_does_not_run_here_is_refused_by_name(
    aws: Aws, container_: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    aws.shared.records.reset()
    records = aws.shared.records
    aws.CreateModel(ModelName="m", PrimaryContainer={"Image": IMAGE_URI})
    model = records.get("model", "m", "us-east-1")
    changed = {**model.members["PrimaryContainer"], **container_}
    records.change(model.arn, lambda m: m.with_members(m.modified, PrimaryContainer=changed))
    variant = {
        "VariantName": "blue",
        "ModelName": "m",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    aws.CreateEndpointConfig(EndpointConfigName="c", ProductionVariants=[variant])
    config = records.get("endpoint-config", "c", "us-east-1")
    records.change(config.arn, lambda c: c.with_members(c.modified, **more))
    assert why in refused(aws.CreateEndpoint, EndpointName="demo", EndpointConfigName="c")


def test_a_serverless_endpoint_has_its_own_limits_and_summary(aws: Aws, port: int) -> None:  # 2.9
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    config = aws.configure(
        "c", {"VariantName": "blue", "ServerlessConfig": serverless}, at={"blue": port}
    )
    (variant,) = aws.create("demo", config)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == serverless
    status, name, members = aws.invoke("demo", b"x" * (4 * 1024 * 1024 + 1)).error
    assert (status, name) == (400, "ValidationError")
    assert "oversize" in members["Message"]


def test_endpoints_are_there_again_after_a_restart(store: Store, tmp_path: Path, port: int) -> None:
    folder = tmp_path / "records"
    with Aws(store, Machines(), Records(folder)).up() as aws:
        config = aws.configure("c", at={"blue": port, "green": port})
        aws.create("demo", config)
        weights = [{"VariantName": "green", "DesiredWeight": 0.0}]
        aws.UpdateEndpointWeightsAndCapacities(
            EndpointName="demo", DesiredWeightsAndCapacities=weights
        )
    assert all(each.removed for each in aws.engine.containers)
    outcomes = [run.outcome() for run in store.runs("server")]
    assert [each.status for each in outcomes if each] == [Status.STOPPED, Status.STOPPED]

    with Aws(store, Machines(), Records(folder)).up() as again:
        described = again.settled("demo")
        assert described["EndpointStatus"] == "InService"
        assert described["ProductionVariants"][1]["CurrentWeight"] == 0.0
        assert again.invoke("demo", b"[2]").body == b"[2]"


def test_what_comes_up_is_given_up_at_the_end_and_comes_up_after_it(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    with container(echo, lambda request: request.answer(status=503)) as at:
        with Aws(store, Machines(), Records(folder)).up() as aws:
            config = aws.configure("c", at={"blue": at.port})
            aws.CreateEndpoint(EndpointName="demo", EndpointConfigName=config)
        assert all(each.removed for each in aws.engine.containers)
    records = Records(folder)
    records.load()
    record = records.get("endpoint", "demo", "us-east-1")
    assert record.members["EndpointStatus"] == "Creating"


def test_everything_ends_with_a_reset(aws: Aws, port: int) -> None:
    aws.create("demo", aws.configure("c", at={"blue": port}))
    aws.thread.call(aws.sagemaker.reset())
    assert running(aws) == []
    assert aws.invoke("demo").status == 400
    aws.create("demo", aws.configure("c", at={"blue": port}))
    assert aws.invoke("demo").status == 200


def test_a_container_that_ends_is_replaced_under_the_same_name(store: Store, port: int) -> None:
    died = threading.Event()

    def dies_once(inside: Inside) -> int:
        if not died.is_set():
            died.wait()
            return 9
        return until_stopped(inside)

    aws = Aws(store, Machines(dies_once))
    with aws.up():
        aws.create("demo", aws.configure("c", at={"blue": port}))
        died.set()
        (run,) = store.runs("server")
        aws.backend.wait_for("CreateLogStream")
        deadline_free = threading.Event()
        while not run.log("instance-2").exists() or aws.invoke("demo").status != 200:
            deadline_free.wait(0.005)
        assert aws.DescribeEndpoint(EndpointName="demo")["EndpointStatus"] == "InService"
    assert any("instance-1 ended by itself, with exit code 9" in each for each in aws.notes.notes)


def test_names_of_runs_are_short_enough_for_the_store() -> None:
    name = run_name("e" * 63, "v" * 63, "abcdef")
    assert len(name) <= 63
    assert run_name("demo", "blue", "abcdef") == "demo-blue-abcdef"
    assert instance_id("run", "instance-1") != instance_id("run", "instance-2")


def test_an_image_is_pinned_by_its_digest() -> None:
    assert resolved("host:1/team/iris:dev", IMAGE) == "host:1/team/iris@sha256:fake"
