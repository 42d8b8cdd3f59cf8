"""Who runs the endpoint of a project: a lock tells, whatever is written."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from devkit.errors import StoreError
from devkit.local_aws.state import AlreadyUp, Endpoint, State, is_made

ENDPOINT = Endpoint(
    url="http://127.0.0.1:4566",
    container_url="http://172.17.0.1:4566",
    pid=4711,
    started="2026-01-01T00:00:00+00:00",
    kind="up",
)


def test_an_endpoint_is_found_while_it_is_held(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.endpoint() is None

    with state.held() as held:
        assert state.is_held()
        assert state.endpoint() is None  # it has not said yet where it is
        held.announce(ENDPOINT)
        assert State(tmp_path).endpoint() == ENDPOINT

    assert state.endpoint() is None
    assert not state.is_held()


def test_there_is_one_endpoint_a_project(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.held() as held:
        held.announce(ENDPOINT)
        with pytest.raises(AlreadyUp, match=r"at http://127\.0\.0\.1:4566, by process 4711"):
            State(tmp_path).held().__enter__()
    with state.held():
        pass


def test_what_a_killed_one_wrote_is_not_believed(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from devkit.local_aws.state import State\n"
        "from tests.unit.test_local_aws_state import ENDPOINT\n"
        "with State(Path(sys.argv[1])).held() as held:\n"
        "    held.announce(ENDPOINT)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL

    state = State(tmp_path)

    assert (state.folder / "endpoint.json").exists()
    assert state.endpoint() is None
    with state.held():
        assert not (state.folder / "endpoint.json").exists()


def test_one_that_is_withdrawn_is_not_found(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.held() as held:
        held.announce(ENDPOINT)
        held.withdraw()
        assert state.endpoint() is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"url": "x"}'])
def test_what_is_no_endpoint_is_none(tmp_path: Path, text: str) -> None:
    state = State(tmp_path)
    with state.held():
        (state.folder / "endpoint.json").write_text(text)
        assert state.endpoint() is None


def test_an_endpoint_waits_for_those_who_use_it(tmp_path: Path) -> None:
    state = State(tmp_path)
    waits, ended = threading.Event(), threading.Event()

    def end() -> None:
        with State(tmp_path).unused(waits.set):
            ended.set()

    with state.used() as stays:
        assert stays
        ending = threading.Thread(target=end)
        ending.start()
        assert waits.wait(10)
        assert not ended.is_set()
    ending.join(10)
    assert ended.is_set()


def test_nobody_begins_to_use_one_that_ends(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.unused(lambda: None), State(tmp_path).used() as stays:
        assert not stays


def test_the_folder_is_ignored_by_git(tmp_path: Path) -> None:
    State(tmp_path)

    assert (tmp_path / ".devkit" / ".gitignore").read_text() == "*\n"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / ".devkit").touch()  # root may write everywhere, but make no folder of a file
    with pytest.raises(StoreError, match="cannot write"):
        State(tmp_path)


def test_what_services_were_told_can_be_forgotten(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.journal.write_text("told\n")
    (state.sagemaker / "us-east-1").mkdir(parents=True)
    state.forget()
    state.forget()
    assert not state.journal.exists()
    assert not state.sagemaker.exists()


def test_nobody_makes_the_folder_only_to_look(tmp_path: Path) -> None:
    assert not is_made(tmp_path)
    State(tmp_path)
    assert is_made(tmp_path)
