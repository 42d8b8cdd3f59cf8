"""``devkit parity``: one image in several places, and what differs there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.kit import HEAD, SERVE, TRAIN, Project

pytestmark = [
    pytest.mark.parametrize(
        "engine", [pytest.param("docker", marks=pytest.mark.docker)], indirect=True
    ),
    pytest.mark.usefixtures("contained"),
]

REPOSITORY = Path(__file__).parents[2]
BUILD_TIMEOUT_S = 600.0
"""A first build loads packages."""

INVOKE = '[invoke]\ndata = "{}"\n'
TRAINS_ELSEWHERE = HEAD + (
    'where = "process" if "VIRTUAL_ENV" in os.environ else "docker"\n'
    '(MODEL / "weights").write_text(where)\n'
    '(OUTPUT / "data" / "report").write_text("the same")\n'
)
ASKS_FOR_A_SECRET = (
    '[train.environment]\nAPI_KEY = "do-not-tell"\nREGION = "eu"\n'
    '[train]\nhyperparameters = { eta = "0.1" }\n'
)


@pytest.fixture
def places(project: Project) -> Project:
    """A project without an SDK: its places are docker and process."""
    project.write(train=TRAIN, serve=SERVE)
    return project


def test_the_repositorys_image_is_the_same_in_containers_and_processes(project: Project) -> None:
    for folder in ("image", "examples"):
        shutil.copytree(REPOSITORY / folder, project.root / folder)
    shutil.copy(REPOSITORY / "devkit.toml", project.root)

    done = project.devkit(
        "parity", "--places", "docker,process", "--failing", "eta=fast", "--html", "report.html",
        "--json", timeout_s=BUILD_TIMEOUT_S,
    ).succeeded()  # fmt: skip

    assert done.document["unexpected"] == []
    named = {each["name"] for each in done.document["expected"]}
    assert named <= {"PATH", "HOME", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE"}
    seen = done.document["facts"]["process"]
    assert seen["answers"]["the project's: body"] == '{"category": "Iris-Setosa"}'
    assert seen["configuration"]["hyperparameters.json: eta"] == '"0.05"'
    assert seen["job that fails on purpose"]["exit code"] == "37"
    assert seen["failing job"]["exit code"] == "1"
    assert "/opt/ml/model/model.json" in seen["model"]
    assert (project.root / "report.html").read_text().startswith("<!doctype html>")


def test_a_difference_without_a_reason_is_a_failure(places: Project) -> None:
    places.write(train=TRAINS_ELSEWHERE, serve=SERVE, config=INVOKE)

    done = places.devkit("parity", "--places", "docker,process", timeout_s=BUILD_TIMEOUT_S)

    assert done.code == 1
    assert "unexpected: model: /opt/ml/model/weights\n" in done.out
    assert "docker, process: 1 unexpected difference, " in done.out
    assert "error:" not in done.err


def test_values_that_look_like_secrets_are_nowhere(places: Project) -> None:
    places.write(train=TRAIN, serve=SERVE)
    (places.root / "devkit.toml").write_text(
        f'[project]\nname = "{places.name}"\n{INVOKE}{ASKS_FOR_A_SECRET}'
    )

    done = places.devkit(
        "parity", "--places", "docker,process", "--json", timeout_s=BUILD_TIMEOUT_S
    ).succeeded()

    assert done.document["facts"]["docker"]["environment of the request"] == {
        "API_KEY": "(not shown)",
        "REGION": "eu",
    }
    logs = [path.read_bytes() for path in places.store.rglob("*.log")]
    assert logs
    assert not any(b"do-not-tell" in log or b"do-not-tell".hex().encode() in log for log in logs)


@pytest.mark.parametrize("named", ["docker", "docker,docker", "docker,moon"])
def test_two_places_have_to_be_named(places: Project, named: str) -> None:
    done = places.devkit("parity", "--places", named)

    assert done.code == 2
    assert "is not two or more of docker, process, sagemaker-local, aws" in done.err


def test_a_place_that_was_asked_for_has_to_be_there(places: Project) -> None:
    places.write(train=TRAIN, serve=SERVE, config=INVOKE)

    done = places.devkit(
        "parity", "--places", "docker,process",
        environment={"DOCKER_HOST": "tcp://127.0.0.1:1"},
    )  # fmt: skip

    done.failed(3)


def test_without_a_request_there_is_nothing_to_compare(places: Project) -> None:
    places.devkit("parity", "--places", "docker,process").failed(2, "[invoke] data")
