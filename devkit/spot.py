"""When a job is interrupted as managed spot training is: at set times, or random ones (§1.10)."""

from __future__ import annotations

import random
from collections.abc import Sequence


def interruptions(after_s: Sequence[float], seed: int | None) -> tuple[float, ...]:
    """The seconds of training after which a job is interrupted, from each start anew.

    Args:
        after_s: When; or, with a seed, the latest moment of each.
        seed: Draws a random moment before each of ``after_s``; the same seed draws the same ones.
    """
    if seed is None:
        return tuple(after_s)
    draw = random.Random(seed)  # noqa: S311 - nothing secret
    # Not at the very beginning: a program that has not begun shows nothing.
    return tuple(limit * draw.uniform(0.05, 1.0) for limit in after_s)
