"""What is refused before any work starts, and how it is said."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kit import MODEL, SERVE, TRAIN, Project

NOTHING_THERE = "unix:///nobody/listens/here.sock"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        yield int(somebody.getsockname()[1])


def nothing_was_done(project: Project) -> bool:
    jobs, servers = project.store / "jobs", project.store / "servers"
    return not any(path for folder in (jobs, servers) for path in folder.glob("*"))


# --- engines ---------------------------------------------------------------------------------


def test_no_docker_engine_is_said_with_what_to_do(process_project: Project) -> None:
    project = process_project.write(train=TRAIN)

    refused = project.devkit(
        "train", "--engine", "docker", environment={"DOCKER_HOST": NOTHING_THERE}
    )

    refused.failed(3, f"no Docker engine answers at {NOTHING_THERE}", "--engine process")
    assert nothing_was_done(project)


def test_without_a_docker_engine_auto_takes_processes_and_says_why(
    process_project: Project,
) -> None:
    project = process_project.write(train=TRAIN)

    done = project.devkit("train", "--engine", "auto", environment={"DOCKER_HOST": NOTHING_THERE})

    done.succeeded()
    assert f"engine process (auto: no Docker engine answers at {NOTHING_THERE}" in done.err


def test_a_docker_engine_on_another_machine_is_refused(process_project: Project) -> None:
    project = process_project.write(train=TRAIN)

    refused = project.devkit(
        "train", "--engine", "docker", environment={"DOCKER_HOST": "tcp://192.0.2.1:2375"}
    )

    refused.failed(3, "tcp://192.0.2.1:2375 is on another machine", "→ use an engine on this")


def test_an_image_by_name_needs_the_docker_engine(process_project: Project) -> None:
    process_project.devkit("train", "--image", "any:image").failed(3, "--engine docker")


# --- ports -----------------------------------------------------------------------------------


def test_serve_refuses_a_taken_port_before_anything_is_built(
    project: Project, taken_port: int
) -> None:
    project.with_model().write(serve=SERVE)

    refused = project.devkit("serve", *MODEL, "--port", str(taken_port))

    refused.failed(9, f"port {taken_port} on 127.0.0.1 is in use", "--port 0")
    assert "build" not in refused.err
    assert nothing_was_done(project)


def test_a_detached_serve_refuses_a_taken_port_too(project: Project, taken_port: int) -> None:
    project.with_model().write(serve=SERVE)

    refused = project.devkit("serve", *MODEL, "--detach", "--port", str(taken_port))

    refused.failed(9, f"port {taken_port} on 127.0.0.1 is in use", "--port 0")


def test_run_refuses_a_taken_port_before_anything_is_built(
    project: Project, taken_port: int
) -> None:
    project.write(train=TRAIN, serve=SERVE)

    refused = project.devkit("run", "--data", "1", "--port", str(taken_port))

    refused.failed(9, f"port {taken_port}")
    assert "build" not in refused.err
    assert nothing_was_done(project)


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(process_project: Project, port: str) -> None:
    project = process_project.write(train=TRAIN, serve=SERVE)
    project.devkit("train").succeeded()

    for command in (("serve",), ("run", "--data", "1")):
        refused = project.devkit(*command, "--port", port)
        assert refused.code == 2, refused
        assert port in refused.err
        assert "Traceback" not in refused.err
        assert "build" not in refused.err


# --- settings --------------------------------------------------------------------------------


def test_no_project_is_said_with_what_to_do(process_project: Project) -> None:
    refused = process_project.devkit("train")

    refused.failed(2, "there is no devkit.toml", "touch devkit.toml", "--image")
    assert not process_project.store.exists()


def test_a_malformed_devkit_toml_is_refused_by_its_line(process_project: Project) -> None:
    (process_project.root / "devkit.toml").write_text("[train\nmax_run_s = 1\n")

    process_project.devkit("train").failed(2, "devkit.toml is not valid TOML", "line 1")


def test_a_devkit_toml_that_is_not_text_is_refused(process_project: Project) -> None:
    (process_project.root / "devkit.toml").write_bytes(b"\xff\xfe\x00")

    process_project.devkit("train").failed(2, "devkit.toml")


def test_all_problems_of_the_settings_are_named_at_once(process_project: Project) -> None:
    project = process_project.write(
        config="""
[train]
max_run_s = "long"
chanels = {}
metrics = "loss"

[serve]
cpus = "many"

[sreve]
port = 1
"""
    )

    refused = project.devkit("train", environment={"DEVKIT_SERVE_STARTUP_TIMEOUT_S": "soon"})

    refused.failed(
        2,
        "train.max_run_s = 'long' (devkit.toml): must be a whole number",
        "train.chanels (devkit.toml): no such key; [train] takes ",
        "train.metrics = 'loss' (devkit.toml): must be a list",
        "serve.cpus = 'many' (devkit.toml): must be a number of CPUs",
        "sreve.port (devkit.toml): no such table; there are",
        "serve.startup_timeout_s = 'soon' (DEVKIT_SERVE_STARTUP_TIMEOUT_S)",
    )


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ("[train]\nhyperparameters = 3\n", "train.hyperparameters"),
        ("[train]\nchannels = 'data'\n", "train.channels"),
        ("[train]\nchannels = { data = 3 }\n", "train.channels.data"),
        ("[train]\nmetrics = [{ name = 'loss', regex = '(' }]\n", "train.metrics"),
        ("[image]\nprogram = 3\n", "image.program"),
        ("[image]\nplatform = 'windows'\n", "image.platform"),
        ("[invoke]\ndata = 3\n", "invoke.data"),
        ("train = 3\n", "train"),
        ("[project]\nname = 'not a name'\n", "project.name"),
        ("[project.name]\nx = 1\n", "project.name"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(
    process_project: Project, config: str, key: str
) -> None:
    (process_project.root / "devkit.toml").write_text(config)

    process_project.devkit("train").failed(2, "the settings are wrong:", f"- {key}")


@pytest.mark.contract("1.9-j")
def test_a_missing_channel_is_refused_before_anything_is_built(project: Project) -> None:
    project.write(train=TRAIN, serve=SERVE)

    for command in (("train",), ("run", "--data", "1")):
        refused = project.devkit(*command, "--channel", "training=no/such/folder")
        refused.failed(2, "channel 'training'", str(project.root / "no" / "such" / "folder"))
        assert "build" not in refused.err
    assert nothing_was_done(project)


@pytest.mark.contract("1.13-c")
def test_everything_sagemaker_would_refuse_is_named_at_once(project: Project) -> None:
    project.write(train=TRAIN)

    refused = project.devkit(
        "train",
        "--name", "under_score",
        "--channel", "bad/name=.",
        "--channel", "gone=no-such-folder",
        "--hyperparameter", f"long={'x' * 2501}",
    )  # fmt: skip

    refused.failed(2, "under_score", "bad/name", "no-such-folder", "2500")
    assert "build" not in refused.err
    assert nothing_was_done(project)


@pytest.mark.parametrize(
    ("flag", "value"), [("--max-run", "0"), ("--max-run", "soon"), ("--hyperparameter", "eta")]
)
def test_a_flag_that_makes_no_sense_is_refused(
    process_project: Project, flag: str, value: str
) -> None:
    refused = process_project.write(train=TRAIN).devkit("train", flag, value)

    assert refused.code == 2, refused
    assert "Traceback" not in refused.err
    assert nothing_was_done(process_project)


def test_errors_are_one_json_document_too(process_project: Project) -> None:
    refused = process_project.devkit("train", "--json")

    refused.failed(2)
    error = refused.document["error"]
    assert (error["type"], error["exit_code"]) == ("ConfigError", 2)
    assert "there is no devkit.toml" in error["message"]


# --- what is named and not there -------------------------------------------------------------


def test_a_folder_without_an_image_is_refused(project: Project) -> None:
    project.configure("")

    project.devkit("train").failed(4, str(project.root / "image"), "devkit.toml")


def test_names_of_nothing_are_refused(process_project: Project) -> None:
    project = process_project.write(train=TRAIN, serve=SERVE)

    project.devkit("logs", "nobody").failed(10, "'nobody'", "devkit jobs")
    project.devkit("stop", "nobody").failed(10, "'nobody'", "devkit jobs")
    project.devkit("clean", "nobody", "--yes").failed(10, "'nobody'", "devkit jobs")
    project.devkit("logs", "../..").failed(10, "'../..'")
    project.devkit("clean", "..", "--yes").failed(10, "'..'")
    project.devkit("serve").failed(10, "no completed training job", "devkit train")
    project.devkit("serve", "--model", "nobody").failed(10, "'nobody'")
    project.devkit("invoke", "--data", "1").failed(10, "no server is running", "devkit serve")
    project.devkit("invoke").failed(2, "nothing to invoke with", "--data")
    assert project.store.is_dir()


def test_invoke_says_what_is_wrong_with_its_data_and_address(process_project: Project) -> None:
    project = process_project.write()

    project.devkit("invoke", "--data", "@missing.json").failed(2, "missing.json", "No such file")
    for url in ("localhost:8080", "https://127.0.0.1", "http://127.0.0.1:port", "http://[1"):
        project.devkit("invoke", "--data", "1", "--url", url).failed(
            2, url, "http://127.0.0.1:8080"
        )


def test_an_address_that_nobody_listens_on_is_said(process_project: Project) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        process_project.write().devkit("invoke", "--data", "1", "--url", url).failed(7, url)


@pytest.mark.contract("2.2-d")
def test_a_model_that_is_no_archive_is_refused(project: Project) -> None:
    project.write(serve=SERVE)
    (project.root / "model.tar.gz").write_text("weights")

    refused = project.devkit("serve", "--model", "model.tar.gz")

    refused.failed(6, "is not a whole gzipped tar archive", "tar -czf")
    assert outcome_of_only_server(project) == "Failed"


def outcome_of_only_server(project: Project) -> str:
    listed = project.devkit("jobs", "--json").document["runs"]
    return str(listed[0]["status"])


def test_a_channel_may_be_named_from_another_folder(project: Project, tmp_path: Path) -> None:
    project.write(train=TRAIN)
    (tmp_path / "elsewhere").mkdir()

    done = project.devkit(
        "train", "--project", str(project.root), "--channel", "training=elsewhere", cwd=tmp_path
    )

    done.succeeded()
