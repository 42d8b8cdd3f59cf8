"""Invocations: the errors that are none of a function's own code, and the tail of a log."""

from __future__ import annotations

import json

import pytest

from devkit.local_aws.lambda_.invocations import Tail, exit_reason, failure, timed_out


def test_a_failure_is_in_awss_words() -> None:
    assert json.loads(failure("r", "Kind", "why").payload) == {
        "errorType": "Kind",
        "errorMessage": "RequestId: r Error: why",
    }
    assert b"Task timed out after 3.00 seconds" in timed_out("r", 3).payload


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, "Runtime exited without providing a reason"),
        (1, "Runtime exited with error: exit status 1"),
        (137, "Runtime exited with error: signal: killed"),
        (255, "Runtime exited with error: exit status 255"),
    ],
)
def test_an_exit_has_a_reason(code: int, reason: str) -> None:
    assert exit_reason(code) == reason


def test_the_tail_is_the_last_4_kb() -> None:
    tail = Tail()
    for number in range(1000):
        tail.add(f"line {number}")

    assert len(tail.content) == 4096
    assert tail.content.endswith(b"line 998\nline 999\n")
    assert len(tail.lines) < 500


def test_the_tail_of_one_long_line_is_its_end() -> None:
    tail = Tail()
    tail.add("x" * 10_000 + "é")

    assert len(tail.content) == 4096
    assert tail.content.endswith("é\n".encode())
