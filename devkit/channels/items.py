"""What a channel is made of: items, of objects and of literal values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from devkit.channels.source import ObjectSource


@dataclass(frozen=True)
class Stored:
    """The content of one object."""

    source: ObjectSource
    key: str
    path: str
    """Where it stands in the channel's folder, where files are delivered."""
    size: int | None = None
    """In bytes, where it was listed."""


@dataclass(frozen=True)
class Literal:
    """A value of an augmented manifest, as it is streamed."""

    content: bytes


# What is ordered, shuffled and dealt out to hosts as one: an object, or the listed attributes of
# one line of an augmented manifest.
Item: TypeAlias = tuple[Stored | Literal, ...]
