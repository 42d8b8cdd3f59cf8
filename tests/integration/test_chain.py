"""The chain of a project, as a user has it: devkit up, and requests to the URL it prints."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.chain_kit import (
    CONFIG,
    FLOWER,
    Chain,
    ask,
    copy_repository,
    small_chain,
    up,
)
from tests.integration.kit import Project, eventually

SETOSA = {"category": "Iris-Setosa"}
NOT_IN_SERVICE = {"message": "The model is not in service."}
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"


@pytest.fixture
def chain(project: Project) -> Iterator[Chain]:
    """The small chain, up."""
    small_chain(project)
    with up(project) as chain:
        yield chain


def test_the_repositorys_own_project_answers_at_the_url_it_prints(project: Project) -> None:
    copy_repository(project)
    with up(project) as chain:
        predicted = chain.predict()
        assert (predicted.status, predicted.document) == (200, SETOSA)
        assert predicted.headers["content-type"] == "application/json"
        assert ask(chain.gateway, json.dumps(FLOWER).encode()).document == SETOSA
        invoked = chain.invoke("iris", FLOWER)
        assert (invoked["StatusCode"], invoked["Payload"]) == (200, SETOSA)
        assert "FunctionError" not in invoked

        for wrong in (b"", b"{", b'{"petal_length": 1}', b'{"petal_length": "1"}', b"\xff", b"[]"):
            refused = chain.predict(wrong)
            assert (refused.status, list(refused.document)) == (400, ["message"]), wrong

        through = project.devkit("invoke", "--via", "gateway").succeeded()
        assert json.loads(through.out) == SETOSA
        told = [line.split(" ms  ")[1] for line in through.err.splitlines() if " ms  " in line]
        assert told == ["total", "gateway", "lambda iris", "endpoint iris", "container"]

        other = '{"petal_length": 4.7, "petal_width": 1.4}'
        document = (
            project.devkit("invoke", "--via", "lambda:iris", "--json", "--data", other)
            .succeeded()
            .document
        )
        assert document["answer"] == {"category": "Iris-Versicolour"}
        hops = {each["hop"]: each["seconds"] for each in document["hops"]}
        assert list(hops) == ["total", "lambda iris", "endpoint iris", "container"]
        assert sorted(hops.values(), reverse=True) == list(hops.values())


def test_up_prints_what_can_be_called_and_status_knows_it(project: Project) -> None:
    small_chain(project)
    with project.start("up", "--port", "0") as running:
        running.wait_for("curl -d")
        status = project.devkit("status", "--json").succeeded().document
        assert ask(f"{status['gateway']}/predict", json.dumps(FLOWER).encode()).document == SETOSA
        assert f"gateway     {status['gateway']}\n" in project.devkit("status").succeeded().out
        running.ctrl_c()
        done = running.finish()
    assert done.code == 130
    for line in (
        "endpoint iris is in service",
        "lambda iris: devkit invoke --via lambda:iris",
        f"gateway {status['gateway']}: devkit invoke --via gateway",
        f"curl -d '{json.dumps(FLOWER)}' {status['gateway']}/predict",
    ):
        assert f"{line}\n" in done.err


def test_detached_it_prints_the_url_of_the_api(project: Project) -> None:
    small_chain(project)
    try:
        done = project.devkit("up", "--port", "0", "--detach").succeeded()
        gateway = project.devkit("status", "--json").succeeded().document["gateway"]
        assert f"curl -d '{json.dumps(FLOWER)}' {gateway}/predict\n" in done.err
        again = project.devkit("up", "--port", "0", "--detach").succeeded()
        assert gateway in again.err
    finally:
        project.devkit("down")


def test_a_container_that_is_killed_is_a_503_and_is_replaced(project: Project) -> None:
    small_chain(project)
    _with_serve_variable(project, "START_S", "1.5")
    with up(project) as chain:
        assert chain.predict().document == SETOSA
        _kill_server(project)

        answers = []

        def is_well_again() -> bool:
            begun = time.monotonic()
            answers.append((chain.predict(), time.monotonic() - begun))
            return len(answers) > 1 and answers[-1][0].status == 200

        eventually(is_well_again, lambda: answers[-1])
        failed = [answer for answer, _ in answers if answer.status != 200]
        assert {answer.status for answer in failed} <= {502, 503}
        assert NOT_IN_SERVICE in [answer.document for answer in failed]
        assert max(took_s for _, took_s in answers) < 5


def test_a_deleted_endpoint_is_a_503(chain: Chain) -> None:
    chain.client("sagemaker").delete_endpoint(EndpointName="iris")

    eventually(lambda: chain.predict().status != 200, "it still answers")
    refused = chain.predict()
    assert (refused.status, refused.document) == (503, NOT_IN_SERVICE)
    failed = chain.invoke("iris", FLOWER)
    assert failed["FunctionError"] == "Unhandled"
    assert failed["Payload"]["errorMessage"] == NOT_IN_SERVICE["message"]


def test_a_new_model_is_deployed_by_the_next_up(project: Project) -> None:
    small_chain(project)
    with up(project) as chain:
        assert chain.predict().document == SETOSA
        project.devkit("train", "--hyperparameter", "answer=Iris-Virginica").succeeded()
        assert chain.predict().document == SETOSA
    with up(project) as chain:
        assert chain.predict().document == {"category": "Iris-Virginica"}
        endpoints = chain.client("sagemaker").list_endpoints()["Endpoints"]
        assert [each["EndpointName"] for each in endpoints] == ["iris"]
    with up(project) as chain:
        assert chain.predict().document == {"category": "Iris-Virginica"}


def test_an_endpoint_that_the_user_has_deployed_is_left_as_it_is(project: Project) -> None:
    small_chain(project)
    with up(project) as chain:
        sagemaker = chain.client("sagemaker")
        config = sagemaker.describe_endpoint(EndpointName="iris")["EndpointConfigName"]
        variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)
        sagemaker.create_endpoint_config(
            EndpointConfigName="mine", ProductionVariants=variants["ProductionVariants"]
        )
        sagemaker.update_endpoint(EndpointName="iris", EndpointConfigName="mine")
        eventually(lambda: _config_of(chain) == ("mine", "InService"), lambda: _config_of(chain))
        project.devkit("train", "--hyperparameter", "answer=Iris-Virginica").succeeded()

    with project.start("up", "--port", "0") as running:
        running.wait_for("endpoint iris is one that you have deployed: left as it is")
        running.wait_for("endpoint iris is in service")
        chain = Chain(project.devkit("status", "--json").succeeded().document)
        assert _config_of(chain) == ("mine", "InService")
        assert chain.predict().document == SETOSA
        running.ctrl_c()
        running.finish()


def test_a_model_that_does_not_come_up_is_told_and_the_rest_is_up(project: Project) -> None:
    small_chain(project)
    (project.root / "image/program/serve").write_text("#!/bin/sh\necho no; exit 3\n")
    done = project.devkit("up", "--detach", "--port", "0", "--json", timeout_s=600.0)
    try:
        (note,) = [each for each in done.succeeded().err.splitlines() if "iris is Failed" in each]
        assert "did not pass the ping health check" in note
        refused = Chain(done.document).predict()
        assert (refused.status, refused.document) == (503, NOT_IN_SERVICE)
    finally:
        project.devkit("down").succeeded()


def test_a_model_that_cannot_be_trained_is_told_and_the_functions_are_up(project: Project) -> None:
    small_chain(project)
    (project.root / "image/program/train").write_text("#!/bin/sh\necho no; exit 3\n")
    done = project.devkit("up", "--detach", "--port", "0", "--json", timeout_s=600.0)
    try:
        assert "no model could be trained for the endpoint" in done.succeeded().err
        assert Chain(done.document).predict().status == 503
    finally:
        project.devkit("down").succeeded()


@pytest.mark.parametrize("ending", ["down", "SIGKILL"])
def test_nothing_of_it_is_left(project: Project, ending: str) -> None:
    small_chain(project)
    with up(project) as chain:
        assert chain.predict().document == SETOSA
        if ending == "SIGKILL":
            os.kill(chain.pid, signal.SIGKILL)
            eventually(lambda: project.devkit("status").code != 0, "it is still up")
            project.devkit("ps").succeeded()
        else:
            project.devkit("down").succeeded()
        eventually(lambda: not project.leftovers(), project.leftovers)
    with up(project) as chain:
        assert chain.predict().document == SETOSA


def test_what_is_given_up_while_a_model_is_trained_leaves_nothing(project: Project) -> None:
    small_chain(project)
    train = project.root / "image/program/train"
    train.write_text(f"{train.read_text()}\nsay('half way')\nwait_for_ever()\n")
    with project.start("up", "--port", "0") as running:
        running.wait_for("half way")
        running.ctrl_c()
        assert running.finish().code == 130
    eventually(lambda: not project.leftovers(), project.leftovers)


def _config_of(chain: Chain) -> tuple[str, str]:
    described = chain.client("sagemaker").describe_endpoint(EndpointName="iris")
    return described["EndpointConfigName"], described["EndpointStatus"]


def _with_serve_variable(project: Project, name: str, value: str) -> None:
    file = project.root / "devkit.toml"
    marked = f'[serve.environment]\n{name} = "{value}"\n'
    file.write_text(file.read_text().replace("[serve.environment]\n", marked))
    assert CONFIG in file.read_text()


def _kill_server(project: Project) -> None:
    if project.engine == "docker":
        assert project.engines is not None
        (container,) = project.containers()
        project.engines.kill(container)
        return
    for process in project.processes():
        with suppress(OSError):
            if b"/serve\0" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(process, signal.SIGKILL)
