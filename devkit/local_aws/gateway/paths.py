"""Paths of requests against the paths of routes and resources: ``/pets/{id}``, ``/{proxy+}``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

_LITERAL, _VARIABLE, _GREEDY = 0, 1, 2
_SLASH = "/"


@dataclass(frozen=True)
class Pattern:
    """A path with variables."""

    segments: tuple[tuple[int, str], ...]

    @property
    def rank(self) -> tuple[int, ...]:
        """Sorts the most specific one first."""
        return (int(self.is_greedy), *(kind for kind, _ in self.segments))

    @property
    def is_greedy(self) -> bool:
        """Whether it takes all that follows."""
        return bool(self.segments) and self.segments[-1][0] == _GREEDY

    def match(self, path: str) -> Mapping[str, str] | None:
        """The variables' values in a path that is still encoded; ``None`` where it is another."""
        parts = path.lstrip(_SLASH).split(_SLASH)
        found: dict[str, str] = {}
        for index, (kind, name) in enumerate(self.segments):
            if kind == _GREEDY:
                rest = _SLASH.join(parts[index:])
                if not rest:
                    return None
                return {**found, name: unquote(rest)}
            if index >= len(parts) or not _takes(kind, name, unquote(parts[index])):
                return None
            if kind == _VARIABLE:
                found[name] = unquote(parts[index])
        return found if len(parts) == len(self.segments) else None


def _takes(kind: int, name: str, part: str) -> bool:
    return part == name if kind == _LITERAL else bool(part)


@lru_cache(maxsize=4096)
def pattern(path: str) -> Pattern:
    """The pattern that a path with variables is."""
    return Pattern(tuple(_segment(part) for part in path.lstrip(_SLASH).split(_SLASH)))


def _segment(part: str) -> tuple[int, str]:
    if part.startswith("{") and part.endswith("+}"):
        return _GREEDY, part[1:-2]
    if part.startswith("{") and part.endswith("}"):
        return _VARIABLE, part[1:-1]
    return _LITERAL, part


def first_segment(path: str) -> tuple[str, str]:
    """The first segment of a path, decoded, and what follows it, still encoded."""
    head, slash, rest = path.lstrip(_SLASH).partition(_SLASH)
    return unquote(head), f"/{rest}" if slash else _SLASH
