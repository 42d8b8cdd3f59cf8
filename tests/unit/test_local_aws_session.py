"""Which endpoint a command is run against, and how one is found missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from devkit.errors import ConfigError, DevkitError, NotFound
from devkit.local_aws import session
from devkit.local_aws.server import LocalAws
from devkit.local_aws.session import Running
from devkit.local_aws.state import AlreadyUp, Endpoint, Held, State
from tests.unit.fakes import Notes

ENDPOINT = Endpoint(
    url="http://127.0.0.1:9",  # where nobody listens
    container_url="http://172.17.0.1:9",
    pid=2**22 + 1,  # more than any process has
    started="2026-01-01T00:00:00+00:00",
    kind="up",
)
_NO_AWS = cast("LocalAws", None)


class Starting:
    """Starts endpoints, or fails to as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.events: list[str] = []

    @contextmanager
    def __call__(self) -> Iterator[Running]:
        if self.failures:
            self.failures -= 1
            self.events.append("busy")
            raise AlreadyUp(None)
        self.events.append("start")
        try:
            yield Running(_NO_AWS, ENDPOINT, Held(Path("endpoint.json")))
        finally:
            self.events.append("stop")


def use(state: State, starting: Starting) -> str:
    with session.for_a_command(state, starting, Notes()) as endpoint:
        starting.events.append("command")
        return endpoint.url


def test_one_that_is_up_is_used(tmp_path: Path) -> None:
    state, starting = State(tmp_path), Starting()
    with state.held() as held:
        held.announce(ENDPOINT)
        assert use(State(tmp_path), starting) == ENDPOINT.url

    assert starting.events == ["command"]


def test_where_none_is_up_one_is_started_and_stopped(tmp_path: Path) -> None:
    starting = Starting()

    use(State(tmp_path), starting)

    assert starting.events == ["start", "command", "stop"]


def test_while_another_begins_or_ends_it_is_tried_again(tmp_path: Path) -> None:
    starting = Starting(failures=2)

    use(State(tmp_path), starting)

    assert starting.events == ["busy", "busy", "start", "command", "stop"]


def test_what_a_command_raises_is_not_taken_for_a_busy_endpoint(tmp_path: Path) -> None:
    starting = Starting()

    with (
        pytest.raises(AlreadyUp),
        session.for_a_command(State(tmp_path), starting, Notes()),
    ):
        raise AlreadyUp(None)

    assert starting.events == ["start", "stop"]


def test_what_is_not_installed_is_named_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="needs no_such_package, which is not") as missing:
        session.require_installed(["json", "no_such_package"])

    assert missing.value.remedy == "pip install 'devkit[local-aws]'"


def test_one_that_does_not_answer_is_told(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.held() as held:
        held.announce(ENDPOINT)
        with pytest.raises(DevkitError, match="does not answer"):
            session.status(State(tmp_path))


def test_none_that_is_up_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not up"):
        session.status(State(tmp_path))
    assert session.stop(State(tmp_path)) is None
