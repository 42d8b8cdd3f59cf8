"""Ctrl-C and SIGTERM at every moment: an exit code of their own, nothing left, nothing lost."""

from __future__ import annotations

import signal

import pytest

from tests.integration.kit import (
    HEAD,
    MODEL,
    SERVE,
    SERVER,
    TRAIN,
    TRAIN_UNTIL_STOPPED,
    Project,
    eventually,
    log,
    model,
    outcome,
)

BIG_BYTES = 48 * 1024 * 1024

TRAIN_BIG = HEAD + (
    "block = os.urandom(1024 * 1024)\n"
    f'with (MODEL / "weights").open("wb") as weights:\n'
    f"    for _ in range({BIG_BYTES} // len(block)):\n"
    "        weights.write(block)\n"
)
"""A job whose model takes seconds to compress."""

STUBBORN = HEAD + (
    "signal.signal(signal.SIGTERM, lambda *_: say('not yet'))\n"
    '(MODEL / "checkpoint").write_text("1")\n'
    'say("training begins")\nwait_for_ever()\n'
)

BACKEND = """
import signal


def build_wheel(*_, **__):
    print("compiling", flush=True)
    open({compiling!r}, "w").close()
    signal.pause()
"""


# --- building --------------------------------------------------------------------------------


def test_ctrl_c_ends_a_build(project: Project) -> None:
    project.write(train=TRAIN)
    if project.engine == "docker":
        with (project.root / "image" / "Dockerfile").open("a") as dockerfile:
            dockerfile.write(f"RUN echo compiling {project.name} && sleep 300\n")
    else:
        slow = project.root / "image" / "slow"
        slow.mkdir()
        (slow / "pyproject.toml").write_text(
            '[project]\nname = "slow"\nversion = "1"\n[build-system]\nrequires = []\n'
            'build-backend = "backend"\nbackend-path = ["."]\n'
        )
        compiling = project.root / "compiling"
        (slow / "backend.py").write_text(BACKEND.format(compiling=str(compiling)))
        (project.root / "image" / "requirements.txt").write_text("./slow\n")

    with project.start("train", "-v") as training:
        if project.engine == "docker":
            training.wait_for(f"│ compiling {project.name}")
        else:
            eventually(compiling.exists, "the build backend has not been called")
        training.ctrl_c()
        training.finish().interrupted()

    assert not list((project.store / "jobs").iterdir())
    eventually(lambda: not build_containers(project), "the build still runs")


def build_containers(project: Project) -> list[str]:
    if project.engines is None:
        return []
    running = project.engines.containers()
    return [each["Id"] for each in running if project.name in each["Command"]]


# --- training --------------------------------------------------------------------------------


def test_ctrl_c_ends_a_job_that_is_starting(project: Project) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED).devkit("build").succeeded()

    with project.start("train", "--name", "early", "-v") as training:
        training.wait_for("Starting")
        training.ctrl_c()
        training.finish().interrupted()

    assert outcome(project.job("early"))["status"] == "Stopped"


@pytest.mark.contract("1.1-k", "1.10-b", "1.10-c", "1.10-e")
@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_job_that_is_interrupted_is_stopped_and_its_model_kept(
    project: Project, signum: int, code: int
) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)

    with project.start("train", "--name", "long") as training:
        training.wait_for("training begins")
        training.send(signum)
        training.finish().interrupted(code)

    job = project.job("long")
    assert outcome(job)["status"] == "Stopped"
    assert model(job) == {"checkpoint": b"half way", "weights": b"saved"}
    assert log(job) == ["training begins", "saving"]


def test_a_second_ctrl_c_kills_a_job_that_ignores_the_first(project: Project) -> None:
    project.write(train=STUBBORN)

    with project.start("train", "--name", "long") as training:
        training.wait_for("training begins")
        training.ctrl_c()
        training.wait_for("│ not yet")
        training.ctrl_c()
        training.finish(timeout_s=8).interrupted()

    job = project.job("long")
    assert outcome(job)["status"] == "Stopped"
    assert outcome(job)["exit_code"] == 137
    assert model(job) == {"checkpoint": b"1"}


@pytest.mark.contract("1.10-c", "1.10-e")
def test_a_job_that_is_stopped_by_its_name_keeps_its_model(project: Project) -> None:
    project.write(train=TRAIN_UNTIL_STOPPED)

    with project.start("train", "--name", "long") as training:
        training.wait_for("training begins")
        stopped = project.devkit("stop", "long", "--json").succeeded().document
        training.finish().interrupted(143)

    assert stopped == {"stopped": {"long": "Stopped"}}
    assert model(project.job("long"))["weights"] == b"saved"


def test_a_server_is_stopped_by_its_name_although_a_job_had_it_before(project: Project) -> None:
    project.write(train=TRAIN, serve=SERVE).devkit("train", "--name", "iris").succeeded()
    project.devkit("serve", "--detach", "--name", "iris").succeeded()
    assert project.devkit("stop", "iris").succeeded().out == "iris Stopped\n"
    assert outcome(project.server("iris"))["status"] == "Stopped"
    assert outcome(project.job("iris"))["status"] == "Completed"


def test_ctrl_c_while_a_model_is_collected_loses_nothing(project: Project) -> None:
    project.write(train=TRAIN_BIG)

    with project.start("train", "--name", "big", "-v") as training:
        training.wait_for("Uploading")
        training.ctrl_c()
        training.finish().interrupted()

    assert_big_model(project)


def test_a_second_ctrl_c_leaves_collecting_to_the_next_command(project: Project) -> None:
    project.write(train=TRAIN_BIG)

    with project.start("train", "--name", "big", "-v") as training:
        training.wait_for("Uploading")
        training.ctrl_c()
        training.wait_for("collecting what it left")
        training.ctrl_c()
        done = training.finish().interrupted()

    assert "the next devkit command does that" in done.err
    project.devkit("jobs").succeeded()
    assert_big_model(project)


def assert_big_model(project: Project) -> None:
    job = project.job("big")
    ended = outcome(job)
    assert (ended["status"], ended["exit_code"]) == ("Completed", 0)
    assert len(model(job)["weights"]) == BIG_BYTES
    assert sorted(path.name for path in (job / "output").iterdir()) == [
        "model.tar.gz",
        "output.tar.gz",
    ]


# --- serving ---------------------------------------------------------------------------------


@pytest.fixture
def trained(project: Project) -> Project:
    return project.with_model()


NEVER_READY = HEAD + (
    'signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nsay("loading")\nwait_for_ever()\n'
)


def test_ctrl_c_ends_a_server_that_is_not_ready(trained: Project) -> None:
    trained.write(serve=NEVER_READY)

    with trained.start("serve", *MODEL, "--name", "web") as serving:
        serving.wait_for("│ loading")
        serving.ctrl_c()
        serving.finish().interrupted()

    assert outcome(trained.server("web"))["status"] == "Stopped"


def test_ctrl_c_ends_a_detached_serve_that_is_not_ready(trained: Project) -> None:
    trained.write(serve=NEVER_READY)

    with trained.start("serve", *MODEL, "--name", "web", "--detach") as serving:
        eventually(lambda: "loading" in started_log(trained), "the server has not started")
        serving.ctrl_c()
        serving.finish().interrupted()

    assert outcome(trained.server("web"))["status"] == "Stopped"


def started_log(project: Project) -> str:
    path = project.server("web") / "logs" / "instance-1.log"
    return path.read_text() if path.exists() else ""


@pytest.mark.contract("2.1-f", "2.13-b")
@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_server_that_is_interrupted_is_stopped_in_good_order(
    trained: Project, signum: int, code: int
) -> None:
    trained.write(
        serve=SERVER.replace("sys.exit(0)", '(say("shutting down"), sys.exit(0))') + "serve()\n"
    )

    with trained.start("serve", *MODEL, "--name", "web") as serving:
        serving.wait_for("http://", "out")
        serving.send(signum)
        serving.finish().interrupted(code)

    assert outcome(trained.server("web"))["status"] == "Stopped"
    assert log(trained.server("web")) == ["listening", "shutting down"]


def test_a_second_ctrl_c_kills_a_server_that_ignores_the_first(trained: Project) -> None:
    trained.write(serve=SERVER.replace("sys.exit(0)", 'say("not yet")') + "serve()\n")

    with trained.start("serve", *MODEL, "--name", "web") as serving:
        serving.wait_for("http://", "out")
        serving.ctrl_c()
        serving.wait_for("│ not yet")
        serving.ctrl_c()
        serving.finish(timeout_s=8).interrupted()

    assert outcome(trained.server("web"))["exit_code"] == 137


SLOW_ANSWER = (
    SERVER
    + """
class Slow(Handler):
    def do_POST(self):
        say("computing")
        wait_for_ever()

serve(Slow)
"""
)


def test_ctrl_c_in_a_request_of_run_stops_its_server(trained: Project) -> None:
    trained.write(serve=SLOW_ANSWER)

    with trained.start("run", "--data", "1") as running:
        running.wait_for("│ computing")
        running.ctrl_c()
        running.finish().interrupted()

    (server,) = (trained.store / "servers").iterdir()
    assert outcome(server)["status"] == "Stopped"


def test_ctrl_c_in_a_request_leaves_the_server_as_it_is(trained: Project) -> None:
    trained.write(serve=SLOW_ANSWER)

    with trained.start("serve", *MODEL, "--name", "web") as serving:
        serving.wait_for("http://", "out")
        with trained.start("invoke", "--data", "1") as invoking:
            serving.wait_for("│ computing")
            invoking.ctrl_c()
            invoking.finish().interrupted()
        listed = trained.devkit("jobs", "--json").succeeded().document["runs"]
        assert [run["status"] for run in listed if run["kind"] == "server"] == ["InService"]
        serving.ctrl_c()
        serving.finish().interrupted()


def test_ctrl_c_between_the_steps_of_run_leaves_nothing(project: Project) -> None:
    project.write(train=TRAIN, serve=SERVE)

    with project.start("run", "--data", "1") as running:
        running.wait_for("✓ train")
        running.ctrl_c()
        running.finish().interrupted()

    (job,) = (project.store / "jobs").iterdir()
    assert outcome(job)["status"] == "Completed"
