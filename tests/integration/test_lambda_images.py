"""Functions that are images: containers of the docker engine under AWS's runtime client."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import docker
import pytest
from botocore.exceptions import ClientError
from docker.utils import kwargs_from_env

from devkit.engines.docker import connect
from devkit.engines.docker_connection import DockerSettings, bridge_address
from devkit.local_aws.identity import ROLE_ARN
from tests.integration.functions_kit import Answer, Functions, as_answer, functions
from tests.integration.kit import Project, eventually, require_docker
from tests.integration.test_lambda_ends import client
from tests.integration.test_training_toolkit import BUILD_TIMEOUT_S, build

pytestmark = pytest.mark.docker

APP = """
import os, time

def handler(event, context):
    print("doing", event, flush=True)
    if event == "sleep":
        time.sleep(60)
    if event == "large":
        return len(b"x" * 400_000_000)
    if event == "exit":
        os._exit(3)
    return [event, os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], os.environ["MINE"]]

def other(event, context):
    return "other"
"""
DOCKERFILE = """
FROM python:3.11-slim-bookworm
RUN pip install --no-cache-dir --root-user-action=ignore awslambdaric==4.0.0
WORKDIR /var/task
COPY app.py .
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["app.handler"]
"""


@pytest.fixture(scope="module")
def image(docker_engine: docker.APIClient | str) -> str:
    """The image of the function, by name; it is kept, and built anew where its content changed."""
    require_docker(docker_engine)
    files = {"Dockerfile": DOCKERFILE, "app.py": APP}
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]
    name = f"devkit-test-function:{digest}"
    with closing(docker.APIClient(**kwargs_from_env(), timeout=BUILD_TIMEOUT_S)) as client:
        if not client.images(name):
            build(client, name, files)
    return name


@pytest.fixture(scope="module")
def live(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    """Lambda with the docker engine."""
    del image
    settings = DockerSettings(host=os.environ.get("DOCKER_HOST"))
    with functions(
        tmp_path_factory.mktemp("lambda"),
        engine=lambda: connect(settings, timeout_s=10),
        bridge=bridge_address(settings, timeout_s=10),
    ) as live:
        yield live


def create(lambda_: Any, name: str, image: str, **more: Any) -> str:
    lambda_.create_function(
        FunctionName=name,
        PackageType="Image",
        Code={"ImageUri": image},
        Role=ROLE_ARN,
        Environment={"Variables": {"MINE": name}},
        **{"Timeout": 20, "MemorySize": 256, **more},
    )
    return name


def made(live: Functions, image: str, **more: Any) -> str:
    return create(live.client("lambda"), f"{live.prefix}-{secrets.token_hex(4)}", image, **more)


def containers(name: str) -> list[str]:
    with closing(docker.APIClient(**kwargs_from_env())) as client:
        return [
            each["Id"]
            for each in client.containers(all=True)
            if any(name in called for called in each["Names"])
        ]


def test_an_image_answers_and_is_logged(live: Functions, image: str) -> None:
    name = made(live, image)

    answer = live.invoke(name, "well")

    assert answer.value == ["well", "256", name]
    assert "doing well" in answer.log
    live.logged(name, f"REPORT RequestId: {answer.request_id}")
    assert live.invoke(name, "again").value[0] == "again"
    assert len(containers(name)) == 1
    live.client("lambda").delete_function(FunctionName=name)
    eventually(lambda: not containers(name), "its container is left")


def test_a_function_overrides_what_its_image_says(live: Functions, image: str) -> None:
    name = made(live, image, ImageConfig={"Command": ["app.other"]})
    whole = ["python", "-m", "awslambdaric", "app.other"]

    assert live.invoke(name).value == "other"
    other = made(live, image, ImageConfig={"EntryPoint": whole[:3], "Command": whole[3:]})
    assert live.invoke(other).value == "other"


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ("sleep", "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        ("large", "Runtime.ExitError", "signal: killed"),
        ("exit", "Runtime.ExitError", "exit status 3"),
    ],
)
def test_what_an_image_fails_with_is_told(
    live: Functions, image: str, event: str, kind: str, message: str
) -> None:
    name = made(live, image, Timeout=2)

    answer = live.invoke(name, event)

    assert answer.kind == kind
    assert message in answer.document["errorMessage"]
    assert f"doing {event}" in answer.log
    assert live.invoke(name, "well").value[0] == "well"


def test_an_image_that_there_is_not_is_told(live: Functions) -> None:
    name = made(live, "123456789012.dkr.ecr.us-east-1.amazonaws.com/none:1")

    status, code, message = live.refused(lambda: live.invoke(name))

    assert (status, code) == (400, "UnsupportedOperationException")
    assert "has no image" in message


# --- as a command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["docker"], indirect=True)
def test_containers_of_a_killed_endpoint_are_removed_by_the_next(
    project: Project, image: str
) -> None:
    project.configure("")
    name = f"{project.name}-f"
    with project.start("up", "--port", "0") as running:
        running.wait_for("http://127.0.0.1:", "out")
        url = project.devkit("status", "--json").succeeded().document["url"]
        create(client(url), name, image)
        assert invoked(url, name).value[0] == 1
        running.send(signal.SIGKILL)
        running.finish()
    (left,) = containers(name)

    url = project.devkit("up", "--detach", "--port", "0", "--json").succeeded().document["url"]

    eventually(lambda: left not in containers(name), "its container is left")
    assert invoked(url, name).value[0] == 1
    project.devkit("down").succeeded()
    assert containers(name) == []


def test_the_process_engine_refuses_an_image(process_project: Project) -> None:
    process_project.configure("")
    up = process_project.devkit("up", "--detach", "--port", "0", "--json").succeeded()
    name = create(client(up.document["url"]), f"{process_project.name}-f", "devkit-test-none:1")

    with pytest.raises(ClientError, match=r"the process engine cannot run .* DEVKIT_ENGINE=docker"):
        invoked(up.document["url"], name)

    process_project.devkit("down").succeeded()


def invoked(url: str, name: str) -> Answer:
    return as_answer(client(url).invoke(FunctionName=name, Payload=b"1"))
