"""What people and machines are told."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from devkit.cli.terminal import Terminal, Verbosity
from devkit.errors import TrainingFailed
from devkit.job import Phase, Sample

DEADLINE_S = 10.0


def streams() -> tuple[io.StringIO, io.StringIO]:
    return io.StringIO(), io.StringIO()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_results_and_the_rest_go_different_ways() -> None:
    out, err = streams()
    terminal = Terminal(out, err)
    terminal.note("a note")
    terminal.line("algo-1", "a line")
    terminal.done("train", "job-1", 1.25)
    terminal.result({"model": "m"}, "m")
    assert out.getvalue() == "m\n"
    assert err.getvalue() == "  a note\n  │ a line\n✓ train   job-1 1.2 s\n"


def test_lines_of_several_hosts_say_whose_they_are() -> None:
    out, err = streams()
    terminal = Terminal(out, err)
    terminal.hosts(["algo-1", "algo-10"])
    terminal.line("algo-1", "a line")
    terminal.line("algo-10", "another")
    terminal.begin("serve")
    terminal.line("instance-1", "a server's")
    assert err.getvalue() == "  algo-1  │ a line\n  algo-10 │ another\n  │ a server's\n"


def test_json_is_one_document_also_for_an_error() -> None:
    out, err = streams()
    terminal = Terminal(out, err, json_output=True)
    terminal.error(TrainingFailed("it failed", remedy="mend it", log_tail=["last"]))
    assert json.loads(out.getvalue()) == {
        "error": {
            "type": "TrainingFailed",
            "message": "it failed",
            "remedy": "mend it",
            "log_tail": ["last"],
            "exit_code": 5,
        }
    }
    assert err.getvalue() == "error: it failed\nlast log lines:\n  | last\n→ mend it\n"


def test_quiet_says_only_errors() -> None:
    out, err = streams()
    terminal = Terminal(out, err, verbosity=Verbosity.QUIET)
    terminal.note("a note")
    terminal.line("algo-1", "a line")
    terminal.done("train", "", 1)
    assert err.getvalue() == ""


def test_the_build_is_shown_when_asked_for() -> None:
    out, err = streams()
    Terminal(out, err).build_line("Step 1/2")
    assert err.getvalue() == ""
    Terminal(out, err, verbosity=Verbosity.VERBOSE).build_line("Step 1/2")
    assert "Step 1/2" in err.getvalue()


def test_a_live_terminal_shows_phase_time_and_the_last_metric() -> None:
    out, err = streams()
    with Terminal(out, err, live=True) as terminal:
        terminal.begin("train")
        terminal.phase(Phase.TRAINING)
        terminal.sample(Sample(name="loss", value=0.5, time=datetime.now(timezone.utc)))
        assert eventually(lambda: "⋯ train   00:00 Training loss=0.5" in err.getvalue())
        terminal.line("algo-1", "a line")
    assert "\r\x1b[K  │ a line\n" in err.getvalue()
    assert err.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("color", "json_output"), [(False, False), (True, True)])
def test_without_colour_or_with_json_metrics_stay_in_the_status_line(
    color: bool, json_output: bool
) -> None:
    out, err = streams()
    with Terminal(out, err, live=True, color=color, json_output=json_output) as terminal:
        terminal.begin("train")
        terminal.sample(Sample(name="loss", value=0.5, time=datetime.now(timezone.utc)))
        assert eventually(lambda: "00:00  loss=0.5" in err.getvalue())
    assert "metric" not in err.getvalue()


def test_no_colour_without_a_terminal() -> None:
    out, err = streams()
    Terminal(out, err).failed("serve", "", 0)
    assert "\x1b" not in err.getvalue()
    Terminal(out, err, color=True).failed("serve", "", 0)
    assert "\x1b[31m✗\x1b[0m" in err.getvalue()
