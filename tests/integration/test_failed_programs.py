"""Programs that cannot be executed, that fail, or that do not answer: why, in the error itself."""

from __future__ import annotations

import pytest

from tests.integration.kit import (
    HEAD,
    MODEL,
    SERVE,
    SERVER,
    TRAIN,
    Project,
    archive,
    log,
    model,
    outcome,
)

BODY = TRAIN.partition("\n")[2]


# --- programs that cannot be executed --------------------------------------------------------


@pytest.mark.contract("1.1-i")
def test_a_missing_train_is_named(project: Project) -> None:
    project.write(serve=SERVE)

    failed = project.devkit("train")

    failed.failed(
        5, 'exec: "train": executable file not found in $PATH', "→ put an executable file named"
    )
    assert outcome(project.job())["status"] == "Failed"


def test_a_missing_serve_is_named(project: Project) -> None:
    failed = project.with_model().devkit("serve", *MODEL)

    failed.failed(6, 'exec: "serve": executable file not found in $PATH')
    assert outcome(project.server())["status"] == "Failed"


@pytest.mark.contract("1.1-j")
def test_a_train_without_its_exec_bit_is_told_how_to_get_it(project: Project) -> None:
    project.write(train=TRAIN)
    (project.root / "image" / "program" / "train").chmod(0o644)

    failed = project.devkit("train")

    failed.failed(5, "/opt/program/train is not executable", "→ chmod +x train")
    assert outcome(project.job())["status"] == "Failed"


@pytest.mark.parametrize("line", ["#!/usr/bin/env python3", "#!/usr/bin/python3"])
def test_windows_line_ends_are_named(project: Project, line: str) -> None:
    project.write(train=(line + "\n" + BODY).replace("\n", "\r\n").encode())

    failed = project.devkit("train")

    failed.failed(5, "/opt/program/train has Windows line ends (CRLF)", "→ convert it", "eol=lf")
    assert outcome(project.job())["failure_reason"].startswith("/opt/program/train has Windows")


def test_windows_line_ends_of_serve_are_named(project: Project) -> None:
    project.with_model().write(serve=SERVE.replace("\n", "\r\n").encode())

    project.devkit("serve", *MODEL).failed(
        6, "/opt/program/serve has Windows line ends", "→ convert it"
    )


def test_a_missing_interpreter_is_named(project: Project) -> None:
    project.write(train="#!/opt/conda/bin/python\n" + BODY)

    failed = project.devkit("train")

    failed.failed(
        5, "train asks for the interpreter /opt/conda/bin/python, which is not there", "→ install"
    )
    assert outcome(project.job())["status"] == "Failed"


def test_an_interpreter_that_env_does_not_find_is_named(project: Project) -> None:
    project.write(train="#!/usr/bin/env python9\n" + BODY)

    project.devkit("train").failed(5, "python9", "→")


def test_a_script_without_its_first_line_is_named(project: Project) -> None:
    project.write(train="import os\n")

    project.devkit("train").failed(5, "/opt/program/train has no #! line", "#!/usr/bin/env python3")


# --- jobs that fail --------------------------------------------------------------------------

FAILS = HEAD + 'say("epoch 1")\nsys.stdout.write("no such column: target")\n'


@pytest.mark.contract("1.8-i", "1.9-b", "1.9-c", "1.11-a")
def test_a_failed_job_shows_its_last_lines_and_its_exit_code(project: Project) -> None:
    project.write(train=FAILS + 'sys.stdout.flush()\n(MODEL / "part").write_text("1")\nsys.exit(3)')

    failed = project.devkit("train", "--name", "bad", "--quiet")

    failed.failed(
        5,
        "training job bad failed: AlgorithmError: , exit code: 3\n",
        "  | epoch 1\n",
        "  | no such column: target\n",
        "devkit logs bad",
    )
    job = project.job("bad")
    ended = outcome(job)
    assert (ended["status"], ended["exit_code"]) == ("Failed", 3)
    assert ended["failure_reason"] == "AlgorithmError: , exit code: 3"
    assert ended["model"] is None
    assert log(job) == ["epoch 1", "no such column: target"]
    assert model(job) == {"part": b"1"}


@pytest.mark.contract("1.2-g", "1.8-c", "1.8-i", "1.9-d")
def test_the_failure_file_is_the_reason(project: Project) -> None:
    project.write(
        train=HEAD
        + '(OUTPUT / "failure").write_text("no such column: target")\n'
        + '(OUTPUT / "data" / "rows").write_text("7")\nsys.exit(3)'
    )

    failed = project.devkit("train", "--name", "bad", "--json")

    reason = "AlgorithmError: no such column: target, exit code: 3"
    failed.failed(5, f"training job bad failed: {reason}")
    error = failed.document["error"]
    assert (error["type"], error["exit_code"]) == ("TrainingFailed", 5)
    job = project.job("bad")
    assert outcome(job)["failure_reason"] == reason
    assert archive(job / "output" / "output.tar.gz") == {"rows": b"7"}
    assert (job / "output" / "failure").read_text() == "no such column: target"


@pytest.mark.contract("1.8-h", "1.9-e")
def test_a_failure_file_that_is_long_and_odd_is_cut(project: Project) -> None:
    project.write(
        train=HEAD + '(OUTPUT / "failure").write_bytes(b"\\xff" + b"x" * 5000)\nsys.exit(1)'
    )

    project.devkit("train").failed(5, "AlgorithmError: \ufffdxxx")

    assert len(outcome(project.job())["failure_reason"]) == 1024
    assert len((project.job() / "output" / "failure").read_bytes()) == 5001


@pytest.mark.contract("1.9-f")
def test_a_job_killed_by_a_signal_has_its_exit_code(project: Project) -> None:
    project.write(train="#!/bin/sh\nsh -c 'kill -9 $$'\nexit $?\n")

    project.devkit("train").failed(5, "AlgorithmError: , exit code: 137")


def test_a_job_ends_with_train_and_what_it_left_running_ends_with_it(project: Project) -> None:
    project.write(
        train=HEAD + 'if os.fork() == 0:\n    wait_for_ever()\nsay("main process ends")\n'
    )

    project.devkit("train").succeeded()

    assert log(project.job()) == ["main process ends"]


@pytest.mark.contract("1.10-e", "1.10-g")
def test_a_job_that_runs_too_long_is_stopped_and_keeps_its_model(project: Project) -> None:
    project.write(
        train=HEAD
        + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        + '(MODEL / "checkpoint").write_text("1")\nwait_for_ever()\n'
    )

    done = project.devkit("train", "--max-run", "1")

    done.succeeded()
    ended = outcome(project.job())
    assert (ended["status"], ended["secondary_status"]) == ("Stopped", "MaxRuntimeExceeded")
    assert model(project.job()) == {"checkpoint": b"1"}


# --- servers that do not come up -------------------------------------------------------------


@pytest.fixture
def trained(project: Project) -> Project:
    return project.with_model()


@pytest.mark.contract("2.13-b")
def test_a_server_that_dies_at_once_says_its_last_lines(trained: Project) -> None:
    trained.write(serve=HEAD + 'say("loading")\nsys.stdout.write("no weights")\nsys.exit(4)')

    failed = trained.devkit("serve", *MODEL, "--name", "web", "--quiet")

    failed.failed(
        6,
        "server web ended with exit code 4 before its ping was good",
        "  | loading\n",
        "  | no weights\n",
        "devkit logs web",
    )
    assert outcome(trained.server("web"))["status"] == "Failed"
    assert log(trained.server("web")) == ["loading", "no weights"]


def test_a_detached_server_that_dies_says_so_in_the_foreground(trained: Project) -> None:
    trained.write(serve=HEAD + 'say("no weights")\nsys.exit(4)')

    trained.devkit("serve", *MODEL, "--detach", "--name", "web").failed(
        6, "exit code 4", "| no weights"
    )


@pytest.mark.contract("2.3-d")
def test_a_server_that_never_answers_is_given_up(trained: Project) -> None:
    trained.write(serve=HEAD + 'say("thinking")\nwait_for_ever()\n')

    failed = trained.devkit("serve", *MODEL, "--startup-timeout", "1")

    failed.failed(
        6,
        "did not pass the ping health check within 1 s: GET /ping: ",
        "  | thinking",
        "serve must listen on 0.0.0.0:8080 and answer GET /ping with 200 within 2 s",
    )
    assert outcome(trained.server())["status"] == "Failed"


@pytest.mark.contract("2.3-c")
def test_a_server_that_accepts_and_says_nothing_is_given_up(trained: Project) -> None:
    trained.write(
        serve=HEAD
        + "import socket\nlistener = socket.create_server(('0.0.0.0', PORT))\nwait_for_ever()\n"
    )

    failed = trained.devkit("serve", *MODEL, "--startup-timeout", "1")

    failed.failed(6, "did not pass the ping health check within 1 s", "no answer within 2 s")


@pytest.mark.contract("2.3-b")
def test_a_server_whose_ping_is_an_error_shows_that_error(trained: Project) -> None:
    trained.write(
        serve=SERVER
        + """
class Sick(Handler):
    def do_GET(self):
        self.answer(b"no model loaded", "text/plain", 500)

serve(Sick)
"""
    )

    failed = trained.devkit("serve", *MODEL, "--startup-timeout", "1")

    failed.failed(6, "GET /ping: HTTP 500 no model loaded", "  | listening")


@pytest.mark.contract("2.3-a")
@pytest.mark.usefixtures("contained")
def test_a_server_on_its_own_loopback_is_not_reached(trained: Project) -> None:
    trained.write(serve=SERVER + 'serve(address="127.0.0.1")\n')

    failed = trained.devkit("serve", *MODEL, "--startup-timeout", "1")

    failed.failed(6, "did not pass the ping health check", "serve must listen on 0.0.0.0:8080")


def test_a_refused_request_shows_what_the_server_said(trained: Project) -> None:
    trained.write(
        serve=SERVER
        + """
class Strict(Handler):
    def do_POST(self):
        self.answer(b"petal_width is missing", "text/plain", 415)

serve(Strict)
"""
    )

    trained.devkit("run", "--data", "{}").failed(7, "415", "petal_width is missing")
    assert outcome(next(iter((trained.store / "servers").iterdir())))["status"] == "Stopped"


def test_an_answer_that_is_called_json_and_is_not_comes_as_it_is(trained: Project) -> None:
    trained.write(
        serve=SERVER
        + """
class Sloppy(Handler):
    def do_POST(self):
        self.answer(b"not json", "application/json")

serve(Sloppy)
"""
    )

    assert trained.devkit("run", "--data", "{}").succeeded().out == "not json\n"


# --- builds that fail ------------------------------------------------------------------------


def test_a_build_that_fails_shows_its_last_lines(project: Project) -> None:
    project.write(train=TRAIN)
    if project.engine == "docker":
        with (project.root / "image" / "Dockerfile").open("a") as dockerfile:
            dockerfile.write("RUN echo compiling && exit 3\n")
        expected = ("the image did not build", "  | compiling", "non-zero code: 3")
    else:
        (project.root / "image" / "requirements.txt").write_text("./no-such-package\n")
        expected = ("no-such-package", "  | ", "requirements.txt")

    failed = project.devkit("train")

    failed.failed(4, *expected)
    assert not list((project.store / "jobs").iterdir())
