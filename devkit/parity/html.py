"""A comparison as one page, which needs nothing else."""

from __future__ import annotations

from devkit.parity.comparing import Comparison


def page(comparison: Comparison) -> str:
    """The page."""
    raise NotImplementedError(comparison)
