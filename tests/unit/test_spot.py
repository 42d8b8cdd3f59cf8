"""When a job is interrupted (§1.10)."""

from __future__ import annotations

from devkit.spot import interruptions


def test_without_a_seed_the_times_are_those_given() -> None:
    assert interruptions([30, 5], None) == (30, 5)


def test_a_seed_draws_the_same_random_moments_every_time() -> None:
    drawn = interruptions([30, 30, 5], 7)
    assert drawn == interruptions([30, 30, 5], 7) != interruptions([30, 30, 5], 8)
    assert all(0 < moment <= limit for moment, limit in zip(drawn, [30, 30, 5], strict=True))
    assert drawn[0] != drawn[1]
