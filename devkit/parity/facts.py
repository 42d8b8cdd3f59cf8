"""What is seen in a place: facts, as text, by area and name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind = Literal["docker", "process", "sagemaker-local", "aws"]
KINDS: tuple[Kind, ...] = ("docker", "process", "sagemaker-local", "aws")
"""The order in which places are gone through; the first is what the others are compared with."""

Facts: TypeAlias = "Mapping[str, Mapping[str, str]]"
"""Values by area (``environment``) and name (``TRAINING_JOB_NAME``)."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was seen in a place."""

    place: Kind
    facts: Facts
    timings_s: Mapping[str, float] = field(default_factory=dict)
    """How long each step took."""
