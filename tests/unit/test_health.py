"""The policies of health and of trying again."""

from __future__ import annotations

from devkit.health import Health, pause_s


def test_failures_count_only_in_a_row() -> None:
    health = Health()
    for problem in ("HTTP 500", "HTTP 500", None, "HTTP 500", "no answer within 2 s"):
        health = health.after(problem)
        assert health.good
    assert (health.failures, health.problem) == (2, "no answer within 2 s")
    assert not health.after("HTTP 503").good


def test_a_good_ping_makes_up_for_those_before() -> None:
    assert Health(failures=7, problem="HTTP 500").after(None) == Health()


def test_the_pause_grows_to_half_a_minute_and_stays_there() -> None:
    assert [pause_s(n) for n in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert pause_s(1_000_000) == 30
