"""A probe: the start-up first, then one ping after the other, until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from devkit.probing import Probe

DEADLINE_S = 10.0


def test_after_the_start_up_the_pings_are_reported_in_order() -> None:
    answers = iter([None, "HTTP 500", None])
    done = threading.Event()

    def ping() -> str | None:
        try:
            return next(answers)
        except StopIteration:
            done.set()
            return "over"

    probe = Probe(lambda _stopped: None, ping, interval_s=0)
    assert probe.start_up.result(DEADLINE_S) is None
    assert done.wait(DEADLINE_S)
    probe.stop()
    assert probe.results()[:3] == [None, "HTTP 500", None]


def test_what_does_not_come_up_is_not_pinged_any_more() -> None:
    def ping() -> str | None:
        raise AssertionError("it never came up")

    probe = Probe(lambda _stopped: "HTTP 500", ping, interval_s=0)
    assert probe.start_up.result(DEADLINE_S) == "HTTP 500"
    assert probe.results() == []


def test_a_probe_that_is_stopped_gives_the_start_up_up() -> None:
    begun = threading.Event()

    def start_up(stopped: Callable[[], bool]) -> str | None:
        begun.set()
        while not stopped():
            pass
        return "given up"

    probe = Probe(start_up, lambda: None)
    assert begun.wait(DEADLINE_S)
    assert not probe.start_up.done()
    probe.stop()
    assert probe.start_up.result(DEADLINE_S) == "given up"


def test_what_goes_wrong_in_the_thread_is_raised_where_it_is_asked_for() -> None:
    def start_up(_stopped: Callable[[], bool]) -> str | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Probe(start_up, lambda: None).start_up.result(DEADLINE_S)
