"""The driver as devkit sees it: a process that may answer, be silent, talk nonsense, or die."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from devkit.errors import ConfigError, EngineError
from devkit.targets.sdk.process import Driver, NoAnswer, TooSlow

HEAD = """
import json, os, signal, sys, time

def say(**message):
    print(json.dumps(message), flush=True)

def requests():
    for line in sys.stdin:
        yield json.loads(line)

"""
GREETING = HEAD + "say(event='hello', sdk='2.257.7')\nsay(event='ready')\n"
ECHO = (
    GREETING
    + """
for request in requests():
    say(id=request["id"], answer=request["parameters"])
"""
)

Start = Callable[..., Driver]


class Heard:
    """What a driver told."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.texts: list[str] = []


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def start(heard: Heard) -> Iterator[Start]:
    """Starts a driver that runs a script."""
    with ExitStack() as stack:

        def start(script: str, **limits: float) -> Driver:
            driver = Driver(
                [sys.executable, "-c", script],
                {},
                on_event=heard.events.append,
                on_text=heard.texts.append,
                **limits,
            )
            driver.start()
            stack.callback(driver.close)
            return driver

        yield start


def test_a_request_gets_its_answer(start: Start) -> None:
    driver = start(ECHO)

    assert driver.sdk == "2.257.7"
    assert driver.call("Any", {"Body": b"\x00\xff"})["answer"] == {"Body": b"\x00\xff"}


def test_events_and_other_words_are_told_in_order_before_the_answer(
    start: Start, heard: Heard
) -> None:
    driver = start(
        GREETING
        + """
for request in requests():
    say(event="line", line="first")
    print("no message", flush=True)
    print("[1, 2]", flush=True)
    say(event="line", line="second")
    say(id=request["id"], answer={})
"""
    )

    driver.call("Any", {})

    assert [each["line"] for each in heard.events] == ["first", "second"]
    assert heard.texts == ["no message", "[1, 2]"]


def test_answers_to_nobody_are_ignored(start: Start) -> None:
    driver = start(
        GREETING
        + """
for request in requests():
    say(id=99, answer={"wrong": True})
    say(answer={"wrong": True})
    say(id=request["id"], answer={"right": True})
"""
    )

    assert driver.call("Any", {})["answer"] == {"right": True}


def test_what_is_missing_is_an_error_before_any_work(start: Start) -> None:
    unfit = "say(event='unfit', kind={!r}, message='no Compose', remedy='install it')"

    with pytest.raises(ConfigError, match="no Compose") as config:
        start(HEAD + unfit.format("config"))
    assert config.value.remedy == "install it"
    with pytest.raises(EngineError, match="no Compose"):
        start(HEAD + unfit.format("engine"))


def test_what_is_missing_in_the_sdk_is_told_by_the_first_request(start: Start) -> None:
    driver = start(
        HEAD
        + "say(event='hello', sdk='3.0')\n"
        + "say(event='unfit', kind='config', message='no LocalSession', remedy='another')\n"
    )

    with pytest.raises(ConfigError, match="no LocalSession"):
        driver.call("Any", {})


def test_an_interpreter_that_is_not_there_is_named() -> None:
    driver = Driver(["/no/python"], {}, on_event=lambda _: None, on_text=lambda _: None)

    with pytest.raises(ConfigError, match="cannot run /no/python: No such file"):
        driver.start()


def test_one_that_dies_at_once_is_told_with_its_last_words(start: Start) -> None:
    with pytest.raises(NoAnswer, match="exit code 3") as error:
        start("import sys; print('libfoo is missing', file=sys.stderr); sys.exit(3)")
    assert error.value.log_tail == ("libfoo is missing",)


def test_one_that_dies_at_work_fails_this_request_and_the_next(start: Start) -> None:
    driver = start(GREETING + "next(requests())\nos.kill(os.getpid(), signal.SIGKILL)\n")

    for _ in range(2):
        with pytest.raises(NoAnswer, match="exit code -9") as error:
            driver.call("CreateTrainingJob", {})
        assert not isinstance(error.value, TooSlow)


def test_one_that_dies_while_the_sdk_is_imported_fails_every_request(start: Start) -> None:
    driver = start(HEAD + "say(event='hello', sdk='3.0')")

    for _ in range(2):
        with pytest.raises(NoAnswer, match="exit code 0"):
            driver.call("Any", {})


def test_one_that_never_greets_is_given_up(start: Start) -> None:
    with pytest.raises(TooSlow, match=r"not started within 0\.1 s"):
        start(HEAD + "sys.stdin.read()", hello_s=0.1)


def test_one_that_is_slow_fails_the_request_and_not_the_next(start: Start) -> None:
    driver = start(
        GREETING
        + """
late = next(requests())
for request in requests():
    say(id=late["id"], answer={"late": True})
    say(id=request["id"], answer={"late": False})
"""
    )

    with pytest.raises(TooSlow, match=r"not answered InvokeEndpoint within 0\.05 s"):
        driver.call("InvokeEndpoint", {}, timeout_s=0.05)
    assert driver.call("Any", {})["answer"] == {"late": False}


def test_its_end_is_waited_for(start: Start, heard: Heard) -> None:
    driver = start(GREETING + "sys.stdin.read()\nprint('all stopped', file=sys.stderr)\n")

    driver.close()

    assert heard.texts == ["all stopped"]


def test_one_that_does_not_end_is_killed(start: Start) -> None:
    driver = start(GREETING + "signal.pause()\n", ending_s=0.1)

    driver.close()

    with pytest.raises(NoAnswer, match="exit code -9"):
        driver.call("Any", {})
