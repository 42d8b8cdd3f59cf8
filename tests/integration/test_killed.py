"""devkit itself is killed: the next command finishes what it left, and nothing is lost."""

from __future__ import annotations

import os
import signal

import pytest

from tests.integration.kit import (
    HEAD,
    MODEL,
    SERVE,
    TRAIN,
    TRAIN_UNTIL_STOPPED,
    Project,
    eventually,
    log,
    model,
    outcome,
)
from tests.integration.test_interrupts import TRAIN_BIG, assert_big_model


def kill_once(project: Project, text: str, *arguments: str, stream: str = "err") -> None:
    """Start a command, and kill it when it has said ``text``."""
    with project.start(*arguments) as running:
        running.wait_for(text, stream)
        running.send(signal.SIGKILL)
        assert running.finish().code == -signal.SIGKILL


def test_a_job_whose_devkit_was_killed_is_stopped_and_recorded(project: Project) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)
    kill_once(project, "training begins", "train", "--name", "lost")

    listed = project.devkit("jobs", "--json").succeeded()

    assert "job lost: devkit was killed while this ran" in listed.err
    assert [run["status"] for run in listed.document["runs"]] == ["Stopped"]
    assert project.leftovers() == []
    job = project.job("lost")
    assert outcome(job)["failure_reason"] == "devkit was killed while this ran"
    assert model(job)["checkpoint"] == b"half way"
    assert log(job)[0] == "training begins"
    assert "lost:" not in project.devkit("jobs").succeeded().err


def test_a_server_whose_devkit_was_killed_is_stopped_and_recorded(project: Project) -> None:
    project.write(train=TRAIN, serve=SERVE).devkit("train", "--name", "made").succeeded()
    kill_once(project, "http://", "serve", "--name", "web", stream="out")

    project.devkit("invoke", "--data", "1").failed(10, "no server is running")

    assert project.leftovers() == []
    assert outcome(project.server("web"))["status"] == "Stopped"
    assert log(project.server("web")) == ["listening"]
    assert model(project.job("made")) == {"weights": b"42"}


def test_both_instances_of_a_server_are_stopped_that_was_killed_in_a_replacement(
    project: Project,
) -> None:
    project.with_model().write(serve=SERVE)
    program = project.root / "image" / "program" / "serve"
    with project.start("serve", *MODEL, "--name", "web", "--reload") as running:
        running.wait_for("http://", "out")
        program.write_text(HEAD + 'say("loading")\nwait_for_ever()\n')
        running.wait_for("│ loading")
        running.send(signal.SIGKILL)
        running.finish()

    project.devkit("ps").succeeded()

    assert project.leftovers() == []
    assert outcome(project.server("web"))["status"] == "Stopped"
    logs = {path.name: path.read_text() for path in (project.server("web") / "logs").iterdir()}
    assert logs == {"instance-1.log": "listening\n", "instance-2.log": "loading\n"}


def test_a_detached_server_whose_devkit_was_killed_is_found(project: Project) -> None:
    project.write(train=TRAIN, serve=SERVE).devkit("train").succeeded()
    project.devkit("serve", "--detach", "--name", "web").succeeded()
    state = project.devkit("jobs", "--json").document["runs"]
    assert [run["status"] for run in state if run["kind"] == "server"] == ["InService"]
    for process in project.processes():
        if b"--report-to" in command_line(process):
            os.kill(process, signal.SIGKILL)
            eventually(lambda gone=process: not alive(gone), "it does not die")  # type: ignore[misc]

    assert project.devkit("stop", "web").succeeded().out == "web Stopped\n"

    assert project.leftovers() == []


def command_line(process: int) -> bytes:
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:  # noqa: PTH123 - may be gone
            return file.read()
    except OSError:
        return b""


def alive(process: int) -> bool:
    return command_line(process) != b""


def test_a_job_that_had_ended_by_itself_is_completed_by_the_next_command(
    project: Project,
) -> None:
    project.write(train=TRAIN_BIG)
    kill_once(project, "Uploading", "train", "--name", "big", "-v")
    assert not (project.job("big") / "outcome.json").exists()

    project.devkit("jobs").succeeded()

    assert project.leftovers() == []
    assert_big_model(project)


def test_a_job_that_had_failed_by_itself_is_failed_by_the_next_command(project: Project) -> None:
    project.write(train=TRAIN_BIG + '(OUTPUT / "failure").write_text("no luck")\nsys.exit(2)\n')
    kill_once(project, "Uploading", "train", "--name", "big", "-v")

    project.devkit("jobs").succeeded()

    assert outcome(project.job("big"))["status"] == "Failed"
    assert outcome(project.job("big"))["failure_reason"] == "AlgorithmError: no luck, exit code: 2"


def test_metrics_and_every_line_are_kept_of_a_killed_devkit(project: Project) -> None:
    project.write(
        train=HEAD + 'say("loss=1")\nsay("loss=0.5")\nsay("waiting")\nwait_for_ever()\n',
        config="[train]\nmetrics = [{ name = 'loss', regex = 'loss=(\\S+)' }]\n",
    )
    kill_once(project, "│ waiting", "train", "--name", "lost")

    project.devkit("jobs").succeeded()

    assert outcome(project.job("lost"))["metrics"] == {"loss": 0.5}
    assert log(project.job("lost")) == ["loss=1", "loss=0.5", "waiting"]


def test_a_run_of_another_command_is_not_touched(project: Project) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)

    with project.start("train", "--name", "mine") as training:
        training.wait_for("training begins")
        kill_once(project, "training begins", "train", "--name", "lost")
        project.devkit("jobs").succeeded()
        assert outcome(project.job("lost"))["status"] == "Stopped"
        assert not (project.job("mine") / "outcome.json").exists()
        training.ctrl_c()
        training.finish().interrupted()

    assert model(project.job("mine"))["weights"] == b"saved"


@pytest.mark.parametrize("moment", ["✓ build", "Starting"])
def test_a_job_killed_before_it_trains_leaves_nothing(project: Project, moment: str) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)
    kill_once(project, moment, "train", "-v")

    project.devkit("jobs").succeeded()

    eventually(lambda: not project.leftovers(), project.leftovers)
    for job in (project.store / "jobs").iterdir():
        assert outcome(job)["status"] == "Stopped"


def test_a_job_can_be_run_again_after_a_damaged_index(project: Project) -> None:
    project.write(train=TRAIN).devkit("train", "--name", "first").succeeded()
    (project.store / "index.sqlite").write_bytes(b"this is no index" * 100)

    project.devkit("train", "--name", "second").succeeded()

    listed = project.devkit("jobs", "--json").succeeded().document["runs"]
    assert [run["name"] for run in listed] == ["first", "second"]


def test_an_engine_that_is_away_is_waited_for(project: Project) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)
    kill_once(project, "training begins", "train", "--name", "lost")
    away = {"DOCKER_HOST": "unix:///nobody/listens/here.sock"}

    listed = project.devkit("jobs", environment=away).succeeded()

    if project.engine == "docker":
        assert "job lost is still not finished: no Docker engine answers" in listed.err
        project.devkit("jobs").succeeded()
    assert outcome(project.job("lost"))["status"] == "Stopped"
    assert model(project.job("lost"))["checkpoint"] == b"half way"
